"""Slides: a deck a chapter, of a length that a lecture bears, that opens without a network."""

import re
from xml.etree.ElementTree import fromstring

import browser
import nbformat.v4 as nb
import pytest

from pags.book import chapters, exercises, figures, plain, runs, shipped, slides
from pags.errors import PagsError, UsageError

SHOWN = [chapter for chapter in chapters.names() if runs.executed(chapter, "quick")]
KNOWN = plain.names()


@pytest.fixture(scope="module")
def elsewhere():
    return slides.statements()


@pytest.mark.parametrize("chapter", SHOWN)
def test_a_deck_has_twelve_to_twenty_slides_with_figures_conclusions_and_exercises(chapter, elsewhere):
    notebook, _ = runs.page(chapter, runs.executed(chapter, "quick"))
    deck = slides.deck(notebook, exercises.read(chapter), KNOWN, elsewhere)
    played = chapter == "08_laboratory"  # its one figure is for hands, not for a screen on the wall
    assert (6 if played else slides.LEAST) <= len(deck) <= slides.MOST
    assert [slide.title for slide in deck if not slide.notes.strip()] == []
    assert deck[-1].title == "Exercises"
    assert deck[-1].body.count("\n") + 1 == len(exercises.read(chapter))
    assert any(slide.title.startswith("What we found") for slide in deck)
    assert chapter.startswith("01_") or played or sum(bool(slide.picture) for slide in deck) >= 3
    page = slides.page(deck)
    assert page.count("<section>") == len(deck)
    assert not re.search(r"\{(cite|numref|eq|doc|prf|ref|term)[:a-z]*\}`", page)
    assert "¶" not in page
    assert "mathlabel" not in page
    assert "(, )" not in page
    assert not re.search(r'href="#(?!/\d)', page)
    assert all('alt=""' not in image for image in re.findall(r"<img [^>]*>", page))


def test_decks_open_without_a_network(tmp_path, monkeypatch):
    chosen = [chapter for chapter in SHOWN if chapter[:3] in ("01_", "01a")]
    monkeypatch.setattr(chapters, "names", lambda: chosen)
    slides.write(tmp_path)
    assert browser.complaints(tmp_path, ["index.html", *(f"{chapter}.html" for chapter in chosen)]) == []


SIZES = """() => [...document.querySelectorAll(".slides > section")].map(slide => {
    const box = slide.querySelector(".all"), edge = box.getBoundingClientRect();
    const parts = [...box.querySelectorAll(SEEN)].filter(one => !one.closest("mjx-assistive-mml"));
    const ends = parts.map(one => one.getBoundingClientRect());
    return [Math.max(...ends.map(one => one.bottom)) - edge.top, Math.max(...ends.map(one => one.right)) - edge.left,
        parseInt(box.style.fontSize), slide.querySelectorAll("aside mjx-container").length,
        ...[...box.querySelectorAll("img")].map(one => one.src.startsWith("data:image/svg") ? Math.min(
            one.clientWidth / one.naturalWidth, one.clientHeight / one.naturalHeight) * letters(one.src) : 99)];
})"""
LETTERS = """window.letters = src => {  // pixels of the smallest letters of a figure, as large as on its page
    const sizes = [...atob(src.split(",")[1]).matchAll(/scale\\(([\\d.]+) -[\\d.]+\\)/g)];
    return Math.min(...sizes.map(one => one[1] * 400 / 3));
};
0"""


def test_every_slide_fits_in_letters_that_can_be_read(tmp_path, monkeypatch):
    from playwright.sync_api import sync_playwright

    chosen = [chapter for chapter in SHOWN if chapter[:3] in ("01a", "04_", "08_")]
    monkeypatch.setattr(chapters, "names", lambda: chosen)
    slides.write(tmp_path)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.chromium(), args=browser.FLAGS)
        page = chromium.new_page(viewport={"width": 1280, "height": 720})
        for chapter in chosen:
            page.goto((tmp_path / f"{chapter}.html").as_uri())
            page.wait_for_function("document.body.dataset.fitted")
            page.evaluate(LETTERS)
            for number, (bottom, right, size, unread, *smallest) in enumerate(page.evaluate(SIZES), 1):
                assert bottom <= 700, (chapter, number)
                assert right <= 1265, (chapter, number)
                assert 75 <= size <= slides.LARGE
                assert min(smallest, default=99) >= 11.9, (chapter, number)
                assert unread == 0  # the speaker's window shows MathML, and has no styles of MathJax
            assert page.evaluate("location.hash") in ("", "#/")  # nothing has turned a page
        chromium.close()


def test_a_formula_stays_with_the_sentence_that_leads_to_it_and_an_open_end_is_dropped():
    blocks = [
        "At their $b$, in terms of the table,",
        "$$\nx = y,\n$$ (eq-x)",
        "the second in the mean. And more.",
        "So:",
    ]
    units = slides._units(blocks)
    assert units[0].endswith("$$ (eq-x)\n\nthe second in the mean.")
    assert slides._beginning(units, 200).endswith("And more.")
    assert slides._beginning(["One.", "\n\nTwo:\n\n$$\nx\n$$"], 2) == "One."
    assert slides._units(["First. It is in all dimensions:", "```{prf:theorem}\nx\n```"]) == ["\n\nFirst."]
    assert slides._units(["A row. Move the slider. It moves."]) == ["\n\nA row."]


