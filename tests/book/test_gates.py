"""Each gate lets the sound through and stops the defect it is there for."""

import json

import browser
import nbformat.v4 as nb
import pytest

from pags import paths
from pags.book import figures, gates
from pags.errors import PagsError


def notebook(*outputs, count=1):
    code = nb.new_code_cell("1 + 1", execution_count=count, outputs=list(outputs))
    return nb.new_notebook(cells=[nb.new_markdown_cell("# x"), code])


def stream(name, text):
    return nb.new_output("stream", name=name, text=text)


def test_a_notebook_that_was_executed_passes():
    outputs = [stream("stdout", "2"), nb.new_output("display_data", {"text/html": "<b>2</b>"})]
    assert gates.executed(notebook(*outputs)) == []


ERROR = nb.new_output("error", ename="KeyError", evalue="'a'", traceback=[])
WARNING = nb.new_output("execute_result", {"text/plain": "UserWarning('x')"})


def figure(**content):
    sound = {"svg": "<svg/>", "alt": "a line", "caption": "As in {numref}`fig-1`.", "label": None}
    return notebook(nb.new_output("display_data", {figures.MIME: sound | content}))


def test_a_caption_may_hold_roles():
    assert gates.executed(figure()) == []


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (notebook(count=None), "cell 2: was not executed"),
        (notebook(ERROR), "cell 2: ended with KeyError: 'a'"),
        (notebook(stream("stderr", "\n hm \n")), "cell 2: wrote to stderr: hm"),
        (notebook(stream("stdout", "a.py: FutureWarning: no")), "cell 2: printed a warning: FutureWarning: no"),
        (
            notebook(stream("stdout", f"see {paths.ROOT}/build/x")),
            f"cell 2: names a path of this machine: {paths.ROOT}/build/x",
        ),
        (notebook(WARNING), "cell 2: printed a warning: UserWarning('x')"),
        (
            notebook(nb.new_output("display_data", {"text/markdown": "see {numref}`fig-1`."})),
            "cell 2: shows a role, which works in the text and in captions only: {numref}`fig-1`",
        ),
        (
            notebook(nb.new_output("display_data", {"text/markdown": f"in {paths.BUILD}/x"})),
            f"cell 2: names a path of this machine: {paths.BUILD}/x",
        ),
        (
            figure(alt="as in {numref}`fig-1`"),
            "cell 2: shows a role, which works in the text and in captions only: {numref}`fig-1`",
        ),
        (figure(caption="UserWarning: x"), "cell 2: printed a warning: UserWarning: x"),
        (
            figure(names=["file"], values=[[f"{paths.ROOT}/a", "b"]]),
            f"cell 2: names a path of this machine: {paths.ROOT}/a",
        ),
        (nb.new_notebook(cells=[nb.new_markdown_cell("# x")]), "the notebook has no code cell"),
    ],
)
def test_a_notebook_with_a_defect_is_stopped(broken, complaint):
    assert gates.executed(broken) == [complaint]


LINK = "see https://example.org/casa/page and n/casa/x; 3 // 2"


