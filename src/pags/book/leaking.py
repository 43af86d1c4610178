"""Which nets chapter 05 trains on blocks, two drawings of its own, and how it pools nets of one kind."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from pags import blocks, classify, data
from pags.book import plot
from pags.book.page import listed
from pags.presets.blockmnist import BlockMnist
from pags.train import Schedule

NETS = {"mlp": "MLP", "lenet": "LeNet", "resnet": "ResNet18"}
CONVS = ("resnet", "lenet")
TOP = "p = 1"  # BlockMNIST-Top
CONTROL = "control"  # MLPs trained as the robust ones are, without the adversary
Key = tuple[str, str, float, int]  # variant of the data, kind of net, the adversary's budget or 0, repetition


def recipe(schedule: Schedule) -> str:
    """How the weights are moved, in words: "Adam, rate 0.001, batches of 100, no weight decay"."""
    how = "Adam" if schedule.adam else f"SGD with momentum {schedule.momentum:g}"
    decay = f"weight decay {schedule.weight_decay:g}" if schedule.weight_decay else "no weight decay"
    return f"{how}, rate {schedule.lr:g}, batches of {schedule.batch}, {decay}"


def steps(P: BlockMnist) -> list[float]:
    """The probabilities that the signal is on top."""
    return sorted({0.5, *P.p_top, 1.0})


def configs(P: BlockMnist) -> dict[str, tuple[classify.Config, classify.Config]]:
    """The standard and the robust training of each kind of net."""
    longer = replace(P.mlp.schedule, epochs=P.longer * P.mlp.schedule.epochs, stop=None)
    return {
        "mlp": (P.mlp, P.mlp_robust),
        "lenet": (P.lenet, P.lenet_robust),
        "resnet": (P.resnet, P.resnet_robust),
        CONTROL: (replace(P.mlp, schedule=P.mlp_robust.schedule), P.mlp_robust),
        "longer": (replace(P.mlp, schedule=longer), P.mlp_robust),
        "decayed": (replace(P.mlp, schedule=replace(P.mlp.schedule, weight_decay=P.decay)), P.mlp_robust),
        "harder": (P.harder, P.harder_robust),  # more classes or blocks
    }


def config(P: BlockMnist, net: str, eps: float) -> classify.Config:
    """The training of a net: standard, or against the budget eps."""
    ordinary, robust = configs(P)[net]
    return replace(robust, budgets=(eps,)) if eps else ordinary


def budgets(P: BlockMnist) -> list[float]:
    """The adversary's budgets of the sweep over MLPs."""
    return sorted({0.0, *P.eps, P.mlp_robust.budgets[0]})


def queue(P: BlockMnist) -> list[Key]:
    """The nets of the page, the slowest first."""
    R, conv = range(P.repetitions), range(P.conv_repetitions)
    own = {net: robust.budgets[0] for net, (_, robust) in configs(P).items()}
    plain = [f"p = {p:g}" for p in steps(P) if p != 0.5] + ["blank null block", "other null blocks"]
    found = [
        *[("BlockMNIST", net, eps, r) for eps in (1, 0) for net in CONVS for r in conv],
        *[("BlockMNIST", "mlp", eps, r) for eps in reversed(budgets(P)) for r in R],
        *[
            (name, "harder", eps, r)
            for name in ("ten classes", *[f"{m} blocks" for m in P.blocks])
            for eps in (P.many_eps, 0.0)
            for r in R
        ],
        *[("BlockMNIST", CONTROL, 0.0, r) for r in R],
        *[("drawn", net, eps, r) for net, eps in ((CONTROL, 0.0), ("mlp", own["mlp"])) for r in R],
        *[(TOP, net, 0.0, r) for net in CONVS for r in conv],
        *[("BlockMNIST", net, 0.0, r) for net in ("longer", "decayed") for r in R],
        *[(name, "mlp", 0.0, r) for name in plain for r in R],
    ]
    return [(name, net, float(own[net] if net in CONVS and eps else eps), r) for name, net, eps, r in found]


def beside_eight(source: data.Dataset, n: int, generator: torch.Generator) -> tuple[blocks.Blocks, Tensor, Tensor]:
    """A drawn 0 or 1 beside a drawn 8, n times: the images, and latents (n, k) and digits (n,) of the null blocks."""
    assert source.latents is not None  # the strokes have them
    signal, eight = (source.y < 2).nonzero().squeeze(1)[:n], (source.y == 8).nonzero().squeeze(1)
    null = eight[torch.randint(len(eight), (n,), generator=generator)]
    place = blocks.places(n, generator=generator)
    x = blocks.stack(source.x[signal], source.x[null][:, None], place)
    images = data.dataset("blocks of strokes", source.split, x, source.y[signal], 2, source.latents[signal])
    return blocks.Blocks(images, place, 2), source.latents[null], source.y[null]