@pytest.mark.parametrize("chapter", SHOWN)
def test_no_text_of_a_slide_breaks_off(chapter, elsewhere):
    notebook, _ = runs.page(chapter, runs.executed(chapter, "best"))
    for slide in slides.deck(notebook, exercises.read(chapter), KNOWN, elsewhere):
        assert not re.search(r"[:,]\Z", slide.body), slide.body[-80:]


def test_the_proof_of_a_theorem_is_in_the_notes_of_its_slide(elsewhere):
    notebook, _ = runs.page("01d_leakage_theory", runs.executed("01d_leakage_theory", "best"))
    deck = slides.deck(notebook, exercises.read("01d_leakage_theory"), KNOWN, elsewhere)
    theorems = [slide for slide in deck if "**Theorem**" in slide.body]
    assert theorems
    assert all("*Proof.*" in slide.notes for slide in theorems)


def test_figures_have_their_numbers_and_links_to_their_slides():
    picture = slides.Picture("x", "a map", "**Figure 7.2.** See [Figure 7.1](#fig-07-maps).", "fig-07-aligned")
    text = "Back to [Figure 7.2](#fig-07-aligned), [Figure 7.9](#fig-07-gone)."
    first, second = slides._linked([slides.Slide("A", text, notes=text), slides.Slide("B", text, picture=picture)])
    assert first.body == "Back to [Figure 7.2 (slide 2)](#/1), Figure 7.9."
    assert first.notes == "Back to Figure 7.2 (slide 2), Figure 7.9."
    assert second.body == "Back to Figure 7.2, Figure 7.9."
    assert second.picture.caption == "**Figure 7.2.** See Figure 7.1."


def test_the_vote_shows_the_maps_without_their_names_and_the_next_slide_names_them(elsewhere):
    for preset in ("quick", "best"):
        notebook, _ = runs.page("03_tangent_fractions", runs.executed("03_tangent_fractions", preset))
        deck = slides.deck(notebook, exercises.read("03_tangent_fractions"), KNOWN, elsewhere)
        vote, named = deck[1], deck[2]
        assert named.picture.label == "fig-03-two-maps"
        assert vote.picture.caption == ""
        assert "adversar" not in vote.body + vote.picture.alt + vote.title
        svg = figures.drawing(vote.picture.source)
        for number, name in enumerate(slides.VOTES["fig-03-two-maps"], 1):
            assert f">{number}</text>" in svg
            assert re.search(rf'<g id="text_\d+" visibility="hidden">\s*<!-- {name} -->', svg)
    with pytest.raises(PagsError, match="fig-03-two-maps has no row 'no adversary'"):
        slides._vote(slides.Picture(slides.figures.data_uri("<svg/>"), "", "", "fig-03-two-maps"))


def test_a_tall_figure_is_cut_between_two_rows():
    image = '<image xlink:href="x" width="10" height="10" transform="matrix(9 0 0 9 5 {})"/>'
    rows = "".join(image.format(top) for top in (5, 97, 189, 281))
    svg = f'<svg width="100pt" height="380pt" viewBox="0 0 100 380">{rows}</svg>'
    upper, lower = slides._halves(svg)
    assert 'height="188pt" viewBox="0 0 100 188"' in upper
    assert 'height="192pt" viewBox="0 188 100 192"' in lower
    assert slides._halves('<svg width="1pt" height="9pt" viewBox="0 0 1 9"></svg>') is None
    above, below = (figures.drawing(slide.picture.source) for slide in slides._in_two(tall(svg)))
    assert (above, below) == (upper, lower)
    title, other = slides._in_two(tall(svg))
    assert (title.body, title.picture.label, other.body, other.picture.label) == ("text", "fig-a", "", "")
    assert other.picture.height == 1.92
    assert (title.picture.alt, other.picture.alt) == ("alt (upper rows)", "alt (lower rows)")
    assert (title.picture.caption, other.picture.caption) == ("A caption. (Upper rows.)", "A caption. (Lower rows.)")
    assert (title.notes, other.notes) == ("note", "")
    flat = slides.Slide("A", "text", picture=slides.Picture("x", "alt", "", height=0.9))
    assert slides._in_two(flat) == [flat]


def tall(svg):
    picture = slides.Picture(slides.figures.data_uri(svg), "alt", "A caption.", "fig-a", 3.8, 100.0)
    return slides.Slide("A", "text", notes="note", picture=picture)


def test_of_a_figure_that_is_cut_both_halves_go_or_none():
    text = [slides.Slide(str(i), f"text {i}") for i in range(slides.MOST - 1)]
    halves = [slides.Slide("A", "", 2, "note"), slides.Slide("A", "", 2, rest=True)]
    other = slides.Slide("B", "", 1, "other")
    kept = slides._trimmed([*text[:5], *halves, *text[5:], other])
    assert [slide.title for slide in kept] == [*(slide.title for slide in text), "B"]
    assert kept[4].notes == "**A**\n\nnote"
    assert slides._trimmed([*text[:-1], *halves]) == [*text[:-1], *halves]


