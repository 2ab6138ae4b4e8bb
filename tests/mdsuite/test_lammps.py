"""LAMMPS with forces from a driver is LAMMPS with forces of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.md.verlet import VelocityVerlet
from factories import PairPotential, argon, run

from mdsuite.constants import KINETIC
from mdsuite.engines.axes import Axes
from mdsuite.engines.engine import StepError
from mdsuite.engines.lammps import Lammps, Served, served
from mdsuite.engines.recording import Segment
from mdsuite.engines.server import ForceServer
from mdsuite.runs import Run
from mdsuite_driver.client import serve
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model
from mdsuite_driver.stream import Stream


class Direct:
    """Forces from one driver, with nobody to replace it."""

    def __init__(self, server: ForceServer) -> None:
        self._server = server

    def evaluate(self, _step: int, cell: np.ndarray, positions: np.ndarray) -> Evaluation:
        return self._server.evaluate(cell, positions)

    def advanced(self, _step: int) -> None:
        """Nobody wants to know."""


@contextmanager
def engine(of: Run, tmp_path: Path, model: Model | None = None) -> Iterator[Lammps]:
    ours, theirs = socket.socketpair()
    asked = model or load(of.model)

    def answer() -> None:
        with theirs, suppress(ArithmeticError):
            serve(Stream(theirs), asked)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    forces = Direct(ForceServer(Stream(ours), of.start, of.coupling))
    lammps = served(of, forces, tmp_path / "log.lammps")
    try:
        yield lammps
    finally:
        lammps.close()
        ours.close()
        thread.join(10)


def given_axes(of: Run, vectors: np.ndarray) -> np.ndarray:
    return Axes(of.start).outward(vectors)


def integrate(of: Run, tmp_path: Path, model: Model | None = None) -> list[Segment]:
    with engine(of, tmp_path, model) as lammps:
        segments = []
        for first in range(0, of.n_steps, of.chunk_steps):
            if first == 0:
                lammps.begin()
            else:
                lammps.resume(tmp_path / f"{first}.restart", np.nan)
            last = min(first + of.chunk_steps, of.n_steps)
            segments.append(lammps.integrate(first, last))
            lammps.write_restart(tmp_path / f"{last}.restart")
        return segments


def ase_reference(atoms, of: Run):
    atoms = atoms.copy()
    time = np.sqrt(KINETIC)  # ps, of Å (amu/eV)^½
    atoms.set_velocities(of.start.velocities * time)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=6.5, smooth=True)
    VelocityVerlet(atoms, of.timestep / time).run(of.n_steps)
    return atoms


CRYSTALS = {
    "orthorhombic": argon(),
    "triclinic": argon(sheared=True),
    "in arbitrary axes": argon(sheared=True, rotated=True),
}


def cluster():
    atoms = argon(1, noise=0.1)
    atoms.pbc = False
    atoms.cell[:] = 0
    atoms.positions += [100.0, -50.0, 3.0]
    return atoms


@pytest.mark.parametrize("atoms", [*CRYSTALS.values(), cluster()], ids=[*CRYSTALS, "cluster"])
def test_a_trajectory_is_the_one_that_ase_integrates(atoms, tmp_path: Path):
    of = run(atoms)
    last = integrate(of, tmp_path)[-1].frames[-1]
    expected = ase_reference(atoms, of)
    np.testing.assert_allclose(given_axes(of, last.positions), expected.positions, atol=1e-11)
    np.testing.assert_allclose(given_axes(of, last.forces), expected.get_forces(), atol=1e-11)


def test_atoms_given_outside_the_cell_are_recorded_where_they_were_given(tmp_path: Path):
    atoms = argon()
    atoms.positions += atoms.cell[0] * 3 - atoms.cell[1]
    first = integrate(run(atoms), tmp_path)[0].frames[0]
    np.testing.assert_allclose(first.positions, atoms.positions, atol=1e-9)


def test_the_recorded_energies_are_those_of_every_step(tmp_path: Path):
    of = run(argon())
    segments = integrate(of, tmp_path)
    steps = np.concatenate([segment.step for segment in segments])
    np.testing.assert_array_equal(steps, np.arange(of.n_steps + 1))


def test_recorded_potential_energies_belong_to_the_recorded_positions(tmp_path: Path):
    of = run(argon(sheared=True))
    model = load(of.model)
    for segment in integrate(of, tmp_path):
        for frame in segment.frames:
            evaluation = model.evaluate(
                Configuration(numbers=of.start.numbers, positions=frame.positions, cell=of.start.cell, pbc=of.start.pbc)
            )
            row = frame.step - segment.step[0]
            assert segment.potential_energy[row] == pytest.approx(evaluation.energy, rel=1e-12)


def test_frames_are_recorded_at_the_start_and_every_so_many_steps(tmp_path: Path):
    segments = integrate(run(argon(), n_steps=45), tmp_path)
    assert [frame.step for segment in segments for frame in segment.frames] == [0, 10, 20, 30, 40, 45]


def test_a_resumed_trajectory_is_bit_for_bit_the_uninterrupted_one(tmp_path: Path):
    of = run(argon(sheared=True))
    whole = integrate(of, tmp_path, PairPotential())
    with engine(of, tmp_path, PairPotential()) as lammps:
        lammps.resume(tmp_path / "40.restart", np.nan)
        resumed = lammps.integrate(40, 60)
    assert np.array_equal(resumed.potential_energy, whole[-1].potential_energy)
    assert np.array_equal(resumed.frames[-1].positions, whole[-1].frames[-1].positions)


@pytest.mark.parametrize("atoms", CRYSTALS.values(), ids=CRYSTALS)
def test_the_virial_that_lammps_computes_is_that_of_the_model(atoms, tmp_path: Path):
    of = run(atoms)
    frame = integrate(of, tmp_path)[-1].frames[-1]
    positions = given_axes(of, frame.positions)
    evaluation = load(of.model).evaluate(
        Configuration(numbers=of.start.numbers, positions=positions, cell=of.start.cell, pbc=of.start.pbc)
    )
    np.testing.assert_allclose(Axes(of.start).inward_tensor(evaluation.virial), frame.virial, rtol=1e-10, atol=1e-12)


class Breaks:
    """Lennard-Jones that answers NaN, or raises, from one evaluation on."""

    def __init__(self, after: int, model: Model | None = None) -> None:
        self._model = model or load(run(argon()).model)
        self.card = self._model.card
        self._left = after

    def evaluate(self, configuration: Configuration) -> Evaluation:
        self._left -= 1
        good = self._model.evaluate(configuration)
        if self._left >= 0:
            return good
        return Evaluation(energy=good.energy, forces=good.forces * np.nan, virial=good.virial)


def test_a_model_that_breaks_ends_the_run_with_the_step_and_the_cause(tmp_path: Path):
    with pytest.raises(StepError, match=r"step 14: ModelFailedError: the model's force on atom 0 is \[nan"):
        integrate(run(argon()), tmp_path, Breaks(after=15))


@pytest.mark.parametrize("step", [0, 1, 9, 10, 15, 20, 21, 37])
def test_what_was_recorded_before_a_step_that_failed_is_kept_and_nothing_of_it(step: int, tmp_path: Path):
    of = run(argon())
    whole = integrate(of, tmp_path, PairPotential())
    index = max(step - 1, 0) // of.chunk_steps
    set_up_again = index + 1 if step else 0  # each chunk evaluates its first configuration once more
    with pytest.raises(StepError, match=f"step {step}: ") as caught:
        integrate(of, tmp_path, Breaks(after=step + set_up_again, model=PairPotential()))
    recorded = caught.value.recorded
    chunk = whole[index]
    if recorded is None:
        assert step == 0 or step == chunk.step[0]
        return
    n = len(recorded.step)
    assert recorded.step[-1] == step - 1
    assert np.array_equal(recorded.step, chunk.step[:n])
    assert np.array_equal(recorded.potential_energy, chunk.potential_energy[:n])
    assert np.array_equal(recorded.kinetic_energy, chunk.kinetic_energy[:n])
    for ours, theirs in zip(recorded.frames, chunk.frames, strict=False):
        assert np.array_equal(ours.positions, theirs.positions)


def test_any_exception_in_the_callback_surfaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(ForceServer, "evaluate", interrupt)
    with pytest.raises(StepError, match="step 0: KeyboardInterrupt"):
        integrate(run(argon()), tmp_path)


def test_a_cell_that_fits_lammps_is_not_rotated():
    assert np.array_equal(Axes(run(argon(sheared=True)).start).to_engine, np.eye(3))


def test_a_left_handed_cell_is_integrated_like_any_other(tmp_path: Path):
    atoms = argon(sheared=True)
    atoms.set_cell(atoms.cell[[1, 0, 2]])
    of = run(atoms)
    last = integrate(of, tmp_path)[-1].frames[-1]
    np.testing.assert_allclose(given_axes(of, last.positions), ase_reference(atoms, of).positions, atol=1e-11)


def test_a_slab_is_periodic_in_two_directions(tmp_path: Path):
    atoms = argon()
    atoms.pbc = (True, True, False)
    atoms.positions[:, 2] -= 40.0
    of = run(atoms)
    last = integrate(of, tmp_path)[-1].frames[-1]
    np.testing.assert_allclose(given_axes(of, last.positions), ase_reference(atoms, of).positions, atol=1e-11)


def test_recorded_kinetic_energies_belong_to_the_recorded_velocities(tmp_path: Path):
    of = run(argon(sheared=True))
    for segment in integrate(of, tmp_path):
        for frame in segment.frames:
            expected = 0.5 * KINETIC * float(of.start.masses @ (frame.velocities**2).sum(axis=1))
            assert segment.kinetic_energy[frame.step - segment.step[0]] == pytest.approx(expected, rel=1e-12)


class Uneven:
    """Forces and an energy that tell the atoms apart."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def evaluate(self, step: int, cell: np.ndarray, positions: np.ndarray) -> Evaluation:
        self.asked.append(positions)
        return Evaluation(energy=0.0, forces=10.0 * positions, virial=np.zeros((3, 3)))

    def advanced(self, step: int) -> None:
        """Nobody wants to know."""


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_every_atom_gets_its_own_force_in_whatever_order_lammps_has_them(dtype: type):
    forces = Uneven()
    callback = Served(forces, Axes(run(argon(1)).start))
    callback._lammps, callback._tag = SimpleNamespace(lib=MagicMock(), lmp=None), np.dtype(dtype)
    given = np.arange(12.0).reshape(4, 3)
    for order in ([0, 1, 2, 3], [2, 0, 3, 1], [2, 0, 3, 1], [0, 1, 2, 3], [3, 2, 1, 0]):
        tags, x, f = np.array(order, dtype=dtype) + 1, given[order], np.full((4, 3), np.nan)
        rows = [np.array([array.ctypes.data], dtype=np.uintp) for array in (x, f)]
        callback._called(None, 0, 4, tags.ctypes.data, *(each.ctypes.data for each in rows))
        callback.check(0)
        np.testing.assert_array_equal(forces.asked[-1], given)
        np.testing.assert_array_equal(f, 10.0 * given[order])


def test_a_call_without_atoms_to_be_found_ends_the_run():
    callback = Served(Uneven(), Axes(run(argon(1)).start))
    callback._lammps, callback._tag = MagicMock(), np.dtype(np.int32)
    tags = np.arange(1, 5, dtype=np.int32)
    callback._called(None, 3, 4, tags.ctypes.data, None, None)
    callback._lammps.force_timeout.assert_called_once_with()
    with pytest.raises(StepError, match="null pointer"):
        callback.check(3)
