"""The verdicts on the papers' claims as text, at the end of a chapter and on the scoreboard; never by colour alone."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from textwrap import fill, indent
from typing import Any

from pags import PRESETS, paths
from pags.book import claims, results, seeds
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
    Claim,
    Finding,
    Verdict,
    load,
    verdicts,
)
from pags.book.page import filled, html_table, listed, number, percent

PAPERS = {
    "A": "Srinivas, Bordt and Lakkaraju (2023)",
    "B": "Bordt, Upadhyay, Akata and von Luxburg (2022)",
    "D": "Shah, Jain and Netrapalli (2021)",
}
SYMBOLS = {HOLDS: "✓", IN_PART: "◐", FAILS: "✗", UNDECIDED: "?", INCOMPARABLE: "≁", MISSING: "–"}
KINDS = {outcome: word.replace(" ", "-") for outcome, word in PAPER.items()}  # names of styles
DATA = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "emnist": "EMNIST",
    "pneumonia": "chest X-rays",
    "retinamnist": "retina images",
    "svhn": "SVHN",
    "svhn_test_part": "a part of SVHN",
    "imagenet10": "ImageNet-10",
    "imagenet10_64": "a part of ImageNet-10",
}
DATA |= {f"generated from {name}": f"images generated from {word}" for name, word in DATA.items()}
MANY = {"holds": "hold", "does not hold": "do not hold"}  # said of several
WITHOUT = {PAPER[MISSING]: "without a verdict"}  # said of any number
OURS = "Our own hypothesis, no claim of the paper."
AGAIN = {True: "the same verdict", False: "another verdict", None: ""}  # from other seeds
GROUPS = {  # of verdicts at one preset: whose claims, and in which words
    "of the papers' claims": PAPER,
    "of our own hypotheses": ELSEWHERE,
    "found elsewhere (other data, preset or settings)": ELSEWHERE,
}
# Where on its chapter's page a metric is measured: (chapter, metric) -> the place's id, and what it is called.
Places = Mapping[tuple[str, str], tuple[str, str]]


def show(run: Any) -> "Table":
    """The claims that are judged in this run's chapter, with its own numbers: the last line of a chapter."""
    return of_chapter(run.results())


def of_chapter(result: Mapping[str, Any], kept: Collection[seeds.Kept] = ()) -> "Table":
    """The same by a results file, and by its repetitions among what is `kept`."""
    return Table(verdicts([result], [claim for claim in load() if claim.chapter == result["chapter"]], kept), result)


def report() -> str:
    """The whole ledger with the results of this build and the published ones, for a terminal.

    Files that cannot be used are left out, and named at the end.
    """
    found, _ = results.readable()
    kept, complaints = seeds.readable()
    return "\n".join([text(verdicts(found, kept=kept)), *(f"left out: {complaint}" for complaint in complaints)])


def whole_page(
    found: Sequence[dict] | None = None, places: Places | None = None, kept: Collection[seeds.Kept] = ()
) -> str:
    """The scoreboard page in Markdown: what book/scoreboard.md says, and below it a card per claim.

    By the results that are `found`, by default all of this build and the published ones, and their repetitions `kept`.
    """
    page = paths.BOOK / "scoreboard.md"
    head = page.read_text(encoding="utf-8").strip() if page.exists() else "# Scoreboard"
    found = results.all() if found is None else list(found)
    return f"{head}\n\n{markdown(verdicts(found, kept=kept), found, places or {})}\n"


# In words


def label(verdict: Verdict) -> str:
    """The verdict in words: "reproduced on MNIST", "3 of 4 checks hold on MNIST" or, elsewhere, "holds on strokes"."""
    if verdict.outcome == MISSING:
        return verdict.word
    where = f" on {data_words(verdict.data)}" if verdict.data else ""
    unsure = f", {unsure}" if (unsure := _unsure(verdict)) else ""
    return f"{_holding(verdict)}{where}{unsure}{', with changed settings' * verdict.changed}"


def _holding(verdict: Verdict) -> str:
    """The outcome in words; of one in part, how many checks hold."""
    if verdict.outcome != IN_PART:
        return verdict.word
    outcomes = _outcomes(verdict)
    n = outcomes.count(HOLDS)
    return f"{n} of {len(outcomes)} checks {'holds' if n == 1 else 'hold'}"


