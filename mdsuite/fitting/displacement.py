"""Displacements of a relaxed molecule."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.constants import BOLTZMANN
from mdsuite.runs import FloatArray

SOFTEST = 0.05
"""Force constant, eV/(Å² amu), below which a mode is a translation, a rotation or too soft to be harmonic: 117 cm⁻¹."""


def from_normal_modes(atoms: Any, temperature: float, n: int, rng: np.random.Generator) -> FloatArray:
    """Displacements (n, n_atoms, 3), Å, as harmonic oscillators have them classically at a temperature, K.

    The second derivatives are finite differences of the calculator's forces, by ase.vibrations.
    """
    from ase.vibrations import Vibrations  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        vibrations = Vibrations(atoms, name=str(Path(folder) / "modes"))
        vibrations.run()
        hessian = vibrations.get_vibrations().get_hessian_2d()
    root = np.repeat(np.sqrt(atoms.get_masses()), 3)
    constants, modes = np.linalg.eigh(hessian / np.outer(root, root))
    stiff = constants > SOFTEST
    amplitudes = np.sqrt(BOLTZMANN * temperature / constants[stiff])
    weighted = (rng.standard_normal((n, int(stiff.sum()))) * amplitudes) @ modes[:, stiff].T
    return np.asarray((weighted / root).reshape(n, len(atoms), 3))


def randomly(atoms: Any, amplitude: float, n: int, rng: np.random.Generator) -> FloatArray:
    """Displacements (n, n_atoms, 3), every component normally distributed with a standard deviation in Å."""
    return rng.normal(scale=amplitude, size=(n, len(atoms), 3))
