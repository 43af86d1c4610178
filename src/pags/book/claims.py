"""The papers' claims in book/claims.yml, and what results say about each: a verdict follows from the checks alone."""

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pags import paths
from pags.book import page, results, schema, seeds
from pags.errors import PagsError, UsageError

# What a check finds, and all checks of a claim together.
HOLDS, IN_PART, FAILS, UNDECIDED = "holds", "in part", "fails", "undecided"
MISSING, INCOMPARABLE = "not measured", "not comparable"
# The same in words: of a paper's claim where a run can judge it, and of everything else.
PAPER = {
    HOLDS: "reproduced",
    IN_PART: "in part",
    FAILS: "not reproduced",
    UNDECIDED: "undecided",
    INCOMPARABLE: "not comparable",
    MISSING: "no verdict",
}
OUTCOMES = tuple(PAPER)
ELSEWHERE = PAPER | {HOLDS: "holds", FAILS: "does not hold"}


@dataclass(frozen=True)
class Check:
    """One comparison: `metric` is above, below or equal to `than`, a number or another metric.

    `what` says in words what is compared; a `printed` number is the paper's, and belongs to the paper's data.
    """

    metric: str
    relation: str
    than: str | float
    tolerance: float = 0.0
    what: str = ""
    printed: bool = False


@dataclass(frozen=True)
class Claim:
    """One entry of the ledger; its fields are explained in book/claims.yml."""

    id: str
    paper: str
    place: str
    claim: str
    chapter: str
    judge: Mapping[str, Any]
    reference: str
    checks: tuple[Check, ...]
    differs: str = ""
    own: bool = False
    number: str = ""

    @property
    def metrics(self) -> list[str]:
        """Every metric that the entry names: in its checks, in its sentence, and to judge it at all."""
        checked = [name for check in self.checks for name in (check.metric, check.than) if isinstance(name, str)]
        needed = [self.judge["accuracy"]["metric"]] if "accuracy" in self.judge else []
        return list(dict.fromkeys([*checked, *page.named(self.number), *needed]))


class Finding(NamedTuple):
    """What one check found, with the metrics (or the number) that it compared; None where there is none."""

    check: Check
    outcome: str
    measured: Mapping[str, Any] | None
    than: Mapping[str, Any] | None


class Verdict(NamedTuple):
    """What one run says about a claim. It `counts` as a verdict only where the ledger says so.

    `data` are the sets that the claim is about, where the run has them, else all of the run.
    """

    claim: Claim
    preset: str | None
    data: tuple[str, ...]
    changed: bool
    counts: bool
    outcome: str
    findings: tuple[Finding, ...]
    accuracy: float | None = None  # of the network that `judge: accuracy` names, where it was measured
    repeated: tuple[tuple[int, "Verdict"], ...] = ()  # seed and verdict of the runs that repeat this one

    @property
    def word(self) -> str:
        """The outcome in words; only a paper's claim that this run can judge is reproduced, or not."""
        return (PAPER if self.counts and not self.claim.own else ELSEWHERE)[self.outcome]


