"""What a chapter reads is known before it runs, and what is missing is one line that says what to do."""

import re

import numpy as np
import pytest

from pags import data, paths, presets
from pags.book import cli, needs, results, runner
from pags.errors import PagsError, UsageError

ALL = [(chapter, name) for chapter, by_name in presets.CHAPTERS.items() for name in by_name]


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DATA", tmp_path / "none")
    return tmp_path


def complaint(directory, *wanted):
    with pytest.raises(PagsError) as raised:
        needs.check([(*one, {}, directory) for one in wanted])
    (line,) = str(raised.value).splitlines()
    return line


@pytest.mark.parametrize("chapter", presets.CHAPTERS)
def test_at_quick_nothing_is_read(chapter, empty):
    needs.check([(chapter, "quick", {}, None)])


@pytest.mark.parametrize(("chapter", "preset"), ALL)
def test_how_to_run_names_what_a_chapter_reads(chapter, preset):
    text = (paths.BOOK / "how_to_run.md").read_text()
    number = chapter.partition("_")[0]
    row = re.search(rf"^\| {number} \|.*$", text, re.MULTILINE)
    for name in needs.required(presets.get(chapter, preset)):
        assert f"`{name}`" in row.group()


def test_what_the_published_runs_have_read_is_what_they_needed():
    for chapter in presets.CHAPTERS:
        result = results.load(paths.PUBLISHED / "standard" / f"{chapter}.json")
        needed = set(needs.required(presets.get(chapter, "standard"))) - {"alexnet", "btcvae"}
        assert needed <= set(result["data"])


def test_what_is_missing_is_one_line_for_all_chapters(empty):
    said = complaint(empty, ("02_mnist32_generation", "standard"), ("05_blockmnist", "standard"))
    assert said == (
        f"{empty} lacks mnist (chapter 02 and 05), btcvae (chapter 02), fashion_mnist (chapter 05); "
        f"run: pags data fetch mnist --data-dir {empty} && pags data fetch btcvae --data-dir {empty} && "
        f"pags data fetch fashion_mnist --data-dir {empty}; "
        "or name another directory by --data-dir"
    )
    assert str(paths.DATA) in complaint(None, ("05_blockmnist", "standard"))  # which is not even there


def test_a_data_set_of_ones_own_has_to_be_put_there(empty):
    wanted = ("03_tangent_fractions", "quick", {"manifold.data": "lungs"}, empty)
    with pytest.raises(PagsError, match=r"lacks lungs \(chapter 03\); put there: lungs \(as lungs\.npz, say\); or"):
        needs.check([wanted])
    np.savez(empty / "lungs.npz", x_train=np.zeros(1))
    needs.check([wanted])  # what it holds, the chapter says
    assert data.names(empty)["lungs"]


@pytest.mark.parametrize(
    ("chapter", "overrides"),
    [
        ("05_blockmnist", {"null_data": "patch"}),
        ("05_blockmnist", {"data": "My Digits"}),
        ("06_diffroar", {"images": "generated"}),
    ],
)
def test_a_name_that_no_data_set_can_have_is_refused_before_anything_runs(empty, chapter, overrides):
    (name,) = overrides.values()
    with pytest.raises(UsageError, match=f"data set '{name}': "):
        needs.check([(chapter, "quick", overrides, empty)])


def test_a_run_without_its_data_is_refused_before_anything_runs(empty, capsys, monkeypatch):
    monkeypatch.setattr(runner, "run", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(SystemExit) as left:
        cli.main(["run", "02", "05", "--preset", "standard", "--data-dir", str(empty)])
    assert left.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pags: {empty} lacks mnist (chapter 02 and 05)")
