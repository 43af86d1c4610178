"""What the chapters on theory compute more than once: closed forms and constructions of the three papers' theorems.

Axes: n examples, d pixels, m corners or relevant blocks, c classes. Everything is in double precision on the CPU.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pags import arguments

# Expectations and gradients


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Independent standard normal numbers (*shape)."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def gaussian_grid(d: int, nodes: int = 5) -> tuple[Tensor, Tensor]:
    """Points (nodes^d, d) and weights (nodes^d,) with E h(u) = sum of weight times h(point) for u ~ N(0, I).

    Exact for polynomials of degree 2 nodes - 1 in each coordinate (Gauss and Hermite).
    """
    at, weight = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(nodes))
    grids = torch.meshgrid(*[weight / weight.sum()] * d, indexing="ij")
    return torch.cartesian_prod(*[at] * d).view(-1, d), torch.stack(grids).prod(0).flatten()


def input_gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Gradient (n, d) at x (n, d) of f: (n, d) -> (n,), which treats the examples independently."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]


# A: robustness off the manifold, the best classifier, ridge


def second_moment(g: Tensor, H: Tensor, Q: Tensor, sigma: float) -> Tensor:
    """E (g'Qu + u'QHQu / 2)^2, a scalar, for u ~ N(0, sigma^2 I) and an orthogonal projection Q (d, d)."""
    M = Q @ H @ Q
    return sigma**2 * (Q @ g).square().sum() + sigma**4 * (M.trace() ** 2 + 2 * M.square().sum()) / 4


def quadratic_robustness(g: Tensor, H: Tensor, off: Tensor, sigma: float) -> Tensor:
    """rho_1(sigma), a scalar, of a quadratic function with gradient g (d,) and Hessian H (d, d) (Srinivas et al. 2023,
    Definition 1); `off` (d, d) projects off the manifold.
    """
    arguments.positive("sigma", sigma)
    whole = torch.eye(len(g), dtype=g.dtype)
    return second_moment(g, H, off, sigma) / second_moment(g, H, whole, sigma)


def log_posterior(x: Tensor, mean: Tensor, S: Tensor) -> Tensor:
    """log p(y | x), (n, 2), for x | y ~ N(y mean, S) in d dimensions, y = -1 and 1 equally frequent."""
    joint = [torch.distributions.MultivariateNormal(y * mean, S).log_prob(x) for y in (-1, 1)]
    return torch.stack(joint, 1).log_softmax(1)


def ridge(X: Tensor, y: Tensor, lam: float) -> Tensor:
    """The weights (d,) that minimise mean((X w - y)^2) + lam |w|^2, for X (n, d) and y (n,)."""
    return torch.linalg.solve(X.mT @ X / len(X) + lam * torch.eye(X.shape[1], dtype=X.dtype), X.mT @ y / len(X))


# B: the curve, densities around a circle


def curve_corners(d: int) -> Tensor:
    """Corners (m, d) of the closed curve of Bordt et al. 2022, Theorem 1.

    For odd d the print leaves a corner out and has one with oblique legs; these
    corners keep the plan.
    """
    w, s = d - 1, (d - 1) ** 0.5 / 2
    points = [[-0.5] + [0.0] * w]
    for j in range(d - 2 if d % 2 == 0 else d - 1):
        x_1, *others = points[-1]
        points += [[-x_1, *others], [-x_1, *others[:j], 1.0, *others[j + 1 :]]]
    if d % 2 == 0:
        points += [[s] + [1.0] * (w - 1) + [0.0]]
        home = [(s, 1.0), (-0.5, 1.0)]
    else:
        home = [(-0.5, 2 / 3), (s - 0.5, 2 / 3)]
        home += [(s - 0.5, 1 / 3), (-0.5, 1 / 3)]
    points += [[x_1] + [part] * w for x_1, part in home]
    return torch.tensor(points, dtype=torch.float64)


def class_centres() -> Tensor:
    """The angles (3,) at which the three classes on a circle have their modes."""
    return 2 * math.pi * torch.arange(3, dtype=torch.float64) / 3


def log_decaying_circle(x: Tensor, sigma: float, *, kappa: float = 2.0) -> Tensor:
    """Log densities (n, 3 classes) at x (n, 3) around the unit circle of the first two axes, up to a constant.

    Von Mises classes of concentration kappa at the nearest point, times a Gaussian of the distance; sigma = inf gives a
    uniform band.
    """
    if sigma != math.inf:
        arguments.positive("sigma", sigma)
    m = F.pad(F.normalize(x[:, :2]), (0, 1))  # the nearest point: (n, 3)
    centres = torch.stack([class_centres().cos(), class_centres().sin()])  # (2, 3)
    return -(x - m).square().sum(1, keepdim=True) / (2 * sigma**2) + kappa * m[:, :2] @ centres


def log_noisy_circle(x: Tensor, sigma: float, *, kappa: float = 2.0, nodes: int = 4000) -> Tensor:
    """Log densities (n, 3 classes) at x (n, 2) of points of the unit circle plus noise N(0, sigma^2 I).

    By the trapezoidal rule over the angle; sigma must span several of the nodes.
    """
    arguments.positive("sigma", sigma)
    phi = 2 * math.pi * torch.arange(nodes, dtype=torch.float64) / nodes
    m = torch.stack([phi.cos(), phi.sin()], 1)
    log_q = kappa * (phi[:, None] - class_centres()).cos() - math.log(2 * math.pi * np.i0(kappa))
    log_noise = -torch.cdist(x, m).square() / (2 * sigma**2) - math.log(2 * math.pi * sigma**2)
    return (log_noise[:, :, None] + log_q).logsumexp(1) + math.log(2 * math.pi / nodes)


# D: images of q blocks of s numbers, the first m = q / 2 relevant, the pattern (1, 0, ...); neurons are rows (w, r, b)


def spoilt_images(q: int, s: int = 1, eta: float = 0.0) -> tuple[Tensor, Tensor]:
    """The images v_1, ..., v_m, -v_1, ..., -v_m (q, q s) in which all noise works against the signal; labels (q,)."""
    m = q // 2
    v = torch.zeros(m, q, s, dtype=torch.float64)
    v[:, :m, 0] = torch.eye(m, dtype=torch.float64) - eta
    sign = torch.ones(m, dtype=torch.float64)
    return torch.cat([v, -v]).flatten(1), torch.cat([sign, -sign])


def leaking_pair(q: int, s: int = 1, eta: float = 0) -> tuple[float, Tensor]:
    """Margin of the max-margin network; its neurons (2, q s + 2), half each.

    For m eta <= 1/4 (after Shah et al. 2021, Theorem 1).
    """
    m, kappa = q // 2, 1 - q // 2 * eta
    length = math.sqrt(m + kappa**2)
    r = torch.zeros(q, s, dtype=torch.float64)
    r[:m, 0] = 1 / length
    one = torch.ones(1, dtype=torch.float64)
    up = torch.cat([one, r.flatten(), kappa / length * one])
    down = torch.cat([-up[:-1], up[-1:]])
    return kappa / 2 / length, torch.stack([up, down]) / 2**0.5


def outputs(neurons: Any, x: Any, y: Any) -> Any:
    """y w max(0, <r, x> + b), (n, neurons), at images x (n, d), labels y (n,).

    All three are tensors, or all are arrays: a linear programme wants arrays.
    """
    w, r, b = neurons[:, 0], neurons[:, 1:-1], neurons[:, -1]
    return y[:, None] * w * (x @ r.T + b).clip(min=0)


def single_neurons(m: int, eta: float) -> Tensor:
    """Neurons (2 m, m + 2) that look at one coordinate each and are silent where |x_i| <= eta: a pair for each."""
    r = torch.eye(m, dtype=torch.float64).repeat_interleave(2, 0)
    w = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(m)[:, None]
    neurons = torch.cat([w, w * r / math.sqrt(1 + eta**2), 0 * w - eta / math.sqrt(1 + eta**2)], 1)
    return neurons / math.sqrt(2)


def noisy_images(m: int, eta: float) -> tuple[Tensor, Tensor]:
    """Images (2 m 3^m, m) with the signal in one of m coordinates and noise -eta, 0 or eta in all; labels."""
    xi = eta * torch.tensor(list(itertools.product((-1.0, 0.0, 1.0), repeat=m)), dtype=torch.float64)
    x = torch.cat([row + xi for row in torch.eye(m, dtype=torch.float64)])
    sign = torch.ones(len(x), dtype=torch.float64)
    return torch.cat([x, -x]), torch.cat([sign, -sign])


def predictive_power(x: Tensor, y: Tensor) -> float:
    """Best accuracy that any classifier reaches on the images x (n, d) themselves, labels y (n,), by counting.

    A supremum over all classifiers only where the rows are the whole population, or many of them are equal.
    """
    image, label = (torch.unique(v, dim=0, return_inverse=True)[1] for v in (x, y))
    counts = torch.zeros(int(image.max()) + 1, int(label.max()) + 1, dtype=torch.float64)
    return float(counts.index_put((image, label), counts.new_ones(()), accumulate=True).amax(1).sum() / len(y))
