"""Curves of trained nets against the strength of an objective: their regimes, borders and peaks (chapter 04).

Axes: s strengths, r runs, n images. A place on a curve is t = log10(strength); strength 0, which has none, stands one
step left of the smallest.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from pags import regularize
from pags.book import claims, page, plot, rankings, results, scoreboard
from pags.book.results import Run
from pags.errors import UsageError
from pags.presets.off_manifold import OffManifold

# A, Figure 2, CIFAR-10: strength as released, change along, change across, accuracy, 1 - LPIPS; read off a picture.
READ_OFF = {
    "gradient norm": """
        1e-5 .48 1.12 .951 .746  1e-4 .52 1.06 .946 .782
        4.9e-4 .58 1.03 .939 .803  1.5e-3 .59 .98 .929 .820
        4.5e-3 .59 .79 .917 .840  7.9e-3 .57 .67 .907 .851
        .0137 .56 .62 .902 .859  .024 .55 .55 .898 .868
        .042 .51 .44 .887 .874  .073 .44 .37 .865 .878
        .127 .36 .29 .824 .877  .22 .275 .20 .756 .876
        .39 .20 .11 .657 .861  .67 .14 .06 .532 .830
        1.17 .09 .04 .444 .841  2.0 .05 .02 .370 .864
    """,
    "noise": """
        .001 .505 1.12 .950 .713  .0049 .50 1.11 .953 .728
        .016 .515 1.10 .95 .772  .036 .58 1.05 .941 .823
        .053 .61 .91 .926 .853  .079 .62 .55 .907 .878
        .117 .66 .20 .878 .879  .174 .65 .12 .836 .848
        .26 .615 .07 .773 .789  .39 .51 .05 .698 .719
        .57 .39 .03 .610 .639  .85 .26 .02 .504 .556
        1.27 .15 .01 .41 .454  2.8 .05 .006 .259 .392
    """,
    "PGD": """
        1e-5 .56 1.11 .953 .730  1.5e-3 .56 1.13 .953 .730
        .026 .575 1.12 .951 .773  .11 .57 1.11 .949 .814
        .22 .62 1.04 .944 .840  .45 .60 .90 .934 .863
        .92 .63 .74 .924 .879  1.9 .60 .52 .904 .877
        3.9 .565 .43 .876 .863  7.9 .51 .36 .841 .841
        16 .41 .27 .801 .815  33 .275 .17 .76 .803
    """,
}
THEIRS = {name: np.array(text.split(), dtype=float).reshape(-1, 5).T for name, text in READ_OFF.items()}
TRAINED = 0.85  # accuracy from which a standard net stands for A's of .95, as book/claims.yml has it
NO_BANDS = "Two runs make no interval, so there are no bands."
AXIS = {"gradient norm": "λ", "smoothness": "λ", "noise": "σ′", "PGD": "ε"}
TITLES = {"on": "along the manifold", "off": "across it", "accuracy": "accuracy", "likeness": "likeness"}


def words_of(P: OffManifold) -> tuple[str, str]:
    """The data set in words, and a phrase that says which nets were trained on it."""
    nets = {
        "narrow_mlp": "Small perceptrons",
        "narrow_lenet": "Small convolutional networks",
        "small_resnet18": "ResNet18s",
    }
    own = {"strokes": "drawn digits", "generated": "digits of a decoder"}
    name = own.get(P.images, scoreboard.data_word(P.images))
    return name, f"{nets.get(P.classifier.net, P.classifier.net)}, trained on {name} ({P.n:,} images)"


def judged(run: Run) -> str:
    """In a sentence, which data A's claims of the chapter are about, and on which of them the run can judge any."""
    counted: dict[str, list[bool]] = {}
    ours = set(run.config.data)
    for claim in claims.load():
        if claim.chapter == run.chapter and not claim.own:
            can = ours & {*claim.judge["data"]} and run.preset in claim.judge["presets"] and not run.overrides
            counted.setdefault(scoreboard.data_words(claim.judge["data"]), []).append(bool(can))
    about = page.listed(
        f"{len(each)} {'is' if len(each) == 1 else 'are'} about {name}" for name, each in counted.items()
    )
    able = page.listed((name for name, each in counted.items() if any(each)), "none of them")
    lead = f"Of A's {sum(map(len, counted.values()))} claims on this page {about}. This run, on "
    lead += f"{page.listed(map(scoreboard.data_word, run.config.data))}, "
    if not any(any(each) for each in counted.values()):
        return f"{lead}judges none of them: it says what holds on its own data."
    if all(all(each) for each in counted.values()):
        return f"{lead}can judge them all."
    return f"{lead}can judge those about {able} alone: of the others it says what holds on its own data."


