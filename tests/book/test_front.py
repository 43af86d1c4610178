"""What the pages say of the whole book is made of its runs and settings."""

import re

import yaml
from pybtex.database import parse_file

from pags import paths
from pags.book import chapters, claims, front, page, results

SETTINGS = {"title": "A book", "author": "Its authors", "copyright": "2026, its authors", "repository": {"url": ""}}


def run(preset, value, **more):
    metric = {"value": value, "low": None, "high": None, "n": 1, "unit": ""}
    names = page.named(front.FOUND[0][1])
    found = {
        "chapter": front.FOUND[0][0],
        "preset": preset,
        "parameters": {"data": ["mnist"], "config": {}},
        "data": {"strokes": ""},
    }
    return found | {"metrics": dict.fromkeys(names, metric)} | more


def test_a_finding_is_of_the_largest_run_that_has_measured_all_of_it():
    runs = [run("quick", 0.25), run("standard", 0.5), run("paper", 0.75, metrics={})]
    (line,) = front.findings(runs).splitlines()
    assert "possible images?** 50 % of its length" in line
    assert line.endswith("[chapter 03, on MNIST at preset standard](chapters/03_tangent_fractions)")
    assert front.findings([]) == ""


def test_a_finding_about_masks_names_the_share_of_its_run_and_what_places_at_random_teach():
    chapter, sentence, _ = front.FOUND[3]
    metrics = {
        name: {"value": 0.1, "low": None, "high": None} for name in page.named(sentence) if "setting" not in name
    }
    metrics["outline.random.top.outline"] = {"value": 0.11, "low": 0.08, "high": 0.14}
    parameters = {"data": [], "config": {"images": "strokes", "share": 0.25}}
    (line,) = front.findings([run("quick", 0.0, chapter=chapter, metrics=metrics, parameters=parameters)]).splitlines()
    assert "brightest 25 %, without any pixel" in line
    assert "as many places drawn at random 11 % [8.0 %, 14 %]" in line
    assert front.findings([run("quick", 0.0, chapter=chapter, metrics=metrics)]) == ""


def test_the_book_answers_its_questions_by_its_published_runs():
    lines = front.findings(results.all([paths.PUBLISHED])).splitlines()
    assert len(lines) == len(front.FOUND)
    assert not [line for line in lines if re.search(r"[{}]|\bnan\b", line)]


def test_the_pages_use_every_word_that_is_put_in_and_no_other():
    known = front.substitutions([], claims.verdicts([]), SETTINGS)
    used = set()
    for path in (paths.ROOT / "book").glob("*.md"):
        used |= set(re.findall(r"\{\{ (\w+) \}\}", path.read_text(encoding="utf-8")))
    assert used == set(known)


def test_the_book_and_every_chapter_can_be_cited():
    book = front.entry_of_book(SETTINGS)
    version = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text())["version"]
    assert book == (
        f"@misc{{pags,\n  title = {{A book}},\n  author = {{{{Its authors}}}},\n  year = {{2026}},\n"
        f"  version = {{{version}}},\n}}"
    )
    entries = [front.entry_of_chapter(name, SETTINGS) for name in chapters.names()]
    assert len({entry.splitlines()[0] for entry in entries}) == len(entries)
    assert "@incollection{pags-01a," in entries[1]
    assert "  chapter = {01a}," in entries[1]
    with_url = front.entry_of_book(SETTINGS | {"repository": {"url": "https://example.org/book"}})
    assert "url = {https://example.org/book}" in with_url


def test_every_reference_leads_somewhere():
    entries = parse_file(str(paths.ROOT / "book" / "references.bib")).entries
    for key, one in entries.items():
        fields = one.fields
        assert {"doi", "eprint", "url"} & set(fields), key
        assert re.fullmatch(r"(\d{4}\.\d{4,5})?", fields.get("eprint", "")), key
        assert re.fullmatch(r"(10\.\d{4,}/\S+)?", fields.get("doi", "")), key
