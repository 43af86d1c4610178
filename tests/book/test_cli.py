"""The command `pags`: what it refuses, what it says, and its exit status."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pags import paths, sweep
from pags.book import cli
from pags.errors import PagsError, UsageError


@pytest.fixture
def pags(capsys):
    """Run the command; returns exit status, output and error output."""

    def call(*words):
        with pytest.raises(SystemExit) as left:
            cli.main(list(words))
        return left.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "nine"], "there is no chapter 'nine': write one of 01_good, 02_fails, 03_warns"),
        (["run", "--colour", "red"], "No such option"),
        (["run", "--jobs", "0"], "'--jobs'"),
        (["run", "--seed", "one"], "'--seed'"),
        (["run", "--seed", "2147483648"], "'--seed'"),
        (["data", "export", "blockmnist", "--out", "d", "--seed", "-1"], "'--seed'"),
        (["run", "good", "-p", "seed", "20000000000000"], "seed = 20000000000000: write a whole number from 0 to"),
        (["run", "good", "-p", "seed", "one"], "-p seed 'one': write a value of type int, not str"),
        (["run", "good", "-p", "seed", "true"], "-p seed True: write a value of type int, not bool"),
        (["run", "good", "-p", "device", "3"], "-p device 3: write a value of type str, not int"),
        (["run", "good", "-p", "overrides", "[1]"], "-p overrides [1]: write a value of type dict, not list"),
        (["run", "good", "-p", "epochs", "[1"], "-p epochs '[1': the value is not valid YAML"),
        (["run", "good", "-p", "epochs", 5000 * "9"], "9': the value is not valid YAML"),
        (["run", "good", "-p", "epochs"], "'-p'"),
        (["run", "good", "--device", "tpu"], "'tpu'"),
        (["run", "good", "--data-dir", "nowhere"], "'nowhere'"),
        (["build", "--preset", "fast"], "unknown preset 'fast': write one of quick, standard, gpu, paper"),
        (["data", "fetch", "strokes"], "'strokes' cannot be fetched"),
        (["run", "good", "-p", "epochs", "!!bool x"], "-p epochs '!!bool x': the value is not valid YAML"),
        (["run", "good", "-p", "epochs", "!!timestamp x"], "-p epochs '!!timestamp x': the value is not valid YAML"),
        (["slides", "decks", "--preset", "fast"], "unknown preset 'fast': write one of quick, standard, gpu, paper"),
        (["dance"], "No such command 'dance'. See: pags --help"),
        (["run", "--seed", "abc"], "'abc' is not a valid integer range. See: pags run --help"),
        (
            ["data", "export", "blokmnist", "--out", "d"],
            "'NAME': 'blokmnist' is not 'blockmnist'. See: pags data export",
        ),
    ],
)
def test_bad_input_is_refused_with_one_line_and_status_2(house, pags, words, said):
    status, out, err = pags(*words)
    assert (status, out) == (2, "")
    assert err.startswith("pags: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not paths.BUILD.exists()


def test_the_command_alone_shows_its_help(pags):
    status, out, err = pags()
    assert (status, out) == (2, "")
    assert err.startswith("Usage: pags [OPTIONS] COMMAND")
    assert "  compare " in err


def test_a_home_in_the_environment_that_is_not_known_is_one_line():
    code = "from pags.book import main; main()"
    for variable in ("PAGS_DATA", "PAGS_BUILD"):
        environment = os.environ | {variable: "~nobody-of-this-name/x"}
        words = [sys.executable, "-c", code, "status"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("pags: ~nobody-of-this-name/x leads nowhere (")


def test_what_needs_no_torch_is_refused_without_it(tmp_path):
    code = "import sys; from pags.book import cli; sys.argv[1:] = {}; status = cli.guarded(lambda: cli.command.main("
    code += "prog_name='pags', standalone_mode=False)); print(status, 'torch' in sys.modules)"
    for words in (["run", "nine"], ["run", "02", "--preset", "fast"], ["run", "02", "-p", "preset", "fast"], ["dance"]):
        done = subprocess.run(
            [sys.executable, "-c", code.format(words)], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.stdout.split() == ["2", "False"], done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build"], "not executed at preset quick: 01_good; run: pags run 01_good --preset quick"),
        (["data", "check", "mnist"], "pags data fetch mnist"),
    ],
)
def test_a_failure_is_one_line_and_status_1(house, monkeypatch, pags, words, said):
    monkeypatch.setattr(paths, "DATA", house / "data")
    status, out, err = pags(*words)
    assert (status, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [("nonsense::", 2, "write an address such as tcp://"), ("tcp://127.0.0.1:1", 1, "no Dask scheduler answers at")],
)
def test_a_missing_scheduler_is_one_line_before_anything_runs(house, monkeypatch, pags, address, status, said):
    pytest.importorskip("distributed")
    monkeypatch.setattr(sweep, "PATIENCE", 0.2)
    found, out, err = pags("run", "1", "--scheduler", address)
    assert (found, out) == (status, "")
    assert err.startswith("pags: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not paths.BUILD.exists()


def test_a_failed_chapter_ends_with_status_1_and_its_cell(house, pags):
    status, _, err = pags("run", "fails", "3")
    assert status == 1
    assert "    | print(numerator / seed)" in err.splitlines()
    assert "pags: 02_fails (preset quick) failed: ZeroDivisionError: division by zero" in err.splitlines()
    assert "UserWarning" in err
    assert "Traceback" not in err


def test_a_run_with_changed_fields_passes_them_on(house, pags):
    assert pags("run", "1", "-p", "epochs", "3", "-p", "seed", "4", "-p", "overrides", "{batch.size: 2}")[0] == 2
    assert pags("run", "1", "-p", "epochs", "3", "-p", "seed", "4")[0] == 0
    apart = paths.CHANGED / "results" / "quick" / "01_good.json"
    assert '"overrides": {"epochs": 3}' in apart.read_text()
    assert (paths.CHANGED / "executed" / "quick" / "01_good.ipynb").exists()
    assert not paths.RESULTS.exists()
    assert not paths.EXECUTED.exists()


def test_status_shows_what_was_run_and_what_failed(house, pags):
    assert pags("status")[1].splitlines()[1].split() == ["01_good", "-", "never", "run"]
    pags("run", "1", "2")
    status, out, _ = pags("status")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[1][:2] == ["01_good", "quick"]
    # The small chapter records neither its settings nor its source.
    assert " ".join(rows[1]).endswith("here, by earlier code of the papers' claims: reproduced 1")
    assert rows[2] == ["02_fails", "quick", "failed", "last"]
    assert rows[3] == ["03_warns", "-", "never", "run"]


def test_claims_shows_the_ledger(house, pags):
    pags("run", "1")
    status, out, _ = pags("claims")
    assert status == 0
    assert "It counts to three." in out
    assert "reproduced on strokes" in out


def test_data_list_names_what_is_missing(house, monkeypatch, pags):
    monkeypatch.setattr(paths, "DATA", house)
    status, out, _ = pags("data", "list")
    assert status == 0
    assert "strokes         here" in out
    assert "mnist           missing: pags data fetch mnist" in out


@pytest.mark.parametrize("words", [["list"], ["check"]])
def test_a_data_directory_that_is_not_there_is_bad_input(tmp_path, pags, words):
    status, out, err = pags("data", *words, "--data-dir", str(tmp_path / "no"))
    assert (status, out) == (2, "")
    assert f"there is no directory {tmp_path / 'no'}" in err
    assert len(err.splitlines()) == 1


def save(path, *, first_label=0):
    x, y = np.arange(96, dtype=np.uint8).reshape(6, 4, 4), np.arange(6) % 2 + first_label
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)


def test_check_reads_every_set_and_then_names_what_is_wrong(tmp_path, pags):
    (tmp_path / "broken.npz").write_bytes(b"x")
    save(tmp_path / "letters.npz", first_label=1)
    save(tmp_path / "mine.npz")
    save(tmp_path / "Yours.npz")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "btcvae_mnist.pt").write_bytes(b"x")
    status, out, err = pags("data", "check", "--data-dir", str(tmp_path))
    assert status == 1
    assert [line.split()[:7] for line in out.splitlines() if not line.startswith("strokes")] == [
        ["mine", split, "(6,", "4,", "4)", "2", "classes"] for split in ("train", "test")
    ]
    complaints = err.splitlines()
    assert len(complaints) == 4
    for words in (
        "Yours.npz' is not read",
        "broken.npz is damaged",
        "letters: 2 training labels",
        "btcvae_mnist.pt is",
    ):
        assert any(words in line for line in complaints)


def test_a_relative_data_directory_is_found_from_where_the_command_starts_and_a_home_is_expanded(
    tmp_path, monkeypatch, pags
):
    save(tmp_path / "mine.npz")
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    for name in (tmp_path.name, f"~/{tmp_path.name}"):
        status, out, _ = pags("data", "check", "mine", "--data-dir", name)
        assert status == 0
        assert len(out.splitlines()) == 2


def test_a_home_that_is_not_known_is_one_line(pags):
    status, _, err = pags("data", "list", "--data-dir", "~nobody-of-this-name/x")
    assert status == 2
    assert err.startswith("pags: ~nobody-of-this-name/x leads nowhere (")
    assert len(err.splitlines()) == 1


def test_data_check_reads_real_data(real_data, pags):
    status, out, _ = pags("data", "check", "mnist", "--data-dir", str(real_data))
    assert status == 0
    assert [line.split()[:7] for line in out.splitlines()] == [
        ["mnist", "train", "(60000,", "28,", "28)", "10", "classes"],
        ["mnist", "test", "(10000,", "28,", "28)", "10", "classes"],
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [(UsageError("a"), 2), (PagsError("b"), 1), (OSError(28, "No space left on device"), 1)],
)
def test_refusals_and_failures_have_their_status(capsys, monkeypatch, error, status):
    def command():
        raise error

    assert cli.guarded(command) == status
    assert capsys.readouterr().err == f"pags: {error}\n"
    monkeypatch.setenv("PAGS_DEBUG", "1")
    with pytest.raises(type(error)):
        cli.guarded(command)


def test_an_error_of_our_own_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.guarded(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-3", 0.001), ("1E3", 1000.0), (".5", 0.5), ("-2.", -2.0), ("010", 10), ("0o10", 8), ("0x1f", 31)],
        *[("+7", 7), ("-.inf", -math.inf), ("true", True), ("~", None), ("", None), ("{a.b: 010}", {"a.b": 10})],
        *[(text, text) for text in ("1:30", "yes", "no", "on", "off", "y", "2001-01-13", "1_000", "1e", "0b1", "=")],
        *[("[20, 8e-1]", [20, 0.8]), ("'010'", "010"), ("[1:30, no]", ["1:30", "no"])],
    ],
)
def test_a_value_is_read_as_yaml_1_2_means_it(text, value):
    found = cli.parsed("n", text)
    assert (found, type(found)) == (value, type(value))


OPTIONS = {"preset": "quick", "seed": 0, "device": "auto", "data_dir": None}


@given(st.text(), st.text())
def test_any_pair_ends_in_one_place_or_is_refused(name, text):
    try:
        merged = cli.merge(OPTIONS, ((name, text),))
    except UsageError as error:
        merged, said = None, str(error)
    if merged is None:
        assert repr(text) in said or name in [*OPTIONS, "overrides"]
        return
    changed = [key for key in OPTIONS if merged[key] != OPTIONS[key]]
    assert set(changed) <= {name}
    assert set(merged["overrides"]) <= {name} or name == "overrides"
    assert name in [*OPTIONS, "overrides"] or name in merged["overrides"]


def test_later_pairs_win_and_the_options_stay_as_they_were():
    merged = cli.merge(OPTIONS, (("vae.epochs", "3"), ("seed", "7"), ("vae.epochs", "5"), ("overrides", "{n: 2}")))
    assert merged["overrides"] == {"vae.epochs": 5, "n": 2}
    assert merged["seed"] == 7
    assert OPTIONS["seed"] == 0
