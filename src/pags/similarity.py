"""How alike two maps look: LPIPS, which needs an AlexNet's weights, and two measures that need none.

Axes: n examples, c channels, h and w pixels; maps are signed, (n, c, h, w) with 1 or 3 channels, and each is first
divided by its own largest magnitude. Results are per example, (n,), and larger is more alike. What chance gives is
measured, not known: compare with the map of another image.
"""

import warnings
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pags import attack

LEAST = 31  # pixels along a side that AlexNet's trunk needs
WINDOW = 11  # and structural similarity's window


def scaled(E: Tensor) -> Tensor:
    """Each map divided by its own largest magnitude, so that it lies in [-1, 1]; a map of zeros stays zero."""
    top = E.abs().amax(dim=(1, 2, 3), keepdim=True)
    return E / torch.where(top == 0, 1.0, top)


def check_size(shape: tuple[int, ...], least: int) -> None:
    """ValueError for maps (..., h, w) with a side below `least` pixels."""
    if min(shape[-2:]) < least:
        raise ValueError(f"maps of {shape[-2]} x {shape[-1]} pixels: this measure needs at least {least} x {least}")


def lpips(trunk: Mapping[str, Tensor], device: torch.device = torch.device("cpu")) -> Callable[..., Tensor]:
    """1 - LPIPS of two batches of maps, as a function, with AlexNet's trunk (`data.alexnet`).

    The metric is `lpips.LPIPS(net="alex")` of Zhang et al. 2018, version 0.1; ValueError below `LEAST` pixels.
    """
    with warnings.catch_warnings():  # the package calls torchvision in a way that is deprecated
        warnings.simplefilter("ignore")
        from lpips import LPIPS

        net = LPIPS(net="alex", pnet_rand=True, verbose=False)
    with torch.no_grad():
        for name, parameter in net.net.named_parameters():
            parameter.copy_(trunk["features." + name.split(".", 1)[1]])
    net = net.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def alike(E: Tensor, S: Tensor, *, batch: int = 100) -> Tensor:
        check_size(E.shape, LEAST)
        pairs = zip(scaled(E).split(batch), scaled(S).split(batch), strict=True)
        return torch.cat([1 - net(*(part.expand(-1, 3, -1, -1) for part in pair)).flatten() for pair in pairs])

    return alike


def cosine(basis: Tensor, E: Tensor, S: Tensor) -> Tensor:
    """Cosine between the parts of E and S (n, ...) in the span of `basis` (n, d, k): (n,), in [-1, 1]; chance 0.

    0 where one of them has no such part.
    """
    return plain_cosine(*(basis.mT.matmul(attack.balanced(v).flatten(1)[..., None]).squeeze(-1) for v in (E, S)))


def plain_cosine(E: Tensor, S: Tensor) -> Tensor:
    """Cosine of E and S (n, ...): (n,), in [-1, 1]; 0 where one of them is zero."""
    return torch.cosine_similarity(attack.balanced(E).flatten(1), attack.balanced(S).flatten(1), dim=1)


def ssim(E: Tensor, S: Tensor, *, window: int = WINDOW, sigma: float = 1.5) -> Tensor:
    """Structural similarity of the scaled maps (n, c, h, w), mean over pixels and channels: (n,), at most 1.

    Gaussian window, K1 = .01, K2 = .03, range 2 (Wang et al. 2004); only windows that lie in the image count,
    ValueError where there is none.
    """
    check_size(E.shape, window)
    a, b = scaled(E), scaled(S)
    at = torch.arange(window, dtype=a.dtype, device=a.device) - (window - 1) / 2
    line = (-0.5 * (at / sigma) ** 2).softmax(0)
    moments = _blurred(torch.stack([a, b, a * a, b * b, a * b]), line)  # (5, n, c, h', w')
    ma, mb = moments[:2]
    va, vb, vab = moments[2] - ma**2, moments[3] - mb**2, moments[4] - ma * mb
    c1, c2 = (2 * 0.01) ** 2, (2 * 0.03) ** 2
    values = (2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return values.flatten(1).mean(1)


def _blurred(v: Tensor, line: Tensor) -> Tensor:
    """v (..., h, w) averaged with the weights `line` along both axes, where the window lies inside."""
    flat = v.reshape(-1, 1, *v.shape[-2:])
    flat = F.conv2d(F.conv2d(flat, line[None, None, :, None]), line[None, None, None])
    return flat.reshape(*v.shape[:-2], *flat.shape[-2:])
