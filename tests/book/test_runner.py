"""Chapters run through papermill; what fails, is killed or comes second takes nothing away."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import nullcontext

import nbclient
import nbformat
import pytest
from filelock import FileLock

from pags import machine, paths, sweep
from pags.book import chapters, results, runner, runs, status
from pags.errors import PagsError, UsageError
from pags.files import place

HEAD = """# A chapter

```{code-cell} ipython3
:tags: [parameters]

preset = "quick"
seed = 0
device = "auto"
data_dir = ""
overrides = {}
```
"""


def write_chapter(house, name, code):
    cell = f"\n```{{code-cell}} ipython3\n{textwrap.dedent(code).strip()}\n```\n"
    (house / "notebooks" / f"{name}.md").write_text(HEAD + cell)


def run(*words, at_once=1, **options):
    return runner.run(runner.plan(words, **options), at_once=at_once)


def seen():
    """What chapter 01 saw of its environment; it leaves this among the artifacts, which all runs share."""
    return json.loads((paths.ARTIFACTS / "seen-by-01.json").read_text())


def executed(chapter, preset="quick"):
    return nbformat.read(paths.EXECUTED / preset / f"{chapter}.ipynb", as_version=4)


def test_a_chapter_that_passes_stands_with_its_results(house):
    assert run("1") == []
    assert [c.execution_count for c in executed("01_good").cells if c.cell_type == "code"] == [1, 2, 3, 4]
    assert json.loads((paths.RESULTS / "quick" / "01_good.json").read_text())["chapter"] == "01_good"
    assert seen()
    assert [path.suffix for path in (paths.BUILD / "running").iterdir()] == [".lock"]


def test_the_kernel_is_this_interpreter_whatever_the_user_has_installed(house, monkeypatch):
    foreign = house / "jupyter" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(house / "jupyter"))
    assert run("good") == []
    assert seen()["python"] == sys.executable


def test_only_changed_parameters_are_written_into_the_page(house):
    assert run("01_good", seed=7) == []
    (injected,) = [c for c in executed("01_good").cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert injected.source.splitlines()[-1] == "seed = 7"
    assert json.loads((paths.RESULTS / "quick" / "01_good.json").read_text())["parameters"]["seed"] == 7
    assert run("01_good") == []
    assert not [c for c in executed("01_good").cells if "injected-parameters" in c.metadata.get("tags", [])]


def test_the_data_directory_reaches_the_kernel_but_not_the_parameters(house):
    (house / "sets").mkdir()
    assert run("1", data_dir=str(house / "sets")) == []
    notebook = executed("01_good")
    assert seen()["PAGS_DATA"] == str(house / "sets")
    assert str(house) not in json.dumps(notebook)


def test_kernels_look_for_data_where_the_command_looks(house, monkeypatch):
    """A relative PAGS_DATA is made absolute here: the kernel starts among the notebooks."""
    monkeypatch.setenv("PAGS_DATA", "sets")
    monkeypatch.setattr(paths, "DATA", house / "sets")
    assert run("1") == []
    assert seen()["PAGS_DATA"] == str(house / "sets")


def test_kernels_know_that_the_page_is_static_and_share_the_cores(house, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 6)
    assert run("1", at_once=2) == []
    assert seen()["PAGS_STATIC"] == "1"
    assert (seen()["PAGS_CORES"], seen()["OMP_NUM_THREADS"]) == ("3", "1")


def test_of_several_chapters_at_once_the_longest_start_first(monkeypatch):
    took = {"01_good": 5.0, "02_long": 70.0, "03_new": math.inf}
    started = []
    monkeypatch.setattr(results, "length", lambda chapter, preset: took[chapter])
    monkeypatch.setattr(runner, "run_one", lambda job, *, at_once: started.append(job.chapter))
    jobs = [runner.Job(chapter, "quick", {}, None) for chapter in took]
    runner.run(jobs, at_once=2)
    assert started == ["03_new", "02_long", "01_good"]
    started.clear()
    runner.run(jobs)
    assert started == list(took)


def test_the_length_of_a_chapter_is_that_of_its_published_run(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path)
    assert results.length("01_good", "quick") == math.inf
    about = {"date": "2026-01-01T00:00:00+00:00", "seconds": 12.5, "seconds_to_make": 30, "artifacts": 2, "cached": 2}
    about |= {"commit": None, "machine": {"system": "Linux", "cpu": "any", "cores": 2}}
    (tmp_path / "quick").mkdir()
    for cached, seconds in ((2, 42.5), (0, 12.5)):  # what it made itself is in what it took
        (tmp_path / "quick" / "01_good.run.json").write_text(json.dumps(about | {"cached": cached}))
        assert results.length("01_good", "quick") == seconds


def test_kernels_know_the_scheduler_once_it_has_answered(house, monkeypatch):
    asked = []
    monkeypatch.setenv(sweep.SCHEDULER, "of the environment")
    monkeypatch.setattr(sweep, "Cluster", lambda address: nullcontext(asked.append(address)))
    assert runner.run(runner.plan(["1"]), scheduler="tcp://10.0.0.1:8786") == []
    assert asked == [seen()[sweep.SCHEDULER]] == ["tcp://10.0.0.1:8786"]


def test_chapters_run_side_by_side(house):
    for name, other in (("04_left", "05_right"), ("05_right", "04_left")):  # each waits until the other has begun
        write_chapter(house, name, f"""
            import time
            from pags import paths
            (paths.ARTIFACTS / "{name}").touch()
            deadline = time.monotonic() + 20
            while not (paths.ARTIFACTS / "{other}").exists():
                assert time.monotonic() < deadline, "the other chapter never began"
                time.sleep(0.05)
            """)  # fmt: skip
    failures = run("4", "5", at_once=2)
    assert [failure.split(": ")[1].split(" (")[0] for failure in failures] == ["the chapter wrote no results"] * 2


def test_a_failure_quotes_the_cell_and_leaves_everything_as_it_was(house, capsys):
    before = {path: path.write_text("earlier") for path in places("02_fails")}
    (message,) = run("02")
    assert message.splitlines() == [
        "02_fails (preset quick) failed: ZeroDivisionError: division by zero",
        "  in the cell",
        "    | numerator = 1",
        "    | # the second line of this cell says what goes wrong",
        "    | print(numerator / seed)",
        "    | one = 1",
        "    | ...",
        f"  as far as it came: {paths.FAILED / 'quick' / '02_fails.ipynb'}",
    ]
    assert {path.read_text() for path in before} == {"earlier"}
    failed = nbformat.read(paths.FAILED / "quick" / "02_fails.ipynb", as_version=4)
    assert [o.output_type for c in failed.cells if c.cell_type == "code" for o in c.outputs][-1] == "error"
    assert "02_fails  FAILED" in capsys.readouterr().err


def places(chapter):
    """Where a chapter's notebook and results stand, the directories made."""
    files = [paths.EXECUTED / "quick" / f"{chapter}.ipynb", paths.RESULTS / "quick" / f"{chapter}.json"]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
    return files


