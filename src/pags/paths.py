"""Where things lie. `PAGS_BUILD` moves everything that is made, `PAGS_DATA` the data directory."""

import os
from pathlib import Path

from pags.errors import PagsError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
BOOK = ROOT / "book"
PUBLISHED = ROOT / "published"
BUILD = Path(os.environ.get("PAGS_BUILD") or ROOT / "build").resolve()
DATA = Path(os.environ.get("PAGS_DATA") or ROOT / "data").resolve()
ARTIFACTS = BUILD / "artifacts"
EXECUTED = BUILD / "executed"
RESULTS = BUILD / "results"
FAILED = BUILD / "failed"
HTML = BUILD / "html"


def need_chapters() -> None:
    """PagsError unless this package lies in a copy of the repository, whose chapters and pages it works on."""
    if not NOTEBOOKS.is_dir():
        raise PagsError(
            f"there are no chapters at {NOTEBOOKS}: install pags from a copy of the repository, and so that it stays "
            "there, with `pip install --constraint constraints.txt --editable .`"
        )
