r"""Deciding on a drift while the runs go on, with the error rates kept.

Whoever looks at the interval after every chunk and stops when it pleases is wrong more often than one look is. Here the
looks share one error probability α = 1 - confidence: look k has the interval of confidence 1 - α_k, and Σ α_k = α. Half
of α is kept for the planned length, and the looks before share the other half evenly. Spending functions of O'Brien and
Fleming's form [1]_ leave so little to the first looks that few replicas, whose intervals are Student's, could never
decide there; with even shares, what is clear ends at the first looks, and with half of α the last look stays nearly as
sharp as a single one. By the union bound the intervals of all looks cover together with probability 1 - α, whatever the
noise does, and however the estimates of successive looks are correlated (slopes of random walks and of slow noise do
not have the independent increments that group-sequential boundaries need). What it costs is in the table of
``python benchmarks/decision_rates.py sequential``.

Assumption: the looks are planned before the data are seen, and the replicas are independent.

References
----------
.. [1] K. K. G. Lan, D. L. DeMets, Biometrika 70, 659 (1983), doi:10.1093/biomet/70.3.659

"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mdsuite_analysis.measurement import Interval, Measurement
from mdsuite_analysis.replicas import mean_drift
from mdsuite_analysis.series import EnergySeries


class Decision(StrEnum):
    """What an interval says of a limit."""

    WITHIN = "within"
    BEYOND = "beyond"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """When a run is looked at, and how sure each look must be.

    Attributes
    ----------
    fractions : tuple of float
        Of the planned length, rising, the last one 1.
    confidence : float
        Of all looks together.

    """

    fractions: tuple[float, ...]
    confidence: float = 0.95

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in zip((0.0, *self.fractions), self.fractions, strict=False))
        if not (rising and self.fractions and self.fractions[-1] == 1.0):
            raise ValueError(f"looks are at rising fractions that end with 1, but got {self.fractions}")

    @property
    def confidences(self) -> tuple[float, ...]:
        """Of each look."""
        n_before = len(self.fractions) - 1
        if not n_before:
            return (self.confidence,)
        half = (1.0 - self.confidence) / 2.0
        return (*(1.0 - half / n_before,) * n_before, 1.0 - half)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialDecision:
    """What was decided, and when.

    Attributes
    ----------
    decision : Decision
    fraction : float
        Of the planned length, at the look that decided, or at the last one.
    measurement : Measurement
        What that look saw, at its own confidence.

    """

    decision: Decision
    fraction: float
    measurement: Measurement


PLANNED = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Fractions of the planned length: what is clear is so at once, and what is not takes most of the length anyway."""


def decide(measurement: Measurement, limit: Interval) -> Decision:
    """Whether the interval lies within the limit or beyond it; one that holds a NaN decides nothing."""
    low, high = measurement.ci or (measurement.value, measurement.value)
    if not (math.isfinite(measurement.value) and low <= high):
        return Decision.UNDECIDED
    if limit[0] <= low and high <= limit[1]:
        return Decision.WITHIN
    return Decision.BEYOND if high < limit[0] or low > limit[1] else Decision.UNDECIDED


def look(series: Sequence[EnergySeries], number: int, *, looks: Looks, limit: Interval) -> SequentialDecision:
    """The decision at one look.

    Parameters
    ----------
    series : sequence of EnergySeries
        Of all replicas, as far as they have come.
    number : int
        Of the look, from 0.
    looks : Looks
    limit : (low, high), meV/atom/ps
        The mean drifts that are tolerated.

    """
    drift = mean_drift(series, confidence=looks.confidences[number])
    return SequentialDecision(decision=decide(drift, limit), fraction=looks.fractions[number], measurement=drift)


def replay(series: Sequence[EnergySeries], *, looks: Looks, limit: Interval) -> SequentialDecision:
    """The decision that finished runs would have come to: that of the first look that decided.

    Parameters
    ----------
    series : sequence of EnergySeries
        Of all replicas at their planned length.
    looks : Looks
    limit : (low, high), meV/atom/ps

    """
    for number, fraction in enumerate(looks.fractions):
        seen = look([until(each, fraction) for each in series], number, looks=looks, limit=limit)
        if seen.decision is not Decision.UNDECIDED:
            break
    return seen


def until(series: EnergySeries, fraction: float) -> EnergySeries:
    """The first part of a run."""
    n = max(1, round(fraction * len(series.step)))
    part: dict[str, Any] = {name: column[:n] for name, column in series.columns().items()}  # integers and floats
    return replace(series, **part)
