"""Results: the same file for the same run, intervals that were earned, and clear words for what is wrong."""

import errno
import inspect
import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

import pags
from pags import machine, paths, stats
from pags.book import origin, results, schema
from pags.errors import PagsError, UsageError

CHAPTER = "03_tangent_fractions"


@dataclass(frozen=True)
class Training:
    epochs: int = 2


@dataclass(frozen=True)
class Config:
    data: str = "strokes"
    shape: tuple[int, ...] = (1, 2)
    training: Training = field(default_factory=Training)


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """Presets of one invented chapter, and a build directory of the test's own."""
    presets = SimpleNamespace(NAMES=("quick", "standard"), get=lambda chapter, preset, overrides: Config())
    monkeypatch.setitem(sys.modules, "pags.presets", presets)
    monkeypatch.setattr(pags, "presets", presets, raising=False)
    monkeypatch.setattr(origin, "digests", lambda chapter, settings, device: {"pags.stats": "0123"})
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(paths, "CHANGED", tmp_path / "changed")
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path / "published")
    return presets


def begin(**parameters):
    return results.begin(CHAPTER, **{"device": "cpu", **parameters})


def metric(values, **options):
    run = begin()
    run.record("x", values, **options)
    return run.results()["metrics"]["x"]


# The parameters


def test_a_run_has_what_the_chapter_needs(tmp_path):
    run = begin(preset="standard", seed=3, data_dir=str(tmp_path))
    assert (run.config, run.seed, run.data_dir) == (Config(), 3, tmp_path)
    assert run.device == torch.device("cpu")
    assert begin().data_dir == paths.DATA


def test_overrides_reach_the_preset(house):
    seen = []
    house.get = lambda *what: seen.append(what) or Config()
    begin(overrides={"training.epochs": 3})
    assert seen == [(CHAPTER, "quick", {"training.epochs": 3})]


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"seed": -1}, "seed = -1: write a whole number from 0"),
        ({"seed": 2**31}, "seed = 2147483648: write a whole number from 0 to 2147483647"),
        ({"seed": 1.0}, "seed = 1.0: write"),
        ({"seed": True}, "seed = True: write"),
        ({"seed": "0"}, "seed = '0': write"),
        ({"preset": 1}, "preset = 1: write one of 'quick', 'standard'"),
        ({"device": "gpu"}, "device = 'gpu': write one of 'auto', 'cpu', 'cuda'"),
        ({"device": None}, "device = None: write one of"),
        ({"overrides": ["n"]}, "overrides = ['n']: write a dict"),
        ({"overrides": {1: 2}}, "overrides = {1: 2}: write a dict"),
        ({"data_dir": "/no/such/place"}, "data_dir = '/no/such/place' is not a directory: make it"),
        ({"data_dir": 3}, "data_dir = 3: write the path of a directory"),
    ],
)
def test_what_cannot_be_meant_is_refused(parameters, complaint):
    with pytest.raises(UsageError, match=re.escape(complaint)):
        begin(**parameters)


kinds = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["preset", "seed", "device", "data_dir", "overrides"], kinds)))
def test_parameters_of_any_kind_make_a_run_or_a_usage_error(parameters):
    try:
        run = begin(**parameters)
    except (UsageError, PagsError):
        return
    assert isinstance(run.preset, str)
    assert type(run.seed) is int
    assert 0 <= run.seed < 2**31
    assert run.data_dir.is_dir()


@pytest.fixture
def notebook(monkeypatch):
    """A function that makes these the cells that a notebook has executed."""

    def executed(*cells):
        shell = SimpleNamespace(user_ns={"In": ["", *cells]})
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    return executed


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (
            "# Parameters\nsed = 7\n",
            "'sed' is none of the parameters preset, seed, device, data_dir, overrides: write seed",
        ),
        ("# Parameters\nseed = 7\nexplain = 500\n", """write overrides = {"explain": ...} for a setting"""),
    ],
)
def test_a_parameter_that_papermill_sets_and_no_chapter_takes_is_refused(notebook, cell, said):
    notebook('seed = 0\npreset = "quick"', cell)
    with pytest.raises(UsageError, match=re.escape(said)):
        begin(seed=7)


def test_parameters_that_chapters_take_and_a_readers_own_names_are_not_refused(notebook):
    notebook("# Parameters\nsed = 7\n", '# Parameters\nseed = 7\noverrides = {"a": [b"c"]}\n', "sed = 3")
    assert begin(seed=7).seed == 7
    assert list(inspect.signature(results.begin).parameters)[1:] == list(results.TAKES)


