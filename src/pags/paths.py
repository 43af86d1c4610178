"""Where things lie. `PAGS_BUILD` moves everything that is made, `PAGS_DATA` the data directory."""

import os
from pathlib import Path

from pags.errors import PagsError, UsageError


def given(name: str | Path) -> Path:
    """The absolute path that a user means: "~" is expanded, and a relative one starts where the command started."""
    try:
        return Path(name).expanduser().resolve()
    except RuntimeError as error:  # no such home, or links in a circle
        raise UsageError(f"{name} leads nowhere ({error}): write the path from / on") from None


ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
BOOK = ROOT / "book"
PUBLISHED = ROOT / "published"
BUILD = given(os.environ.get("PAGS_BUILD") or ROOT / "build")
DATA = given(os.environ.get("PAGS_DATA") or ROOT / "data")
ARTIFACTS = BUILD / "artifacts"
EXECUTED = BUILD / "executed"
RESULTS = BUILD / "results"
FAILED = BUILD / "failed"
CHANGED = BUILD / "changed"  # the same three, executed/, results/ and failed/, of runs with changed settings
SEEDS = BUILD / "seeds"  # the results of every seed that was run here: <seed>/<preset>/
HTML = BUILD / "html"


def need_chapters() -> None:
    """PagsError unless this package lies in a copy of the repository, whose chapters and pages it works on."""
    if not NOTEBOOKS.is_dir():
        raise PagsError(
            f"there are no chapters at {NOTEBOOKS}: install pags from a copy of the repository, and so that it stays "
            "there, with `pip install --constraint constraints.txt --editable .`"
        )
