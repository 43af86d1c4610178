"""The benchmark that needs a GPU runs to its end without one."""

import re
import subprocess
import sys

import pytest

from pags import paths

GPU = [sys.executable, "-W", "error", paths.ROOT / "benchmarks" / "gpu.py", "--threads", "1"]


@pytest.mark.slow
def test_the_benchmark_of_the_gpu_runs_tiny_and_prints_what_is_wanted():
    done = subprocess.run([*GPU, "--tiny"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "CPU, tiny: no measurement" in said
    for what in ("train.fit over the bare loop", "penalty by a difference, images a second", "nets in step"):
        assert any(what in line and ", wanted " in line for line in said.splitlines()), what
    (off,) = re.findall(r"^parameter gradient of the penalty by a difference: ([\d.]+)% off$", said, re.MULTILINE)
    assert 0 < float(off) < 5  # two ways, and not one twice


def test_without_a_gpu_it_says_what_to_do(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = subprocess.run(GPU, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "torch finds no GPU here: add --tiny" in done.stderr
