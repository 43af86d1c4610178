"""What was run: a row per chapter and preset, for `pags status`."""

from collections import Counter

from pags import PRESETS, paths
from pags.book import build, chapters, claims, origin
from pags.errors import PagsError

HEADS = ("chapter", "preset", "run on", "took", "where", "verdicts")


def table() -> str:
    """The rows under their heads, in columns; a chapter that was never run has a row that says so."""
    rows: list[tuple[str, ...]] = [HEADS]
    ledger = claims.load()
    for chapter in chapters.names():
        found = [row for preset in PRESETS for row in (_row(chapter, preset, ledger),) if row]
        rows += found or [(chapter, "-", "never run", "", "", "")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(chapter: str, preset: str, ledger: list[claims.Claim]) -> tuple[str, ...] | None:
    """What is known of a chapter at a preset; of files that cannot be used, what is wrong stands for the verdicts."""
    where = {"here": paths.EXECUTED, "published": paths.PUBLISHED}
    places = [name for name, place in where.items() if (place / preset / f"{chapter}.ipynb").exists()]
    if (paths.FAILED / preset / f"{chapter}.ipynb").exists():
        places.append("failed last")
    path = build.executed(chapter, preset)
    if path is None:
        return (chapter, preset, "", "", places[0], "") if places else None
    try:
        notebook, (result, _) = build.page(chapter, path)
    except PagsError as error:
        return chapter, preset, "", "", ", ".join(places), str(error)
    about = notebook.metadata.get("papermill", {})
    took = f"{about['duration']:.0f} s" if about.get("duration") else ""
    places += ["by earlier code"] if origin.changes(chapter, notebook, result) else []
    verdicts = _verdicts(result, ledger)
    return chapter, preset, str(about.get("end_time") or "")[:10], took, ", ".join(places), verdicts


def _verdicts(result: dict, ledger: list[claims.Claim]) -> str:
    """How many claims have which verdict by these results; what is no verdict on a paper's claim only holds."""
    if not result:
        return "no results"
    own = [claim for claim in ledger if claim.chapter == result["chapter"]]
    counts = Counter(verdict.word for verdict in claims.verdicts([result], own))
    words = dict.fromkeys(
        word for outcome in claims.OUTCOMES for word in (claims.PAPER[outcome], claims.ELSEWHERE[outcome])
    )
    return ", ".join(f"{word} {counts[word]}" for word in words if counts[word])
