"""A potential as the analyses see it: a function from a configuration to energy, forces and virial."""

from collections.abc import Callable
from dataclasses import dataclass

from mdsuite_analysis.series import Floats, Integers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Configuration:
    """Atoms at one instant.

    Attributes
    ----------
    numbers : (n_atoms,) int
        Atomic numbers.
    positions : (n_atoms, 3) float, Å
        May lie outside the cell.
    cell : (3, 3) float, Å
        Lattice vectors as rows; zero where there are none.
    pbc : (3,) bool
        Which of them are periodic.

    """

    numbers: Integers
    positions: Floats
    cell: Floats
    pbc: tuple[bool, bool, bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What a potential says of a configuration.

    Attributes
    ----------
    energy : float, eV
    forces : (n_atoms, 3) float, eV/Å
    virial : (3, 3) float, eV
        -dE/d(strain), not divided by the volume.

    """

    energy: float
    forces: Floats
    virial: Floats


class NoNumberError(Exception):
    """What a potential raises in place of an answer that is not finite, or not of the shape that is wanted."""


Potential = Callable[[Configuration], Evaluation]
"""May raise where it has no answer, and may remember what it was asked before; the checks find that out."""
