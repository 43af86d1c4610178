"""Claims: a verdict is what the checks say, counts only where the ledger lets it, and reads without colours."""

import re
from collections import Counter
from types import SimpleNamespace

import pytest
import yaml
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from pags import paths
from pags.book import claims, page, regimes, results, scoreboard, status
from pags.book.claims import Check
from pags.errors import PagsError

CHAPTER = "03_tangent_fractions"
ENTRY = {
    "id": "B-3-above-chance",
    "paper": "B",
    "place": "Section 4.3 & Figure 3",
    "claim": "Every method is above chance.",
    "chapter": CHAPTER,
    "judge": {"data": ["mnist"], "presets": ["standard", "paper"]},
    "reference": "0.31 (gradient) > 0.0964",
    "differs": "5 epochs & our seeds",
    "number": "Of the gradient & noise lie {fraction.gradient:percent} and {fraction.random}.",
    "checks": [
        {"metric": "fraction.gradient", "relation": "above", "than": "fraction.random", "what": "gradient & chance"},
        {"metric": "fraction.gradient", "relation": "equals", "than": 0.31, "tolerance": 0.05, "printed": True},
    ],
}


def metric(value, low=None, high=None, n=1, unit=""):
    return {"value": value, "low": low, "high": high, "n": n, "unit": unit}


GOOD = {
    "fraction.gradient": metric(0.3, 0.29, 0.31, 1000, "fraction"),
    "fraction.random": metric(0.0964, 0.0954, 0.0974, 1000, "fraction"),
}


def result(metrics=GOOD, *, preset="standard", data="mnist", overrides=None, chapter=CHAPTER):
    parameters = {"seed": 0, "device": "cpu", "data": [data], "overrides": overrides or {}, "config": {}}
    start = {"schema": 1, "chapter": chapter, "preset": preset, "parameters": parameters, "versions": {}}
    return start | {"data": {data: "train aa"}, "artifacts": [], "metrics": metrics}


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A ledger of the test's own: `book(entry, ...)` writes it."""
    for name in ("BOOK", "RESULTS", "PUBLISHED", "NOTEBOOKS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    paths.BOOK.mkdir()

    def write(*entries):
        (paths.BOOK / "claims.yml").write_text(yaml.safe_dump(list(entries)), encoding="utf-8")

    write(ENTRY)
    return write


def only(*found, entry=ENTRY):
    (verdict,) = claims.verdicts(found, [claim(entry)])
    return verdict


def claim(entry):
    return claims.Claim(**entry | {"checks": tuple(Check(**check) for check in entry["checks"])})


# The ledger's file


def test_an_entry_is_read_as_it_stands(book):
    (found,) = claims.load()
    assert found == claim(ENTRY)
    assert found.checks[1] == Check("fraction.gradient", "equals", 0.31, 0.05, "", printed=True)


def test_an_empty_ledger_is_fine(book):
    book()
    assert claims.load() == []
    assert scoreboard.report() == "There are no claims yet."
    assert scoreboard.whole_page().startswith("# Scoreboard\n")


def test_the_books_own_ledger_is_sound():
    chapters = {path.stem for path in paths.NOTEBOOKS.glob("*.md")}
    assert {claim.chapter for claim in claims.load()} <= chapters


def changed(**fields):
    return {name: value for name, value in (ENTRY | fields).items() if value is not None}


def checked(**fields):
    return changed(checks=[{name: v for name, v in (ENTRY["checks"][0] | fields).items() if v is not None}])


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (changed(place=None), "claim B-3-above-chance: 'place' is a required property"),
        (changed(id=None), "claim 1: 'id' is a required property"),
        (changed(figure=3), "claim B-3-above-chance: Additional properties are not allowed ('figure' was unexpected)"),
        (changed(paper="C"), "paper: 'C' is not one of ['A', 'B', 'D']"),
        (changed(reference=0.31), "reference: 0.31 is not of type 'string'"),
        (changed(judge={"data": ["mnist"], "presets": ["fast"]}), "judge.presets.0: 'fast' is not one of"),
        (changed(checks=[]), "checks: [] should be non-empty"),
        (checked(relation="over"), "checks.0.relation: 'over' is not one of ['above', 'below', 'equals']"),
        (checked(relation="equals"), "checks.0: 'tolerance' is a required property"),
        (checked(tolerance=0.1), "checks.0"),
        (checked(then=1), "('then' was unexpected)"),
        (checked(than=None), "'than' is a required property"),
        (
            changed(judge={"data": ["mnits"], "presets": ["paper"]}),
            "judge.data.0: 'mnits' is not one of ['str",
        ),
        (checked(than=float("nan")), "fraction.gradient is compared with nan ± 0.0: write finite numbers"),
        (checked(than=float("-inf")), "fraction.gradient is compared with -inf ± 0.0: write finite numbers"),
        (checked(relation="equals", than=1, tolerance=float("nan")), "fraction.gradient is compared with 1 ± nan"),
        (checked(printed=True), "fraction.random is a metric, so no number that the paper printed"),
        (
            changed(number="{fraction.gradient:share}"),
            "number: 'share' in '{fraction.gradient:share}': write one of count",
        ),
        (changed(differs=None), "say in `differs` what was measured otherwise here"),
        ("B-3", "claim 1: 'B-3' is not of type 'object'"),
    ],
)
def test_a_wrong_entry_is_named(book, entry, complaint):
    book(entry)
    with pytest.raises(PagsError, match=re.escape(complaint)):
        claims.load()


