"""The picture on the front page: one gradient, split at a digit into what stays among the digits and what leaves them.

`python tools/cover.py` writes book/cover.svg anew.
"""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pags import paths, strokes
from pags.book import plot

DIGIT, SHEAR = 3, strokes.LATENTS.index("shear")


def steps(length: float = 7.0) -> tuple[Tensor, Tensor, Tensor]:
    """A digit and where equally long steps lead, along its tangent space and orthogonal to it: (size, size) each."""
    u = torch.zeros(1, len(strokes.LATENTS), dtype=torch.float64)
    x = strokes.render(u, DIGIT)
    basis = strokes.tangent_basis(u, torch.tensor([DIGIT]))[0]  # (d, k)
    slant = strokes.render(u.index_fill(1, torch.tensor(SHEAR), 0.01), DIGIT) - x
    along = basis @ (basis.T @ slant.flatten())
    noise = torch.randn(len(basis), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    across = noise - basis @ (basis.T @ noise)
    ends = (x.flatten() + length * v / v.norm() for v in (along, across))
    return x[0, 0], *(end.reshape(x.shape[2:]) for end in ends)


def figure() -> Figure:
    """A curve of slanting digits, the tangent at one of them, and an arrow with its two parts."""
    fig, ax = plot.canvas(height=3.95)
    ax.set(xlim=(0, 10), ylim=(-0.25, 5.2), aspect="equal")
    ax.set_axis_off()
    s = np.linspace(0, 1, 101)
    curve = np.stack([0.3 + 9.4 * s, 0.75 + 1.2 * np.sin(np.pi * (1.05 * s - 0.03))])
    ax.plot(*curve, color=plot.MUTED, linewidth=1.2)
    foot = curve[:, 34]
    tangent = curve[:, 35] - curve[:, 33]
    tangent /= np.linalg.norm(tangent)
    normal = np.array([-tangent[1], tangent[0]])
    inside, outside = foot + 3.1 * tangent, foot + 1.9 * normal
    digits(ax, curve[:, [4, 18, 49, 64, 79, 94]] - [[0], [0.44]], torch.tensor([-3.0, -1.6, 1.3, 2.7, 4.1, 5.5]))
    ax.text(*(curve[:, 41] - [0, 1.35]), "the manifold: drawings of a 3", color=plot.MUTED, ha="left")
    ax.plot(*np.stack([foot - 2.6 * tangent, foot + 5.6 * tangent], 1), color=plot.RULE, linewidth=1.2, linestyle="--")
    ax.plot(*np.stack([inside, inside + outside - foot, outside], 1), color=plot.RULE, linewidth=1)
    cold, warm = plot.BLUE, plot.RED
    for end, color in ((inside, cold), (outside, warm), (inside + outside - foot, plot.INK)):
        arrow = {"arrowstyle": "-|>,head_width=0.3,head_length=0.6", "color": color, "linewidth": 2.2}
        ax.annotate("", end, foot, arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})
    x, along, across = steps()
    for place, picture in (
        (foot, x),
        (inside + np.array([1.1, 0.62]), along),
        (outside + np.array([-0.5, 0.72]), across),
    ):
        tile(ax, picture, place, 1.06)
    (x0, y0), (x1, y1) = inside, outside
    ax.text(x0 + x1 - foot[0] + 0.15, y0 + y1 - foot[1] + 0.1, "an input gradient", fontsize=10.5)
    ax.text(x0 + 1.75, y0 + 0.6, "its part inside the\ntangent space: still a 3", color=cold)
    ax.text(x1 - 1.15, y1 + 0.72, "its orthogonal part:\nno longer a drawing", color=warm, ha="right")
    return fig


def digits(ax: Axes, places: np.ndarray, shear: Tensor) -> None:
    """Small pictures of the digit at the places (2, n), one for each value of its shear (n,)."""
    u = torch.zeros(len(shear), len(strokes.LATENTS))
    u[:, SHEAR] = shear
    for place, picture in zip(places.T, strokes.render(u, DIGIT)[:, 0], strict=True):
        tile(ax, picture, place, 0.72)


def tile(ax: Axes, picture: Tensor, place: np.ndarray, side: float) -> None:
    """One picture (size, size), centred on a place."""
    (x, y), half = place, side / 2
    ax.imshow(picture.clamp(0, 1), "gray", extent=(x - half, x + half, y - half, y + half), vmin=0, vmax=1, zorder=3)


if __name__ == "__main__":
    (paths.BOOK / "cover.svg").write_text(plot.svg(figure()) + "\n", encoding="utf-8")
