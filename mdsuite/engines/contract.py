"""What every engine must keep to, as tests: for mdsuite's own engines and for those of other packages.

An engine that is registered as an entry point of the group ``mdsuite.engines`` is tested by

    from mdsuite.engines.contract import EngineContract

    class TestMine(EngineContract):
        engine = "mine"

and pytest. The system is argon, whose potential stands still enough for two engines to agree to ten digits.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mdsuite.engines.kinds import DRIVER, NATIVE, EngineKind, engine_kind
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import Outcome, Status, supervise
from mdsuite.native import read_native
from mdsuite.runs import Run, Start, write_run
from mdsuite.structures import maxwell_velocities, read_structure
from mdsuite_analysis.drift import energy_drift
from mdsuite_analysis.read import read_energies, read_frames
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration
from mdsuite_driver.parent import SUPERVISOR

MODEL, NATIVE_MODEL, STRUCTURE = "argon-lj", "native:argon-lj", "argon"
REFERENCE = "ase"
TILT = np.array([[0.0, 0.0, 0.0], [2.1, 0.0, 0.0], [-1.3, 1.7, 0.0]])  # Å


def contract_run(kind: EngineKind, *, tilted: bool = False, **changes: Any) -> Run:
    """A run of 200 steps of argon at 60 K in an engine."""
    atoms = read_structure(STRUCTURE)
    if tilted:
        atoms.set_cell(atoms.cell[:] + TILT, scale_atoms=True)
        atoms.rotate(40.0, (1, 2, 3), rotate_cell=True)
    masses = np.asarray(atoms.get_masses(), dtype=float)
    start = Start(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        masses=masses,
        positions=np.array(atoms.positions),
        velocities=maxwell_velocities(masses, 60.0, [0, 0]),
        cell=np.array(atoms.cell[:]),
        pbc=(True, True, True),
    )
    card, native = read_native(NATIVE_MODEL) if kind.forces == NATIVE else (load(MODEL).card, None)
    run = Run(
        model=MODEL,
        model_name=card.name,
        model_sha256=card.sha256,
        trust=False,
        structure=STRUCTURE,
        engine=kind.name,
        ensemble="nve",
        timestep=0.004,
        n_steps=200,
        chunk_steps=50,
        frame_steps=20,
        temperature=60.0,
        replica=0,
        velocity_seed=0,
        threads=1,
        start=start,
        native=native,
    )
    return dataclasses.replace(run, **changes)


class EngineContract:
    """Tests of one engine; `engine` is its name."""

    engine: ClassVar[str]

    @property
    def kind(self) -> EngineKind:
        """The engine."""
        return engine_kind(self.engine)

    def test_the_first_frame_is_the_start(self, tmp_path: Path) -> None:
        """Positions, velocities and the kinetic energy are those that were given."""
        run = contract_run(self.kind, tilted=True, n_steps=20)
        done(run, tmp_path)
        frames, energies = read_frames(tmp_path), read_energies(tmp_path)
        np.testing.assert_allclose(frames.positions[0], run.start.positions, atol=1e-11)
        np.testing.assert_allclose(frames.velocities[0], run.start.velocities, atol=1e-11)
        assert energies.kinetic_energy is not None
        np.testing.assert_allclose(energies.kinetic_energy[0], run.start.kinetic_energy, rtol=1e-12)

    def test_energy_forces_and_virial_are_the_models(self, tmp_path: Path) -> None:
        """In a tilted cell whose axes are not the engine's, at the start and later."""
        run = contract_run(self.kind, tilted=True, n_steps=40)
        done(run, tmp_path)
        frames, energies, model = read_frames(tmp_path), read_energies(tmp_path), load(MODEL)
        assert energies.potential_energy is not None
        for k, step in enumerate((0, 20, 40)):
            start = run.start
            wanted = model.evaluate(
                Configuration(numbers=start.numbers, positions=frames.positions[k], cell=start.cell, pbc=start.pbc)
            )
            np.testing.assert_allclose(energies.potential_energy[step], wanted.energy, rtol=1e-10)
            np.testing.assert_allclose(frames.forces[k], wanted.forces, atol=1e-10 * np.abs(wanted.forces).max())
            np.testing.assert_allclose(frames.virial[k], wanted.virial, atol=1e-10 * np.abs(wanted.virial).max())

    def test_the_trajectory_is_that_of_the_reference(self, tmp_path: Path) -> None:
        """To ten digits after 200 steps, and so is the drift."""
        done(contract_run(self.kind), tmp_path / "ours")
        done(contract_run(engine_kind(REFERENCE)), tmp_path / "theirs")
        ours, theirs = (read_frames(tmp_path / name) for name in ("ours", "theirs"))
        np.testing.assert_allclose(ours.positions, theirs.positions, atol=1e-10)
        np.testing.assert_allclose(ours.velocities, theirs.velocities, atol=1e-10)
        drifts = [energy_drift(read_energies(tmp_path / name)) for name in ("ours", "theirs")]
        assert abs(drifts[0].value - drifts[1].value) < 1e-6

    def test_atoms_that_leave_the_cell_are_recorded_where_they_are(self, tmp_path: Path) -> None:
        """No jump by a lattice vector between frames."""
        run = contract_run(self.kind)
        start = dataclasses.replace(run.start, velocities=run.start.velocities + np.array([5.0, 0.0, 0.0]))
        done(dataclasses.replace(run, start=start), tmp_path)
        moved = np.diff(read_frames(tmp_path).positions, axis=0)
        assert np.abs(moved).max() < 1.0

    def test_atoms_that_cross_the_cell_again_and_again_are_not_lost(self, tmp_path: Path) -> None:
        """However fast all of them fly, they move among each other as they do at rest."""
        run = contract_run(self.kind)
        wind = np.array([500.0, -300.0, 0.0])  # Å/ps: several cells in a chunk
        start = dataclasses.replace(run.start, velocities=run.start.velocities + wind)
        done(dataclasses.replace(run, start=start), tmp_path / "flying")
        done(run, tmp_path / "resting")
        flying, resting = (read_frames(tmp_path / name) for name in ("flying", "resting"))
        blown = flying.positions - wind * flying.time[:, None, None]
        np.testing.assert_allclose(blown, resting.positions, atol=1e-8)

    def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(self, tmp_path: Path) -> None:
        """Restart is continue."""
        n_steps = 4000 if self.kind.forces == NATIVE else 1000  # more than are taken until a stop is heard
        run = contract_run(self.kind, n_steps=n_steps, chunk_steps=20)
        done(run, tmp_path / "whole")
        write_run(run, tmp_path / "stopped")
        stop = Stop()
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(supervise, tmp_path / "stopped", stop)
            wait_for_segments(tmp_path / "stopped", 3)
            stop.request()
            assert future.result(60.0).status is Status.STOPPED
        assert supervise(tmp_path / "stopped").status is Status.DONE
        assert segments(tmp_path / "stopped") == segments(tmp_path / "whole")

    def test_a_model_that_answers_nonsense_ends_the_run_as_unstable(self, tmp_path: Path) -> None:
        """Forces beyond the limit are not integrated, and the step is not recorded."""
        if self.kind.forces == NATIVE:
            return  # it has no model that could be asked
        run = contract_run(self.kind)
        coupling = dataclasses.replace(run.coupling, max_force=1e-3)
        write_run(dataclasses.replace(run, coupling=coupling), tmp_path)
        outcome = supervise(tmp_path)
        assert (outcome.status, outcome.steps) == (Status.UNSTABLE, 0)
        assert "beyond the limit" in outcome.reason

    def test_a_killed_driver_is_replaced_and_the_trajectory_is_the_same(self, tmp_path: Path) -> None:
        """The atoms wait for another driver, and know nothing of it."""
        if self.kind.forces != DRIVER:
            return
        run = contract_run(self.kind, n_steps=300, chunk_steps=20)
        done(run, tmp_path / "whole")
        write_run(run, tmp_path / "struck")
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(supervise, tmp_path / "struck")
            wait_for_segments(tmp_path / "struck", 3)
            os.kill(driver_of(os.getpid()), signal.SIGKILL)
            outcome = future.result(60.0)
        assert (outcome.status, len(outcome.events)) == (Status.DONE, 1)
        assert segments(tmp_path / "struck") == segments(tmp_path / "whole")

    def test_a_killed_driver_gives_a_failure_and_no_hang(self, tmp_path: Path) -> None:
        """Where there is a driver, and no other is wanted in its place."""
        if self.kind.forces != DRIVER:
            return
        run = contract_run(self.kind, n_steps=10**7, chunk_steps=20)
        write_run(dataclasses.replace(run, coupling=dataclasses.replace(run.coupling, replacements=0)), tmp_path)
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(supervise, tmp_path)
            wait_for_segments(tmp_path, 3)
            os.kill(driver_of(os.getpid()), signal.SIGKILL)
            outcome = future.result(30.0)
        assert outcome.status is Status.FAILED
        assert "the driver ended with signal SIGKILL" in outcome.reason


def done(run: Run, folder: Path) -> Outcome:
    """Bring a run to its end; raises AssertionError where that fails."""
    write_run(run, folder)
    outcome = supervise(folder)
    assert outcome.status is Status.DONE, outcome.reason
    return outcome


def segments(folder: Path) -> dict[str, bytes]:
    """The bytes of every segment of a run."""
    return {path.name: path.read_bytes() for path in sorted((folder / "segments").glob("*.h5md"))}


def wait_for_segments(folder: Path, n: int) -> None:
    """Return when a run has so many segments."""
    end = time.monotonic() + 60.0
    while len(list(folder.glob("segments/*.h5md"))) < n:
        assert time.monotonic() < end, f"the run in {folder} has not recorded {n} segments in a minute"
        time.sleep(0.01)


def driver_of(supervisor: int) -> int:
    """The process that serves the model."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"{SUPERVISOR}={supervisor}\0".encode() in (process / "environ").read_bytes()
            if ours and b"mdsuite_driver" in (process / "cmdline").read_bytes():
                return int(process.name)
        except OSError:  # it has gone, or is somebody else's
            continue
    raise AssertionError("there is no driver")
