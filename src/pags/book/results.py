"""What a chapter measured: a JSON file per chapter and preset that is the same, byte for byte, when the run is.

Beside it lies `<chapter>.run.json` with what differs from run to run: date, duration, commit and machine.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pags import PRESETS, machine, paths
from pags.errors import PagsError, UsageError
from pags.files import write_atomically

if TYPE_CHECKING:
    import torch

# torch, scipy and the presets are imported where a run needs them, so that `pags claims` answers at once.

DEVICES = ("auto", "cpu", "cuda")
TRUTHS = ("bool", "torch.bool", "<class 'bool'>", "<class 'numpy.bool'>")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def begin(
    chapter: str,
    *,
    preset: str = "quick",
    seed: int = 0,
    device: str = "auto",
    data_dir: str | Path = "",
    overrides: Mapping[str, Any] | None = None,
) -> "Run":
    """The run of a chapter with the values of its parameters cell; UsageError for what cannot be meant.

    A GPU that was asked for and is not there is a PagsError; "auto" takes one if there is one. From here on this
    process computes on one thread, as every worker does: sums over several threads differ in their last bits.
    """
    from pags import presets

    overrides = {} if overrides is None else overrides
    if not isinstance(preset, str):
        raise UsageError(f"preset = {preset!r}: write one of {', '.join(map(repr, PRESETS))}")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UsageError(f"seed = {seed!r}: write a whole number from 0")
    if not isinstance(overrides, Mapping) or {type(name) for name in overrides} - {str}:
        raise UsageError(
            f'overrides = {overrides!r}: write a dict from a field of the preset to its value, {{"n": 100}}'
        )
    config = presets.get(chapter, preset, dict(overrides))
    machine.use_one_thread()
    return Run(chapter, preset, seed, _device(device), _directory(data_dir), config, dict(overrides))


def _device(name: str) -> "torch.device":
    if name not in DEVICES:
        raise UsageError(f"device = {name!r}: write one of {', '.join(map(repr, DEVICES))}")
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise PagsError('device = "cuda", but torch finds no GPU here: write "auto" or "cpu"')
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def _directory(name: str | Path) -> Path:
    if not isinstance(name, str | Path):
        raise UsageError(f'data_dir = {name!r}: write the path of a directory, or "" for {paths.DATA}')
    directory = Path(name).expanduser() if name != "" else paths.DATA
    if name != "" and not directory.is_dir():
        raise UsageError(f'data_dir = {str(name)!r} is not a directory: make it, or write "" for {paths.DATA}')
    return directory


@dataclass(frozen=True, repr=False)
class Run:
    """One run of a chapter: its settings, and what it has measured so far."""

    chapter: str
    preset: str
    seed: int
    device: "torch.device"
    data_dir: Path
    config: Any
    overrides: dict[str, Any]
    _metrics: dict[str, dict] = field(default_factory=dict)
    _data: dict[str, set[str]] = field(default_factory=dict)
    _artifacts: set[str] = field(default_factory=set)
    _start: float = field(default_factory=time.monotonic)

    def generator(self, offset: int | str = 0) -> "torch.Generator":
        """A CPU generator made of the seed and `offset`; another offset gives independent numbers."""
        import torch

        digest = hashlib.sha256(f"{self.seed} {offset!r}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)

    def use(self, used: Any) -> Any:
        """Note in the results that this data set or artifact was used, and return it."""
        if hasattr(used, "name"):
            self._data.setdefault(used.name, set()).add(f"{getattr(used, 'split', 'all')} {used.fingerprint}")
        else:
            self._artifacts.add(used.fingerprint)
        return used

    def record(
        self,
        name: str,
        values: Any,
        *,
        unit: str = "",
        low: float | None = None,
        high: float | None = None,
        n: int | None = None,
    ) -> None:
        """Note a metric: independent values per example (their mean and its 95 % interval), or one number.

        Truth values give their share and Wilson's interval. A number may come with its own `low`, `high` and `n`.
        Raises PagsError for what is not finite and UsageError for a name or an interval that cannot be meant.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise UsageError(f"metric name {name!r}: write letters, digits, dots, dashes, like 'fraction.gradient'")
        try:
            metric = _summary(values, low, high, n)
        except ValueError as error:
            raise PagsError(f"metric {name!r}: {error}") from error
        self._metrics[name] = metric | {"unit": unit}

    def metric(self, name: str) -> dict[str, Any]:
        """A recorded metric: {value, low, high, n, unit}; low and high are None where there is no interval."""
        return self._metrics[name]

    def results(self) -> dict[str, Any]:
        """What `save` writes, as plain JSON."""
        result = {
            "schema": 1,
            "chapter": self.chapter,
            "preset": self.preset,
            "parameters": {
                "seed": self.seed,
                "device": self.device.type,
                "data": self._chosen_data(),
                "overrides": self.overrides,
                "config": asdict(self.config),
            },
            "versions": machine.versions(),
            "data": {name: ", ".join(sorted(splits)) for name, splits in self._data.items()},
            "artifacts": sorted(self._artifacts),
            "metrics": self._metrics,
        }
        return json.loads(_text(result))

    def save(self) -> Path:
        """Write build/results/<preset>/<chapter>.json, whole or not at all, and return its path."""
        result = self.results()
        validate(result)
        path = paths.RESULTS / self.preset / f"{self.chapter}.json"
        seconds = time.monotonic() - self._start
        about = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 1),
            **reuse(self._artifacts, time.time() - seconds),
            "commit": machine.commit(),
            "machine": machine.description(gpu=self.device.type == "cuda"),
        }
        _write(path, result)
        _write(path.with_suffix(".run.json"), about)
        return path

    def _chosen_data(self) -> list[str]:
        data = getattr(self.config, "data", ())
        return [data] if isinstance(data, str) else list(data)

    def _facts(self) -> dict[str, str]:
        data = ", ".join(self._chosen_data())
        changed = ", ".join(f"{name} = {value!r}" for name, value in self.overrides.items())
        facts = {"preset": self.preset, "data": data, "device": self.device.type, "seed": self.seed, "changed": changed}
        return {name: str(value) for name, value in facts.items() if value != ""}

    def __repr__(self) -> str:
        return f"{self.chapter}: " + ", ".join(f"{name} {value}" for name, value in self._facts().items())

    def _repr_markdown_(self) -> str:
        return " · ".join(f"{name} **{value}**" for name, value in self._facts().items())

    def _repr_html_(self) -> str:
        """A small box in the colours of the page around it, so that it reads in the dark too."""
        facts = " · ".join(f"{name} <strong>{escape(value)}</strong>" for name, value in self._facts().items())
        style = "border: 1px solid currentColor; border-radius: 4px; padding: 0.4em 0.8em; display: inline-block"
        return f'<div class="pags-run" style="{style}">{facts}</div>'


