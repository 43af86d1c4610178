"""Where on a chapter's page a metric is measured: the figure that its cell draws, or the section of the cell."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from docutils.nodes import make_id
from nbformat import NotebookNode

from pags.book import figures
from pags.book.chapters import short

HEADING = re.compile(r"^(#{2,3}) +(.+)$", re.MULTILINE)
FIGURE = re.compile(r"^[`:]{3,}\{figure\}.*?^:name: *(\S+)$", re.MULTILINE | re.DOTALL)
LEAST = 4  # letters of a text that may be a name: the pattern of a shorter one matches every metric

TOLD = ("What became of the claims", "What we found")  # from here on a chapter measures nothing


class Written(NamedTuple):
    """A name, or a pattern of names, as a cell writes it; `recorded` where it is the first argument of a `record`."""

    pattern: re.Pattern[str]
    letters: int
    recorded: bool
    cell: int


def mark(notebook: NotebookNode, chapter: str, metrics: Iterable[str]) -> dict[tuple[str, str], tuple[str, str]]:
    """(chapter, metric) -> the id of its place on the page and what it is called, "Figure 3.2" or a section's title.

    Where that is a section, its heading is given the id in the notebook. A metric whose cell is not found is left out.
    """
    end = next((n for n, cell in enumerate(notebook.cells) if any(one[2] in TOLD for one in _headings(cell))), None)
    written = [one for one in names(notebook) if end is None or one.cell < end]
    numbered = {label: f"Figure {short(chapter)}.{n}" for n, (_, label) in enumerate(drawn(notebook), 1)}
    found = {}
    for metric in dict.fromkeys(metrics):
        matching = [one for one in written if one.pattern.fullmatch(metric)]
        if not matching:
            continue
        plain = [one for one in matching if one.letters >= LEAST] or matching
        recorded = [one for one in plain if one.recorded]
        # A name that no `record` has for its argument is first written where it is measured, later where it is told.
        cell = (max(recorded, key=lambda one: one.letters) if recorded else plain[0]).cell
        if label := next(_drawn_after(notebook, cell), None):
            found[chapter, metric] = make_id(label), numbered[label]
        elif section := _section(notebook, cell, f"measured-{short(chapter)}"):
            found[chapter, metric] = section
    return found


def names(notebook: NotebookNode) -> Iterator[Written]:
    """Every text in the code cells that may be a metric's name; what an f-string puts in may be anything."""
    for n, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:  # a line that only IPython understands
            continue
        recorded = {
            id(node.args[0])
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record"
            if node.args
        }
        for node in ast.walk(tree):
            parts = [node] if isinstance(node, ast.Constant) else node.values if isinstance(node, ast.JoinedStr) else []
            texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
            if not texts or not all(isinstance(text, str | None) for text in texts):
                continue
            letters = sum(len(text) for text in texts if isinstance(text, str))
            if letters >= (1 if id(node) in recorded else LEAST):
                pattern = "".join(".+" if text is None else re.escape(str(text)) for text in texts)
                yield Written(re.compile(pattern), letters, id(node) in recorded, n)


def drawn(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """The figures that have a number, in the page's order: the cell and the figure's label."""
    for n, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            yield from ((n, label) for label in FIGURE.findall(cell.source))
        if cell.cell_type == "code" and not {"remove-output", "remove-cell"} & set(cell.metadata.get("tags", ())):
            for output in cell.get("outputs", []):
                content = output.get("data", {}).get(figures.MIME)
                if content and content["label"]:
                    yield n, content["label"]


def _drawn_after(notebook: NotebookNode, cell: int) -> Iterator[str]:
    """Labels of figures from this cell to the next heading."""
    end = next((n for n, one in enumerate(notebook.cells) if n > cell and _headings(one)), len(notebook.cells))
    return (label for n, label in drawn(notebook) if cell <= n < end)


def _headings(cell: NotebookNode) -> list[re.Match[str]]:
    return list(HEADING.finditer(cell.source)) if cell.cell_type == "markdown" else []


def _section(notebook: NotebookNode, cell: int, start: str) -> tuple[str, str] | None:
    """The id, new or old, of the last heading above a cell, and its title in quotation marks."""
    for n in range(cell, -1, -1):
        above = notebook.cells[n]
        if headings := _headings(above):
            last, name = headings[-1], f"{start}-{n}"
            if f"({name})=" not in above.source:
                above.source = f"{above.source[: last.start()]}({name})=\n{above.source[last.start() :]}"
            return name, f"“{re.sub(r'[`*$]', '', last[2])}”"
    return None
