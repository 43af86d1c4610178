"""Lint and format the code of the chapters as ruff does it for notebooks; `--fix` writes what it formats.

A code cell of a page holds 83 characters, so lines have at most 80.

Usage: python tools/lint_chapters.py [--fix] [CHAPTER.md ...]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parents[1]
RUFF = [sys.executable, "-m", "ruff"]
WIDTH = 80


def main(arguments: list[str]) -> int:
    """Exit status: 0 if every chapter passes."""
    fix = "--fix" in arguments
    named = [Path(word) for word in arguments if word != "--fix"]
    sources = named or sorted((ROOT / "notebooks").glob("*.md"))
    with tempfile.TemporaryDirectory() as directory:
        copies = {source: Path(directory, f"{source.stem}.ipynb") for source in sources}
        before = {source: jupytext.read(source) for source in sources}
        for source, copy in copies.items():
            nbformat.write(before[source], copy)
        if fix:
            ruff("check", "--fix", "--quiet", directory)
            ruff("format", "--quiet", directory)
            for source, copy in copies.items():
                put_back(source, before[source], nbformat.read(copy, as_version=4))
        return max(ruff("check", directory), ruff("format", "--check", directory)) if sources else 0


def ruff(*words: str) -> int:
    """Exit status of ruff with the project's settings."""
    command = [*RUFF, *words, "--config", str(ROOT / "pyproject.toml"), "--no-cache", "--line-length", str(WIDTH)]
    return subprocess.run(command, check=False).returncode


def put_back(source: Path, before: nbformat.NotebookNode, after: nbformat.NotebookNode) -> None:
    """Replace the code that has changed in the text notebook, and nothing else in it."""
    text = source.read_text(encoding="utf-8")
    for old, new in zip(before.cells, after.cells, strict=True):
        if old.cell_type == "code" and old.source != new.source:
            text = text.replace(f"\n{old.source}\n```", f"\n{new.source}\n```", 1)
    source.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
