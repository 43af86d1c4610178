"""What lies in published/ has passed the gates of a run, and nothing of it stands alone."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from pags import paths
from pags.book import build, chapters, figures, gates, runs, scoreboard

NOTEBOOKS = sorted(paths.PUBLISHED.glob("*/*.ipynb"))


def test_every_chapter_of_the_book_is_published_at_quick_and_at_standard():
    listed = build.listed_chapters(paths.BOOK / "_toc.yml")
    there = {
        preset: {path.stem for path in NOTEBOOKS if path.parent.name == preset} for preset in ("quick", "standard")
    }
    assert {preset: set(listed) - names for preset, names in there.items()} == {"quick": set(), "standard": set()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_published_chapter_passed_its_gates_and_has_its_results(path):
    assert path.stem in chapters.names()
    assert gates.executed(nbformat.read(path, as_version=4)) == []
    assert gates.result(path.with_suffix(".json")) == []
    assert path.with_suffix(".run.json").exists()
    runs.page(path.stem, path)  # not damaged, and of one run


def test_no_result_is_published_without_its_notebook():
    results = {path.with_name(path.name.split(".")[0] + ".ipynb") for path in paths.PUBLISHED.glob("*/*.json")}
    assert results == set(NOTEBOOKS)


def shown(notebook):
    """What the outputs say to a reader who opens no fold."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if figure := data.get(figures.MIME):
                yield f"{figure['caption']} {figure['alt']}"
            elif "text/html" in data:
                page = BeautifulSoup(data["text/html"], "html.parser")
                for fold in page.select("details, [class^=pags-run]"):
                    fold.extract()
                yield page.get_text(" ")
            else:
                yield data.get("text/markdown", "")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_data_sets_have_the_names_that_readers_know(path):
    names = [name for name in scoreboard.DATA if " " not in name and name != "pneumonia"]  # a word, too
    told = re.compile(rf"(?<![\w`.-])({'|'.join(names)})(?![\w`.-])")
    found = [
        text[max(0, at.start() - 40) : at.end() + 40]
        for text in shown(nbformat.read(path, 4))
        for at in told.finditer(text)
    ]
    assert found == []
