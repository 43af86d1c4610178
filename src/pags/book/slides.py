"""A deck of slides for each chapter, made of what its page holds: headings, first paragraphs, statements, figures.

reveal.js and MathJax lie beside the decks as files, so that a deck needs no network. The whole text of a section is in
the speaker's notes (key S) of the slide that begins it.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

from pags.book import chapters, exercises, figures, plain, runs, shipped
from pags.errors import PagsError
from pags.files import filling

LEAST, MOST = 12, 20
MATHJAX = ("tex-mml-chtml.js", "output/chtml")
WORDS = 70  # of text on a slide beside a figure
LONGEST = 175  # words of a statement that a slide holds
SKIPPED = re.compile(r"^(Exercises|Further reading|Paper, |What became of)")
STATEMENTS = ("theorem", "proposition", "definition", "conjecture", "remark", "algorithm")
AIMS = re.compile(
    r"^```\{admonition\} (What you will[^\n]*)\n(?::\w+:.*?\n)*(.*?)^(?:\*\*You|```)", re.MULTILINE | re.DOTALL
)
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="reveal/reset.css">
<link rel="stylesheet" href="reveal/reveal.css">
<link rel="stylesheet" href="deck.css">
</head>
<body>
<main><div class="reveal"><div class="slides">
{slides}
</div></div></main>
<script>window.MathJax = {{startup: {{typeset: true}}, options: {{enableMenu: false}}}};</script>
<script src="mathjax/tex-mml-chtml.js"></script>
<script src="reveal/reveal.js"></script>
<script src="reveal/notes.js"></script>
<script>Reveal.initialize({{hash: true, slideNumber: "c/t", width: 1280, height: 720, margin: 0.04, center: false,
  transition: "none", plugins: [RevealNotes]}});
// A slide that holds more than fits gets smaller letters, once its formulas are set.
MathJax.startup.promise.then(() => document.querySelectorAll(".slides > section").forEach((slide, at) => {{
  const start = Reveal.getState();
  Reveal.slide(at);
  for (let size = 95; size > 45 && (slide.scrollHeight > 712 || slide.scrollWidth > slide.clientWidth); size -= 5)
    slide.style.fontSize = size + "%";
  Reveal.setState(start);
}}));</script>
</body>
</html>
"""
STYLE = """\
html, body, main { height: 100%; margin: 0; }
body { background: #fff; color: #1a1a1a; font-family: system-ui, sans-serif; }
.reveal { font-size: 27px; line-height: 1.35; }
.reveal .slides { text-align: left; }
.reveal h1 { font-size: 1.9em; font-weight: 600; margin-bottom: .6em; }
.reveal h2 { font-size: 1.4em; font-weight: 600; margin-bottom: .5em; border-bottom: 3px solid #0069a8; }
.reveal p, .reveal li { margin-bottom: .5em; }
.reveal ul, .reveal ol { margin-left: 1.2em; }
.reveal ul { list-style: disc; }
.reveal em { font-style: italic; }
.reveal strong { font-weight: 600; }
.reveal code { font-family: ui-monospace, monospace; font-size: .9em; }
.reveal figure img { display: block; width: 100%; height: 430px; margin: 0 auto; object-fit: contain; }
.reveal figure img.pixels { height: 330px; image-rendering: pixelated; }
.reveal figcaption { font-size: .72em; color: #444; margin-top: .4em; }
.reveal blockquote { border-left: 4px solid #0069a8; padding-left: .8em; }
.reveal table { font-size: .72em; border-collapse: collapse; }
.reveal td, .reveal th { padding: .15em .6em; border-bottom: 1px solid #bbb; text-align: left; vertical-align: top; }
.reveal .small { font-size: .8em; }
.reveal .slide-number { background: none; color: #444; }
"""


@dataclass(frozen=True)
class Slide:
    """One slide in Markdown or HTML; of two with too many others, that with the larger `rank` goes first."""

    title: str
    body: str
    rank: int = 0
    notes: str = ""


