"""What the house costs: preset quick as a whole, from nothing, beside what its trainings take by themselves.

The floor is what all artifacts took to make, in seconds of a processor, shared by the cores. The second run finds them
all: what is left is papermill, imports, kernels, plots, and what the pages compute themselves.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pags import artifacts, machine

PAGS = [sys.executable, "-c", "from pags.book.cli import main; main()"]


def run(build: Path, jobs: int, chapters: list[str]) -> float:
    """Wall-clock seconds of `pags run` into the directory `build`."""
    start = time.perf_counter()
    command = [*PAGS, "run", *chapters, "--preset", "quick", "--jobs", str(jobs)]
    subprocess.run(command, env=os.environ | {"PAGS_BUILD": str(build)}, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Run everything twice in a directory of its own, and say what each part took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="(default: all)")
    parser.add_argument("--jobs", type=int, nargs="+", default=[2], help="chapters at once; several are compared")
    options = parser.parse_args()
    cores = machine.cores()
    load = f", load {os.getloadavg()[0]:.1f} before the start" if hasattr(os, "getloadavg") else ""
    print(f"{cores} cores{load}")
    for jobs in options.jobs:
        with tempfile.TemporaryDirectory() as directory:
            whole = run(Path(directory), jobs, options.chapters)
            made = list(Path(directory, "artifacts").glob("*.safetensors"))
            floor = sum(artifacts.seconds(path) for path in made) / cores
            again = run(Path(directory), jobs, options.chapters)
        print(f"{jobs} at once: {whole:.0f} s; the floor of its {len(made)} artifacts is {floor:.0f} s, ", end="")
        print(f"the whole {whole / floor:.2f} times as much; a second run takes {again:.0f} s")


if __name__ == "__main__":
    main()