def test_an_id_stands_once(book):
    book(ENTRY, ENTRY)
    with pytest.raises(PagsError, match="claim B-3-above-chance: this id is there twice"):
        claims.load()


@pytest.mark.parametrize("content", ["- [", "claims: []", "", b"\xff\xfe\x00"])
def test_a_file_that_is_no_list_is_one_line(book, content):
    content = content if isinstance(content, bytes) else content.encode()
    (paths.BOOK / "claims.yml").write_bytes(content)
    with pytest.raises(PagsError, match=r"^claims.yml [^\n]*$"):
        claims.load()


def test_a_missing_file_is_a_failure(book):
    (paths.BOOK / "claims.yml").unlink()
    with pytest.raises(PagsError, match=r"claims.yml cannot be read"):
        claims.load()


# The relations

ends = st.floats(-1e6, 1e6)
intervals = st.lists(ends, min_size=3, max_size=3).map(sorted).map(lambda e: metric(e[1], e[0], e[2]))
measurements = intervals | ends.map(metric)
OPPOSITE = {claims.HOLDS: claims.FAILS, claims.FAILS: claims.HOLDS, claims.UNDECIDED: claims.UNDECIDED}


def relate(relation, a, b, tolerance=0.0):
    return claims.outcome(Check("a", relation, "b", tolerance), a, b)


@given(measurements, measurements)
def test_above_is_below_seen_from_the_other_side(a, b):
    assert relate("above", a, b) == relate("below", b, a)
    if a["value"] != b["value"]:
        assert relate("above", a, b) == OPPOSITE[relate("below", a, b)]


@given(measurements, measurements)
def test_above_holds_exactly_when_every_point_is_above_every_point(a, b):
    pairs = [(x, y) for x in span(a) for y in span(b)]
    above, below = all(x > y for x, y in pairs), all(x < y for x, y in pairs)
    exact = a["low"] is None and b["low"] is None
    assert relate("above", a, b) == (claims.HOLDS if above else claims.FAILS if below or exact else claims.UNDECIDED)


def span(measured):
    return [end for end in (measured["low"], measured["high"]) if end is not None] or [measured["value"]]


@given(measurements, measurements)
def test_nothing_is_above_itself_or_above_what_it_overlaps(a, b):
    assert relate("above", a, a) == (claims.FAILS if a["low"] is None else claims.UNDECIDED)
    if a["low"] is not None and b["low"] is not None and max(a["low"], b["low"]) <= min(a["high"], b["high"]):
        assert relate("above", a, b) == claims.UNDECIDED


