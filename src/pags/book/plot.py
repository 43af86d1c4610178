"""One figure style for the whole book, and how a drawing becomes a figure of its page.

Axes: n examples, c channels, h and w pixels. Every drawing function returns a matplotlib `Figure`; `show` puts it on
the page as one SVG image with an alternative text. The SVG carries both palettes and follows the page between light and
dark. Methods keep their colour, line style and marker throughout the book, so figures also read without colour.
"""

import base64
import functools
import inspect
import io
import itertools
import logging
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a fresh machine's font cache is no warning of ours

import matplotlib as mpl  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from cycler import cycler  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.colors import LinearSegmentedColormap  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.legend import Legend  # noqa: E402
from matplotlib.patheffects import withStroke  # noqa: E402
from matplotlib.text import Annotation, Text  # noqa: E402
from PIL import Image  # noqa: E402
from torch import Tensor  # noqa: E402

from pags.book import figures, page  # noqa: E402

WIDTH = 7.2  # inches: 691 CSS pixels, the width of the page's text column
PAPER, INK, MUTED, RULE = "#ffffff", "#1d2733", "#5f6b7a", "#cfd6de"

# The colours of series on a light page: at least 3:1 against white, and as far apart as ten colours can be for readers
# with any of the three kinds of colour blindness (after Okabe and Ito, but also light against dark).
GREY, BLUE, RED, GREEN, PURPLE = "#6b7684", "#0069a8", "#c04a00", "#00926a", "#82287f"
OLIVE, INDIGO, ROSE, GOLD = "#5c4a00", "#5a45c8", "#e0559b", "#b08c00"
# What each colour becomes on a dark page (CSS variables inside the SVG).
DARK = {
    PAPER: "#14181e",
    INK: "#e3e8ee",
    MUTED: "#a7b1bd",
    RULE: "#3a4654",
    GREY: "#98a3b0",
    BLUE: "#5ab4f0",
    RED: "#ff9468",
    GREEN: "#52e8a6",
    PURPLE: "#c06abf",
    OLIVE: "#e8d048",
    INDIGO: "#7a6cf0",
    ROSE: "#e2407c",
    GOLD: "#94811a",
}

DASHED, SHORT, LONG, DOTTED = (0, (5, 2)), (0, (3, 1.2)), (0, (9, 2)), (0, (1, 1.6))
DASH_DOT, DASH_DOT_DOT, LONG_SHORT = (0, (6, 2, 1, 2)), (0, (4, 1.5, 1, 1.5, 1, 1.5)), (0, (8, 1.5, 3, 1.5))
Look = dict[str, Any]  # the keywords color, linestyle and marker of matplotlib
STYLES: dict[str, Look] = {  # a method's own look
    "random": {"color": GREY, "linestyle": DOTTED, "marker": "x"},
    "gradient": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "Input x Gradient": {"color": RED, "linestyle": DASHED, "marker": "^"},
    "Integrated Gradients": {"color": GREEN, "linestyle": DASH_DOT, "marker": "D"},
    "SmoothGrad": {"color": PURPLE, "linestyle": SHORT, "marker": "v"},
    "robust gradient": {"color": INK, "linestyle": LONG, "marker": "s"},
    "tangent-random": {"color": OLIVE, "linestyle": DASH_DOT_DOT, "marker": "P"},
}
FREE: list[Look] = [  # looks of all other series
    {"color": INDIGO, "linestyle": "-", "marker": "s"},
    {"color": ROSE, "linestyle": DASHED, "marker": "X"},
    {"color": GOLD, "linestyle": DASH_DOT, "marker": "*"},
    {"color": BLUE, "linestyle": SHORT, "marker": "d"},
    {"color": RED, "linestyle": LONG, "marker": "<"},
    {"color": GREEN, "linestyle": DASH_DOT_DOT, "marker": ">"},
    {"color": PURPLE, "linestyle": LONG_SHORT, "marker": "p"},
    {"color": INK, "linestyle": DOTTED, "marker": "h"},
    {"color": OLIVE, "linestyle": "-", "marker": "v"},
    {"color": INDIGO, "linestyle": DASHED, "marker": "D"},
    {"color": ROSE, "linestyle": DASH_DOT, "marker": "o"},
    {"color": GOLD, "linestyle": SHORT, "marker": "^"},
]
HATCHES = ["", "///", "..", "xxx", "---", "\\\\\\", "|||", "+++", "o", "*", "/", "x"]