def test_the_legend_of_a_figure_that_is_cut_is_on_both_halves():
    image = '<image xlink:href="x" width="10" height="10" transform="matrix(9 0 0 9 5 {})"/>'
    rows = "".join(image.format(top) for top in (25, 117, 209, 301))
    legend = '<g id="legend_1"><g transform="translate(44.1 15) scale(0.1 -0.1)"></g></g>'
    svg = f'<svg width="100pt" height="400pt" viewBox="0 0 100 400">{rows}{legend}</svg>'
    upper, lower = slides._halves(svg)
    assert 'height="208pt" viewBox="0 0 100 208"' in upper
    assert 'height="212pt" viewBox="0 0 100 212"' in lower
    assert lower.count('<use xlink:href="#whole"/>') == 2
    assert 'y="20" width="100" height="192" viewBox="0 208 100 192"' in lower
    assert lower.count(legend) == 1
    fromstring(lower.replace("<svg ", '<svg xmlns:xlink="x" ', 1))  # well formed


def test_conclusions_are_shared_evenly_on_as_few_slides_as_hold_them():
    points = [("word " * 60, str(i)) for i in range(4)]
    assert [[whole for _, whole in part] for part in slides._shared(points)] == [["0", "1"], ["2", "3"]]
    assert len(slides._shared(points[:3])) == 1
    assert slides._shared([]) == []
    assert len(slides._shared([("word", "")] * (slides.POINTS + 1))) == 2


def test_numbers_are_set_as_on_the_pages_and_formulas_stay():
    page = slides.page([slides.Slide("A", "From 10 % to 20%, $x'y = -1$, -0.5 [-1, +1]; $k$-1", notes="A -2")])
    space = "\N{NO-BREAK SPACE}"
    assert f"From 10{space}% to 20{space}%, \\(x&#x27;y = -1\\), −0.5 [−1,{space}+1]; \\(k\\)-1" in page
    assert "A −2" in page


def test_the_text_of_a_slide_that_goes_is_in_the_notes_before_it():
    made = [slides.Slide(str(i), f"body {i}", rank=i == 7, notes=f"note {i}") for i in range(slides.MOST + 1)]
    assert slides._trimmed(made)[6].notes == "note 6\n\n**7**\n\nbody 7\n\nnote 7"


def test_the_notes_of_a_slide_that_goes_tell_its_text_once():
    first, other = "One.\nAnd two. Three.", "$$\nx\n$$"
    made = [slides.Slide(str(i), f"text {i}") for i in range(slides.MOST)]
    gone = slides.Slide("S", f"One. And two.\n\n{other}\n\nOf the slide alone.", 1, f"{first}\n\nFour.")
    made[6:7] = [slides.Slide("S", "text", notes=other), gone]
    assert slides._trimmed(made)[6].notes == f"{other}\n\nOf the slide alone.\n\n{first}\n\nFour."


def test_a_slide_without_notes_has_those_of_the_one_before_it_in_its_section():
    made = [slides.Slide(*one) for one in (("T", ""), ("A", "", 0, "note"), ("A", ""), ("B", ""))]
    told = [slide.notes for slide in slides._told_of(made)]
    assert told == ["- A (slide 2)\n- B (slide 4)", "note", "note", ""]


def test_the_title_slide_and_the_index_name_preset_and_data(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "names", lambda: ["04_off_manifold_robustness"])
    slides.write(tmp_path)
    (one,) = runs.read(["04_off_manifold_robustness"], "best")
    said = slides.origin(one)
    assert f"preset {one.preset}, data: " in said
    for page in ("04_off_manifold_robustness.html", "index.html"):
        assert said in (tmp_path / page).read_text()


def test_what_is_missing_is_named(house, tmp_path):
    with pytest.raises(PagsError, match="not executed at preset quick: 01_good"):
        slides.write(tmp_path / "slides", "quick")
    with pytest.raises(PagsError, match="no-such-package is not installed"):
        shipped._installed("no_such_module", "no-such-package")
    with pytest.raises(UsageError, match="unknown preset 'foo': write one of quick, standard, gpu, paper, best"):
        slides.write(tmp_path / "slides", "foo")
    assert not (tmp_path / "slides").exists()


def test_a_chapter_without_a_heading_is_refused():
    with pytest.raises(PagsError, match="heading"):
        slides.deck(nb.new_notebook(), [], KNOWN, {})


def test_long_decks_lose_what_is_least_needed_first():
    made = [slides.Slide(str(i), "text", rank=i % 5) for i in range(30)]
    kept = slides._trimmed(made)
    assert len(kept) == slides.MOST
    assert {slide.rank for slide in kept} == {0, 1, 2, 3}
    titles = [slide.title for slide in kept]
    assert [slide.title for slide in made if slide.title in titles] == titles


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and holds no slides: name a new directory"):
        slides.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "mine"
