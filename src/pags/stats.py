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


class Summary(NamedTuple):
    """The mean of values (n,) or (runs, n), the ends of its 95 % interval where there is one, and what it rests on.

    `runs` is None for values without runs. `each` holds the means of two runs, or two values: too few for an interval.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    runs: int | None
    each: tuple[float, ...]


def summary(values: Any, *, within: tuple[float, float] | None = None) -> Summary:
    """Summary of values (n,) of n examples, or (runs, n) of the same examples in several runs, crossed.

    One run speaks of other examples, three and more also of other runs (`crossed_interval`). Truth values that vary in
    no way get Wilson's interval of one run. `within` are bounds that no mean can leave: an interval ends there. Raises
    ValueError where the values say nothing, or not what `within` says.
    """
    array = to_numpy(values)
    if array.ndim not in (1, 2):
        raise ValueError(f"expected one value per example, or (runs, examples), not the shape {array.shape}")
    if array.size == 0:
        raise ValueError("there are no values")
    as_array(array.ravel())  # all finite
    runs, table = len(array) if array.ndim == 2 else None, np.atleast_2d(array)
    each, ends = _interval(table.astype(np.float64), truths=array.dtype == bool)
    value, low, high = (float(table.mean()), None, None) if ends is None else ends
    return Summary(*cut(value, low, high, within), table.shape[1], runs, each)


def _interval(table: np.ndarray, *, truths: bool) -> tuple[tuple[float, ...], Interval | None]:
    """Two values, or none, and the interval around the mean of (runs, n), or None where there is none."""
    runs, n = table.shape
    if runs == 2:
        return tuple(table.mean(1).tolist()), None
    if runs == 1 and truths:
        return (), binomial_interval(int(table.sum()), n)
    if runs == 1 and n <= 2:
        return tuple(table[0].tolist()) if n == 2 else (), None
    if runs == 1 or n == 1:
        return (), mean_interval(table.ravel())
    ends = crossed_interval(table)
    return (), binomial_interval(int(table[0].sum()), n) if truths and ends.low == ends.high else ends


def cut(
    value: float, low: float | None, high: float | None, within: tuple[float, float] | None
) -> tuple[float, float | None, float | None]:
    """A value and its interval inside `within`; ValueError if the value lies outside by more than rounding."""
    if within is None:
        return value, low, high
    least, most = within
    if not least - 1e-6 <= value <= most + 1e-6:
        raise ValueError(f"{value:g} is outside of [{least:g}, {most:g}], where all such values lie")
    value = min(max(value, least), most)
    if low is None or high is None:
        return value, low, high
    return value, min(max(low, least), value), max(min(high, most), value)


def binomial_interval(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """The share successes / n and Wilson's interval around it, which stays in [0, 1]."""
    share = stats.binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return Interval(successes / n, float(share.low), float(share.high))


def to_numpy(values: Any) -> np.ndarray:
    """The values as an array, floating tensors in double precision, also those on a GPU or of types numpy lacks."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values
    return np.asarray(values)


def as_array(values: Any) -> np.ndarray:
    """The n values in double precision: (n,); ValueError unless there is one axis and all are finite."""
    array = to_numpy(values).astype(np.float64)
    if array.ndim != 1:
        raise ValueError(f"expected one value per example, a single axis, not the shape {array.shape}")
    if lost := int((~np.isfinite(array)).sum()):
        raise ValueError(f"{lost} of {len(array)} values are not finite")
    return array