@given(measurements, measurements, st.floats(0, 1e6))
def test_equals_is_symmetric_and_holds_exactly_when_all_points_are_that_near(a, b, tolerance):
    assert relate("equals", a, b, tolerance) == relate("equals", b, a, tolerance)
    apart = [abs(x - y) for x in span(a) for y in span(b)]
    gap = max(0, min(span(a)) - max(span(b)), min(span(b)) - max(span(a)))
    near, far = max(apart) <= tolerance, gap > tolerance
    assert relate("equals", a, b, tolerance) == (claims.HOLDS if near else claims.FAILS if far else claims.UNDECIDED)


@pytest.mark.parametrize(
    ("measured", "outcome"),
    [
        (metric(0.1, -0.2, 0.24), claims.HOLDS),
        (metric(0.1, -0.2, 0.3), claims.UNDECIDED),  # whose value alone lies within
        (metric(0.5, 0.3, 0.7), claims.FAILS),
        (metric(-2.0, -3.0, -0.2), claims.UNDECIDED),
        (metric(0.25), claims.HOLDS),
        (metric(0.26), claims.FAILS),
    ],
)
def test_an_equivalence_is_one_check_of_the_whole_interval(measured, outcome):
    assert claims.outcome(Check("fall", "equals", 0.0, 0.25), measured, metric(0.0)) == outcome


# Verdicts


EACH = [claims.HOLDS, claims.FAILS, claims.UNDECIDED, claims.MISSING, claims.INCOMPARABLE]


@given(st.lists(st.sampled_from(EACH), min_size=1, max_size=5))
def test_a_verdict_follows_from_the_outcomes_whatever_their_order(outcomes):
    found = claims.together(SimpleNamespace(outcome=outcome) for outcome in outcomes)
    assert found == claims.together(SimpleNamespace(outcome=outcome) for outcome in reversed(outcomes))
    decisive = set(outcomes) - {claims.INCOMPARABLE}
    if claims.MISSING in outcomes:
        assert found == claims.MISSING
    elif len(decisive) <= 1:
        assert found == (decisive or {claims.INCOMPARABLE}).pop()
    else:
        assert found == (claims.IN_PART if claims.HOLDS in decisive else claims.FAILS)


@pytest.mark.parametrize(
    ("gradient", "outcome", "label"),
    [
        (metric(0.3, 0.29, 0.31), claims.HOLDS, "reproduced on MNIST"),
        (metric(0.5, 0.49, 0.51), claims.IN_PART, "1 of 2 checks holds on MNIST"),
        (metric(0.3, 0.2, 0.4), claims.IN_PART, "1 of 2 checks holds on MNIST, 1 of 2 undecided"),
        (metric(0.01, 0.0, 0.02), claims.FAILS, "not reproduced on MNIST"),
        (metric(0.09, 0.0, 0.18), claims.FAILS, "not reproduced on MNIST, 1 of 2 undecided"),
        (metric(0.3, 0.0, 0.6), claims.UNDECIDED, "undecided on MNIST"),
        (None, claims.MISSING, "no verdict"),
    ],
)
def test_the_verdicts_in_words(gradient, outcome, label):
    metrics = {"fraction.random": GOOD["fraction.random"]} | ({"fraction.gradient": gradient} if gradient else {})
    verdict = only(result(metrics))
    assert (verdict.outcome, verdict.counts, scoreboard.label(verdict)) == (outcome, True, label)


def test_of_eight_checks_that_one_holds_is_said_with_both_numbers():
    checks = [{"metric": f"peak.{i}", "relation": "above", "than": 0} for i in range(8)]
    metrics = {f"peak.{i}": metric(0.1, -0.1 if i else 0.05, 0.3) for i in range(8)}
    verdict = only(result(metrics), entry=ENTRY | {"checks": checks})
    assert scoreboard.label(verdict) == "1 of 8 checks holds on MNIST, 7 of 8 undecided"


def test_what_is_undecided_is_no_failure_and_a_count_of_its_own():
    entry = ENTRY | {"checks": ENTRY["checks"][:1]}
    verdict = only(result(GOOD | {"fraction.gradient": metric(0.1, 0.0, 0.2)}), entry=entry)
    assert (verdict.outcome, verdict.word, scoreboard.symbol(verdict)) == (claims.UNDECIDED, "undecided", "?")
    assert scoreboard.counts([verdict])[0] == ("standard, of the papers' claims: undecided 1")


