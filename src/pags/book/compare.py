"""Two runs of the same chapters held against each other: which numbers differ, and which verdicts."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pags.book import claims, results
from pags.book.page import number
from pags.errors import PagsError, UsageError

ROUNDING = 1e-9  # of a number's size where that is above one: what another order of a sum makes of it
# How a metric of one run stands to that of the other, in the words that follow their count.
EQUAL = "equal"
ROUNDED = "equal but for rounding"
OVERLAP = "with intervals that overlap"
BARE = "different, without an interval"
APART = "with intervals that lie apart"


class Compared(NamedTuple):
    """What was found, in lines, and whether the second run reproduces the first."""

    lines: list[str]
    reproduced: bool


def compare(before: Path, after: Path, *, exact: bool = False) -> Compared:
    """Two results files, or the files of equal name in two folders; PagsError for what is missing or damaged.

    The second reproduces the first where it has its chapters and metrics, no two intervals lie apart and every verdict
    is the same; if `exact`, where all metrics are equal to the bit.
    """
    first, second = files(before), files(after)
    if before.is_file() and after.is_file():
        second = dict(zip(first, second.values(), strict=True))
    if not first.keys() & second.keys():
        raise PagsError(f"{before} and {after} have no chapter in common")
    lines = [f"before: {before}", f"after:  {after}"]
    lines += [f"{name}: only {where}" for where, names in _alone(first, second) for name in names]
    ledger = claims.load()
    counts: Counter[str] = Counter()
    turned = asked = 0
    same = first.keys() <= second.keys()
    for name in sorted(first.keys() & second.keys()):
        one, other = results.read(first[name]), results.read(second[name])
        if one["chapter"] != other["chapter"]:
            raise UsageError(f"{first[name]} is of {one['chapter']}, {second[name]} of {other['chapter']}")
        found = {metric: kind(a, b) for metric, (a, b) in _common(one["metrics"], other["metrics"]).items()}
        verdicts = [_words(result, ledger) for result in (one, other)]
        differ = [metric for metric, how in found.items() if how == APART or (exact and how != EQUAL)]
        alone = _alone(one["metrics"], other["metrics"])
        changed = [claim for claim, word in verdicts[0].items() if verdicts[1][claim] != word]
        lines += ["", f"{one['chapter']}: {_counted(Counter(found.values()))}", *_settings(one, other)]
        lines += [f"  {metric}: only {where}" for where, metrics in alone for metric in metrics]
        lines += [f"  {metric}: {_both(one['metrics'][metric], other['metrics'][metric])}" for metric in differ]
        lines += [f"  claim {claim}: {verdicts[0][claim]} -> {verdicts[1][claim]}" for claim in changed]
        same = same and not (differ or changed or any(m for where, m in alone if exact or where == "before"))
        counts.update(found.values())
        turned, asked = turned + len(changed), asked + len(verdicts[0])
    lines += ["", f"all: {_counted(counts)}; {asked - turned} of {asked} verdicts are the same"]
    return Compared(lines, same)


def files(place: Path) -> dict[str, Path]:
    """The results files in a folder, or the one that is named, by their names; PagsError where there is none."""
    found = sorted(place.glob("*.json")) if place.is_dir() else [place]
    found = [path for path in found if not path.name.endswith(".run.json")]
    if not found or not all(path.is_file() for path in found):
        raise PagsError(f"{place} holds no results: `pags run` makes them, in build/results/<preset>")
    return {path.stem: path for path in found}


def kind(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """How two values of a metric stand to each other, by the limits with which a verdict tells them apart."""
    (low, high), (least, most) = results.limits(before), results.limits(after)
    numbers = [(before["value"], after["value"]), (low, least), (high, most)]
    if all(a == b for a, b in numbers) and before["n"] == after["n"]:
        return EQUAL
    if all(math.isclose(a, b, rel_tol=ROUNDING, abs_tol=ROUNDING) for a, b in numbers):
        return ROUNDED
    if low == high and least == most:
        return BARE
    return OVERLAP if max(low, least) <= min(high, most) else APART


def _common(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (one[name], other[name]) for name in sorted(one.keys() & other.keys())}


def _alone(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The names that only one of both has."""
    return [("before", sorted(one.keys() - other.keys())), ("after", sorted(other.keys() - one.keys()))]


def _words(result: Mapping[str, Any], ledger: list[claims.Claim]) -> dict[str, str]:
    own = [claim for claim in ledger if claim.chapter == result["chapter"]]
    return {one.claim.id: one.word for one in claims.verdicts([result], own)}


def _settings(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What was not the same to begin with, a line each."""
    before, after = (
        {"preset": result["preset"]}
        | {name: result["parameters"][name] for name in ("seed", "device")}
        | _flat(result["parameters"]["config"])
        | {f"version of {name}": version for name, version in result["versions"].items()}
        for result in (one, other)
    )
    lines = [
        f"  {name}: {before.get(name, 'none')} -> {after.get(name, 'none')}"
        for name in before | after
        if before.get(name) != after.get(name)
    ]
    data = one["data"], other["data"]
    return lines + [
        f"  data {name}: other bytes" for name in sorted(data[0] | data[1]) if data[0].get(name) != data[1].get(name)
    ]


def _flat(config: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found


def _both(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    told = [number(before), number(after)]
    if told[0] == told[1]:
        told = [str(before["value"]), str(after["value"])]
    return " -> ".join(told)


def _counted(kinds: Mapping[str, int]) -> str:
    """How many metrics there are of each kind."""
    parts = [f"{kinds[one]} {one}" for one in (EQUAL, ROUNDED, OVERLAP, BARE, APART) if kinds.get(one)]
    return f"{sum(kinds.values())} numbers: {', '.join(parts) or 'none in both'}"
