"""LAMMPS with a pack in it: runs of one kind as one system, in which no atom sees one of another member."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.constants import KINETIC
from mdsuite.engines.axes import Axes
from mdsuite.engines.engine import StepError
from mdsuite.engines.failure import Failure, failure_of
from mdsuite.engines.forces import DriverForces
from mdsuite.engines.lammps import Lammps, Served
from mdsuite.engines.recorder import clear_tails, write_about
from mdsuite.engines.recording import Frame, Segment, last_step, segment_path, tail_path, write_segment
from mdsuite.engines.server import ModelFailedError
from mdsuite.engines.witness import Witness
from mdsuite.files import write_json
from mdsuite.packs import FAILURES, Fallen, members_of, read_fallen
from mdsuite.runs import FloatArray, Run
from mdsuite_analysis.ledger.sampling import Sample
from mdsuite_driver.dialect import Failure as Told
from mdsuite_driver.models.protocol import Evaluation

CLOSURE = 1e-9  # relative, of the kinetic energies of all members against LAMMPS' own


class AllFallenError(RuntimeError):
    """No member of a pack is left."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Moment:
    """Of every member at one step: energies (n_members,), eV, and virials (n_members, 3, 3), eV, user's axes."""

    potential: FloatArray
    virials: FloatArray


class Members:
    """The forces of a pack, and what is known of each of its members.

    A member whose model fails is held where it began, at rest, so that the others are evaluated as before.

    held : (n_members,) bool, those that are no longer integrated
    """

    def __init__(self, folder: Path, forces: DriverForces) -> None:
        """Of the pack in a folder; who has fallen in a chunk that is not recorded is integrated again."""
        self.members = members = tuple(members_of(folder))
        recorded = last_step(folder)
        known = read_fallen(folder).items()
        self.fallen = {run_id: each for run_id, each in known if recorded is not None and each.step <= recorded}
        self._ids = [member.run.id for member in members]
        self.held = np.array([run_id in self.fallen for run_id in self._ids])
        self._failures = folder / FAILURES
        self._forces = forces
        self._witnesses = [Witness(member.run) for member in members]
        self._starts = np.array([member.run.start.positions for member in members])
        self._masses = np.array([member.run.start.masses for member in members])
        self.begin(0)

    def begin(self, first: int) -> None:
        """A chunk begins at a step."""
        self.first = first
        self._moments: dict[int, _Moment] = {}
        self._kinetic: dict[int, FloatArray] = {}
        for witness in self._witnesses:
            witness.begin()

    def evaluate(self, step: int, cell: FloatArray, positions: FloatArray) -> Evaluation:
        """Of all atoms; raises AllFallenError where no member is left, and what `DriverForces.evaluate` raises."""
        asked = positions.reshape(self._starts.shape)
        if self.held.any():
            asked = np.where(self.held[:, None, None], self._starts, asked)
        answers = self._forces.evaluate_members(step, cell, asked.reshape(-1, 3), self._enter)
        forces, virials = np.zeros_like(asked), np.zeros((len(answers), 3, 3))
        energies = np.zeros(len(answers))
        for k, answer in enumerate(answers):
            if self.held[k]:
                continue
            if isinstance(answer, Told):
                self._fell(k, step, answer)
                continue
            self._witnesses[k].note(step, asked[k], answer)
            energies[k], forces[k], virials[k] = answer.energy, answer.forces, answer.virial
        if self.held.all():
            raise AllFallenError(f"all {len(self.members)} members of the pack have failed")
        self._moments[step] = _Moment(energies, virials)
        return Evaluation(energy=float(energies.sum()), forces=forces.reshape(-1, 3), virial=virials.sum(axis=0))

    def advanced(self, step: int) -> None:
        """Pass it on."""
        self._forces.advanced(step)

    def moving(self, step: int, velocities: FloatArray) -> None:
        """Note the velocities (n_atoms, 3), Å/ps, of a step."""
        squares = (velocities.reshape(self._starts.shape) ** 2).sum(axis=2)
        self._kinetic[step] = 0.5 * KINETIC * (self._masses * squares).sum(axis=1)

    def samples(self) -> list[Sample | None]:
        """What the ledgers of the members keep of the chunk."""
        return [witness.sample() for witness in self._witnesses]

    def segments(self, whole: Segment, axes: Axes) -> list[Segment | None]:
        """What the pack has recorded, a segment for each member; none of one that had nothing left to record.

        Raises RuntimeError where the kinetic energies do not add up to those of LAMMPS.
        """
        potential = np.array([self._moments[int(step)].potential for step in whole.step])
        kinetic = np.array([self._kinetic[int(step)] for step in whole.step])
        if not np.allclose(kinetic.sum(axis=1), whole.kinetic_energy, rtol=CLOSURE, atol=0.0):
            apart = np.abs(kinetic.sum(axis=1) - whole.kinetic_energy).max()
            raise RuntimeError(f"kinetic energies of members are {apart:.3g} eV off those of LAMMPS; this is a defect")
        return [self._segment(k, whole, potential[:, k], kinetic[:, k], axes) for k in range(len(self.members))]

    def _segment(
        self, k: int, whole: Segment, potential: FloatArray, kinetic: FloatArray, axes: Axes
    ) -> Segment | None:
        fallen = self.fallen.get(self._ids[k])
        kept = whole.step < (np.inf if fallen is None else fallen.step)
        if not kept.any():
            return None
        frames = [self._frame(k, frame, axes) for frame in whole.frames if fallen is None or frame.step < fallen.step]
        return Segment(
            frames=frames,
            axes=whole.axes,
            step=whole.step[kept],
            potential_energy=potential[kept],
            kinetic_energy=kinetic[kept],
            conserved_energy=(potential + kinetic)[kept],
        )

    def _frame(self, k: int, whole: Frame, axes: Axes) -> Frame:
        n = self._starts.shape[1]
        own = slice(k * n, (k + 1) * n)
        return Frame(
            step=whole.step,
            cell=whole.cell,
            positions=whole.positions[own],
            velocities=whole.velocities[own],
            forces=whole.forces[own],
            virial=axes.inward_tensor(self._moments[whole.step].virials[k]),
        )

    def _enter(self) -> None:
        for witness in self._witnesses:
            witness.enter()

    def _fell(self, k: int, step: int, told: Told) -> None:
        failure: Failure = failure_of(_step_error(step, told))
        self.fallen[self._ids[k]] = Fallen(step=step, **dataclasses.asdict(failure))
        self.held[k] = True
        write_json(self._failures, {run_id: dataclasses.asdict(each) for run_id, each in self.fallen.items()})


