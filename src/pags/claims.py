"""The verdicts on the papers' claims as text, at the end of a chapter and on the scoreboard; never by colour alone."""

import math
from collections.abc import Iterable, Mapping
from html import escape
from textwrap import fill, indent
from typing import Any

from pags import ledger, paths, results
from pags.ledger import FAILED, FAILS, PARTLY, REPRODUCED, UNTESTED, Finding, Verdict, load, verdicts

PAPERS = {
    "A": "Srinivas, Bordt and Lakkaraju (2023)",
    "B": "Bordt, Upadhyay, Akata and von Luxburg (2022)",
    "D": "Shah, Jain and Netrapalli (2021)",
}
PRESETS = ("quick", "standard", "paper")
SYMBOLS = {REPRODUCED: "✓", PARTLY: "◐", FAILED: "✗", UNTESTED: "–"}
COUNTING = {REPRODUCED: "reproduced", PARTLY: "partly reproduced", FAILED: "not reproduced"}
ELSEWHERE = {REPRODUCED: "holds", PARTLY: "partly holds", FAILED: "does not hold"}


def show(run: Any) -> "Table":
    """The claims that are judged in this run's chapter, with its own numbers: the last line of a chapter."""
    result = run.results()
    return Table(verdicts([result], [claim for claim in load() if claim.chapter == result["chapter"]]))


def report() -> str:
    """The whole ledger with the results of this build and the published ones, for a terminal."""
    return text(verdicts(results.all()))


def scoreboard() -> str:
    """The scoreboard page in Markdown: what book/scoreboard.md says, and below it a table per paper."""
    page = paths.BOOK / "scoreboard.md"
    head = page.read_text(encoding="utf-8").strip() if page.exists() else "# Scoreboard"
    return f"{head}\n\n{markdown(verdicts(results.all()))}\n"


# In words


def label(verdict: Verdict) -> str:
    """The verdict in words: "reproduced on mnist" or, where it is none on the paper's claim, "holds on strokes"."""
    if verdict.word == UNTESTED:
        return UNTESTED
    words = (COUNTING if verdict.counts else ELSEWHERE)[verdict.word]
    words += f" on {', '.join(verdict.data)}" if verdict.data else ""
    words += " with changed settings" if verdict.changed else ""
    undecided = verdict.word == FAILED and FAILS not in {finding.outcome for finding in verdict.findings}
    return f"{words} (undecided)" if undecided else words


def sentence(finding: Finding) -> str:
    """A check with its numbers: "fraction.gradient 0.310 [0.301, 0.319], n = 1,000; above fraction.random: holds"."""
    check = finding.check
    left = check.metric + (f" {number(finding.measured)}" if finding.measured else "")
    right = check.than if isinstance(check.than, str) else f"{check.than:g}"
    right += f" {number(finding.than)}" if isinstance(check.than, str) and finding.than else ""
    right += f" ± {check.tolerance:g}" if check.relation == "equals" else ""
    return f"{left}; {check.relation} {right}: {finding.outcome}"


def number(metric: Mapping[str, Any]) -> str:
    """A metric as "147 nats [146, 148], n = 10,000", without what it has not."""
    unit = "" if metric["unit"] in ("", "fraction") else f" {metric['unit']}"
    ends = "" if metric["low"] is None else f" [{digits(metric['low'])}, {digits(metric['high'])}]"
    many = f", n = {metric['n']:,}" if metric["n"] > 1 else ""
    return f"{digits(metric['value'])}{unit}{ends}{many}"


def digits(value: float) -> str:
    """The number with three significant digits."""
    if value == 0 or not 1e-4 <= abs(value) < 1e9:
        return f"{value:.3g}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


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
            for row in own:
                lines += [f"    {row.preset or 'here':<10}{SYMBOLS[row.word]} {label(row)}"]
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
    """A line per preset at which claims are judged: how many of them are reproduced, and so on."""
    rows, lines = list(rows), []
    for preset in PRESETS:
        judged = {row.claim.id: UNTESTED for row in rows if preset in row.claim.judge["presets"]}
        judged |= {row.claim.id: row.word for row in rows if row.counts and row.preset == preset}
        found = list(judged.values())
        if found:
            lines.append(f"{preset}: " + ", ".join(f"{found.count(word)} {word}" for word in ledger.WORDS))
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
        cells = [[_claim(row), escape(row.claim.reference), _measured(row), _verdict(row)] for row in self.rows]
        return table("The papers' claims and this run", heads, cells, label="Claims judged in this chapter")


def markdown(rows: Iterable[Verdict]) -> str:
    """A heading and a table per paper, with a row per claim and a cell per preset at which anything was run."""
    rows = list(rows)
    presets = list(dict.fromkeys(row.preset for row in sorted(rows, key=_rank) if row.preset)) or [None]
    heads = ["Claim", "In the paper", *(f"Here, {preset}" if preset else "Here" for preset in presets)]
    parts = ["\n".join(f"- {line}" for line in counts(rows))]
    for paper in sorted({row.claim.paper for row in rows}):
        cells = [
            [_claim(own[0], link=True), escape(own[0].claim.reference), *(_cell(own, preset) for preset in presets)]
            for own in by_claim(rows, paper)
        ]
        html = table("The paper and the runs here", heads, cells, label=PAPERS[paper])
        parts.append(f"## {PAPERS[paper]}\n\n```{{raw}} html\n{html}\n```")
    return "\n\n".join(parts)


def table(caption: str, heads: list[str], rows: list[list[str]], *, label: str) -> str:
    """An HTML table that scrolls in itself where the page is narrow, also from the keyboard."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    region = f'class="book-scroll" role="region" tabindex="0" aria-label="{escape(label)}" style="overflow-x: auto"'
    return (
        f"<div {region}>\n"
        f'<table class="table pags-claims">\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _cell(own: list[Verdict], preset: str | None) -> str:
    row = next((row for row in own if row.preset == preset), None) or ledger.untested(own[0].claim, preset)
    return _verdict(row) + _measured(row)


def _claim(row: Verdict, *, link: bool = False) -> str:
    claim = row.claim
    place = escape(claim.place)
    if link and (paths.NOTEBOOKS / f"{claim.chapter}.md").exists():
        place += f', <a href="chapters/{claim.chapter}.html">chapter {claim.chapter[:2]}</a>'
    name = f' id="claim-{claim.id}"' if link else ""
    return f"<span{name}>{escape(claim.claim)}</span><br><small>{escape(claim.id)}: {place}</small>"


def _measured(row: Verdict) -> str:
    return "".join(f"<div><small>{escape(sentence(finding))}</small></div>" for finding in row.findings)


def _verdict(row: Verdict) -> str:
    name = row.word.replace(" ", "-") if row.counts or row.word == UNTESTED else "elsewhere"
    mark = f'<span aria-hidden="true">{SYMBOLS[row.word]}</span>'
    return f'<strong class="pags-verdict pags-{name}">{mark} {escape(label(row))}</strong>'
