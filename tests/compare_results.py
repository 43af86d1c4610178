"""Whether two results files, or two directories of them, hold the same numbers.

    python tests/compare_results.py BEFORE AFTER [--tolerance 1e-9]

Prints a line for every metric whose value or interval differs, that is new, or that is gone; exit status 1 if there is
one. The metrics of a directory's files are taken together, so that one may move from a chapter to another.
"""

import argparse
import json
import math
import sys
from pathlib import Path


def metrics(place: Path) -> dict[str, dict]:
    """The metrics of a results file, or of all those in a directory, by name; of an equal name in two, by file, too."""
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    files = [file for file in files if not file.name.endswith(".run.json")]
    if not files:
        raise SystemExit(f"{place} holds no results")
    own = {file: json.loads(file.read_text(encoding="utf-8"))["metrics"] for file in files}
    names = [name for found in own.values() for name in found]
    return {
        name if names.count(name) == 1 else f"{file.stem} {name}": metric
        for file, found in own.items()
        for name, metric in found.items()
    }


def differences(before: dict[str, dict], after: dict[str, dict], tolerance: float = 0.0) -> list[str]:
    """A line for every metric that is not in both with the same value, interval and n."""
    lines = [f"{name}: gone" for name in sorted(before.keys() - after.keys())]
    lines += [f"{name}: new" for name in sorted(after.keys() - before.keys())]
    for name in sorted(before.keys() & after.keys()):
        for key in ("value", "low", "high", "n"):
            old, new = before[name][key], after[name][key]
            if (old is None) != (new is None) or (old is not None and not same(old, new, tolerance)):
                lines.append(f"{name}: {key} {old} -> {new}")
    return lines


def same(a: float, b: float, tolerance: float) -> bool:
    """Whether two numbers differ by no more than `tolerance`, of their size where that is above one."""
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.0, help="of a value's size (default: equal to the bit)")
    options = parser.parse_args(arguments)
    lines = differences(metrics(options.before), metrics(options.after), options.tolerance)
    print("\n".join(lines) or "the same numbers")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
