"""The book is built from executed chapters only, and a broken build leaves the one that stands."""

import json
import shutil
import textwrap

import browser
import nbformat
import nbformat.v4 as nb
import pytest
from bs4 import BeautifulSoup

from pags import files, paths
from pags.book import build, chapters, figures
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


def chapter(text="# The title\n\nThe text, and {numref}`fig-slide`."):
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


def page(name):
    return (paths.HTML / name).read_text()


def test_the_book_stands_with_status_scoreboard_and_its_own_mathjax(executed):
    assert build.build() == paths.HTML / "index.html"
    assert "url=intro.html" in page("index.html")
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


def test_a_page_that_earlier_code_has_made_says_so(executed):
    build.build()
    assert "Earlier code made this page" in page("chapters/01_good.html")
    same = chapters.read("01_good")
    same.cells.insert(3, nb.new_code_cell("seed = 7", metadata={"tags": ["injected-parameters"]}))
    assert not build.earlier("01_good", same)
    same.cells[-1].source += "\n1"
    assert build.earlier("01_good", same)
    box = build.status(same, ({}, {"commit": "0123456789abcdef"}), earlier=True)
    assert "(commit 0123456789)" in box


def test_figures_and_sliders_are_numbered_with_captions_in_myst(executed):
    build.build()
    text = BeautifulSoup(page("chapters/01_good.html"), "html.parser")
    still, moving = text.find_all("figure")
    assert [one.find(class_="caption-number").get_text().strip() for one in (still, moving)] == ["Fig. 1", "Fig. 2"]
    assert (still["id"], moving["id"]) == ("fig-still", "fig-slide")
    assert still.img["alt"] == "a square"
    assert still.img["src"] == figures.data_uri(SVG)
    assert still.figcaption.em.get_text() == "length"
    assert still.figcaption.find(class_="math").get_text() == r"\(x<y\)"
    links = [link.get_text() for link in text.select("main p a.reference")]
    assert links == ["Fig. 2", "Fig. 2", "Fig. 1", "Theorem 1", "Euclid, 1482"]
    assert moving.find("input", type="range")["aria-valuetext"] == "0"
    assert "[the fallback]" not in text.get_text()


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


def test_a_chapter_that_was_not_executed_is_an_error_that_says_what_to_run(house):
    with pytest.raises(PagsError, match=r"not executed at preset paper: 01_good; run: pags run 01_good --preset paper"):
        build.build("paper")
    with pytest.raises(UsageError, match="'quickly' is unknown: write one of quick, standard, paper, best"):
        build.build("quickly")


def test_a_published_chapter_serves_where_none_was_run_here(house):
    put(paths.PUBLISHED, paths.PUBLISHED, "standard", date="2024-01-01")
    best = build.executed("01_good", "best")
    assert best == paths.PUBLISHED / "standard" / "01_good.ipynb"
    assert build.result_files("01_good", best)[0]["preset"] == "standard"
    source = build.assemble(house / "work" / "source", "standard")
    assert "run on **2024-01-01**" in (source / "chapters" / "01_good.ipynb").read_text()
    put(paths.EXECUTED, paths.RESULTS, "standard", date="2025-02-02")
    shutil.rmtree(house / "work")
    source = build.assemble(house / "work" / "source", "standard")
    assert "run on **2025-02-02**" in (source / "chapters" / "01_good.ipynb").read_text()


def test_the_status_box_stands_under_the_title():
    notebook = chapter("(label)=\n# The title\n\nThe text.")
    notebook.cells.insert(0, nb.new_markdown_cell("no title here"))
    build.insert_status(notebook, "BOX")
    assert notebook.cells[1].source == "(label)=\n# The title\n\nBOX\n\n\nThe text."
    with pytest.raises(PagsError, match="has no title"):
        build.insert_status(chapter("only text"), "BOX")


def test_the_status_box_leaves_out_what_is_not_known():
    assert build.status(nb.new_notebook(), ({}, {})).splitlines()[1] == ""


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


def test_tidy_takes_out_idle_scripts_and_wrong_roles_only():
    page = (
        '<script>const THEBE_JS_URL = "https://x"</script><div role="doc-biblioentry"></div><script>let a = 1</script>'
    )
    assert build.mended(page) == '<div role="listitem"></div><script>let a = 1</script>'
