"""Projected gradient descent inside a ball around each image.

Axes: n examples. A budget eps is a length in pixel units, per image, unless a function says otherwise. The attacks
read the net's gradient only: parameters and their gradients stay as they were, and the net stays in its mode. They
follow a gradient however short it is, but one that is exactly zero leads nowhere: `stuck` says where.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _column(v: Tensor, x: Tensor) -> Tensor:
    """A number per image (n,), shaped so that it multiplies x (n, ...)."""
    return v.reshape(-1, *[1] * (x.dim() - 1))


def _power(top: Tensor) -> Tensor:
    """The power of two below each largest magnitude: to divide by it costs no digit, and then no square vanishes."""
    top = top.clamp_min(torch.finfo(top.dtype).tiny)
    return top / (2 * torch.frexp(top).mantissa)


def balanced(v: Tensor) -> Tensor:
    """Each image divided by the power of two below its largest magnitude; an image of zeros stays zero."""
    return v / _column(_power(v.flatten(1).abs().amax(1)), v)


def l2_norm(v: Tensor) -> Tensor:
    """Length of each image: (n,)."""
    return _power(v.flatten(1).abs().amax(1)) * balanced(v).flatten(1).norm(dim=1)


def unit_l2(v: Tensor) -> Tensor:
    """Each image divided by its length, however short; an image of zeros stays zero."""
    v = balanced(v)
    return v / _column(_or_one(v.flatten(1).norm(dim=1)), v)


def project_l2(v: Tensor, eps: float) -> Tensor:
    """Each image shortened to length eps where it is longer."""
    return v * _column((eps / _or_one(l2_norm(v))).clamp(max=1.0), v)


def unit_batch(v: Tensor) -> Tensor:
    """The whole batch divided by its one length: the norm in the code released with papers A and B."""
    v = v / _power(v.abs().amax())
    return v / _or_one(v.norm())


def project_batch(v: Tensor, eps: float) -> Tensor:
    """The whole batch shortened to length eps if it is longer."""
    power = _power(v.abs().amax())
    return v * (eps / _or_one(power * (v / power).norm())).clamp(max=1.0)


def _or_one(length: Tensor) -> Tensor:
    """The length, or one where it is zero and so nothing is divided by it."""
    return torch.where(length == 0, 1.0, length)


def _slope(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of the loss at the labels y, like x."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(x), y, reduction="sum"), x)[0]


def stuck(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """True, (n,), where the loss has no gradient at all: attacks cannot follow it, and the image seems robust.

    So it is where the net's probability of y rounds to one; a net and images in double precision round later. Ask at
    the images that an attack has returned.
    """
    return (_slope(net, x, y) == 0).flatten(1).all(1)


def _pgd(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    delta: Tensor,
    step: float,
    steps: int,
    direction: Callable[[Tensor], Tensor],
    project: Callable[[Tensor], Tensor],
    limits: tuple[float, float] | None,
) -> Tensor:
    x = x.detach()
    if limits is not None:
        low, high = limits
        rounding = 8 * torch.finfo(x.dtype).eps * max(abs(low), abs(high))
        if len(x) > 0 and not low - rounding <= float(x.min()) <= float(x.max()) <= high + rounding:
            ends = f"{float(x.min()):g} to {float(x.max()):g}"
            raise ValueError(f"limits = {limits}, but the images run from {ends}: clipping would leave the ball")
    for _ in range(steps):
        delta = project(delta + step * direction(_slope(net, x + delta, y)))
        if limits is not None:  # clipping moves towards x, so the perturbation stays in the ball
            delta = (x + delta).clamp(*limits) - x
    return x + delta


def _step(eps: float, steps: int) -> float:
    """The length of each of so many steps, 2.5 eps / steps; ValueError where there is no ball or no step."""
    if not 0 <= eps < math.inf:
        raise ValueError(f"eps = {eps}: write a length from 0")
    if steps < 1:
        raise ValueError(f"steps = {steps}: write a whole number from 1")
    return 2.5 * eps / steps


def _noise(x: Tensor, generator: torch.Generator, draw: Callable[..., Tensor]) -> Tensor:
    """Noise like x, drawn on the CPU so that every device sees the same."""
    return draw(x.shape, generator=generator, dtype=x.dtype).to(x.device)


def pgd_l2(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    *,
    generator: torch.Generator,
    steps: int = 100,
    limits: tuple[float, float] | None = None,
) -> Tensor:
    """Images (n, ...) within L2 distance eps of x that raise the loss at the labels y (n,) (Madry et al. 2018).

    Step 2.5 eps / steps from a random start half-way to the sphere; `limits` clips to the range of the pixels, and
    images outside of it are a ValueError.
    """
    start = 0.5 * eps * unit_l2(_noise(x, generator, torch.randn))
    return _pgd(net, x, y, start, _step(eps, steps), steps, unit_l2, lambda v: project_l2(v, eps), limits)


def pgd_linf(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    *,
    generator: torch.Generator,
    steps: int = 100,
    limits: tuple[float, float] | None = None,
) -> Tensor:
    """Images (n, ...) within eps of x in every pixel; signed steps of 2.5 eps / steps from a uniform start."""
    start = eps * (2 * _noise(x, generator, torch.rand) - 1)
    return _pgd(net, x, y, start, _step(eps, steps), steps, torch.sign, lambda v: v.clamp(-eps, eps), limits)


def pgd_l2_batch(
    net: nn.Module, x: Tensor, y: Tensor, eps: float, *, generator: torch.Generator, steps: int = 100
) -> Tensor:
    """The released variant: eps bounds the length of the *whole batch's* perturbation, about eps / sqrt(n) per image.

    The start is uniform on [0, 1), so all positive, scaled to length eps / 2; the pixels are not clipped.
    """
    start = 0.5 * eps * unit_batch(_noise(x, generator, torch.rand))
    return _pgd(net, x, y, start, _step(eps, steps), steps, unit_batch, lambda v: project_batch(v, eps), None)
