"""Which units were mixed up, by the number that this makes of a force over the derivative of the energy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from mdsuite.constants import EV_PER_KCAL_PER_MOL, KJ_PER_MOL
from mdsuite_analysis.measurement import Measurement
from mdsuite_driver.wire import BOHR, HARTREE

ENERGIES: Mapping[str, float] = MappingProxyType(
    {
        "eV": 1.0,
        "kcal/mol": EV_PER_KCAL_PER_MOL,
        "kJ/mol": 1.0 / KJ_PER_MOL,
        "Hartree": HARTREE,
        "Rydberg": 0.5 * HARTREE,
    }
)
"""In eV."""

LENGTHS: Mapping[str, float] = MappingProxyType(
    {"Å": 1.0, "Bohr": BOHR, "nm": 10.0, "Å, of positions in Bohr": 1.0 / BOHR, "Å, of positions in nm": 0.1}
)
"""In Å: what a derivative is divided by."""

AMBIGUOUS = (0.5, 2.0)
"""Hartree and Rydberg; a pair counted twice or half makes the same number."""

CLOSE = 1e-3
"""Relative; the constants that programs use for one unit differ by less, and the units by far more."""

NEAR = 0.03
"""Relative; forces of a good model lie so far from a reference's on the average, and units farther from one another."""

KNOWN = 5e-3
"""Relative half width of an interval, up to which a number is known well enough to be compared."""


def mixed_units(factor: Measurement) -> str | None:
    """What energies and forces are in, if their ratio `factor` is one of units; None where it is not."""
    low, high = factor.ci or (math.nan, math.nan)
    if not factor.value > 0.0 or not high - low < 2.0 * KNOWN * factor.value or low <= 1.0 <= high:
        return None
    if any(math.isclose(factor.value, other, rel_tol=CLOSE) for other in AMBIGUOUS):
        return None
    return next((said for said, ratio in _ratios() if math.isclose(factor.value, ratio, rel_tol=CLOSE)), None)


def nearly_mixed_units(ratio: float) -> str | None:
    """What energies and forces are in, if their ratio, known to some percent, is nearly one of units; None if not."""
    return next((said for said, other in _ratios() if math.isclose(ratio, other, rel_tol=NEAR)), None)


def unit_of_forces(ratio: float) -> str | None:
    """What forces are in that are so many times those in eV/Å; None where they are in eV/Å or in nothing known."""
    units = {
        f"{energy}/{length}": LENGTHS[length] / of for energy, of in ENERGIES.items() for length in ("Å", "Bohr", "nm")
    }
    units.pop("eV/Å")
    return next((unit for unit, times in units.items() if math.isclose(ratio, times, rel_tol=NEAR)), None)


def _ratios() -> Iterator[tuple[str, float]]:
    """Every mixture, that of fewest units other than eV and Å first."""
    every = [
        (f"energies in {energy} and forces in {of}/{length}", here * distance / there)
        for energy, here in ENERGIES.items()
        for of, there in ENERGIES.items()
        for length, distance in LENGTHS.items()
        if energy != of or length != "Å"
    ]
    yield from sorted(
        every, key=lambda each: sum(each[0].count(unit) for unit in (*ENERGIES, *LENGTHS) if unit not in ("eV", "Å"))
    )