# Blue is negative, red positive; the blue end is much the darker one, so that a grey print still tells them apart.
BLUE_RED = ["#08245c", "#2f6db5", "#a9c8e6", "#f7f7f7", "#f9c0a8", "#ef7350", "#d42a1c"]
SIGNED = LinearSegmentedColormap.from_list("signed", BLUE_RED)
SHADES = 32  # of a map, between zero and either end: more are not seen, and cost a page its weight
MAGNITUDE = LinearSegmentedColormap.from_list("magnitude", ["#f7f7f7", "#f6c9a0", "#c85a54", "#5b2a63", "#150c2e"])

PNG = re.compile(r"data:image/png;base64,([^\"]+)")

RC = {
    "mathtext.fontset": "dejavusans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "hatch.linewidth": 0.8,
    "image.interpolation": "none",
    "patch.force_edgecolor": False,
    "axes.prop_cycle": cycler(color=[look["color"] for look in FREE[:9]]),
    **dict.fromkeys(["figure.facecolor", "axes.facecolor", "savefig.facecolor", "patch.edgecolor"], PAPER),
    **dict.fromkeys(["text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor"], INK),
    **dict.fromkeys(["axes.edgecolor", "xtick.color", "ytick.color"], MUTED),
    "hatch.color": PAPER,
    "grid.color": RULE,
}


@functools.cache
def theme() -> None:
    """Give matplotlib the book's style, whatever a reader's matplotlibrc says; the first drawing does it."""
    import seaborn as sns  # seconds, so not before something is drawn

    mpl.rcdefaults()
    sns.set_theme(context="paper", style="ticks", font="DejaVu Sans", rc=RC)


def looks(names: Sequence[str]) -> list[Look]:
    """Colour, line style and marker of each name: a method's own, else one that has least in common with the others.

    "gradient, of one net" looks as the gradient does where it is the only name of that method. Raises ValueError for
    two names that would look alike: twice the same method, or more others than `FREE` holds.
    """
    own = {name.lower(): look for name, look in STYLES.items()}
    methods = [name.lower().split(", ")[0] for name in names]
    own_looks = [
        own.get(method if methods.count(method) == 1 else name.lower())
        for name, method in zip(names, methods, strict=True)
    ]
    taken = [look for look in own_looks if look]
    found: list[Look] = []
    for look in own_looks:
        found.append(look or min(FREE, key=lambda free: _shared(free, taken)))
        taken.append(found[-1])
    for (name, look), (other, same) in itertools.combinations(zip(names, found, strict=True), 2):
        if look == same:
            raise ValueError(f"{name!r} and {other!r} would look alike: rename one, or draw two figures")
    return [dict(look) for look in found]


def _shared(look: Look, taken: list[Look]) -> float:
    """How many of a look's colour, line style and marker others have, too; infinite if one of them has all."""
    shared = sum(any(other[key] == value for other in taken) for key, value in look.items())
    return math.inf if look in taken else shared


def canvas(rows: int = 1, cols: int = 1, *, height: float = 3.2, width: float = WIDTH, **subplots) -> tuple:
    """An empty figure of the book's width and its axes (an array if several), for drawings of a page's own."""
    theme()
    fig = Figure(figsize=(width, height), layout="constrained")
    return fig, fig.subplots(rows, cols, **subplots)


def reference(ax: Axes, value: float, text: str | None = None, *, axis: str = "y") -> None:
    """A line at a value of this axis ("y": across, "x": upright), as for chance or the ideal, named outside the axes.

    The name stands at the right end or on top; `svg` keeps the names of several lines apart and under the title.
    """
    across = axis == "y"
    (ax.axhline if across else ax.axvline)(value, color=MUTED, linewidth=1.2, zorder=0)
    if text:
        place: dict[str, Any] = {"textcoords": "offset points", "color": MUTED, "annotation_clip": False}
        if across:
            place |= {"xy": (1, value), "xycoords": ("axes fraction", "data"), "xytext": (5, 0), "va": "center"}
        else:
            place |= {"xy": (value, 1), "xycoords": ("data", "axes fraction"), "xytext": (0, 4), "ha": "center"}
        ax.annotate(textwrap.fill(text, 18 if across else 40), label=f"_reference {axis}", **place)


def band(ax: Axes, x, low, high, look: Look) -> None:
    """An interval around a curve, in the colour of its look."""
    ax.fill_between(_array(x), _array(low), _array(high), color=look["color"], alpha=0.16, linewidth=0)