def test_a_damaged_result_does_not_count(house):
    (message,) = run("2", seed=1)  # this seed reaches the end, with half a results file
    assert "02_fails.json" in message
    assert not (paths.RESULTS / "quick" / "02_fails.json").exists()


def test_a_warning_is_a_failure(house):
    (message,) = run("3")
    assert "wrote to stderr" in message
    assert "UserWarning: this number is nothing to rely on" in message
    assert not paths.EXECUTED.exists()


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("os._exit(9)", "the kernel died: it ended with exit status 9"),
        ("os.kill(os.getpid(), 9)", "the kernel died: it was killed by SIGKILL: is there enough memory?"),
        ("os.abort()", "the kernel died: it was killed by SIGABRT"),
    ],
)
def test_a_kernel_that_dies_says_how_and_where_and_the_next_chapter_still_runs(house, end, said):
    write_chapter(house, "00_dies", f"import os\n{end}")
    (message,) = run("0", "1")
    assert message.splitlines()[:-1] == [
        f"00_dies (preset quick) failed: {said}",
        "  in the cell",
        "    | import os",
        f"    | {end}",
    ]
    assert executed("01_good")


def test_a_readers_matplotlibrc_is_not_read(house, monkeypatch):
    (house / "matplotlibrc").write_bytes(b"font.size: 30\n\xff\xfe not utf-8")
    monkeypatch.setenv("MATPLOTLIBRC", str(house / "matplotlibrc"))
    write_chapter(house, "00_draws", 'import matplotlib\nassert matplotlib.rcParams["font.size"] == 10')
    (message,) = run("0")  # it draws, and writes no results
    assert message.splitlines()[0].startswith("00_draws (preset quick) failed: the chapter wrote no results")


