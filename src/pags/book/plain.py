"""The text of chapters without MyST's roles and directives: Markdown and formulas that any notebook or slide shows."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from pags import paths
from pags.book import chapters
from pags.errors import PagsError

FENCE = re.compile(
    r"^(?P<mark>:{3,}|`{3,})\{(?P<name>[\w:-]+)\} ?(?P<argument>[^\n]*)\n(?P<body>.*?)^(?P=mark)$\n?",
    re.MULTILINE | re.DOTALL,
)
OPTIONS = re.compile(r"\A(?::\w+:[^\n]*\n)+\n?")
ROLE = re.compile(r"\{([a-z:]+)\}`([^`]*)`")
EQUATION = re.compile(r"^([ >]*)\$\$ \((?:eq-)?([\w-]+)\)$", re.MULTILINE)
TARGET = re.compile(r"^\([\w-]+\)=\n", re.MULTILINE)
LABEL = re.compile(r"^:label: *([\w-]+)", re.MULTILINE)
ASKED = re.compile(r"^:{3,}\{exercise\}[^\n]*\n:label: *([\w-]+)", re.MULTILINE)
DRAWN = re.compile(r"\b(?:label|anchor)=\"(fig-[\w-]+)\"")
ENTRY = re.compile(r"@\w+\{(\w+),(.*?)\n\}", re.DOTALL)
# What stands before the first word of a sentence: nothing, a blank line, the mark of a point, the end of a sentence.
BEGINS = re.compile(r"(?:\A|\n\s*\n|^(?:[-*]|\d+\.) |[a-z0-9)\]%$*`][.?!][*)\"]*\s)[\s*(>]*\Z", re.MULTILINE)
ABBREVIATED = re.compile(r"\b(?:e\.g|i\.e|cf|vs|al|approx)\.\s+\Z")


ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303"}  # of LaTeX, to be combined
OWN_WORDS = ("doc", "ref", "prf:ref", "numref")  # roles that put words of ours: "chapter 05"


@dataclass(frozen=True)
class Names:
    """What labels and keys stand for: "the proposition *...*" for a label, and authors with a year for a key.

    Exercises and figures, by label, have the numbers of the pages: "2.3".
    """

    labels: Mapping[str, str]
    works: Mapping[str, tuple[str, str]]
    exercises: Mapping[str, str]
    figures: Mapping[str, str]


def names() -> Names:
    """The names of all labels of the chapters, and of all works of references.bib.

    PagsError names the entry of that file that has no author or no year.
    """
    labels: dict[str, str] = {}
    numbers: dict[str, str] = {}
    drawn: dict[str, str] = {}
    for chapter in chapters.names():
        text, number = chapters.source(chapter).read_text(encoding="utf-8"), chapters.short(chapter)
        for match in FENCE.finditer(text):
            labels |= _labels(match)
        numbers |= {label: f"{number}.{i}" for i, label in enumerate(ASKED.findall(text), 1)}
        drawn |= {label: f"{number}.{i}" for i, label in enumerate(dict.fromkeys(DRAWN.findall(text)), 1)}
    labels |= {label: f"exercise {number}" for label, number in numbers.items()}
    bib = paths.BOOK / "references.bib"
    entries = ENTRY.findall(bib.read_text(encoding="utf-8")) if bib.exists() else []
    return Names(labels, {key: _work(key, body) for key, body in entries}, numbers, drawn)


def _labels(match: re.Match) -> dict[str, str]:
    inner = {key: name for part in FENCE.finditer(match["body"]) for key, name in _labels(part).items()}
    label = LABEL.search(match["body"])
    kind = match["name"].removeprefix("prf:")
    return inner | ({label[1]: f"the {kind} *{match['argument']}*".replace(" **", "")} if label else {})


def _work(key: str, body: str) -> tuple[str, str]:
    """Authors and year of an entry of references.bib; PagsError where it lacks either."""
    authors = re.search(r"\bauthor\s*=\s*\{(.*)\},?\n", body)
    year = re.search(r"\byear\s*=\s*\{?(\d+)", body)
    whole = re.sub(r"[{}]", "", authors[1]).strip() if authors else ""
    if not whole or not year:
        raise PagsError(f"references.bib: {key} needs an author and a year, as `author = {{Surname, Name}},`")
    whole = re.sub(r"\\([\"'`^~])([A-Za-z])", lambda m: unicodedata.normalize("NFC", m[2] + ACCENTS[m[1]]), whole)
    people = [name.split(",")[0] for name in whole.split(" and ")]
    return " and ".join(people) if len(people) < 3 else f"{people[0]} et al.", year[1]


def plain(text: str, known: Names) -> str:
    """MyST as Markdown: a directive becomes a quotation with a title, or folds; a role becomes words or a link."""
    text = FENCE.sub(lambda match: _directive(match, known), TARGET.sub("", text))
    text = EQUATION.sub(lambda match: rf"{match[1]}\tag{{{match[2]}}}" + f"\n{match[1]}$$", text)
    return ROLE.sub(lambda match: _worded(match, known), text)


def _worded(match: re.Match, known: Names) -> str:
    """The words of a role, with a capital where they begin a sentence."""
    words = _role(match[1], match[2], known)
    start = match.start()
    before = ("" if start < 40 else "...") + match.string[max(0, start - 40) : start]
    if match[1] not in OWN_WORDS or match[2].endswith(">"):
        return words
    begins = BEGINS.search(before) and not ABBREVIATED.search(before)
    return words[:1].upper() + words[1:] if begins else words


def _directive(match: re.Match, known: Names) -> str:
    name, title = match["name"].removeprefix("prf:"), match["argument"].strip()
    body = plain(OPTIONS.sub("", match["body"]).strip(), known)
    if name == "dropdown":
        return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>\n"
    if name == "exercise":
        label = LABEL.search(match["body"])
        number = known.exercises.get(label[1], "") if label else ""
        return f"### {f'Exercise {number}'.strip()}: {title}\n\n{body}\n"
    if name == "solution":
        return f"{body}\n"
    named = f"**{name.capitalize()}** ({title})" if title else ""
    head = {"admonition": f"**{title}**", "proof": "*Proof.*"}.get(name, named)
    quoted = f"{head}\n\n{body}".replace("\n", "\n> ").replace("\n> \n", "\n>\n")
    return f"> {quoted}\n"


def _role(kind: str, text: str, known: Names) -> str:
    words, _, target = text.partition(" <") if text.endswith(">") else ("", "", f"{text}>")
    target = target.removesuffix(">")
    if kind in ("cite:t", "cite:p", "cite"):
        works = [known.works.get(key.strip(), (key.strip(), "")) for key in text.split(",")]
        if kind == "cite:t":
            return "; ".join(f"{people} ({year})" for people, year in works)
        return f"({'; '.join(f'{people}, {year}' for people, year in works)})"
    if words:
        return words
    if kind == "numref":
        number = known.figures.get(target)
        return f"[Figure {number}](#{target})" if number else known.labels.get(target, f"*{target}*")
    if kind == "eq":
        return f"({target.removeprefix('eq-')})"
    if kind == "doc":
        number = target.rsplit("/", 1)[-1].split("_", 1)[0]
        return f"chapter {number}" if number[:2].isdigit() else f"the page *{target.rsplit('/', 1)[-1]}*"
    if kind == "term":
        return f"*{target}*"
    return known.labels.get(target, f"*{target}*")