def _step_error(step: int, told: Told) -> StepError:
    cause = ModelFailedError(told)
    error = StepError(step, cause)
    error.__cause__ = cause
    return error


class ServedPack(Served):
    """Forces of a driver for all members; holds those that have fallen."""

    def __init__(self, members: Members, axes: Axes, run: Run) -> None:
        super().__init__(members, axes)
        self._members = members
        self._half_kick = 0.5 * run.timestep / (KINETIC * run.start.masses[:, None])

    def _set(self, step: int, rows: Any, x: FloatArray, f: FloatArray) -> None:
        super()._set(step, rows, x, f)
        v = self._lammps.numpy.extract_atom("v")[: len(x)]
        held = np.repeat(self._members.held, len(x) // len(self._members.members))[rows]
        if held.any():
            v[held] = 0.0
        velocities = np.empty_like(v)
        # LAMMPS calls in the middle of a step, but for the first of a chunk
        velocities[rows] = v if step == self._members.first else v + self._half_kick[rows] * f
        self._members.moving(step, velocities)


class OfPack:
    """The recorder of a pack: its members' segments in their folders, and one of all without frames in its own."""

    def __init__(self, run: Run, folder: Path, forces: DriverForces) -> None:
        """What members have recorded of steps that the pack has not reached is what they would record again."""
        self.members = Members(folder, forces)
        self._run = run
        self._folder = folder
        self._axes = Axes(run.start)
        for member in self.members.members:
            if member.run.id not in self.members.fallen:
                clear_tails(member.folder)

    def begin(self, first: int) -> None:
        """A chunk begins at a step."""
        self.members.begin(first)

    def write_about(self, engine: Mapping[str, str]) -> None:
        """What integrates."""
        for folder in (self._folder, *(member.folder for member in self.members.members)):
            write_about(folder, engine)

    def write(self, index: int, segment: Segment, state: str) -> None:
        """A whole chunk; that of the pack comes last, and makes those of the members count."""
        self._write_members(index, segment)
        write_segment(segment_path(self._folder, index), self._run, _without_frames(segment), None, state)

    def write_tail(self, index: int, segment: Segment) -> None:
        """What was recorded of a chunk that could not be finished."""
        self._write_members(index, segment, whole=False)

    def _write_members(self, index: int, segment: Segment, *, whole: bool = True) -> None:
        own = self.members.segments(segment, self._axes)
        for member, part, sample in zip(self.members.members, own, self.members.samples(), strict=True):
            if part is None:
                continue
            ended = not whole or len(part.step) < len(segment.step)
            path = (tail_path if ended else segment_path)(member.folder, index)
            if not path.exists():  # of an attempt that ended before the pack's own was written
                write_segment(path, member.run, part, sample)


def _without_frames(segment: Segment) -> Segment:
    return dataclasses.replace(segment, frames=[])


def packed(run: Run, members: Members, log: Path) -> Lammps:
    """LAMMPS with the atoms of a pack."""
    axes = Axes(run.start)
    return Lammps(run, ServedPack(members, axes, run), axes, log)