@pytest.mark.parametrize("home", ["/", "", "//", ".", "/casa"])
def test_no_home_makes_a_link_a_path_of_this_machine(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    assert gates.executed(notebook(stream("stdout", LINK))) == []
    named = f"in {paths.ROOT}/x"
    assert gates.executed(notebook(stream("stdout", named))) == [
        f"cell 2: names a path of this machine: {paths.ROOT}/x"
    ]


@pytest.mark.parametrize("before", ["", "at ", "'", "(", "a:", "PATH=", "file://"])
def test_a_path_below_the_home_directory_is_found_after_any_sign_that_may_stand_before_a_path(monkeypatch, before):
    monkeypatch.setenv("HOME", "/casa/ada")
    assert gates.executed(notebook(stream("stdout", f"{before}/casa/ada/x"))) == [
        "cell 2: names a path of this machine: /casa/ada/x"
    ]


def test_an_empty_cell_need_not_run():
    broken = notebook()
    broken.cells.append(nb.new_code_cell(" \n"))
    assert gates.executed(broken) == []


def test_results_must_be_there_and_valid(tmp_path):
    path = tmp_path / "01_good.json"
    assert gates.result(path) == ["the chapter wrote no results (01_good.json is missing): end it with run.save()"]
    path.write_text("{")
    assert gates.result(path)[0].startswith("01_good.json: Expecting")
    path.write_text(json.dumps({"schema": 1}))
    assert "is a required property" in gates.result(path)[0]


def test_results_of_another_chapter_do_not_count(tmp_path):
    result = {"schema": 1, "chapter": "02_other", "preset": "quick", "versions": {}, "data": {}, "artifacts": []}
    result |= {"metrics": {}, "parameters": {"seed": 0, "device": "cpu", "data": [], "overrides": {}, "config": {}}}
    (tmp_path / "quick").mkdir()
    for name in ("01_good", "02_other"):
        (tmp_path / "quick" / f"{name}.json").write_text(json.dumps(result))
    (complaint,) = gates.result(tmp_path / "quick" / "01_good.json")
    assert complaint == "01_good.json holds the results of 02_other at quick, which belong into quick/02_other.json"
    assert gates.result(tmp_path / "quick" / "02_other.json") == []


CHAPTER = "---\njupytext:\n  formats: md:myst\n---\n\n# x\n\n```{code-cell} ipython3\n1 + 1\n```\n"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("01_x.md", CHAPTER, None),
        ("01_x.ipynb", "{}", "chapters are text notebooks (.md)"),
        (
            "01_x.md",
            CHAPTER.replace("  formats", "papermill:\n  duration: 3\njupytext2:\n  formats"),
            "what papermill wrote",
        ),
        ("01_x.md", CHAPTER.replace("ipython3\n", "ipython3\noutputs: []\n"), "an execution count or outputs"),
        ("01_x.md", CHAPTER + "![a](data:image/png;base64,AAAA)\n", "a picture that a cell has made"),
    ],
)
def test_sources_carry_no_outputs(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    found = gates.sources(tmp_path)
    assert found == [] if complaint is None else (len(found) == 1 and complaint in found[0])


HEAD = '<!doctype html><html lang="en"><head><title>x</title><link rel="icon" href="icon.svg"></head>'
PAGE = HEAD + "<body><main><h1>x</h1>{}</main></body></html>"


@pytest.fixture
def site(tmp_path):
    """Write a page with this body, beside a sound one; returns the directory."""

    def write(body):
        (tmp_path / "sub").mkdir(exist_ok=True)
        (tmp_path / "icon.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
        (tmp_path / "sub" / "other page.html").write_text(
            PAGE.format('<p id="there">x</p>').replace("icon.svg", "../icon.svg")
        )
        (tmp_path / "index.html").write_text(PAGE.format(body))
        return tmp_path

    return write


SOUND = """<p id="here"><a href="#here">a</a> <a href="sub/other%20page.html#there">b</a> <a href="https://example.org/x">c</a>
<code>$HOME</code> <span class="math">$x$</span>
<img src="icon.svg" alt="A dot."> <img src="icon.svg" role="presentation" alt=""></p>"""


def test_a_sound_page_passes(site):
    assert gates.html(site(SOUND)) == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('<div class="output traceback">KeyError</div>', "shows an error of a cell: KeyError"),
        ('<div class="output stderr">hm</div>', "shows what a cell wrote to stderr: hm"),
        ('<p class="system-message">what?</p>', "shows text that Sphinx could not understand: what?"),
        ("<p>one of the other $b</p>", "shows a formula as text: one of the other $b"),
        ('<img src="icon.svg">', "says nothing to those who cannot see it"),
        ('<img src="icon.svg" alt=" ">', "says nothing to those who cannot see it"),
        ('<img src="icon.svg" alt="_images/3f2.png">', "says nothing to those who cannot see it"),
        ('<a href="gone.html">a</a>', "leads nowhere: gone.html"),
        ('<a href="../index.html">a</a>', "leads nowhere: ../index.html"),
        ('<img src="gone.png" alt="A dot.">', "leads nowhere: gone.png"),
        ('<a href="#gone">a</a>', "leads to no place on its page: #gone"),
        ('<a href="sub/other%20page.html#gone">a</a>', "leads to no place on its page: sub/other%20page.html#gone"),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js from elsewhere"),
        ('<img src="//example.org/x.png" alt="A dot.">', "loads //example.org/x.png from elsewhere"),
    ],
)
def test_a_page_with_a_defect_is_stopped(site, body, complaint):
    (found,) = gates.html(site(body))
    assert found.startswith("index.html: ")
    assert complaint in found


