"""Attributions of the chapters' LeNet against captum: at its defaults, and at batches of the same size as ours.

Axes: n images of 32 x 32 pixels. A ratio says how many times as long as pags captum takes, within this very run.
"""

import torch
from captum.attr import InputXGradient, IntegratedGradients, NoiseTunnel, Saliency
from timing import medians, options

from pags import attribution, nets

SAMPLES, SIGMA = 25, 0.02


def pairs(net, x, target):
    """By method: ours, captum at its defaults, and captum at batches of n images; functions without arguments."""
    tunnel = {"nt_type": "smoothgrad", "nt_samples": SAMPLES, "stdevs": SIGMA, "abs": False}
    generator = torch.Generator().manual_seed(0)

    def captum(method, **more):
        return lambda: method.attribute(x.clone().requires_grad_(), target=target, **more).detach()

    def ours(method, **more):
        return lambda: method(net, x, target, **more)

    gradient, product = captum(Saliency(net), abs=False), captum(InputXGradient(net))
    integrated, smooth = IntegratedGradients(net), NoiseTunnel(Saliency(net))
    return {
        "gradient": (ours(attribution.gradient), gradient, gradient),
        "input x gradient": (ours(attribution.input_x_gradient), product, product),
        "integrated gradients": (
            ours(attribution.integrated_gradients),
            captum(integrated),
            captum(integrated, internal_batch_size=len(x)),
        ),
        "smoothgrad": (
            ours(attribution.smoothgrad, generator=generator, sigma=SIGMA, samples=SAMPLES),
            captum(smooth, **tunnel),
            captum(smooth, nt_samples_batch_size=1, **tunnel),
        ),
    }


def main() -> None:
    """Check that both find the same, then time them."""
    chosen = options(__doc__.splitlines()[0], images=50)
    torch.manual_seed(0)
    net = nets.lenet().eval()
    x = torch.rand(chosen.images, 1, 32, 32)
    target = attribution.predicted(net, x)
    print(f"{chosen.images} images; one call, in seconds, and the time of captum over that of pags")
    print(f"{'':22}{'pags':>8}{'captum: default':>17}{'same batches':>14}")
    for name, (ours, default, matched) in pairs(net, x, target).items():
        if name != "smoothgrad":  # whose noise differs
            torch.testing.assert_close(ours(), matched(), atol=1e-5, rtol=1e-3)
        quick = 6 if name in ("gradient", "input x gradient") else 1  # milliseconds want more turns
        found = medians({"ours": ours, "default": default, "matched": matched}, repeats=quick * chosen.repeats)
        default_ratio, matched_ratio = found["default"] / found["ours"], found["matched"] / found["ours"]
        print(f"{name:22}{found['ours']:8.3f}{default_ratio:17.2f}{matched_ratio:14.2f}")


if __name__ == "__main__":
    main()
