"""Timing of competitors side by side: they take turns, so that whatever else the machine does meets all of them."""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch


def medians(contestants: dict[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """Median seconds of each of `contestants`, called in turn `repeats` times after one call that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeats + 1):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def options(description: str, *, images: int, tiny: bool = False) -> argparse.Namespace:
    """The command line of a benchmark; sets the number of threads, and prints the conditions of the run.

    With `tiny` there is an option of that name, for one that needs a GPU.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", type=int, default=images, help="how many (default %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=5, help="turns, of which the median counts (default %(default)s)"
    )
    parser.add_argument("--threads", type=int, help="of torch (default: one per core)")
    if tiny:
        parser.add_argument("--tiny", action="store_true", help="so small that a CPU can run it; times say nothing")
    found = parser.parse_args()
    if found.threads:
        torch.set_num_threads(found.threads)
    load = f", load {os.getloadavg()[0]:.1f} before the start" if hasattr(os, "getloadavg") else ""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads on {os.cpu_count()} cores{load}")
    return found