def test_a_directory_without_pages_is_stopped(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "macros.html").write_text("{{ x }}")
    assert gates.html(tmp_path) == [f"no page in {tmp_path}"]


def test_the_browser_passes_a_sound_page(site):
    assert browser.complaints(site(SOUND)) == []


@pytest.mark.parametrize(
    ("body", "light", "dark"),
    [
        ('<script>console.error("oh")</script>', "console: oh", None),  # what a page says and does is
        ("<script>undefined.x</script>", "script error: ", None),  # the same in both schemes
        ('<script>fetch("https://example.org/x").catch(() => {})</script>', "request failed: ", None),
        ('<img src="icon.svg">', "axe image-alt", None),
        ('<p style="color: #888">grey</p>', "axe color-contrast", "axe color-contrast"),
        ('<p style="width: 500px">x</p>', "118 px wider than a phone's window", None),
        (
            "<style>@media (prefers-color-scheme: dark) { body { background: #111 } }</style><p>black</p>",
            None,
            "axe color-contrast",
        ),
        (
            "<script>document.documentElement.dataset.theme = 'light'</script>"
            '<button type="button" class="theme-switch-button">x</button>',
            None,
            "its switch does not lead to dark",
        ),
        (
            "<script>document.documentElement.dataset.theme = 'light'</script>"
            '<button type="button" class="theme-switch-button" onclick="undefined.x">x</button>',
            None,
            "script error: ",
        ),
        (
            "<style>.k { color: #999 } .kn { color: #aaa }</style>"
            '<div class="highlight"><pre><span class="k">for</span> <span class="k">while</span> '
            '<span class="kn">import</span></pre></div>',
            "(2 places",
            "axe color-contrast",
        ),
    ],
)
def test_the_browser_stops_a_page_with_a_defect(site, body, light, dark):
    found = browser.complaints(site(body), ["index.html"])
    for scheme, complaint in (("light", light), ("dark", dark)):
        own = [line for line in found if line.startswith(f"index.html ({scheme}): ")]
        assert any(complaint in line for line in own) if complaint else own == []


def test_a_machine_without_chromium_is_told_what_to_do(monkeypatch):
    monkeypatch.delenv("PAGS_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PagsError, match="install it"):
        browser.chromium()


def test_names_of_metrics_stand_in_code_and_folds_only(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<p>See <code>fall.off</code>.</p><details>fall.off</details><pre>fall.off</pre><p>U.S. accuracy</p>"
    )
    assert gates.names(tmp_path, {"fall.off", "accuracy"}) == []
    page.write_text("<p>The share fall.off.</p>")
    assert gates.names(tmp_path, {"fall.off"}) == ["page.html: shows the name of a metric, fall.off: say it in words"]
    box = '<div class="pags-status">Earlier code made this page</div>'
    page.write_text(f"{box}<p>The share fall.off.</p>")
    assert gates.names(tmp_path, {"fall.off"}) == []
