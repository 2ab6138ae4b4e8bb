"""The energy ledger of a recorded run: its kept steps, evaluated again by a driver, and what its energy change is."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from ase import Atoms

from mdsuite.engines.recording import recorded_steps
from mdsuite.execution.session import NoEvaluationError, Session
from mdsuite.kept import Key, keep, read_kept
from mdsuite.plan import FOREIGN
from mdsuite.relaxation import relax
from mdsuite.runs import ANY_ANSWER, Run
from mdsuite_analysis.ledger.attribution import Account, attribute, crossings, largest_jumps
from mdsuite_analysis.ledger.merging import merged
from mdsuite_analysis.ledger.residual import (
    Box,
    energy_change_from_residuals,
    ledger_closure,
    telescoping_energy,
)
from mdsuite_analysis.ledger.sampling import Sample, SampledStep
from mdsuite_analysis.ledger.split import Split, energy_noise, split
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.potential import Configuration
from mdsuite_analysis.read import read_energies, read_frames, read_ledger
from mdsuite_analysis.series import EnergySeries, Frames
from mdsuite_analysis.statics.repeat import repeatability
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import DOUBLE, Doubling, ModelCard
from mdsuite_driver.threads import on_threads

KEPT = (160, 640)
"""Steps of a run that are evaluated again, and how many where those tell nothing."""

CONFIDENCE = 0.999
"""Of the shares: at 95 %, one that is noise alone would be named a cause in one run of twenty."""

NOISE_STEPS = 8
RELAXED = 0.05  # eV/Å, of the largest force; the energy is then known to far less than a kelvin for each atom
SINGLE = 1e-5  # relative; sums in another order differ by less, in single precision too
FLUSH = 0.5  # Å, by which every atom is moved so that no neighbour list of before can be taken for a new one

VERSION = 4  # of what is kept of a ledger, so that one of an older mdsuite is made again


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a run's energy ledger says.

    measurements : shares of the energy change
    unmeasured : why there are none
    """

    measurements: tuple[Measurement, ...] = ()
    unmeasured: str = ""


