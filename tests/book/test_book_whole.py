"""The real book at preset quick, as a fresh machine makes it: every chapter, every page, every gate."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import browser
import nbformat
import pytest

from pags import paths
from pags.book import chapters, gates

pytestmark = pytest.mark.book

BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
# Every pair of choices, one in each of two filters: which of them shows another number of cards than stood beside it.
CHOICES = """() => {
  const selects = [...document.querySelectorAll(".pags-filters select")], wrong = [];
  const cards = [...document.querySelectorAll(".pags-card[data-paper]")];
  const choose = (select, word) => {
    select.value = word;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  };
  if (selects.length < 2) wrong.push("no filters");
  for (const one of selects) for (const other of selects) for (const word of [...one.options].map((o) => o.value)) {
    if (one === other || !word) continue;
    choose(one, word);
    for (const option of [...other.options].filter((o) => !o.disabled)) {
      const said = Number(option.text.match(/\\((\\d+)\\)$/)?.[1]);
      choose(other, option.value);
      const shown = cards.filter((card) => card.getClientRects().length).length;
      if (!shown || shown !== said) wrong.push(`${word}, ${option.text}: ${shown}`);
    }
    choose(other, "");
    choose(one, "");
  }
  return wrong;
}"""
GIGABYTE = 2**20  # in the unit of ru_maxrss on Linux


@pytest.fixture(scope="session")
def aloud(pytestconfig):
    """Run a command and let its output through: the chapters take minutes, and a log must not stand still."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def call(*command, **environment):
        with capture.global_and_fixture_disabled():
            print("\n$", *command, flush=True)
            return subprocess.run(command, cwd=paths.ROOT, env=ENVIRONMENT | environment, check=False).returncode

    return call


@pytest.fixture(scope="session")
def executed(aloud):
    """All chapters, run through papermill; nothing else is worth testing if one fails."""
    assert aloud("pags", "run", "--preset", "quick", "--jobs", "2") == 0, "a chapter failed; its message stands above"
    return paths.EXECUTED / "quick"


@pytest.fixture(scope="session")
def results(executed):
    """What each chapter wrote, as bytes."""
    return {name: (paths.RESULTS / "quick" / f"{name}.json").read_bytes() for name in chapters.names()}


@pytest.fixture(scope="session")
def html(executed, aloud):
    """The built pages."""
    assert aloud("pags", "build", "--preset", "quick") == 0
    return paths.HTML


@pytest.mark.parametrize("chapter", chapters.names())
def test_an_executed_chapter_passes_its_gates(executed, chapter):
    assert gates.executed(nbformat.read(executed / f"{chapter}.ipynb", as_version=4)) == []
    assert gates.result(paths.RESULTS / "quick" / f"{chapter}.json") == []


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
def test_no_process_needs_more_than_three_gigabytes(executed):
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 3 * GIGABYTE


def test_the_pages_pass_their_gates(html):
    assert gates.html(html) == []


def test_every_page_passes_in_the_browser_light_and_dark(html):
    assert browser.complaints(html) == []


def test_the_scoreboard_shows_every_claim(html):
    from pags.book import claims

    page = (html / "scoreboard.html").read_text()
    assert [claim.id for claim in claims.load() if f'id="claim-{claim.id}"' not in page] == []


def test_no_choice_that_a_filter_offers_leaves_the_scoreboard_empty(html):
    """After each first choice every number behind an offered word is the number of cards that it then shows."""
    with browser.served(html) as base, browser.opened(f"{base}scoreboard.html") as page:
        wrong = page.evaluate(CHOICES)
    assert wrong == []


def test_who_goes_by_keyboard_sees_where_and_comes_to_the_end(html):
    names = ["intro.html", "scoreboard.html", "status.html"]
    names += ["chapters/01b_manifold_theory.html", "chapters/08_laboratory.html"]
    for name, walk in browser.walked(html, names).items():
        assert (name, walk.unseen, walk.ends) == (name, [], True)


def test_formulas_need_no_network(html):
    pages = [html / name for name in gates.page_names(html)]
    with_formulas = [page for page in pages if 'class="math' in page.read_text()]
    assert with_formulas
    assert [page.name for page in with_formulas if "_static/mathjax/tex-mml-chtml.js" not in page.read_text()] == []


@pytest.fixture
def elsewhere(tmp_path):
    """Another build directory that shares the trained models: its path, and the environment that names it."""
    (tmp_path / "artifacts").symlink_to(paths.ARTIFACTS)
    return tmp_path, {"PAGS_BUILD": str(tmp_path)}


def test_the_gpu_script_runs_dry_with_equal_results_from_the_cache(results, aloud, elsewhere):
    """A second run of what trains nets trains nothing, and its results are the same, byte for byte.

    Two scripts at once; chapter 03 runs again below.
    """
    build, environment = elsewhere
    again = ["02_mnist32_generation", "07_exact_score"], ["04_off_manifold_robustness", "05_blockmnist", "06_diffroar"]
    made = {path.name: path.stat().st_mtime_ns for path in paths.ARTIFACTS.glob("*.safetensors")}
    environment |= {"PRESET": "quick", "DEVICE": "cpu", "DATA_DIR": str(paths.ROOT / "data")}
    lines = "\n".join(map(" ".join, again))
    assert aloud("bash", "-c", 'xargs -P 2 -L 1 tools/run_on_gpu.sh <<< "$0"', lines, **environment) == 0
    for chapter in [*again[0], *again[1]]:
        assert (build / "results" / "quick" / f"{chapter}.json").read_bytes() == results[chapter]
    assert {path.name: path.stat().st_mtime_ns for path in paths.ARTIFACTS.glob("*.safetensors")} == made


def test_a_chapter_runs_as_the_readme_says_with_plain_papermill(results, elsewhere):
    build, environment = elsewhere
    readme = (paths.ROOT / "README.md").read_text()
    convert, run = (line.split() for line in re.findall(r"^(?:jupytext|papermill) .+$", readme, re.MULTILINE))
    for command in ([*convert[:-1], paths.ROOT / convert[-1]], run[:3]):
        done = subprocess.run(command, cwd=build, env=ENVIRONMENT | environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
    assert gates.executed(nbformat.read(build / run[2], as_version=4)) == []
    chapter = Path(convert[-1]).stem
    assert (build / "results" / "quick" / f"{chapter}.json").read_bytes() == results[chapter]
