"""What was run: a row per chapter and preset, for `pags status` and for the page of the same name."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from pags import PRESETS, paths
from pags.book import chapters, claims, dress, origin, runs, scoreboard, seeds, terminal
from pags.book.page import stacked_table
from pags.errors import PagsError

HEADS = ("chapter", "preset", "run on", "took", "to make", "where", "verdicts")


class Row(NamedTuple):
    """What is known of a chapter at a preset; of files that cannot be used `verdicts` says what is wrong."""

    chapter: str
    preset: str
    day: str = ""
    took: str = ""
    to_make: str = ""
    where: tuple[str, ...] = ()
    verdicts: str = ""
    result: Mapping[str, Any] = {}
    run: Mapping[str, Any] = {}


def rows(*, changed: bool = True, kept: Sequence[seeds.Kept] | None = None) -> list[Row]:
    """All runs by chapter and preset; a chapter that was never run has a row that says so.

    With `changed` also those with changed settings, each after the ordinary run of its preset. `kept` are the runs of
    all seeds, by default what `seeds.readable` finds.
    """
    ledger, kept = claims.load(), seeds.readable()[0] if kept is None else kept
    found = []
    for chapter in chapters.names():
        kinds = [(preset, kind) for preset in PRESETS for kind in (False, True)[: 1 + changed]]
        own = [row for preset, kind in kinds if (row := _row(chapter, preset, ledger, kept, changed=kind))]
        found += own or [Row(chapter, "-", "never run")]
    return found


def table() -> str:
    """The rows under their heads, in columns."""
    lines: list[tuple[str, ...]] = [HEADS]
    kept, complaints = seeds.readable()
    found = rows(kept=kept)
    for row in found:
        where = ", ".join(row.where)
        lines.append((row.chapter, row.preset, row.day, row.took, row.to_make, where, row.verdicts))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    told = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    in_rows = {row.verdicts for row in found}
    return "\n".join([*told, *(f"left out: {complaint}" for complaint in complaints if complaint not in in_rows)])


def markdown(preset: str | None = None) -> str:
    """The ordinary runs as a table of HTML, of one `preset` if it is given; "best" is the largest of each chapter."""
    shown = [row for row in rows(changed=False) if row.result]
    if preset == runs.BEST:
        shown = list({row.chapter: row for row in shown}.values())
    elif preset:
        shown = [row for row in shown if row.preset == preset]
    if not shown:
        return "Nothing has been run yet."
    used = {versions(row.result) for row in shown}
    heads = ["Chapter", "Preset, data", "Time to make", "Last run", "On", "When, by", "State"]
    cells = [
        [
            f'<a href="chapters/{row.chapter}.html">{escape(chapters.number(row.chapter))} {escape(_title(row))}</a>',
            escape(", ".join(filter(None, [row.preset, scoreboard.data_words(row.result["data"])]))),
            escape(row.to_make or ("not recorded" if row.run.get("cached") else row.took)),
            escape(row.took),
            escape(
                ", ".join([machine(row.run.get("machine", {})), *([versions(row.result)] if len(used) > 1 else [])])
            ),
            f"{escape(row.day)}, <code>{escape(commit(row.run))}</code>",
            escape("; ".join(filter(None, [*row.where, row.verdicts]))),
        ]
        for row in shown
    ]
    common = f"All of them used {used.pop()}.\n\n" if len(used) == 1 else ""
    return f"{common}```{{raw}} html\n{stacked_table('Runs', heads, cells)}\n```"


def _title(row: Row) -> str:
    """The title of a row's chapter; of one that is gone, its name."""
    if not chapters.source(row.chapter).exists():
        return row.chapter
    return dress.title(chapters.read(row.chapter))[1][1]


def machine(about: Mapping[str, Any]) -> str:
    """The machine of a run record in words: "2 cores, AMD EPYC, Linux"."""
    cores = f"{about['cores']} cores" if about.get("cores") else ""
    return ", ".join(filter(None, [about.get("gpu", ""), cores, about.get("cpu", ""), about.get("system", "")]))


def versions(result: Mapping[str, Any]) -> str:
    """What of Python's packages a run used: "python 3.11.7, torch 2.14.1, ..."."""
    return ", ".join(f"{name} {version}" for name, version in result["versions"].items())


def commit(run: Mapping[str, Any]) -> str:
    """The beginning of the commit that a run was of, and whether files were changed since; "no commit" without one."""
    whole = str(run.get("commit") or "no commit")
    return whole[:10] + "-dirty" * whole.endswith("-dirty")


def _row(
    chapter: str, preset: str, ledger: list[claims.Claim], kept: Sequence[seeds.Kept], *, changed: bool
) -> Row | None:
    where = {"here": paths.EXECUTED, "published": paths.PUBLISHED}
    where = {"here, with changed settings": paths.CHANGED / "executed"} if changed else where
    places = [name for name, place in where.items() if (place / preset / f"{chapter}.ipynb").exists()]
    failed = paths.CHANGED / "failed" if changed else paths.FAILED
    if (failed / preset / f"{chapter}.ipynb").exists():
        places.append("failed last, with changed settings" if changed else "failed last")
    path = runs.executed(chapter, preset, changed=changed)
    if path is None or not places or (changed and not path.is_relative_to(paths.CHANGED)):
        return Row(chapter, preset, where=tuple(places)) if places else None
    try:
        notebook, (result, run) = runs.page(chapter, path)
    except PagsError as error:
        return Row(chapter, preset, where=tuple(places), verdicts=str(error))
    if changed:
        places += [f"{name} = {value}" for name, value in result["parameters"]["overrides"].items()]
    others = seeds.repeats(result, kept) if result else {}
    places += [f"also from {seeds.named(others)}"] if others else []
    places += ["by earlier code"] if origin.changes(chapter, notebook, result) else []
    seconds = notebook.metadata.get("papermill", {}).get("duration")
    return Row(
        chapter,
        preset,
        runs.day(notebook, run),
        terminal.duration(seconds) if seconds else "",
        terminal.duration(run["seconds_to_make"]) if run.get("cached") and run.get("seconds_to_make") else "",
        tuple(places),
        _verdicts(result, ledger),
        result,
        run,
    )


def _verdicts(result: Mapping[str, Any], ledger: list[claims.Claim]) -> str:
    """How many claims have which verdict by these results, counted as `pags claims` counts them."""
    if not result:
        return "no results"
    own = [claim for claim in ledger if claim.chapter == result["chapter"]]
    found = scoreboard.tally(claims.verdicts([result], own), result["preset"])
    parts = [(group, scoreboard.counted(counts, scoreboard.GROUPS[group])) for group, counts in found.items() if counts]
    return "; ".join(f"{group}: {words}" for group, words in parts)
