"""Collapsed networks: those with less than twice the odds of naming the most frequent class."""

import math

import pytest
import torch

from pags.book import collapse


def labels(*counts):
    """So many labels of each class."""
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


def odds(share):
    return share / (1 - share)


@pytest.mark.parametrize("counts", [(5,) * 10, (50, 50), (67, 33), (13, 9, 11)])
def test_the_least_accuracy_has_twice_the_odds_of_the_most_frequent_class(counts):
    y = labels(*counts)
    assert collapse.most_frequent(y) == max(counts) / sum(counts)
    assert odds(collapse.least_accuracy(y)) == pytest.approx(2 * odds(max(counts) / sum(counts)))


def test_a_network_has_collapsed_below_that_accuracy():
    y = labels(*(10,) * 10)
    assert [collapse.collapsed(accuracy, y) for accuracy in (0.1, 0.18, 2 / 11, 0.19, 1)] == [True, True, *[False] * 3]
    assert collapse.collapsed(math.nan, y)


def test_of_one_class_only_a_perfect_network_is_left():
    assert collapse.collapsed(0.99, labels(7))
    assert not collapse.collapsed(1.0, labels(7))
