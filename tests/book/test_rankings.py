"""Rank correlations: run by run, and none where there is none."""

import numpy as np
import pytest

from pags.book import rankings


def test_it_is_spearmans_with_ties():
    a, b = [1.0, 1.0, 2.0, 5.0, 3.0], [0.0, 4.0, 4.0, 7.0, 1.0]
    # Ranks 1.5, 1.5, 3, 5, 4 and 1, 3.5, 3.5, 5, 2: covariance 5.25, variances 9.5 and 9.5, all times four.
    assert rankings.correlation(a, b) == pytest.approx(5.25 / 9.5)


def test_it_is_of_the_points_of_one_run():
    a = np.array([[1.0, 1.0], [2.0, 5.0], [3.0, 2.0], [9.0, 3.0]])  # (points, runs)
    b = np.array([[0.0, 4.0], [0.1, 1.0], [0.2, 3.0], [0.3, 2.0]])
    assert rankings.correlations(a, b) == pytest.approx([1, -1])


@pytest.mark.parametrize(
    ("a", "b"), [([], []), ([1.0], [2.0]), ([1.0, 2.0], [3.0, 5.0]), ([1.0] * 4, [1.0, 2.0, 3.0, 4.0])]
)
def test_it_is_nan_without_a_warning_for_two_points_or_where_all_are_equal(a, b):
    assert np.isnan(rankings.correlation(a, b))
    assert np.isnan(rankings.correlation(b, a))


def test_undefined_correlations_stay_in_their_run():
    a = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    found = rankings.correlations(a, a)
    assert np.isnan(found[0])
    assert found[1] == 1
