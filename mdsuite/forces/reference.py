"""Frames with forces of a reference: from a file, or labelled by a teacher here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.errors import InputError
from mdsuite.fitting.sampling import MOST_WITHOUT_LABEL
from mdsuite.fitting.teacher import make_teacher
from mdsuite.runs import FloatArray
from mdsuite.structures import configuration, frames_of
from mdsuite_analysis.potential import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A frame with a reference's answer.

    structure : what it is a frame of
    energy : float, eV, or None where it is not known
    forces : (n_atoms, 3) float, eV/Å
    """

    structure: str
    configuration: Configuration
    energy: float | None
    forces: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Frames, where they come from, and how many of them had no finite answer."""

    origin: str
    frames: tuple[Reference, ...]
    n_dropped: int


def read_references(files: Sequence[Path]) -> References:
    """Every frame of files that ASE reads, with the forces that stand in them (eV/Å, energies in eV).

    A frame is called by its `name`, or by its formula. Raises InputError for what cannot be read, for a file without
    forces, and where more than one frame in a hundred has none that are finite.
    """
    origin = ", ".join(map(str, files))
    return _kept(origin, [_stored(atoms, file) for file in files for atoms in frames_of(file)])


def labelled_by(teacher: str, sources: Sequence[str]) -> References:
    """Frames of structures, named or in files, with a teacher's forces.

    Raises InputError for a teacher or a structure that is not there, and as `read_references`.
    """
    calculator = make_teacher(teacher)
    return _kept(teacher, list(_labelled(calculator, teacher, sources)))


def _labelled(calculator: Any, teacher: str, sources: Sequence[str]) -> Iterator[Reference]:
    for source in sources:
        for atoms in frames_of(source):
            atoms.calc = calculator
            try:
                energy, forces = float(atoms.get_potential_energy()), np.array(atoms.get_forces())
            except Exception as error:  # whatever a calculator raises
                raise InputError(f"{teacher} cannot label {source}: {type(error).__name__}: {error}") from error
            yield _reference(atoms, energy, forces)


def _stored(atoms: Any, file: Path) -> Reference:
    results = {} if atoms.calc is None else atoms.calc.results
    forces = results.get("forces", atoms.arrays.get("forces"))
    if forces is None:
        known = ", ".join(sorted({*results, *atoms.arrays} - {"numbers", "positions"})) or "nothing"
        raise InputError(
            f"wanted frames with forces, but {file} holds {known} beside the atoms; name the column 'forces'"
        )
    energy = results.get("energy", atoms.info.get("energy"))
    return _reference(atoms, None if energy is None else float(energy), np.array(forces, dtype=float))


def _reference(atoms: Any, energy: float | None, forces: FloatArray) -> Reference:
    name = str(atoms.info.get("name", atoms.get_chemical_formula(mode="hill")))
    return Reference(structure=name, configuration=configuration(atoms), energy=energy, forces=forces)


def _kept(origin: str, frames: Sequence[Reference]) -> References:
    """Those with finite answers."""
    kept = tuple(each for each in frames if _finite(each))
    dropped = len(frames) - len(kept)
    if dropped > MOST_WITHOUT_LABEL * len(frames):
        raise InputError(
            f"{dropped} of {len(frames)} frames of {origin} have no finite energy and forces; at most "
            f"{MOST_WITHOUT_LABEL:.0%} may be left out. Take them out of the file, and see why they are there"
        )
    return References(origin=origin, frames=kept, n_dropped=dropped)


def _finite(each: Reference) -> bool:
    energy = each.energy is None or np.isfinite(each.energy)
    return bool(energy and np.isfinite(each.forces).all() and np.isfinite(each.configuration.positions).all())
