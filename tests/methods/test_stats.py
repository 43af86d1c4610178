"""Intervals: against textbook values, and as often right as they say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pags import stats


def test_a_mean_has_the_textbook_interval():
    value, low, high = stats.mean_interval([1, 2, 3, 4, 5])
    reach = 2.776445 * np.sqrt(2.5 / 5)  # Student's t, 4 degrees of freedom
    assert (value, low, high) == pytest.approx((3, 3 - reach, 3 + reach), abs=1e-6)


def test_the_interval_holds_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [stats.mean_interval(rng.normal(size=5), level=0.8) for _ in range(1000)]
    assert sum(low <= 0 <= high for _, low, high in found) / 1000 == pytest.approx(0.8, abs=0.04)


def test_equal_values_have_an_interval_of_no_length():
    assert stats.mean_interval([2.0] * 3) == (2, 2, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_of_any_type_are_taken_as_they_are(dtype):
    values = torch.tensor([0, 1, 1], dtype=dtype).requires_grad_(dtype.is_floating_point)
    assert stats.mean_interval(values) == stats.mean_interval([0.0, 1.0, 1.0])


def test_float32_values_are_averaged_in_double_precision():
    assert stats.mean_interval(torch.full((1000,), 0.1)).value == pytest.approx(float(np.float32(0.1)), abs=1e-12)


def test_pairs_see_what_separate_intervals_cannot():
    rng = np.random.default_rng(0)
    b = rng.normal(size=50)
    a = b + 0.1 + 0.01 * rng.normal(size=50)
    assert stats.mean_interval(a - b).low > 0
    assert stats.mean_interval(a).low < stats.mean_interval(b).high


@pytest.mark.parametrize(("successes", "low", "high"), [(0, 0, 0.2775), (5, 0.2366, 0.7634), (10, 0.7225, 1)])
def test_a_share_has_wilsons_interval(successes, low, high):
    assert stats.binomial_interval(successes, 10) == pytest.approx((successes / 10, low, high), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_interval_and_that_in_0_to_1(counts):
    value, low, high = stats.binomial_interval(*counts)
    assert 0 <= low <= value <= high <= 1


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ([1.0], "at least two values, not 1"),
        ([1.0, float("nan"), float("inf")], "2 of 3 values are not finite"),
        (torch.zeros(2, 3), r"not the shape \(2, 3\)"),
    ],
)
def test_values_without_an_interval_are_refused(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        stats.mean_interval(values)


def test_a_crossed_interval_of_one_repetition_is_that_of_its_examples():
    values = np.random.default_rng(0).normal(size=20)
    assert stats.crossed_interval(values) == stats.crossed_interval([values]) == stats.mean_interval(values)


@given(st.floats(-5, 5), st.floats(0.1, 5))
def test_a_crossed_interval_moves_and_scales_with_its_values(shift, scale):
    values = np.random.default_rng(0).normal(size=(4, 9))
    before, after = stats.crossed_interval(values), stats.crossed_interval(shift + scale * values)
    assert after == pytest.approx([shift + scale * end for end in before])


@pytest.mark.parametrize(("of_rows", "of_columns"), [(1.0, 0.1), (0.1, 1.0), (0.3, 1.0), (0.0, 1.0), (0.0, 0.0)])
def test_a_crossed_interval_covers_the_mean_in_nearly_95_of_100_cases_or_more(of_rows, of_columns):
    g, (r, n), times = np.random.default_rng(0), (3, 50), 2000
    rows, columns = of_rows * g.normal(size=(times, r, 1)), of_columns * g.normal(size=(times, 1, n))
    found = [stats.crossed_interval(one) for one in rows + columns + g.normal(size=(times, r, n))]
    assert np.mean([one.low <= 0 <= one.high for one in found]) > 0.93


def test_a_crossed_interval_of_constants_has_no_width():
    assert stats.crossed_interval(np.full((3, 4), 0.5)) == (0.5, 0.5, 0.5)


# Summaries: one definition for values per example and for several runs


def test_a_summary_of_examples_is_their_interval():
    values = np.random.default_rng(0).normal(size=20)
    alone, one_run = stats.summary(values), stats.summary([values])
    assert alone[:3] == one_run[:3] == stats.mean_interval(values)
    assert (alone.n, alone.runs, alone.each) == (20, None, ())
    assert (one_run.n, one_run.runs) == (20, 1)
    for kind in (torch.tensor(values), values.tolist()):
        assert stats.summary(kind) == alone


def test_a_summary_of_three_runs_is_crossed():
    values = np.random.default_rng(0).normal(size=(3, 20))
    found = stats.summary(values)
    assert found[:3] == stats.crossed_interval(values)
    assert (found.n, found.runs) == (20, 3)


def test_two_values_and_two_runs_have_no_interval():
    assert stats.summary([1.0, 4.0]) == (2.5, None, None, 2, None, (1.0, 4.0))
    assert stats.summary([[1.0, 3.0], [4.0, 8.0]]) == (4.0, None, None, 2, 2, (2.0, 6.0))
    assert stats.summary([[True, False], [True, True]]).each == (0.5, 1.0)
    assert stats.summary([3.0]) == (3.0, None, None, 1, None, ())


def test_truth_values_have_an_interval_even_where_all_agree():
    assert stats.summary([True, False, True])[:3] == stats.binomial_interval(2, 3)
    assert stats.summary(np.ones((3, 50), dtype=bool))[:3] == stats.binomial_interval(50, 50)
    assert stats.summary(np.ones((3, 50)))[:3] == (1.0, 1.0, 1.0)


shares = st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=5)


@given(shares)
def test_an_interval_of_shares_never_leaves_0_to_1(values):
    found = stats.summary(values, within=(0.0, 1.0))
    if found.low is None:
        assert len(values) == 2
        return
    assert 0 <= found.low <= found.value <= found.high <= 1
    free = stats.summary(values)
    assert (found.low, found.high) == (max(free.low, 0), min(free.high, 1))


def test_a_mean_beyond_the_bounds_is_refused_and_rounding_is_not():
    assert stats.summary([1.0 + 6e-8] * 3, within=(0.0, 1.0))[:3] == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"-0.25 is outside of \[0, 1\]"):
        stats.summary([-0.5, 0.0, -0.25], within=(0.0, 1.0))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ([], "no values"),
        (np.zeros((2, 0)), "no values"),
        (np.zeros((2, 2, 2)), r"\(runs, examples\), not the shape \(2, 2, 2\)"),
        (0.5, r"not the shape \(\)"),
        ([[0.5, float("nan")]], "1 of 2 values are not finite"),
    ],
)
def test_what_has_no_summary_is_refused(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        stats.summary(values)
