"""Slides: a deck a chapter, of a length that a lecture bears, that opens without a network."""

import re

import browser
import nbformat.v4 as nb
import pytest

from pags.book import chapters, exercises, plain, runs, shipped, slides
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
    assert deck[-1].title == "Exercises"
    assert deck[-1].body.count("\n") + 1 == len(exercises.read(chapter))
    assert any(slide.title.startswith("What we found") for slide in deck)
    assert chapter.startswith("01_") or played or sum("<figure>" in slide.body for slide in deck) >= 3
    page = slides.page(deck)
    assert page.count("<section>") == len(deck)
    assert not re.search(r"\{(cite|numref|eq|doc|prf|ref|term)[:a-z]*\}`", page)
    assert all('alt=""' not in image for image in re.findall(r"<img [^>]*>", page))


def test_decks_open_without_a_network(tmp_path, monkeypatch):
    chosen = [chapter for chapter in SHOWN if chapter[:3] in ("01_", "01a")]
    monkeypatch.setattr(chapters, "names", lambda: chosen)
    slides.write(tmp_path)
    assert browser.complaints(tmp_path, ["index.html", *(f"{chapter}.html" for chapter in chosen)]) == []


def test_every_slide_fits(tmp_path, monkeypatch):
    from playwright.sync_api import sync_playwright

    monkeypatch.setattr(chapters, "names", lambda: ["01a_robustness_theory"])
    slides.write(tmp_path)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.chromium(), args=browser.FLAGS)
        page = chromium.new_page(viewport={"width": 1280, "height": 720})
        page.goto((tmp_path / "01a_robustness_theory.html").as_uri())
        page.evaluate(browser.TYPESET)
        page.wait_for_timeout(500)
        heights = page.evaluate(
            """() => [...document.querySelectorAll(".slides > section")].map((slide, at) => {
                Reveal.slide(at);
                return [slide.scrollHeight, slide.scrollWidth - slide.clientWidth];
            })"""
        )
        chromium.close()
    assert max(height for height, _ in heights) <= 720
    assert max(excess for _, excess in heights) <= 0


def test_what_is_missing_is_named(house, tmp_path):
    with pytest.raises(PagsError, match="not executed at preset quick: 01_good"):
        slides.write(tmp_path / "slides")
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
    assert [slide for slide in made if slide in kept] == kept


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and holds no slides: name a new directory"):
        slides.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "mine"