class Ledgers:
    """Ledgers of the runs of a campaign, each made once and kept in its run's folder; one driver for each model.

    `doubles` are the sources, by those of the models, of the same models in double precision.
    """

    def __init__(
        self, *, trust: bool, threads: int, log: Path, doubles: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._trust = trust
        self._threads = threads
        self._log = log
        self._doubles = doubles
        self._sessions: dict[tuple[str, bool], Session] = {}
        self._doubling: dict[str, bool] = {}
        self._relaxed: dict[tuple[str, bytes, bytes], float | None] = {}

    def __enter__(self) -> Ledgers:
        return self

    def __exit__(self, *_error: object) -> None:
        for session in self._sessions.values():
            session.close()

    def of(self, run: Run, folder: Path, card: ModelCard, cutoff: float | None) -> Ledger:
        """That of what a run has recorded, of a model with this card and this cut-off (Å), if it is known."""
        kept, key = folder / "ledger.json", [*_key(run, folder), self._doubles.get(run.model, ""), cutoff]
        known = read_kept(kept, key)
        if known is not None:
            return Ledger(measurements=tuple(known))
        samples = read_ledger(folder) if recorded_steps(folder) else []
        if run.native is not None or not samples:
            return Ledger(unmeasured="nothing was recorded of it, as in an engine with a potential of its own")
        if run.model.startswith(FOREIGN):
            return Ledger(unmeasured="the driver was started by somebody else and cannot be asked again")
        if sum(sample.n_steps for sample in samples) < recorded_steps(folder):
            return Ledger(unmeasured="the engine did not ask for forces once in every step")
        try:
            measured = _measure(run, folder, samples, self._session(run.model), self._twin(run, card), cutoff)
        except NoEvaluationError as error:
            return Ledger(unmeasured=f"a recorded step could not be evaluated again: {error}")
        keep(kept, key, measured)
        return Ledger(measurements=tuple(measured))

    def relaxed_energy(self, run: Run) -> float | None:
        """The potential energy (eV) of a run's start at the nearest minimum of its model; None where none is found."""
        start = run.start
        key = (run.model, start.positions.tobytes(), start.cell.tobytes())  # replicas begin at the same positions
        if key not in self._relaxed:
            atoms = Atoms(numbers=start.numbers, positions=start.positions, cell=start.cell, pbc=start.pbc)
            try:
                found = relax(self._session(run.model), atoms, RELAXED)
            except NoEvaluationError:
                self._relaxed[key] = None
            else:
                self._relaxed[key] = found.after if found.converged else None
        return self._relaxed[key]

    def _twin(self, run: Run, card: ModelCard) -> Session | None:
        """The same model in double precision: the one that was named, or the model itself where it can be told to."""
        if run.model in self._doubles:
            return self._session(self._doubles[run.model])
        if card.dtype == DOUBLE:
            return None
        if run.model not in self._doubling:
            with on_threads(self._threads):
                self._doubling[run.model] = isinstance(load(run.model, trust=self._trust), Doubling)
        return self._session(run.model, double=True) if self._doubling[run.model] else None

    def _session(self, model: str, *, double: bool = False) -> Session:
        if (model, double) not in self._sessions:
            self._sessions[model, double] = Session(
                model, self._log, trust=self._trust, threads=self._threads, coupling=ANY_ANSWER, double=double
            )
        return self._sessions[model, double]


def _key(run: Run, folder: Path) -> Key:
    return [VERSION, run.id, recorded_steps(folder), *KEPT]


def _measure(
    run: Run,
    folder: Path,
    samples: Sequence[Sample],
    potential: Session,
    twin: Session | None,
    cutoff: float | None,
) -> list[Measurement]:
    """From few kept steps, and from more where those tell nothing."""
    start, seed = run.start, int(run.id, 16)
    like = start.configuration
    energies, frames = read_energies(folder), read_frames(folder)
    account = _account(run, energies, frames)
    known: dict[int, Split] = {}
    for n_kept in KEPT:
        sample = merged(samples, n_kept, seed=seed)
        if not known:
            noise = energy_noise(
                twin or potential, [_at(like, step) for step in sample.steps[:: n_kept // NOISE_STEPS]]
            )
        for step in sample.steps:
            if step.before.step not in known:
                known[step.before.step] = _split(step, potential, twin, like, noise)
        splits = [known[step.before.step] for step in sample.steps]
        measured = attribute([sample], splits, account, confidence=CONFIDENCE)
        if any(_told(each) for each in measured):
            break
    measured.append(_chance(potential, like))
    if not run.thermostat:
        measured.append(_closure(run, energies, frames, sample))
    box = Box(cell=start.cell, pbc=start.pbc)
    if cutoff is not None:
        measured += crossings([sample], splits, box, cutoff)
    measured += largest_jumps([sample], splits, box, cutoff, numbers=start.numbers, timestep=run.timestep)
    return measured


def _chance(potential: Session, start: Configuration) -> Measurement:
    """By how much a force differs from one answer to the next, 0 where it is rounding."""
    found = next(each for each in repeatability(potential, start) if each.name == "repeatability_force")
    rounding = SINGLE * max(float(np.abs(potential(start).forces).max()), 1.0)
    return replace(found, value=0.0, note=f"{found.note}; no more than rounding") if found.value <= rounding else found


def _told(measurement: Measurement) -> bool:
    """Whether a share of the energy change is told from zero."""
    low, high = measurement.ci or (0.0, 0.0)
    return measurement.unit == "meV/atom/ps" and (low > 0.0 or high < 0.0)


def _closure(run: Run, energies: EnergySeries, frames: Frames, sample: Sample) -> Measurement:
    forces = frames.forces
    masses, timestep = run.start.masses, run.timestep
    expected = energy_change_from_residuals(
        sample.residual_sum, forces[0], forces[-1], masses=masses, timestep=timestep
    )
    return ledger_closure(_change(energies), expected)


def _split(step: SampledStep, potential: Session, twin: Session | None, like: Configuration, noise: float) -> Split:
    away = FLUSH * np.random.default_rng(0).standard_normal(like.positions.shape)
    with contextlib.suppress(NoEvaluationError):  # only to make the model forget
        potential(replace(like, positions=step.before.positions + away))
    return split(step, potential, like, twin=twin, energy_noise=noise)


def _at(like: Configuration, step: SampledStep) -> Configuration:
    return replace(like, positions=step.before.positions)


def _account(run: Run, energies: EnergySeries, frames: Frames) -> Account:
    first, last = (telescoping_energy(forces, run.start.masses, run.timestep) for forces in frames.forces[[0, -1]])
    return Account(
        n_atoms=run.start.n_atoms,
        duration=energies.duration,
        energy_change=None if run.thermostat else _change(energies),
        telescoping_change=last - first,
    )


def _change(energies: EnergySeries) -> float:
    return float(energies.total_energy[-1] - energies.total_energy[0])
