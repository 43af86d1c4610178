"""Progress is told where somebody looks, leaves nothing behind and never breaks the computation."""

import io
import multiprocessing
import sys

import pytest

from pags import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only when a test says so: `clock[0] += seconds`."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def _no_file(monkeypatch):
    monkeypatch.delenv("PAGS_PROGRESS", raising=False)


def run(clock, n=10, seconds=2.0, label="epochs", **options):
    done = []
    for item in progress.bar(range(n), label, **options):
        done.append(item)
        clock[0] += seconds
    assert done == list(range(n))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_a_line_every_five_seconds_and_one_at_the_end(clock, capfd):
    run(clock)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "epochs  3/10  00:14 left",
        "epochs  6/10  00:08 left",
        "epochs  9/10  00:02 left",
        "epochs  10/10  00:20 in all",
    ]


def test_what_is_over_soon_says_nothing(clock, capfd):
    run(clock, seconds=0.1)
    assert capfd.readouterr() == ("", "")


def test_items_of_unknown_number_are_counted(clock, capfd):
    for _ in progress.bar((i for i in range(2)), "images"):
        clock[0] += 3600
    assert capfd.readouterr().err.splitlines()[:2] == ["images  1  1:00:00", "images  2  2:00:00"]


def test_a_given_total_is_used(clock, capfd):
    for _ in progress.bar((i for i in range(2)), "images", total=4):
        clock[0] += 6
    assert capfd.readouterr().err.startswith("images  1/4  00:18 left\n")


def test_the_named_file_gets_the_lines_and_stderr_none(clock, capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("PAGS_PROGRESS", str(tmp_path / "lines"))
    progress.say("what was there stays")
    run(clock, n=3, seconds=3.0)
    progress.say("done")
    assert (tmp_path / "lines").read_text().splitlines() == [
        "what was there stays",
        "epochs  1/3  00:06 left",
        "epochs  2/3  00:03 left",
        "epochs  3/3  00:09 in all",
        "epochs  3/3  00:09 in all",
        "done",
    ]
    assert capfd.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_vanishes(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress.bar(range(3), "epochs")) == [0, 1, 2]
    progress.say("a line that stays")
    drawn = terminal.getvalue()
    assert "epochs" in drawn
    assert "3" in drawn
    assert drawn.endswith("a line that stays\n")
    assert "\r" in drawn.rpartition("epochs")[2].removesuffix("a line that stays\n")


def in_worker(results):
    list(progress.bar(range(3), "epochs"))
    progress.say("a line")
    results.put(progress._place())


def test_a_worker_without_the_file_is_silent(capfd):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    worker = context.Process(target=in_worker, args=(results,))
    worker.start()
    assert results.get(timeout=60) is None
    worker.join()
    assert capfd.readouterr().err == ""


def test_a_worker_adds_its_lines_to_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PAGS_PROGRESS", str(tmp_path / "lines"))
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    progress.say("from the worker")
    assert (tmp_path / "lines").read_text() == "from the worker\n"


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


class Broken(io.StringIO):
    def write(self, _):
        raise BrokenPipeError


@pytest.mark.parametrize("stderr", [closed(), Broken(), None], ids=["closed", "broken", "none"])
def test_a_lost_stderr_does_not_stop_the_computation(clock, monkeypatch, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    run(clock)
    progress.say("nobody hears it")


def test_stderr_closed_under_way_does_not_stop_the_computation(clock, monkeypatch):
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        items = progress.bar(range(5), "epochs")
        next(items)
        stream.close()
        clock[0] += 100
        assert list(items) == [1, 2, 3, 4]
        progress.say("nobody hears it")


def test_a_file_that_cannot_be_written_does_not_stop_the_computation(clock, monkeypatch, tmp_path):
    monkeypatch.setenv("PAGS_PROGRESS", str(tmp_path / "missing" / "lines"))
    run(clock)


def test_an_error_in_the_loop_passes_through(clock):
    def failing():
        yield 1
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        list(progress.bar(failing(), "epochs"))


CELL = """
import time
from pags import progress
progress.SECONDS["notebook"] = 0.0
progress.say("waiting")
for _ in progress.bar(range(3), "epochs"):
    pass
for _ in progress.bar(range(3), "left early"):
    break
print("done")
"""


def test_an_executed_notebook_keeps_nothing_of_it():
    nbclient, v4 = pytest.importorskip("nbclient"), pytest.importorskip("nbformat.v4")
    notebook = v4.new_notebook(cells=[v4.new_code_cell(CELL)])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    *blanks, printed = notebook.cells[0].outputs
    assert printed.text == "done\n"
    assert all(blank.data == {} for blank in blanks)
