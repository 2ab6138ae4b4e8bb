"""Thresholds from repeated runs: what a run of the same kind stays below, and how well so few runs know it.

Mean plus two standard deviations has the interval of a normal distribution's quantile, by the noncentral t distribution
(Hahn and Meeker 1991, section 4.4); the 95th percentile that of order statistics, which assumes no distribution and has
no upper end below 72 runs (the same, section 5.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, nct

from mdsuite_analysis.series import Floats

SIGMAS = 2.0
SHARE = 0.95
FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What repeated runs make a threshold of, in the unit of their errors.

    two_sigma : mean plus two standard deviations
    two_sigma_ci, percentile_ci : intervals; an end that so few runs do not know is infinite
    percentile : the 95th
    n : runs
    """

    mean: float
    two_sigma: float
    two_sigma_ci: tuple[float, float]
    percentile: float
    percentile_ci: tuple[float, float]
    n: int


def calibrated(errors: Floats, confidence: float = 0.95) -> Calibrated:
    """From errors (n,) of independent runs of one kind; raises ValueError for fewer than two and for no numbers."""
    n = len(errors)
    if n < FEWEST or not np.isfinite(errors).all():
        raise ValueError(f"wanted {FEWEST} or more errors that are finite, got {errors}")
    mean, deviation = float(np.mean(errors)), float(np.std(errors, ddof=1))
    tail = 0.5 * (1.0 - confidence)
    low, high = (float(nct.ppf(p, n - 1, SIGMAS * math.sqrt(n))) / math.sqrt(n) for p in (tail, 1.0 - tail))
    ordered = np.sort(errors)
    return Calibrated(
        mean=mean,
        two_sigma=mean + SIGMAS * deviation,
        two_sigma_ci=(mean + low * deviation, mean + high * deviation),
        percentile=float(np.percentile(errors, 100 * SHARE)),
        percentile_ci=_of_order(ordered, tail),
        n=n,
    )


def _of_order(ordered: Floats, tail: float) -> tuple[float, float]:
    """Of the percentile: order statistics whose ranks it lies between, by the binomial distribution."""
    n = len(ordered)
    below = int(binom.ppf(tail, n, SHARE))  # ranks from 1; 0 is no run
    above = int(binom.ppf(1.0 - tail, n, SHARE)) + 1
    low = float(ordered[below - 1]) if below >= 1 else -math.inf
    return low, float(ordered[above - 1]) if above <= n else math.inf