# A full disk


@pytest.fixture
def small_disk(house):
    """A build directory on a disk of one megabyte."""
    paths.BUILD.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", paths.BUILD], capture_output=True)
    if done.returncode:
        pytest.skip("only root can mount a small disk")
    yield
    subprocess.run(["umount", paths.BUILD], check=True)


def test_a_chapter_that_fills_the_disk_is_one_failure_and_the_next_one_runs(house, small_disk):
    write_chapter(house, "00_fills", """
        from pags import paths
        (paths.BUILD / "all").write_bytes(bytes(2_000_000))
        """)  # fmt: skip
    (message,) = run("0", "1")
    assert message.startswith("00_fills (preset quick) failed: ")
    assert "No space left on device" in message
    assert "Traceback" not in message
    assert executed("01_good")
    assert [path.suffix for path in (paths.BUILD / "running").iterdir() if path.is_dir()] == []


FULL = OSError(errno.ENOSPC, "No space left on device", "/the/file")


def another_good_chapter(house):
    text = (house / "notebooks" / "01_good.md").read_text()
    (house / "notebooks" / "04_more.md").write_text(text.replace("01_good", "04_more"))


@pytest.mark.parametrize("step", ["execute", "judge", "keep"])
def test_a_disk_that_is_full_at_any_step_is_one_line_with_the_remedy(house, monkeypatch, step):
    another_good_chapter(house)
    done = getattr(runner, step)

    def refuse(job, *args, **options):
        if job.chapter == "04_more":
            raise FULL
        return done(job, *args, **options)

    monkeypatch.setattr(runner, step, refuse)
    (message,) = run("4", "1")
    assert message == (
        "04_more (preset quick) failed: /the/file: No space left on device; "
        "free some space or let PAGS_BUILD name a directory on a larger disk"
    )
    assert executed("01_good")


def test_a_notebook_that_cannot_be_kept_does_not_hide_why_its_chapter_failed(house):
    paths.FAILED.parent.mkdir(parents=True)
    paths.FAILED.write_text("a file where a directory should be")
    (message,) = run("02")
    lines = message.splitlines()
    assert lines[0] == "02_fails (preset quick) failed: ZeroDivisionError: division by zero"
    assert lines[-1].startswith("  its notebook is lost: cannot write ")


# A kill


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.mark.parametrize("moved", [1, 2, 3, 4])
def test_a_kill_between_two_moves_is_noticed_and_a_new_run_mends_it(house, monkeypatch, moved):
    path = house / "notebooks" / "01_good.md"
    path.write_text(
        path.read_text()
        + """
```{code-cell} ipython3
written.with_name("01_good.run.json").write_text("{}")
```
"""
    )
    assert run("1") == []
    page = paths.EXECUTED / "quick" / "01_good.ipynb"
    assert runs.page("01_good", page)[1][0]["parameters"]["seed"] == 0

    def some(moves):
        place(dict(list(moves.items())[:moved]))
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(runner, "place", some)
        with pytest.raises(Killed):
            run("1", seed=7)
    with pytest.raises(PagsError, match="are not of the same run: make both again with `pags run 01_good --preset q"):
        runs.page("01_good", page)
    assert run("1", seed=7) == []
    assert runs.page("01_good", page)[1][0]["parameters"]["seed"] == 7


def test_what_killed_runs_have_left_goes_with_the_next_run(house):
    left = paths.BUILD / "running" / "standard-02_fails"
    left.mkdir(parents=True)
    (left / "much").write_text("much")
    assert run("1") == []
    assert not left.exists()


# Plain papermill


