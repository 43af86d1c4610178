"""Spearman's rank correlation as the book writes it: of points, and of several runs' points."""

import numpy as np
import scipy.stats


def correlation(a, b) -> float:
    """Of (n,) with (n,), in [-1, 1]; nan where there is none: fewer than three points, or all equal in a or in b."""
    a, b = np.asarray(a), np.asarray(b)
    if len(a) < 3 or (a == a[0]).all() or (b == b[0]).all():
        return np.nan
    return float(scipy.stats.spearmanr(a, b).statistic)


def correlations(a, b) -> np.ndarray:
    """`correlation` of two tables (n, r), run by run: (r,)."""
    return np.array([correlation(one, two) for one, two in zip(np.transpose(a), np.transpose(b), strict=True)])
