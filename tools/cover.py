"""The pictures on the front page: a gradient split at a digit, and two walks from it, among the digits and away.

`python tools/cover.py` writes book/cover.svg and book/walk.html anew.
"""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pags import paths, strokes
from pags.book import plot, widgets

DIGIT, SHEAR = 3, strokes.LATENTS.index("shear")
LETTERS = 14  # points: they are to be read on a phone, where the figure is half as wide


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


def walk(frames: int = 25, most: float = 2.6) -> tuple[Tensor, Tensor]:
    """Pictures (frames, size, size) of two walks through a digit: by its shear from -most to most, and away from it.

    The second is orthogonal to the tangent space at the digit in the middle, and picture for picture as far from it.
    """
    shear = torch.linspace(-most, most, frames, dtype=torch.float64)
    u = torch.zeros(frames, len(strokes.LATENTS), dtype=torch.float64)
    u[:, SHEAR] = shear
    along = strokes.render(u, DIGIT)[:, 0]
    middle, _, across = steps()
    away = (across - middle) / (across - middle).norm()
    far = (along - middle).flatten(1).norm(dim=1) * shear.sign()
    return along, middle + far[:, None, None] * away


def strip(pictures: Tensor) -> str:
    """Pictures (n, h, w), one below the other, as the address of one PNG."""
    pixels = (pictures.clamp(0, 1).flatten(0, 1) * 255 + 0.5).to(torch.uint8).numpy()
    return widgets._png(pixels)


def walk_page() -> str:
    """Both walks as HTML: book/style/walk.js moves them; without scripts they stand still, away from the middle."""
    along, across = walk()
    last = len(along) - 1
    shown = last - 4
    say = (
        ("along the manifold: another 3", "A drawn 3 that leans, and is a clean drawing at every step.", along),
        ("across it: the same 3 under noise", "The upright 3, covered in the more noise the longer the step.", across),
    )
    pairs = "\n".join(
        f'<div><div class="pags-step" role="img" aria-label="{alt}" style="background-image: url({strip(pictures)}); '
        f'background-size: 100% {100 * len(along)}%; background-position: 0 {100 * shown / last:.4g}%"></div>'
        f"<p>{words}</p></div>"
        for words, alt, pictures in say
    )
    return (
        f'<div class="pags-walk" data-last="{last}">\n<div class="pags-steps">\n{pairs}\n</div>\n'
        f'<div class="pags-walk-hand" hidden><label for="pags-walk">step</label>'
        f'<input type="range" id="pags-walk" min="0" max="{last}" value="{shown}"><button type="button">Move</button>'
        f"</div>\n<p>Two steps of equal length from one 3, along the manifold of its drawings and at a right angle to "
        f"it.</p>\n</div>\n"
    )


def figure() -> Figure:
    """A curve of slanting digits, the tangent at one of them, and an arrow with its two parts."""
    fig, ax = plot.canvas(height=4.6)
    ax.set(xlim=(0, 7.6), ylim=(0, 4.85), aspect="equal")
    ax.set_axis_off()
    s = np.linspace(0, 1, 101)
    curve = np.stack([0.1 + 7.4 * s, 0.75 + 0.95 * np.sin(np.pi * (1.05 * s - 0.03))])
    ax.plot(*curve, color=plot.MUTED, linewidth=1.2)
    foot = curve[:, 34]
    tangent = curve[:, 35] - curve[:, 33]
    tangent /= np.linalg.norm(tangent)
    normal = np.array([-tangent[1], tangent[0]])
    inside, outside = foot + 2.3 * tangent, foot + 1.5 * normal
    digits(ax, curve[:, [5, 19, 52, 70, 88]] - [[0], [0.44]], torch.tensor([-3.0, -1.6, 1.6, 3.2, 4.8]))
    ax.text(3.75, 0.12, "the manifold: drawings of a 3", color=plot.MUTED, ha="center", fontsize=LETTERS)
    ax.plot(*np.stack([foot - 2.3 * tangent, foot + 3.2 * tangent], 1), color=plot.RULE, linewidth=1.2, linestyle="--")
    ax.plot(*np.stack([inside, inside + outside - foot, outside], 1), color=plot.RULE, linewidth=1)
    cold, warm = plot.BLUE, plot.RED
    for end, color in ((inside, cold), (outside, warm), (inside + outside - foot, plot.INK)):
        arrow = {"arrowstyle": "-|>,head_width=0.3,head_length=0.6", "color": color, "linewidth": 2.2}
        ax.annotate("", end, foot, arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})
    x, along, across = steps()
    at_along, at_across = inside + np.array([0.85, 0.62]), outside + np.array([-0.62, 0.45])
    for place, picture in ((foot, x), (at_along, along), (at_across, across)):
        tile(ax, picture, place, 0.96)
    tip = inside + outside - foot
    ax.text(tip[0], tip[1] + 0.12, "an input gradient", fontsize=LETTERS, ha="center")
    words = "its part along\nthe manifold:\nstill a 3"
    ax.text(at_along[0] + 0.58, at_along[1] + 0.48, words, color=cold, fontsize=LETTERS, va="top")
    words = "its part across it:\nthe same 3 under noise"
    ax.text(0.02, at_across[1] + 0.6, words, color=warm, fontsize=LETTERS)
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
    (paths.BOOK / "walk.html").write_text(walk_page(), encoding="utf-8")
