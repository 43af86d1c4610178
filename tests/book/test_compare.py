"""`pags compare`: whether one run reproduces another, by the intervals and the verdicts."""

import json

import pytest

from pags import paths
from pags.book import cli, compare


def metric(value, low=None, high=None, n=1, **more):
    return {"value": value, "low": low, "high": high, "n": n, "unit": ""} | more


def result(**metrics):
    return {
        "schema": 1,
        "chapter": "01_good",
        "preset": "quick",
        "parameters": {"seed": 0, "device": "cpu", "data": [], "overrides": {}, "config": {"net": {"epochs": 3}}},
        "versions": {"torch": "2.14.1"},
        "data": {"strokes": "train 01"},
        "artifacts": [],
        "metrics": metrics,
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def pags(house, capsys):
    """Run the command; returns exit status, lines of output and error output."""

    def call(*words):
        with pytest.raises(SystemExit) as left:
            cli.main(["compare", *map(str, words)])
        out, err = capsys.readouterr()
        return left.value.code, out.splitlines(), err

    return call


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (metric(1.0), metric(1.0), compare.EQUAL),
        (metric(1.0, n=5), metric(1.0, n=6), compare.ROUNDED),
        (metric(3.6e-16), metric(7.2e-16), compare.ROUNDED),
        (metric(1e12), metric(1e12 + 1), compare.ROUNDED),
        (metric(1.0), metric(1.1), compare.BARE),
        (metric(1.0, 0.9, 1.1), metric(1.15, 1.1, 1.2), compare.OVERLAP),
        (metric(1.0, 0.9, 1.1), metric(1.3, 1.2, 1.4), compare.APART),
        (metric(1.3, 1.2, 1.4), metric(1.0, 0.9, 1.1), compare.APART),
        (metric(1.0), metric(1.3, 1.2, 1.4), compare.APART),
        # Two runs that are far from one another tell little, two that agree tell much.
        (metric(1.0, each=[0.9, 1.1]), metric(1.5, 1.4, 1.6), compare.OVERLAP),
        (metric(1.0, each=[0.999, 1.001]), metric(1.5, 1.4, 1.6), compare.APART),
    ],
)
def test_two_values_stand_to_each_other_as_their_intervals_do(before, after, kind):
    assert compare.kind(before, after) == kind


def test_a_run_is_held_against_the_published_one(house, pags):
    write(paths.PUBLISHED / "quick" / "01_good.json", result(steps=metric(3, 2.5, 3.5), x=metric(1.0)))
    write(paths.RESULTS / "quick" / "01_good.json", result(steps=metric(3.2, 2.8, 3.6), x=metric(1.0)))
    status, lines, err = pags()
    assert (status, err) == (0, "")
    assert lines == [
        f"before: {paths.PUBLISHED / 'quick'}",
        f"after:  {paths.RESULTS / 'quick'}",
        "",
        "01_good: 2 numbers: 1 equal, 1 with intervals that overlap",
        "",
        "all: 2 numbers: 1 equal, 1 with intervals that overlap; 1 of 1 verdicts are the same",
    ]
    status, lines, _ = pags("--exact")
    assert status == 1
    assert "  steps: 3.00 [2.50, 3.50] -> 3.20 [2.80, 3.60]" in lines


def test_what_lies_apart_and_what_was_not_the_same_to_begin_with_are_lines(tmp_path, pags):
    before = write(tmp_path / "a.json", result(steps=metric(3, 2.5, 3.5), y=metric(1.0), z=metric(1.0)))
    other = result(steps=metric(1, 0.5, 1.5), y=metric(1.1), new=metric(1.0)) | {"data": {"strokes": "train 02"}}
    other["parameters"] |= {"seed": 7, "config": {"net": {"epochs": 5}}}
    after = write(tmp_path / "b.json", other | {"versions": {"torch": "2.15.0"}})
    status, lines, _ = pags(before, after)
    assert status == 1
    assert lines[3:] == [
        "01_good: 2 numbers: 1 different, without an interval, 1 with intervals that lie apart",
        "  seed: 0 -> 7",
        "  net.epochs: 3 -> 5",
        "  version of torch: 2.14.1 -> 2.15.0",
        "  data strokes: other bytes",
        "  z: only before",
        "  new: only after",
        "  steps: 3.00 [2.50, 3.50] -> 1.00 [0.500, 1.50]",
        "  claim B-counts: reproduced -> not reproduced",
        "",
        "all: 2 numbers: 1 different, without an interval, 1 with intervals that lie apart; "
        "0 of 1 verdicts are the same",
    ]


def test_each_thing_that_is_missing_or_another_makes_it_no_reproduction(tmp_path, pags):
    same = result(steps=metric(3, 2.5, 3.5))
    before = write(tmp_path / "before" / "01_good.json", same)
    after = tmp_path / "after" / "01_good.json"
    for content, status in (
        (same, 0),
        (result(steps=metric(3, 2.5, 3.5), more=metric(1.0)), 0),
        (result(), 1),
        (result(steps=metric(9, 8.5, 9.5)), 1),
        (result(steps=metric(2.6, 1.9, 3.0)), 1),  # overlaps, but is no longer above two
    ):
        write(after, content)
        assert pags(before, after)[0] == status, content
    write(after, same)
    write(before.with_name("02_fails.json"), same | {"chapter": "02_fails"})
    status, lines, _ = pags(before.parent, after.parent)
    assert status == 1
    assert "02_fails: only before" in lines
    assert pags(after.parent, before.parent)[0] == 0  # more chapters than there were are no fault


def test_a_difference_in_the_last_digits_is_shown_with_them(tmp_path, pags):
    before = write(tmp_path / "a.json", result(x=metric(1.0)))
    after = write(tmp_path / "b.json", result(x=metric(1.0 + 1e-12)))
    assert pags(before, after)[0] == 0
    status, lines, _ = pags(before, after, "--exact")
    assert status == 1
    assert "  x: 1.0 -> 1.000000000001" in lines


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--preset", "fast"), 2, "unknown preset 'fast': write one of quick, standard, gpu, paper"),
        (("nowhere.json", "a.json"), 1, "nowhere.json holds no results: `pags run` makes them"),
        (("empty", "a.json"), 1, "empty holds no results: `pags run` makes them"),
        (("a.json", "broken.json"), 1, "broken.json is damaged ("),
        (("a.json", "bare.json"), 1, "): bring it here again"),
        (("a.json", "other.json"), 2, "other.json of 02_fails"),
        (("one", "two"), 1, "have no chapter in common"),
        ((), 1, "build/results/quick holds no results"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path, monkeypatch, pags, words, status, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "a.json", result())
    write(tmp_path / "other.json", result() | {"chapter": "02_fails"})
    write(tmp_path / "bare.json", {"metrics": {}})
    (tmp_path / "broken.json").write_text("{")
    write(tmp_path / "one" / "01_good.json", result())
    write(tmp_path / "two" / "02_fails.json", result())
    write(paths.PUBLISHED / "quick" / "01_good.json", result())
    found, lines, err = pags(*words)
    assert (found, lines) == (status, [])
    assert said in err
    assert len(err.splitlines()) == 1
