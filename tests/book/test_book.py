"""The book is built from executed chapters only, and a broken build leaves the one that stands."""

import json
import re
import shutil
import textwrap
from pathlib import Path
from types import SimpleNamespace

import browser
import nbformat
import nbformat.v4 as nb
import pytest
import sphinx
from bs4 import BeautifulSoup

from pags import artifacts, files, paths, presets
from pags.book import build, chapters, dress, figures, origin, printing, results, runs, scoreboard, status
from pags.errors import PagsError, UsageError

RESULT = {"schema": 1, "chapter": "01_good", "artifacts": [], "versions": {}, "data": {"strokes": "all 0123"}}
RESULT |= {"parameters": {"seed": 5, "device": "cpu", "data": [], "overrides": {}, "config": {}}}
RESULT |= {"metrics": {"steps": {"value": 3.0, "low": None, "high": None, "n": 1, "unit": ""}}}


SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"><rect width="60" height="60" fill="#0069a8"/></svg>'
)
FIGURE = {
    "svg": SVG,
    "alt": "a square",
    "caption": "Of *length* $x<y$; {numref}`fig-slide` moves.",
    "label": "fig-still",
}
SLIDER = {"frames": [figures.data_uri(SVG)] * 2, "names": ["step"], "values": [["0", "1"]], "start": [0], "width": None}
SLIDER |= {
    "alt": "two squares",
    "caption": "As {numref}`fig-still`, {prf:ref}`thm-chance`, {cite}`euclid`.",
    "label": "fig-slide",
}


