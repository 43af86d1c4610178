"""Where things lie. `PAGS_BUILD` moves everything that is made, `PAGS_DATA` the data directory."""

import os
from pathlib import Path

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
