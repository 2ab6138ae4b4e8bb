"""Roots of mean squares, with the noise taken out of them and an interval."""

from typing import NamedTuple

import numpy as np
from scipy.stats import chi2, t

from mdsuite_analysis.measurement import Interval
from mdsuite_analysis.series import Floats


class Estimate(NamedTuple):
    """A value with its confidence interval."""

    value: float
    ci: Interval


def relative_root_mean_square(errors: Floats, variances: Floats | float, sizes: Floats, confidence: float) -> Estimate:
    """√(⟨e² - v⟩ / ⟨x²⟩) of errors e with noise of variance v, relative to sizes x, all (n,).

    Unbiased in the square, in which its interval is symmetric (ratio estimator, Student's t with n - 1 degrees of
    freedom, and no narrower than the noise alone makes it); a square below zero is reported as zero.
    """
    variances = np.broadcast_to(variances, errors.shape)
    scale = float((sizes**2).mean())
    if scale == 0.0:
        value = 0.0 if not errors.any() else float("nan")
        return Estimate(value, (value, value))
    square = float((errors**2 - variances).mean()) / scale
    rest = errors**2 - variances - square * sizes**2
    quantile = float(t.ppf(0.5 + confidence / 2, len(errors) - 1)) / len(errors) ** 0.5 / scale
    half = quantile * max(float(rest.std(ddof=1)), 2.0**0.5 * float(variances.mean()))
    low, high = max(square - half, 0.0), max(square, 0.0) + half
    return Estimate(max(square, 0.0) ** 0.5, (low**0.5, high**0.5))


def root_mean_square(errors: Floats, confidence: float) -> Estimate:
    """√⟨e²⟩ of errors (n,), with its interval."""
    return relative_root_mean_square(errors, 0.0, np.ones_like(errors), confidence)


def standard_deviation(values: Floats, confidence: float) -> Estimate:
    """The standard deviation of values (n,), with the interval of normally distributed ones."""
    n = len(values)
    value = float(values.std(ddof=1))
    tails = chi2.ppf([0.5 + confidence / 2, 0.5 - confidence / 2], n - 1)
    low, high = value * np.sqrt((n - 1) / tails)
    return Estimate(value, (float(low), float(high)))
