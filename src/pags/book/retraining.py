"""What chapter 06 trains and ranks, as tables, and how it states means over runs and images.

The tables are by data ("digits", "images", ...). Axes: r runs, n test images.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.stats

from pags import attribution, classify, roar, stats
from pags.book import plot
from pags.errors import UsageError
from pags.presets.diffroar import Roar
from pags.train import Schedule

CONV = ("standard", "robust")  # convolutional nets of the length that the preset says
CONV_LEVEL = 0.1  # share kept at which convolutional nets are compared, and claims about them judged
Key = tuple[str, str, float, bool, str, int]  # data, order, share kept, top or bottom, what is special, run


@dataclass(frozen=True)
class Plan:
    """The nets that are explained, the orders (which net, and how), how often all is repeated, and the retrainings."""

    nets: dict[str, dict[str, classify.Config]]
    schemes: dict[str, dict[str, tuple[str, roar.Scheme]]]
    repeat: dict[str, int]
    queue: dict[Key, roar.Retrain]  # the slowest first
    l2: list[str]  # the robust nets by norm, of rising budgets
    linf: list[str]
    robust_blocks: list[str]

    def repeated(self, names: dict[str, dict]) -> list[tuple[str, str, int]]:
        """(data, name, run) for all names of one of the tables and all runs."""
        return [(where, name, r) for where, group in names.items() for name in group for r in range(self.repeat[where])]


def kept_of(removed: Iterable[float]) -> list[float]:
    """The shares that are left."""
    return [round(1 - share, 6) for share in removed]


def more(P: Roar, there: Mapping[str, bool]) -> list[str]:
    """D's other data sets, of each kind the first that is `there`; none that is on the page anyway."""
    found = [[name for name in names if there.get(name)][:1] for names in (P.perceptron_data, P.conv_data)]
    return [name for names in found for name in names if name not in (P.images, P.colour)]


def plan(P: Roar, *, colours: int, others: Sequence[str] = ()) -> Plan:
    """The tables of a preset, with D's other data sets by name; with several colours, whole pixels are ranked, too.

    UsageError where a kind of robust net has no budget.
    """
    for field in ("l2", "linf", "block_eps"):
        if not getattr(P, field):
            raise UsageError(f"{field} = []: write at least one budget")

    def against(config: classify.Config, eps: float, linf: bool = False) -> classify.Config:
        return replace(config, budgets=(eps,), linf=linf)

    l2 = {f"L2, ε = {eps:g}": against(P.robust, eps) for eps in P.l2}
    linf = {f"L∞, ε = {eps:g}": against(P.robust, eps, linf=True) for eps in P.linf}
    l2_blocks = {f"L2, ε = {eps:g}": against(P.block_robust, eps) for eps in P.block_eps}
    nets = {
        "digits": {"standard": P.digits_net},
        "images": {"standard": P.net, "linear model": P.linear} | l2 | linf,
        "colour": {"standard": P.conv, "robust": P.conv_robust}
        | {name: replace(P.conv, schedule=lengthened(P.conv.schedule, epochs)) for name, epochs in lengths(P).items()},
        "blocks": {"standard": P.block} | l2_blocks,
        "blocks, top": {"standard": P.block},
    }
    repeat = {"digits": P.digits_repetitions, "images": P.repetitions, "colour": P.conv_repetitions}
    repeat |= dict.fromkeys(("blocks", "blocks, top"), P.block_repetitions)
    for name in others:
        large = name in P.conv_data
        robust_one = P.large_robust if large else against(P.robust, P.l2[-1])
        nets[name] = {"standard": P.large_conv if large else P.net, "robust": robust_one}
        repeat[name] = P.conv_repetitions if large else P.repetitions
    pair = ["standard", [*l2][-1]]

    schemes = {where: {name: (name, roar.Scheme("gradient")) for name in group} for where, group in nets.items()}
    schemes["digits"] = {name: ("standard", roar.Scheme(name)) for name in attribution.METHODS}
    smooth = roar.Scheme("Integrated Gradients", samples=P.nodes)
    schemes["digits"]["Integrated Gradients"] = ("standard", smooth)
    schemes["images"] |= {
        "random": ("standard", roar.Scheme("random")),
        "linear model": ("linear model", roar.Scheme("weights")),
    }
    for name in pair:
        schemes["images"] |= {
            f"{name}, loss": (name, roar.Scheme("loss gradient")),
            f"{name}, random class": (name, roar.Scheme("gradient of a random class")),
        }
    if colours > 1:
        schemes["colour"] |= {f"{name}, per pixel": (name, roar.Scheme("gradient", per_pixel=True)) for name in CONV}
    product = roar.Scheme("Input x Gradient")
    schemes["blocks"] |= {f"{name}, {product.method}": (name, product) for name in ("standard", [*l2_blocks][-1])}

    robust = [*l2, *linf]
    queue = retrainings(P, schemes, repeat, robust=robust, pair=pair, others=others)
    return Plan(nets, schemes, repeat, queue, [*l2], [*linf], [*l2_blocks])