def _unsure(verdict: Verdict) -> str:
    """How many checks are undecided, where the outcome is not."""
    outcomes = _outcomes(verdict)
    n = outcomes.count(UNDECIDED)
    return f"{n} of {len(outcomes)} undecided" if n and verdict.outcome != UNDECIDED else ""


def _outcomes(verdict: Verdict) -> list[str]:
    return [finding.outcome for finding in verdict.findings if finding.outcome != INCOMPARABLE]


def repeated(verdict: Verdict) -> str:
    """What the same run from other seeds says, in words: "the same from seed 100, not reproduced from seed 200"."""
    if not (others := verdict.repeated):
        return ""
    same = [seed for seed, other in others if _alike(verdict, other)]
    parts = [f"the same from {seeds.named(same)}"] if same else []
    for seed, other in others:
        if other.counts != verdict.counts:
            parts.append(f"no verdict from seed {seed}, whose network is too weak")
        elif seed not in same:
            others_checks = _holding(other) == _holding(verdict)
            parts.append(f"{_holding(other)}{', but others,' * others_checks} from seed {seed}")
    return ", ".join(parts)


def stable(verdict: Verdict) -> bool | None:
    """Whether in all repetitions from other seeds the same checks hold and fail; None where none can judge."""
    able = [other for _, other in verdict.repeated if other.counts == verdict.counts]
    return all(_alike(verdict, other) for other in able) if able else None


