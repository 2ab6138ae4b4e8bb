"""A run: one trajectory, identified by the hash of its content, kept in a folder of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdsuite.constants import BOLTZMANN, KINETIC
from mdsuite.files import whole, write_json
from mdsuite_analysis.potential import Configuration

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a trajectory begins.

    numbers : (n_atoms,) int
    masses : (n_atoms,) float, amu
    positions : (n_atoms, 3) float, Å
    velocities : (n_atoms, 3) float, Å/ps
    cell : (3, 3) float, Å, rows; rows of directions that are not periodic may be zero
    pbc : three booleans
    """

    numbers: IntArray
    masses: FloatArray
    positions: FloatArray
    velocities: FloatArray
    cell: FloatArray
    pbc: tuple[bool, bool, bool]

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def kinetic_energy(self) -> float:
        """Of the start, eV."""
        return float(0.5 * KINETIC * (self.masses[:, None] * self.velocities**2).sum())

    @property
    def n_dof(self) -> int:
        """Degrees of freedom of the kinetic energy: three fewer where the centre of mass is at rest."""
        return 3 * self.n_atoms - (3 if self.at_rest else 0)

    @property
    def at_rest(self) -> bool:
        """Whether the centre of mass is."""
        momentum = self.masses @ self.velocities
        of_centre = 0.5 * KINETIC * float(momentum @ momentum) / float(self.masses.sum())
        return of_centre <= 1e-6 * self.kinetic_energy

    @property
    def configuration(self) -> Configuration:
        """Elements, positions, cell and periodicity."""
        return Configuration(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)

    def temperature(self, kinetic_energy: FloatArray) -> FloatArray:
        """K, from kinetic energies in eV."""
        return 2.0 * kinetic_energy / (self.n_dof * BOLTZMANN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupling:
    """How an engine and its driver are held together; nothing here changes a trajectory, only when it is given up.

    transport : "unix" or "tcp", the socket between them; TCP on the loopback only
    accept_foreign : the driver is started by somebody else, and whoever connects first serves
    start_s : float, s, for a driver to load its model and connect
    first_evaluation_s : float, s, for the first evaluation of a driver, which may compile
    evaluation_s : float, s, for each other
    replacements : how many drivers that died or went silent are replaced in one attempt
    max_force : float, eV/Å, a model with a larger force is unstable
    """

    transport: str = "unix"
    accept_foreign: bool = False
    start_s: float = 180.0
    first_evaluation_s: float = 600.0
    evaluation_s: float = 120.0
    replacements: int = 3
    max_force: float = 1000.0


ANY_ANSWER = Coupling(max_force=1e90)
"""For questions outside of a trajectory: whatever a model answers is of interest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """A potential of LAMMPS' own.

    elements : symbols in the order of the atom types
    commands : lines of LAMMPS input, of pair_style, pair_coeff and whatever else the potential needs
    units : "metal" or "real", what the potential is written in
    atom_style : "atomic" or "charge"
    """

    elements: tuple[str, ...]
    commands: tuple[str, ...]
    units: str = "metal"
    atom_style: str = "atomic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One trajectory to be integrated.

    model : path, bundled name or ``ase:`` source that the driver is given
    timestep : float, ps
    chunk_steps : a restart file and a segment of the recording are written every so many steps
    frame_steps : a frame is recorded every so many steps; divides chunk_steps
    temperature : float, K, what the velocities were drawn for, and what a thermostat holds
    thermostat : "langevin", "csvr" or "nose-hoover", of an NVT run; "" of an NVE run
    relaxation : float, ps, of the thermostat
    native : the potential, where it is LAMMPS' own
    lammps_library : path of the user's own liblammps.so, or "" for that of the Python package
    """

    model: str
    model_name: str
    model_sha256: str
    trust: bool
    structure: str
    engine: str
    ensemble: str
    timestep: float
    n_steps: int
    chunk_steps: int
    frame_steps: int
    temperature: float
    replica: int
    velocity_seed: int | None
    threads: int
    start: Start
    thermostat: str = ""
    relaxation: float = 0.0
    native: Native | None = None
    lammps_library: str = ""
    coupling: Coupling = Coupling()

    @property
    def kind(self) -> tuple[str, str, str, float, float]:
        """What replicas have in common."""
        return self.model_sha256, self.structure, self.engine, self.temperature, self.timestep

    @property
    def id(self) -> str:
        """Hash of everything that decides the trajectory; its length is left out, so that a run can be extended."""
        facts = {key: value for key, value in facts_of(self).items() if key not in _NOT_IDENTITY}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for array in _arrays(self.start).values():
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def seed_of(self, step: int) -> int:
        """What the random numbers of a thermostat are drawn from that begins at a step, between 1 and 9e8."""
        entropy = [self.velocity_seed or 0, self.replica, step]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0]) % 899_999_999 + 1

    @property
    def duration(self) -> float:
        """Length of the trajectory, ps."""
        return self.n_steps * self.timestep


_NOT_IDENTITY = ("model", "model_name", "trust", "n_steps", "threads", "replica", "coupling")
_ARRAYS = ("numbers", "masses", "positions", "velocities", "cell", "pbc")


def facts_of(run: Run) -> dict[str, Any]:
    """Everything of a run but the arrays of its start, as JSON has it."""
    facts = {f.name: getattr(run, f.name) for f in dataclasses.fields(run) if f.name != "start"}
    native = None if run.native is None else dataclasses.asdict(run.native)
    return {**facts, "native": native, "coupling": dataclasses.asdict(run.coupling)}


def _arrays(start: Start) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(getattr(start, name)) for name in _ARRAYS}


def require_extendable(run: Run, folder: Path) -> None:
    """Raise ValueError if the folder holds another run, or a longer one."""
    if not (folder / "run.json").exists():
        return
    existing = read_run(folder)
    if existing.id != run.id:
        raise ValueError(f"{folder} holds run {existing.id}, not {run.id}; give another output folder")
    if existing.n_steps > run.n_steps:
        raise ValueError(
            f"{folder} already holds {existing.duration:g} ps, {run.duration:g} ps were asked for; "
            "ask for at least as much or give another output folder"
        )


def write_run(run: Run, folder: Path) -> None:
    """Put a run into its folder; one of the same content there is extended.

    Raises ValueError if the folder holds another run, or a longer one.
    """
    require_extendable(run, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / "start.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, **_arrays(run.start))  # type: ignore[arg-type]  # its stub forbids any keyword
    write_json(folder / "run.json", {"id": run.id, **facts_of(run)})


def read_run(folder: Path) -> Run:
    """The run in a folder; raises FileNotFoundError if there is none."""
    facts = json.loads((folder / "run.json").read_text())
    facts.pop("id")
    coupling, native = Coupling(**facts.pop("coupling")), facts.pop("native")
    if native is not None:
        native = Native(**{**native, "elements": tuple(native["elements"]), "commands": tuple(native["commands"])})
    with np.load(folder / "start.npz") as arrays:
        content = {name: arrays[name] for name in _ARRAYS}
    first, second, third = (bool(periodic) for periodic in content.pop("pbc"))
    return Run(**facts, native=native, coupling=coupling, start=Start(**content, pbc=(first, second, third)))
