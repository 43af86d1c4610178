"""Runs from other seeds: which of them repeat a run, where they stay, and what the scoreboard says of them."""

import json

import nbformat
import pytest
from bs4 import BeautifulSoup

from pags import paths
from pags.book import chapters, claims, origin, results, runner, runs, scoreboard, seeds, status
from pags.book.seeds import Kept
from pags.errors import PagsError

CELLS = "c" * 64


def run(seed, trained=(), *, metrics=None, preset="standard", cells=CELLS, **changed):
    """A run of chapter 03 with two metrics, as `seeds.all` returns it."""
    parameters = {"seed": seed, "device": "cpu", "data": ["mnist"], "overrides": {}, "config": {"n": 1}}
    result = {"schema": 1, "chapter": "03_tangent_fractions", "preset": preset, "versions": {}, "data": {"mnist": "a"}}
    values = {"gradient": 0.3, "chance": 0.1} | (metrics or {})
    measured = {name: {"value": v, "low": None, "high": None, "n": 1, "unit": ""} for name, v in values.items()}
    result |= {"parameters": parameters, "artifacts": list(trained), "source": {"pags.nets": "s"}, "metrics": measured}
    return Kept(result | changed, cells)


SHOWN = run(0, ["a", "b"])


def repeated(*kept):
    return list(seeds.repeats(SHOWN.result, [SHOWN, *kept]))


def test_a_repetition_has_another_seed_and_no_training_in_common():
    assert repeated(run(100, ["c"]), run(200, ["d"])) == [100, 200]
    assert repeated(run(200, ["d"]), run(100, ["c"])) == [100, 200]
    assert repeated(run(0, ["c"])) == []
    assert repeated(run(1, ["b", "c"])) == []  # its first repetition is the second of the run that is shown
    assert repeated(run(100, ["c"]), run(101, ["c", "d"]), run(200, ["d"])) == [100, 200]
    assert repeated(run(100, ["c"]), run(100, ["d"])) == [100]


@pytest.mark.parametrize(
    "other",
    [
        run(100, preset="quick"),
        run(100, chapter="04_off_manifold_robustness"),
        run(100, source={"pags.nets": "other"}),
        run(100, parameters=SHOWN.result["parameters"] | {"seed": 100, "config": {"n": 2}}),
        run(100, parameters=SHOWN.result["parameters"] | {"seed": 100, "overrides": {"n": 1}}),
        run(100, data={"strokes": "a"}),
        run(100, cells="d" * 64),
        run(100, cells=None),
    ],
)
def test_what_was_run_by_other_code_or_with_other_settings_is_no_repetition(other):
    assert repeated(other) == []


def test_a_run_whose_cells_nobody_has_noted_has_no_repetitions():
    unknown = Kept(SHOWN.result, None)
    assert seeds.repeats(SHOWN.result, [unknown, run(100, cells=None), run(200)]) == {}
    assert seeds.repeats(SHOWN.result, [run(100)]) == {}


@pytest.mark.parametrize(("numbers", "words"), [([100], "seed 100"), ([100, 200, 300], "seeds 100, 200 and 300")])
def test_seeds_in_words(numbers, words):
    assert seeds.named(numbers) == words


# What a claim's card says

CHECK = {"metric": "gradient", "relation": "above", "than": "chance"}
ENTRY = {
    "id": "B-3",
    "paper": "B",
    "place": "Section 4",
    "claim": "Above chance.",
    "chapter": "03_tangent_fractions",
    "judge": {"data": ["mnist"], "presets": ["standard"]},
    "reference": "0.31",
    "checks": (claims.Check(**CHECK), claims.Check("gradient", "above", 0.2)),
}
CLAIM = claims.Claim(**ENTRY)
HALF = {"gradient": 0.15}  # above chance, below 0.2
NONE = {"gradient": 0.05}


def verdict(*kept):
    (row,) = claims.verdicts([SHOWN.result], [CLAIM], [SHOWN, *kept])
    return row


@pytest.mark.parametrize(
    ("kept", "words", "stable"),
    [
        ([], "", None),
        ([run(100)], "the same from seed 100", True),
        ([run(100), run(200)], "the same from seeds 100 and 200", True),
        ([run(100, metrics=HALF), run(200)], "the same from seed 200, 1 of 2 checks holds from seed 100", False),
        ([run(100, preset="quick")], "", None),
        ([run(100, metrics=NONE)], "not reproduced from seed 100", False),
    ],
)
def test_a_verdict_says_what_other_seeds_say(kept, words, stable):
    row = verdict(*kept)
    assert scoreboard.repeated(row) == words
    assert scoreboard.stable(row) is stable
    card = BeautifulSoup(scoreboard.card([row], [SHOWN.result], {}), "html.parser").li
    assert card["data-again"] == {True: "the same verdict", False: "another verdict", None: ""}[stable]
    assert (f"Run again: {words}." in card.text) == bool(words)
    line = BeautifulSoup(scoreboard.line(row, SHOWN.result, {}, ""), "html.parser")
    assert [one.text for one in line.summary.select("small")] == ([words] if stable is False else [])


def test_of_verdicts_in_part_the_checks_are_compared():
    entry = ENTRY | {"checks": (*ENTRY["checks"], claims.Check("gradient", "above", 0.25))}
    rows = {}
    for name, value in (("two", 0.22), ("one", 0.15)):
        shown, other = run(0, metrics={"gradient": 0.22}), run(100, metrics={"gradient": value})
        (rows[name],) = claims.verdicts([shown.result], [claims.Claim(**entry)], [shown, other])
    assert scoreboard.repeated(rows["two"]) == "the same from seed 100"
    assert scoreboard.repeated(rows["one"]) == "1 of 3 checks holds from seed 100"
    assert [scoreboard.stable(row) for row in rows.values()] == [True, False]