def test_a_number_of_the_paper_is_neither_met_nor_missed_on_other_data():
    elsewhere = only(result(GOOD, data="strokes"))
    assert [finding.outcome for finding in elsewhere.findings] == [claims.HOLDS, claims.INCOMPARABLE]
    assert elsewhere.outcome == claims.HOLDS
    alone = only(result(GOOD, data="strokes"), entry=ENTRY | {"checks": ENTRY["checks"][1:]})
    assert (alone.outcome, scoreboard.label(alone)) == (claims.INCOMPARABLE, "not comparable on strokes")
    ours = {name: value for name, value in ENTRY["checks"][1].items() if name != "printed"}
    assert only(result(GOOD, data="strokes"), entry=ENTRY | {"checks": [ours]}).outcome == claims.HOLDS


@pytest.mark.parametrize("data", [["mnist"], []])
def test_a_hypothesis_of_ours_holds_and_is_never_reproduced(book, data):
    entry = ENTRY | {"own": True, "judge": {"data": data, "presets": ["standard"]}}
    verdict = only(result(), entry=entry)
    assert (verdict.counts, verdict.word, scoreboard.label(verdict)) == (True, "holds", "holds on MNIST")
    assert scoreboard.counts([verdict]) == ["standard, of our own hypotheses: holds 1"]
    book(entry)
    write_results(result())
    (card,) = board()[1].select(".pags-card")
    assert scoreboard.OURS in card.text
    assert "reproduced" not in card.text
    assert card["data-verdict"] == "our own: holds"
    assert scoreboard.OURS in scoreboard.report()


def test_no_results_is_no_verdict():
    verdict = only(result(chapter="02_mnist32_generation"))
    assert (verdict.word, verdict.counts, verdict.preset, verdict.findings) == ("no verdict", False, None, ())


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (result(data="strokes"), "holds on strokes"),
        (result(preset="quick", data="strokes"), "holds on strokes"),
        (result(preset="quick"), "holds on MNIST"),
        (result(overrides={"vae.epochs": 1}), "holds on MNIST, with changed settings"),
    ],
)
def test_elsewhere_the_same_checks_are_no_verdict_on_the_paper(found, label):
    verdict = only(found)
    assert not verdict.counts
    assert scoreboard.label(verdict) == label


@pytest.mark.parametrize(("accuracy", "counts"), [(0.9, True), (0.85, True), (0.46, False), (None, False)])
def test_networks_that_are_hardly_trained_judge_no_claim_that_asks_for_an_accuracy(book, accuracy, counts):
    """A verdict on a paper whose networks reach 95 % would be one on something else."""
    metrics = GOOD if accuracy is None else GOOD | {"accuracy.standard": metric(accuracy)}
    entry = ENTRY | {"judge": ENTRY["judge"] | {"accuracy": {"metric": "accuracy.standard", "least": 0.85}}}
    found = result(metrics)
    assert only(found, entry=entry).counts == counts
    book(entry)
    write_results(found)
    (card,) = board()[1].select(".pags-card")
    said = "the claim asks for a network that classifies 85 % of unseen images, and this one does 46 %"
    assert (said in card.text) == (accuracy is not None and not counts)
    assert ("no verdict: no network is accurate enough" in card.text) == (said in card.text)


@pytest.mark.parametrize(
    ("entry", "found", "said"),
    [
        ({"presets": ["gpu", "paper"]}, result(), "no verdict: asks for preset gpu or paper"),
        ({"presets": ["gpu"]}, result(data="strokes"), "not tested on MNIST"),
        ({"presets": ["gpu"], "data": ["mnist", "cifar10"]}, result(data="strokes"), "not tested on MNIST or CIFAR-10"),
        ({"presets": ["gpu"], "data": []}, result(), "no verdict"),
    ],
)
def test_a_card_says_why_there_is_no_verdict(book, entry, found, said):
    book(ENTRY | {"judge": ENTRY["judge"] | entry})
    write_results(found)
    (card,) = board()[1].select(".pags-card")
    assert card.select_one(".pags-verdict").get_text().startswith(f"– {said}")


