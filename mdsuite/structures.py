"""Start structures, read from files and refused where no trajectory can begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.constants import BOLTZMANN, KINETIC
from mdsuite.errors import InputError
from mdsuite.runs import FloatArray
from mdsuite_analysis.potential import Configuration
from mdsuite_driver.bundled import inputs_folder
from mdsuite_driver.models.protocol import Configuration as Question

CLOSEST = 0.3  # Å; less than half the shortest bond there is (H2, 0.74 Å)


def bundled_structures() -> dict[str, Path]:
    """Name and file of every bundled structure."""
    return {path.stem: path for path in sorted((inputs_folder() / "structures").glob("*.extxyz"))}


def read_structure(source: str) -> Any:  # ase is untyped
    """An ase.Atoms from a bundled name, a file, or FILE@INDEX for one frame of several.

    Raises InputError for what cannot be read and for what cannot be the start of a trajectory.
    """
    frames = frames_of(source)
    if len(frames) != 1:
        path = source.partition("@")[0]
        raise InputError(f"{source} holds {len(frames)} frames, one is wanted; choose it with {path}@INDEX")
    _check(frames[0], source)
    return frames[0]


def frames_of(source: str | Path) -> list[Any]:
    """Every ase.Atoms of a bundled structure, a file, or FILE@INDEX; raises InputError for what cannot be read."""
    path, at, index = str(source).partition("@")
    file = bundled_structures().get(str(source), Path(path))
    if not file.is_file():
        bundled = ", ".join(bundled_structures())
        raise InputError(f"wanted a structure, but there is no file {file}; bundled structures are {bundled}")
    return read_frames_of(file, index if at else ":")


def read_frames_of(file: Path, index: str = ":") -> list[Any]:
    """Every ase.Atoms of a file, or some as ase.io counts them; raises InputError for what cannot be read."""
    import ase.io  # noqa: PLC0415  slow to import

    if not file.is_file():
        raise InputError(f"wanted a file of frames, but there is no {file}")
    try:
        frames = ase.io.read(file, index=index)
    except Exception as error:  # each of ase's readers raises its own
        raise InputError(f"{file} cannot be read as a structure: {type(error).__name__}: {error}") from error
    return frames if isinstance(frames, list) else [frames]


def _check(atoms: Any, source: str) -> None:
    if len(atoms) < 2:
        raise InputError(f"{source} has {len(atoms)} atoms; a trajectory needs at least two")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise InputError(f"{source}: the position of atom {bad[0]} is {atoms.positions[bad[0]]}; repair the file")
    if (atoms.numbers < 1).any():
        raise InputError(f"{source}: atom {int(np.argmin(atoms.numbers))} has no element; name it in the file")
    _check_cell(atoms, source)
    _check_distances(atoms, source)


def _check_cell(atoms: Any, source: str) -> None:
    cell = np.asarray(atoms.cell[:])
    if not np.isfinite(cell).all():
        raise InputError(f"{source}: the cell is {cell.tolist()}; repair the file")
    if not atoms.pbc.any():
        return
    if not cell[atoms.pbc].any(axis=1).all():
        raise InputError(f"{source} is periodic along a lattice vector that is zero; give the vector or set pbc to F")
    if atoms.pbc.all() and atoms.get_volume() < 1e-3:
        raise InputError(f"{source}: the cell has the volume {atoms.get_volume():g} Å³; its vectors lie in a plane")
    if not atoms.pbc.all():
        directions = cell / np.maximum(np.linalg.norm(cell, axis=1), 1e-300)[:, None]
        angles = directions @ directions.T
        if np.abs(angles[~atoms.pbc][:, atoms.pbc]).max() > 1e-8:
            raise InputError(
                f"{source}: a lattice vector that is not periodic is not at right angles to the periodic ones, "
                "which LAMMPS cannot represent; make it perpendicular"
            )


def _check_distances(atoms: Any, source: str) -> None:
    from ase.neighborlist import neighbor_list  # noqa: PLC0415  slow to import

    first, second, distances = neighbor_list("ijd", atoms, CLOSEST)
    if len(distances):
        k = int(np.argmin(distances))
        raise InputError(
            f"{source}: atoms {first[k]} and {second[k]} are {distances[k]:.3f} Å apart, at least {CLOSEST} Å are "
            "wanted; they overlap"
        )


def configuration(atoms: Any) -> Configuration:
    """An ase.Atoms as a potential is asked about it; its arrays are copies."""
    first, second, third = (bool(periodic) for periodic in atoms.pbc)
    return Configuration(
        numbers=np.array(atoms.numbers, dtype=np.int64),
        positions=np.array(atoms.positions, dtype=float),
        cell=np.array(atoms.cell[:], dtype=float),
        pbc=(first, second, third),
    )


def question(of: Configuration) -> Question:
    """A configuration as a model in this process is asked about it; its positions are a copy."""
    return Question(numbers=of.numbers, positions=of.positions.copy(), cell=of.cell, pbc=of.pbc)


def perpendicular_widths(cell: FloatArray) -> FloatArray:
    """Distance (3,) between opposite faces of a cell (3, 3), Å."""
    volume = abs(float(np.linalg.det(cell)))
    normals = np.cross(np.roll(cell, -1, axis=0), np.roll(cell, -2, axis=0))
    return np.asarray(volume / np.linalg.norm(normals, axis=1))


def file_velocities(atoms: Any, source: str) -> FloatArray:
    """Velocities (n_atoms, 3), Å/ps, from a file's momenta; raises InputError if it has none."""
    if "momenta" not in atoms.arrays or not atoms.get_momenta().any():
        raise InputError(f"{source} has no velocities; use --velocities maxwell, or give a file with momenta")
    velocities = velocities_of(atoms)
    if not np.isfinite(velocities).all():
        raise InputError(f"{source}: some velocities are not finite; repair the file or use --velocities maxwell")
    return velocities


def velocities_of(atoms: Any) -> FloatArray:
    """Velocities (n_atoms, 3) of an ase.Atoms, Å/ps."""
    from ase.units import fs  # noqa: PLC0415  ase is slow to import

    return np.asarray(atoms.get_velocities() * (1000.0 * fs))


def maxwell_velocities(masses: FloatArray, temperature: float, seed: list[int]) -> FloatArray:
    """Velocities (n_atoms, 3), Å/ps, of a Maxwell-Boltzmann distribution, at rest as a whole.

    They are scaled to the temperature (K) exactly, so that replicas differ in direction but not in energy.
    """
    noise = np.random.default_rng(seed).standard_normal((len(masses), 3))
    velocities = noise / np.sqrt(masses)[:, None]
    velocities -= masses @ velocities / masses.sum()
    kinetic = 0.5 * KINETIC * float((masses[:, None] * velocities**2).sum())
    wanted = 0.5 * (3 * len(masses) - 3) * BOLTZMANN * temperature
    return np.asarray(velocities * np.sqrt(wanted / kinetic))
