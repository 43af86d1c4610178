"""What was run: a row per chapter and preset, for `pags status`."""

from collections import Counter

import nbformat

from pags import PRESETS, paths
from pags.book import build, chapters, claims

HEADS = ("chapter", "preset", "run on", "took", "where", "verdicts")


def table() -> str:
    """The rows under their heads, in columns; a chapter that was never run has a row that says so."""
    rows: list[tuple[str, ...]] = [HEADS]
    for chapter in chapters.names():
        found = [row for preset in PRESETS for row in (_row(chapter, preset),) if row]
        rows += found or [(chapter, "-", "never run", "", "", "")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(chapter: str, preset: str) -> tuple[str, ...] | None:
    where = {"here": paths.EXECUTED, "published": paths.PUBLISHED}
    places = [name for name, place in where.items() if (place / preset / f"{chapter}.ipynb").exists()]
    if (paths.FAILED / preset / f"{chapter}.ipynb").exists():
        places.append("failed last")
    path = build.executed(chapter, preset)
    if path is None:
        return (chapter, preset, "", "", places[0], "") if places else None
    notebook = nbformat.read(path, as_version=4)
    about = notebook.metadata.get("papermill", {})
    places += ["by earlier code"] if build.earlier(chapter, notebook) else []
    took = f"{about['duration']:.0f} s" if about.get("duration") else ""
    result, _ = build.result_files(chapter, path)
    return chapter, preset, str(about.get("end_time") or "")[:10], took, ", ".join(places), _verdicts(result)


def _verdicts(result: dict) -> str:
    """How many claims have which verdict by these results; what is no verdict on a paper's claim only holds."""
    if not result:
        return "no results"
    own = [claim for claim in claims.load() if claim.chapter == result["chapter"]]
    counts = Counter(verdict.word for verdict in claims.verdicts([result], own))
    words = dict.fromkeys(
        word for outcome in claims.OUTCOMES for word in (claims.PAPER[outcome], claims.ELSEWHERE[outcome])
    )
    return ", ".join(f"{word} {counts[word]}" for word in words if counts[word])