def axis(strengths) -> np.ndarray:
    """The places (s + 1,) of strength 0 and of these, which rise."""
    t = np.log10(strengths)
    return np.array([t[0] - (t[-1] - t[0]) / (len(t) - 1), *t])


def least_accuracy(classes: int) -> float:
    """Below it a net has collapsed: twice chance, or half of the way from chance to 1 where that is less."""
    return min(2 / classes, (1 + 1 / classes) / 2)


def alive(on, off, accuracy, classes: int):
    """Whether a net with these means has not collapsed: it predicts, and its output moves."""
    return (accuracy >= least_accuracy(classes)) & (np.maximum(on, off) >= 1e-4)


def turned(metric: Mapping[str, Any], turn: Callable[[float], float], places: int = 2) -> str:
    """A recorded value with its interval, or both values of two runs, after `turn`, which may exchange the ends."""
    ends = [None, None] if metric["low"] is None else sorted(turn(metric[end]) for end in ("low", "high"))
    new = {"value": turn(metric["value"]), "low": ends[0], "high": ends[1], "runs": 2}
    return results.with_interval(new | {"each": [turn(v) for v in metric.get("each", ())]}, f".{places}f")


def check(P: OffManifold) -> None:
    """UsageError for settings with which the page cannot be made, before anything is trained."""
    if P.repetitions < 2:
        raise UsageError(
            f"repetitions = {P.repetitions}: write at least 2, peaks are chosen on some runs and judged on others"
        )
    if P.distractor_repetitions < 2:
        raise UsageError(
            f"distractor_repetitions = {P.distractor_repetitions}: write at least 2, one run has no spread"
        )
    for field in ("gradient_norm", "smoothness", "noise", "pgd"):
        strengths = [*getattr(P, field)]
        if len(strengths) < 2 or strengths[0] <= 0 or strengths != sorted({*strengths}):
            raise UsageError(f"{field} = {strengths}: write at least two strengths above zero that rise")
    for few, field, many, limit in (
        (2, "scored", P.scored, P.explain),
        (1, "explain", P.explain, P.test),
        (3, "distractor_test", P.distractor_test, np.inf),
        (1, "released", len(P.released), np.inf),
    ):
        if not few <= many <= limit:
            bound = f"from {few} to {limit:,}" if np.isfinite(limit) else f"at least {few}"
            word = "budget" if field == "released" else "images"
            raise UsageError(f"{field} = {getattr(P, field)}: write {bound} {word}")
    if P.images == "generated" and P.explain > P.manifold.draw.test:
        raise UsageError(f"explain = {P.explain}: write at most manifold.draw.test = {P.manifold.draw.test:,}")


def falls_to(t, values, level: float) -> float:
    """Where the curve, after its largest value, passes `level`, or nan."""
    top = int(np.argmax(values))
    for i in range(top + 1, len(t)):
        before, after = values[i - 1], values[i]
        if after <= level < before:
            return t[i - 1] + (t[i] - t[i - 1]) * (before - level) / (before - after)
    return np.nan


