"""What is measured of a trajectory, whoever has integrated it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from MDAnalysis.core.groups import AtomGroup

from mdsuite_analysis.drift import (
    conserved_drift,
    drift_rate_percent_per_ps,
    energy_drift,
    max_drift_percent,
    numerical_stability,
    total_drift_percent,
)
from mdsuite_analysis.integrity import BondIntegrity
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.series import EnergySeries
from mdsuite_analysis.temperature import temperature_mean

POOLED = {"energy_drift": "mean_drift", "conserved_drift": "mean_drift"}
"""Criteria that replicas meet together, and the measurement by which they do."""


def of_energies(series: EnergySeries, *, thermostatted: bool) -> Iterator[Measurement]:
    """What energies and temperatures say; under a thermostat, the total energy is the thermostat's."""
    yield numerical_stability(series)
    if thermostatted:
        conserved = conserved_drift(series)
        yield from () if conserved is None else (conserved,)
    else:
        yield energy_drift(series)
    if series.temperature is not None:
        yield temperature_mean(series.temperature)
    if not thermostatted:
        yield total_drift_percent(series)
        yield max_drift_percent(series)
        yield drift_rate_percent_per_ps(series)


def of_bonds(atoms: AtomGroup) -> tuple[tuple[Measurement, ...], str]:
    """What the frames of a trajectory say of its bonds, or why they say nothing."""
    try:
        return BondIntegrity(atoms).run().results.measurements, ""
    except ValueError as error:
        return (), f"bonds could not be measured: {error}"


def conserving(series: EnergySeries, *, thermostatted: bool) -> EnergySeries | None:
    """With what should be conserved in place of the total energy; None where that was not recorded."""
    if not thermostatted:
        return series
    return None if series.conserved_energy is None else replace(series, total_energy=series.conserved_energy)
