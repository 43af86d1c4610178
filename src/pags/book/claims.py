"""The papers' claims in book/claims.yml, and what results say about each: a verdict follows from the checks alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pags import paths
from pags.book import results, schema
from pags.errors import PagsError

REPRODUCED, PARTLY, FAILED, UNTESTED = WORDS = ("reproduced", "partly", "not reproduced", "not tested here")
HOLDS, UNDECIDED, FAILS, MISSING = "holds", "undecided", "fails", "not measured"
INCOMPARABLE = "not comparable"


@dataclass(frozen=True)
class Check:
    """One comparison: `metric` is above, below or equal to `than`, a number or another metric."""

    metric: str
    relation: str
    than: str | float
    tolerance: float = 0.0


@dataclass(frozen=True)
class Claim:
    """One entry of the ledger; its fields are explained in book/claims.yml."""

    id: str
    paper: str
    place: str
    claim: str
    chapter: str
    judge: Mapping[str, list[str]]
    reference: str
    checks: tuple[Check, ...]


class Finding(NamedTuple):
    """What one check found, with the metrics (or the number) that it compared; None where there is none."""

    check: Check
    outcome: str
    measured: Mapping[str, Any] | None
    than: Mapping[str, Any] | None


class Verdict(NamedTuple):
    """What one run says about a claim. It `counts` as a verdict on the paper's claim only where the ledger says so."""

    claim: Claim
    preset: str | None
    data: tuple[str, ...]
    changed: bool
    counts: bool
    word: str
    findings: tuple[Finding, ...]


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
    return list(claims.values())


def verdicts(found: Iterable[Mapping[str, Any]], claims: Iterable[Claim] | None = None) -> list[Verdict]:
    """For every claim (those of the book by default) a verdict per results file of its chapter, at least one."""
    found = list(found)
    rows = []
    for claim in load() if claims is None else claims:
        own = [verdict(claim, result) for result in found if result["chapter"] == claim.chapter]
        rows += own or [untested(claim)]
    return rows


def untested(claim: Claim, preset: str | None = None) -> Verdict:
    """The verdict where there is no results file."""
    return Verdict(claim, preset, (), changed=False, counts=False, word=UNTESTED, findings=())


def verdict(claim: Claim, result: Mapping[str, Any]) -> Verdict:
    """What one results file of the claim's chapter says about it."""
    data, changed = tuple(sorted(result["data"])), bool(result["parameters"]["overrides"])
    judged = tuple(name for name in data if name in claim.judge["data"])
    comparable = bool(judged or not claim.judge["data"])
    counts = result["preset"] in claim.judge["presets"] and comparable and not changed
    findings = tuple(find(check, result["metrics"], comparable=comparable) for check in claim.checks)
    return Verdict(claim, result["preset"], judged if counts else data, changed, counts, word(findings), findings)


def word(findings: Iterable[Finding]) -> str:
    """The verdict that follows from the outcomes; an undecided check does not hold."""
    outcomes = [finding.outcome for finding in findings if finding.outcome != INCOMPARABLE]
    if MISSING in outcomes or not outcomes:
        return UNTESTED
    holding = outcomes.count(HOLDS)
    return REPRODUCED if holding == len(outcomes) else PARTLY if holding else FAILED


def find(check: Check, metrics: Mapping[str, Mapping[str, Any]], *, comparable: bool = True) -> Finding:
    """Apply one check to the metrics of a results file; on other data no number of the paper can be met or missed."""
    measured = metrics.get(check.metric)
    than = metrics.get(check.than) if isinstance(check.than, str) else {"value": check.than, "low": None, "high": None}
    if measured is None or than is None:
        return Finding(check, MISSING, measured, than)
    if check.relation == "equals" and not isinstance(check.than, str) and not comparable:
        return Finding(check, INCOMPARABLE, measured, than)
    return Finding(check, outcome(check, measured, than), measured, than)


def outcome(check: Check, measured: Mapping[str, Any], than: Mapping[str, Any]) -> str:
    """`holds` or `fails` when the intervals lie apart, `undecided` when they touch; `equals` looks at the values.

    Two numbers without an interval are always decided: what is not above fails to be above.
    """
    if check.relation == "equals":
        return HOLDS if abs(measured["value"] - than["value"]) <= check.tolerance else FAILS
    left, right = (measured, than) if check.relation == "above" else (than, measured)
    (low, high), (least, most) = results.limits(left), results.limits(right)
    if low > most:
        return HOLDS
    exact = not any(metric["low"] is not None or metric.get("each") for metric in (measured, than))
    return FAILS if exact or high < least else UNDECIDED