def places(t, on, off, accuracy, likeness) -> np.ndarray:
    """Places (4,) of the crossing, the end of kept accuracy, the halving of the change across, and the peak."""
    crossing = t[0] if (off < on).all() else falls_to(t, off - on, 0.0)
    kept = falls_to(t, accuracy, 0.9 * accuracy.max())
    halving = falls_to(t, off, off.max() / 2)
    return np.array([crossing, kept, halving, t[int(np.argmax(likeness))]])


def keeps(t, kept: float) -> np.ndarray:
    """Which of the places keep the accuracy, given where it ends: all if that is nowhere."""
    return np.asarray(t) <= (np.inf if np.isnan(kept) else kept + 1e-9)


def opens(there, border: float, end: float) -> bool:
    """Whether `border` comes before accuracy is lost, as `places` found `there`, or, if it never is, before `end`."""
    return bool(border < (end if np.isnan(there[1]) else there[1]))


def resampled(t, curves: dict[str, np.ndarray], seed: int, *, count: int = 500) -> np.ndarray:
    """`places` (count, 4) for other runs and other images, drawn; the curves are (s, r, n).

    The two changes are of the same images, accuracy and likeness of their own.
    """
    rng, drawn = np.random.default_rng(seed), []
    runs, images = curves["on"].shape[1:]
    for _ in range(count):
        rows, same, means = rng.integers(runs, size=runs), rng.integers(images, size=images), []
        for what, v in curves.items():
            own = rng.integers(v.shape[2], size=v.shape[2])
            means.append(v[:, rows][:, :, same if what in ("on", "off") else own].mean((1, 2)))
        drawn.append(places(t, *means))
    return np.array(drawn)


def fallen_by(start, end) -> np.ndarray:
    """Share of the mean lost from start to end (r, n), like them.

    The start's own error counts, to first order: its mean is what divides.
    """
    left = end.mean() / start.mean()
    return 1 - left - (end - left * start) / start.mean()


def words(t: float, strengths) -> str:
    """A place as a strength; between 0 and the smallest there is no number."""
    zero, least = axis(strengths)[:2] - 1e-9  # quantiles round
    if t < least:
        return f"below {10**least:.2g}" if t > zero + 2e-9 else "0"
    return page.digits(10**t)


def placed(value: float, drawn, each, strengths) -> str:
    """A place and its interval in words, or both places of two runs; "nowhere" if it is not on the axis.

    Nor is it if fewer than half of the resampled places (count,) exist, or one of the two.
    """
    there = drawn[np.isfinite(drawn)]
    if np.isnan(value) or len(there) < len(drawn) / 2 or (len(each) == 2 and np.isnan(each).any()):
        return "nowhere"
    if len(each) == 2:
        return " and ".join(words(t, strengths) for t in each) + " (n = 2 runs)"
    middle, low, high = (words(t, strengths) for t in (value, *np.quantile(there, [0.025, 0.975])))
    return f"{middle} [{low}, {high}]"


def note(run: Run, name: str, value: float, drawn, each, *, n: int, unit: str) -> dict:
    """Record a value with the interval of its resampled ones (count,); of two runs record both: they make none."""
    if len(each) == 2:
        return run.record(name, np.asarray(each)[:, None], unit=unit)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return run.record(name, value, low=min(low, value), high=max(high, value), n=n, unit=unit)


def spearman(on, off, likeness) -> float:
    """Rank correlation of relative robustness, along over across, with likeness: (nets,) each; nan for fewer than 3."""
    return rankings.correlation(np.log(on) - np.log(off), likeness)


def spearman_resampled(
    on, off, likeness, run_of, seed: int, *, runs: int, count: int = 500
) -> tuple[float, list[float], list[float]]:
    """`spearman` of nets' means over images; the same for other runs and other images, drawn; and of each run.

    on, off (nets, n) of the same images, likeness (nets, m), `run_of` (nets,) counts to `runs`.
    """
    rng, drawn, run_of = np.random.default_rng(seed), [], np.asarray(run_of)

    def value(rows, n=slice(None), m=slice(None)) -> float:
        return spearman(on[rows][:, n].mean(1), off[rows][:, n].mean(1), likeness[rows][:, m].mean(1))

    for _ in range(count):
        rows = np.concatenate([np.nonzero(run_of == r)[0] for r in rng.integers(runs, size=runs)])
        if len(set(rows)) >= 3:
            drawn.append(value(rows, *(rng.integers(v.shape[1], size=v.shape[1]) for v in (on, likeness))))
    return value(slice(None)), drawn, [value(run_of == r) for r in range(runs)]