def test_plain_papermill_with_a_parameter_that_no_chapter_takes_is_refused(house, tmp_path):
    write_chapter(house, "01_theory_checks", """
        from pags.book import results
        run = results.begin("01_theory_checks", preset=preset, seed=seed)
        print(run.seed)
        """)  # fmt: skip
    nbformat.write(chapters.read("01_theory_checks"), tmp_path / "1.ipynb")
    command = [sys.executable, "-m", "papermill", tmp_path / "1.ipynb", tmp_path / "1-run.ipynb"]
    bad, good = (
        subprocess.run([*command, "-p", name, "7"], capture_output=True, text=True, check=False)
        for name in ("sed", "seed")
    )
    assert bad.returncode != 0
    said = "UsageError: 'sed' is none of the parameters preset, seed, device, data_dir, overrides: write seed"
    assert said in bad.stderr
    assert good.returncode == 0, good.stderr
    shown = nbformat.read(tmp_path / "1-run.ipynb", as_version=4).cells[-1].outputs
    assert shown[0].text == "7\n"


def test_success_removes_the_notebook_of_an_earlier_failure(house):
    stale = paths.FAILED / "quick" / "01_good.ipynb"
    stale.parent.mkdir(parents=True)
    stale.write_text("earlier")
    assert run("1") == []
    assert not stale.exists()


def test_a_run_with_other_changed_settings_says_whose_place_it_takes(house, capsys):
    job = runner.Job("01_good", "quick", {"overrides": {"epochs": 3}}, None)
    said = "01_good  takes the place of the run with epochs = 3 in build/changed"
    for epochs, told in ((3, False), (3, False), (5, True)):
        assert runner.run([job._replace(parameters={"overrides": {"epochs": epochs}})]) == []
        assert (said in capsys.readouterr().err.splitlines()) == told


def test_a_failure_with_changed_settings_says_nothing_of_the_ordinary_run(house):
    ordinary = paths.FAILED / "quick" / "02_fails.ipynb"
    assert run("2")
    ordinary.write_text("earlier")
    (message,) = run("2", overrides={"epochs": 5})
    apart = paths.CHANGED / "failed" / "quick" / "02_fails.ipynb"
    assert message.splitlines()[-1] == f"  as far as it came: {apart}"
    assert apart.exists()
    assert ordinary.read_text() == "earlier"
    marks = [line for line in status.table().splitlines() if "02_fails" in line]
    assert ["with changed settings" in line for line in marks] == [False, True]
    assert all("failed last" in line for line in marks)


def test_progress_is_told_with_the_chapters_name(house, capsys):
    run("1")
    told = [line.split("  ") for line in capsys.readouterr().err.splitlines() if "counting" in line]
    assert [(chapter, *rest) for chapter, _, *rest in told] == [("01_good", "counting", f"{n}/3") for n in (1, 2, 3)]