def test_other_checks_than_those_of_the_run_are_another_verdict():
    entry = ENTRY | {"checks": (claims.Check("gradient", "above", 0.2), claims.Check("chance", "above", 0.2))}
    other = run(100, metrics={"gradient": 0.1, "chance": 0.3})
    (row,) = claims.verdicts([SHOWN.result], [claims.Claim(**entry)], [SHOWN, other])
    assert scoreboard.repeated(row) == "1 of 2 checks holds, but others, from seed 100"


def test_a_network_that_is_too_weak_from_another_seed_is_no_other_verdict():
    entry = ENTRY | {"judge": ENTRY["judge"] | {"accuracy": {"metric": "accuracy", "least": 0.9}}}
    shown, weak = run(0, metrics={"accuracy": 0.95}), run(100, metrics={"accuracy": 0.5})
    (row,) = claims.verdicts([shown.result], [claims.Claim(**entry)], [shown, weak])
    assert scoreboard.repeated(row) == "no verdict from seed 100, whose network is too weak"
    assert scoreboard.stable(row) is None


def test_the_summary_counts_the_verdicts_that_are_the_same():
    rows = [verdict(run(100)), verdict(run(100, metrics=NONE))._replace(claim=claims.Claim(**ENTRY | {"id": "B-4"}))]
    assert scoreboard.summary(rows) == (
        "Of 2 claims of the papers: **2** reproduced. "
        "2 of these verdicts, of chapter 03, were made again from another seed: 1 are the same."
    )
    assert "seed" not in scoreboard.summary([verdict()])


# Files


def test_every_run_stays_under_its_seed_and_the_last_one_is_shown(house):
    for seed in (7, 0, 8):
        assert runner.run(runner.plan(["1"], seed=seed)) == []
    found, complaints = seeds.readable()
    assert complaints == []
    assert [one.result["parameters"]["seed"] for one in found] == [8, 0, 7, 8]
    digest = origin.cells(chapters.read("01_good"))
    assert {one.cells for one in found} == {digest}
    assert list(seeds.repeats(results.load(paths.RESULTS / "quick" / "01_good.json"), found)) == [0, 7]
    (row,) = (one for one in status.rows() if one.chapter == "01_good")
    assert row.where[:2] == ("here", "also from seeds 0 and 7")
    text = (house / "notebooks" / "01_good.md").read_text()
    (house / "notebooks" / "01_good.md").write_text(text.replace("range(3)", "range(2 + 1)"))
    assert runner.run(runner.plan(["1"], seed=9)) == []
    assert list(seeds.repeats(results.load(paths.RESULTS / "quick" / "01_good.json"), seeds.all())) == []


def test_a_run_with_changed_settings_stays_under_no_seed(house):
    assert runner.run(runner.plan(["1"], seed=7, overrides={"epochs": 2})) == []
    assert not paths.SEEDS.exists()


def test_a_damaged_file_of_a_seed_is_named_with_the_command_that_makes_it_again(house):
    assert runner.run(runner.plan(["1"], seed=7)) == []
    path = paths.SEEDS / "7" / "quick" / "01_good.json"
    path.write_text("{")
    with pytest.raises(PagsError, match=rf"^{path} is damaged .*`pags run 01_good --preset quick --seed 7`, which is "):
        seeds.all()
    record = path.with_suffix(".run.json")
    path.write_text((paths.RESULTS / "quick" / "01_good.json").read_text())
    record.write_text("[]")
    (complaint,) = seeds.readable()[1]
    assert f"left out: {complaint}" in status.table()
    assert complaint.startswith(f"{record} is damaged")
    assert "--seed 7" in complaint


def test_results_whose_record_is_of_another_run_are_no_repetition(house):
    for seed in (7, 0):
        assert runner.run(runner.plan(["1"], seed=seed)) == []
    path = paths.SEEDS / "7" / "quick" / "01_good.json"
    result = json.loads(path.read_text())
    result["metrics"]["steps"]["value"] = 4.0
    path.write_text(json.dumps(result))
    (complaint,) = seeds.readable()[1]
    assert "its record is of another run" in complaint
    assert "seed 7" not in " ".join(one.where[-1] for one in status.rows() if one.where)


def test_a_published_file_of_a_seed_is_restored_and_not_run_again():
    path = paths.PUBLISHED / "seeds" / "7" / "quick" / "01_good.json"
    assert results.remedy(path) == "restore it with `git checkout`"


# What is published


PUBLISHED = sorted(paths.PUBLISHED.glob("seeds/*/*/*.json"))


def test_every_published_seed_repeats_the_run_that_is_shown():
    kept = seeds.all()
    alone = []
    for path in PUBLISHED:
        if path.name.endswith(".run.json"):
            assert path.with_name(path.name.replace(".run.json", ".json")).exists()
            continue
        seed, preset = path.parts[-3:-1]
        assert json.loads(path.read_text())["parameters"]["seed"] == int(seed)
        shown = results.load(paths.PUBLISHED / preset / path.name)
        alone += [] if int(seed) in seeds.repeats(shown, [one for one in kept if one.cells]) else [str(path)]
    assert alone == [], "run these again, by the code and cells of the runs that are shown, or delete them"


def test_the_record_of_a_published_run_knows_its_cells():
    for path in paths.PUBLISHED.glob("*/*.ipynb"):
        cells = origin.cells(nbformat.read(path, as_version=4))
        assert results.record(runs.result_path(path.stem, path)).get("cells") == cells, path