def reuse(keys: Iterable[str], start: float) -> dict[str, int]:
    """How many of the artifacts with these keys there are, and how many were there before `start` (in Unix time)."""
    files = [file for key in keys for file in paths.ARTIFACTS.glob(f"*-{key[:20]}.safetensors")]
    return {"artifacts": len(files), "cached": sum(file.stat().st_mtime < start for file in files)}


def _summary(values: Any, low: float | None, high: float | None, n: int | None) -> dict[str, Any]:
    """{value, low, high, n} of a number or of values per example; ValueError where they say nothing."""
    from pags import stats

    if getattr(values, "ndim", None) == 0 or isinstance(values, int | float):
        (value,) = stats.as_array([float(values)])
        if (low is None) != (high is None):
            raise ValueError("an interval has two ends: give both `low` and `high`, or none")
        if low is not None and not low <= value <= high:
            raise ValueError(f"its value {value} is not between low = {low} and high = {high}")
        low, high = (None, None) if low is None else stats.as_array([float(low), float(high)]).tolist()
        return {"value": float(value), "low": low, "high": high, "n": 1 if n is None else int(n)}
    if (low, high, n) != (None, None, None):
        raise ValueError("`low`, `high` and `n` go with one number, they are computed for values per example")
    array = stats.as_array(values)
    if len(array) == 0:
        raise ValueError("there are no values")
    if str(getattr(values, "dtype", type(values[0]))) in TRUTHS:
        value, low, high = stats.binomial_interval(array.sum(), len(array))
    else:
        value, low, high = stats.mean_interval(array) if len(array) > 1 else (float(array[0]), None, None)
    return {"value": value, "low": low, "high": high, "n": len(array)}


# Files


def load(path: Path) -> dict[str, Any]:
    """A results file, checked; PagsError says what to do about a damaged one."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        validate(result)
    except FileNotFoundError:
        raise PagsError(f"{path} does not exist: make it with `{_command(path)}`") from None
    except (OSError, ValueError, PagsError) as error:
        raise PagsError(f"{path} is damaged ({error}): delete it and make it again with `{_command(path)}`") from error
    return result


def all(directories: Iterable[Path] | None = None) -> list[dict[str, Any]]:  # read as results.all
    """Every results file under <directory>/<preset>/, by chapter; an earlier directory hides the same of a later one.

    By default those of this build, then the published ones.
    """
    found: dict[tuple[str, str], Path] = {}
    for directory in (paths.RESULTS, paths.PUBLISHED) if directories is None else directories:
        for path in directory.glob("*/*.json"):
            if not path.name.endswith(".run.json"):
                found.setdefault((path.stem, path.parent.name), path)
    return [load(path) for _, path in sorted(found.items())]


def validate(result: Any) -> None:
    """Raise PagsError with the place and the reason unless `result` is what a results file holds."""
    from pags.book import schema

    if complaint := schema.complaint(result, "results.schema.json"):
        raise PagsError(complaint)
    for name, metric in result["metrics"].items():
        low, high = metric["low"], metric["high"]
        if (low is None) != (high is None) or (low is not None and not low <= metric["value"] <= high):
            raise PagsError(f"metrics.{name}: value {metric['value']} is not between low {low} and high {high}")
    _text(result)


def _command(path: Path) -> str:
    return f"pags run {path.stem} --preset {path.parent.name}"


def _write(path: Path, content: Any) -> None:
    text = _text(content)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _text(content: Any) -> str:
    try:
        return json.dumps(content, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as error:
        raise PagsError(f"the results must be plain JSON with finite numbers: {error}") from error