def test_a_gpu_that_is_not_there_is_a_failure_and_auto_goes_without(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PagsError, match="finds no GPU here"):
        begin(device="cuda")
    assert begin(device="auto").device.type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert begin(device="auto").device.type == "cuda"
    assert begin(device="cpu").device.type == "cpu"


def test_a_generator_depends_on_seed_and_offset_alone():
    def draw(seed, *offset):
        return torch.rand((), generator=begin(seed=seed).generator(*offset)).item()

    assert draw(0) == draw(0, 0)
    assert len({draw(0), draw(1), draw(0, 1), draw(1, 1), draw(0, "1"), draw(10), draw(0, "noise")}) == 7


# Metrics


def test_values_per_example_give_their_mean_and_its_interval():
    values = torch.linspace(0, 1, 11)
    mean, low, high = stats.mean_interval(values)
    expected = {"value": mean, "low": low, "high": high, "n": 11, "unit": "fraction"}
    for kind in (values, values.numpy(), values.tolist()):
        assert metric(kind, unit="fraction") == pytest.approx(expected)


@pytest.mark.parametrize("truths", [[True, False, True], np.array([True, False, True]), torch.tensor([1, 0, 1]).bool()])
def test_truth_values_give_a_share_and_wilsons_interval(truths):
    value, low, high = stats.binomial_interval(2, 3)
    assert metric(truths) == {"value": value, "low": low, "high": high, "n": 3, "unit": ""}


@pytest.mark.parametrize("number", [151.25, np.float32(151.25), torch.tensor(151.25), [151.25]])
def test_one_number_has_no_interval(number):
    assert metric(number, unit="nats") == {"value": 151.25, "low": None, "high": None, "n": 1, "unit": "nats"}


def test_a_ready_made_interval_is_taken():
    made = metric(2, low=1, high=torch.tensor(3.5), n=40)
    assert made == {"value": 2.0, "low": 1.0, "high": 3.5, "n": 40, "unit": ""}


def test_an_interval_ends_where_the_metric_can_go_no_further():
    run = begin()
    unit, most = "share of the blind level", 4 / 3
    wide = run.record("four-blocks", [0.1, 0.2, 1.3], unit=unit, within=(0, most))
    assert (wide["low"], wide["high"]) == (0, most)
    with pytest.raises(PagsError, match="outside of"):
        run.record("four-blocks", [1.3, 1.4, 1.5], unit=unit, within=(0, most))


def test_a_cell_that_ends_with_a_metric_shows_nothing():
    assert InteractiveShell.instance().display_formatter.format(begin().record("x", 1.0)) == ({}, {})


def test_a_cell_that_runs_twice_records_once():
    run = begin()
    run.record("x", 1.0)
    run.record("x", 2.0)
    assert run.results()["metrics"]["x"]["value"] == 2.0


@pytest.mark.parametrize(
    ("values", "options", "complaint"),
    [
        ([0.5, float("nan")], {}, "metric 'x': 1 of 2 values are not finite"),
        (float("inf"), {}, "metric 'x': 1 of 1 values are not finite"),
        ([], {}, "there are no values"),
        (torch.zeros(2, 2, 2), {}, r"not the shape (2, 2, 2)"),
        (1.0, {"low": 0.5}, "give both `low` and `high`"),
        (1.0, {"low": 1.5, "high": 2.0}, "is not between low = 1.5 and high = 2.0"),
        (1.0, {"low": 0.0, "high": float("inf")}, "not finite"),
        ([1.0, 2.0], {"n": 2}, "go with one number"),
    ],
)
def test_what_says_nothing_is_not_recorded(values, options, complaint):
    with pytest.raises(PagsError, match=re.escape(complaint)):
        metric(values, **options)


@pytest.mark.parametrize("name", ["", "a b", ".a", "é", 3])
def test_a_name_that_claims_cannot_hold_is_refused(name):
    with pytest.raises(UsageError, match="write letters"):
        begin().record(name, 1.0)


# The file


def measured(**parameters):
    run = begin(**parameters)
    run.use(SimpleNamespace(name="strokes", split="train", fingerprint="aa"))
    run.use(SimpleNamespace(name="strokes", split="test", fingerprint="bb"))
    run.use(SimpleNamespace(fingerprint="cc", info={"kept": ["dd"]}))
    run.record("fraction.gradient", torch.rand(100, generator=run.generator()))
    run.record("recon", 151.25, unit="nats")
    return run