def write(directory: Path, preset: str = "quick") -> Path:
    """Write a deck a chapter, with an index and what they load, into a directory; returns it.

    UsageError where the directory holds something else, PagsError where a chapter was not executed at `preset`
    ("best": at any), or reveal.js is not installed; nothing is written then.
    """
    runs.preset_named(preset)
    decks = {one.chapter: one.notebook for one in runs.read(chapters.names(), preset)}
    known, elsewhere = plain.names(), statements()
    with filling(directory, "deck.css", "slides") as work:
        made = {name: deck(notebook, exercises.read(name), known, elsewhere) for name, notebook in decks.items()}
        for chapter, slides in made.items():
            (work / f"{chapter}.html").write_text(page(slides), encoding="utf-8")
        (work / "deck.css").write_text(STYLE, encoding="utf-8")
        (work / "index.html").write_text(_index(made), encoding="utf-8")
        shipped.reveal(work / "reveal")
        shipped.mathjax(work / "mathjax", MATHJAX)
    return directory


def deck(
    notebook: NotebookNode, asked: list[exercises.Exercise], known: plain.Names, elsewhere: Mapping[str, str]
) -> list[Slide]:
    """The slides of an executed chapter, from `LEAST` to `MOST` of them, in the page's order.

    A short page is filled up with the statements of other chapters that it refers to, from `elsewhere`.
    """
    sections = list(_sections(notebook))
    if not sections:
        raise PagsError("a chapter without a heading makes no slides")
    title, opening = sections[0].title, sections[0]
    lead = next((p for p in _paragraphs(opening.text) if not p.startswith("```")), "")
    found = [Slide(title, plain.plain(lead, known), notes="")]
    if aims := AIMS.search(opening.text):
        found.append(Slide(aims[1], plain.plain(aims[2].strip(), known)))
    found += [_figure(content, title, known, 1) for content in opening.figures[:1]]
    for section in sections[1:]:
        if section.title.startswith("What we found"):
            found += _conclusions(section, known)
        elif not SKIPPED.match(section.title):
            found += _section(section, known)
    text = "\n".join(section.text for section in sections)
    labels = dict.fromkeys(re.findall(r"\{prf:ref\}`([\w-]+)`", text))
    there = [match for one in labels if (match := plain.FENCE.search(elsewhere.get(one, ""))) and one not in own(text)]
    more = [Slide(plain.plain(match["argument"], known), plain.plain(match[0], known)) for match in there]
    places = [i for i, slide in enumerate(found) if slide.title.startswith("What we found")] or [len(found)]
    found[places[0] : places[0]] = more[: max(0, LEAST + 2 - len(found))]
    found.append(Slide("Exercises", _asked(asked, known)))
    return _trimmed(found)


def statements() -> dict[str, str]:
    """Label -> directive of each statement that is short enough for a slide, of all chapters."""
    texts = [chapters.source(chapter).read_text(encoding="utf-8") for chapter in chapters.names()]
    return {label: whole for text in texts for label, whole in own(text).items()}


def own(text: str) -> dict[str, str]:
    """Label -> directive of the statements in MyST that are short enough for a slide."""
    found = {}
    for match in plain.FENCE.finditer(text):
        label = re.search(r"^:label: *([\w-]+)", match["body"], re.MULTILINE)
        if label and match["name"].removeprefix("prf:") in STATEMENTS and len(match[0].split()) <= LONGEST:
            found[label[1]] = match[0]
    return found


@dataclass
class Section:
    """A heading with what stands below it: text, what the run says, figures."""

    title: str
    text: str
    said: list[str]
    figures: list[dict]


