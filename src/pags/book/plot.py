"""One figure style for the whole book, and how a figure reaches the page.

Axes: n examples, c channels, h and w pixels. Every drawing function returns a matplotlib `Figure`; `show` puts it on
the page as one SVG image with an alternative text. The SVG carries both palettes and follows the page between light and
dark. Methods keep their colour, line style and marker throughout the book, so figures also read without colour.
"""

import inspect
import io
import logging
import re
from collections.abc import Callable, Mapping, Sequence

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a fresh machine's font cache is no warning of ours

import matplotlib as mpl  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from matplotlib.colors import LinearSegmentedColormap  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from torch import Tensor  # noqa: E402

from pags.book import figures  # noqa: E402

WIDTH = 7.2  # inches: 691 CSS pixels, the width of the page's text column
PAPER, INK, MUTED, RULE = "#ffffff", "#1d2733", "#5f6b7a", "#cfd6de"

# Every method's colour on a light page: colour-blind safe (after Okabe and Ito), 4:1 and more against white.
STYLES = {
    "random": {"color": "#6b7684", "linestyle": (0, (1, 1.6)), "marker": "x"},
    "gradient": {"color": "#0069a8", "linestyle": "-", "marker": "o"},
    "input x gradient": {"color": "#c04a00", "linestyle": (0, (5, 2)), "marker": "^"},
    "integrated gradients": {"color": "#007d5c", "linestyle": (0, (6, 2, 1, 2)), "marker": "D"},
    "smoothgrad": {"color": "#a03a92", "linestyle": (0, (3, 1.2)), "marker": "v"},
    "robust gradient": {"color": "#1d2733", "linestyle": (0, (9, 2)), "marker": "s"},
    "tangent-random": {"color": "#7d6200", "linestyle": (0, (4, 1.5, 1, 1.5, 1, 1.5)), "marker": "P"},
}
# What each of these colours becomes on a dark page (CSS variables inside the SVG).
DARK = {
    PAPER: "#14181e",
    INK: "#e3e8ee",
    MUTED: "#a7b1bd",
    RULE: "#3a4654",
    "#6b7684": "#a3aebb",
    "#0069a8": "#5ab4f0",
    "#c04a00": "#ff9352",
    "#007d5c": "#3fce9f",
    "#a03a92": "#e58fd8",
    "#7d6200": "#dcc04a",
}
HATCHES = ["", "///", "...", "xxx", "---"]

# Blue is negative, red positive; the blue end is much the darker one, so that a grey print still tells them apart.
_BLUE_RED = ["#08245c", "#2f6db5", "#a9c8e6", "#f7f7f7", "#f9c0a8", "#ef7350", "#d42a1c"]
SIGNED = LinearSegmentedColormap.from_list("signed", _BLUE_RED)
MAGNITUDE = LinearSegmentedColormap.from_list("magnitude", ["#f7f7f7", "#f6c9a0", "#c85a54", "#5b2a63", "#150c2e"])

RC = """
font.family: DejaVu Sans
mathtext.fontset: dejavusans
font.size: 9.5
axes.titlesize: 10
axes.labelsize: 9.5
xtick.labelsize: 9
ytick.labelsize: 9
legend.fontsize: 9
legend.frameon: False
legend.handlelength: 3.2
axes.spines.top: False
axes.spines.right: False
axes.axisbelow: True
grid.linewidth: 0.7
lines.linewidth: 1.8
lines.markersize: 5
hatch.linewidth: 0.8
image.interpolation: none
"""
mpl.rcParams.update(dict(line.split(": ") for line in RC.split("\n") if line))
for key in ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "hatch.color"):
    mpl.rcParams[key] = PAPER
for key in ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor"):
    mpl.rcParams[key] = INK
for key in ("axes.edgecolor", "xtick.color", "ytick.color"):
    mpl.rcParams[key] = MUTED
mpl.rcParams["grid.color"] = RULE
mpl.rcParams["axes.prop_cycle"] = mpl.cycler(color=[s["color"] for name, s in STYLES.items() if name != "random"])