def test_the_file_is_what_the_run_measured():
    path = measured(overrides={"n": 3}).save()
    assert path == paths.CHANGED / "results" / "quick" / f"{CHAPTER}.json"
    result = results.load(path)
    assert result["parameters"] == {
        "seed": 0,
        "device": "cpu",
        "data": ["strokes"],
        "overrides": {"n": 3},
        "config": {"data": "strokes", "shape": [1, 2], "training": {"epochs": 2}},
    }
    assert result["data"] == {"strokes": "test bb, train aa"}
    assert result["artifacts"] == ["cc", "dd"]
    assert result["versions"].keys() == {"python", "pags", "torch", "torchvision"}
    assert path.read_text().endswith("}\n")


def test_the_same_run_writes_the_same_bytes_and_another_seed_others():
    first = measured().save().read_bytes()
    assert measured().save().read_bytes() == first
    assert measured(seed=1).save().read_bytes() != first


def test_what_differs_from_run_to_run_lies_beside_it():
    path = measured().save()
    about = json.loads(path.with_suffix(".run.json").read_text())
    assert about.keys() == {"date", "seconds", "commit", "machine", "artifacts", "cached", "seconds_to_make"}
    assert re.match(r"\d{4}-\d\d-\d\dT", about["date"])
    assert about["machine"]["cores"] >= 1
    assert len(results.all()) == 1


def test_a_user_of_a_data_set_gets_it_back():
    used = SimpleNamespace(name="strokes", fingerprint="aa")
    assert begin().use(used) is used


def test_a_unit_that_is_not_known_is_refused_so_that_no_bound_is_lost():
    with pytest.raises(UsageError, match=r"^unit 'shares' of x: write one of 'share', 'fraction',"):
        metric([0.0, 1.0], unit="shares")
    assert metric([0.99, 1.0, 1.0], unit="share")["high"] == 1.0
    assert metric([0.99, 1.0, 1.0])["high"] > 1.0


def test_every_unit_that_a_chapter_writes_is_known():
    texts = [path.read_text(encoding="utf-8") for path in sorted(paths.NOTEBOOKS.glob("*.md"))]
    written = {unit for text in texts for unit in re.findall(r"""\bunit ?= ?"([^"]*)\"""", text)}
    assert len(written) > 10
    assert written - results.BOUNDS.keys() == set()


names = st.from_regex(results.NAME, fullmatch=True)
numbers = st.floats(allow_nan=False, allow_infinity=False)
columns = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=8) | st.lists(st.booleans(), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(names, numbers | columns, max_size=4),
    st.sampled_from([unit for unit, bounds in results.BOUNDS.items() if bounds is None]),
)
def test_whatever_is_recorded_comes_back_from_the_file(metrics, unit):
    run = begin()
    for name, values in metrics.items():
        run.record(name, values, unit=unit)
    assert results.load(run.save()) == run.results()
    assert run.results()["metrics"].keys() == metrics.keys()


def test_a_file_that_was_there_stays_when_the_new_one_cannot_be_written(monkeypatch):
    path = measured().save()
    before = path.read_bytes()
    run = measured(seed=1)
    run._metrics["x"] = {"value": float("nan"), "low": None, "high": None, "n": 1, "unit": ""}
    with pytest.raises(PagsError, match="finite"):
        run.save()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda text: text[:100], "is damaged"),
        (lambda text: "", "is damaged"),
        (lambda text: "[]", r"\[\] is not of type 'object'"),
        (lambda text: text.replace('"schema": 1', '"schema": 0'), "schema: 1 was expected"),
        (lambda text: "[" * 100_000, "is damaged"),
        (
            lambda text: text.replace('"chapter": "03', '"chapter": "04'),
            "holds the results of 04_tangent_fractions at q",
        ),
        (lambda text: text.replace('"preset": "quick"', '"preset": "paper"'), "which belong into paper/03_tangent_fra"),
        (lambda text: text.replace('"value": 151.25', '"value": "151"'), "metrics.recon.value: '151' is not of type"),
        (lambda text: text.replace('"value": 151.25', '"value": NaN'), "finite numbers"),
        (lambda text: text.replace('"low": null', '"low": 200.0'), "metrics.recon: value 151.25 is not between"),
        (lambda text: text.replace('"n": 100', '"n": 0'), "metrics.fraction.gradient.n: 0 is less than the minimum"),
        (lambda text: text.replace('"artifacts"', '"artefacts"'), "artefacts"),
    ],
)
def test_a_damaged_file_says_where_and_what_to_do(damage, complaint):
    path = measured().save()
    path.write_text(damage(path.read_text()))
    with pytest.raises(PagsError, match=complaint) as caught:
        results.load(path)
    assert f"pags run {CHAPTER} --preset quick" in str(caught.value)


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(PagsError, match="does not exist: make it with `pags run 02_x --preset paper`"):
        results.load(tmp_path / "paper" / "02_x.json")


