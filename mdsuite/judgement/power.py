"""How long a trajectory must be before its interval decides."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mdsuite.judgement.judge import Judged

# How an interval narrows with the length T of a trajectory: a slope's as T^(-3/2), a mean's as T^(-1/2).
NARROWING: Mapping[str, float] = MappingProxyType({"energy_drift": 1.5, "temperature_mean": 0.5})


def time_to_decide(judged: Judged, duration: float) -> float | None:
    """Length (ps) at which the interval would leave its limit, were the value and the noise to stay as they are.

    None where the value lies on the limit, or the measurement has no interval that narrows with time.
    """
    measurement = judged.measurement
    if measurement is None or measurement.ci is None or measurement.name not in NARROWING:
        return None
    half = 0.5 * (measurement.ci[1] - measurement.ci[0])
    room = min(abs(measurement.value - bound) for bound in judged.limit if bound is not None)
    if room <= 0:
        return None
    return float(duration * max(1.0, half / room) ** (1.0 / NARROWING[measurement.name]))