def retrainings(
    P: Roar, schemes, repeat, *, robust: list[str], pair: list[str], others: Sequence[str] = ()
) -> dict[Key, roar.Retrain]:
    """Which masks new nets are trained on."""
    queue: dict[Key, roar.Retrain] = {}

    def ask(where, names, shares, config, tag="", tops=(True, False), **fields):
        for scheme, share, top, r in itertools.product(names, shares, tops, range(repeat[where])):
            queue[where, scheme, share, top, tag, r] = roar.Retrain(config, share, top=top, **fields)

    mean = {"tag": "mean", "mean_fill": True}
    for name in others:
        large = name in P.conv_data
        ask(name, CONV, scarce(P, name), P.large_retrained if large else P.retrained)
    ask("colour", schemes["colour"], conv_shares(P), P.conv_retrained)
    ask("colour", CONV, [CONV_LEVEL], P.conv_retrained, tag="outline", mask_only=True)
    ask("colour", CONV, [CONV_LEVEL], P.conv_retrained, **mean)
    ask("images", pair, [P.share], P.other_retrained, tag="other network")
    ask("images", pair, [P.share], P.slow_retrained, tag="other optimiser")
    ask("images", ["standard", *robust, "random", "linear model"], shares_of(P), P.retrained)
    varied = [f"{name}, {kind}" for name in pair for kind in ("loss", "random class")]
    ask("images", varied, [P.share], P.retrained)
    ask("images", outlined(pair), [P.share], P.retrained, tag="outline", mask_only=True)
    ask("images", outlined(pair), [P.share], P.retrained, **mean)
    for where in ("blocks", "blocks, top"):
        ask(where, schemes[where], [P.block_share], P.block)
    ladder = [*attribution.METHODS, "tangent space"]
    for removed, special in ((P.removed, {}), (P.mean_removed, mean)):
        ask("digits", ladder, kept_of(removed), P.digits_retrained, tops=(False,), **special)
    return queue


def shares_of(P: Roar) -> list[float]:
    """Shares that are kept of the images of perceptrons; UsageError where none is below the judged bound."""
    shares = sorted({*P.shares, P.share})
    if not shares[0] < P.scarce:
        raise UsageError(f"shares = {shares}: write one below {P.scarce:g}, too")
    return shares


def scarce(P: Roar, name: str) -> list[float]:
    """Shares that are kept of another data set's images: those of its kind of net that are judged."""
    shares = [share for share in (conv_shares(P) if name in P.conv_data else shares_of(P)) if share < P.scarce]
    if not shares:
        raise UsageError(f"conv_shares = {conv_shares(P)}: write one below {P.scarce:g}, too")
    return shares


def conv_shares(P: Roar) -> list[float]:
    """Shares that are kept of the convolutional net's images."""
    return sorted({*P.conv_shares, CONV_LEVEL})


def lengths(P: Roar) -> dict[str, int]:
    """Standard nets that were trained for other numbers of epochs, by name."""
    return {f"standard, {epochs} epochs": epochs for epochs in P.conv_lengths}


def lengthened(schedule: Schedule, epochs: int) -> Schedule:
    """The schedule with so many epochs and no early end, its drops at the same shares of them, not before the first."""
    drops = tuple(max(1, round(d * epochs / schedule.epochs)) for d in schedule.drops if d < schedule.epochs)
    return replace(schedule, epochs=epochs, drops=tuple(dict.fromkeys(drops)), stop=None)


def common(P: Roar) -> list[float]:
    """Shares that both fillings remove; UsageError where there is none."""
    if not (shares := sorted({*P.removed} & {*P.mean_removed})):
        raise UsageError(f"mean_removed = {P.mean_removed}: write one of removed = {P.removed}")
    return shares


def by_side(
    sides: Mapping[str, str], order: Sequence[str] = ("above", "not told apart from", "below")
) -> dict[str, list[str]]:
    """The names at each side, sides in this order; a side without a name is left out."""
    found = {side: [name for name, one in sides.items() if one == side] for side in order}
    return {side: names for side, names in found.items() if names}


def outlined(pair: list[str]) -> list[str]:
    """The orders whose masks are looked at by themselves."""
    return [*pair, "random", "linear model", *(f"{name}, random class" for name in pair)]


def percent(share: float) -> str:
    """0.05 as "5 %"."""
    return f"{100 * share:g} %"


def interval(metric: dict[str, Any]) -> tuple[float, float, float]:
    """A metric as (value, low, high): its interval, or both of two runs."""
    low, high = metric["low"], metric["high"]
    if each := metric.get("each"):
        low, high = min(each), max(each)
    return metric["value"], low, high


def curve(at: Sequence[float], metrics: Iterable[dict[str, Any]]) -> tuple:
    """A curve of metrics, with its band: (x, y, low, high)."""
    return at, *zip(*map(interval, metrics), strict=True)


def draw(ax, x, y, low, high, *, look: dict, label: str | None = None) -> None:
    """Draw a curve with its band."""
    ax.plot(x, y, label=label, **look)
    plot.band(ax, x, low, high, look)


def lines(repetitions: int) -> str:
    """What the ends of bars, bands and brackets are."""
    if repetitions == 2:
        return "both of two runs"
    if repetitions == 1:
        return "95 % intervals for other test images, not for other runs"
    return "95 % intervals for other test images and other runs"


def brackets(repetitions: int) -> str:
    """What stands in brackets behind a difference that has a value for each training, as a sentence."""
    if repetitions == 1:
        return "One training of each, and no intervals."
    if repetitions == 2:
        return "Both values: of two trainings of each."
    return f"Brackets: 95 % intervals for other trainings, {repetitions} of each."


def around(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """An interval (value, low, high) around the mean of (r, n)."""
    if len(values) != 2:
        return stats.crossed_interval(values, level=confidence)
    one, two = values.mean(1)  # Student's t of one degree of freedom
    reach = scipy.stats.t.ppf((1 + confidence) / 2, 1) * abs(one - two) / 2
    return (one + two) / 2, (one + two) / 2 - reach, (one + two) / 2 + reach


def lowest(several: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """The lowest of several means, each of (r, n): (value, low, high); the upper ends hold together (Bonferroni)."""
    value, low, _ = zip(*(around(v, 0.95) for v in several), strict=True)
    joint = 1 - 0.05 / len(several)
    return min(value), min(low), min(around(v, joint)[2] for v in several)
