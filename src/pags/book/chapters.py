"""The chapters as they lie in `notebooks/`: their names, how a user may call them, and what they take as parameters."""

import ast
import copy
import functools
import re
from pathlib import Path

import jupytext
from nbformat import NotebookNode

from pags import paths
from pags.errors import PagsError, UsageError

ID = re.compile(r"([0-9]{2}[a-z]?)_(\w+)")  # number and name: 02_mnist32_generation, 01a_robustness_theory


def names() -> list[str]:
    """The chapters' ids in the book's order: 01_..., 01a_..., 01b_..., 02_..."""
    return sorted(path.stem for path in paths.NOTEBOOKS.glob("*.md") if ID.fullmatch(path.stem))


def number(chapter: str) -> str:
    """What text and commands call a chapter: "03" or "01a"."""
    return chapter.split("_", 1)[0]


def short(chapter: str) -> str:
    """The number as figures, theorems and exercises have it before the dot: "3" or "1a"."""
    return number(chapter).lstrip("0")


def source(chapter: str) -> Path:
    """The text notebook of a chapter."""
    return paths.NOTEBOOKS / f"{chapter}.md"


def find(word: str) -> str:
    """The chapter that `word` means: its number, its id, its name without the number, or the beginning of one of these.

    "01" and "1" mean chapter 01 itself, "01a" and "1a" the one with that letter. Raises UsageError when there is none
    or more than one.
    """
    known = {chapter: chapter.split("_", 1) for chapter in names()}
    exact = [c for c, (number, name) in known.items() if word in (c, name) or _same(word, number)]
    found = exact or [c for c, (_, name) in known.items() if word and (c.startswith(word) or name.startswith(word))]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"chapter {word!r} may mean {' or '.join(found)}: write more of its name")
    raise UsageError(f"there is no chapter {word!r}: write one of {', '.join(known) or '(notebooks/ is empty)'}")


def _same(word: str, number: str) -> bool:
    return word != "" and word.lstrip("0") == number.lstrip("0")


def read(chapter: str) -> NotebookNode:
    """The chapter as a notebook without outputs; cell ids are numbered, so that two conversions are equal."""
    return copy.deepcopy(_converted(chapter, source(chapter).read_text(encoding="utf-8")))


@functools.lru_cache(maxsize=64)
def _converted(chapter: str, text: str) -> NotebookNode:
    notebook = jupytext.reads(text, {"extension": ".md"})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = re.sub(r"[^A-Za-z0-9_-]", "-", f"{chapter[:40]}-{number}")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def parameters(chapter: str) -> dict[str, object]:
    """Names and defaults from the chapter's cell tagged `parameters`; PagsError if it has not exactly one."""
    cells = [c for c in read(chapter).cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise PagsError(f"notebooks/{chapter}.md has {len(cells)} cells tagged `parameters`: give it exactly one")
    assignments = [node for node in ast.parse(cells[0].source).body if isinstance(node, ast.Assign)]
    targets = [(target, node.value) for node in assignments for target in node.targets]
    return {target.id: ast.literal_eval(value) for target, value in targets if isinstance(target, ast.Name)}