def _sections(notebook: NotebookNode) -> Iterator[Section]:
    """The page's sections; the first one begins with the title."""
    now: Section | None = None
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for part in re.split(r"^(?=#{1,3} )", cell.source, flags=re.MULTILINE):
                head, _, rest = part.partition("\n")
                if head.startswith("#"):
                    if now:
                        yield now
                    now = Section(head.lstrip("# "), rest, [], [])
                elif now and part.strip():
                    now.text += "\n\n" + part
        elif now:
            data = [output.get("data", {}) for output in cell.get("outputs", [])]
            now.figures += [one[figures.MIME] for one in data if figures.MIME in one]
            said = [one["text/markdown"] for one in data if "text/markdown" in one]
            now.said += [text for text in said if not re.search("</?[a-z]", text)]  # sentences, no HTML
    if now:
        yield now


def _paragraphs(text: str) -> list[str]:
    """What stands between blank lines, directives and formulas whole."""
    blocks: list[str] = []
    pattern = r"^(:{3,}|`{3,})\{.*?^\1$|^\$\$.*?^\$\$[^\n]*$|(?:^(?!\$\$|:::|```)[^\n]*\S[^\n]*(?:\n|\Z))+"
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        blocks.append(match[0].strip())
    return blocks


def _section(section: Section, known: plain.Names) -> Iterator[Slide]:
    """The section's slides: its beginning with its first figure, its statements, its questions, its other figures."""
    parts = _paragraphs(section.text)
    prose = [part for part in parts if not re.match(r"[:`]{3}|\$\$|\||\(|- |\d\. ", part)]
    notes = "\n\n".join(plain.plain(part, known) for part in prose)
    formula = next((part for part in parts if part.startswith("$$")), "")
    table = next((part for part in parts if part.startswith("|")), "")
    if section.figures:
        lead = _shortened(" ".join(prose[:1]), WORDS // 2)
        first = _figure(section.figures[0], section.title, known, 1)
        yield replace(first, body=f"{first.body}\n\n{plain.plain(lead, known)}", notes=notes)
    else:
        lead = _shortened(" ".join(prose[:2]), WORDS)
        said = _shortened(" ".join(section.said[:1]), WORDS)
        body = [lead, formula, table if table.count("\n") < 12 else "", said]
        rank = 2 if formula or table else 4
        yield Slide(section.title, plain.plain("\n\n".join(filter(None, body)), known), rank, notes)
    for part in prose:
        if question := re.match(r"\*\*([^*]+\?)\*\*", part):
            answer = re.sub(r"^\{doc\}`[^`]*`\.\s*", "", part[question.end() :].strip())
            yield Slide(question[1], plain.plain(answer, known), 3)
    for match in plain.FENCE.finditer(section.text):
        kind = match["name"].removeprefix("prf:")
        if kind in STATEMENTS and len(match[0].split()) <= LONGEST:
            yield Slide(section.title, plain.plain(match[0], known), 6 if kind in ("remark", "algorithm") else 3)
    for number, content in enumerate(section.figures[1:]):
        yield _figure(content, section.title, known, 5 + number)


def _figure(content: dict, title: str, known: plain.Names, rank: int) -> Slide:
    """A slide with a figure; of one that moves, the picture that it starts with."""
    frames = content.get("frames")
    at = 0
    if frames:
        for start, values in zip(content["start"], content["values"], strict=True):
            at = at * len(values) + start
    source = frames[at] if frames else figures.data_uri(content["svg"])
    caption = _inline(_shortened(plain.plain(content["caption"], known), WORDS))
    moves = " (on the page it moves)" if frames else ""
    pixels = ' class="pixels"' if content.get("width") else ""
    picture = f'<img src="{source}" alt="{html.escape(content["alt"])}"{pixels}>'
    return Slide(title, f"<figure>{picture}<figcaption>{caption}{moves}</figcaption></figure>", rank=rank)


def _conclusions(section: Section, known: plain.Names) -> list[Slide]:
    """What the chapter found: the points of its run, each shortened, five to a slide."""
    found = [part for text in section.said for part in re.split(r"^(?:\d+\.|-) |\n\n", text, flags=re.MULTILINE)]
    points = [_shortened(plain.plain(one, known), WORDS // 2) for one in found if one.strip()]
    pages = ["\n".join(f"- {point}" for point in points[at : at + 5]) for at in range(0, len(points), 5)]
    return [Slide(section.title, page) for page in pages or [_shortened(section.text, 2 * WORDS)]]


def _asked(asked: list[exercises.Exercise], known: plain.Names) -> str:
    lines = []
    for one in asked:
        minutes = re.search(r"about (an hour|\d+ minutes)", one.text)
        stars = "●" * one.difficulty + "○" * (3 - one.difficulty)
        number = known.exercises.get(one.label, "")
        lines.append(f"- {stars} {number} {one.title}" + (f", {minutes[1]}" if minutes else ""))
    return "\n".join(lines)


def _sentences(text: str) -> list[str]:
    """The sentences of a paragraph; a full stop inside a formula or a number ends none."""
    text = " ".join(text.split())
    return [one.strip() for one in re.split(r"(?<=[a-z0-9)\]%$*][.?!])\s+(?=[A-Z*$])", text) if one.strip()]


def _shortened(text: str, words: int) -> str:
    """The first sentences, of at most so many words, or the first alone."""
    kept: list[str] = []
    for sentence in _sentences(text):
        if kept and len(" ".join([*kept, sentence]).split()) > words:
            break
        kept.append(sentence)
    return " ".join(kept)


def _trimmed(found: list[Slide]) -> list[Slide]:
    """The slides without those of the largest ranks, later ones first, until there are `MOST`."""
    found = [slide for slide in found if slide.body.strip() or slide.rank == 0]
    while len(found) > MOST:
        worst = max(range(len(found)), key=lambda i: (found[i].rank, i))
        if found[worst].rank == 0:
            raise PagsError(f"{len(found)} slides, of which none may go: a section is too long")
        del found[worst]
    return found


def _parser() -> MarkdownIt:
    """Markdown with tables, formulas left to MathJax."""
    parser = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, double_inline=True)
    parser.add_render_rule("math_inline", lambda _, tokens, at, *rest: rf"\({html.escape(tokens[at].content)}\)")
    for rule in ("math_inline_double", "math_block"):
        parser.add_render_rule(rule, lambda _, tokens, at, *rest: rf"\[{html.escape(tokens[at].content)}\]")
    return parser


PARSER = _parser()


def _inline(text: str) -> str:
    return PARSER.renderInline(text)


def page(slides: list[Slide]) -> str:
    """A deck as HTML."""
    sections = []
    for number, slide in enumerate(slides):
        head = "h1" if number == 0 else "h2"
        figure, _, text = slide.body.rpartition("</figure>")
        body = PARSER.render(text) + (f"{figure}</figure>" if figure else "")
        size = ' class="small"' if len(text.split()) > 110 else ""
        notes = f'<aside class="notes">{PARSER.render(slide.notes)}</aside>' if slide.notes else ""
        sections.append(f"<section><{head}>{_inline(slide.title)}</{head}>\n<div{size}>{body}</div>{notes}</section>")
    return PAGE.format(title=html.escape(_bare(slides[0].title)), slides="\n".join(sections))


def _bare(title: str) -> str:
    return re.sub(r"[$*`]", "", title)


def _index(made: Mapping[str, list[Slide]]) -> str:
    lines = "\n".join(
        f'<li><a href="{chapter}.html">{chapter.split("_")[0]} {html.escape(_bare(slides[0].title))}</a>, '
        f"{len(slides)} slides</li>"
        for chapter, slides in made.items()
    )
    style = "body{font-family:system-ui,sans-serif;max-width:40em;margin:2em auto;padding:0 1em;line-height:1.6}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Slides</title><style>{style}</style></head>'
        f"<body><main><h1>Slides</h1><ul>\n{lines}\n</ul></main></body></html>\n"
    )
