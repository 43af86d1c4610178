"""The chapters as they lie in `notebooks/`: their names, how a user may call them, and what they take as parameters."""

import ast
import re
from pathlib import Path

import jupytext
from nbformat import NotebookNode

from pags import paths
from pags.errors import PagsError, UsageError


def names() -> list[str]:
    """The chapters' ids in the book's order, such as "02_mnist32_generation"."""
    return sorted(path.stem for path in paths.NOTEBOOKS.glob("[0-9][0-9]_*.md"))


def source(chapter: str) -> Path:
    """The text notebook of a chapter."""
    return paths.NOTEBOOKS / f"{chapter}.md"


def find(word: str) -> str:
    """The chapter that `word` means: its number, its id, its name without the number, or the beginning of one of these.

    Raises UsageError when there is none or more than one.
    """
    known = names()
    exact = [c for c in known if word in (c, c[3:], c[:2]) or (word.isdecimal() and int(word) == int(c[:2]))]
    found = exact or [c for c in known if word and (c.startswith(word) or c[3:].startswith(word))]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"chapter {word!r} may mean {' or '.join(found)}: write more of its name")
    raise UsageError(f"there is no chapter {word!r}: write one of {', '.join(known) or '(notebooks/ is empty)'}")


def read(chapter: str) -> NotebookNode:
    """The chapter as a notebook without outputs; cell ids are numbered, so that two conversions are equal."""
    notebook = jupytext.read(source(chapter))
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
