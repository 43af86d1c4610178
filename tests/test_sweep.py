"""Grids of jobs in processes of their own."""

import os
import time
from dataclasses import dataclass

import pytest
import torch

from pags import artifacts, machine, sweep
from pags.errors import PagsError


def job(i, folder, seconds=0.0, factor=1):
    """Says who did it; the third and later ones fail."""
    time.sleep(seconds)
    if i >= 3:
        raise ValueError(f"{i} is too many")
    (folder / str(i)).touch()
    return {"value": factor * i, "process": os.getpid(), "threads": torch.get_num_threads()}


def test_results_come_in_the_order_of_the_calls_from_processes_with_one_thread(tmp_path):
    delays = [1.0, 0.0, 0.2]  # the first is done last
    found = sweep.run(job, [(i, tmp_path, delay) for i, delay in enumerate(delays)], workers=2, factor=10)
    assert [one["value"] for one in found] == [0, 10, 20]
    assert {one["threads"] for one in found} == {1}
    assert len({one["process"] for one in found} - {os.getpid()}) == 2


def test_a_job_that_fails_is_quoted_when_the_others_are_done(tmp_path):
    with pytest.raises(PagsError, match=r"^2 of 4 jobs failed; the first: ValueError: 4 is too many$"):
        sweep.run(job, [(1, tmp_path), (4, tmp_path, 0.5), (3, tmp_path), (2, tmp_path)], workers=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_an_empty_grid_has_no_results():
    assert sweep.run(job, []) == []


@pytest.mark.parametrize(("allowed", "cores"), [("1", 1), ("0", 1), ("100000", None), ("", None), ("many", None)])
def test_a_limit_on_threads_limits_the_workers(monkeypatch, allowed, cores):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    there = machine.cores()
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    assert machine.cores() == (there if cores is None else cores)
    assert there >= 1


@dataclass(frozen=True)
class Config:
    value: float


def make(config, *, seed, device, checkpoint):
    """Knows in which process it was made."""
    return {"x": torch.full((2,), config.value)}, {"process": os.getpid()}


def test_what_is_cached_needs_no_process(tmp_path, monkeypatch):
    calls = [(make, Config(1.0)), (make, Config(2.0))]
    first = sweep.cached(calls, seed=0, directory=tmp_path)
    assert [one.tensors["x"][0] for one in first] == [1.0, 2.0]
    assert os.getpid() not in {one.info["process"] for one in first}
    monkeypatch.setattr(sweep, "ProcessPoolExecutor", None)
    assert [one.info for one in sweep.cached(calls, seed=0, directory=tmp_path)] == [one.info for one in first]
    assert not artifacts.ready(make, Config(1.0), seed=1, directory=tmp_path)
