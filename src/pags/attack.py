"""Projected gradient descent inside a ball around each image.

Axes: n examples. A budget eps is a length in pixel units, per image, unless a function says otherwise. The attacks
read the net's gradient only: parameters and their gradients stay as they were, and the net stays in its mode.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _column(v: Tensor, x: Tensor) -> Tensor:
    """A number per image (n,), shaped so that it multiplies x (n, ...)."""
    return v.reshape(-1, *[1] * (x.dim() - 1))


def l2_norm(v: Tensor) -> Tensor:
    """Length of each image: (n,)."""
    return v.flatten(1).norm(dim=1)


def unit_l2(v: Tensor) -> Tensor:
    """Each image divided by its length; an image of zeros stays zero."""
    return v / _column(l2_norm(v).clamp_min(1e-12), v)


def project_l2(v: Tensor, eps: float) -> Tensor:
    """Each image shortened to length eps where it is longer."""
    return v * _column((eps / l2_norm(v).clamp_min(1e-12)).clamp(max=1.0), v)


def unit_batch(v: Tensor) -> Tensor:
    """The whole batch divided by its one length: the norm in the code released with papers A and B."""
    return v / v.norm().clamp_min(1e-12)


def project_batch(v: Tensor, eps: float) -> Tensor:
    """The whole batch shortened to length eps if it is longer."""
    return v * (eps / v.norm().clamp_min(1e-12)).clamp(max=1.0)


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
    for _ in range(steps):
        delta = delta.detach().requires_grad_()
        (grad,) = torch.autograd.grad(F.cross_entropy(net(x + delta), y, reduction="sum"), delta)
        delta = project(delta.detach() + step * direction(grad))
        if limits:  # clipping moves towards x, so the perturbation stays in the ball
            delta = (x + delta).clamp(*limits) - x
    return (x + delta).detach()


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

    Step 2.5 eps / steps from a random start half-way to the sphere; `limits` clips to the range of the pixels.
    """
    start = 0.5 * eps * unit_l2(_noise(x, generator, torch.randn))
    return _pgd(net, x, y, start, 2.5 * eps / steps, steps, unit_l2, lambda v: project_l2(v, eps), limits)


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
    return _pgd(net, x, y, start, 2.5 * eps / steps, steps, torch.sign, lambda v: v.clamp(-eps, eps), limits)


def pgd_l2_batch(
    net: nn.Module, x: Tensor, y: Tensor, eps: float, *, generator: torch.Generator, steps: int = 100
) -> Tensor:
    """The released variant: eps bounds the length of the *whole batch's* perturbation, about eps / sqrt(n) per image.

    The start is uniform on [0, 1), so all positive, scaled to length eps / 2; the pixels are not clipped.
    """
    start = 0.5 * eps * unit_batch(_noise(x, generator, torch.rand))
    return _pgd(net, x, y, start, 2.5 * eps / steps, steps, unit_batch, lambda v: project_batch(v, eps), None)
