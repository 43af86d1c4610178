"""Tangent bases of the chapters' decoder: against the papers' loop, against torch's own Jacobian, against the floor.

Axes: n images of d = 1024 pixels, k = 10 latents. Times are per image; ratios compare times of this very run.
"""

import scipy.linalg
import torch
from timing import medians, options

from pags import tangent, vae

K, CHUNK = 10, 64


def loop_over_pixels(decode, z):
    """As in the papers' code: one image at a time, a backward pass for every pixel, then `scipy.linalg.orth`."""
    bases = []
    for one in z:
        u = one[None].clone().requires_grad_()
        pixels = decode(u).flatten()
        rows = [torch.autograd.grad(pixel, u, retain_graph=True)[0][0] for pixel in pixels]
        bases.append(scipy.linalg.orth(torch.stack(rows).numpy()))
    return bases


def torchs_jacobian(decode, z):
    """`torch.autograd.functional.jacobian` of one image at a time, then `scipy.linalg.orth`."""
    one = lambda u: decode(u[None]).flatten()  # noqa: E731
    return [scipy.linalg.orth(torch.autograd.functional.jacobian(one, u).numpy()) for u in z]


def forward_passes_with_tangents(decode, z):
    """The floor: k calls of `jvp` on the same chunks of images, and nothing made of them."""
    with torch.no_grad():
        for part in z.split(CHUNK):
            for e in torch.eye(K):
                torch.func.jvp(decode, (part,), (e.expand_as(part),))


def plain_forward_passes(decode, z):
    """k + 1 times the decoder alone, on the same chunks: what the arithmetic would cost if tangents were images."""
    with torch.no_grad():
        for part in z.split(CHUNK):
            for _ in range(K + 1):
                decode(part)


def main() -> None:
    """Check that all find the same spaces, then time them."""
    chosen = options(__doc__.splitlines()[0], images=512)
    torch.manual_seed(0)
    decode = vae.VAE(K).eval().requires_grad_(False).decode
    z = torch.randn(chosen.images, K)

    ours = tangent.tangent_basis(decode, z[:1])[0]
    for theirs in (loop_over_pixels(decode, z[:1]), torchs_jacobian(decode, z[:1])):
        other = torch.from_numpy(theirs[0])
        torch.testing.assert_close(ours @ ours.T, other @ other.T, atol=1e-4, rtol=0)

    contestants = {
        "pags.tangent.tangent_basis": (tangent.tangent_basis, len(z)),
        "loop over pixels": (loop_over_pixels, 1),
        "functional.jacobian": (torchs_jacobian, 4),
        "k passes with tangents": (forward_passes_with_tangents, len(z)),
        "k + 1 plain passes": (plain_forward_passes, len(z)),
    }
    calls = {name: lambda f=f, n=n: f(decode, z[:n]) for name, (f, n) in contestants.items()}
    found = medians(calls, repeats=chosen.repeats)
    each = {name: found[name] / n for name, (_, n) in contestants.items()}
    best = each["pags.tangent.tangent_basis"]
    for name, seconds in each.items():
        print(f"{name:28}{1e3 * seconds:10.2f} ms an image{seconds / best:10.2f} times that of pags")
    print(f"distance to the floor: {best / each['k passes with tangents']:.2f}")


if __name__ == "__main__":
    main()
