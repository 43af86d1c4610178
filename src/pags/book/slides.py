"""A deck of slides for each chapter, made of what its page holds: headings, first paragraphs, statements, figures.

reveal.js and MathJax lie beside the decks as files, so that a deck needs no network. The text of a section that its
slides leave out, and the proof of a statement, are in the speaker's notes (key S).
"""

import base64
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

from pags.book import chapters, exercises, figures, plain, runs, scoreboard, shipped, typography
from pags.errors import PagsError
from pags.files import filling

LEAST, MOST = 12, 20
MATHJAX = ("tex-mml-chtml.js", "output/chtml")
WORDS, BESIDE, CAPTION = 110, 40, 70  # of a slide without a figure, of the text at a figure, and of its caption
LONGEST = 175  # words of a statement that a slide holds
FORMULA = 14  # words that take the room of a line of a formula
POINTS, SAID = 6, 190  # conclusions on a slide, and their words
# Height by width of a figure: below the first it leaves room for some text more, up to the second it stands below its
# text, from the third on it is cut and has two slides.
FLAT, WIDE, TALL = 0.53, 0.56, 1.0
ROOM = (790, 660)  # pixels for a figure beside its text
LARGE = 140  # per cent, the letters of a slide that has room for them
LARGEST = 2.1  # times its size on the page
# Parts of the size of a figure's letters, in its units of a hundred to a size: how far they reach above and below their
# line, and how far a legend goes on below its last.
ASCENT, DESCENT, FOOT = 80, 25, 50
# Figures to vote on before their rows are named, each with the names that a slide before it replaces by numbers.
VOTES = {"fig-03-two-maps": ("no adversary", "adversary")}
MOVES = re.compile(r"\b[Ss]liders?\b|^Go to ")  # what only the page can do
DISPLAY = re.compile(r"\$\$|^\|", re.MULTILINE)
DISPLAYED = re.compile(r"\$\$|\||- |\d\. ")
SKIPPED = re.compile(r"^(Exercises|Further reading|Paper, |What became of)")
STATEMENTS = ("theorem", "proposition", "definition", "conjecture", "remark", "algorithm")
AIMS = re.compile(
    r"^```\{admonition\} (What you will[^\n]*)\n(?::\w+:.*?\n)*(.*?)^(\*\*You.*?)?```", re.MULTILINE | re.DOTALL
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
<script>window.MathJax = {{startup: {{typeset: true}}, options: {{enableMenu: false}},
  chtml: {{displayAlign: "left", displayIndent: "1.5em"}}}};</script>
<script src="mathjax/tex-mml-chtml.js"></script>
<script src="reveal/reveal.js"></script>
<script src="reveal/notes.js"></script>
<script>{script}</script>
</body>
</html>
"""
SCRIPT = """
Reveal.initialize({hash: true, slideNumber: "c/t", controls: false, width: 1280, height: 720, margin: 0, center: false,
  transition: "none", viewDistance: 99, mobileViewDistance: 99, plugins: [RevealNotes]});
const SEEN = "h1, h2, p, li, tr, summary, figcaption, img, mjx-math";
// Letters as large as a slide holds, within limits. What is not seen, as the copy of a formula for screen readers, does
// not count.
function fit(slide) {
  const box = slide.querySelector(".all"), scale = Reveal.getScale();
  const parts = [...box.querySelectorAll(SEEN)].filter(one => !one.closest("mjx-assistive-mml"));
  const displays = [...box.querySelectorAll("mjx-container[display]")];
  displays.forEach(one => one.dataset.size = parseFloat(one.style.fontSize) || 100);
  const narrow = () => displays.forEach(one => {  // a formula too long for its line is smaller than its text
    const edge = one.parentElement.getBoundingClientRect().right + 1;
    let part = 100;
    do one.style.fontSize = one.dataset.size * part / 100 + "%";
    while (one.querySelector("mjx-math").getBoundingClientRect().right > edge && (part -= 5) >= 70);
  });
  const over = () => {
    narrow();
    const edge = box.getBoundingClientRect();
    return parts.map(one => one.getBoundingClientRect()).some(
      one => one.bottom > edge.bottom - 30 * scale + 1 || one.right > edge.right - 16 * scale);
  };
  let size = Number(box.dataset.size);
  do box.style.fontSize = size + "%"; while (over() && (size -= 5) >= 75);
}
MathJax.startup.promise.then(async () => {
  // The speaker's window has no styles of MathJax; browsers show MathML by themselves.
  document.querySelectorAll("aside.notes mjx-container").forEach(one => one.replaceWith(one.querySelector("math")));
  document.body.getBoundingClientRect();  // asks for the fonts of the formulas
  await document.fonts.ready;
  document.querySelectorAll(".slides section").forEach(fit);
  document.body.dataset.fitted = "yes";
  Reveal.sync();
});
"""
STYLE = """\
html, body, main { height: 100%; margin: 0; }
body { background: #fff; color: #1a1a1a; font-family: system-ui, sans-serif; }
.reveal { font-size: 27px; line-height: 1.35; }
.reveal .slides { text-align: left; }
.reveal .slides section { padding: 0; }
.reveal .all { box-sizing: border-box; width: 1280px; height: 720px; padding: 26px 40px 30px; }
.reveal h1 { font-size: 1.9em; font-weight: 600; margin-bottom: .6em; line-height: 1.2; }
.reveal h2 { font-size: 38px; font-weight: 600; margin-bottom: .4em; line-height: 1.25;
  border-bottom: 3px solid #0069a8; }
.reveal p, .reveal li { margin-bottom: .5em; }
.reveal ul, .reveal ol { margin-left: 1.2em; }
.reveal ul { list-style: disc; }
.reveal ol { list-style: decimal; }
.reveal em { font-style: italic; }
.reveal strong { font-weight: 600; }
.reveal code { font-family: ui-monospace, monospace; font-size: .9em; }
.reveal figcaption { font-size: .7em; color: #444; }
.reveal figure img { display: block; min-width: 0; min-height: 0; width: 100%; object-fit: contain; }
.reveal figure img.pixels { image-rendering: pixelated; }
.reveal .above { display: flex; flex-direction: column; }
.reveal .above figure { flex: 1 1 0; min-height: 330px; display: flex; flex-direction: column; }
.reveal .above img { flex: 1 1 0; }
.reveal .above figcaption { margin-top: .4em; }
.reveal .beside { display: grid; column-gap: 30px; grid-template-rows: auto auto 1fr; }
.reveal .beside h2 { font-size: 30px; }
.reveal .beside .text { font-size: .85em; }
.reveal .beside figure { display: contents; }
.reveal .beside img { grid-area: 1 / 2 / 4 / 3; height: 100%; }
.reveal .beside figcaption { grid-area: 3 / 1; }
.reveal blockquote { border-left: 4px solid #0069a8; padding-left: .8em; }
.reveal table { font-size: .85em; border-collapse: collapse; margin-bottom: .5em; }
.reveal td, .reveal th { padding: .15em .6em; border-bottom: 1px solid #bbb; text-align: left; vertical-align: top; }
.reveal .origin { color: #444; font-size: .75em; }
.reveal .slide-number { background: none; color: #444; }
"""


@dataclass(frozen=True)
class Picture:
    """A figure of a slide: the `src` of its image, and height by width."""

    source: str
    alt: str
    caption: str
    label: str = ""
    height: float = WIDE
    width: float = 0.0  # on the page, in pixels; 0 where it has none
    pixels: bool = False


@dataclass(frozen=True)
class Slide:
    """One slide, text in Markdown; of two with too many others, that with the larger `rank` goes first.

    One with the `rest` of the figure of the slide before it goes and stays with that.
    """

    title: str
    body: str
    rank: int = 0
    notes: str = ""
    picture: Picture | None = None
    rest: bool = False


def write(directory: Path, preset: str = runs.BEST) -> Path:
    """Write a deck a chapter, with an index and what they load, into a directory; returns it.

    UsageError where the directory holds something else, PagsError where a chapter was not executed at `preset`
    ("best": at any), or reveal.js is not installed; nothing is written then.
    """
    runs.preset_named(preset)
    read = runs.read(chapters.names(), preset)
    known, elsewhere = plain.names(), statements()
    with filling(directory, "deck.css", "slides") as work:
        made = {
            one.chapter: deck(one.notebook, exercises.read(one.chapter), known, elsewhere, origin(one)) for one in read
        }
        for chapter, slides in made.items():
            (work / f"{chapter}.html").write_text(page(slides), encoding="utf-8")
        (work / "deck.css").write_text(STYLE, encoding="utf-8")
        (work / "index.html").write_text(_index(made, {one.chapter: origin(one) for one in read}), encoding="utf-8")
        shipped.reveal(work / "reveal")
        shipped.mathjax(work / "mathjax", MATHJAX)
    return directory


def origin(one: runs.Executed) -> str:
    """What the title slide says of a run: its preset and its data."""
    data = scoreboard.data_words(one.files[0].get("data", {}))
    return f"Numbers and figures of preset {one.preset}" + (f", data: {data}." if data else ".")


def deck(
    notebook: NotebookNode,
    asked: list[exercises.Exercise],
    known: plain.Names,
    elsewhere: Mapping[str, tuple[str, str]],
    run: str = "",
) -> list[Slide]:
    """The slides of an executed chapter, from `LEAST` to `MOST` of them, in the page's order.

    The first says of which `run` they are. A short page is filled up with the statements of other chapters that it
    refers to, from `elsewhere`.
    """
    sections = list(_sections(notebook))
    if not sections:
        raise PagsError("a chapter without a heading makes no slides")
    title, opening = sections[0].title, sections[0]
    leads = [p for p in _paragraphs(opening.text) if not p.startswith(("```", "$$", ":::", "("))]
    said = (
        f"{plain.plain(leads[0], known) if leads else ''}\n\n*{run}*" if run else plain.plain("".join(leads[:1]), known)
    )
    found = [Slide(title, said, notes=plain.plain("\n\n".join(leads[1:]), known))]
    if aims := AIMS.search(opening.text):
        found.append(Slide(aims[1], plain.plain(aims[2].strip(), known), notes=plain.plain(aims[3] or "", known)))
    found += [Slide(title, "", 1, content["alt"], _picture(content, known)) for content in opening.figures[:1]]
    for section in sections[1:]:
        if section.title.startswith("What we found"):
            found += _conclusions(section, known)
        elif not SKIPPED.match(section.title):
            found += _section(section, known)
    text = "\n".join(section.text for section in sections)
    labels = dict.fromkeys(re.findall(r"\{prf:ref\}`([\w-]+)`", text))
    there = [elsewhere[one] for one in labels if one in elsewhere and one not in own(text)]
    found_there = [(chapter, match) for chapter, whole in there if (match := plain.FENCE.search(whole))]
    more = [
        Slide(plain.plain(match["argument"], known), plain.plain(match[0], known), notes=f"Of chapter {chapter}.")
        for chapter, match in found_there
    ]
    found = _joined([slide for slide in found if slide.body.strip() or slide.picture])
    found = [part for slide in found for part in _in_two(slide)]
    places = [i for i, slide in enumerate(found) if slide.title.startswith("What we found")] or [len(found)]
    found[places[0] : places[0]] = more[: max(0, LEAST + 2 - len(found))]
    found.append(Slide("Exercises", _asked(asked, known), notes=_tasks(asked, known)))
    return _told_of(_linked(_trimmed(_with_votes(found))))


def _told_of(found: list[Slide]) -> list[Slide]:
    """The slides with notes: the title's end with what follows; where there is no note, that of the slide before.

    The slide before is the last of the same section.
    """
    told = found[:1]
    for slide in found[1:]:
        before = told[-1]
        told.append(replace(slide, notes=slide.notes or before.notes) if slide.title == before.title else slide)
    names = dict.fromkeys(slide.title for slide in found[1:])
    first = {title: next(at for at, slide in enumerate(found, 1) if at > 1 and slide.title == title) for title in names}
    outline = "\n".join(f"- {title} (slide {at})" for title, at in first.items())
    return [replace(told[0], notes=f"{told[0].notes}\n\n{outline}".strip()), *told[1:]]


def statements() -> dict[str, tuple[str, str]]:
    """Label -> chapter's number and directive of each statement that is short enough for a slide, of all chapters."""
    texts = {
        chapters.number(chapter): chapters.source(chapter).read_text(encoding="utf-8") for chapter in chapters.names()
    }
    return {label: (chapter, whole) for chapter, text in texts.items() for label, whole in own(text).items()}


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


@dataclass
class Part:
    """What belongs together in a section: its beginning, a question (`head`) or a statement with what follows it."""

    head: str = ""
    statement: re.Match | None = None
    blocks: list[str] = field(default_factory=list)


def _parts(text: str) -> list[Part]:
    """The parts of a section's text; the first is its beginning."""
    parts = [Part()]
    for block in _paragraphs(text):
        directive = plain.FENCE.match(block + "\n")
        kind = directive["name"].removeprefix("prf:") if directive else ""
        if directive and kind in STATEMENTS and _weight(block) <= LONGEST:
            parts.append(Part(statement=directive))
        elif question := re.match(r"\*\*([^*]+\?)\*\*\s*(?:\{doc\}`[^`]*`\.)?\s*", block):
            parts.append(Part(question[1], blocks=[block[question.end() :]]))
        elif not block.startswith("("):
            parts[-1].blocks.append(block)
    return parts


def _section(section: Section, known: plain.Names) -> Iterator[Slide]:
    """The section's slides: its beginning with its first figure, its statements, its questions, its other figures."""
    first, *others = _parts(section.text)
    said = [" ".join(section.said)] if section.said else []
    notes = _told([*first.blocks, *said], known)
    if section.figures:
        lead = _beginning(_units(first.blocks), BESIDE)
        picture = _picture(section.figures[0], known)
        if _weight(lead) > 1.5 * BESIDE or (DISPLAY.search(lead) and _layout(picture) == "beside"):
            yield Slide(section.title, plain.plain(lead, known), 2, notes)
            lead, notes = "", ""
        yield Slide(section.title, plain.plain(lead, known), 1, notes or picture.alt, picture)
        left = [one for one in _units(first.blocks) if "$$" in one and one not in lead]
        if left and len(section.figures) < 2:
            yield Slide(section.title, plain.plain(_beginning(left[:1], WORDS), known), 5)
    else:
        lead = _beginning(_units([*first.blocks, *said]), WORDS)
        yield Slide(section.title, plain.plain(lead, known), 2 if "$$" in lead or "|---" in lead else 4, notes)
    for part in others:
        if part.statement:
            minor = part.statement["name"].endswith(("remark", "algorithm"))
            notes = _told(part.blocks, known)
            yield Slide(section.title, plain.plain(part.statement[0], known), 6 if minor else 3, notes)
        else:
            answer = _beginning(_units(part.blocks), WORDS)
            yield Slide(part.head, plain.plain(answer, known), 3, _told(part.blocks, known))
    for number, content in enumerate(section.figures[1:]):
        yield Slide(section.title, "", 5 + number, content["alt"], _picture(content, known))


def _told(blocks: Iterable[str], known: plain.Names) -> str:
    """Notes: all text of the blocks, proofs unfolded; no tables, and no boxes but proofs."""
    kept = []
    for block in blocks:
        directive = plain.FENCE.match(block + "\n")
        if directive and directive["name"] == "dropdown":
            kept.append(_told(_paragraphs(directive["body"]), known))
        elif directive is None or directive["name"].startswith("prf:"):
            kept.append("" if block.startswith("|") else plain.plain(block, known))
    return "\n\n".join(filter(None, kept))


def _units(blocks: Iterable[str]) -> list[str]:
    """Sentences, each with the formula, table or list that it leads to; one that begins a paragraph has a blank line.

    What leads to something that no slide can hold beside it, and what moves a slider, is left out.
    """
    units: list[str] = []
    for block in blocks:
        if block.startswith((":::", "```")):
            units = units[: len(units) - (bool(units) and _is_open(units[-1]))]
        elif DISPLAYED.match(block):
            if units and _is_open(units[-1]):
                units[-1] += f"\n\n{block}"
            else:
                units.append(f"\n\n{block}")
        else:
            told = _sentences(block)
            told = told[: next((i for i, one in enumerate(told) if MOVES.search(one)), len(told))]
            if units and _is_open(units[-1]) and "$$" not in units[-1] and block[0].isupper():
                units.pop()
            elif told and units and _is_open(units[-1]) and not told[0][0].isupper():
                units[-1] += f"\n\n{told.pop(0)}"
            units += [f"\n\n{one}" if i == 0 else one for i, one in enumerate(told)]
    return units[: len(units) - (bool(units) and _is_open(units[-1]) and "$$" not in units[-1])]


def _is_open(unit: str) -> bool:
    """Whether something must follow: the text, or the formula that ends it, has no full stop at its end."""
    inner = re.sub(r"\s*\$\$(?: \([\w-]+\))?\Z", "", unit)
    inner = re.sub(r"(?:\\end\{\w+\}|[}\s])+\Z", "", inner)
    return not re.search(r"[.?!][*)\"`]*\Z", inner) and not re.search(r"^(?:\||- |\d\. )", unit.strip().split("\n")[-1])


def _beginning(units: Iterable[str], words: int) -> str:
    """The first units, of the room of at most so many words, or the first alone."""
    kept: list[str] = []
    for unit in units:
        room = 1.5 * words if "$$" in unit else words  # what leads to a formula is not kept without it
        if kept and _weight(" ".join([*kept, unit])) > room:
            break
        kept.append(unit)
    return "".join(unit if unit.startswith("\n") else f" {unit}" for unit in kept).strip()


def _weight(text: str) -> int:
    """How many words take the room of a text: a formula in a line counts as one, a line of a display as `FORMULA`."""
    displays = re.findall(r"^[ >]*\$\$.*?\$\$", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^[ >]*\$\$.*?\$\$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = sum(1 + one.count(r"\\\\") for one in displays)
    return len(re.sub(r"\$[^$]+\$", "x", rest).split()) + FORMULA * lines


def _picture(content: dict, known: plain.Names) -> Picture:
    """The figure as a slide shows it; of one that moves, the picture that it starts with."""
    frames = content.get("frames")
    at = 0
    if frames:
        for start, values in zip(content["start"], content["values"], strict=True):
            at = at * len(values) + start
    source = frames[at] if frames else figures.data_uri(content["svg"])
    label = content["label"] or ""
    caption = _shortened(plain.plain(content["caption"], known), CAPTION) + (
        " (On the page it moves.)" if frames else ""
    )
    if label in known.figures:
        caption = f"**Figure {known.figures[label]}.** {caption}"
    width, height = _size(source)
    return Picture(source, content["alt"], caption, label, height / width, width, bool(content.get("width")))


def _size(source: str) -> tuple[float, float]:
    """Width and height of the picture of a `src`, in pixels of the page."""
    if source.startswith(figures.DRAWN):
        found = re.search(r'viewBox="0 [\d.]+ ([\d.]+) ([\d.]+)"', figures.drawing(source))
        return (float(found[1]) * 4 / 3, float(found[2]) * 4 / 3) if found else (1.0, WIDE)
    data = base64.b64decode(source.partition(",")[2])  # a PNG has both in its first chunk
    return float(int.from_bytes(data[16:20], "big")), float(int.from_bytes(data[20:24], "big"))


def _in_two(slide: Slide) -> list[Slide]:
    """The slide, or two with a half of its figure each where that is too tall to be read on one."""
    picture = slide.picture
    if picture is None or picture.height <= TALL or not picture.source.startswith(figures.DRAWN):
        return [slide]
    halves = _halves(figures.drawing(picture.source))
    if not halves:
        return [slide]
    upper, lower = (_rows(picture, svg, which) for svg, which in zip(halves, ("upper", "lower"), strict=True))
    below = Slide(slide.title, "", slide.rank, picture=replace(lower, label=""), rest=True)
    return [replace(slide, picture=upper), below]


def _rows(picture: Picture, svg: str, which: str) -> Picture:
    """The picture with some of its rows, which its caption and its alternative text name."""
    source, caption = figures.data_uri(svg), f"{picture.caption} ({which.capitalize()} rows.)".strip()
    width, height = _size(source)
    return replace(picture, source=source, height=height / width, alt=f"{picture.alt} ({which} rows)", caption=caption)


def _halves(svg: str) -> tuple[str, str] | None:
    """The upper and the lower half of a figure of rows, cut between two near the middle; nothing where it has none.

    A legend on top of the figure is on top of both.
    """
    box = re.search(r'width="([\d.]+)pt" height="[\d.]+pt" viewBox="0 0 [\d.]+ ([\d.]+)"', svg)
    if not box:
        return None
    whole, taken = float(box[2]), []
    for high, step, top in re.findall(
        r'<image [^>]*?height="(\d+)" transform="matrix\([\d.]+ 0 0 ([\d.]+) [\d.]+ ([\d.]+)\)', svg
    ):
        taken.append((float(top), float(top) + float(step) * int(high)))
    for base, size in re.findall(r'transform="translate\([\d.]+ ([\d.]+)\) scale\(([\d.]+) ', svg):
        taken.append((float(base) - ASCENT * float(size), float(base) + DESCENT * float(size)))
    for low, high in re.findall(
        r'<g id="axes_\d+">\s*<g id="patch_\d+">\s*<path d="M [\d.]+ ([\d.]+) \nL [^L]*\nL [\d.]+ ([\d.]+) ', svg
    ):
        taken.append((float(high), float(low)))
    gaps, reached = [], 0.0
    for start, end in sorted(taken):
        if start > reached and 0.35 * whole < (start + reached) / 2 < 0.65 * whole:
            gaps.append((start - reached, (start + reached) / 2))
        reached = max(reached, end)
    if not gaps:
        return None
    widest = max(gaps)[0]
    cut = min((place for gap, place in gaps if gap > 0.8 * widest), key=lambda place: abs(place - whole / 2))
    shown = 'width="{0}pt" height="{2:.6g}pt" viewBox="0 {1:.6g} {0} {2:.6g}"'
    upper = svg.replace(box[0], shown.format(box[1], 0.0, cut), 1)
    legend = re.search(r'<g id="legend_1">.*?(?=<g id="axes_|\Z)', svg, re.DOTALL)
    lines = re.findall(r"translate\([\d.]+ ([\d.]+)\) scale\(([\d.]+) ", legend[0]) if legend else []
    top = max((float(base) + FOOT * float(size) for base, size in lines), default=0.0)
    if not 0 < top < cut / 2:
        return upper, svg.replace(box[0], shown.format(box[1], cut, whole - cut), 1)
    head, body = svg[: svg.index(">", svg.index(box[0])) + 1], svg[svg.index(">", svg.index(box[0])) + 1 :]
    parts = "".join(
        f'<svg y="{at:.6g}" width="{box[1]}" height="{high:.6g}" viewBox="0 {start:.6g} {box[1]} {high:.6g}">'
        '<use xlink:href="#whole"/></svg>'
        for at, start, high in ((0.0, 0.0, top), (top, cut, whole - cut))
    )
    drawn = body.replace("</svg>", f"</g></defs>{parts}</svg>")
    return upper, head.replace(box[0], shown.format(box[1], 0.0, top + whole - cut)) + f'<defs><g id="whole">{drawn}'


def _with_votes(found: list[Slide]) -> list[Slide]:
    """The slides, with one before each figure of `VOTES` that shows it without caption and names of rows."""
    slides = []
    for slide in found:
        if slide.picture and slide.picture.label in VOTES:
            slides.append(_vote(slide.picture))
        slides.append(slide)
    return slides


def _vote(picture: Picture) -> Slide:
    """A slide to vote on; PagsError where the figure has no row of a name that is to be covered."""
    names = VOTES[picture.label]
    covered = figures.drawing(picture.source)
    for number, name in enumerate(names, 1):
        pattern = rf"(<g id=\"text_\d+\")(>\s*<!-- {re.escape(name)} -->\s*<g [^>]*translate\(([\d.]+) ([\d.]+)\))"
        found = re.search(pattern, covered)
        if not found:
            raise PagsError(f"{picture.label} has no row {name!r}: name its rows in VOTES of src/pags/book/slides.py")
        hidden = f'{found[1]} visibility="hidden"{found[2]}'
        number_there = f'<text x="72" y="{found[4]}" style="font:bold 14px sans-serif;fill:#1d2733">{number}</text>'
        covered = covered[: found.start()] + number_there + hidden + covered[found.end() :]
    count = " or ".join(f"**{number}**" for number in range(1, len(names) + 1))
    said = f"The same images, and what two networks' gradients make of them. Which row explains? Vote: {count}."
    alt = f"Rows of small pictures: images, then a map of each in row 1 and in row {len(names)}."
    told = "\n".join(f"- {number}: {name}" for number, name in enumerate(names, 1))
    return Slide(
        "Which map explains?",
        said,
        notes=f"{told}\n\nThe next slide says so. Write the vote down.",
        picture=replace(picture, source=figures.data_uri(covered), alt=alt, caption="", label=""),
    )


def _linked(found: list[Slide]) -> list[Slide]:
    """The slides with "Figure 7.2 (slide 3)", a link, for a figure of the deck, and without a link for any other."""
    places = {slide.picture.label: at for at, slide in enumerate(found) if slide.picture and slide.picture.label}

    def linked(text: str, here: int, link: bool = True) -> str:
        def named(match: re.Match) -> str:
            at = places.get(match[2], here)
            if at == here:
                return match[1]
            said = f"{match[1]} (slide {at + 1})"
            return f"[{said}](#/{at})" if link else said

        return re.sub(r"\[([^\]]+)\]\(#(fig-[\w-]+)\)", named, text)

    return [
        replace(
            slide,
            body=linked(slide.body, at),
            notes=linked(slide.notes, at, link=False),
            picture=slide.picture and replace(slide.picture, caption=linked(slide.picture.caption, at)),
        )
        for at, slide in enumerate(found)
    ]


def _joined(found: list[Slide]) -> list[Slide]:
    """The slides, neighbours of one title in one where both are short, as long as there are more than `LEAST`."""
    joined = found[:1]
    for at, slide in enumerate(found[1:], 1):
        last = joined[-1]
        picture = last.picture or slide.picture
        both = f"{last.body}\n\n{slide.body}"
        room = float(WORDS)
        if picture:
            room = 1.5 * BESIDE if picture.height < FLAT else BESIDE if _layout(picture) == "above" else 2 * BESIDE
            room = 0 if DISPLAY.search(both.replace("> ", "")) and _layout(picture) == "beside" else room
        fits = _weight(both) <= room and not (last.picture and slide.picture)
        if fits and last.title == slide.title and len(joined) + len(found) - at > LEAST:
            body, notes = (
                f"{one}\n\n{two}".strip() for one, two in ((last.body, slide.body), (last.notes, slide.notes))
            )
            joined[-1] = Slide(last.title, body, min(last.rank, slide.rank), notes, picture)
        else:
            joined.append(slide)
    return joined


def _conclusions(section: Section, known: plain.Names) -> list[Slide]:
    """What the chapter found: the points of its run, each shortened, as many to a slide as it holds; whole in notes."""
    found = [part for text in section.said for part in re.split(r"^(?:\d+\.|-) |\n\n", text, flags=re.MULTILINE)]
    whole = [plain.plain(" ".join(one.split()), known) for one in found if one.strip()]
    slides = _shared([(_shortened(one, CAPTION // 2), one) for one in whole])
    if not slides:
        return [Slide(section.title, _shortened(section.text, WORDS))]
    return [
        Slide(
            section.title,
            "\n".join(f"- {short}" for short, _ in points),
            notes="\n".join(f"- {long}" for _, long in points),
        )
        for points in slides
    ]


def _shared(points: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The points, each short and whole, on as few slides as hold them, the fullest of which is as empty as can be."""
    many: list[list[tuple[str, str]]] = []
    for room in range(SAID, 0, -5):
        slides: list[list[tuple[str, str]]] = []
        for point in points:
            held = slides[-1] if slides else []
            if not held or len(held) == POINTS or sum(_weight(one) for one, _ in held) + _weight(point[0]) > room:
                slides.append([])
            slides[-1].append(point)
        if many and len(slides) > len(many):
            break
        many = slides
    return many


def _asked(asked: list[exercises.Exercise], known: plain.Names) -> str:
    lines = []
    for one in asked:
        minutes = re.search(r"about (an hour|\d+ minutes)", one.text)
        stars = "●" * one.difficulty + "○" * (3 - one.difficulty)
        number = known.exercises.get(one.label, "")
        lines.append(f"- {stars} {number} {one.title}" + (f", {minutes[1]}" if minutes else ""))
    return "\n".join(lines)


def _tasks(asked: list[exercises.Exercise], known: plain.Names) -> str:
    """Notes: what each exercise asks, its first paragraph behind the line that says how hard it is."""
    lines = []
    for one in asked:
        texts = [part for part in _paragraphs(one.text) if not part.startswith(("**Difficulty", ":::", "```", "$$"))]
        number = known.exercises.get(one.label, "")
        lines.append(f"**{number} {one.title}.** {plain.plain(''.join(texts[:1]), known)}")
    return "\n\n".join(lines)


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
    """The slides without those of the largest ranks, later ones first, until there are no more than `MOST`.

    Their text goes to the notes of the slide before, where it is not there already.
    """
    found = list(found)
    while len(found) > MOST:
        worst = max((i for i, slide in enumerate(found) if not slide.rest), key=lambda i: (found[i].rank, i))
        if found[worst].rank == 0:
            raise PagsError(f"{len(found)} slides, of which none may go: a section is too long")
        gone = found.pop(worst)
        if found[worst : worst + 1] and found[worst].rest:
            del found[worst]
        if worst:
            before = found[worst - 1]
            head = "" if before.title == gone.title else f"**{gone.title}**"
            body = _untold(gone.body, f"{before.notes}\n\n{gone.notes}")
            notes = "\n\n".join(filter(None, [before.notes, head, body, gone.notes]))
            found[worst - 1] = replace(before, notes=notes)
    return found


def _untold(body: str, notes: str) -> str:
    """The paragraphs of a slide's text that are not in these notes."""
    told = " ".join(notes.split())
    return "\n\n".join(one for one in body.split("\n\n") if " ".join(one.split()) not in told)


def _parser() -> MarkdownIt:
    """Markdown with tables, formulas left to MathJax."""
    parser = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, double_inline=True)
    parser.add_render_rule("math_inline", lambda _, tokens, at, *rest: rf"\({html.escape(tokens[at].content)}\)")
    for rule in ("math_inline_double", "math_block", "math_block_label"):
        parser.add_render_rule(rule, lambda _, tokens, at, *rest: rf"\[{html.escape(tokens[at].content)}\]")
    return parser


PARSER = _parser()


MATH = re.compile(r"(\\\(.*?\\\)|\\\[.*?\\\])", re.DOTALL)


def _rendered(text: str) -> str:
    return _set(PARSER.render(text))


def _inline(text: str) -> str:
    return _set(PARSER.renderInline(text))


def _set(text: str) -> str:
    """HTML with numbers and signs as on the pages; formulas stay as they are."""
    return "".join(
        part if at % 2 else typography.html(part, begins=at == 0) for at, part in enumerate(MATH.split(text))
    )


def page(slides: list[Slide]) -> str:
    """A deck as HTML."""
    sections = []
    for number, slide in enumerate(slides):
        head = "h1" if number == 0 else "h2"
        parts = [f"<{head}>{_inline(slide.title)}</{head}>", f'<div class="text">{_rendered(slide.body)}</div>']
        kind = f'class="all" data-size="{LARGE}"'
        if slide.picture:
            parts.append(_drawn(slide.picture))
            kind = f'class="all {_layout(slide.picture)}" data-size="100"{_columns(slide.picture)}'
        notes = f'<aside class="notes">{_rendered(slide.notes)}</aside>' if slide.notes.strip() else ""
        sections.append(f"<section><div {kind}>\n{''.join(parts)}</div>{notes}</section>")
    return PAGE.format(title=html.escape(_bare(slides[0].title)), slides="\n".join(sections), script=SCRIPT)


def _layout(picture: Picture) -> str:
    return "beside" if picture.height > WIDE else "above"


def _columns(picture: Picture) -> str:
    """The widths of text and figure, where they stand side by side."""
    if _layout(picture) == "above":
        return ""
    most = ROOM[0] if picture.pixels else LARGEST * picture.width
    return f' style="grid-template-columns: minmax(0, 1fr) {min(ROOM[0], ROOM[1] / picture.height, most):.0f}px"'


def _drawn(picture: Picture) -> str:
    pixels = ' class="pixels"' if picture.pixels else ""
    image = f'<img src="{picture.source}" alt="{html.escape(picture.alt)}"{pixels}>'
    caption = f"<figcaption>{_inline(picture.caption)}</figcaption>" if picture.caption else ""
    return f"<figure>{image}{caption}</figure>"


def _bare(title: str) -> str:
    return re.sub(r"[$*`]", "", title)


def _index(made: Mapping[str, list[Slide]], origins: Mapping[str, str]) -> str:
    lines = "\n".join(
        f'<li><a href="{chapter}.html">{chapter.split("_")[0]} {html.escape(_bare(slides[0].title))}</a>, '
        f"{len(slides)} slides. {html.escape(origins[chapter])}</li>"
        for chapter, slides in made.items()
    )
    style = "body{font-family:system-ui,sans-serif;max-width:40em;margin:2em auto;padding:0 1em;line-height:1.6}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Slides</title><style>{style}</style></head>'
        f"<body><main><h1>Slides</h1><ul>\n{lines}\n</ul></main></body></html>\n"
    )
