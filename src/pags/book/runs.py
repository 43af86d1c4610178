"""A chapter as it was executed: which notebook is shown, and the results and the run record that belong to it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from pags import PRESETS, paths
from pags.book import origin, results
from pags.errors import PagsError, UsageError
from pags.files import reading

BEST = "best"  # in place of a preset: each chapter's largest


class Executed(NamedTuple):
    """A chapter as it was executed: its notebook, (results, run record), and what of its code has changed since."""

    chapter: str
    preset: str
    notebook: nbformat.NotebookNode
    files: tuple[dict, dict]
    changes: list[str]


def preset_named(preset: str) -> str:
    """The preset, or `BEST`; UsageError for any other word."""
    if preset not in (*PRESETS, BEST):
        raise UsageError(f"unknown preset {preset!r}: write one of {', '.join((*PRESETS, BEST))}")
    return preset


def read(listed: Sequence[str], preset: str, *, changed: bool = False) -> list[Executed]:
    """The chapters as executed at `preset`; PagsError names all that are missing, or all that cannot be used."""
    found = {chapter: path for chapter in listed if (path := executed(chapter, preset, changed=changed))}
    if missing := [chapter for chapter in listed if chapter not in found]:
        words = " ".join(missing)
        raise PagsError(f"not executed at preset {preset}: {words}; run: pags run {words} --preset {preset}")
    usable, complaints = [], []
    for chapter, path in found.items():
        try:
            notebook, files = page(chapter, path)
        except PagsError as error:
            complaints.append(str(error))
            continue
        if files[0].get("parameters", {}).get("overrides") and not changed:
            complaints.append(f"{path} is a run with changed settings: run the chapter again, or build with --changed")
        usable.append(Executed(chapter, path.parent.name, notebook, files, origin.changes(chapter, notebook, files[0])))
    if complaints:
        raise PagsError("\n  ".join(["the book stays as it was", *complaints]))
    return usable


def executed(chapter: str, preset: str, *, changed: bool = False) -> Path | None:
    """The executed notebook: the one run here, else the published one, else None; at "best" of the largest preset.

    With `changed`, a run with changed settings comes before both.
    """
    some = PRESETS[::-1] if preset == BEST else (preset,)
    ordinary = [place / one for one in some for place in (paths.EXECUTED, paths.PUBLISHED)]
    first = [paths.CHANGED / "executed" / one for one in some] if changed else []
    candidates = [place / f"{chapter}.ipynb" for place in first + ordinary]
    return next((place for place in candidates if place.exists()), None)


def page(chapter: str, path: Path) -> tuple[nbformat.NotebookNode, tuple[dict, dict]]:
    """An executed notebook with its results and run record; PagsError names the file that cannot be used, and why.

    Its text is the chapter's of today, as long as the code is that of the run.
    """
    try:
        with reading(path):
            text = path.read_text(encoding="utf-8")
        notebook = nbformat.v4.reads(text)
        nbformat.validate(notebook, version=4)
    except PagsError:
        raise
    except Exception as error:  # nbformat stumbles over what is no notebook in many ways
        raise results.damaged(path, error) from error
    files = result_files(chapter, path)
    stamp = notebook.metadata.get("pags", {}).get("results")
    if stamp and stamp != fingerprint(result_path(chapter, path)):
        both = f"{path} and {result_path(chapter, path)}"
        raise PagsError(f"{both} are not of the same run: make both again with {results.again(path)}")
    return origin.with_text_of_today(notebook, chapter), files


def result_path(chapter: str, notebook: Path) -> Path:
    """Where the results of an executed notebook lie."""
    beside = {paths.EXECUTED: paths.RESULTS, paths.CHANGED / "executed": paths.CHANGED / "results"}
    whole = next((beside[place] for place in beside if notebook.is_relative_to(place)), paths.PUBLISHED)
    return whole / notebook.parent.name / f"{chapter}.json"


def fingerprint(path: Path) -> str:
    """What an executed notebook says of the results file that was made with it; "none" where there is no file."""
    return results.digest(path) if path.exists() else "none"


def result_files(chapter: str, notebook: Path) -> tuple[dict, dict]:
    """Results and run record beside an executed notebook; empty where they are missing. PagsError: damaged."""
    path = result_path(chapter, notebook)
    return results.load(path) if path.exists() else {}, results.record(path)


def day(notebook: nbformat.NotebookNode, run: Mapping[str, Any]) -> str:
    """The day of a run, as year-month-day; "" where nothing says it."""
    return str(run.get("date") or notebook.metadata.get("papermill", {}).get("end_time") or "")[:10]
