"""How long a trajectory must be before its interval decides."""

from __future__ import annotations

import math

from mdsuite.judgement.judge import Judged
from mdsuite_analysis.statistics import length_to_decide


def time_to_decide(judged: Judged, duration: float) -> float | None:
    """Length (ps) at which the interval would leave its limit, were the value and the noise to stay as they are.

    None where the value lies on the limit, or the measurement has no interval that narrows with time.
    """
    measurement = judged.measurement
    if measurement is None or measurement.ci is None:
        return None
    value, (low, high) = measurement.value, measurement.ci
    half = 0.5 * (high - low)
    limit = min((bound for bound in judged.limit if bound is not None), key=lambda bound: abs(value - bound))
    if measurement.name in ("energy_drift", "conserved_drift"):
        length = length_to_decide(slope=value, half_width=half, duration=duration, limit=limit)
    else:
        length = _of_a_mean(abs(value - limit), half, duration)
    return max(length, duration) if math.isfinite(length) else None


def _of_a_mean(distance: float, half: float, duration: float) -> float:
    """A mean's interval narrows with the root of the length."""
    return math.inf if distance == 0 else duration * (half / distance) ** 2
