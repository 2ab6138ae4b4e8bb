r"""The residual of a step, and the sum of all of them.

.. math:: r_n = U_{n+1} - U_n + \tfrac12 (F_n + F_{n+1}) \cdot (x_{n+1} - x_n)

"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.constants import angstrom, atomic_mass, e, pico

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.series import Floats

KINETIC = atomic_mass * (angstrom / pico) ** 2 / e
"""1 amu Å²/ps² in eV."""

_MEMORY = 1000  # steps over which the means forget; long against a vibration, short against a transient


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instant:
    """What the engine had at one step.

    Attributes
    ----------
    step : int
        Number of the step.
    positions : (n_atoms, 3) float, Å
        Wrapped into the cell or not.
    energy : float, eV
        Potential energy.
    forces : (n_atoms, 3) float, eV/Å

    """

    step: int
    positions: Floats
    energy: float
    forces: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Box:
    """The cell that the run stays in.

    Attributes
    ----------
    cell : (3, 3) float, Å
        Lattice vectors as rows; zero where there are none.
    pbc : (3,) bool
        Which of them are periodic.

    """

    cell: Floats
    pbc: tuple[bool, bool, bool]
    _vectors: Floats = field(init=False, repr=False)
    _to_fractions: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_vectors", self.cell[np.flatnonzero(self.pbc)])
        object.__setattr__(self, "_to_fractions", np.linalg.pinv(self._vectors))

    def displacement(self, start: Floats, end: Floats) -> Floats:
        """From `start` to `end`, Å, by the least number of lattice vectors in fractional coordinates.

        Positions that were not wrapped are subtracted without rounding. Assumption: no atom moves half a cell.
        """
        moved = end - start
        if len(self._vectors):
            moved = moved - np.rint(moved @ self._to_fractions) @ self._vectors
        return np.asarray(moved, dtype=np.float64)


def step_residual(before: Instant, after: Instant, box: Box) -> float:
    """The residual of the step between two instants, eV."""
    moved = box.displacement(before.positions, after.positions)
    return float(after.energy - before.energy) + 0.5 * float(np.vdot(before.forces + after.forces, moved))


class Residuals(NamedTuple):
    """The residuals of a run up to a step: their sum, and how large they usually are.

    The sum is Neumaier's [1]_: what is lost in an addition is kept beside it, so its error does not grow with the
    number of steps. The means forget over a thousand steps. A run that is continued from these numbers goes on bit for
    bit.

    Attributes
    ----------
    n_steps : int
    plain, lost : float, eV
        The sum is `plain` + `lost`.
    last, last_but_one : float, eV
        The latest residuals.
    mean_size : float, eV
        Running mean of |r|.
    mean_curvature : float, eV
        Running mean of the size of the second difference of r.

    References
    ----------
    .. [1] A. Neumaier, Z. Angew. Math. Mech. 54, 39 (1974), doi:10.1002/zamm.19740540106

    """

    n_steps: int = 0
    plain: float = 0.0
    lost: float = 0.0
    last: float = 0.0
    last_but_one: float = 0.0
    mean_size: float = 0.0
    mean_curvature: float = 0.0

    @property
    def total(self) -> float:
        """The sum of the residuals, eV."""
        return self.plain + self.lost

    def curvature(self, residual: float) -> float:
        """Size of the second difference that `residual` would make with the two before it, eV; 0 for the first two.

        An energy jump sticks out of it where it hides in r under the integrator's smooth error.
        """
        return abs(residual - 2.0 * self.last + self.last_but_one) if self.n_steps >= 2 else 0.0

    def plus(self, residual: float) -> Residuals:
        """With the residual of one more step."""
        plain, lost = added(self.plain, self.lost, residual)
        return Residuals(
            n_steps=self.n_steps + 1,
            plain=plain,
            lost=lost,
            last=residual,
            last_but_one=self.last,
            mean_size=_forgetting(self.mean_size, abs(residual), self.n_steps + 1),
            mean_curvature=_forgetting(self.mean_curvature, self.curvature(residual), self.n_steps - 1),
        )

    def to_array(self) -> Floats:
        """As seven numbers."""
        return np.array(self, dtype=np.float64)

    @classmethod
    def from_array(cls, numbers: Floats) -> Residuals:
        """From seven numbers."""
        n_steps, *others = numbers.tolist()
        return cls(int(n_steps), *others)


def added(plain: float, lost: float, number: float) -> tuple[float, float]:
    """The sum `plain` + `lost` with one more number, in the same two parts."""
    whole = plain + number
    larger, smaller = (plain, number) if abs(plain) >= abs(number) else (number, plain)
    return whole, lost + ((larger - whole) + smaller)


def telescoping_energy(forces: Floats, masses: Floats, timestep: float) -> float:
    """T = Δt²/8 Σ F²/m, eV: what velocity Verlet's total energy carries beside the sum of its residuals.

    Parameters
    ----------
    forces : (n_atoms, 3) float, eV/Å
    masses : (n_atoms,) float, amu
    timestep : float, ps

    """
    return timestep**2 / 8.0 * float((forces**2).sum(axis=1) @ (1.0 / masses)) / KINETIC


def energy_change_from_residuals(
    residual_sum: float, first_forces: Floats, last_forces: Floats, *, masses: Floats, timestep: float
) -> float:
    """The change of the total energy that velocity Verlet must have made, eV.

    Parameters
    ----------
    residual_sum : float, eV
    first_forces, last_forces : (n_atoms, 3) float, eV/Å
        Of the first and the last step.
    masses : (n_atoms,) float, amu
    timestep : float, ps

    """
    last = telescoping_energy(last_forces, masses, timestep)
    return residual_sum + last - telescoping_energy(first_forces, masses, timestep)


def ledger_closure(energy_change: float, expected: float) -> Measurement:
    """The recorded change of the total energy less the one from the residuals, eV: zero but for rounding.

    Otherwise the engine did not integrate by velocity Verlet with these masses and this timestep, or recorded other
    energies or forces than it used.

    Parameters
    ----------
    energy_change : float, eV
        Of the recorded total energy, from the first step to the last.
    expected : float, eV
        From `energy_change_from_residuals`.

    """
    value = energy_change - expected
    if not math.isfinite(value):
        note = f"the recorded change is {energy_change} eV, that of the residuals {expected} eV"
        return Measurement(name="ledger_closure", value=float("nan"), unit="eV", note=note)
    return Measurement(name="ledger_closure", value=value, unit="eV")


def _forgetting(mean: float, value: float, count: int) -> float:
    """The mean with one more value; one that is not finite, or comes before the first, leaves it as it is."""
    if count < 1 or not math.isfinite(value):
        return mean
    return mean + (value - mean) / min(count, _MEMORY)
