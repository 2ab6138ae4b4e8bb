"""What is measured of a trajectory, whoever has integrated it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from MDAnalysis.core.groups import AtomGroup

from mdsuite.contributed import Contribution, contributed
from mdsuite.engines.recording import removed_steps
from mdsuite.errors import InputError
from mdsuite.execution.supervise import Outcome as Ending
from mdsuite.execution.supervise import Status
from mdsuite.runs import Run
from mdsuite_analysis.drift import (
    conserved_drift,
    drift_rate_percent_per_ps,
    energy_drift,
    max_drift_percent,
    numerical_stability,
    steps_completed,
    total_drift_percent,
)
from mdsuite_analysis.failure import Failure, first_failure
from mdsuite_analysis.integrity import BondIntegrity
from mdsuite_analysis.kinetic import kinetic_distribution
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.momentum import angular_momentum_drift, momentum_drift
from mdsuite_analysis.read import read_energies, read_frames, universe
from mdsuite_analysis.series import EnergySeries, Frames
from mdsuite_analysis.temperature import species_temperatures, temperature_mean
from mdsuite_analysis.trajectory import Trajectory


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


def of_bonds(atoms: AtomGroup, n_frames: int | None = None) -> tuple[tuple[Measurement, ...], str]:
    """What the frames of a trajectory, or the first of them, say of its bonds, or why they say nothing."""
    try:
        return BondIntegrity(atoms).run(stop=n_frames).results.measurements, ""
    except ValueError as error:
        return (), f"bonds could not be measured: {error}"


def conserving(series: EnergySeries, *, thermostatted: bool) -> EnergySeries | None:
    """With what should be conserved in place of the total energy; None where that was not recorded."""
    if not thermostatted:
        return series
    return None if series.conserved_energy is None else replace(series, total_energy=series.conserved_energy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the recording of a run says.

    unmeasured : why some measurement could not be made
    failure : what failed first, if anything did
    """

    energies: EnergySeries | None
    measurements: tuple[Measurement, ...]
    unmeasured: str
    failure: Failure | None


def measure_run(run: Run, folder: Path, ending: Ending) -> Measured:
    """A run that has ended, by what is in its folder; raises InputError where its recording was removed."""
    if removed_steps(folder) is not None:
        raise InputError(
            f"the recording of {folder} was removed once its results were gathered; `mdsuite gather` reports on them"
        )
    energies = read_energies(folder) if ending.steps else None
    frames = read_frames(folder) if ending.steps and ending.status in (Status.DONE, Status.UNSTABLE) else None
    integrity, unmeasured = _measure_integrity(folder, ending)
    ours = (
        *_measure_energies(run, ending, energies),
        *_measure_frames(run, frames, energies, ending),
        *integrity,
    )
    theirs = _contributed(run, frames, energies, ending, ours)
    return Measured(
        energies=energies,
        measurements=(*ours, *theirs.measurements),
        unmeasured="; ".join(filter(None, [unmeasured, *theirs.reasons])),
        failure=_failure(run, frames, energies),
    )


def _contributed(
    run: Run, frames: Frames | None, energies: EnergySeries | None, ending: Ending, ours: Sequence[Measurement]
) -> Contribution:
    """What other packages measure of a run that is done."""
    if frames is None or energies is None or ending.status is not Status.DONE:
        return Contribution()
    start = run.start
    trajectory = Trajectory(
        start=start.configuration,
        masses=start.masses,
        energies=energies,
        frames=frames,
        temperature=run.temperature,
        dof=start.n_dof,
        timestep=run.timestep,
        thermostatted=bool(run.thermostat),
    )
    return contributed(trajectory, ours)


def _failure(run: Run, frames: Frames | None, energies: EnergySeries | None) -> Failure | None:
    """What failed first in what a run has recorded."""
    if energies is None or frames is None:
        return None
    start = run.start
    return first_failure(energies, frames, start.configuration, temperature=run.temperature, dof=start.n_dof)


def _measure_frames(
    run: Run, frames: Frames | None, energies: EnergySeries | None, ending: Ending
) -> Iterator[Measurement]:
    """Momenta in NVE; under a thermostat, whether it has brought all to one temperature with its fluctuations."""
    if frames is None or energies is None or ending.status is not Status.DONE:
        return
    start = run.start
    if run.thermostat:
        yield from species_temperatures(frames.velocities, start.masses, start.numbers, at_rest=start.at_rest)
        yield from kinetic_distribution(energies, temperature=run.temperature, dof=start.n_dof, canonical=True)
        return
    yield momentum_drift(frames, start.masses)
    if not any(start.pbc):
        yield angular_momentum_drift(frames, start.masses)


def _measure_energies(run: Run, ending: Ending, energies: EnergySeries | None) -> Iterator[Measurement]:
    """What the energies say of a finished run, and the instability of one whose model gave NaN.

    A run that was stopped or lost its engine is not measured at all: what it has is not what was asked for.
    """
    if ending.status is Status.UNSTABLE:
        yield Measurement(name="numerical_stability", value=0.0, unit="1", note=ending.reason)
    if ending.status is not Status.DONE or energies is None or energies.temperature is None:
        return
    yield steps_completed(energies)
    yield from of_energies(energies, thermostatted=bool(run.thermostat))


def _measure_integrity(folder: Path, ending: Ending) -> tuple[tuple[Measurement, ...], str]:
    """What the frames of a finished run say of its bonds, or why they say nothing."""
    if ending.status is not Status.DONE:
        return (), ""
    return of_bonds(universe(folder).atoms)
