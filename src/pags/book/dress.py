"""What the build adds to an executed chapter: its number, links from verdicts and back, links to the glossary."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nbformat import NotebookNode

from pags.book import chapters, scoreboard
from pags.book.seeds import Kept
from pags.errors import PagsError

TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
BOARD = "../scoreboard.html"
RUN = 'class="pags-run"'
TERM = re.compile(r"^(\S.*)$", re.MULTILINE)
AMBIGUOUS = {"score", "strokes"}  # a logit is called a score, and a pen makes strokes, too
# What no link may be put into: roles, code, formulas, links, tags, emphasis; the odd parts of a split are these.
KEPT = re.compile(r"(\{[^{}`]+\}`[^`]*`|`+[^`]*`+|\$[^$]*\$|!?\[[^\]]*\](?:\([^)]*\))?|<[^>]*>|\*+[^*]*\*+)")
NO_PROSE = ("#", "|", ":", "`", ">", "(", "$", "-", "*", "%", "+", " ", "\t")


def title(notebook: NotebookNode) -> tuple[NotebookNode, re.Match[str]]:
    """The cell that begins with the chapter's title, and the line; PagsError where there is none."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (line := TITLE.search(cell.source)):
            return cell, line
    raise PagsError("an executed chapter has no title: begin it with a line `# ...`")


def number_title(notebook: NotebookNode, chapter: str) -> None:
    """Put the chapter's number before its title, where the sidebar and links take it from."""
    cell, line = title(notebook)
    cell.source = f"{cell.source[: line.start(1)]}{chapters.number(chapter)} · {cell.source[line.start(1) :]}"


def insert_under_title(notebook: NotebookNode, box: str) -> None:
    """Put the box right under the chapter's title."""
    cell, line = title(notebook)
    cell.source = f"{cell.source[: line.end()]}\n\n{box}\n{cell.source[line.end() :]}"


def fold_parameters(notebook: NotebookNode) -> None:
    """Fold the cells that set parameters, and leave out a live run's box: that under the title says the same."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if {"parameters", "injected-parameters"} & set(tags) and "hide-input" not in tags:
            cell.metadata["tags"] = [*tags, "hide-input"]
        if "outputs" in cell:
            cell.outputs = [one for one in cell.outputs if RUN not in one.get("data", {}).get("text/html", "")]


def link_verdicts(
    notebook: NotebookNode, result: Mapping[str, Any], places: scoreboard.Places, kept: Collection[Kept] = ()
) -> None:
    """Show the chapter's verdicts, of the ledger as it is now, with links to their figures and to the scoreboard.

    And with those from other seeds, as far as these runs are `kept`.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if result and scoreboard.OF_CHAPTER in output.get("data", {}).get("text/html", ""):
                output.data["text/html"] = scoreboard.of_chapter(result, kept).html(BOARD, places)


def terms(glossary: str) -> list[str]:
    """The words that the glossary explains, in its order, but those that often mean something else."""
    block = re.search(r"^```\{glossary\}\n(.*?)^```", glossary, re.MULTILINE | re.DOTALL)
    return [word for word in TERM.findall(block[1]) if word not in AMBIGUOUS] if block else []


def link_terms(notebook: NotebookNode, words: Iterable[str]) -> None:
    """Link the first mention of every word in the chapter's paragraphs to the glossary; longer words go first."""
    left = sorted(words, key=len, reverse=True)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            fenced = re.split(r"(^([`:]{3,}).*?^\2[ ]*$)", cell.source, flags=re.MULTILINE | re.DOTALL)
            # A group within the group: every third part is prose, then comes a fenced block, then its fence.
            prose = [_linked(part, left) if n % 3 == 0 else part for n, part in enumerate(fenced) if n % 3 != 2]
            cell.source = "".join(prose)


def _linked(prose: str, left: list[str]) -> str:
    """The prose with links to those words that are `left`, which are then no longer."""
    paragraphs = re.split(r"(\n[ \t]*\n)", prose)
    for n, paragraph in enumerate(paragraphs):
        if not paragraph.strip() or paragraph.lstrip("\n").startswith(NO_PROSE) or "\n|" in paragraph:
            continue
        for word in list(left):
            pattern = re.compile(rf"(?<![\w-]){re.escape(word)}s?(?![\w-])", re.IGNORECASE)
            parts = KEPT.split(paragraph)
            for i in range(0, len(parts), 2):
                if match := pattern.search(parts[i]):
                    role = f"{{term}}`{match[0]} <{word}>`"
                    parts[i] = f"{parts[i][: match.start()]}{role}{parts[i][match.end() :]}"
                    left.remove(word)
                    break
            paragraph = "".join(parts)
        paragraphs[n] = paragraph
    return "".join(paragraphs)
