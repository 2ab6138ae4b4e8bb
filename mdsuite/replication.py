"""What replicas say together: their drift, what it means, and how long they last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mdsuite.execution.supervise import Outcome as Ending
from mdsuite.execution.supervise import Status
from mdsuite.measuring import conserving
from mdsuite.runs import Run
from mdsuite_analysis.failure import Failure
from mdsuite_analysis.heating import (
    drift_kT_per_ns_per_dof,
    drift_percent_of_kinetic,
    drift_temperature_rate,
    safe_horizon,
    thermostat_bias,
)
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.power import missing_length
from mdsuite_analysis.replicas import energy_noise, replica_drift
from mdsuite_analysis.series import EnergySeries
from mdsuite_analysis.survival import Replica, failure_rate, survival_probability, time_to_failure
from mdsuite_analysis.transient import transient_end

CONFIDENCE = 0.95
FRICTION = 1.0
"""1/ps, of the thermostat for which a drift in NVE is translated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """One of several runs that differ in their velocities alone: how it ended, its energies, and its first failure."""

    run: Run
    ending: Ending
    energies: EnergySeries | None
    failure: Failure | None

    @property
    def conserving(self) -> EnergySeries | None:
        """Its energies, with what should be conserved for the total, if it has come to its end."""
        if self.ending.status is not Status.DONE or self.energies is None:
            return None
        return conserving(self.energies, thermostatted=bool(self.run.thermostat))

    @property
    def lasted(self) -> Replica:
        """How long it ran, ps, and whether it ended by failing; what was stopped by anything else has not failed."""
        if self.failure is not None:
            return self.failure.time, True
        return self.ending.steps * self.run.timestep, self.ending.status is Status.UNSTABLE


def measure_replicas(
    replicas: Sequence[Replicate], drift: Measurement | None, confidence: float = CONFIDENCE
) -> Iterator[Measurement]:
    """Everything that replicas say together; `drift` (meV/atom/ps) is that of a single one.

    `confidence` is that of the intervals of drifts: higher than usual where replicas were looked at on the way.
    """
    together = [_noted(each, confidence) for each in _drifts(replicas, confidence)]
    yield from together
    found = together[0] if together else drift
    run = replicas[0].run
    if found is not None and math.isfinite(found.value):
        yield from _meanings(found, run)
    lasted = [each.lasted for each in replicas]
    yield survival_probability(lasted, run.duration)
    yield failure_rate(lasted)
    median = time_to_failure(lasted)
    yield from () if math.isnan(median.value) else (median,)


def _noted(measurement: Measurement, confidence: float) -> Measurement:
    if confidence == CONFIDENCE:
        return measurement
    looked = f"interval of {100.0 * confidence:.5g} %, since the replicas were looked at on the way"
    return replace(measurement, note="; ".join(filter(None, (measurement.note, looked))))


def _drifts(replicas: Sequence[Replicate], confidence: float) -> list[Measurement]:
    series = [each.conserving for each in replicas]
    known = [each for each in series if each is not None]
    return replica_drift(known, confidence=confidence) if len(known) == len(series) > 1 else []


def _meanings(drift: Measurement, run: Run) -> Iterator[Measurement]:
    dof = run.start.n_dof / run.start.n_atoms
    yield drift_temperature_rate(drift)
    yield drift_kT_per_ns_per_dof(drift, temperature=run.temperature, dof=dof)
    yield drift_percent_of_kinetic(drift, temperature=run.temperature, dof=dof)
    if not run.thermostat:
        yield safe_horizon(drift)
    yield thermostat_bias(drift, friction=1.0 / run.relaxation if run.thermostat == "langevin" else FRICTION)


def missing_time(replicas: Sequence[Replicate], limit: float) -> float | None:
    """How many ps more each replica must run to decide a mean drift on ±limit (meV/atom/ps); None if nobody knows."""
    series = [each.conserving for each in replicas]
    known = [each for each in series if each is not None]
    if len(known) < len(series) or len(known) < 2:
        return None
    length = min(float(each.time[-1] - each.time[transient_end(each).end]) for each in known)
    missing = missing_length(energy_noise(known), limit=limit, n_replicas=len(known), length=length)
    return missing if math.isfinite(missing) else None
