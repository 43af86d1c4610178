"""Grids of jobs: in processes of their own, on a Dask cluster, and what is left when something dies on the way."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import psutil
import pytest
import torch

from pags import artifacts, machine, sweep
from pags.errors import PagsError, UsageError


def job(i, folder, seconds=0.0, factor=1):
    """Says who did it; the third and later ones fail."""
    time.sleep(seconds)
    if i >= 3:
        raise ValueError(f"{i} is too many")
    (folder / str(i)).touch()
    return {"value": factor * i, "process": os.getpid(), "threads": torch.get_num_threads()}


def stopped(folder, once=True):
    """Kills its own process the first time it is called, or always."""
    if not once or not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def waits(folder, seconds):
    (folder / str(os.getpid())).touch()
    time.sleep(seconds)


@dataclass(frozen=True)
class Config:
    value: float


@dataclass(frozen=True)
class Data:
    name: str
    x: torch.Tensor
    fingerprint: str


def make(config, data=None, *, seed, device, checkpoint):
    """Knows in which process it was made; too large a value cannot be."""
    if config.value >= 3:
        raise ValueError(f"{config.value:g} is too many")
    return {"x": torch.full((2,), config.value)}, {"process": os.getpid()}


def run(job, calls, **options):
    """The results in the order of the calls."""
    return [result for _, result in sorted(sweep.done(job, calls, **options), key=itemgetter(0))]


# Processes


def test_results_come_in_the_order_of_the_calls_from_processes_with_one_thread(tmp_path):
    delays = [1.0, 0.0, 0.2]  # the first is done last
    found = run(job, [(i, tmp_path, delay) for i, delay in enumerate(delays)], workers=2, factor=10)
    assert [one["value"] for one in found] == [0, 10, 20]
    assert {one["threads"] for one in found} == {1}
    assert len({one["process"] for one in found} - {os.getpid()}) == 2


def test_one_worker_is_this_process(tmp_path):
    for options in ({"workers": 1}, {"executor": sweep.Here()}):
        assert {one["process"] for one in run(job, [(0, tmp_path), (1, tmp_path)], **options)} == {os.getpid()}
    assert [one["process"] for one in run(job, [(0, tmp_path)], workers=2)] == [os.getpid()]  # one job


def test_a_job_that_fails_in_this_process_does_not_stop_the_others(tmp_path):
    executor = sweep.Here()
    assert executor.submit(job, 1, tmp_path).result()["value"] == 1
    assert isinstance(executor.submit(job, 1, tmp_path / "missing" / "folder").exception(), OSError)


def test_a_process_that_is_killed_costs_its_job_a_second_attempt(tmp_path):
    with sweep.Processes(1) as executor:
        first, second = run(stopped, [(tmp_path,), (tmp_path,)], executor=executor)
    assert (tmp_path / "killed").exists()
    assert first == second != os.getpid()


def test_a_job_whose_process_is_killed_twice_fails_and_the_others_do_not(tmp_path):
    with sweep.Processes(1) as executor:
        doomed = executor.submit(stopped, tmp_path, once=False)
        assert executor.submit(job, 1, tmp_path).result()["value"] == 1
        with pytest.raises(PagsError, match="and then the next one, was killed by SIGKILL: is there enough memory"):
            doomed.result()


def leaves(folder):
    os._exit(3)


def test_a_process_that_ends_of_itself_is_not_said_to_lack_memory(tmp_path):
    with sweep.Processes(1) as executor, pytest.raises(PagsError) as caught:
        executor.submit(leaves, tmp_path).result()
    assert str(caught.value) == "its process, and then the next one, ended with exit status 3"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-9, "was killed by SIGKILL: is there enough memory?"),
        (-11, "was killed by SIGSEGV"),
        (-250, "was killed by signal 250"),
        (1, "ended with exit status 1"),
        (None, "ended"),
    ],
)
def test_how_a_process_ended_is_said_by_name(code, said):
    assert machine.ending(code) == said


def test_a_script_without_a_guard_is_told_to_have_one(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        "import pathlib, test_sweep\nfrom pags import sweep\n"
        "print(sorted(sweep.done(test_sweep.waits, [(pathlib.Path('pids'), i) for i in (0, 0)], workers=2)))\n"
    )
    (tmp_path / "pids").mkdir()
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{script} starts processes whenever it is imported" in done.stderr.splitlines()[-1]
    assert 'put what it runs under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
    assert "memory" not in done.stderr
    assert "bootstrapping" not in done.stderr
    lines = script.read_text().splitlines()
    script.write_text("\n".join([*lines[:2], 'if __name__ == "__main__":', f"    {lines[2]}"]))
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.stdout == "[(0, None), (1, None)]\n", done.stderr


def interrupted(folder, futures):
    """As if Ctrl-C came when the first of two jobs has begun."""
    with sweep.Processes(1) as executor:
        futures += [executor.submit(waits, folder, 60) for _ in range(2)]
        until(lambda: any(folder.iterdir()))
        raise KeyboardInterrupt


def test_an_interrupt_ends_running_processes_and_drops_waiting_jobs(tmp_path):
    start, futures = time.monotonic(), []
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path, futures)
    assert time.monotonic() - start < 30
    assert [future.done() for future in futures] == [True, True]
    assert futures[1].cancelled()
    until(lambda: all(ended(path.name) for path in tmp_path.iterdir()))


def test_a_worker_ends_with_the_process_that_made_it(tmp_path):
    code = (
        "import pathlib, sys, test_sweep\nfrom pags import sweep\n"
        "if __name__ == '__main__': list(sweep.done(test_sweep.waits, [(pathlib.Path(sys.argv[1]), 60)]))\n"
    )
    (tmp_path / "parent.py").write_text(code)
    (tmp_path / "pids").mkdir()
    command = [sys.executable, tmp_path / "parent.py", tmp_path / "pids"]
    parent = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    while not (begun := list((tmp_path / "pids").iterdir())):
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    until(lambda: ended(begun[0].name))


# Any executor


def test_a_job_that_fails_is_quoted_with_its_parameters_when_the_others_are_done(tmp_path):
    with (
        ThreadPoolExecutor(2) as executor,
        pytest.raises(PagsError, match=rf"^2 of 4 jobs failed; the first: job\(4, .*{tmp_path.name}'\), 0\.2\): "),
    ):
        run(job, [(1, tmp_path), (4, tmp_path, 0.2), (3, tmp_path), (2, tmp_path)], executor=executor)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_a_call_is_described_without_its_data():
    data = Data("digits", torch.zeros(9), "f" * 64)
    artifact = artifacts.Artifact({"x": torch.zeros(9)}, {}, "0123456789abcdef")
    said = sweep.described(job, (make, Config(0.5), data, artifact, torch.zeros(2, 3)))
    assert said == "job(make, Config(value=0.5), digits, Artifact 0123456789ab, tensor (2, 3))"


def test_an_empty_grid_has_no_results():
    assert list(sweep.done(job, [])) == []


@pytest.mark.parametrize(("allowed", "cores"), [("1", 1), ("0", 1), ("100000", None), ("", None), ("many", None)])
def test_a_limit_on_threads_limits_the_workers(monkeypatch, allowed, cores):
    monkeypatch.delenv("PAGS_CORES", raising=False)
    there = machine.cores()
    monkeypatch.setenv("PAGS_CORES", allowed)
    assert machine.cores() == (there if cores is None else cores)
    assert there >= 1


# What is cached


def test_what_is_cached_needs_no_process(tmp_path, monkeypatch):
    jobs = [sweep.Job(make, Config(value), seed=0) for value in (1.0, 2.0)]
    first = sweep.cached(jobs, directory=tmp_path)
    assert [one.tensors["x"][0] for one in first] == [1.0, 2.0]
    assert os.getpid() not in {one.info["process"] for one in first}
    monkeypatch.setattr(sweep, "Processes", None)
    assert [one.info for one in sweep.cached(jobs, directory=tmp_path)] == [one.info for one in first]
    assert not artifacts.ready(make, Config(1.0), seed=1, directory=tmp_path)


def test_every_job_has_its_own_seed(tmp_path):
    jobs = [sweep.Job(draw, Config(1.0), seed=seed) for seed in (3, 4, 3)]
    first, second, third = sweep.cached(jobs, directory=tmp_path, executor=ThreadPoolExecutor(1))
    assert first.fingerprint == third.fingerprint != second.fingerprint
    alone = artifacts.cached(draw, Config(1.0), seed=4, directory=tmp_path)
    assert torch.equal(second.tensors["x"], alone.tensors["x"])
    assert not torch.equal(first.tensors["x"], second.tensors["x"])


def draw(config, *, seed, device, checkpoint):
    return {"x": torch.rand(2, generator=torch.Generator().manual_seed(seed))}, {}


def test_an_interrupted_grid_goes_on_where_it_was(tmp_path):
    jobs = [sweep.Job(make, Config(value), seed=7) for value in (0.0, 1.0, 3.0, 2.0)]
    failure = r"^1 of 4 jobs failed; the first: make\(7, make, Config\(value=3\.0\)\): ValueError: 3 is too many$"
    with pytest.raises(PagsError, match=failure):
        sweep.cached(jobs, directory=tmp_path, executor=ThreadPoolExecutor(1))
    made = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert len(made) == 3
    with pytest.raises(PagsError, match=r"^1 of 1 jobs failed"):
        sweep.cached(jobs, directory=tmp_path, executor=ThreadPoolExecutor(1))
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")} == made


def test_processes_are_as_many_as_cores_and_on_a_gpu_not_more_than_share_one(monkeypatch):
    monkeypatch.setattr(sweep, "Processes", lambda workers: workers)
    monkeypatch.setattr(machine, "cores", lambda: 64)
    assert (sweep.default(), sweep.default("cuda")) == (64, sweep.SHARING)
    assert (sweep.default("cpu", 3), sweep.default("cuda", 3)) == (3, 3)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert (sweep.default("cuda"), sweep.default("cpu", 3)) == (2, 3)


# A cluster: a Dask scheduler and two workers, all processes of their own on loopback


def environment():
    """That of this process, with the modules of the tests."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


