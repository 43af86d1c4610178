"""When a network has collapsed: it classifies hardly better than by always naming the most frequent class."""

from torch import Tensor


def most_frequent(y: Tensor) -> float:
    """The share of the most frequent class among the labels (n,)."""
    return float(y.bincount().max()) / len(y)


def least_accuracy(y: Tensor) -> float:
    """The accuracy at which the odds of being right are twice those of always naming the labels' most frequent class.

    Chance is `most_frequent`; of ten equal classes it is 0.1, and 0.18 is asked.
    """
    guess = most_frequent(y)
    return 2 * guess / (1 + guess)


def collapsed(accuracy: float, y: Tensor) -> bool:
    """Whether a network of this accuracy on images with these labels lies below `least_accuracy`, or has none (nan)."""
    return not accuracy >= least_accuracy(y)