def log_ratio(moved, rng: np.random.Generator | None = None) -> np.ndarray:
    """log10 of mean change by noise on the signal over that on the rest, (levels,), of changes (r, levels, 2, n).

    With a generator it is that of other runs and other images, drawn.
    """
    if rng:
        moved = moved[rng.integers(len(moved), size=len(moved))]
        moved = moved[..., rng.integers(moved.shape[-1], size=moved.shape[-1])]
    return np.log10((moved[:, :, 0].mean((0, 2)) + 1e-12) / (moved[:, :, 1].mean((0, 2)) + 1e-12))


def label(axes, strengths) -> None:
    """Name the strengths of a ladder under both axes, 0 in front behind a break, none too close to the one before."""
    t, names, wide = axis(strengths), ["0", *(f"{float(f'{s:.2g}'):g}" for s in strengths)], [0]
    for i in range(1, len(t)):
        wide += [i] if t[i] - t[wide[-1]] > 0.11 * np.ptp(t) else []
    for ax in axes:
        ax.set_xticks(t[wide], [names[i] for i in wide])
        at = ax.get_xaxis_transform()
        ax.text((t[0] + t[1]) / 2, 0, "//", transform=at, ha="center", va="center", color=plot.MUTED)


def grey(t, there) -> tuple[float, float] | None:
    """From where to where `draw` makes a picture grey, given its borders; None for a curve without a crossing."""
    crossing, kept, *_ = there
    end = t[-1] if np.isnan(kept) else kept
    return (crossing, end) if t[0] < crossing < end else None


def marks(rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    """For a caption, what the marks mean that `draw` makes in rows (t, there); what is not drawn is not named."""
    defined, said, lines = " ({prf:ref}`def-04-regimes`)", [], []
    if any(grey(*row) for row in rows):
        said.append(f"Grey: from where across falls below along to the end of kept accuracy{defined}.")
    if any(np.isfinite(there[2]) for _, there in rows):
        lines.append("Solid upright line: the change across has halved")
    if any(np.isfinite(there[1]) and not grey(t, there) for t, there in rows):
        lines.append(f"{'dotted' if lines else 'Dotted line'}: the end of kept accuracy{'' if said else defined}")
    return " ".join([*said, f"{'; '.join(lines)}."] if lines else said)


def draw(axes, t, curves: Mapping[str, np.ndarray], there, *, looks, bands=None, least: float | None = None) -> Axes:
    """Changes on the left axes, accuracy and likeness on the right, and borders `there`; returns likeness's axes.

    With `least` the changes stand on a logarithmic axis that begins there. Nothing is grey without a crossing.
    """
    right = axes[1].twinx()
    for what, ax in zip(curves, (axes[0], axes[0], axes[1], right), strict=True):
        ax.plot(t, curves[what], label=TITLES[what], **looks[what])
        if bands:
            low, high = bands[what]
            plot.band(ax, t, low, high, looks[what])
    _, kept, halving, _ = there
    for ax in axes:
        if part := grey(t, there):
            ax.axvspan(*part, color=plot.RULE, alpha=0.6, linewidth=0, zorder=-1)
        elif np.isfinite(kept):
            ax.axvline(kept, color=plot.MUTED, linewidth=1.2, linestyle=":")
    if np.isfinite(halving):
        axes[0].axvline(halving, color=plot.MUTED, linewidth=1.2)
    if least is None:
        axes[0].set_ylim(0)
    else:
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes[0].yaxis.set_major_formatter("{x:g}")
        axes[0].minorticks_off()
        axes[0].set_ylim(least)
        axes[0].grid(axis="y")
    axes[0].set_ylabel("L1 change")
    axes[1].set_ylim(0, 1.02)
    right.spines["right"].set_visible(True)
    for ax, what, end in ((axes[1], "accuracy", "left"), (right, "likeness", "right")):
        ax.set_ylabel(what)
        ax.spines[end].set(color=looks[what]["color"], linewidth=1.6)  # whose axis it is
        ax.tick_params(axis="y", color=looks[what]["color"])
    return right


def share(axes) -> None:
    """Give axes that share nothing one range."""
    ends = [ax.get_ylim() for ax in axes]
    for ax in axes:
        ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))