def load(path: Path | None = None) -> list[Claim]:
    """The claims of book/claims.yml in its order; PagsError names the entry that is wrong."""
    path = path or paths.BOOK / "claims.yml"
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PagsError(f"{path.name} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(entries, list):
        raise PagsError(f"{path.name} must hold a list of claims, not {type(entries).__name__}")
    claims: dict[str, Claim] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("id", number) if isinstance(entry, dict) else number
        if complaint := schema.complaint(entry, "claims.schema.json"):
            raise PagsError(f"{path.name}: claim {name}: {complaint}")
        if name in claims:
            raise PagsError(f"{path.name}: claim {name}: this id is there twice, give one of them another")
        claims[entry["id"]] = Claim(**entry | {"checks": tuple(Check(**check) for check in entry["checks"])})
        if complaint := _unsound(claims[entry["id"]]):
            raise PagsError(f"{path.name}: claim {name}: {complaint}")
    return list(claims.values())


def _unsound(claim: Claim) -> str | None:
    """What no schema can see in an entry."""
    try:
        page.filled(claim.number, {})
    except UsageError as error:
        return f"number: {error}"
    for check in claim.checks:
        if not all(math.isfinite(n) for n in (check.than, check.tolerance) if not isinstance(n, str)):
            return f"{check.metric} is compared with {check.than} ± {check.tolerance}: write finite numbers"
        if check.printed and isinstance(check.than, str):
            return f"{check.than} is a metric, so no number that the paper printed"
        if check.printed and not claim.differs:
            return "it holds a number of the paper against ours: say in `differs` what was measured otherwise here"
    return None


def unknown(claims: Iterable[Claim], found: Iterable[Mapping[str, Any]], chapters: Iterable[str]) -> list[str]:
    """A line per claim that names a chapter which is not there, or a metric that none of its chapter's runs records.

    A chapter without a results file among `found` cannot tell which metrics it records.
    """
    recorded: dict[str, set[str]] = {}
    for result in found:
        recorded.setdefault(result["chapter"], set()).update(result["metrics"])
    chapters, lines = set(chapters), []
    for claim in claims:
        if claim.chapter not in chapters:
            lines.append(f"claim {claim.id}: there is no chapter {claim.chapter!r}")
        metrics = recorded.get(claim.chapter)
        for name in claim.metrics:
            if metrics is not None and name not in metrics:
                near = difflib.get_close_matches(name, metrics, 1)
                hint = f", {near[0]!r} is the nearest" if near else ""
                lines.append(f"claim {claim.id}: no run of {claim.chapter} records a metric {name!r}{hint}")
    return lines


def verdicts(
    found: Iterable[Mapping[str, Any]],
    claims: Iterable[Claim] | None = None,
    kept: Collection[seeds.Kept] = (),
) -> list[Verdict]:
    """For every claim (those of the book by default) a verdict per results file of its chapter, at least one.

    Beside it those of its repetitions from other seeds, as far as they are `kept`.
    """
    repeated = [(result, seeds.repeats(result, kept)) for result in found]
    rows = []
    for claim in load() if claims is None else claims:
        own = [
            verdict(claim, result)._replace(repeated=tuple((seed, verdict(claim, one)) for seed, one in others.items()))
            for result, others in repeated
            if result["chapter"] == claim.chapter
        ]
        rows += own or [untested(claim)]
    return rows


def untested(claim: Claim, preset: str | None = None) -> Verdict:
    """The verdict where there is no results file."""
    return Verdict(claim, preset, (), changed=False, counts=False, outcome=MISSING, findings=())


def verdict(claim: Claim, result: Mapping[str, Any]) -> Verdict:
    """What one results file of the claim's chapter says about it."""
    data, changed = tuple(sorted(result["data"])), bool(result["parameters"]["overrides"])
    judged = tuple(name for name in data if name in claim.judge["data"])
    comparable = bool(judged or not claim.judge["data"])
    asked = claim.judge.get("accuracy")
    accuracy = result["metrics"].get(asked["metric"], {}).get("value") if asked else None
    counts = result["preset"] in claim.judge["presets"] and comparable and trained(claim, accuracy) and not changed
    findings = tuple(find(check, result["metrics"], comparable=comparable) for check in claim.checks)
    shown = judged or (() if counts and not claim.own else data)  # a theorem of a paper names no data
    return Verdict(claim, result["preset"], shown, changed, counts, together(findings), findings, accuracy)


def trained(claim: Claim, accuracy: float | None) -> bool:
    """Whether a network of this accuracy (None: not measured) can judge the claim, if it asks for one."""
    asked = claim.judge.get("accuracy")
    return asked is None or (accuracy is not None and accuracy >= asked["least"])


def together(findings: Iterable[Finding]) -> str:
    """The outcome of all checks: "in part" if some hold and some do not, "undecided" if none holds and none fails."""
    all_of_them = [finding.outcome for finding in findings]
    outcomes = [outcome for outcome in all_of_them if outcome != INCOMPARABLE]
    if MISSING in outcomes or not all_of_them:
        return MISSING
    if not outcomes:
        return INCOMPARABLE
    if HOLDS in outcomes:
        return HOLDS if set(outcomes) == {HOLDS} else IN_PART
    return FAILS if FAILS in outcomes else UNDECIDED


def find(check: Check, metrics: Mapping[str, Mapping[str, Any]], *, comparable: bool = True) -> Finding:
    """Apply one check to the metrics of a results file; on other data no number of the paper can be met or missed."""
    measured = metrics.get(check.metric)
    than = metrics.get(check.than) if isinstance(check.than, str) else {"value": check.than, "low": None, "high": None}
    if measured is None or than is None:
        return Finding(check, MISSING, measured, than)
    if check.printed and not comparable:
        return Finding(check, INCOMPARABLE, measured, than)
    return Finding(check, outcome(check, measured, than), measured, than)


def outcome(check: Check, measured: Mapping[str, Any], than: Mapping[str, Any]) -> str:
    """`holds` or `fails` when the intervals lie apart, `undecided` when they touch.

    `equals` holds when all of the interval lies within the tolerance, and fails when none of it does. Two numbers
    without an interval are always decided: what is not above fails to be above.
    """
    if check.relation == "equals":
        (low, high), (least, most) = results.limits(measured), results.limits(than)
        if max(abs(low - most), abs(high - least)) <= check.tolerance:
            return HOLDS
        return FAILS if max(low - most, least - high) > check.tolerance else UNDECIDED
    left, right = (measured, than) if check.relation == "above" else (than, measured)
    (low, high), (least, most) = results.limits(left), results.limits(right)
    if low > most:
        return HOLDS
    exact = not any(metric["low"] is not None or metric.get("each") for metric in (measured, than))
    return FAILS if exact or high < least else UNDECIDED
