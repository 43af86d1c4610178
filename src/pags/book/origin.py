"""What of a page is of its run: digests of the code that made its numbers, compared with the tree, and its text."""

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nbformat import NotebookNode

from pags import artifacts, presets
from pags.book import chapters
from pags.errors import UsageError

ALWAYS = "pags.stats"  # every interval comes from it, whatever a chapter imports


def digests(chapter: str, settings: str, device: str) -> dict[str, str]:
    """Module -> digest of its code, for all that the chapter's cells and its module of `settings` import.

    What this kind of device does not run, what shows the book, comments and the values of settings do not count.
    """
    cells = _code(chapters.read(chapter)) if chapters.source(chapter).exists() else []
    sources = {
        name: _without_values(text) if name.startswith("pags.presets.") else text
        for name, text in artifacts.run_on(device, artifacts.sources("pags")).items()
        if name != "pags.presets" and not name.startswith("pags.book")  # the table of all settings; what shows the book
    }
    roots = {name for cell in cells for name in artifacts.imports(_tree(cell), "")} | {settings, ALWAYS}
    return artifacts.digests((roots & sources.keys()) - artifacts.MOVERS, sources)


def changes(chapter: str, notebook: NotebookNode, result: Mapping[str, Any]) -> list[str]:
    """What is not as it was when a notebook was executed: its cells, its settings, modules by name. Empty: all is.

    `result` is its results file, or empty where there is none.
    """
    if not chapters.source(chapter).exists():
        return ["the chapter, which is gone"]
    found = [] if _code(notebook) == _code(chapters.read(chapter)) else ["cells"]
    if not result:
        return found
    used = result["parameters"]
    try:
        config = presets.get(chapter, result["preset"], used["overrides"])
    except UsageError:  # a field that is no more
        return [*found, "settings"]
    found += [] if json.loads(json.dumps(asdict(config))) == used["config"] else ["settings"]
    if "source" not in result:
        return [*found, "what was not recorded"]
    before, now = result["source"], digests(chapter, type(config).__module__, used["device"])
    return found + sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def cells(notebook: NotebookNode) -> str:
    """A digest of a notebook's code cells but those with the parameters of a run."""
    return hashlib.sha256(json.dumps(_code(notebook)).encode()).hexdigest()


def with_text_of_today(notebook: NotebookNode, chapter: str) -> NotebookNode:
    """The executed notebook with the text that the chapter has now, where its code cells and their places are the same.

    What a run has printed stays: it speaks of the run's own numbers.
    """
    if not chapters.source(chapter).exists():
        return notebook
    source = chapters.read(chapter)
    executed = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", ())]
    if _code(notebook) == _code(source) and [c.cell_type for c in executed] == [c.cell_type for c in source.cells]:
        for cell, now in zip(executed, source.cells, strict=True):
            if cell.cell_type == "markdown":
                cell.source = now.source
    return notebook


def _code(notebook: NotebookNode) -> list[str]:
    """The code cells but those that hold the parameters of a run."""
    return [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and not {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", ()))
    ]


def _tree(cell: str) -> ast.AST:
    try:
        return ast.parse(cell)
    except SyntaxError:  # a line that only IPython understands
        return ast.Module([], [])


def _without_values(source: str) -> str:
    """The source with no value for any field of a class, nor for any name that stands for one."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Assign)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign):
                    field.value = None
    return ast.unparse(tree)
