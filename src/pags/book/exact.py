"""What chapter 07 compares with the exact score: log odds of a classifier, steps on and off the manifold, likenesses.

Axes: n examples, d pixels, k latents, c classes, s strengths.
"""

from collections.abc import Callable

import numpy as np
import scipy.special
import torch
from torch import Tensor, nn

from pags import score


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosines (n,) of two batches of images."""
    return torch.cosine_similarity(a.flatten(1), b.flatten(1))


def length(v: Tensor) -> Tensor:
    """Euclidean lengths (n,)."""
    return v.flatten(1).norm(dim=1)


def rival(exact: score.Exact, y: Tensor) -> Tensor:
    """The likeliest other class (n,)."""
    return exact.log_p.scatter(1, y[:, None], -torch.inf).argmax(1)


def log_odds(log_p: Tensor, y: Tensor) -> Tensor:
    """log p(y | x) / (1 - p(y | x)), (n,), from log p(x, y) or from logits (n, c)."""
    others = log_p.scatter(1, y[:, None], -torch.inf).logsumexp(1)
    return log_p[torch.arange(len(y)), y] - others


def log_odds_gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Gradient of log p(y | x) / (1 - p(y | x)) of a network, like x."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(log_odds(net(x), y).sum(), x)
    return gradient


def step_factor(off: Tensor, on: Tensor, d: int, k: int) -> Tensor:
    """Log factor (n,) of changes by one step of equal length each.

    Noise has d - k directions off the manifold, and k on it: about log((d - k) / k). So that it is right in the mean
    for a linear function: E log <a, u>^2 = log |a|^2 + digamma(1/2) - digamma(m/2) for a random u in m dimensions.
    """
    directions = scipy.special.digamma(np.array([(d - k) / 2, k / 2]))
    return 2 * (off / on).log() + directions[0] - directions[1]


def null(alike: Callable[[Tensor, Tensor], Tensor], S: Tensor, B: Tensor) -> Tensor:
    """The mean likeness (n,) of each of B with other images' S."""
    shifts = range(1, min(len(S), 10))
    return torch.stack([alike(S.roll(s, 0), B) for s in shifts]).mean(0)


def chosen(values: Tensor) -> tuple[Tensor, list[int]]:
    """The row of values (s, n) that is highest on the other half of the images.

    A value per image, (n,), and the two rows; the first and the last row are not asked. The images are halved by turns.
    """
    half = torch.arange(values.shape[1]) % 2
    best = [int(values[1:-1, half != h].mean(1).argmax()) + 1 for h in (0, 1)]
    return values[torch.tensor(best)[half], torch.arange(len(half))], best