def chapter(text="# The title\n\nThe text, and {numref}`fig-slide`.\n\n## A part\n"):
    outputs = [
        nb.new_output("display_data", {figures.MIME: content, "text/plain": "[the fallback]"})
        for content in (FIGURE, SLIDER)
    ]
    cells = [nb.new_markdown_cell(text), nb.new_code_cell("1 + 1", execution_count=1, outputs=outputs)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    papermill = {"duration": 12.3, "end_time": "2025-01-02T03:04:05"}
    return nb.new_notebook(cells=cells, metadata={"kernelspec": kernel, "papermill": papermill})


@pytest.fixture
def executed(house):
    """The small book's one chapter, executed at quick; the page's styles are the real book's."""
    shutil.copytree(paths.ROOT / "book" / "style", paths.BOOK / "style", dirs_exist_ok=True)
    put(paths.EXECUTED, paths.RESULTS, "quick")
    return house


def put(notebooks, results, preset, date="2025-06-07T08:09:10"):
    for directory in (notebooks / preset, results / preset):
        directory.mkdir(parents=True, exist_ok=True)
    nbformat.write(chapter(), notebooks / preset / "01_good.ipynb")
    (results / preset / "01_good.json").write_text(json.dumps(RESULT | {"preset": preset}))
    (results / preset / "01_good.run.json").write_text(json.dumps({"date": date}))


def test_a_page_has_todays_text_where_its_code_is_that_of_the_run(house):
    """What is said about unchanged numbers may be said better without a rerun."""
    source = paths.NOTEBOOKS / "01_good.md"
    notebook = chapters.read("01_good")
    injected = nb.new_code_cell("seed = 5", metadata={"tags": ["injected-parameters"]})
    notebook.cells.insert(2, injected)
    before = [cell.source for cell in notebook.cells]
    text = next(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    source.write_text(source.read_text().replace(text, f"{text} And more."))
    after = [cell.source for cell in origin.with_text_of_today(notebook, "01_good").cells]
    assert after == [f"{text} And more." if one == text else one for one in before] != before
    code = next(
        cell for cell in chapters.read("01_good").cells if cell.cell_type == "code" and "seed" not in cell.source
    )
    source.write_text(source.read_text().replace(code.source, f"{code.source} + 1").replace("And more", "And less"))
    assert [cell.source for cell in origin.with_text_of_today(notebook, "01_good").cells] == after


def page(name):
    return (paths.HTML / name).read_text()


def test_the_book_stands_with_status_scoreboard_and_its_own_mathjax(executed):
    assert build.build() == paths.HTML / "index.html"
    first = BeautifulSoup(page("index.html"), "html.parser")
    assert first.html["lang"] == "en"
    assert first.select_one("meta[http-equiv=refresh]")["content"] == "0; url=intro.html"
    assert first.select_one("link[rel=icon]")["href"] == "data:,"
    status = page("chapters/01_good.html").split('class="pags-status')[1].split("</div>")[0]
    for fact in (
        "preset <strong>quick",
        "data <strong>strokes",
        "device <strong>cpu",
        "time <strong>12 s",
        "<strong>2025-06-07",
    ):
        assert fact in status
    assert "reproduced on strokes" in page("scoreboard.html")
    assert (paths.HTML / "_static" / "mathjax" / "tex-mml-chtml.js").stat().st_size > 1_000_000
    assert not list((paths.BUILD / "running").glob("html"))
    assert browser.complaints(paths.HTML) == []
    for walk in browser.walked(paths.HTML, ["intro.html", "chapters/01_good.html", "scoreboard.html"]).values():
        assert walk.stops[0] == "A Skip to main content"
        assert walk.unseen == []
        assert walk.ends
        assert not [stop for stop in walk.stops if stop.startswith("MJX")]  # formulas are no stops
    with browser.served(paths.HTML) as base, browser.opened(f"{base}intro.html") as shown:
        shown.keyboard.press("Tab")
        shown.keyboard.press("Enter")
        shown.keyboard.press("Tab")
        assert shown.evaluate("document.activeElement.closest('article') !== null")
        for button in ("Toggle primary sidebar", "Color mode"):  # the focus stays where the key was pressed
            shown.get_by_role("button", name=button).focus()
            shown.keyboard.press("Enter")
            assert shown.evaluate("document.activeElement.getAttribute('aria-label')") == button
        shown.set_viewport_size(browser.PHONE)
        shown.get_by_role("button", name="Toggle primary sidebar").press("Enter")
        assert shown.locator("dialog[open]").count() == 1
        shown.keyboard.press("Escape")
        shown.wait_for_function("document.activeElement.matches('.primary-toggle')")


def test_a_page_that_earlier_code_has_made_says_so(executed):
    build.build()
    assert "Earlier code made this page" in page("chapters/01_good.html")
    box = build.status(chapter(), ({}, {"commit": "0123456789abcdef"}), changed=["cells", "pags.vae"])
    assert "(commit 0123456789)" in box
    assert "Changed since: cells, `pags.vae`." in box
    box = build.status(chapter(), ({}, {}), changed=["cells", *(f"pags.m{n}" for n in range(9))])
    assert "Changed since: cells, `pags.m0`, `pags.m1`, `pags.m2`, 6 more modules." in box


def ran(**changes):
    """The small chapter as it is, with a results file as a run of today would write it."""
    notebook = chapters.read("01_good")
    notebook.cells.insert(3, nb.new_code_cell("seed = 7", metadata={"tags": ["injected-parameters"]}))
    config = presets.get("01_good", "quick", {})
    run = results.Run("01_good", "quick", 7, SimpleNamespace(type="cpu"), None, config, {})
    return notebook, run.results() | changes


def test_what_has_changed_since_a_run_is_named(house, monkeypatch):
    notebook, result = ran()
    assert "pags.stats" in result["source"]
    assert origin.changes("01_good", notebook, result) == []
    settings = result["parameters"] | {"config": {"epochs": 2}}
    assert origin.changes("01_good", notebook, result | {"parameters": settings}) == ["settings"]
    gone = result["parameters"] | {"overrides": {"batch": 2}}
    assert origin.changes("01_good", notebook, result | {"parameters": gone}) == ["settings"]
    unrecorded = {name: value for name, value in result.items() if name != "source"}
    assert origin.changes("01_good", notebook, unrecorded) == ["what was not recorded"]
    sources = artifacts.sources("pags")
    later = {"pags": sources | {"pags.stats": sources["pags.stats"] + "\nMORE = 1\n"}}
    monkeypatch.setattr(artifacts, "sources", later.get)
    assert origin.changes("01_good", notebook, result) == ["pags.stats"]
    later["pags"] = sources | {"pags.stats": "# a comment\n" + sources["pags.stats"]}
    assert origin.changes("01_good", notebook, result) == []
    notebook.cells[-1].source += "\n1"
    assert origin.changes("01_good", notebook, result) == ["cells"]


def test_digests_follow_imports_and_leave_out_the_values_of_settings(monkeypatch):
    before = origin.digests("03_tangent_fractions", "pags.presets.fractions", "cpu")
    assert "pags.presets.theory" not in before  # the settings of another chapter
    assert {"pags.stats", "pags.tangent", "pags.attribution", "pags.vae", "pags.presets.fractions"} <= before.keys()
    assert artifacts.MOVERS.isdisjoint(before)
    sources = artifacts.sources("pags")
    text = sources["pags.presets.fractions"]
    field = re.search(r"^    explain: int = sizes\((\d+),", text, re.MULTILINE)
    other = text[: field.start(1)] + "77" + text[field.end(1) :]
    assert other != text
    code = text.replace("return self.manifold.data", "return self.manifold.data + ''")
    assert code != text
    shared = text.replace("DROPS = (10, 20, 30, 40)", "DROPS = (10, 20, 30, 41)")  # a value that has a name
    assert shared != text
    for changed, differs in ((other, set()), (shared, set()), (code, {"pags.presets.fractions"})):
        place = {"pags": sources | {"pags.presets.fractions": changed}}
        with monkeypatch.context() as patch:
            patch.setattr(artifacts, "sources", place.get)
            after = origin.digests("03_tangent_fractions", "pags.presets.fractions", "cpu")
        assert {name for name in after if after[name] != before[name]} == differs


def test_a_release_refuses_pages_that_earlier_code_made(executed):
    with pytest.raises(
        PagsError, match=r"no release; run their chapters again\n  01_good \(quick\), changed since: cells"
    ):
        build.build(release=True)
    assert not paths.HTML.exists()


def test_a_release_shows_on_its_scoreboard_only_what_its_pages_show(executed, monkeypatch):
    given = []
    put(paths.PUBLISHED, paths.PUBLISHED, "standard")
    monkeypatch.setattr(build.scoreboard, "whole_page", lambda found, places, kept: given.append(found) or "# Score")
    monkeypatch.setattr(origin, "changes", lambda *_: [])
    for release in (False, True):
        build.assemble(paths.BUILD / str(release) / "source", "quick", release=release)
    assert [result["preset"] for result in given[0]] == ["quick", "standard"]  # all there is
    assert [result["preset"] for result in given[1]] == ["quick"]


def test_a_ledger_that_names_what_is_not_there_is_refused_at_build(executed):
    ledger = paths.BOOK / "claims.yml"
    ledger.write_text(ledger.read_text().replace("metric: steps", "metric: stpes"))
    with pytest.raises(PagsError, match="claim B-counts: no run of 01_good records a metric 'stpes', 'steps' is the"):
        build.build()
    ledger.write_text(ledger.read_text().replace("stpes", "steps").replace("chapter: 01_good", "chapter: 09_gone"))
    with pytest.raises(PagsError, match="claim B-counts: there is no chapter '09_gone'"):
        build.build()
    assert not paths.HTML.exists()


def test_what_a_run_here_lacks_may_be_in_the_published_one(executed):
    put(paths.PUBLISHED, paths.PUBLISHED, "quick")
    here, ledger = paths.RESULTS / "quick" / "01_good.json", paths.BOOK / "claims.yml"
    there = paths.PUBLISHED / "quick" / "01_good.json"
    found = json.loads(there.read_text())
    there.write_text(json.dumps(found | {"metrics": found["metrics"] | {"likeness": found["metrics"]["steps"]}}))
    assert "likeness" not in here.read_text()
    ledger.write_text(ledger.read_text().replace("metric: steps", "metric: likeness"))
    build.assemble(paths.BUILD / "made" / "source", "quick")
    there.unlink()
    with pytest.raises(PagsError, match="no run of 01_good records a metric 'likeness'"):
        build.assemble(paths.BUILD / "again" / "source", "quick")


def test_figures_and_sliders_are_numbered_with_captions_in_myst(executed):
    build.build()
    text = BeautifulSoup(page("chapters/01_good.html"), "html.parser")
    still, moving = text.find_all("figure")
    assert [one.find(class_="caption-number").get_text().strip() for one in (still, moving)] == [
        "Figure 1.1",
        "Figure 1.2",
    ]
    assert (still["id"], moving["id"]) == ("fig-still", "fig-slide")
    assert still.img["alt"] == "a square"
    assert still.img["src"] == figures.shown_uri(SVG)
    assert still.figcaption.em.get_text() == "length"
    assert still.figcaption.find(class_="math").get_text() == r"\(x<y\)"
    links = [link.get_text() for link in text.select("main p a.reference")]
    assert links == ["Figure 1.2", "Figure 1.2", "Figure 1.1", "Theorem 1", "Euclid, 1482"]
    assert moving.find("input", type="range")["aria-valuetext"] == "0"
    assert "[the fallback]" not in text.get_text()


def test_chapter_folds_and_exercises_have_names_and_numbers_of_their_own(executed):
    path = files_of((paths.EXECUTED, paths.RESULTS))["notebook"]
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata["tags"] = ["hide-input"]
    notebook.cells.insert(1, nb.new_code_cell("seed = 0", execution_count=1, metadata={"tags": ["parameters"]}))
    caption = "<caption>Its 2,115 <em>words</em>, by kind</caption>"
    table = nb.new_output("display_data", {"text/html": f"<table>{caption}</table>"})
    for outputs in ([table], [], []):
        hidden = nb.new_code_cell("2 + 2", execution_count=2, outputs=outputs, metadata={"tags": ["hide-input"]})
        notebook.cells.append(hidden)
    exercise = "::::{exercise} Count again\n:label: ex-again\nHow many?\n::::"
    theorem = ":::{prf:theorem} Again\n:label: thm-again\nAs above.\n:::"
    notebook.cells.append(nb.new_markdown_cell(f"{exercise}\n\n{theorem}"))
    nbformat.write(notebook, path)
    build.build()
    text = BeautifulSoup(page("chapters/01_good.html"), "html.parser")
    assert text.select_one("article h1").get_text().startswith("01 · The title")
    assert "01 · The title" in page("intro.html")  # the sidebar
    summaries = text.select("details.hide > summary")
    assert [one.select_one(".collapsed").get_text() for one in summaries] == [
        "Parameters of this chapter",
        "Code of Figures 1.1 and 1.2",
        "Code of the table “Its 2,115 words”",
        "Code of “A part”",
        "Code of “A part”, part 2",
    ]
    assert not [one for one in summaries if one.has_attr("aria-label")]
    assert "Exercise 1.1" in text.select_one("div.exercise").get_text()
    assert "Theorem 1.1" in text.select_one("div.theorem").get_text()
    index = BeautifulSoup(page("prf-prf.html"), "html.parser")
    names = [link.get_text() for link in index.select("table.indextable a")]
    assert "Theorem 1.1 (Again)" in names
    assert "Theorem 1 (Chance)" in names
    assert not [name for name in names if "thm-" in name]


def test_a_verdict_leads_to_its_figure_on_both_pages_and_back(executed):
    path = files_of((paths.EXECUTED, paths.RESULTS))["notebook"]
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source = 'run.record("steps", 3.0)'
    before = nb.new_output(
        "execute_result", {"text/html": f"<div {scoreboard.OF_CHAPTER}>as it was</div>"}, execution_count=2
    )
    notebook.cells.append(nb.new_code_cell("scoreboard.show(run)", execution_count=2, outputs=[before]))
    nbformat.write(notebook, path)
    build.build()
    board = BeautifulSoup(page("scoreboard.html"), "html.parser").select_one("#claim-B-counts")
    assert [(link.get_text(), link["href"]) for link in board.find_all("a")] == [
        ("Figure 1.1, chapter 01", "chapters/01_good.html#fig-still")
    ]
    own = BeautifulSoup(page("chapters/01_good.html"), "html.parser").select_one(".pags-card")
    assert [link["href"] for link in own.find_all("a")] == ["#fig-still", "../scoreboard.html#claim-B-counts"]
    assert "as it was" not in page("chapters/01_good.html")


def test_a_run_with_changed_settings_enters_the_book_only_when_it_is_asked_to(executed):
    changed = (paths.CHANGED / "executed", paths.CHANGED / "results")
    put(*changed, "quick")
    place = files_of(changed)["results"]
    result = json.loads(place.read_text())
    result["parameters"]["overrides"] = {"epochs": 3}
    place.write_text(json.dumps(result))
    for asked in (False, True):
        source = build.assemble(paths.BUILD / str(asked) / "source", "quick", changed=asked)
        assert ("changed **epochs = 3**" in (source / "chapters" / "01_good.ipynb").read_text()) == asked
        assert ("with changed settings" in (source / "scoreboard.md").read_text()) == asked
    rows = status.table().splitlines()
    assert "here, with changed settings, epochs = 3" in rows[2]
    assert "changed" not in rows[1]
    with pytest.raises(UsageError, match="a release shows no run with changed settings"):
        build.build(release=True, changed=True)
    shutil.copy(place, files_of((paths.EXECUTED, paths.RESULTS))["results"])  # where no run of today puts it
    with pytest.raises(PagsError, match="is a run with changed settings: run the chapter again, or build with --ch"):
        build.assemble(paths.BUILD / "old" / "source", "quick")


def test_search_quotes_neither_the_contents_nor_the_status_box():
    script = (Path(sphinx.__file__).parent / "themes" / "basic" / "static" / "searchtools.js").read_text()
    assert '"#jb-print-docs-body", ".pags-status"' in build.without_contents(script)
    with pytest.raises(PagsError, match="is not the one that this book knows"):
        build.without_contents("")


def test_a_page_names_its_source_if_the_book_names_a_repository():
    where = {"url": "https://example.org/us/book/", "branch": "main"}
    source, fault = build.page_links("chapters/03_tangent_fractions.html", where, [])
    assert 'href="https://example.org/us/book/blob/main/notebooks/03_tangent_fractions.md"' in source
    assert "issues/new?title=notebooks/03_tangent_fractions.md%3A%20" in fault
    assert "blob/main/book/intro.md" in build.page_links("intro.html", where, [])[0]
    assert build.page_links("genindex.html", where, []) == []
    assert build.page_links("intro.html", {"url": "", "branch": "main"}, []) == []
    (pdf,) = build.page_links("chapters/01_theory_checks.html", {"url": ""}, ["chapters/01_theory_checks.pdf"])
    assert 'href="../pdf/chapters/01_theory_checks.pdf"' in pdf


def test_without_a_browser_no_page_is_printed_and_one_line_says_so(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(printing, "chromium", lambda: None)
    assert printing.print_pages(tmp_path) == []
    assert capfd.readouterr().err.splitlines() == [
        "no PDF: there is no Chromium here; install it, or name one in PAGS_CHROMIUM"
    ]


def test_every_page_is_printed_without_solutions_folds_and_lost_code(executed):
    path = files_of((paths.EXECUTED, paths.RESULTS))["notebook"]
    notebook = nbformat.read(path, as_version=4)
    long = "a_name = " + " + ".join(["number"] * 40)
    hidden = {"tags": ["hide-input"]}
    notebook.cells.append(nb.new_code_cell(long, execution_count=2))
    notebook.cells.append(nb.new_code_cell("unseen = 1", execution_count=3, metadata=hidden))
    notebook.cells.append(nb.new_markdown_cell("```{dropdown} The proof\nBy counting twice.\n```"))
    nbformat.write(notebook, path)
    build.build(pdf=True)
    assert 'href="../pdf/chapters/01_good.pdf"' in page("chapters/01_good.html")
    for name in ("intro", "scoreboard", "chapters/01_good"):
        assert (paths.HTML / "pdf" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    shown = browser.on_paper(paths.HTML, ["intro.html", "chapters/01_good.html"])
    assert "How many theorems stand above?" in shown["intro.html"].text
    assert "One:" not in shown["intro.html"].text  # the solution
    assert "unseen" not in shown["chapters/01_good.html"].text
    assert "Code of" not in shown["chapters/01_good.html"].text
    assert "By counting twice." in shown["chapters/01_good.html"].text  # what only a fold of the text hides
    assert "step\n0" in shown["chapters/01_good.html"].text  # where its slider stands
    assert shown["chapters/01_good.html"].cut == []


def test_a_broken_build_leaves_the_book_that_stands(executed):
    build.build()
    before = page("intro.html")
    for defect, complaint in (
        ("{prf:ref}`thm-nowhere`", "WARNING"),
        ("<img src='style/dot.svg'>", "says nothing to those who cannot see it"),
        ("[gone](gone.html)", "gone.html"),
    ):
        text = (paths.BOOK / "intro.md").read_text()
        (paths.BOOK / "intro.md").write_text(f"{text}\n{defect}\n")
        with pytest.raises(PagsError, match="the book stays as it was") as refused:
            build.build()
        assert complaint in str(refused.value)
        assert str(paths.BUILD) not in str(refused.value)
        assert page("intro.html") == before
        (paths.BOOK / "intro.md").write_text(text)


def test_a_failed_build_leaves_nothing_on_the_disk(executed, monkeypatch):
    (paths.BOOK / "intro.md").write_text("no title\n")
    monkeypatch.setattr(build, "pages", lambda source, out: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        build.build()
    assert [path.name for path in (paths.BUILD / "running").iterdir()] == ["html.lock"]


def files_of(place):
    return {
        "notebook": place[0] / "quick" / "01_good.ipynb",
        "results": place[1] / "quick" / "01_good.json",
        "record": place[1] / "quick" / "01_good.run.json",
    }


NO_NOTEBOOK = '{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}'


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        *(("notebook", text) for text in (b"", b"{", b"[]", b"{}", b"\xff", NO_NOTEBOOK.encode(), b'{"cells": 3}')),
        *(("results", text) for text in (b"", b"[]", b"\xff")),
        *(("record", text) for text in (b"", b"[]", b'{"date": 3}')),
    ],
)
@pytest.mark.parametrize("place", ["here", "published"])
def test_one_damaged_file_is_named_with_its_remedy_in_its_row_only(house, capfd, place, kind, content):
    places = {"here": (paths.EXECUTED, paths.RESULTS), "published": (paths.PUBLISHED, paths.PUBLISHED)}
    put(*places[place], "quick")
    put(*places[place], "standard")
    path = files_of(places[place])[kind]
    path.write_bytes(content)
    remedy = (
        "delete it and make it again with" if place == "here" else "restore it with `git checkout`, or run the chapter"
    )
    rows = {tuple(row.split()[:2]): row for row in status.table().splitlines()}
    bad = rows["01_good", "quick"]
    assert f"{path} is damaged (" in bad
    assert remedy in bad
    assert "`pags run 01_good --preset quick`" in bad
    assert place in rows["01_good", "standard"]
    assert "damaged" not in rows["01_good", "standard"]
    with pytest.raises(PagsError, match=r"^the book stays as it was") as refused:
        build.assemble(house / "work" / "source", "quick")
    assert str(refused.value).splitlines()[1:] == [f"  {bad[bad.index(str(path)) :]}"]
    assert capfd.readouterr().err == ""


def test_a_page_beside_the_results_of_another_run_is_noticed(executed):
    path = files_of((paths.EXECUTED, paths.RESULTS))
    notebook = nbformat.read(path["notebook"], as_version=4)
    notebook.metadata["pags"] = {"results": runs.fingerprint(path["results"])}
    nbformat.write(notebook, path["notebook"])
    assert runs.page("01_good", path["notebook"])[1][0]["preset"] == "quick"
    for change in (lambda file: file.write_text(file.read_text() + "\n"), lambda file: file.unlink()):
        change(path["results"])
        with pytest.raises(
            PagsError, match="are not of the same run: make both again with `pags run 01_good --preset q"
        ):
            runs.page("01_good", path["notebook"])
        assert "are not of the same run" in status.table().splitlines()[1]


def test_a_chapter_that_was_not_executed_is_an_error_that_says_what_to_run(house):
    with pytest.raises(PagsError, match=r"not executed at preset paper: 01_good; run: pags run 01_good --preset paper"):
        build.build("paper")
    with pytest.raises(UsageError, match="unknown preset 'quickly': write one of quick, standard, gpu, paper, best"):
        build.build("quickly")


def test_a_run_with_changed_settings_comes_first_if_it_is_asked_for(house):
    put(paths.PUBLISHED, paths.PUBLISHED, "standard", date="2024-01-01")
    put(paths.CHANGED / "executed", paths.CHANGED / "results", "quick", date="2025-02-02")
    for preset in ("quick", "best"):
        assert runs.executed("01_good", preset, changed=True).is_relative_to(paths.CHANGED)
    assert runs.executed("01_good", "standard", changed=True).is_relative_to(paths.PUBLISHED)
    assert runs.executed("01_good", "best").is_relative_to(paths.PUBLISHED)


def test_a_published_chapter_serves_where_none_was_run_here(house):
    put(paths.PUBLISHED, paths.PUBLISHED, "standard", date="2024-01-01")
    best = runs.executed("01_good", "best")
    assert best == paths.PUBLISHED / "standard" / "01_good.ipynb"
    assert runs.result_files("01_good", best)[0]["preset"] == "standard"
    source = build.assemble(house / "work" / "source", "standard")
    assert "run on **2024-01-01**" in (source / "chapters" / "01_good.ipynb").read_text()
    put(paths.EXECUTED, paths.RESULTS, "standard", date="2025-02-02")
    shutil.rmtree(house / "work")
    source = build.assemble(house / "work" / "source", "standard")
    assert "run on **2025-02-02**" in (source / "chapters" / "01_good.ipynb").read_text()


def test_the_status_box_stands_under_the_title():
    notebook = chapter("(label)=\n# The title\n\nThe text.")
    notebook.cells.insert(0, nb.new_markdown_cell("no title here"))
    dress.insert_under_title(notebook, "BOX")
    assert notebook.cells[1].source == "(label)=\n# The title\n\nBOX\n\n\nThe text."
    with pytest.raises(PagsError, match="has no title"):
        dress.insert_under_title(chapter("only text"), "BOX")


def test_the_status_box_leaves_out_what_is_not_known():
    assert build.status(nb.new_notebook(), ({}, {})).splitlines()[1] == ""


def test_the_box_says_what_a_page_took_to_make_and_not_only_the_run_from_the_cache():
    assert build.spent({"cached": 0, "artifacts": 8}, 12.3) == {"time": "12 s"}
    assert build.spent({"cached": 8, "artifacts": 8, "seconds_to_make": 4300.0}, 12.3) == {
        "time to make": "1 h 12 min of a processor",
        "last run": "12 s, 8 of 8 models from the cache",
    }
    assert build.spent({"cached": 8, "artifacts": 8}, 99)["time to make"] == "not recorded"
    assert build.spent({}, None) == {"time": ""}


def test_no_name_of_data_becomes_markup_in_the_box():
    box = build.status(nb.new_notebook(), ({"data": {"<svg onload=x>": [], "a$b$": [], "`c`": [], "d_e": []}}, {}))
    assert box.splitlines()[1] == r"data **\<svg onload=x\>, a\$b\$, \`c\`, d\_e**"


def test_the_listed_chapters_are_those_of_the_table_of_contents(tmp_path):
    (tmp_path / "_toc.yml").write_text(textwrap.dedent("""
        root: intro
        parts:
          - chapters:
              - file: chapters/02_two
                sections:
                  - file: chapters/03_three
              - file: scoreboard
        """))  # fmt: skip
    assert build.listed_chapters(tmp_path / "_toc.yml") == ["02_two", "03_three"]


def test_the_place_of_a_directory_is_taken_by_the_new_one(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    files.replace_directory(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["new"]


class Killed(BaseException):
    """As if the process had ended here."""


def test_a_book_that_was_set_aside_when_the_process_was_killed_comes_back(tmp_path, monkeypatch):
    for name in ("book", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    rename, moves = Path.rename, []

    def once(self, target):
        moves.append(target)
        if len(moves) == 2:
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", once)
        with pytest.raises(Killed):
            files.replace_directory(tmp_path / "new", tmp_path / "book")
    assert not (tmp_path / "book").exists()
    files.restore_directory(tmp_path / "book")
    assert [path.name for path in (tmp_path / "book").iterdir()] == ["book"]
    files.replace_directory(tmp_path / "new", tmp_path / "book")
    assert [path.name for path in tmp_path.iterdir()] == ["book"]
    assert [path.name for path in (tmp_path / "book").iterdir()] == ["new"]


def test_nothing_moves_before_there_is_room_for_all(tmp_path):
    (tmp_path / "made").touch()
    (tmp_path / "file").touch()
    with pytest.raises(PagsError, match=r"^cannot write .*file/place"):
        files.place({tmp_path / "made": tmp_path / "a" / "place", tmp_path / "more": tmp_path / "file" / "place"})
    assert (tmp_path / "made").exists()


def test_what_killed_processes_leave_goes_but_not_what_somebody_holds(tmp_path):
    for name in ("dead", "alive"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "much").write_text("much")
    with files.locked(tmp_path / "alive", print, ""):
        files.remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["alive"]
    files.remove_abandoned(tmp_path / "nowhere")


def test_tidy_takes_out_idle_scripts_and_wrong_roles_only():
    page = (
        '<script>const THEBE_JS_URL = "https://x"</script><div role="doc-biblioentry"></div><script>let a = 1</script>'
    )
    assert build.mended(page) == '<div role="listitem"></div><script>let a = 1</script>'
