"""What chapter 07 compares with the exact score: log odds of a classifier, steps on and off the manifold.

Axes: n examples, d pixels, k latents, c classes, s strengths, r runs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.special
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from torch import Tensor, nn

from pags import score
from pags.book import plot


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
    """Log (n,) of the squared change by noise off the manifold over that by noise on it.

    `off` and `on` (n,) are the changes by one step of equal length each, but noise has d - k directions off the
    manifold and k on it, about a factor of (d - k) / k. Exact in the mean for a linear function with gradient a, since
    E log <a, u>^2 = log |a|^2 + digamma(1/2) - digamma(m/2) for a random unit vector u in m dimensions.
    """
    directions = scipy.special.digamma(np.array([(d - k) / 2, k / 2]))
    return 2 * (off / on).log() + directions[0] - directions[1]


def chosen(values: Tensor) -> tuple[Tensor, list[int]]:
    """At values (s, r, n), those (r, n) of the row that is highest in the other runs and on the other half of images.

    With them come all rows so chosen; the first and the last are not asked. The images are halved by turns. A single
    run chooses for itself.
    """
    _, runs, n = values.shape
    half, found, rows = torch.arange(n) % 2, torch.empty_like(values[0]), set()
    for r in range(runs):
        others = values if runs == 1 else values[:, torch.arange(runs) != r]
        best = torch.stack([others[1:-1, :, half != h].mean((1, 2)).argmax() + 1 for h in (0, 1)])
        found[r] = values[best[half], r, torch.arange(n)]
        rows |= {*best.tolist()}
    return found, sorted(rows)


def ratios(found: Mapping[str, Sequence[Any]], *, xlabel: str) -> Figure:
    """A point per name on a logarithmic axis, with its interval (value, low, high) if it has one; its number beside it.

    Names with the same first word look the same.
    """
    kinds = [name.split()[0].strip(",") for name in found]
    looks = dict(zip(dict.fromkeys(kinds), plot.looks([*dict.fromkeys(kinds)]), strict=True))
    fig, ax = plot.canvas(height=0.9 + 0.26 * len(found))
    for i, (kind, (value, *ends)) in enumerate(zip(kinds, found.values(), strict=True)):
        reach = [[abs(end - value)] for end in ends if end is not None] or None
        ax.errorbar(value, i, xerr=reach, elinewidth=1.6, **looks[kind] | {"linestyle": ""})
        at = {"xy": (1, i), "xycoords": ("axes fraction", "data"), "xytext": (6, 0), "textcoords": "offset points"}
        ax.annotate(f"{value:.2f}", va="center", **at)
    ax.set(xscale="log", xlabel=xlabel, ylim=(len(found) - 0.5, -0.5))
    ax.set_yticks(range(len(found)), [*found])
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    return fig