def draw_theirs(looks) -> tuple[Figure, dict[str, np.ndarray]]:
    """A's Figure 2 against effective strength, and its `places` by objective."""
    fig, axes = plot.canvas(3, 2, height=6.8, sharey="col")
    fig.get_layout_engine().set(hspace=0.08)
    found, twins = {}, []
    for row, (name, (strength, *columns)) in zip(axes, THEIRS.items(), strict=True):
        t = np.log10(strength * regularize.RELEASED[name])
        found[name] = places(t, *columns)
        twins.append(draw(row, t, dict(zip(TITLES, columns, strict=True)), found[name], looks=looks))
        twins[-1].set_ylabel("1 − LPIPS")
        ticks = np.arange(np.ceil(t[0]), np.floor(t[-1]) + 1, 1 if np.ptp(t) < 4 else 2)
        for ax in row:
            ax.set_xticks(ticks, [rf"$10^{{{v:.0f}}}$" for v in ticks])
        row[0].set(title=f"A, {name}, against {AXIS[name]}")
    share(twins)
    handles = [*axes[0][0].get_lines()[:2], axes[0][1].get_lines()[0], twins[0].get_lines()[0]]
    names = [TITLES[what] for what in ("on", "off", "accuracy")]
    fig.legend(handles=handles, labels=[*names, "1 − LPIPS"], loc="outside upper left", ncols=4)
    return fig, found


# By name of the objective, for each of its nets: along over across, likeness, whether accuracy is kept.
Points = Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def scatter(ours: Points, theirs: Points, *, ylabel: str) -> Figure:
    """Likeness against relative robustness, a dot per net, filled where it keeps the accuracy; A's beside ours.

    The first series, few standard nets, lies on top of all others and is larger.
    """
    fig, axes = plot.canvas(1, 2, height=3.8)
    looks = dict(zip(ours, plot.looks([*ours]), strict=True))
    for ax, panel in zip(axes, (ours, theirs), strict=True):
        for name, (ratio, alike, kept) in panel.items():
            front = name == next(iter(ours))
            size = 8 if front else 9 if looks[name]["marker"] == "*" else 6
            edge = {"markeredgecolor": plot.PAPER, "zorder": 4} if front else {"markeredgecolor": looks[name]["color"]}
            dots = looks[name] | {"linestyle": "", "markersize": size} | edge
            ax.plot(ratio[kept], alike[kept], label=name, **dots)
            ax.plot(ratio[~kept], alike[~kept], **dots | {"markerfacecolor": plot.PAPER, "zorder": 1.5})
        ax.set(xscale="log", xlabel="change along over change across")
        plot.reference(ax, 1, "equal changes", axis="x")
        ax.grid(axis="y")
        low, high = ax.get_xlim()
        marks = [v for v in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low < v < high]
        ax.set_xticks(marks, [f"{v:g}" for v in marks])
        ax.minorticks_off()
    axes[0].set(ylabel=ylabel, title="this page")
    axes[1].set(ylabel="1 − LPIPS", title="A on CIFAR-10, approximate")
    plot.legend(fig, handles=[line for line in axes[0].get_lines() if line.get_label() in ours])
    return fig
