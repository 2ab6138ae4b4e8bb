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

    Unbiased in the square (ratio estimator); a square below zero is reported as zero. See `interval` for the interval.
    """
    variances = np.broadcast_to(variances, errors.shape)
    scale = float((sizes**2).mean())
    if scale == 0.0:
        value = 0.0 if not errors.any() else float("nan")
        return Estimate(value, (value, value))
    square = float((errors**2 - variances).mean()) / scale
    rest = errors**2 - variances - square * sizes**2
    n = len(errors)
    signal = np.maximum(errors**2 - variances, 0.0)
    noise = float((2.0 * variances**2 + 4.0 * variances * signal).mean() / n) ** 0.5 / scale
    quantile = float(t.ppf(0.5 + confidence / 2, n - 1))
    return interval(square, quantile * float(rest.std(ddof=1)) / n**0.5 / scale, quantile * noise)


def interval(square: float, sampling: float, noise: float) -> Estimate:
    """The root of an estimated mean square, from half widths by sampling of directions and by noise.

    Sampling widens upwards by addition and downwards by a factor, for what was seen to differ from zero does so
    however few directions showed it; only noise can have made it.
    """
    low = square * float(np.exp(-sampling / square)) - noise if square > 0.0 else 0.0
    high = max(square, 0.0) + max(sampling, noise)
    return Estimate(max(square, 0.0) ** 0.5, (max(low, 0.0) ** 0.5, high**0.5))


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
