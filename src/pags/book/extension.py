"""What the book adds to Sphinx: numbers by chapter, names of folds, how numbers are set, an index of theorems."""

import re
from collections import Counter
from html import unescape
from textwrap import shorten
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains import IndexEntry
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_proof.domain import ProofDomain, ProofIndex

from pags.book import chapters, typography

CAPTION = re.compile(r"<caption>(.*?)</caption>", re.DOTALL)
LONGEST = 60  # characters of a caption in a fold's name


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("env-get-updated", number_by_chapter, priority=900)  # Sphinx itself numbers at 500
    app.add_post_transform(NameFolds)
    app.add_post_transform(SetNumbers)
    ProofDomain.indices = [TheoremIndex]
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def chapter_of(docname: str) -> str | None:
    """The chapter whose page this is; None for a page written by hand."""
    name = docname.rpartition("/")[2]
    return name if docname.startswith("chapters/") and chapters.ID.fullmatch(name) else None


def number_by_chapter(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Give figures, theorems and exercises of a chapter the numbers 3.1, 3.2, ...; no page has to be read again."""
    for docname, kinds in env.toc_fignumbers.items():
        if chapter := chapter_of(docname):
            for kind, numbered in kinds.items():
                ours = {name: (chapters.short(chapter), n) for n, name in enumerate(numbered, 1)}
                kinds[kind] = ours  # type: ignore[assignment]  # Sphinx joins whatever stands there by dots
    return []


class NameFolds(SphinxPostTransform):
    """Name the fold of a cell's code after what the cell shows: its figure, its table, or its section."""

    default_priority = 150  # outputs are chosen at 4, MyST-NB makes the folds at 199
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Set the prompts of every cell with something hidden."""
        figures = self.env.toc_fignumbers.get(self.env.docname, {}).get("figure", {})
        used: Counter[str] = Counter()
        for cell in self.document.findall(nodes.container):
            if not cell.get("hide_mode"):
                continue
            name = of_parameters(cell) or of_figures(cell, figures) or of_table(cell) or of_section(cell)
            used[name] += 1
            name += f", part {used[name]}" if used[name] > 1 else ""
            cell["prompt_show"] = cell["prompt_hide"] = name


def of_parameters(cell: nodes.Element) -> str:
    """What a cell of parameters sets; "" for any other cell."""
    said = {"tag_parameters": "Parameters of this chapter", "tag_injected-parameters": "Parameters of this run"}
    return next((name for tag, name in said.items() if tag in cell["classes"]), "")


def of_figures(cell: nodes.Element, numbers: dict[str, tuple]) -> str:
    """ "Code of Figure 3.2", "Code of Figures 3.2 and 3.3"; "" where the cell draws none that has a number."""
    ids = [figure["ids"][0] for figure in cell.findall(nodes.figure) if figure["ids"]]
    found = [".".join(map(str, numbers[name])) for name in ids if name in numbers]
    return f"Code of Figure{'s' * (len(found) > 1)} {' and '.join(found)}" if found else ""


def of_table(cell: nodes.Element) -> str:
    """ "Code of the table “how its caption begins”"; "" where the cell shows no table."""
    caption = CAPTION.search(" ".join(raw.astext() for raw in cell.findall(nodes.raw)))
    if not caption:
        return ""
    words = unescape(re.sub("<[^>]*>", "", caption[1])).strip()
    begins = re.split(r"[,:;(](?!\d)", words)[0]  # not within a number
    return f"Code of the table “{shorten(begins, LONGEST, placeholder=' ...')}”"


class SetNumbers(SphinxPostTransform):
    """Set numbers and their units in text and raw HTML as `typography` says."""

    default_priority = 800  # when references and outputs have become text
    formats = ("html",)
    literal = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.comment)

    def run(self, **kwargs: Any) -> None:
        """Replace the texts of the page."""
        for raw in list(self.document.findall(nodes.raw)):
            if "html" in raw.get("format", ""):
                raw[:] = [nodes.Text(typography.html(raw.astext()))]
        for text in list(self.document.findall(nodes.Text)):
            parent: nodes.Node | None = text.parent
            while parent is not None and not isinstance(parent, self.literal):
                parent = parent.parent
            if parent is None and (told := typography.prose(text)) != text:
                text.parent.replace(text, nodes.Text(told))
        for formula in list(self.document.findall(nodes.math)):
            keep_its_end(formula)
        for link in list(self.document.findall(nodes.reference)):
            begin_with_a_word(link)


def keep_its_end(formula: nodes.math) -> None:
    """Put a formula and the punctuation or the half word after it where no line breaks between them."""
    whole, at = formula.parent, formula.parent.index(formula)
    after = whole[at + 1] if at + 1 < len(whole) else None
    if not isinstance(after, nodes.Text) or not (end := typography.end_of_word(after)):
        return
    rest = [nodes.Text(after[len(end) :])] if len(after) > len(end) else []
    whole[at : at + 2] = [nodes.inline("", "", formula, nodes.Text(end), classes=["one-piece"]), *rest]


def begin_with_a_word(link: nodes.reference) -> None:
    """Put a space with which a link begins before it, where it is not underlined."""
    first = link.next_node(nodes.Text)
    if first is not None and first[:1] == " ":
        first.parent.replace(first, nodes.Text(first[1:]))
        link.parent.insert(link.parent.index(link), nodes.Text(" "))


def of_section(cell: nodes.Element) -> str:
    """ "Code of “its section's title”", and of the chapter's beginning "Code that prepares this page"."""
    section = cell.parent
    while section is not None and not isinstance(section, nodes.section):
        section = section.parent
    if section is None or isinstance(section.parent, nodes.document):
        return "Code that prepares this page"
    return f"Code of “{section.next_node(nodes.title).astext()}”"


class TheoremIndex(ProofIndex):
    """Theorems, definitions and the like by chapter, with their numbers and titles."""

    localname = "Theorems and definitions"
    shortname = "theorems"

    def generate(self, docnames: Any = None) -> tuple[list[tuple[str, list[IndexEntry]]], bool]:
        """A list of entries for each page, in the page's order."""
        env = self.domain.env
        by_page: dict[str, list[IndexEntry]] = {}
        for label, about in getattr(env, "proof_list", {}).items():
            docname = about["docname"]
            number = env.toc_fignumbers.get(docname, {}).get(about["countertype"], {}).get(label, ())
            name = " ".join([about["realtype"].title(), ".".join(map(str, number))]).strip()
            title = titles(env, docname).get(label, "").strip()
            entry = IndexEntry(f"{name} {title}".strip(), 0, docname, label, "", "", "")
            by_page.setdefault(env.titles[docname].astext(), []).append(entry)
        return sorted(by_page.items()), True


def titles(env: BuildEnvironment, docname: str) -> dict[str, str]:
    """Label -> title, in parentheses, of every theorem and the like of a page."""
    known = env.temp_data.setdefault("pags-titles", {})
    if docname not in known:
        document = env.get_doctree(docname)
        known[docname] = {
            node["label"]: node.next_node(nodes.title).astext()
            for node in document.findall(lambda node: isinstance(node, nodes.Element) and node.get("realtype"))
        }
    return known[docname]