def test_a_verdict_names_the_data_of_the_claim_and_not_all_of_the_chapter(book):
    book(ENTRY | {"judge": ENTRY["judge"] | {"presets": ["gpu"]}})
    found = result() | {"data": {"mnist": "train 0", "cifar10": "train 1", "strokes": "train 2"}}
    write_results(found)
    (card,) = board()[1].select(".pags-card")
    assert [one.get_text() for one in card.select(".pags-verdict")] == [
        "– no verdict: asks for preset gpu",
        "✓ holds on MNIST",
    ]
    assert card["data-data"] == "MNIST"


def test_the_table_by_preset_counts_every_claim_once(book):
    book(ENTRY, ENTRY | {"id": "B-4-later", "chapter": "04_later"}, ENTRY | {"id": "B-own", "own": True})
    write_results(result(), result(preset="quick", data="strokes"))
    rows = claims.verdicts(results.all([paths.RESULTS]))
    table = BeautifulSoup(scoreboard.by_preset(rows), "html.parser").table
    heads, *lines = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]
    assert heads[0] == "preset, whose claims"
    assert heads[-1] == "all"
    assert [line[0] for line in lines] == [
        "quick, found elsewhere (other data, preset or settings)",
        "standard, the papers' claims",
        "standard, our own hypotheses",
    ]
    assert [line[-1] for line in lines] == ["2", "2", "1"]
    for line in lines:
        assert sum(map(int, line[1:-1])) == int(line[-1])


def test_the_bar_for_networks_that_stand_for_those_of_a_is_the_pages():
    ledger = {claim.id: claim for claim in claims.load()}
    on_cifar = [one.judge for one in ledger.values() if one.chapter[:2] == "04" and one.judge["data"] == ["cifar10"]]
    assert len(on_cifar) >= 8
    needed = {"metric": "accuracy.standard", "least": regimes.TRAINED}
    assert [judge["accuracy"] for judge in on_cifar] == [needed] * len(on_cifar)
    negative = ledger["D-4-negative"]
    assert negative.judge["accuracy"] == {"metric": "accuracy.colour.standard", "least": 0.93}


def test_a_claim_without_data_is_judged_by_its_preset_alone():
    entry = ENTRY | {"judge": {"data": [], "presets": ["quick"]}}
    assert only(result(preset="quick", data="strokes"), entry=entry).counts
    assert not only(result(preset="paper"), entry=entry).counts


