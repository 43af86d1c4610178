"""95 % intervals, thin over scipy. Axes: n examples; `values` is a tensor, an array or a list of n numbers."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    value: float
    low: float
    high: float


def mean_interval(values: Any, *, level: float = 0.95) -> Interval:
    """Mean of n >= 2 values and Student's t interval around it, computed in double precision.

    The values must be independent of each other: per-example results are, results of one training over time are not.
    Raises ValueError for fewer than two values, more than one axis, and values that are not finite.
    """
    values = as_array(values)
    if len(values) < 2:
        raise ValueError(f"an interval needs at least two values, not {len(values)}")
    mean = float(values.mean())
    reach = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - reach, mean + reach)


def crossed_interval(values: Any, *, level: float = 0.95) -> Interval:
    """Mean of values (r, n) of n examples in each of r repetitions, and an interval for other examples *and* others.

    Both are random and crossed: every repetition has its own level, and every example keeps its own over repetitions.
    The variance of the mean is that of the rows' means over r plus that of the columns' means over n, up to twice too
    much where every value has noise of its own; degrees of freedom after Satterthwaite. One repetition alone says
    nothing about others: then the interval is `mean_interval`'s. Raises ValueError for fewer than two examples.
    """
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    r, n = values.shape
    if r == 1:
        return mean_interval(values[0], level=level)
    as_array(values.ravel())
    if n == 1:
        raise ValueError("one example alone has no interval")
    rows, columns = values.mean(1).var(ddof=1) / r, values.mean(0).var(ddof=1) / n
    mean, variance = float(values.mean()), rows + columns
    freedom = variance**2 / (rows**2 / (r - 1) + columns**2 / (n - 1)) if variance > 0 else 1.0
    reach = float(stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(variance))
    return Interval(mean, mean - reach, mean + reach)


def binomial_interval(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """The share successes / n and Wilson's interval around it, which stays in [0, 1]."""
    share = stats.binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return Interval(successes / n, float(share.low), float(share.high))


def as_array(values: Any) -> np.ndarray:
    """The n values in double precision: (n,); ValueError unless there is one axis and all are finite."""
    if hasattr(values, "detach"):  # a tensor, also one on a GPU or of a type that numpy does not know
        values = values.detach().cpu().double().numpy()
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"expected one value per example, a single axis, not the shape {array.shape}")
    if lost := int((~np.isfinite(array)).sum()):
        raise ValueError(f"{lost} of {len(array)} values are not finite")
    return array
