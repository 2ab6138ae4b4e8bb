"""Coordinates of molecules that are known by their formula alone."""

from __future__ import annotations

from typing import Any

from mdsuite.errors import InputError
from mdsuite.fitting.teacher import EXTRA


def conformer(smiles: str, seed: int) -> Any:  # ase is untyped
    """An ase.Atoms with hydrogen and random coordinates, by RDKit's distance geometry.

    Raises InputError for what is no SMILES string, what cannot be embedded, and where rdkit is missing.
    """
    try:
        from rdkit import Chem  # noqa: PLC0415
        from rdkit.Chem import rdDistGeom  # noqa: PLC0415
    except ImportError as error:
        raise InputError(f"SMILES need the package rdkit; {EXTRA}") from error
    from ase import Atoms  # noqa: PLC0415

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise InputError(f"{smiles!r} is not a SMILES string")
    molecule = Chem.AddHs(molecule)
    if rdDistGeom.EmbedMolecule(molecule, randomSeed=seed) != 0:
        raise InputError(f"rdkit finds no conformer of {smiles!r}; give a file instead")
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    return Atoms(numbers=numbers, positions=molecule.GetConformer().GetPositions())
