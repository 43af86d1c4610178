"""A run's numbers in sentences and tables."""

import pytest

from pags import presets
from pags.book import page, results
from pags.errors import UsageError


@pytest.fixture
def run():
    run = results.begin("02_mnist32_generation")
    run.record("clear", 0.25, low=0.2, high=0.3, n=10)
    run.record("negative", -0.25, low=-0.3, high=-0.2, n=10)
    run.record("open", 0.05, low=-0.1, high=0.2, n=10)
    run.record("bare", 0.5)
    return run


def test_a_number_comes_with_its_interval_where_it_has_one(run):
    assert run.ci("clear") == "0.250 [0.200, 0.300]"
    assert run.ci("clear", "+") == "+0.250 [+0.200, +0.300]"
    assert run.ci("bare") == "0.500"
    assert run.ci("clear", places=1) == "0.2 [0.2, 0.3]"


def test_points_are_a_list_with_leads_and_without_what_is_empty(monkeypatch):
    shown = []
    monkeypatch.setattr(page, "say", shown.append)
    page.points(("What?", "This.", "", "That."), ("Else?", "No."))
    assert shown == ["- **What?** This. That.\n- **Else?** No."]


@pytest.mark.parametrize(("items", "words"), [("abc", "a, b and c"), ("a", "a"), ("", "none of them")])
def test_items_in_words(items, words):
    assert page.listed(iter(items)) == words


def test_two_runs_are_both_shown_and_decide_nothing_that_lies_near_them(run):
    run.record("two", [[0.1, 0.3], [0.4, 0.6]], unit="share")
    assert run.metric("two") == {
        **{"value": pytest.approx(0.35), "low": None, "high": None, "n": 2, "unit": "share", "runs": 2},
        "each": pytest.approx([0.2, 0.5]),
    }
    assert run.ci("two") == "0.200 and 0.500 (n = 2 runs)"
    assert run.side("two") == "not told apart from"
    run.record("close", [[0.349] * 3, [0.351] * 3], unit="share")
    assert run.side("close") == "above"
    assert page.number(run.metric("close")) == "0.349 and 0.351, n = 3 in 2 runs"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Input x Gradient", "input-x-gradient"),
        ("L2, ε = 0.5", "l2-0.5"),
        ("L∞, ε = 0.1", "linf-0.1"),
        ("PGD as released", "pgd-as-released"),
        ("standard, per pixel", "standard-per-pixel"),
    ],
)
def test_a_name_becomes_a_part_of_a_metrics_name(name, slug):
    assert page.slug(name) == slug


def test_a_difference_has_a_side_only_where_its_interval_leaves_zero_out(run):
    words = [run.side(name) for name in ("clear", "negative", "open")]
    assert words == ["above", "below", "not told apart from"]
    assert run.side("clear", "higher than", "lower than", "as high as") == "higher than"


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as HTML."""
    found = []
    monkeypatch.setattr("IPython.display.display", lambda one: found.append(one.data))
    return found


def test_a_table_shows_plain_text_under_the_heads_of_its_first_row(shown):
    page.table("Two & more", [{"Method": "a < b", "n": 1}, {"Method": "c", "n": 2}])
    (html,) = shown
    assert "<caption>Two &amp; more</caption>" in html
    assert '<th scope="col">n</th>' in html
    assert '<th scope="row">a &lt; b</th><td>1</td>' in html


def test_a_folded_table_opens_on_demand(shown):
    page.folded("Look & see", "Two", [{"Method": "a", "n": 1}])
    (html,) = shown
    assert html.startswith('<details class="pags-source"><summary>Look &amp; see</summary>')
    assert '<th scope="row">a</th><td>1</td>' in html
    assert "open" not in html.split(">")[0]


def test_all_settings_are_shown(shown):
    page.settings("03_tangent_fractions")
    (html,) = shown
    assert [
        row["field"] for row in presets.table("03_tangent_fractions") if f"<code>{row['field']}</code>" not in html
    ] == []


def test_sentences_make_one_paragraph(shown):
    page.say("One.", "Two.")
    assert shown == ["One. Two."]


def test_checks_show_errors_beside_tolerances_and_count_those_that_hold(run, shown):
    run.record("good", -1e-9, unit="error")
    run.record("bad", 0.2, unit="error")
    page.checks(run, ("a & b", "good", 1e-8), ("c", "bad", 0.1))
    (html,) = shown
    assert "1 of 2 checks hold" in html
    assert "a &amp; b</th><td>1e-09</td><td>1e-08</td>" in html
    assert html.count("does not hold") == 1


@pytest.mark.parametrize(
    ("form", "value", "words"),
    [
        ("", -0.25, "−0.250"),
        ("count", 3.0, "3"),
        ("percent", 0.28, "28 %"),
        ("percent", 0.016, "1.6 %"),
        ("percent", 0.997, "99.7 %"),
        ("percent", -0.3, "−30 %"),
        ("percent", -0.0001, "0.0 %"),
        ("multiple", 1.444, "1.44 times"),
        ("multiple", 0.11, "11 %"),
        ("rest", 0.37, "63 %"),
        ("rest", -0.2, "120 %"),
        ("or rounding", -1e-12, "zero, to rounding"),
        ("or rounding", 0.5, "0.500"),
        ("plain points", 0.05, "5.0"),
        ("points", 0.05, "+5.0"),
        ("points", -0.05, "−5.0"),
        ("points", 0.0, "0.0"),
        ("signed", 0.25, "+0.250"),
        ("turned", 0.25, "−0.250"),
        ("power of two", 3.0, "8.00"),
        ("power of ten", 2.0, "100"),
        ("power of e", 0.0, "1.00"),
    ],
)
def test_a_sentence_shows_a_metric_in_the_form_that_it_names(form, value, words):
    assert (
        page.filled(f"It is {{one:{form}}}." if form else "It is {one}.", {"one": {"value": value}})
        == f"It is {words}."
    )


@pytest.mark.parametrize(
    ("form", "low", "words"),
    [
        ("percent, interval", 0.25, "28 % [25 %, 31 %]"),
        (", interval", 0.25, "0.280 [0.250, 0.310]"),
        ("rest, interval", 0.25, "72 % [69 %, 75 %]"),
        ("turned, interval", 0.25, "−0.280 [−0.310, −0.250]"),
        ("percent, interval", None, "28 %"),
    ],
)
def test_a_sentence_shows_an_interval_where_it_is_asked_to_and_there_is_one(form, low, words):
    one = {"value": 0.28, "low": low, "high": None if low is None else 0.31}
    assert page.filled(f"It is {{one:{form}}}.", {"one": one}) == f"It is {words}."


def test_every_form_is_tested():
    (forms,) = (mark for mark in test_a_sentence_shows_a_metric_in_the_form_that_it_names.pytestmark)
    assert {form for form, _, _ in forms.args[1]} == page.FORMS.keys()


def test_a_sentence_without_its_numbers_is_none():
    metrics = {"one": {"value": 0.5}, "two": {"value": 0.25}, "none": {"value": 0.0}}
    assert page.filled("{one/two:multiple}", metrics) == "2.00 times"
    assert page.filled("{one/none:multiple}", metrics) is None
    assert page.filled("{three}", metrics) is None
    with pytest.raises(UsageError, match="'per cent' in"):
        page.filled("{one:per cent}", metrics)
