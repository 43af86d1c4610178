"""The same chapters from other seeds: what their runs say beside the one that a page shows.

Every run leaves its results in build/seeds/<seed>/<preset>, too, where no other seed takes their place.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pags import paths
from pags.book import results
from pags.book.page import listed
from pags.errors import PagsError


class Kept(NamedTuple):
    """The results of a run, and the digest of the cells that it executed; None where nobody has noted it."""

    result: Mapping[str, Any]
    cells: str | None


def place(result: Mapping[str, Any]) -> Path:
    """The folder in which the results of a run stay until the next one of the same seed, on whatever device."""
    return paths.SEEDS / str(result["parameters"]["seed"]) / result["preset"]


def folders() -> list[Path]:
    """Every folder that holds <preset>/<chapter>.json of a run with ordinary settings, those of this build first."""
    others = [folder for root in (paths.SEEDS, paths.PUBLISHED / "seeds") for folder in sorted(root.glob("*"))]
    return [paths.RESULTS, paths.PUBLISHED, *others]


def readable() -> tuple[list[Kept], list[str]]:
    """Every run that is kept, of whatever seed, and a complaint for each file that cannot be used."""
    found, complaints = [], []
    for folder in folders():
        some, wrong = results.readable([folder])
        complaints += wrong
        for result in some:
            path = folder / result["preset"] / f"{result['chapter']}.json"
            try:
                about = results.record(path)
                if about.get("results", known := results.digest(path)) != known:
                    raise results.damaged(path, "its record is of another run")
            except PagsError as error:
                complaints.append(str(error))
            else:
                found.append(Kept(result, about.get("cells")))
    return found, complaints


def all() -> list[Kept]:  # read as seeds.all
    """What `readable` finds; PagsError with a line for every file that cannot be used."""
    found, complaints = readable()
    if complaints:
        raise PagsError("\n  ".join(complaints))
    return found


def repeats(result: Mapping[str, Any], kept: Iterable[Kept]) -> dict[int, Mapping[str, Any]]:
    """Of the runs that are `kept` those that repeat this one of them from another seed, by seed: the first of each.

    A repetition has the same chapter, preset, settings, code, device and data sets, whatever the versions of Python's
    packages, and no training in common with the run nor with another repetition: repetitions within a run have
    neighbouring seeds, so that seeds 0 and 1 share some.
    """
    kept = list(kept)
    cells = next((one.cells for one in kept if one.result == result and one.cells), None)
    chosen: dict[int, Mapping[str, Any]] = {}
    taken, seeds = set(result["artifacts"]), {result["parameters"]["seed"]}
    for other in kept if cells else ():
        seed, trained = other.result["parameters"]["seed"], other.result["artifacts"]
        same = other.cells == cells and _asked(other.result) == _asked(result)
        if same and seed not in seeds and taken.isdisjoint(trained):
            chosen[seed] = other.result
            taken |= set(trained)
            seeds.add(seed)
    return dict(sorted(chosen.items()))


def named(seeds: Iterable[int]) -> str:
    """Seeds in words: "seed 100", "seeds 100 and 200"."""
    words = [str(seed) for seed in seeds]
    return f"seed{'s' * (len(words) > 1)} {listed(words)}"


def _asked(result: Mapping[str, Any]) -> tuple[object, ...]:
    """What a run was asked for, apart from its seed, and by which code."""
    settings = [result["parameters"][name] for name in ("config", "overrides", "device")]
    return result["chapter"], result["preset"], *settings, result.get("source"), sorted(result["data"])
