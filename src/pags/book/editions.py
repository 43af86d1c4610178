"""Three editions of the pages from one source: what each of them does with the solutions of the exercises.

An edition is a function from a chapter's notebook to that of its page: what it takes away is then in no page, in no
notebook behind a download button, and in no index of the search.
"""

import re
from collections.abc import Callable
from pathlib import Path

from nbformat import NotebookNode

from pags import paths
from pags.book import exercises
from pags.errors import UsageError

Edition = Callable[[NotebookNode], NotebookNode]


def reader(notebook: NotebookNode) -> NotebookNode:
    """Solutions folded in below their exercises."""
    return notebook


def student(notebook: NotebookNode) -> NotebookNode:
    """No solution."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = without_solutions(cell.source)
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip() or cell.cell_type == "code"]
    return notebook


def teacher(notebook: NotebookNode) -> NotebookNode:
    """Solutions open."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = exercises.BLOCK.sub(lambda match: match[0].replace(":class: dropdown\n", ""), cell.source)
    return notebook


EDITIONS: dict[str, Edition] = {edition.__name__: edition for edition in (reader, student, teacher)}


def named(name: str) -> Edition:
    """The edition of this name; UsageError lists them."""
    if name not in EDITIONS:
        raise UsageError(f"edition {name!r} is unknown: write one of {', '.join(EDITIONS)}")
    return EDITIONS[name]


def folder(edition: Edition) -> Path:
    """Where an edition's pages go; the readers' are the book."""
    return paths.HTML if edition is reader else paths.HTML.parent / edition.__name__


def without_solutions(text: str) -> str:
    """Markdown without its solutions."""
    text = exercises.BLOCK.sub(lambda match: "" if match[2] == "solution" else match[0], text)
    return re.sub(r"\n{3,}", "\n\n", text)
