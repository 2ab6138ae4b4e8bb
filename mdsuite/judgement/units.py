"""Which units were mixed up, by the number that this makes of a force over the derivative of the energy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from scipy.constants import N_A, calorie, e, physical_constants

from mdsuite_analysis.measurement import Measurement

ENERGIES: Mapping[str, float] = MappingProxyType(
    {
        "eV": 1.0,
        "kcal/mol": 1e3 * calorie / N_A / e,
        "kJ/mol": 1e3 / N_A / e,
        "Hartree": physical_constants["Hartree energy in eV"][0],
        "Rydberg": physical_constants["Rydberg constant times hc in eV"][0],
    }
)
"""In eV."""

BOHR = physical_constants["Bohr radius"][0] * 1e10
LENGTHS: Mapping[str, float] = MappingProxyType(
    {"Å": 1.0, "Bohr": BOHR, "nm": 10.0, "Å, of positions in Bohr": 1.0 / BOHR, "Å, of positions in nm": 0.1}
)
"""In Å: what a derivative is divided by."""

AMBIGUOUS = (0.5, 2.0)
"""Hartree and Rydberg; a pair counted twice or half makes the same number."""

CLOSE = 1e-3
"""Relative; the constants that programs use for one unit differ by less, and the units by far more."""

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