def legend(fig: Figure, **handles) -> Legend:
    """The legend above all axes, in as many columns as fit into the figure, which grows by all rows but the first."""
    columns = 8
    made = fig.legend(loc="outside upper left", ncols=columns, **handles)
    while columns > 1 and made.get_window_extent().width > fig.bbox.width:
        made.remove()
        columns -= 1
        made = fig.legend(loc="outside upper left", ncols=columns, **handles)
    fig.set_figheight(fig.get_figheight() + max(0, made.get_window_extent().height / fig.dpi - 0.3))
    return made


def distributions(
    fractions: Mapping[str, Tensor], *, chance: float | None = None, xlabel: str = "fraction in tangent space"
) -> Figure:
    """One density on [0, 1] per name, in a row of its own and scaled to equal height, its mean marked and written."""
    fig, axes = canvas(len(fractions), height=0.6 + 0.52 * len(fractions), sharex=True, squeeze=False)
    fig.get_layout_engine().set(h_pad=0, hspace=0)
    for ax, (name, values), look in zip(axes[:, 0], fractions.items(), looks(list(fractions)), strict=True):
        sample = _array(values).ravel()
        at, height = _density(ax, sample, look)
        band(ax, at, 0, height, look)
        mean = sample.mean()
        ax.vlines(mean, 0, np.interp(mean, at, height), color=look["color"], linewidth=1.2)
        ax.text(1.02, 0.1 * height.max(), f"mean {mean:.3f}", transform=ax.get_yaxis_transform(), va="bottom")
        ax.set(xlim=(0, 1), ylim=(0, 1.2 * height.max()), xlabel="", ylabel="")
        ax.set_yticks([0.25 * height.max()], [name])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        if chance is not None:
            reference(ax, chance, f"chance {chance:.3f}" if ax is axes[0, 0] else None, axis="x")
    axes[-1, 0].set_xlabel(xlabel)
    axes[-1, 0].spines["bottom"].set_visible(True)
    axes[-1, 0].tick_params(axis="x", length=3.5)
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
    shown = {"series": series, "xlabel": xlabel, "ylabel": ylabel, "chance": chance, "xscale": xscale, "yscale": yscale}
    return panels(shown, height=height)


