"""The verdicts on the papers' claims as text, at the end of a chapter and on the scoreboard; never by colour alone."""

from collections.abc import Iterable, Sequence
from html import escape
from textwrap import fill, indent
from typing import Any

from pags import PRESETS, paths
from pags.book import claims, results
from pags.book.claims import (
    ELSEWHERE,
    FAILS,
    HOLDS,
    IN_PART,
    INCOMPARABLE,
    MISSING,
    OUTCOMES,
    PAPER,
    UNDECIDED,
    Finding,
    Verdict,
    load,
    verdicts,
)
from pags.book.page import html_table, number

PAPERS = {
    "A": "Srinivas, Bordt and Lakkaraju (2023)",
    "B": "Bordt, Upadhyay, Akata and von Luxburg (2022)",
    "D": "Shah, Jain and Netrapalli (2021)",
}
SYMBOLS = {HOLDS: "✓", IN_PART: "◐", FAILS: "✗", UNDECIDED: "?", INCOMPARABLE: "≁", MISSING: "–"}
KINDS = {outcome: word.replace(" ", "-") for outcome, word in PAPER.items()}  # names of styles
OURS = "Our own hypothesis, no claim of the paper."


def show(run: Any) -> "Table":
    """The claims that are judged in this run's chapter, with its own numbers: the last line of a chapter."""
    result = run.results()
    return Table(verdicts([result], [claim for claim in load() if claim.chapter == result["chapter"]]))


def report() -> str:
    """The whole ledger with the results of this build and the published ones, for a terminal.

    Files that cannot be used are left out, and named at the end.
    """
    found, complaints = results.readable()
    return "\n".join([text(verdicts(found)), *(f"left out: {complaint}" for complaint in complaints)])


def whole_page(found: Sequence[dict] | None = None) -> str:
    """The scoreboard page in Markdown: what book/scoreboard.md says, and below it a table per paper.

    By the results that are `found`, by default all of this build and the published ones.
    """
    page = paths.BOOK / "scoreboard.md"
    head = page.read_text(encoding="utf-8").strip() if page.exists() else "# Scoreboard"
    return f"{head}\n\n{markdown(verdicts(results.all() if found is None else found))}\n"


# In words


def label(verdict: Verdict) -> str:
    """The verdict in words: "reproduced on mnist", "3 of 4 checks hold on mnist" or, elsewhere, "holds on strokes"."""
    if verdict.outcome == MISSING:
        return verdict.word
    outcomes = [finding.outcome for finding in verdict.findings if finding.outcome != INCOMPARABLE]
    holding, unsure = outcomes.count(HOLDS), outcomes.count(UNDECIDED)
    words = verdict.word
    if verdict.outcome == IN_PART:
        words = f"{holding} of {len(outcomes)} checks {'holds' if holding == 1 else 'hold'}"
    words += f" on {', '.join(verdict.data)}" if verdict.data else ""
    words += f", {unsure} of {len(outcomes)} undecided" if unsure and verdict.outcome != UNDECIDED else ""
    return words + ", with changed settings" * verdict.changed


def symbol(verdict: Verdict) -> str:
    """A sign that stands before the words."""
    return SYMBOLS[verdict.outcome]


def sentence(finding: Finding) -> str:
    """A check with its numbers: "fraction.gradient 0.310 [0.301, 0.319], n = 1,000; above fraction.random: holds"."""
    check = finding.check
    left = check.metric + (f" {number(finding.measured)}" if finding.measured else "")
    right = check.than if isinstance(check.than, str) else f"{check.than:g}"
    right += f" {number(finding.than)}" if isinstance(check.than, str) and finding.than else ""
    return f"{left}; {check.relation} {right}{_tolerance(check)}: {finding.outcome}"


def in_words(finding: Finding) -> str:
    """The same without names of metrics: "gradient against chance: 0.310 [0.301, 0.319]; above 0.0964: holds"."""
    check = finding.check
    what = f"{check.what}: " if check.what else ""
    if finding.measured is None or finding.than is None:
        return f"{what}{finding.outcome}"
    than = number(finding.than) if isinstance(check.than, str) else f"{check.than:g}"
    relation = "within" if check.tolerance else check.relation
    return f"{what}{number(finding.measured)}; {relation} {than}{_tolerance(check)}: {finding.outcome}"


def _tolerance(check: claims.Check) -> str:
    return f" ± {check.tolerance:g}" if check.relation == "equals" else ""


def text(rows: Iterable[Verdict]) -> str:
    """The verdicts by paper and claim, for a terminal."""
    rows = list(rows)
    lines = []
    for paper in sorted({row.claim.paper for row in rows}):
        lines += [f"{paper}  {PAPERS[paper]}", ""]
        for own in by_claim(rows, paper):
            claim = own[0].claim
            lines += [f"  {claim.id}  ({claim.place}; {claim.chapter})", indent(fill(claim.claim, 100), " " * 4)]
            lines += [f"    {'the paper':<10}{claim.reference}"]
            lines += [f"    {'differs':<10}{claim.differs}"] if claim.differs else []
            lines += [f"    {OURS}"] if claim.own else []
            for row in own:
                lines += [f"    {row.preset or 'here':<10}{symbol(row)} {label(row)}"]
                lines += [f"{'':<16}{sentence(finding)}" for finding in row.findings]
            lines += [""]
    return "\n".join([*lines, *counts(rows)])


