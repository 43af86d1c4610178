"""What a chapter measured: a JSON file per chapter and preset that is the same, byte for byte, when the run is.

Beside it lies `<chapter>.run.json` with what differs from run to run: date, duration, commit and machine.
"""

import ast
import difflib
import hashlib
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pags import LARGEST_SEED, PRESETS, machine, paths
from pags.errors import PagsError, UsageError
from pags.files import reading, write_atomically

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import torch

    from pags import artifacts, data, generate, sweep

K = TypeVar("K")

# torch, scipy and the presets are imported where a run needs them, so that `pags claims` answers at once.

DEVICES = ("auto", "cpu", "cuda")
TWO = 6.353  # half of the 97.5 % quantile of Student's t with one degree of freedom
# Every unit that a metric may have, with the ends between which its values lie, and so their means and intervals.
BOUNDS: dict[str, tuple[float, float] | None] = {
    **dict.fromkeys(("share", "fraction", "accuracy", "probability", "share of predictions"), (0.0, 1.0)),
    **dict.fromkeys(("correlation", "rank correlation", "cosine"), (-1.0, 1.0)),
    **dict.fromkeys(("share of the blind level", "times chance", "networks"), (0.0, math.inf)),
    **dict.fromkeys(("", "difference", "error", "ratio", "exponent", "likeness", "length", "distance"), None),
    **dict.fromkeys(("degrees", "nats", "pixels", "images", "latents", "dimensions", "L1", "eps", "m eta"), None),
    **dict.fromkeys(("slope times R", "log", "log10 ratio", "log10 strength", "steps"), None),
    **dict.fromkeys(("share of V", "share of the margin", "share of the largest entry"), None),
}
SCHEMA = 1
TAKES = ("preset", "seed", "device", "data_dir", "overrides")  # what a chapter's cell of parameters sets
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

    So is a parameter that papermill has put into this notebook and that no chapter takes. A GPU that was asked for and
    is not there is a PagsError; "auto" takes one if there is one. From here on this process computes on one thread, as
    every worker does: sums over several threads differ in their last bits.
    """
    from pags import artifacts, presets

    for name in set(injected()) - set(TAKES):
        near = difflib.get_close_matches(name, TAKES, n=1) or [
            f'overrides = {{"{name}": ...}} for a setting of that name'
        ]
        raise UsageError(f"{name!r} is none of the parameters {', '.join(TAKES)}: write {near[0]}")
    overrides = {} if overrides is None else overrides
    if not isinstance(preset, str):
        raise UsageError(f"preset = {preset!r}: write one of {', '.join(map(repr, PRESETS))}")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"seed = {seed!r}: write a whole number from 0 to {LARGEST_SEED}")
    if not isinstance(overrides, Mapping) or {type(name) for name in overrides} - {str}:
        raise UsageError(
            f'overrides = {overrides!r}: write a dict from a field of the preset to its value, {{"n": 100}}'
        )
    config = presets.get(chapter, preset, dict(overrides))
    artifacts.sources("pags")  # what changes from here on has no part in this run
    machine.use_one_thread()
    return Run(chapter, preset, seed, device_named(device), _directory(data_dir), config, dict(overrides))


def injected() -> list[str]:
    """The names that papermill's cell sets in the notebook that calls this; of several such cells the last counts."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    cells = [cell for cell in shell.user_ns.get("In", ()) if cell.startswith("# Parameters\n")] if shell else []
    nodes = ast.walk(ast.parse(cells[-1])) if cells else ()
    return [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def device_named(name: str) -> "torch.device":
    """A device by the name that users write; UsageError for another, PagsError where there is no such device."""
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
    directory = paths.given(name) if name != "" else paths.DATA
    if name != "" and not directory.is_dir():
        raise UsageError(f"data_dir = {str(name)!r} is not a directory: make it, or leave it out for {paths.DATA}")
    return directory


class Metric(dict[str, Any]):
    """What `Run.record` returns: a cell that ends with it shows nothing on the page."""

    def _ipython_display_(self) -> None:
        """Nothing: pages show numbers in sentences, tables and figures."""


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

    def generator(self, offset: object = 0) -> "torch.Generator":
        """A CPU generator made of the seed and of how `offset` is written; another one gives independent numbers."""
        import torch

        digest = hashlib.sha256(f"{self.seed} {offset!r}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)

    def use(self, *used: Any) -> Any:
        """Note in the results that data sets, artifacts or generators were used; returns it, or them as a tuple.

        With an artifact those are noted that its making has left beside it: `measure.fit` keeps weights.
        """
        for one in used:
            for part in getattr(one, "parts", (one,)):
                if hasattr(part, "name"):
                    self._data.setdefault(part.name, set()).add(f"{getattr(part, 'split', 'all')} {part.fingerprint}")
                else:
                    self._artifacts.update([part.fingerprint, *getattr(part, "info", {}).get("kept", [])])
        return used[0] if len(used) == 1 else used

    def load(self, name: str, split: str, **options: Any) -> "data.Dataset":
        """`data.load` from this run's data directory, noted."""
        from pags import data

        return self.use(data.load(name, split, data_dir=self.data_dir, **options))

    def generate(
        self, config: "generate.Config", *, manifold: "artifacts.Artifact | None" = None
    ) -> "generate.Generator":
        """`generate.build` with this run's seed, noted."""
        from pags import generate

        made = generate.build(config, seed=self.seed, device=self.device, data_dir=self.data_dir, manifold=manifold)
        return self.use(made)

    def job(self, make: "artifacts.Maker", config: Any, *inputs: Any, repetition: int = 0) -> "sweep.Job":
        """A job for `grid`; repetition r has the run's seed + r: neighbouring seeds have some in common."""
        from pags import sweep

        return sweep.Job(make, config, *inputs, seed=self.seed + repetition)

    def make(self, make: "artifacts.Maker", config: Any, *inputs: Any, repetition: int = 0) -> "artifacts.Artifact":
        """The artifact of one such job, noted."""
        from pags import artifacts

        seed = self.seed + repetition
        return self.use(artifacts.cached(make, config, *inputs, seed=seed, device=self.device))

    def grid(
        self,
        jobs: Mapping[K, "sweep.Job"],
        *,
        by: Callable[..., list["artifacts.Artifact"]] | None = None,
        executor: "Executor | None" = None,
    ) -> dict[K, "artifacts.Artifact"]:
        """The artifacts of many jobs under their keys, noted; `by` is `sweep.cached` or a function like it.

        Jobs start in their order: name the slowest first.
        """
        from pags import sweep

        made = (by or sweep.cached)(jobs.values(), device=self.device, executor=executor)
        return {key: self.use(one) for key, one in zip(jobs, made, strict=True)}

    def record(
        self,
        name: str,
        values: Any,
        *,
        unit: str = "",
        low: float | None = None,
        high: float | None = None,
        n: int | None = None,
        within: tuple[float, float] | None = None,
    ) -> dict[str, Any]:
        """Note a metric and return it: values per example (n,), or (runs, n), with a 95 % interval, or one number.

        Intervals are those of `stats.summary`, inside the bounds that the unit has (`BOUNDS`; a difference of two
        shares has the unit "difference"), or `within` its own. A number may come with its own `low`, `high` and `n`.
        Raises PagsError for what is not finite, out of bounds or no interval, UsageError for a name or a unit that
        cannot be meant.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise UsageError(f"metric name {name!r}: write letters, digits, dots, dashes, like 'fraction.gradient'")
        if unit not in BOUNDS:
            known = ", ".join(map(repr, BOUNDS))
            raise UsageError(f"unit {unit!r} of {name}: write one of {known}; results.BOUNDS takes a new one")
        try:
            metric = _summary(values, low, high, n, within or BOUNDS[unit])
        except ValueError as error:
            raise PagsError(f"metric {name!r}: {error}") from error
        self._metrics[name] = Metric(metric | {"unit": unit})
        return self._metrics[name]

    @property
    def metrics(self) -> Mapping[str, dict[str, Any]]:
        """All recorded metrics by name."""
        return self._metrics

    def metric(self, name: str) -> dict[str, Any]:
        """A recorded metric: {value, low, high, n, unit}; low and high are None where there is no interval.

        `runs` is there if there were runs, `each` if two values, or two runs, are too few for an interval.
        """
        return self._metrics[name]

    def ci(self, name: str, sign: str = "", places: int = 3) -> str:
        """A recorded metric and its interval, "0.310 [0.301, 0.319]", or both of two: "0.31 and 0.33 (n = 2 runs)".

        `sign` "+" shows the sign of a difference.
        """
        return with_interval(self._metrics[name], f"{sign}.{places}f")

    def side(self, name: str, above: str = "above", below: str = "below", neither: str = "not told apart from") -> str:
        """On which side of zero a recorded difference lies with all its interval, in these words."""
        low, high = limits(self._metrics[name])
        return above if low > 0 else below if high < 0 else neither

    def results(self) -> dict[str, Any]:
        """What `save` writes, as plain JSON."""
        from pags.book import origin

        result = {
            "schema": SCHEMA,
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
            "source": origin.digests(self.chapter, type(self.config).__module__, self.device.type),
            "metrics": self._metrics,
        }
        return json.loads(_text(result))

    def save(self) -> Path:
        """Write build/results/<preset>/<chapter>.json, whole or not at all, and return its path.

        A run with changed settings writes into build/changed/results, and takes no ordinary run's place.
        """
        result = self.results()
        validate(result)
        path = directory(self.overrides) / self.preset / f"{self.chapter}.json"
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
        return " · ".join(f"{name} **{plain(value)}**" for name, value in self._facts().items())

    def _repr_html_(self) -> str:
        """A small box in the colours of the page around it, so that it reads in the dark too."""
        facts = " · ".join(f"{name} <strong>{escape(value)}</strong>" for name, value in self._facts().items())
        style = "border: 1px solid currentColor; border-radius: 4px; padding: 0.4em 0.8em; display: inline-block"
        return f'<div class="pags-run" style="{style}">{facts}</div>'


def plain(text: str) -> str:
    """The text with every sign that Markdown would read as more than a sign escaped."""
    return re.sub(r"([\\`*_{}\[\]<>$#|&~])", r"\\\1", text)


def reuse(keys: Iterable[str], start: float) -> dict[str, Any]:
    """How many of the artifacts with these keys there are, how many were there before `start` (in Unix time).

    `seconds` of a processor were spent to make them all, whenever that was.
    """
    from pags import artifacts

    files = [file for key in keys for file in paths.ARTIFACTS.glob(f"*-{key[:20]}.safetensors")]
    spent = sum(artifacts.seconds(file) for file in files)
    there = sum(file.stat().st_mtime < start for file in files)
    return {"artifacts": len(files), "cached": there, "seconds_to_make": round(spent, 1)}


def length(chapter: str, preset: str) -> float:
    """Seconds that the chapter's published run would take with nothing made before; infinite if unknown.

    What it made itself is in the seconds that it took; of one that found a part of it, all is added.
    """
    try:
        about = record(paths.PUBLISHED / preset / f"{chapter}.json")
    except PagsError:  # damaged: who builds the pages is told
        about = {}
    return about.get("seconds", math.inf) + (about["seconds_to_make"] if about.get("cached") else 0)


def with_interval(metric: Mapping[str, Any], form: str) -> str:
    """A metric and its interval, or both of two values, each in this form of Python's."""
    if each := metric.get("each"):
        return " and ".join(f"{value:{form}}" for value in each) + f" (n = 2{' runs' if metric.get('runs') else ''})"
    ends = "" if metric["low"] is None else f" [{metric['low']:{form}}, {metric['high']:{form}}]"
    return f"{metric['value']:{form}}{ends}"


def limits(metric: Mapping[str, Any]) -> tuple[float, float]:
    """The ends by which a metric is told from a number or another metric: its interval, or its value if it is exact.

    Two values without an interval are told apart by Student's t of one degree of freedom: far from both of them.
    """
    if each := metric.get("each"):
        reach = TWO * abs(each[0] - each[1])
        return metric["value"] - reach, metric["value"] + reach
    if metric["low"] is None:
        return metric["value"], metric["value"]
    return metric["low"], metric["high"]


def _summary(
    values: Any, low: float | None, high: float | None, n: int | None, within: tuple[float, float] | None
) -> dict[str, Any]:
    """{value, low, high, n} of a number or of values per example; ValueError where they say nothing."""
    from pags import stats

    if getattr(values, "ndim", None) == 0 or isinstance(values, int | float):
        (value,) = stats.as_array([float(values)])
        if (low is None) != (high is None):
            raise ValueError("an interval has two ends: give both `low` and `high`, or none")
        if low is not None and high is not None:
            if not low <= value <= high:
                raise ValueError(f"its value {value} is not between low = {low} and high = {high}")
            low, high = stats.as_array([float(low), float(high)]).tolist()
        value, low, high = stats.cut(float(value), low, high, within)
        return {"value": value, "low": low, "high": high, "n": 1 if n is None else int(n)}
    if (low, high, n) != (None, None, None):
        raise ValueError("`low`, `high` and `n` go with one number, they are computed for values per example")
    found = stats.summary(values, within=within)
    extra: dict[str, Any] = {"runs": found.runs} if found.runs else {}
    extra |= {"each": list(found.each)} if found.each else {}
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n} | extra


# Files


def directory(overrides: Mapping[str, Any]) -> Path:
    """Where a run with these changed settings, or none, writes its results, below a folder named after its preset."""
    return paths.CHANGED / "results" if overrides else paths.RESULTS


def load(path: Path) -> dict[str, Any]:
    """A results file, checked; PagsError says what to do about one that is damaged, misplaced or newer than we are."""
    result = read(path)
    if complaint := misplaced(result, path):
        raise PagsError(f"{path} {complaint}: move it there, or {remedy(path)}")
    return result


def read(path: Path) -> dict[str, Any]:
    """`load` of a file that may lie anywhere."""
    try:
        result = _json(path)
    except FileNotFoundError:
        raise PagsError(f"{path} does not exist: make it with {again(path)}") from None
    newest = result.get("schema") if isinstance(result, dict) else None
    if isinstance(newest, int) and newest > SCHEMA:
        raise PagsError(f"{path} has schema {newest}, {SCHEMA} is the newest known here: update this copy of pags")
    try:
        validate(result)
    except PagsError as error:
        raise damaged(path, error) from error
    return result


def record(path: Path) -> dict[str, Any]:
    """The record of the run that wrote a results file, {} where there is none; PagsError if it is damaged."""
    from pags.book import schema

    place = path.with_suffix(".run.json")
    try:
        about = _json(place)
    except FileNotFoundError:
        return {}
    if complaint := schema.complaint(about, "run.schema.json"):
        raise damaged(place, complaint)
    return about


def note(path: Path, **facts: Any) -> None:
    """Add `facts` to the record of the run that wrote a results file, and by which digest the file is known."""
    _write(path.with_suffix(".run.json"), record(path) | facts | {"results": digest(path)})


def digest(path: Path) -> str:
    """By which a results file is known."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _json(path: Path) -> Any:
    """What the file says; PagsError if it cannot be read or is no JSON, FileNotFoundError if it is not there."""
    with reading(path):
        content = path.read_bytes()
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, why: object) -> PagsError:
    """The error about a file of a run that is not what it should be."""
    return PagsError(f"{path} is damaged ({' '.join(str(why).split())[:200]}): {remedy(path)}")


def remedy(path: Path) -> str:
    """What to do about a file of a run that cannot be used."""
    if path.is_relative_to(paths.PUBLISHED / "seeds"):
        return "restore it with `git checkout`"
    if path.is_relative_to(paths.SEEDS):
        return f"delete it, or make it again with {again(path)}, which is then the run on the pages"
    if path.is_relative_to(paths.PUBLISHED):
        return f"restore it with `git checkout`, or run the chapter here with {again(path)}"
    if path.parent.name not in PRESETS:  # from elsewhere
        return "bring it here again"
    return f"delete it and make it again with {again(path)}"


def again(path: Path) -> str:
    """The command that makes a file of a run anew."""
    command = f"`pags run {path.name.split('.')[0]} --preset {path.parent.name}`"
    if path.is_relative_to(paths.SEEDS):
        return f"{command[:-1]} --seed {path.parents[1].name}`"
    return f"{command} and the same -p" if path.is_relative_to(paths.CHANGED) else command


def misplaced(result: Mapping[str, Any], path: Path) -> str | None:
    """Whose results a file holds, if it is not named after them."""
    own = result["chapter"], result["preset"]
    if own == (path.stem, path.parent.name):
        return None
    return f"holds the results of {own[0]} at {own[1]}, which belong into {own[1]}/{own[0]}.json"


def all(directories: Iterable[Path] | None = None) -> list[dict[str, Any]]:  # read as results.all
    """What `readable` finds; PagsError with a line for every file that cannot be used."""
    found, complaints = readable(directories)
    if complaints:
        raise PagsError("\n  ".join(complaints))
    return found


def readable(directories: Iterable[Path] | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """Every results file under <directory>/<preset>/, by chapter, and a complaint for each that cannot be used.

    An earlier directory hides the same of a later one; by default those of this build, then the published ones.
    """
    found: dict[tuple[str, str], Path] = {}
    for directory in (paths.RESULTS, paths.PUBLISHED) if directories is None else directories:
        for path in directory.glob("*/*.json"):
            if not path.name.endswith(".run.json"):
                found.setdefault((path.stem, path.parent.name), path)
    results, complaints = [], []
    for _, path in sorted(found.items()):
        try:
            results.append(load(path))
        except PagsError as error:
            complaints.append(str(error))
    return results, complaints


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


def _write(path: Path, content: Any) -> None:
    text = _text(content)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _text(content: Any) -> str:
    try:
        return json.dumps(content, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as error:
        raise PagsError(f"the results must be plain JSON with finite numbers: {error}") from error
