"""Chapters run through papermill; what fails, is killed or comes second takes nothing away."""

import json
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
from pags.book import chapters, runner
from pags.errors import PagsError, UsageError

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


def test_kernels_know_that_the_page_is_static_and_share_the_cores(house, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 6)
    assert run("1", at_once=2) == []
    assert seen()["PAGS_STATIC"] == "1"
    assert (seen()["PAGS_CORES"], seen()["OMP_NUM_THREADS"]) == ("3", "1")


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


def test_a_kernel_that_dies_is_a_failure_and_the_next_chapter_still_runs(house):
    write_chapter(house, "00_dies", "import os; os._exit(9)")
    (message,) = run("0", "1")
    assert message.startswith("00_dies (preset quick) failed: ")
    assert "died" in message.lower()
    assert executed("01_good")


def test_success_removes_the_notebook_of_an_earlier_failure(house):
    stale = paths.FAILED / "quick" / "01_good.ipynb"
    stale.parent.mkdir(parents=True)
    stale.write_text("earlier")
    assert run("1") == []
    assert not stale.exists()


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
import sys, pathlib
from pags import paths, presets
from pags.book import cli
sys.path.insert(0, {tests!r})
import conftest
presets.get = conftest.settings
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
    import torch
    from pags import classify, train
    from pags.book import results

    run = results.begin(NAME, seed=3)
    images = run.load("strokes", "train", n=96)
    config = classify.Config(train.Schedule(epochs=2, batch=48, lr=0.01))
    jobs = {r: run.job(classify.fit, config, images, repetition=r) for r in range(2)}
    for r, made in run.grid(jobs).items():
        for name, tensor in made.tensors.items():
            run.record(f"weights.{r}.{name}", float(tensor.double().sum()))
    loss = torch.nn.functional.conv2d(images.x, torch.randn(8, 1, 9, 9, generator=run.generator())).tanh().sum()
    run.record("loss", float(loss))
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
