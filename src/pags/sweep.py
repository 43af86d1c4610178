"""A grid of independent jobs, each in a process of its own with one thread.

Two processes of one thread train a grid of small nets in about half the time of one process with two threads.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import torch

from pags import artifacts, machine, progress
from pags.errors import PagsError


def prepare() -> None:
    """Make this process a worker: one thread for torch, and an end as soon as its parent has ended, in any way."""
    torch.set_num_threads(1)

    def follow() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def run(job: Callable[..., Any], calls: Iterable[tuple], *, workers: int | None = None, **common: Any) -> list[Any]:
    """[job(*call, **common) for call in calls], `workers` at a time (one per core), in the order of the calls.

    `job` stands at the top of a module and returns something picklable; one that caches what it makes, such as
    `artifacts.cached`, is done once even if the grid is interrupted. A job that fails does not stop the others; the
    PagsError at the end quotes the first in the order of the calls.
    """
    calls = list(calls)
    results: list[Any] = [None] * len(calls)
    failed: dict[int, str] = {}
    workers = min(workers or machine.cores(), len(calls)) or 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=prepare) as pool:
        futures = {pool.submit(job, *call, **common): i for i, call in enumerate(calls)}
        for future in progress.bar(as_completed(futures), "jobs", total=len(calls)):
            if error := future.exception():
                failed[futures[future]] = f"{type(error).__name__}: {error}"
            else:
                results[futures[future]] = future.result()
    if failed:
        raise PagsError(f"{len(failed)} of {len(calls)} jobs failed; the first: {failed[min(failed)]}")
    return results


def cached(calls: Iterable[tuple], *, workers: int | None = None, **common: Any) -> list[artifacts.Artifact]:
    """[artifacts.cached(*call, **common) for call in calls]; processes are started only for what is not there yet."""
    calls = list(calls)
    if missing := [call for call in calls if not artifacts.ready(*call, **common)]:
        run(artifacts.cached, missing, workers=workers, **common)
    return [artifacts.cached(*call, **common) for call in calls]