def test_a_second_run_says_that_it_waits_and_then_runs(house, capsys):
    (paths.BUILD / "running").mkdir(parents=True)
    held = FileLock(paths.BUILD / "running" / "quick-01_good.lock")
    held.acquire()
    failures = []
    thread = threading.Thread(target=lambda: failures.append(run("1")))
    thread.start()
    time.sleep(1)
    assert "being run by another process" in capsys.readouterr().err
    assert not paths.EXECUTED.exists()
    held.release()
    thread.join(30)
    assert failures == [[]]
    assert executed("01_good")


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        (["7"], {}, "no chapter '7': write one of 01_good, 02_fails, 03_warns"),
        (["0"], {}, "'0' may mean 01_good or 02_fails or 03_warns"),
        (["good"], {"seed": -1}, "seed = -1"),
        (["good"], {"seed": "one"}, "seed = 'one'"),
        (["good"], {"device": "tpu"}, "device = 'tpu'"),
        (["good"], {"data_dir": "nowhere"}, "data_dir = 'nowhere' is not a directory"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(house, words, options, said):
    with pytest.raises(UsageError) as refused:
        runner.plan(words, **options)
    assert said in str(refused.value)
    assert not paths.BUILD.exists()


def test_a_chapter_without_a_parameter_is_refused(house):
    path = house / "notebooks" / "01_good.md"
    path.write_text(path.read_text().replace("overrides = {}\n", "").replace('"overrides": overrides, ', ""))
    with pytest.raises(PagsError, match="takes no parameter 'overrides'"):
        runner.plan(["1"])


# A run in a process of its own, to be killed or interrupted.

ALONE = """
import signal, sys, pathlib
from pags import paths, presets
from pags.book import cli
sys.path.insert(0, {tests!r})
import conftest
presets.get = conftest.settings
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs the tests in the background
paths.NOTEBOOKS = pathlib.Path({notebooks!r})
cli.main(["run", "04_sleeps"])
"""


@pytest.fixture
def sleeping(house):
    """`pags run` on a chapter that has written results and then sleeps: the process, and its kernel's process id."""
    write_chapter(house, "04_sleeps", """
        import os, time
        from pags import paths
        (paths.RESULTS / preset).mkdir(parents=True)
        (paths.RESULTS / preset / "04_sleeps.json").write_text("half")
        (paths.ARTIFACTS / "kernel").write_text(str(os.getpid()))
        time.sleep(60)
        """)  # fmt: skip
    for path in places("04_sleeps"):
        path.write_text("earlier")
    script = ALONE.format(tests=str(paths.ROOT / "tests"), notebooks=str(paths.NOTEBOOKS))
    environment = os.environ | {"PAGS_BUILD": str(paths.BUILD)}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield process, int(wait_for(lambda: (paths.ARTIFACTS / "kernel").read_text()))
    finally:
        process.kill()
        process.communicate()


def wait_for(probe, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if value := probe():
                return value
        except OSError:
            pass
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_run_leaves_nothing_half_and_no_kernel(house, sleeping):
    process, kernel = sleeping
    process.kill()
    process.wait()
    wait_for(lambda: ended(kernel))
    assert {path.read_text() for path in places("04_sleeps")} == {"earlier"}
    path = house / "notebooks" / "04_sleeps.md"
    path.write_text((house / "notebooks" / "01_good.md").read_text().replace("01_good", "04_sleeps"))
    assert run("4") == []
    assert not (paths.BUILD / "running" / "quick-04_sleeps").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_interrupt_ends_the_run_and_its_kernel(house, sleeping):
    process, kernel = sleeping
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stderr.read().splitlines()[-1] == "pags: interrupted"
    wait_for(lambda: ended(kernel))
    assert {path.read_text() for path in places("04_sleeps")} == {"earlier"}


# The promise of equal bytes

TRAINS = """
    from pags import classify, train
    from pags.book import results

    run = results.begin(NAME, seed=3)
    images = run.load("strokes", "train", n=32)
    schedule = train.Schedule(epochs=1, batch=16, lr=0.01)
    config = classify.Config(schedule, net="resnet18")  # whose weights 1, 2 and 4 threads do not agree on
    jobs = {r: run.job(classify.fit, config, images, repetition=r) for r in range(2)}
    for r, made in run.grid(jobs).items():
        total = sum(float(tensor.double().sum()) for tensor in made.tensors.values())
        run.record(f"weights.{r}", total)
    saved = run.save()
"""


def as_in_jupyter(name, build, monkeypatch, threads):
    """Execute a chapter in one process, as a reader of Jupyter may: no command of ours sets up its kernel."""
    with monkeypatch.context() as patch:
        for variable, value in {"OMP_NUM_THREADS": threads, "PAGS_BUILD": build, "PAGS_CORES": 1}.items():
            patch.setenv(variable, str(value))
        nbclient.execute(chapters.read(name), kernel_name="python3", cwd=str(paths.NOTEBOOKS))
    return (build / "results" / "quick" / f"{name}.json").read_bytes()


@pytest.mark.slow
def test_one_seed_gives_the_same_bytes_however_a_chapter_is_run(house, monkeypatch):
    one, other = "01a_robustness_theory", "01b_manifold_theory"
    for name in (one, other):
        write_chapter(house, name, TRAINS.replace("NAME", repr(name)))
    assert run(one) == []
    plain = (paths.RESULTS / "quick" / f"{one}.json").read_bytes()
    assert as_in_jupyter(one, house / "fresh", monkeypatch, 1) == plain
    next(paths.ARTIFACTS.glob("*.safetensors")).unlink()  # one net is read from the store, the other trained again
    assert as_in_jupyter(one, paths.BUILD, monkeypatch, 4) == plain
    for path in paths.ARTIFACTS.glob("*.safetensors"):
        path.unlink()
    assert run(one, other, at_once=2) == []
    assert (paths.RESULTS / "quick" / f"{one}.json").read_bytes() == plain