# In words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0964123, "0.0964"),
        (0.5, "0.500"),
        (-0.0123456, "-0.0123"),
        (9.999, "10.00"),
        (151.25, "151"),
        (12345.6, "12,346"),
        (1.23456e-7, "1.23e-07"),
        (1.5e12, "1.5e+12"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert page.digits(value) == text


@given(st.floats(-1e300, 1e300))
def test_a_number_is_shown_within_half_a_percent(value):
    assert float(page.digits(value).replace(",", "")) == pytest.approx(value, rel=5e-3)


def test_a_check_is_a_sentence():
    first, second = only(result()).findings
    assert scoreboard.sentence(first) == (
        "fraction.gradient 0.300 [0.290, 0.310], n = 1,000; "
        "above fraction.random 0.0964 [0.0954, 0.0974], n = 1,000: holds"
    )
    assert scoreboard.sentence(second).endswith("; equals 0.31 ± 0.05: holds")
    assert scoreboard.in_words(first) == (
        "gradient & chance: 0.300 [0.290, 0.310], n = 1,000; above 0.0964 [0.0954, 0.0974], n = 1,000: holds"
    )
    assert scoreboard.in_words(second) == "0.300 [0.290, 0.310], n = 1,000; within 0.31 ± 0.05: holds"
    missing = only(result({})).findings[0]
    assert scoreboard.in_words(missing) == "gradient & chance: not measured"
    assert scoreboard.sentence(missing) == "fraction.gradient; above fraction.random: not measured"
    assert page.number(metric(147.1, unit="nats")) == "147 nats"


def write_results(*found):
    for one in found:
        results._write(paths.RESULTS / one["preset"] / f"{one['chapter']}.json", one)


def test_the_report_says_it_all(book):
    book(ENTRY, ENTRY | {"id": "B-4-later", "chapter": "04_later"})
    write_results(result(), result(preset="quick", data="strokes"))
    report = scoreboard.report()
    assert "B-3-above-chance  (Section 4.3 & Figure 3; 03_tangent_fractions)" in report
    assert re.search(r"quick +✓ holds on strokes\n.*\n.*\n +standard +✓ reproduced on MNIST", report)
    assert re.search(r"B-4-later.*\n.*\n.*\n.*\n +here +– no verdict", report)
    assert report.splitlines()[-2:] == [
        "standard, of the papers' claims: reproduced 1, no verdict 1",
        "paper, of the papers' claims: no verdict 2",
    ]
    assert re.search(r"\n +differs +5 epochs & our seeds\n", report)


# On a page


def folded(card):
    """What a card shows only when it is opened; it is taken out of the card."""
    return card.details.extract()


def test_a_chapter_ends_with_its_own_claims(book):
    book(ENTRY | {"claim": "A <b>& so on"}, ENTRY | {"id": "B-4", "chapter": "04_later"})
    table = scoreboard.show(SimpleNamespace(results=result))
    (card,) = BeautifulSoup(table._repr_html_(), "html.parser").select("li.pags-card")
    head, number, place = (
        card.summary,
        card.select_one("p.pags-number").get_text(),
        card.select_one("p.pags-place").get_text(),
    )
    inside = card.details
    assert [span.get_text() for span in head.find_all("span", class_=["pags-claim", "pags-found"])] == [
        "A <b>& so on",
        "✓ reproduced on MNIST",
    ]
    assert [child.name for child in card.children] == ["details"]  # one line; all else is folded
    assert number == "Of the gradient & noise lie 30 % and 0.0964. (MNIST)"
    assert place == "B, Section 4.3 & Figure 3"
    assert "In the paper: 0.31 (gradient) > 0.0964." in inside.text
    assert "Differs here: 5 epochs & our seeds." in inside.text
    assert "0.300 [0.290, 0.310]" in inside.text
    assert "reproduced on MNIST" in repr(table)


def test_a_chapters_claims_lead_to_their_figure_and_to_the_scoreboard_and_back(book):
    paths.NOTEBOOKS.mkdir()
    (paths.NOTEBOOKS / f"{CHAPTER}.md").touch()
    places = {(CHAPTER, "fraction.random"): ("fig-03-methods", "Figure 3.3")}
    own = BeautifulSoup(scoreboard.of_chapter(result()).html("../scoreboard.html", places), "html.parser")
    links = [(link.text, link["href"]) for link in own.find_all("a")]
    assert links == [
        ("Figure 3.3", "#fig-03-methods"),
        ("on the scoreboard", f"../scoreboard.html#claim-{ENTRY['id']}"),
    ]
    write_results(result())
    page = board(places)[1]
    assert page.select_one(f"#claim-{ENTRY['id']}")
    (link,) = page.find_all("a")
    assert (link.text, link["href"]) == ("Figure 3.3, chapter 03", f"chapters/{CHAPTER}.html#fig-03-methods")


def test_a_chapter_without_claims_says_so(book):
    book()
    table = scoreboard.show(SimpleNamespace(results=result))
    assert table._repr_html_() == "<p>No claim of the papers is judged in this chapter.</p>"


def board(places=None):
    text = scoreboard.whole_page(places=places)
    html = "".join(re.findall(r"```\{raw\} html\n(.*?)\n```", text, re.DOTALL))
    return text, BeautifulSoup(html, "html.parser")


def test_the_scoreboard_has_a_card_per_claim_with_its_verdicts_the_largest_preset_first(book):
    (paths.BOOK / "scoreboard.md").write_text("# The score\n\nHow to read it.\n")
    book(ENTRY, ENTRY | {"id": "B-4-later", "chapter": "04_later"})
    write_results(result(preset="quick", data="strokes"), result())
    text, page = board()
    start = "# The score\n\nHow to read it.\n\nOf 2 claims of the papers: **1** reproduced, **1** without a verdict."
    assert text.startswith(start)
    assert "## B: Bordt, Upadhyay, Akata and von Luxburg (2022)" in text
    first, second = page.select("ul.pags-cards > li")
    assert [one.text for one in first.select("strong")] == [
        "✓ reproduced on MNIST standard",
        "✓ holds on strokes quick",
    ]
    assert [one.text for one in second.select("strong")] == ["– not tested on MNIST"]
    assert (first["data-paper"], first["data-verdict"], first["data-data"]) == ("B", "reproduced", "MNIST|strokes")
    assert (second["id"], second["data-verdict"], second["data-data"]) == ("claim-B-4-later", "no verdict", "")


def test_what_was_found_on_other_data_only_does_not_stand_for_a_claim(book):
    write_results(result(preset="quick", data="strokes"))
    (card,) = board()[1].select(".pags-card")
    assert card["data-verdict"] == "no verdict"
    assert [one.text for one in card.select("strong")] == ["– not tested on MNIST", "✓ holds on strokes"]
    assert "30 % and 0.0964. (strokes)" in card.text


def test_the_number_is_that_of_the_largest_run_that_has_all_of_it(book):
    short = {"fraction.gradient": GOOD["fraction.gradient"]}
    write_results(result(preset="quick", data="strokes"), result(short))
    assert "(strokes, quick)" in board()[1].select_one(".pags-number").text
    write_results(result())
    assert "(MNIST, standard)" in board()[1].select_one(".pags-number").text


def test_data_generated_from_a_set_that_is_named_goes_without_saying():
    assert scoreboard.data_words(["generated from mnist", "mnist", "strokes"]) == "MNIST, strokes"
    assert scoreboard.data_words(["generated from mnist"]) == "images generated from MNIST"


def test_a_scoreboard_without_results_has_one_verdict_per_claim(book):
    _, page = board()
    assert [strong.text for strong in page.select("li strong")] == ["– not tested on MNIST"]


def test_a_claim_links_to_a_chapter_that_is_there(book):
    assert not board()[1].find("a")
    paths.NOTEBOOKS.mkdir()
    (paths.NOTEBOOKS / f"{CHAPTER}.md").touch()
    assert board()[1].find("a")["href"] == f"chapters/{CHAPTER}.html"


def test_cards_set_no_colour_and_signs_are_not_read_aloud(book):
    _, page = board()
    assert page.select_one("ul.pags-cards")["aria-label"] == scoreboard.PAPERS["B"]
    assert not re.search(r"(?<!-)color\s*[:=]|background", str(page))
    assert all(mark["aria-hidden"] == "true" for mark in page.select("strong span"))


def test_no_name_of_a_metric_nor_of_a_claim_stands_outside_a_folded_block(book):
    write_results(result())
    page = board()[1]
    (card,) = page.select(".pags-card")
    inside = folded(card)
    assert "fraction." not in card.text
    assert ENTRY["id"] not in card.text
    named = inside.details.extract()
    assert "fraction.gradient 0.300" in named.text
    assert ENTRY["id"] in named.text
    assert "gradient & chance: 0.300" in inside.text
    assert "fraction." not in inside.text


def test_whoever_counts_counts_alike(book):
    """The rows of `pags status` add up to what `pags claims` says of their preset."""
    book(ENTRY, ENTRY | {"id": "B-own", "own": True}, ENTRY | {"id": "B-4", "chapter": "04_later"})
    found = [result(), result(chapter="04_later", data="strokes")]
    rows = claims.verdicts(found)
    whole = scoreboard.tally(rows, "standard")
    parts = [
        scoreboard.tally(claims.verdicts([one], [c for c in claims.load() if c.chapter == one["chapter"]]), "standard")
        for one in found
    ]
    for group, counts in whole.items():
        assert counts == sum((part[group] for part in parts), Counter())
    assert [dict(counts) for counts in whole.values()] == [
        {claims.HOLDS: 1, claims.MISSING: 1},
        {claims.HOLDS: 1},
        {claims.HOLDS: 1},
    ]
    lines = scoreboard.counts(rows)
    assert lines[0] == "standard, of the papers' claims: reproduced 1, no verdict 1"
    assert status._verdicts(found[0], claims.load()) == (
        "of the papers' claims: reproduced 1; of our own hypotheses: holds 1"
    )


def test_every_claim_of_the_book_has_a_number_in_words_of_metrics_that_a_chapter_records():
    published = {}
    for one in results.all([paths.PUBLISHED]):
        published.setdefault(one["chapter"], {}).update(one["metrics"])
    for one in claims.load():
        assert one.number, one.id
        sentence = page.filled(one.number, published[one.chapter])
        assert sentence is not None, (one.id, set(page.named(one.number)) - published[one.chapter].keys())
        assert page.named(one.number), one.id
        assert not re.search(r"[{}]|\b[a-z]+\.[a-z]{2,}|\bnan\b|\binf\b", sentence), sentence


def test_symbols_differ_for_those_who_see_no_colours():
    assert set(scoreboard.SYMBOLS) == set(claims.OUTCOMES)
    assert len(set(scoreboard.SYMBOLS.values())) == len(claims.OUTCOMES)


# The ledger against chapters and results


def test_a_chapter_or_a_metric_that_is_not_there_is_named():
    entries = [claim(ENTRY), claim(ENTRY | {"id": "B-4", "chapter": "04_later"})]
    assert claims.unknown(entries, [result()], [CHAPTER, "04_later"]) == []
    assert claims.unknown(entries, [], [CHAPTER]) == ["claim B-4: there is no chapter '04_later'"]
    short = {name: value for name, value in GOOD.items() if name != "fraction.random"}
    (line,) = claims.unknown(entries[:1], [result(short | {"fraction.rnadom": metric(1)})], [CHAPTER])
    assert line == (
        f"claim {ENTRY['id']}: no run of {CHAPTER} records a metric 'fraction.random', 'fraction.rnadom' is the nearest"
    )
    both = [result(short, preset="quick"), result(GOOD)]  # what one preset cannot measure, another may
    assert claims.unknown(entries[:1], both, [CHAPTER]) == []


def test_every_claim_of_the_book_names_the_data_that_its_paper_speaks_of():
    ledger = {claim.id: claim for claim in claims.load()}
    figure_2 = [name for name in ledger if name.startswith(("A-41", "A-42"))]
    assert len(figure_2) >= 6
    assert {name: list(ledger[name].judge["data"]) for name in figure_2} == {name: ["cifar10"] for name in figure_2}
    published = [one for one in results.all([paths.PUBLISHED]) if one["chapter"].startswith("04")]
    on_mnist = [row for row in claims.verdicts(published, [ledger[name] for name in figure_2]) if row.preset]
    elsewhere = [row for row in on_mnist if "cifar10" not in row.data]
    assert elsewhere  # while nobody has published a run on CIFAR-10, all of them
    assert {row.word for row in elsewhere}.isdisjoint({"reproduced", "not reproduced"})


def test_the_books_checks_say_in_words_what_they_compare_without_names_and_an_equivalence_once():
    for one in claims.load():
        if len(one.checks) > 1:
            words = [check.what for check in one.checks]
            assert all(words), one.id
            assert len(set(words)) == len(words), one.id
        assert not re.search(r"\b[a-z]+\.[a-z]{2,}", " ".join([one.reference, one.differs, one.claim])), one.id
        sides = {(check.metric, check.relation) for check in one.checks if not isinstance(check.than, str)}
        assert not [name for name, side in sides if side == "above" and (name, "below") in sides], one.id


def test_the_user_study_is_cited_with_the_fractions_of_table_1():
    ledger = {claim.id: claim.reference for claim in claims.load()}
    assert all(one in ledger["B-43-other-data"] for one in ("0.27", "0.43"))
    assert all(pair in ledger["B-44-user-study"] for pair in ("0.27 and 0.43", "0.32 and 0.38"))


@pytest.mark.parametrize(("count", "said"), [(1, "**1** holds"), (2, "**2** hold")])
def test_one_hypothesis_holds_and_several_hold(count, said):
    hypotheses = [
        claims.Claim(f"B-own-{i}", "B", "", "", CHAPTER, {"data": [], "presets": ["quick"]}, "", (), own=True)
        for i in range(count)
    ]
    rows = [claims.Verdict(one, "quick", (), False, True, claims.HOLDS, ()) for one in hypotheses]
    assert scoreboard.summary(rows) == f"Of {count} hypotheses of our own: {said}."