def _alike(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts on a claim are the same, check by check."""
    outcomes = [[finding.outcome for finding in verdict.findings] for verdict in (one, other)]
    return one.counts == other.counts and outcomes[0] == outcomes[1]


def data_names(names: Collection[str]) -> list[str]:
    """The names of data sets as a reader knows them; what was generated from a set that is named goes without."""
    return [data_word(name) for name in names if name.removeprefix("generated from ") not in {*names} - {name}]


def data_words(names: Collection[str]) -> str:
    """`data_names` in a line."""
    return ", ".join(data_names(names))


def data_word(name: str) -> str:
    """The name of a data set as a reader knows it."""
    return DATA.get(name, name)


def symbol(verdict: Verdict) -> str:
    """A sign that stands before the words."""
    return SYMBOLS[verdict.outcome]


def sentence(finding: Finding) -> str:
    """A check with its numbers: "fraction.gradient 0.310 [0.301, 0.319], n = 1,000; above fraction.random: holds"."""
    check = finding.check
    left = check.metric + (f" {number(finding.measured)}" if finding.measured else "")
    right = check.than if isinstance(check.than, str) else f"{check.than:g}"
    right += f" {number(finding.than, unit=False)}" if isinstance(check.than, str) and finding.than else ""
    return f"{left}; {check.relation} {right}{_tolerance(check)}: {finding.outcome}"


def in_words(finding: Finding) -> str:
    """The same without names of metrics: "gradient against chance: 0.310 [0.301, 0.319]; above 0.0964: holds"."""
    check = finding.check
    what = f"{check.what}: " if check.what else ""
    if finding.measured is None or finding.than is None:
        return f"{what}{finding.outcome}"
    than = number(finding.than, unit=False) if isinstance(check.than, str) else f"{check.than:g}"
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
                lines += [f"{'':<16}again: {repeated(row)}"] if row.repeated else []
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


def tally(rows: Iterable[Verdict], preset: str) -> dict[str, Counter[str]]:
    """How many verdicts of one preset have which outcome, in the groups of GROUPS; whoever counts, counts so.

    A claim that this preset may judge and that no run of it has measured is MISSING.
    """
    found: dict[str, Counter[str]] = {group: Counter() for group in GROUPS}
    papers, own, other = found.values()
    rows = list(rows)
    judged = {row.claim.id: row for row in rows if row.preset == preset and row.counts}
    for claim in {row.claim.id: row.claim for row in rows}.values():
        if preset in claim.judge["presets"]:
            (own if claim.own else papers)[judged[claim.id].outcome if claim.id in judged else MISSING] += 1
    other.update(row.outcome for row in rows if row.preset == preset and not row.counts and row.outcome != MISSING)
    return found


def counts(rows: Iterable[Verdict]) -> list[str]:
    """A line per preset and group: how many of the papers' claims are reproduced, how many of ours hold."""
    rows = list(rows)
    lines = [
        f"{preset}, {group}: {counted(found, GROUPS[group])}"
        for preset in PRESETS
        for group, found in tally(rows, preset).items()
        if found
    ]
    return lines or ["There are no claims yet."]


def counted(found: Counter[str], words: Mapping[str, str]) -> str:
    """Outcomes with their numbers, in these words: "reproduced 3, not reproduced 1"."""
    return ", ".join(f"{words[one]} {found[one]}" for one in OUTCOMES if found[one])


def _rank(row: Verdict) -> int:
    return PRESETS.index(row.preset) if row.preset in PRESETS else len(PRESETS)


def best(own: Sequence[Verdict]) -> Verdict:
    """Of the verdicts on one claim the one that stands for it: a counting one of the largest preset that measured it.

    Where none counts it is `claims.untested`.
    """
    counting = [row for row in own if row.counts and row.outcome != MISSING]
    return max(counting, key=_rank) if counting else claims.untested(own[0].claim)


# On a page


class Table:
    """The verdicts of one run as a list in a notebook, and as text elsewhere."""

    def __init__(self, rows: Iterable[Verdict], result: Mapping[str, Any]) -> None:
        self.rows, self.result = list(rows), result

    def __repr__(self) -> str:
        return text(self.rows)

    def _repr_html_(self) -> str:
        return self.html()

    def html(self, board: str = "", places: Places | None = None) -> str:
        """A line per claim; each leads to the same claim on the page `board`, if there is one, and to its figure."""
        if not self.rows:
            return "<p>No claim of the papers is judged in this chapter.</p>"
        cards = "\n".join(line(row, self.result, places or {}, board) for row in self.rows)
        return f'<ul class="{LIST}" {OF_CHAPTER}>\n{cards}\n</ul>'


LIST = "pags-cards"
OF_CHAPTER = 'aria-label="Claims judged in this chapter"'  # by it the build finds the list in an executed chapter


def markdown(rows: Iterable[Verdict], found: Sequence[Mapping[str, Any]], places: Places) -> str:
    """How many claims have which verdict, and a heading and a card per claim for each paper."""
    rows = list(rows)
    fold = f"<details><summary>The same by preset</summary>{by_preset(rows)}</details>"
    ran = _presets(found)
    one = f" All that is shown was run at preset `{ran[0]}`." if len(ran) == 1 else ""
    parts = [summary(rows) + one, f'```{{raw}} html\n{fold}\n<div id="pags-filters"></div>\n```']
    for paper in sorted({row.claim.paper for row in rows}):
        cards = "\n".join(card(own, found, places) for own in by_claim(rows, paper))
        html = f'<ul class="{LIST}" aria-label="{escape(PAPERS[paper])}">\n{cards}\n</ul>'
        parts.append(f"## {paper}: {PAPERS[paper]}\n\n```{{raw}} html\n{html}\n```")
    return "\n\n".join(parts)


def by_preset(rows: Sequence[Verdict]) -> str:
    """A table of verdicts, a row for each preset that has run and whose claims they are on, and a column an outcome."""
    ran = [preset for preset in PRESETS if any(row.preset == preset and row.outcome != MISSING for row in rows)]
    found = {(preset, group): own for preset in ran for group, own in tally(rows, preset).items() if own}
    if not found:
        return "<p>There are no claims yet.</p>"
    some = [one for one in OUTCOMES if any(own[one] for own in found.values())]
    words = [PAPER[one] if PAPER[one] == ELSEWHERE[one] else f"{PAPER[one]} / {ELSEWHERE[one]}" for one in some]
    cells = [
        [f"{preset}, {group.removeprefix('of ')}", *(str(own[one]) for one in some), str(own.total())]
        for (preset, group), own in found.items()
    ]
    heads = ["preset, whose claims", *words, "all"]
    return html_table("Verdicts by preset", heads, cells, label="Verdicts by preset")


def summary(rows: Iterable[Verdict]) -> str:
    """Two sentences: how many of the papers' claims have which verdict on their own data, how many of ours hold."""
    by_name: dict[str, list[Verdict]] = {}
    for row in rows:
        by_name.setdefault(row.claim.id, []).append(row)
    found = [best(own) for own in by_name.values()]
    sentences = []
    for own, words, whose in ((False, PAPER, "claims of the papers"), (True, ELSEWHERE, "hypotheses of our own")):
        outcomes = Counter(row.outcome for row in found if row.claim.own == own)
        some = [(words[one], outcomes[one]) for one in OUTCOMES if outcomes[one]]
        parts = [f"**{n}** {WITHOUT.get(word) or (word if n == 1 else MANY.get(word, word))}" for word, n in some]
        sentences += [f"Of {outcomes.total()} {whose}: {', '.join(parts)}."] if parts else []
    again = [row for row in found if stable(row) is not None]
    if again:
        named = listed(sorted({row.claim.chapter.split("_")[0] for row in again}))
        where = f"chapter{'s' * (len({row.claim.chapter for row in again}) > 1)} {named}"
        same = sum(stable(row) is True for row in again)
        sentences += [
            f"{len(again)} of these verdicts, of {where}, were made again from another seed: {same} are the same."
        ]
    return " ".join(sentences) or "There are no claims yet."


def card(own: Sequence[Verdict], found: Sequence[Mapping[str, Any]], places: Places) -> str:
    """On the scoreboard: a claim with its verdicts, one number in words and where it is measured; the rest is folded.

    It has an id and what filters need.
    """
    claim, shown, several = own[0].claim, _shown(own), len(_presets(found)) > 1
    data = sorted({word for row in shown for word in data_names(row.data)})
    verdict = f"our own: {best(own).word}" if claim.own else best(own).word
    about = f'id="claim-{claim.id}" data-paper="{claim.paper}" data-verdict="{escape(verdict)}"'
    about += f' data-data="{escape("|".join(data))}" data-again="{AGAIN[stable(best(own))]}"'
    lines = [
        f'<p class="pags-claim">{_sentence(claim)}</p>',
        f'<p class="pags-found">{_verdicts(shown, several)}</p>',
        in_a_number(claim, own, found, several),
        _repeated(best(own)),
        _place(claim, link(claim, places, up=False)),
        f"<details><summary>The paper's number and every check</summary>{_details(claim, own)}</details>",
    ]
    return f'<li class="pags-card" {about}>{"".join(lines)}</li>'


def line(row: Verdict, result: Mapping[str, Any], places: Places, board: str) -> str:
    """At the end of its chapter: a claim with its verdict; folded, the rest, and a link to it on the page `board`."""
    claim = row.claim
    up = f'<a href="{board}#claim-{claim.id}">on the scoreboard</a>' if board else ""
    said = _verdicts(_shown([row]), several=False)
    said += "" if stable(row) in (None, True) else f" <small>{escape(repeated(row))}</small>"
    head = f'<span class="pags-claim">{_sentence(claim)}</span> <span class="pags-found">{said}</span>'
    rest = (
        in_a_number(claim, [row], [result], several=False)
        + _place(claim, link(claim, places, up=True), up)
        + _details(claim, [row])
    )
    return f'<li class="pags-card"><details><summary>{head}</summary>{rest}</details></li>'


def _shown(own: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of all that was measured, of the largest preset first; before them that nothing counts, if so."""
    at, said = best(own), [row for row in sorted(own, key=_rank, reverse=True) if row.outcome != MISSING]
    return said if at in said else [at, *said]


def _presets(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """At which presets these results were measured."""
    ran = {result["preset"] for result in found}
    return [preset for preset in PRESETS if preset in ran]


def _verdicts(shown: Sequence[Verdict], several: bool) -> str:
    return " ".join(_verdict(row, shown, several) for row in shown)


def _repeated(row: Verdict) -> str:
    return f'<p class="pags-number">Run again: {escape(repeated(row))}.</p>' if row.repeated else ""


def _sentence(claim: Claim) -> str:
    return escape(claim.claim) + (f" <em>{OURS}</em>" if claim.own else "")


def _place(claim: Claim, *links: str) -> str:
    words = " · ".join([escape(f"{claim.paper}, {claim.place}"), *filter(None, links)])
    return f'<p class="pags-place">{words}</p>'


def in_a_number(claim: Claim, own: Sequence[Verdict], found: Sequence[Mapping[str, Any]], several: bool) -> str:
    """The claim's sentence with the numbers of the run that stands for it, else of the largest that has them all.

    Behind it stand the data and, where there are `several` presets, that of the run.
    """
    mine = {result["preset"]: result for result in found if result["chapter"] == claim.chapter}
    for row in sorted(own, key=lambda row: (row.counts, _rank(row)), reverse=True):
        if row.preset in mine and (sentence := filled(claim.number, mine[row.preset]["metrics"])):
            where = ", ".join(filter(None, [data_words(row.data), row.preset if several else ""]))
            where = f" <small>({escape(where)})</small>" if where else ""
            return f'<p class="pags-number">{escape(sentence)}{where}</p>'
    return ""


def link(claim: Claim, places: Places, *, up: bool) -> str:
    """A link to where the claim is measured: a figure, a section, at least the chapter; none where there is none."""
    if not (paths.NOTEBOOKS / f"{claim.chapter}.md").exists():
        return ""
    at = next((places[claim.chapter, name] for name in claim.metrics if (claim.chapter, name) in places), None)
    name = f"chapter {claim.chapter.split('_')[0]}"
    if up:
        return f'<a href="#{at[0]}">{escape(at[1])}</a>' if at else ""
    if at:
        return f'<a href="chapters/{claim.chapter}.html#{at[0]}">{escape(at[1])}, {name}</a>'
    return f'<a href="chapters/{claim.chapter}.html">{name}</a>'


def _details(claim: Claim, own: Sequence[Verdict]) -> str:
    """What the paper says, what differs, and every check by preset; metrics by name in a folded block."""
    parts = [f"<p>In the paper: {escape(claim.reference)}.</p>"]
    parts += [f"<p>Differs here: {escape(claim.differs)}.</p>"] if claim.differs else []
    for row in own:
        if not row.findings:
            continue
        words = "".join(f"<li>{escape(in_words(finding))}</li>" for finding in row.findings)
        said = [f"{row.preset or 'here'}: {label(row)}."]
        if again := repeated(row):
            said.append(f"Again: {again}.")
        if weak := _too_weak(row):
            said.append(f"No verdict: {weak}.")
        parts.append(f"<p>{escape(' '.join(said))}</p><ul>{words}</ul>")
    named = "".join(f"<li>{escape(sentence(finding))}</li>" for row in own for finding in row.findings)
    parts.append(f"<details><summary>As recorded</summary><p>{escape(claim.id)}</p><ul>{named}</ul></details>")
    return "".join(parts)


def _too_weak(row: Verdict) -> str:
    """Why the run's network cannot judge the claim, if the claim asks for an accuracy."""
    if row.accuracy is None or claims.trained(row.claim, row.accuracy):
        return ""
    least = percent(row.claim.judge["accuracy"]["least"])
    asked = f"the claim asks for a network that classifies {least} of unseen images"
    return f"{asked}, and this one does {percent(row.accuracy)}"


def _untested(claim: Claim, others: Iterable[Verdict]) -> str:
    """Why there is no verdict: the data were not used, or too small a run used them, or a network that is too weak."""
    data, presets = claim.judge["data"], claim.judge["presets"]
    near = [row for row in others if row.outcome != MISSING and data and set(row.data) <= set(data)]
    if any(_too_weak(row) for row in near if row.preset in presets):
        return "no verdict: no network is accurate enough"
    if near:
        return f"no verdict: asks for preset {' or '.join(presets)}"
    return f"not tested on {' or '.join(map(data_word, data))}" if data else PAPER[MISSING]


def _verdict(row: Verdict, others: Sequence[Verdict], several: bool) -> str:
    kind = KINDS[row.outcome] if row.outcome == MISSING or (row.counts and not row.claim.own) else "elsewhere"
    mark = f'<span aria-hidden="true">{symbol(row)}</span>'
    words = _untested(row.claim, others) if row.outcome == MISSING else label(row)
    preset = f" <small>{escape(row.preset)}</small>" if row.preset and several else ""
    return f'<strong class="pags-verdict pags-{kind}">{mark} {escape(words)}{preset}</strong>'