def ended(pid):
    """Whether the process is gone, but for a zombie that nobody has asked about."""
    try:
        return psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """(address, directory in which the workers' artifacts lie)."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("cluster")
    with dask(folder, workers=2) as (address, _):
        yield address, folder / "artifacts"


@contextmanager
def dask(folder, *, workers):
    """The address of a scheduler that has so many workers, and its process."""
    from distributed import Client

    file = folder / "scheduler.json"
    quiet = {"env": environment() | {"PAGS_BUILD": str(folder)}, "stderr": subprocess.DEVNULL, "cwd": folder}

    def start(name, *words):
        command = [sys.executable, "-m", f"distributed.cli.dask_{name}", "--scheduler-file", file, "--no-dashboard"]
        return subprocess.Popen([*command, "--host", "127.0.0.1", *words], **quiet)

    running = [start("scheduler", "--port", "0")]
    try:
        until(file.exists)
        running += [start("worker", "--nthreads", "1", "--no-nanny") for _ in range(workers)]
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(workers)
            address = client.scheduler.address
        yield address, running[0]
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_the_workers_of_a_cluster_do_the_jobs(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv(sweep.SCHEDULER, cluster[0])
    found = run(job, [(i, tmp_path, 0.1) for i in (2, 0, 1)], factor=10)
    assert [one["value"] for one in found] == [20, 0, 10]
    assert {one["threads"] for one in found} == {1}
    assert os.getpid() not in {one["process"] for one in found}
    with pytest.raises(PagsError, match=r"^1 of 2 jobs failed; the first: job\(4, .*: ValueError: 4 is too many$"):
        run(job, [(1, tmp_path), (4, tmp_path)])


def test_what_a_cluster_has_made_lies_here(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv(sweep.SCHEDULER, cluster[0])
    monkeypatch.setattr(artifacts.paths, "ARTIFACTS", tmp_path)  # the workers have another directory
    data = Data("digits", torch.zeros(100, 100), "f" * 64)
    made = sweep.cached([sweep.Job(make, Config(value), data, seed=0) for value in (1.0, 2.0)])
    assert [float(one.tensors["x"][0]) for one in made] == [1.0, 2.0]
    assert len(list(tmp_path.glob("make-*.safetensors"))) == 2
    assert len(list(cluster[1].glob("make-*.safetensors"))) == 2
    with pytest.raises(PagsError, match="a worker's make is not the one here"):
        artifacts.store({}, {}, make, Config(1.0), data, seed=0, key="other")


def test_a_worker_that_is_killed_in_mid_run_costs_no_job(cluster, tmp_path):
    with sweep.Cluster(cluster[0]) as executor:
        data = Data("digits", torch.zeros(100, 100), "e" * 64)
        futures = [executor.submit(busy, data, tmp_path, i) for i in range(6)]
        until(lambda: len(list(tmp_path.iterdir())) >= 2)  # both are at work
        os.kill(int(next(tmp_path.iterdir()).name.split("-")[0]), signal.SIGKILL)
        assert [future.result() for future in futures] == [0, 1, 2, 3, 4, 5]
    assert len({path.name.split("-")[0] for path in tmp_path.iterdir()}) == 2


def busy(data, folder, i):
    (folder / f"{os.getpid()}-{i}").touch()
    time.sleep(0.3)
    return i + int(data.x.sum())


def test_a_scheduler_that_ends_in_mid_run_is_named(tmp_path):
    pytest.importorskip("distributed")
    (tmp_path / "pids").mkdir()
    with dask(tmp_path, workers=1) as (address, scheduler), sweep.Cluster(address) as executor:
        found = sweep.done(waits, [(tmp_path / "pids", 0.0), (tmp_path / "pids", 60.0)], executor=executor)
        assert next(found) == (0, None)
        scheduler.kill()
        with pytest.raises(PagsError, match=r"was cancelled: has the scheduler ended.*run the same command again"):
            next(found)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "ws://127.0.0.1:1", "tcp://127.0.0.1:99999999"])
def test_a_scheduler_that_does_not_answer_is_a_failure(monkeypatch, address):
    pytest.importorskip("distributed")
    monkeypatch.setattr(sweep, "PATIENCE", 0.2)
    with pytest.raises(PagsError, match=f"^no Dask scheduler answers at '{address}' .*: start one, or mend it$"):
        sweep.Cluster(address)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nonsense::", "invalid address"),
        ("", "missing port"),
        ("threads", "missing port"),
        ("tcp://127.0.0.1", "missing port"),
        ("tcp://127.0.0.1:x", "invalid literal"),
        ("http://127.0.0.1:1", "unknown address scheme 'http'"),
        ("inproc://x", ""),
        ("ucx://127.0.0.1:1", ""),
        ("tls://127.0.0.1:1", "name the certificates for tls://"),
        ("wss://127.0.0.1:1", "name the certificates for wss://"),
    ],
)
def test_an_address_to_which_nobody_can_connect_is_refused_at_once(address, why):
    pytest.importorskip("distributed")
    start = time.monotonic()
    with pytest.raises(UsageError) as refused:
        sweep.Cluster(address)
    assert time.monotonic() - start < 5
    assert str(refused.value).startswith(f"scheduler {address!r}: write a")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_cluster_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(PagsError, match=r"install pags\[cluster\]$"):
        sweep.Cluster("tcp://127.0.0.1:8786")
