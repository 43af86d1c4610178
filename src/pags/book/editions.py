"""Three editions of the pages from one source: what each of them does with the solutions of the exercises.

An edition is a function from a chapter's notebook to that of its page: what it takes away is then in no page, in no
notebook behind a download button, and in no index of the search. The students' has no page for teachers, either, and
each page of an edition for a class says which it is.
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
            cell.source = without_links(without_solutions(cell.source))
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip() or cell.cell_type == "code"]
    return notebook


def teacher(notebook: NotebookNode) -> NotebookNode:
    """Solutions open."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = exercises.BLOCK.sub(lambda match: match[0].replace(":class: dropdown\n", ""), cell.source)
    return notebook


MARKS = {student: "Student edition: no solutions", teacher: "Teacher edition: with all solutions, not for students"}
TEACHING = "how_to_teach"  # the teacher's page, with the plan and what goes wrong
LINK = re.compile(rf"(?P<before>(?:\A|\n\n|[.!?]\s+)?)\{{doc\}}`(?:[^`<]*<)?(?:\.\./|/)?{TEACHING}>?`")
CARD = re.compile(rf"^(:{{3,}})\{{grid-item-card\}}[^\n]*\n:link: {TEACHING}\n.*?^\1\n+", re.MULTILINE | re.DOTALL)
EDITIONS: dict[str, Edition] = {edition.__name__: edition for edition in (reader, student, teacher)}


def named(name: str) -> Edition:
    """The edition of this name; UsageError lists them."""
    if name not in EDITIONS:
        raise UsageError(f"edition {name!r} is unknown: write one of {', '.join(EDITIONS)}")
    return EDITIONS[name]


def folder(edition: Edition) -> Path:
    """Where an edition's pages go; the readers' are the book."""
    return paths.HTML if edition is reader else paths.HTML.parent / edition.__name__


def arrange(source: Path, settings: dict, edition: Edition) -> None:
    """Mark the pages of `source` by their `settings` as an edition's; drop the teacher's page from students'."""
    if edition in MARKS:
        settings["title"] = f"{settings['title']} ({edition.__name__} edition)"
        settings["html"] = (settings.get("html") or {}) | {"announcement": MARKS[edition]}
    if edition is not student or not (source / f"{TEACHING}.md").exists():
        return
    (source / f"{TEACHING}.md").unlink()
    toc = source / "_toc.yml"
    lines = re.sub(rf"^ *- file: {TEACHING}\n", "", toc.read_text(encoding="utf-8"), flags=re.MULTILINE)
    toc.write_text(lines.replace("caption: For teachers", "caption: For a class"), encoding="utf-8")
    for page in source.glob("*.md"):
        page.write_text(without_links(page.read_text(encoding="utf-8")), encoding="utf-8")


def without_links(text: str) -> str:
    """Markdown that names the teacher's page in words, and has no card that leads there."""

    def named(match: re.Match) -> str:
        return f"{match['before']}{'The' if match['before'] else 'the'} teacher's page"

    return LINK.sub(named, CARD.sub("", text))


def without_solutions(text: str) -> str:
    """Markdown without its solutions."""
    text = exercises.BLOCK.sub(lambda match: "" if match[2] == "solution" else match[0], text)
    return re.sub(r"\n{3,}", "\n\n", text)
