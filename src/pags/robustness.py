"""How much a net's output moves when its input moves along the manifold, across it, or in one part of the image.

Axes: n examples, d pixels, k tangent directions, c classes. A basis is (n, d, k) with orthonormal columns. Results are
per example, (n,); call `net.eval()` first. Source: Srinivas et al. 2023, Definitions 1 and 2, Sections 4.1 and 4.3.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pags import arguments, attack, randomness, tangent


def on_and_off(basis: Tensor, x: Tensor, *, size: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The tangent and the orthogonal part of one Gaussian draw, each made `size` times as long as its image; like x.

    A take a fixed length instead, 2.64 on CIFAR-10, which is about 10 % of an image's (from their released code).
    """
    u = randomness.normal(x, generator)
    on = tangent.project(basis, u)
    length = (size * attack.l2_norm(x)).reshape(-1, *[1] * (x.dim() - 1))
    return length * attack.unit_l2(on), length * attack.unit_l2(u - on)


@torch.no_grad()
def change(net: nn.Module, x: Tensor, *steps: Tensor) -> list[Tensor]:
    """L1 distance between the softmax outputs at x + u and at x, (n,) for each step u: from 0 to 2, small is robust."""
    here = net(x).softmax(1)
    return [(net(x + u).softmax(1) - here).abs().sum(1) for u in steps]


def on_off_change(
    net: nn.Module, x: Tensor, basis: Tensor, *, size: float = 0.1, draws: int = 1, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`change` along and across the manifold, each averaged over `draws`: two (n,).

    A function that knows nothing of the manifold changes alike: one step in k directions is as long as one in d - k.
    """
    steps = [u for _ in range(draws) for u in on_and_off(basis, x, size=size, generator=generator)]
    found = torch.stack(change(net, x, *steps))
    return found[::2].mean(0), found[1::2].mean(0)


@torch.no_grad()
def relative(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    g: Tensor,
    basis: Tensor,
    *,
    sigma: float,
    draws: int,
    generator: torch.Generator,
) -> Tensor:
    """rho_1(sigma) of f, (n, ...) to (n,): mean squared change by noise off the manifold over that by all noise: (n,).

    The part that is linear in the noise is known from f's gradients g (n, ...) and not drawn: the mean over `draws` of
    u and -u, u ~ N(0, sigma^2 I), is of the rest. Chance is 1 - k/d; nan where f is constant.
    """
    arguments.positive("sigma", sigma)
    here, across = f(x), g - tangent.project(basis, g)
    off, whole = (sigma**2 * v.double().flatten(1).square().sum(1) for v in (across, g))
    for _ in range(draws):
        u = sigma * randomness.normal(x, generator)
        v = u - tangent.project(basis, u)
        for sign in (1, -1):
            off = off + _rest(f(x + sign * v) - here, g, v) / (2 * draws)
            whole = whole + _rest(f(x + sign * u) - here, g, u) / (2 * draws)
    return (off / whole).to(x.dtype)


def _rest(change: Tensor, g: Tensor, u: Tensor) -> Tensor:
    """In double precision, where squares of small changes do not vanish."""
    return change.double().square() - (g * u).double().flatten(1).sum(1).square()


def alignment(basis: Tensor, E: Tensor) -> Tensor:
    """rho_2 of the gradients E (n, ...): the share of their squared length off the manifold, (n,). Chance: 1 - k/d."""
    return 1 - tangent.fraction_in(basis, E) ** 2


def relative_noise(net: nn.Module, x: Tensor, signal: Tensor, *, sigma: float, generator: torch.Generator) -> Tensor:
    """`change` by the same Gaussian noise on the signal (mask like x) alone, and on the rest alone: (2, n).

    The ratio of their means is A's relative noise robustness: above 1 the net listens more to the signal.
    """
    arguments.positive("sigma", sigma)
    u = sigma * randomness.normal(x, generator)
    return torch.stack(change(net, x, u * signal, u * ~signal))