def styles(names: Sequence[str]) -> list[dict]:
    """Colour, line style and marker of each name: a method's own, or for any other name one that is still free."""
    names = [name.lower() for name in names]
    spare = [style for name, style in STYLES.items() if name not in (*names, "random")] or list(STYLES.values())
    others = iter(spare * (1 + len(names) // len(spare)))
    return [STYLES.get(name) or next(others) for name in names]


def canvas(rows: int = 1, cols: int = 1, *, height: float = 3.2, width: float = WIDTH, **subplots) -> tuple:
    """An empty figure of the book's width and its axes (an array if several), for drawings of a page's own."""
    fig = Figure(figsize=(width, height), layout="constrained")
    return fig, fig.subplots(rows, cols, **subplots)


def distributions(
    fractions: Mapping[str, Tensor], *, chance: float | None = None, xlabel: str = "fraction in tangent space"
) -> Figure:
    """One density on [0, 1] per name, in a row of its own and scaled to equal height, its mean marked and written."""
    fig, ax = canvas(height=0.55 + 0.52 * len(fractions))
    grid = np.linspace(0, 1, 201)
    for row, (name, style) in enumerate(zip(fractions, styles(list(fractions)), strict=True)):
        values = _array(fractions[name]).ravel()
        height, mean = 0.82 * _density(values, grid), values.mean()
        seen = slice(max(0, (height > 1e-3).argmax() - 1), 202 - (height > 1e-3)[::-1].argmax())
        ax.fill_between(grid[seen], -row, height[seen] - row, color=style["color"], alpha=0.18, linewidth=0)
        ax.plot(grid[seen], height[seen] - row, color=style["color"], linestyle=style["linestyle"])
        ax.plot([mean, mean], [-row, np.interp(mean, grid, height) - row], color=style["color"], linewidth=1.2)
        ax.text(1.02, 0.12 - row, f"{mean:.3f}", transform=ax.get_yaxis_transform(), va="bottom")
    ax.text(1.02, 1.0, "mean", transform=ax.get_yaxis_transform(), color=MUTED, va="bottom")
    if chance is not None:
        ax.axvline(chance, color=MUTED, linewidth=1.2, zorder=0)
        ax.text(chance, 1.0, f" chance {chance:.3f}", color=MUTED, va="bottom", ha="left" if chance < 0.7 else "right")
    ax.set(xlim=(0, 1), ylim=(0.06 - len(fractions), 1.0), xlabel=xlabel)
    ax.set_yticks([0.22 - row for row in range(len(fractions))], fractions)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return fig


def curves(
    series: Mapping[str, tuple],
    *,
    xlabel: str,
    ylabel: str,
    chance: float | None = None,
    xscale: str = "linear",
    yscale: str = "linear",
    height: float = 3.4,
) -> Figure:
    """Lines with bands: `series` maps a name to (x, y) or (x, y, low, high). Markers thin out on long lines."""
    fig, ax = canvas(height=height)
    for (name, (x, y, *band)), style in zip(series.items(), styles(list(series)), strict=True):
        x, y, *band = (_array(v) for v in (x, y, *(b for b in band if b is not None)))
        ax.plot(x, y, label=name, markevery=max(1, len(x) // 12), **style)
        if len(band) == 2:
            ax.fill_between(x, *band, color=style["color"], alpha=0.16, linewidth=0)
    if chance is not None:
        ax.axhline(chance, color=MUTED, linewidth=1.2, zorder=0)
        place = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "bottom"}
        ax.text(1, chance, f"chance {chance:.3f}", color=MUTED, **place)
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    ax.grid(axis="y")
    if len(series) > 1:
        fig.legend(loc="outside upper left", ncols=3)
    return fig


def bars(values: Mapping[str, tuple | Mapping[str, tuple]], *, xlabel: str, chance: float | None = None) -> Figure:
    """Horizontal bars: a name maps to (value, low, high) or to one such triple per series; low and high may be None."""
    groups = {name: v if isinstance(v, Mapping) else {"": v} for name, v in values.items()}
    kinds = list(dict.fromkeys(kind for group in groups.values() for kind in group))
    looks = styles(kinds) if len(kinds) > 1 else [STYLES["gradient"]]
    thick = 0.8 / len(kinds)
    fig, ax = canvas(height=0.9 + max(0.34, 0.26 * len(kinds)) * len(groups))
    for j, (kind, look, hatch) in enumerate(zip(kinds, looks, HATCHES * len(kinds), strict=False)):
        rows = {i + (j + 0.5) * thick - 0.4: group[kind] for i, group in enumerate(groups.values()) if kind in group}
        lengths = [value for value, *_ in rows.values()]
        ax.barh(list(rows), lengths, 0.9 * thick, color=look["color"], hatch=hatch, label=kind or None)
        for at, (value, low, high) in rows.items():
            if low is not None:
                ax.plot([low, high], [at, at], color=PAPER, linewidth=4, solid_capstyle="round")
                ax.plot([low, high], [at, at], color=INK, linewidth=1.6)
            end = max(value, 0) if high is None else max(high, 0)
            ax.annotate(f"{value:.3g}", (end, at), (6, 0), textcoords="offset points", va="center")
    if chance is not None:
        ax.axvline(chance, color=MUTED, linewidth=1.2)
        ax.text(chance, -0.55, f" chance {chance:.3f}", color=MUTED)
    ax.set(xlabel=xlabel, ylim=(len(groups) - 0.45, -0.5 if chance is None else -0.85))
    ax.set_yticks(range(len(groups)), groups)
    ax.margins(x=0.1)
    ax.tick_params(axis="y", length=0)
    if len(kinds) > 1:
        fig.legend(loc="outside upper left", ncols=3)
    return fig


def maps(
    rows: Mapping[str, Tensor],
    *,
    images: Tensor | None = None,
    titles: Sequence[str] | None = None,
    share: str = "column",
    symmetric: bool = True,
    unit: bool = False,
    quantile: float = 0.995,
) -> Figure:
    """Heat maps (n, h, w) or (n, c, h, w), one row per name; red is positive, blue negative, channels are summed.

    Maps that `share` a range ("column", "row" or "all") are cut at one quantile of their pooled absolute values. `unit`
    scales each map to length one first (Bordt et al. 2022, D.1: the released code cuts 0.5 %, the text says 0.005 %).
    """
    values = np.stack([_array(v).reshape(len(v), -1, *v.shape[-2:]).sum(1) for v in rows.values()])  # (r, n, h, w)
    if unit:
        values = values / np.maximum(np.linalg.norm(values, axis=(2, 3), keepdims=True), 1e-30)
    pooled = {"column": (0, 2, 3), "row": (1, 2, 3), "all": None}[share]
    scaled = values / np.maximum(np.quantile(np.abs(values), quantile, axis=pooled, keepdims=True), 1e-30)
    cmap, low, ticks = (SIGNED, -1, ["negative", "0", "positive"]) if symmetric else (MAGNITUDE, 0, ["0", "large"])
    colours = cmap((np.clip(scaled if symmetric else np.abs(scaled), low, 1) - low) / (1 - low))  # (r, n, h, w, 4)
    above = {} if images is None else {"image": _colour(images)}
    fig, (left, bottom, width) = _grid(above | dict(zip(rows, colours, strict=True)), titles, foot=0.42)
    bar = fig.add_axes((left, bottom, width, 0.1 / fig.get_figheight()))
    bar.imshow(np.linspace(0, 1, 101)[None], cmap=cmap, aspect="auto", extent=(low, 1, 0, 1))
    bar.set_xticks(np.linspace(low, 1, len(ticks)), ticks)
    bar.set_yticks([])
    bar.tick_params(length=0)
    bar.spines[:].set_visible(False)
    return fig


def images(rows: Mapping[str, Tensor], *, titles: Sequence[str] | None = None) -> Figure:
    """Pictures (n, h, w), (n, 1, h, w) or (n, 3, h, w) with values in [0, 1], one row per name; others are clipped."""
    return _grid({name: _colour(row) for name, row in rows.items()}, titles)[0]


def show(fig: Figure, *, alt: str, caption: str, label: str | None = None) -> None:
    """Put a figure on the page: `alt` says what is drawn, `caption` (MyST) what to see, `label` is for {numref}."""
    figures.display({"svg": svg(fig), "alt": alt, "caption": caption, "label": label})


def source(function: Callable, *, summary: str | None = None) -> None:
    """Show the source of a function of this package in a block that opens on demand."""
    from IPython.display import Markdown, display

    title = summary or f"Source of <code>{function.__module__}.{function.__qualname__}</code>"
    code = inspect.getsource(function)
    display(Markdown(f'<details class="pags-source"><summary>{title}</summary>\n\n```python\n{code}```\n\n</details>'))


def svg(fig: Figure) -> str:
    """The figure as SVG text, the same for the same drawing; it turns dark where the page around it asks for dark."""
    with mpl.rc_context({"svg.hashsalt": "pags", "svg.fonttype": "path", "image.composite_image": False}):
        fig.savefig(out := io.StringIO(), format="svg", metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"]))
    close(fig)
    names = {light: f"--c{i}" for i, light in enumerate(DARK)}
    text = re.sub(r"\d+\.\d{4,}", lambda m: f"{float(m[0]):.5g}", out.getvalue())  # a third of the size
    text = re.sub("#[0-9a-f]{6}", lambda m: f"var({names[m[0]]},{m[0]})" if m[0] in names else m[0], text)
    dark = ";".join(f"{names[light]}:{colour}" for light, colour in DARK.items())
    style = f"<style>@media (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda m: m[0] + style, text[text.index("<svg") :], count=1)


def close(fig: Figure) -> None:
    """Let pyplot forget a figure, if it knows it; else a notebook would draw it a second time."""
    from matplotlib import pyplot as plt

    plt.close(fig)


def _array(values) -> np.ndarray:
    return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values, dtype=float)


def _density(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Gaussian kernel density on [0, 1], mirrored at both ends, scaled to a largest value of 1."""
    width = max(values.std() * len(values) ** -0.2, 0.006)
    mirrored = np.concatenate([values, -values, 2 - values])
    counts, edges = np.histogram(mirrored, bins=3200, range=(-1, 2))
    kernel = np.exp(-0.5 * ((grid[:, None] - (edges[1:] + edges[:-1]) / 2) / width) ** 2)
    density = kernel @ counts
    return density / density.max()


def _colour(batch: Tensor) -> np.ndarray:
    """Pictures as RGB: (n, h, w, 3)."""
    array = np.clip(_array(batch), 0, 1)
    array = array if array.ndim == 4 else array[:, None]
    return np.broadcast_to(np.moveaxis(array, 1, -1), (*array.shape[:1], *array.shape[2:], 3))


def _pooled(picture: np.ndarray, most: int = 128) -> np.ndarray:
    """The picture (h, w, channels), averaged over squares until it has no more pixels than are seen."""
    step = -(-max(picture.shape[:2]) // most)
    h, w = picture.shape[0] // step, picture.shape[1] // step
    return picture[: h * step, : w * step].reshape(h, step, w, step, -1).mean((1, 3))


def _grid(rows: Mapping[str, np.ndarray], titles: Sequence[str] | None, foot: float = 0.0) -> tuple[Figure, tuple]:
    """A grid of small pictures with row names; also (left, bottom, width) of the strip at its foot, in figure units."""
    count, (h, w) = max(map(len, rows.values())), next(iter(rows.values())).shape[1:3]
    label, head = 0.15 + 0.088 * max(map(len, rows)), 0.26 if titles else 0.02  # inches, as everything here
    side = min(1.2, (WIDTH - label) / count)
    tall = side * h / w
    width, height = label + side * count, head + tall * len(rows) + foot
    fig = Figure(figsize=(width, height))
    for r, (name, pictures) in enumerate(rows.items()):
        base = height - head - tall * (r + 1)
        fig.text((label - 0.1) / width, (base + tall / 2) / height, name, ha="right", va="center")
        for i, picture in enumerate(pictures):
            left = label + i * side
            ax = fig.add_axes((left / width, base / height, 0.965 * side / width, 0.965 * tall / height))
            ax.imshow(_pooled(picture), interpolation="none")
            ax.set_axis_off()
    for i, title in enumerate(titles or ()):
        fig.text((label + (i + 0.5) * side) / width, 1 - 0.1 / height, title, ha="center", va="center")
    return fig, (label / width, 0.26 / height, min(2.2, side * count) / width)
