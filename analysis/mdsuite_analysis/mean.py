"""A mean with its interval."""

import math

from scipy.stats import t

from mdsuite_analysis.measurement import Interval
from mdsuite_analysis.series import Floats


def students_mean(values: Floats, confidence: float = 0.95) -> tuple[float, Interval]:
    """The mean of independent, normally distributed values (n,), at least two, with Student's interval."""
    mean, stderr = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(t.ppf(0.5 + confidence / 2, len(values) - 1)) * stderr
    return mean, (mean - half, mean + half)