def panels(*drawn: Mapping[str, Any], height: float = 3.4) -> Figure:
    """What `curves` draws, side by side under one legend: a mapping of its arguments, but the height, for each panel.

    A name looks the same in all of them; a panel may have a `title`.
    """
    fig, axes = canvas(1, len(drawn), height=height, squeeze=False)
    names = list(dict.fromkeys(name for panel in drawn for name in panel["series"]))
    own: dict[str, Any] = dict(zip(names, looks(names), strict=True))
    handles: dict[str, Any] = {}
    for ax, panel in zip(axes[0], drawn, strict=True):
        rest = dict(panel)
        chance = rest.pop("chance", None)
        for name, (x, y, *ends) in rest.pop("series").items():
            (line,) = ax.plot(_array(x), _array(y), label=name, markevery=max(1, len(x) // 12), **own[name])
            handles.setdefault(name, line)
            if len(ends) == 2 and ends[0] is not None:
                band(ax, x, ends[0], ends[1], own[name])
        if chance is not None:
            reference(ax, chance, f"chance {chance:.3f}")
        ax.set(**rest)
        ax.grid(axis="y")
    if len(names) > 1:
        legend(fig, handles=list(handles.values()))
    return fig


def bars(values: Mapping[str, tuple | Mapping[str, tuple]], *, xlabel: str, chance: float | None = None) -> Figure:
    """Horizontal bars: a name maps to (value, low, high) or to one such triple per series; low and high may be None."""
    groups = {name: _finite(v if isinstance(v, Mapping) else {"": v}) for name, v in values.items()}
    kinds = list(dict.fromkeys(kind for group in groups.values() for kind in group))
    fig, ax = canvas(height=0.9 + max(0.34, 0.26 * len(kinds)) * len(groups))
    _barplot(ax, groups, kinds)
    halo = [withStroke(linewidth=3, foreground=PAPER)]  # the line of chance may cross them
    places = decimals(triple[0] for group in groups.values() for triple in group.values())
    for made, kind, hatch in zip(ax.containers, kinds, HATCHES, strict=False):
        made.set_label(kind)
        for bar, ends in zip(made, (group[kind] for group in groups.values() if kind in group), strict=True):
            bar.set_hatch(hatch)
            end = max(0, ends[-1]), bar.get_y() + bar.get_height() / 2
            ax.annotate(
                label_of(ends[0], places),
                end,
                (6, 0),
                textcoords="offset points",
                va="center",
                path_effects=halo,
            )
    if chance is not None:
        reference(ax, chance, f"chance {chance:.3f}", axis="x")
    ax.set(xlabel=xlabel, ylabel="")
    ax.margins(x=0.1)
    ax.tick_params(axis="y", length=0)
    if len(kinds) > 1:
        legend(fig)
    return fig


def label_of(value: float, places: int) -> str:
    """The value with so many decimals; with three digits where nothing of it were left. No zero has a sign."""
    form = f".{places}f"
    return page.signed_plainly(value, ".3g" if value and not float(f"{value:{form}}") else form)


def decimals(values: Iterable[float]) -> int:
    """How many decimals show the largest of these values with two or three digits, or four if it rounds up to ten."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    order = math.floor(math.log10(largest)) if largest else 0
    return max(1 - order if order < 0 else 2 - order, 0)


def maps(
    rows: Mapping[str, Tensor],
    *,
    images: Tensor | None = None,
    titles: Sequence[str] | None = None,
    share: str = "column",
    symmetric: bool = True,
    unit: bool = False,
    quantile: float = 0.995,
    below: Mapping[str, Sequence[str]] | None = None,
) -> Figure:
    """Heat maps (n, h, w) or (n, c, h, w), one row per name; red is positive, blue negative, channels are summed.

    Maps that `share` a range ("column", "row" or "all") are cut at one quantile of their pooled absolute values. `unit`
    scales each map to length one first (Bordt et al. 2022, D.1: the released code cuts 0.5 %, the text says 0.005 %).
    `below` holds words to stand under the maps of a row.
    """
    values = np.stack([_array(v).reshape(len(v), -1, *v.shape[-2:]).sum(1) for v in rows.values()])  # (r, n, h, w)
    if unit:
        values = values / np.maximum(np.linalg.norm(values, axis=(2, 3), keepdims=True), 1e-30)
    pooled = {"column": (0, 2, 3), "row": (1, 2, 3), "all": None}[share]
    scaled = values / np.maximum(np.quantile(np.abs(values), quantile, axis=pooled, keepdims=True), 1e-30)
    cmap, low, ticks = (SIGNED, -1, ["negative", "0", "positive"]) if symmetric else (MAGNITUDE, 0, ["0", "large"])
    seen = np.round(np.clip(scaled if symmetric else np.abs(scaled), low, 1) * SHADES) / SHADES
    colours = cmap((seen - low) / (1 - low))  # (r, n, h, w, 4)
    above = {} if images is None else {"image": _colour(images)}
    fig, (left, bottom, width) = _grid(above | dict(zip(rows, colours, strict=True)), titles, foot=0.42, below=below)
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
    _part(fig)
    with mpl.rc_context({"svg.hashsalt": "pags", "svg.fonttype": "path", "image.composite_image": False}):
        fig.savefig(out := io.StringIO(), format="svg", metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"]))
    close(fig)
    text = out.getvalue()
    text = PNG.sub(_with_palette, text)
    text = re.sub(r"\d+\.\d{4,}", lambda m: f"{float(m[0]):.5g}", text[text.index("<svg") :])  # a third of the size
    for i, light in enumerate(DARK):
        text = text.replace(light, f"var(--c{i},{light})")
    dark = ";".join(f"--c{i}:{colour}" for i, colour in enumerate(DARK.values()))
    return text.replace(">", f"><style>@media (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>", 1)


def _with_palette(match: re.Match[str]) -> str:
    """The PNG of a match of `PNG` with a palette, the same in half the bytes; as it was if its colours are too many."""
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(match[1]))).convert("RGBA"))
    colours, at = np.unique(picture.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) > 256 or (colours[:, 3] < 255).any():
        return match[0]
    small = Image.fromarray(at.reshape(picture.shape[:2]).astype(np.uint8))
    small.putpalette(colours[:, :3].tobytes())
    small.save(out := io.BytesIO(), format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def _part(fig: Figure) -> None:
    """Move the names of reference lines apart, to the right or upwards, and a title above those on top."""
    named = {
        (ax, i): [
            text for text in ax.texts if isinstance(text, Annotation) and text.get_label() == f"_reference {axis}"
        ]
        for ax in fig.axes
        for i, axis in enumerate("xy")
    }
    if any(named.values()):
        fig.draw_without_rendering()
    for (ax, i), names in named.items():
        names.sort(key=lambda name: _extent(name)[:, i].mean())
        for before, name in itertools.pairwise(names):
            overlap = _extent(before)[1, i] + (9, 2)[i] - _extent(name)[0, i]
            name.xyann = name.xyann + max(0, overlap) * np.eye(2)[i]
        for loc in ("left", "center", "right") if names and i == 0 else ():
            height = max(np.ptp(_extent(name)[:, 1]) for name in names)
            ax.set_title(ax.get_title(loc), loc=loc, pad=mpl.rcParams["axes.titlepad"] + height)


def _extent(text: Text) -> np.ndarray:
    """Lower left and upper right corner of a text, ((x, y), (x, y)) in points."""
    figure = text.get_figure(root=True)
    assert isinstance(figure, Figure)
    return text.get_window_extent().get_points() * 72 / figure.dpi


def close(fig: Figure) -> None:
    """Let pyplot forget a figure, if it knows it; else a notebook would draw it a second time."""
    from matplotlib import pyplot as plt

    plt.close(fig)


def _array(values) -> np.ndarray:
    return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values, dtype=float)


def _finite(group: Mapping[str, tuple]) -> dict[str, list[float]]:
    """Each series' value, and low and high where there are any; without the series that have no value."""
    return {
        kind: [end for end in ends if end is not None and np.isfinite(end)]
        for kind, ends in group.items()
        if np.isfinite(ends[0])
    }


def _barplot(ax: Axes, groups: Mapping[str, Mapping[str, list[float]]], kinds: list[str]) -> None:
    """Seaborn's bars, which it makes of observations: here the first is the bar's length, the others its interval."""
    import seaborn as sns

    rows = [(name, kind, end) for name, group in groups.items() for kind, ends in group.items() for end in ends]
    sns.barplot(
        dict(zip(("name", "kind", "value"), zip(*rows, strict=True), strict=True)),
        x="value",
        y="name",
        hue="kind",
        order=list(groups),
        hue_order=kinds,
        palette=[look["color"] for look in looks(kinds)],
        estimator=lambda ends: ends.iloc[0],
        errorbar=lambda ends: (ends.iloc[1], ends.iloc[2]),
        err_kws={"color": INK, "linewidth": 1.6, "path_effects": [withStroke(linewidth=4, foreground=PAPER)]},
        saturation=1,
        gap=0.1,
        legend=False,
        ax=ax,
    )


def _density(ax: Axes, values: np.ndarray, look: dict) -> tuple[np.ndarray, np.ndarray]:
    """Draw a Gaussian kernel density on [0, 1], mirrored at both ends so that it loses nothing there; its (x, y)."""
    import seaborn as sns

    mirrored = np.concatenate([values, -values, 2 - values])
    width = max(values.std() * len(values) ** -0.2, 0.006) / mirrored.std(ddof=1)
    style = {"color": look["color"], "linestyle": look["linestyle"]}
    sns.kdeplot(x=mirrored, bw_method=width, clip=(0, 1), gridsize=201, ax=ax, **style)
    line = ax.lines[-1]
    x, y = (np.asarray(v) for v in line.get_data())
    seen = y > 1e-3 * y.max()
    line.set_data(x[seen], y[seen])
    return x[seen], y[seen]


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


def _grid(
    rows: Mapping[str, np.ndarray],
    titles: Sequence[str] | None,
    foot: float = 0.0,
    below: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Figure, tuple]:
    """A grid of small pictures with row names; also (left, bottom, width) of the strip at its foot, in figure units.

    Under the pictures of a row that `below` names stand its words.
    """
    below = below or {}
    count, (h, w) = max(map(len, rows.values())), next(iter(rows.values())).shape[1:3]
    theme()
    label, head = 0.15 + 0.088 * max(map(len, rows)), 0.26 if titles else 0.02  # inches, as everything here
    side = min(1.2, (WIDTH - label) / count)
    tall = side * h / w
    line = 0.17  # of words
    width, height = label + side * count, head + tall * len(rows) + line * len(below) + foot
    fig = Figure(figsize=(width, height))
    base = height - head
    for name, pictures in rows.items():
        base -= tall
        fig.text((label - 0.1) / width, (base + tall / 2) / height, name, ha="right", va="center")
        for i, picture in enumerate(pictures):
            left = label + i * side
            ax = fig.add_axes((left / width, base / height, 0.965 * side / width, 0.965 * tall / height))
            ax.imshow(_pooled(picture), interpolation="none")
            ax.set_axis_off()
        for i, word in enumerate(below.get(name, ())):
            at = (label + (i + 0.48) * side) / width
            fig.text(at, (base - 0.5 * line) / height, word, ha="center", va="center")
        base -= line * (name in below)
    for i, title in enumerate(titles or ()):
        fig.text((label + (i + 0.5) * side) / width, 1 - 0.1 / height, title, ha="center", va="center")
    return fig, (label / width, 0.26 / height, min(2.2, side * count) / width)
