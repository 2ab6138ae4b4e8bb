"""Structures with labels, from any file that ASE reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.errors import InputError
from mdsuite.runs import FloatArray
from mdsuite.structures import configuration, frames_of
from mdsuite_analysis.elements import symbol
from mdsuite_analysis.potential import Configuration

UNGROUPED = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Under which names a file holds its labels; virials are made of `stress` where a file has that instead."""

    energy: str = "energy"
    forces: str = "forces"
    virial: str = "virial"
    group: str = "config_type"


def keys_of(told: Sequence[str]) -> Keys:
    """From words such as "energy=dft_energy"; raises InputError for others."""
    given = dict(each.partition("=")[::2] for each in told)
    known = [field.name for field in fields(Keys)]
    if wrong := [each for each in told if each.partition("=")[0] not in known or not each.partition("=")[2]]:
        raise InputError(f"wanted KIND=NAME with one of {', '.join(known)}, got {wrong[0]!r}")
    return Keys(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A structure with what is known of it; None where it is not.

    group : its type of configuration
    energy : float, eV
    forces : (n_atoms, 3) float, eV/Å
    virial : (3, 3) float, eV, -dE/d(strain)
    """

    name: str
    group: str
    configuration: Configuration
    energy: float | None
    forces: FloatArray | None
    virial: FloatArray | None

    @property
    def n_atoms(self) -> int:
        """How many atoms it has."""
        return len(self.configuration.numbers)

    @property
    def labels(self) -> tuple[float, FloatArray]:
        """Energy and forces; raises ValueError where one of them is not known."""
        if self.energy is None or self.forces is None:
            raise ValueError(f"{self.name} has no energy or no forces")
        return self.energy, self.forces


def read_labelled(files: Sequence[str | Path], keys: Keys) -> list[Labelled]:
    """Every structure of files; raises InputError for what cannot be read, has no label at all, or is not finite."""
    found = read_stored(files, keys)
    for each in found:
        _require_finite(each)
    return found


def read_stored(files: Sequence[str | Path], keys: Keys) -> list[Labelled]:
    """Every structure of files, finite or not; raises InputError for what cannot be read, or has no label at all."""
    found = [_labelled(atoms, f"{file}@{k}", keys) for file in files for k, atoms in enumerate(frames_of(file))]
    if not any(each.energy is not None for each in found):
        raise InputError(f"no structure of {', '.join(map(str, files))} has an energy under the name {keys.energy!r}")
    if not any(each.forces is not None for each in found):
        raise InputError(f"no structure of {', '.join(map(str, files))} has forces under the name {keys.forces!r}")
    return found


def require_elements(labelled: Sequence[Labelled], species: Collection[int], of: str) -> None:
    """Raise InputError for a structure with an element that is not among the species of something."""
    for each in labelled:
        if unknown := sorted(set(each.configuration.numbers.tolist()) - set(species)):
            raise InputError(f"{each.name} has {symbol(unknown[0])}, which {of} does not know")


def _labelled(atoms: Any, name: str, keys: Keys) -> Labelled:
    results = {} if atoms.calc is None else atoms.calc.results
    told: Mapping[str, Any] = {**atoms.info, **atoms.arrays, **results}
    energy, forces, virial = told.get(keys.energy), told.get(keys.forces), told.get(keys.virial)
    if virial is None and "stress" in told and atoms.pbc.all():
        virial = -atoms.get_volume() * _full(np.asarray(told["stress"], dtype=float))
    return Labelled(
        name=name,
        group=str(told.get(keys.group, UNGROUPED)),
        configuration=configuration(atoms),
        energy=None if energy is None else float(energy),
        forces=None if forces is None else _by_atoms(np.array(forces, dtype=float), atoms, name),
        virial=None if virial is None else _full(np.asarray(virial, dtype=float)),
    )


def _full(tensor: FloatArray) -> FloatArray:
    """(3, 3) from (3, 3), from its nine components, or from six in Voigt's order."""
    if tensor.size == 6:
        xx, yy, zz, yz, xz, xy = tensor.ravel()
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if tensor.size != 9:
        raise InputError(f"wanted a virial or stress of six or nine components, got {tensor.size}")
    square = tensor.reshape(3, 3)
    return 0.5 * (square + square.T)


def _by_atoms(forces: FloatArray, atoms: Any, name: str) -> FloatArray:
    if forces.shape != (len(atoms), 3):
        raise InputError(f"{name}: wanted forces ({len(atoms)}, 3), got {forces.shape}")
    return forces


def _require_finite(each: Labelled) -> None:
    for label in (each.energy, each.forces, each.virial):
        if label is not None and not np.isfinite(label).all():
            raise InputError(f"{each.name}: a label is not finite; take the structure out of the file")
