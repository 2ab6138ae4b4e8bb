"""Errors of two models on the same structures: their ratio, and whether they are equivalent within a margin.

Differences that are not significant show nothing; equivalence is shown by an interval that lies within a margin (two
one-sided tests: Schuirmann 1987, doi:10.1007/BF01068419). Intervals are percentile intervals of a bootstrap that draws
structures, each with the errors of both models (Efron and Tibshirani 1993, chapter 13). What repeated trainings scatter
is added to them in quadrature, as far as Student's t knows it (MOVER: Zou and Donner 2008, doi:10.1002/sim.3095).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.stats import t

from mdsuite_analysis.series import Floats

N_DRAWS = 4000
FEWEST = 8
"""Structures; of fewer, a bootstrap's intervals are too narrow."""


class Standing(StrEnum):
    """What is known of a candidate beside a baseline."""

    EQUIVALENT = "EQUIVALENT"
    BETTER = "BETTER"
    WORSE = "WORSE"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The root mean square error of a candidate by that of a baseline.

    value, ci : float; the interval is None where there are too few structures
    n : structures
    wanted : how many structures would decide, where these do not and it can be told
    trainings_scatter : they would decide already, if trainings of one model were less different
    """

    value: float
    ci: tuple[float, float] | None
    n: int
    says: Standing
    wanted: int | None = None
    trainings_scatter: bool = False


def error_ratio(
    baseline: Floats, candidate: Floats, *, margin: float, seed: int = 0, confidence: float = 0.95
) -> Ratio:
    """From sums of squared errors of both models, on the same labels of the same structures.

    baseline, candidate : (n_structures,) float, or (n_trainings, n_structures) of independent trainings, of which each
        model may have another number; where one has a single one, it is taken to scatter as the other
    margin : float, share by which errors may differ and count as equivalent, in both directions

    Raises ValueError for structures that differ, a margin that is not above zero, and errors that are no numbers.
    """
    trained = np.atleast_2d(baseline), np.atleast_2d(candidate)
    _require(*trained, margin)
    ours, theirs = (each.mean(axis=0) for each in trained)
    value = _ratio(ours.sum(), theirs.sum())
    n = len(ours)
    if n < FEWEST:
        return Ratio(value=value, ci=None, n=n, says=Standing.INCONCLUSIVE, wanted=FEWEST)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=N_DRAWS)
    ratios = [_ratio(b, c) for b, c in zip(drawn @ ours, drawn @ theirs, strict=True)]
    tail = 100 * 0.5 * (1.0 - confidence)
    low, high = (float(each) for each in np.percentile(ratios, [tail, 100 - tail]))
    wide = _widened(value, low, high, _of_trainings(*trained, confidence))
    says = _said(*wide, margin)
    scatter = says is Standing.INCONCLUSIVE and _said(low, high, margin) is not says
    wanted = None if scatter else _wanted(value, *wide, n, margin, says)
    return Ratio(value=value, ci=wide, n=n, says=says, wanted=wanted, trainings_scatter=scatter)


def error_interval(sums: Floats, counts: Floats, *, seed: int = 0, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a root mean square error, from sums of squares and numbers of labels (n_structures,) of structures.

    NaN for fewer than eight structures.
    """
    n = len(sums)
    if n < FEWEST:
        return math.nan, math.nan
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=N_DRAWS)
    tail = 100 * 0.5 * (1.0 - confidence)
    low, high = np.percentile(np.sqrt((drawn @ sums) / (drawn @ counts)), [tail, 100 - tail])
    return float(low), float(high)


def together(of: list[Standing]) -> Standing:
    """On several kinds of errors: what is worse in one is worse, and equivalent needs all of them."""
    found = set(of)
    for each in (Standing.WORSE, Standing.INCONCLUSIVE):
        if each in found or not found:
            return each if found else Standing.INCONCLUSIVE
    return Standing.BETTER if Standing.BETTER in found else Standing.EQUIVALENT


def _require(baseline: Floats, candidate: Floats, margin: float) -> None:
    if baseline.shape[1:] != candidate.shape[1:] or baseline.ndim != 2:
        raise ValueError(f"wanted errors of the same structures, got {baseline.shape} and {candidate.shape}")
    if not margin > 0.0:
        raise ValueError(f"wanted a margin above 0, got {margin}; nothing is equivalent to the last digit")
    if not (np.isfinite(baseline).all() and np.isfinite(candidate).all()):
        raise ValueError("wanted errors that are finite")


def _ratio(baseline: float, candidate: float) -> float:
    if baseline == candidate:
        return 1.0
    return math.sqrt(candidate / baseline) if baseline > 0.0 else float("inf")


def _of_trainings(baseline: Floats, candidate: Floats, confidence: float) -> float:
    """Half the width of the interval of the logarithm of a ratio that trainings alone make; 0 for one of each."""
    with np.errstate(divide="ignore"):
        logs = [0.5 * np.log(each.sum(axis=1)) for each in (baseline, candidate)]
    known = [float(np.var(each, ddof=1)) for each in logs if len(each) > 1]
    if not known or not all(np.isfinite(each).all() for each in logs):
        return 0.0
    of = [float(np.var(each, ddof=1)) / len(each) if len(each) > 1 else known[0] for each in logs]
    if sum(of) == 0.0:
        return 0.0
    freedom = (
        sum(of) ** 2 / sum(v**2 / (len(each) - 1) for v, each in zip(of, logs, strict=True))
        if len(known) == 2
        else max(map(len, logs)) - 1
    )
    return float(t.ppf(0.5 + confidence / 2, freedom)) * math.sqrt(sum(of))


def _widened(value: float, low: float, high: float, half: float) -> tuple[float, float]:
    if half == 0.0 or not (low > 0.0 and math.isfinite(high)):
        return low, high
    below, above = math.log(value / low), math.log(high / value)
    return value * math.exp(-math.hypot(below, half)), value * math.exp(math.hypot(above, half))


def _said(low: float, high: float, margin: float) -> Standing:
    if low > 1.0 + margin:
        return Standing.WORSE
    if high < 1.0 / (1.0 + margin):
        return Standing.BETTER
    if 1.0 / (1.0 + margin) <= low and high <= 1.0 + margin:
        return Standing.EQUIVALENT
    return Standing.INCONCLUSIVE


def _wanted(value: float, low: float, high: float, n: int, margin: float, says: Standing) -> int | None:
    """How many structures: the interval narrows with their root, until it no longer reaches over a limit."""
    if says is not Standing.INCONCLUSIVE or not (low > 0.0 and math.isfinite(high)):
        return None
    limit = math.log(1.0 + margin)
    at = math.log(value)
    above, below = math.log(high) - at, at - math.log(low)
    if abs(at) < limit:
        shrink = max(above / (limit - at), below / (limit + at))
    else:
        shrink = (below if at > 0.0 else above) / max(abs(at) - limit, 1e-12)
    wanted = math.ceil(n * max(shrink, 1.0) ** 2)
    return wanted if wanted < 10**9 else None