def by_claim(rows: Iterable[Verdict], paper: str) -> list[list[Verdict]]:
    """The verdicts on a paper's claims: a list per claim, each by preset."""
    own: dict[str, list[Verdict]] = {}
    for row in sorted(rows, key=_rank):
        if row.claim.paper == paper:
            own.setdefault(row.claim.id, []).append(row)
    return list(own.values())


def counts(rows: Iterable[Verdict]) -> list[str]:
    """Two lines per preset at which claims are judged: how many of the papers' are reproduced, and of ours hold."""
    rows, lines = list(rows), []
    for preset in PRESETS:
        for own, words, of in ((False, PAPER, "of the papers' claims"), (True, ELSEWHERE, "of our own hypotheses")):
            mine = [row for row in rows if row.claim.own == own]
            judged = {row.claim.id: MISSING for row in mine if preset in row.claim.judge["presets"]}
            judged |= {row.claim.id: row.outcome for row in mine if row.counts and row.preset == preset}
            found = list(judged.values())
            many = [f"{words[one]} {found.count(one)}" for one in OUTCOMES if one != INCOMPARABLE]
            lines += [f"{preset}, {of}: {', '.join(many)}"] if found else []
    return lines or ["There are no claims yet."]


def _rank(row: Verdict) -> int:
    return PRESETS.index(row.preset) if row.preset in PRESETS else len(PRESETS)


# On a page


class Table:
    """The verdicts of one run as a table in a notebook, and as text elsewhere."""

    def __init__(self, rows: Iterable[Verdict]) -> None:
        self.rows = list(rows)

    def __repr__(self) -> str:
        return text(self.rows)

    def _repr_html_(self) -> str:
        if not self.rows:
            return "<p>No claim of the papers is judged in this chapter.</p>"
        heads = ["Claim", "In the paper", "Measured here", "Verdict"]
        cells = [[_claim(row), _reference(row), _measured(row), _verdict(row)] for row in self.rows]
        return html_table("The papers' claims and this run", heads, cells, label="Claims judged in this chapter")


def markdown(rows: Iterable[Verdict]) -> str:
    """A heading and a table per paper, with a row per claim and a cell per preset at which anything was run."""
    rows = list(rows)
    found = dict.fromkeys(row.preset for row in sorted(rows, key=_rank) if row.preset)
    presets: list[str | None] = [*found] or [None]
    heads = ["Claim", "In the paper", *(f"Here, {preset}" if preset else "Here" for preset in presets)]
    parts = ["\n".join(f"- {line}" for line in counts(rows))]
    for paper in sorted({row.claim.paper for row in rows}):
        cells = [
            [_claim(own[0], link=True), _reference(own[0]), *(_cell(own, preset) for preset in presets)]
            for own in by_claim(rows, paper)
        ]
        html = html_table("The paper and the runs here", heads, cells, label=PAPERS[paper])
        parts.append(f"## {PAPERS[paper]}\n\n```{{raw}} html\n{html}\n```")
    return "\n\n".join(parts)


def _cell(own: list[Verdict], preset: str | None) -> str:
    row = next((row for row in own if row.preset == preset), None) or claims.untested(own[0].claim, preset)
    return _verdict(row) + _measured(row)


def _claim(row: Verdict, *, link: bool = False) -> str:
    claim = row.claim
    place = escape(claim.place)
    if link and (paths.NOTEBOOKS / f"{claim.chapter}.md").exists():
        place += f', <a href="chapters/{claim.chapter}.html">chapter {claim.chapter.split("_")[0]}</a>'
    name = f' id="claim-{claim.id}"' if link else ""
    ours = f" <em>{OURS}</em>" if claim.own else ""
    return f"<span{name}>{escape(claim.claim)}</span>{ours}<br><small>{escape(claim.id)}: {place}</small>"


def _reference(row: Verdict) -> str:
    """What the paper has, and what was measured otherwise here."""
    differs = row.claim.differs
    return escape(row.claim.reference) + (f"<br><small>Differs here: {escape(differs)}</small>" if differs else "")


def _measured(row: Verdict) -> str:
    """A line per check in words, and the same with the names under which the results have it, in a folded block."""
    if not row.findings:
        return ""
    words, named = (
        "".join(f"<div><small>{escape(say(finding))}</small></div>" for finding in row.findings)
        for say in (in_words, sentence)
    )
    return f"{words}<details><summary><small>As recorded</small></summary>{named}</details>"


def _verdict(row: Verdict) -> str:
    kind = KINDS[row.outcome] if row.outcome == MISSING or (row.counts and not row.claim.own) else "elsewhere"
    mark = f'<span aria-hidden="true">{symbol(row)}</span>'
    return f'<strong class="pags-verdict pags-{kind}">{mark} {escape(label(row))}</strong>'