def test_a_file_that_is_newer_than_this_copy_says_so():
    path = measured().save()
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(PagsError) as caught:
        results.load(path)
    assert str(caught.value) == f"{path} has schema 2, 1 is the newest known here: update this copy of pags"


@pytest.fixture
def forbidden(monkeypatch):
    """Nothing may be read, as if it were another user's."""

    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)


def test_a_file_that_may_not_be_read_is_not_damaged(forbidden):
    path = measured().save()
    for read in (results.load, results.record):
        with pytest.raises(PagsError, match=r"^cannot read .*json: Permission denied; see who may read it"):
            read(path)


def test_one_bad_file_among_many_is_named_and_the_others_are_read():
    good, bad = measured(preset="standard").save(), measured().save()
    bad.write_text("{")
    found, (complaint,) = results.readable()
    assert [result["preset"] for result in found] == ["standard"]
    assert complaint.startswith(f"{bad} is damaged (")
    with pytest.raises(PagsError, match=re.escape(str(bad))):
        results.all()
    assert good.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"date": 3}', '{"cached": "many"}', '{"commit": 1}', "\xff"])
def test_a_damaged_run_record_says_where_and_what_to_do(text):
    path = measured().save()
    assert results.record(path)["cached"] == 0
    record = path.with_suffix(".run.json")
    record.write_text(text, encoding="latin-1")
    with pytest.raises(PagsError, match=re.escape(str(record))) as caught:
        results.record(path)
    assert str(caught.value).endswith(f": delete it and make it again with `pags run {CHAPTER} --preset quick`")
    record.unlink()
    assert results.record(path) == {}


def test_a_damaged_published_file_can_be_restored():
    path = published(CHAPTER, "quick")
    path.write_text("{")
    with pytest.raises(PagsError, match=r"restore it with `git checkout`, or run the chapter here with `pags run 03_"):
        results.load(path)


def test_what_was_run_here_hides_what_was_published():
    measured(preset="standard").save().rename(published(CHAPTER, "standard"))
    measured(preset="quick", seed=1).save().rename(published(CHAPTER, "quick"))
    measured(preset="quick", seed=2).save()
    found = [(result["preset"], result["parameters"]["seed"]) for result in results.all()]
    assert found == [("quick", 2), ("standard", 0)]
    assert results.all([paths.PUBLISHED / "nowhere"]) == []


def published(chapter, preset):
    path = paths.PUBLISHED / preset / f"{chapter}.json"
    path.parent.mkdir(parents=True)
    return path


def test_the_schema_is_a_schema():
    validator = schema._validator("results.schema.json")
    validator.check_schema(validator.schema)


# The box


def test_the_box_says_the_settings_and_sets_no_colour():
    run = begin(seed=7, overrides={"training.epochs": "<3>"})
    html = run._repr_html_()
    assert "preset <strong>quick</strong>" in html
    assert "data <strong>strokes</strong>" in html
    assert "seed <strong>7</strong>" in html
    assert "training.epochs = &#x27;&lt;3&gt;&#x27;" in html
    assert not re.search(r"#[0-9a-f]{3}|rgb|background|(?<!-)\bcolor:", html.replace("&#x27;", ""))
    assert "**quick**" in run._repr_markdown_()
    assert r"training.epochs = '\<3\>'" in run._repr_markdown_()
    hostile = begin(overrides={"training.epochs": "$x$ <svg> `y` [z](u)"})._repr_markdown_()
    assert r"'\$x\$ \<svg\> \`y\` \[z\](u)'" in hostile
    assert repr(run) == f"{CHAPTER}: preset quick, data strokes, device cpu, seed 7, changed training.epochs = '<3>'"


# The machine


def test_a_commit_is_a_hash_or_nothing(tmp_path, monkeypatch):
    assert machine.commit() is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", machine.commit())
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("PAGS_COMMIT", raising=False)
    assert machine.commit() is None
    monkeypatch.setenv("PAGS_COMMIT", "a" * 40)  # of a tree that was sent without its history
    assert machine.commit() == "a" * 40
    monkeypatch.delenv("PAGS_COMMIT")
    monkeypatch.setenv("PATH", "")
    assert machine.commit() is None


def test_what_was_there_before_a_run_counts_as_cached(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ARTIFACTS", tmp_path)
    keys = ["a" * 64, "b" * 64, "c" * 64]
    for i, key in enumerate(keys[:2]):
        file = tmp_path / f"fit-{key[:20]}.safetensors"
        file.touch()
        os.utime(file, (100 + i, 100 + i))
    assert results.reuse(keys, 101.0) == {"artifacts": 2, "cached": 1, "seconds_to_make": 0.0}
