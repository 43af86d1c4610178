"""How a chapter is called: by its number, with a letter where a chapter has parts, or by its name."""

import json
import re
from importlib import resources

import pytest

from pags import paths
from pags.book import chapters
from pags.errors import UsageError

NAMES = ["01_theory_checks", "01a_robustness_theory", "01b_manifold_theory", "02_generation", "10_more"]


@pytest.fixture(autouse=True)
def notebooks(tmp_path, monkeypatch):
    """A directory with these chapters and with files that are none."""
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path)
    for name in [*reversed(NAMES), "README", "1_short", "01A_capital", "01ab_two"]:
        (tmp_path / f"{name}.md").touch()


def test_chapters_stand_in_the_book_s_order_parts_behind_their_overview():
    assert chapters.names() == NAMES


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("01", "01_theory_checks"),  # not the three that begin like it
        ("1", "01_theory_checks"),
        ("01a", "01a_robustness_theory"),
        ("1a", "01a_robustness_theory"),
        ("01b_m", "01b_manifold_theory"),
        ("robustness_theory", "01a_robustness_theory"),
        ("theory", "01_theory_checks"),
        ("manifold", "01b_manifold_theory"),
        ("02", "02_generation"),
        ("10", "10_more"),
        ("01b_manifold_theory", "01b_manifold_theory"),
    ],
)
def test_a_chapter_is_found_by_number_letter_and_name(word, found):
    assert chapters.find(word) == found


@pytest.mark.parametrize("word", ["", "0", "01c", "a", "1_short", "01A", "3"])
def test_what_names_no_chapter_or_several_is_refused(word):
    with pytest.raises(UsageError):
        chapters.find(word)


@pytest.mark.parametrize("name", ["results.schema.json", "claims.schema.json"])
def test_the_schemas_take_every_id_that_a_chapter_may_have(name):
    pattern = json.loads((resources.files("pags.book") / name).read_text())["properties"]["chapter"]["pattern"]
    assert [id for id in (*NAMES, "01A_capital", "01ab_two", "1_short") if re.search(pattern, id)] == NAMES
