"""What must hold before a page counts. Every gate returns its complaints, one line each; none means that it holds."""

import json
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from pags import paths
from pags.book import figures, results
from pags.errors import PagsError

WARNING = re.compile(r"\b[A-Z]\w*Warning\b")
EARLIER = "Earlier code made this page"
ROLE = re.compile(r"\{[a-z:]+\}`[^`]*`")
SHOWN = ("text/plain", "text/html", "text/markdown")
OWN_ADDRESS = {"a": "href", "link": "href", "script": "src", "img": "src", "source": "src", "iframe": "src"}
ERROR_MARKS = {
    ".output.traceback, #papermill-error-cell": "an error of a cell",
    ".output.stderr": "what a cell wrote to stderr",
    ".system-message, .problematic": "text that Sphinx could not understand",
}


def sources(notebooks: Path) -> list[str]:
    """Chapters are text: no .ipynb beside them, and nothing in them that a run has left."""
    complaints = [f"{path.name}: chapters are text notebooks (.md)" for path in sorted(notebooks.rglob("*.ipynb"))]
    for path in sorted(notebooks.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        head = text.split("\n---", 1)[0] if text.startswith("---") else ""
        if re.search(r"^\s*papermill:", head, re.MULTILINE):
            complaints.append(f"{path.name}: its header keeps what papermill wrote")
        if re.search(r"^```\{code-cell\}[^`]*?^(execution_count|outputs):", text, re.MULTILINE | re.DOTALL):
            complaints.append(f"{path.name}: a cell keeps an execution count or outputs")
        if re.search(r"data:image/[a-z+]+;base64,", text):
            complaints.append(f"{path.name}: holds a picture that a cell has made")
    return complaints


def executed(notebook: NotebookNode) -> list[str]:
    """Every code cell completed and printed no error, no warning, no path of this machine, no role left as it is."""
    code = [(n, c) for n, c in enumerate(notebook.cells, 1) if c.cell_type == "code" and c.source.strip()]
    if not code:
        return ["the notebook has no code cell"]
    return [f"cell {n}: {complaint}" for n, cell in code for complaint in _cell(cell)]


def _cell(cell: NotebookNode) -> Iterator[str]:
    if cell.get("execution_count") is None:
        yield "was not executed"
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            yield f"ended with {output.ename}: {output.evalue}"
            continue
        data = output.get("data", {})
        figure = data.get(figures.MIME, {})
        plain = figures.texts(figure) if figure else []  # no role works there
        shown = [output.get("text", ""), *(str(data.get(kind, "")) for kind in SHOWN), *plain]
        text = "\n".join([*shown, figure.get("caption", "")])
        if output.get("name") == "stderr":
            yield f"wrote to stderr: {_first(text)}"
        elif found := WARNING.search(text):
            yield f"printed a warning: {_first(text[found.start() :])}"
        if found := ROLE.search("\n".join([str(data.get("text/markdown", "")), *plain])):
            yield f"shows a role, which works in the text and in captions only: {found[0]}"
        if found := _places().search(text):
            yield f"names a path of this machine: {_first(text[found.start() :])}"


def _places() -> re.Pattern[str]:
    """Matches a path below one of ours; a home that is / or not known, as in containers, marks none."""
    candidates = (paths.ROOT, paths.BUILD, Path(os.path.expanduser("~")))
    ours = {str(place) for place in candidates if place.is_absolute() and place != Path("/")}
    return re.compile(rf"(?:(?<![\w./~%-])|(?<=file://))(?:{'|'.join(map(re.escape, sorted(ours)))})/")


def _first(text: str) -> str:
    return next((line.strip()[:150] for line in text.splitlines() if line.strip()), "(blank)")


def result(path: Path) -> list[str]:
    """The chapter wrote a results file, and it is valid and its own."""
    if not path.exists():
        return [f"the chapter wrote no results ({path.name} is missing): end it with run.save()"]
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        results.validate(found)
    except (ValueError, PagsError) as error:
        return [f"{path.name}: {error}"]
    complaint = results.misplaced(found, path)
    return [f"{path.name} {complaint}"] if complaint else []


def page_names(directory: Path) -> list[str]:
    """The pages of a built book, as paths below `directory`; what the theme keeps under _static is none."""
    names = (path.relative_to(directory) for path in sorted(directory.rglob("*.html")))
    return [name.as_posix() for name in names if name.parts[0] != "_static"]


def html(directory: Path) -> list[str]:
    """No error mark, no formula left as text, an alternative text for every image, nothing loaded from elsewhere, no
    link that leads nowhere.
    """
    files = [directory.resolve() / name for name in page_names(directory)]
    parsed = {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in files}
    if not parsed:
        return [f"no page in {directory}"]
    anchors = {
        path: {str(tag.get("id") or tag.get("name")) for tag in page.find_all(_named)} for path, page in parsed.items()
    }
    complaints = []
    for path, page in parsed.items():
        name = path.relative_to(directory.resolve())
        found = [*_marks(page), *_formulas(page), *_images(page), *_links(path, page, directory.resolve(), anchors)]
        complaints += [f"{name}: {complaint}" for complaint in dict.fromkeys(found)]
    return complaints


def names(directory: Path, metrics: Collection[str]) -> list[str]:
    """No page shows one of these names of metrics as text, but in code or in a block that is folded.

    A page that earlier code made says what it said then.
    """
    known = {name for name in metrics if "." in name}  # one without a dot may be a word
    complaints = []
    for name in page_names(directory):
        page = BeautifulSoup((directory / name).read_text(encoding="utf-8"), "html.parser")
        if (box := page.select_one(".pags-status")) and EARLIER in box.get_text():
            continue
        for hidden in page.find_all(["details", "pre", "code", "script", "style"]):
            hidden.decompose()
        found = {word.strip(".-") for word in re.findall(r"[\w.-]+\.[\w.-]+", page.get_text(" "))} & known
        complaints += [f"{name}: shows the name of a metric, {one}: say it in words" for one in sorted(found)]
    return complaints


def _named(tag: Tag) -> bool:
    return tag.has_attr("id") or (tag.name == "a" and tag.has_attr("name"))


def _marks(page: BeautifulSoup) -> Iterator[str]:
    for selector, meaning in ERROR_MARKS.items():
        for tag in page.select(selector):
            yield f"shows {meaning}: {_first(tag.get_text())}"


def _formulas(page: BeautifulSoup) -> Iterator[str]:
    """Dollar signs in prose: a formula that was taken apart, by a line that begins like a list say."""
    for text in page.find_all(string=re.compile(r"\$")):
        if not text.find_parent(["code", "pre", "script", "style", "title"]) and not text.find_parent(class_="math"):
            yield f"shows a formula as text: {_first(text)}"


def _images(page: BeautifulSoup) -> Iterator[str]:
    for image in page.find_all("img"):
        alt = str(image.get("alt") or "").strip()
        if image.get("role") == "presentation" or image.get("aria-hidden") == "true":
            continue
        if not alt or re.fullmatch(r"\S+\.(png|svg|jpe?g|gif|webp)", alt):
            yield f"an image says nothing to those who cannot see it: alt={alt!r} src={str(image.get('src'))[:60]}"


def _links(path: Path, page: BeautifulSoup, root: Path, anchors: dict[Path, set[str]]) -> Iterator[str]:
    for tag in page.find_all(list(OWN_ADDRESS)):
        address = str(tag.get(OWN_ADDRESS[tag.name]) or "")
        parts = urlsplit(address)
        if parts.scheme in ("data", "mailto", "javascript"):
            continue
        if parts.netloc:
            if tag.name != "a" and tag.get("rel") != ["canonical"]:
                yield f"loads {address[:100]} from elsewhere: the book must work without a network"
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file() or not target.is_relative_to(root):
            yield f"leads nowhere: {address}"
        elif parts.fragment and target in anchors and unquote(parts.fragment) not in anchors[target]:
            yield f"leads to no place on its page: {address}"