def known(values) -> np.ndarray:
    """The values of the nets that have one, (nets, 1): the others are nan."""
    values = np.asarray(values, dtype=float).reshape(-1, 1)
    return values[np.isfinite(values[:, 0])]


def sides(ends: Mapping[str, tuple[float, float]], bound: float) -> tuple[list[str], list[str], list[str]]:
    """The names whose interval lies below the bound, those above it, and those that the interval leaves open."""
    below = [name for name, (_, high) in ends.items() if high < bound]
    above = [name for name, (low, _) in ends.items() if low > bound]
    return below, above, [name for name in ends if name not in below + above]


def phrases(found: Sequence[Sequence[str]], *words: str) -> str:
    """The names behind their words, "below 5 % for MLP and LeNet, above 5 % for ResNet18"; none without names."""
    return ", ".join(f"{word} {listed(names)}" for word, names in zip(words, found, strict=True) if names)


def blind(fig: Figure, level: float, *, axis: str = "x") -> Figure:
    """The figure with a line at the blind level in all its axes, named once."""
    for i, ax in enumerate(fig.axes):
        plot.reference(ax, level, None if i else f"blind level {level:g}", axis=axis)
    return fig


def curve(at: Sequence[float], found: Sequence[Mapping]) -> tuple:
    """(x, y, low, high) of metrics; none where there is no interval."""
    return at, *([m[part] for m in found] for part in ("value", "low", "high"))


def specimens(test: blocks.Blocks) -> Figure:
    """The null block with its sizes, and three images of each class with the signal block framed."""
    fig, axes = plot.canvas(1, 7, height=2.35, width_ratios=[2.3, *[1] * 6])
    axes[0].imshow(1 - blocks.patch()[0], cmap="gray", vmin=0, vmax=1)
    blue = "#005a94"  # the block is white in both themes
    arrow = {"arrowstyle": "<->", "color": blue, "shrinkA": 0, "shrinkB": 0}
    # Not quite white: white is `plot.PAPER`, in place of which a dark page puts the colour of its own ground.
    ground = {"facecolor": "#fefefe", "edgecolor": "none", "pad": 1.0}
    for left, right, y in ((4.5, 22.5, 1.8), (13.5, 22.5, 25.2)):
        axes[0].annotate("", (left, y), (right, y), arrowprops=arrow)
        size = {"color": blue, "ha": "center", "va": "center", "fontsize": 9, "bbox": ground}
        axes[0].text((left + right) / 2, y, f"{right - left:g}", **size)
    axes[0].set_title("null block")
    picked = [int(i) for c in (0, 1) for i in (test.images.y == c).nonzero()[:3]]
    for i, ax in zip(picked, axes[1:], strict=True):
        ax.imshow(test.images.x[i, 0], cmap="gray", vmin=0, vmax=1)
        corner = (0.5, 28 * int(test.place[i]) + 0.5)
        ax.add_patch(Rectangle(corner, 26, 26, fill=False, edgecolor="#ff9352", linewidth=1.8))
        ax.set_title(f"class {int(test.images.y[i])}")
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return fig


def stacked(shares: Mapping[str, Sequence[float]], parts: Sequence[str], *, xlabel: str) -> Figure:
    """A bar of length one for each name, made of its shares of the four parts."""
    looks = [("#0069a8", ""), ("#007d5c", "..."), ("#c04a00", "///"), ("#6b7684", "xxx")]
    fig, ax = plot.canvas(height=2.3)
    for row, own in enumerate(shares.values()):
        left = 0.0
        for share, (colour, hatch) in zip(own, looks, strict=True):
            ax.barh(row, share, 0.6, left=left, color=colour, hatch=hatch, edgecolor=plot.PAPER, linewidth=0.8)
            left += share
    ax.set_yticks(range(len(shares)), shares)
    ax.set(xlim=(0, 1), ylim=(len(shares) - 0.5, -0.5), xlabel=xlabel)
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=plot.PAPER, label=part)
        for part, (colour, hatch) in zip(parts, looks, strict=True)
    ]
    fig.legend(handles=handles, loc="outside upper left", ncols=2)
    return fig
