"""The sound potentials that a defect is put on: noble gases by Lennard-Jones, and the bundled student."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from mdsuite_driver.models.neighbours import pairs_within
from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray, IntArray, ModelError

Potential = Callable[[Configuration], Evaluation]
Pairs = tuple[IntArray, IntArray, FloatArray]  # as of `pairs_within`
Values = tuple[FloatArray, FloatArray]  # a function of distances and its slope, each (n_pairs,)

EPSILON_SIGMA: Mapping[int, tuple[float, float]] = MappingProxyType(
    {10: (0.00312, 2.74), 18: (0.0104, 3.40), 36: (0.0140, 3.65), 54: (0.0200, 3.98)}
)
"""eV and Å of Ne, Ar, Kr and Xe: Bernardes, Phys. Rev. 112, 1534 (1958), doi:10.1103/PhysRev.112.1534."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbourhood:
    """Ordered pairs of atoms.

    numbers : (n_atoms,) int, atomic numbers
    i, j : (n_pairs,) int, centres and neighbours
    vectors : (n_pairs, 3) float, Å, from i to j
    r : (n_pairs,) float, Å, their lengths
    """

    numbers: IntArray
    i: IntArray
    j: IntArray
    vectors: FloatArray
    r: FloatArray

    @property
    def directions(self) -> FloatArray:
        """(n_pairs, 3), unit vectors from i to j."""
        return self.vectors / self.r[:, None]

    @property
    def rank(self) -> IntArray:
        """(n_pairs,), each pair's place among those of its centre; pairs are sorted by centre."""
        counts = np.bincount(self.i, minlength=len(self.numbers))
        return np.arange(len(self.i)) - np.repeat(np.cumsum(counts) - counts, counts)

    def within(self, distance: float) -> Neighbourhood:
        """The pairs closer than a distance, Å."""
        near = self.r < distance
        return Neighbourhood(
            numbers=self.numbers, i=self.i[near], j=self.j[near], vectors=self.vectors[near], r=self.r[near]
        )

    def at_centres(self, values: FloatArray) -> FloatArray:
        """(n_atoms, 3), values (n_pairs, 3) of pairs summed over the neighbours of each atom."""
        return _sums(self.i, values, len(self.numbers))


def neighbourhood(configuration: Configuration, pairs: Pairs) -> Neighbourhood:
    """Pairs with the vectors that the positions give them."""
    i, j, translations = pairs
    vectors = configuration.positions[j] - configuration.positions[i] + translations
    r = np.sqrt(np.einsum("pa,pa->p", vectors, vectors))
    return Neighbourhood(numbers=configuration.numbers, i=i, j=j, vectors=vectors, r=r)


def pulled(around: Neighbourhood, pulls: FloatArray, energy: float = 0.0) -> Evaluation:
    """What follows when every ordered pair pulls its centre by `pulls` (n_pairs, 3), eV/Å, and its neighbour back.

    The forces of an energy have the pulls dE/d(vectors).
    """
    n_atoms = len(around.numbers)
    forces = _sums(around.i, pulls, n_atoms) - _sums(around.j, pulls, n_atoms)
    virial = -around.vectors.T @ pulls
    return Evaluation(energy=energy, forces=forces, virial=0.5 * (virial + virial.T))


def radial(around: Neighbourhood, values: Values) -> Evaluation:
    """Half the sum over ordered pairs of an energy of the distance, eV, with its slope, eV/Å."""
    energies, slopes = values
    return pulled(around, (0.5 * slopes)[:, None] * around.directions, float(0.5 * energies.sum()))


def plus(base: Evaluation, extra: Evaluation, factor: float = 1.0) -> Evaluation:
    """A sum; with the factor 0 it is `base` to the bit."""
    return Evaluation(
        energy=base.energy + factor * extra.energy,
        forces=base.forces + factor * extra.forces,
        virial=base.virial + factor * extra.virial,
    )


def blend(sound: Evaluation, defective: Evaluation, share: float) -> Evaluation:
    """From `sound` (share 0, to the bit) to `defective` (share 1)."""
    return plus(sound, plus(defective, sound, -1.0), share)


def taper(r: FloatArray, start: float, end: float) -> Values:
    """1 - 35x⁴ + 84x⁵ - 70x⁶ + 20x⁷ and its slope, x from 0 at `start` to 1 at `end`: three continuous derivatives."""
    x = np.clip((r - start) / (end - start), 0.0, 1.0)
    value = 1.0 - x**4 * (35.0 - x * (84.0 - x * (70.0 - 20.0 * x)))
    return value, -140.0 * (x * (1.0 - x)) ** 3 / (end - start)


class Host(Protocol):
    """A sound potential of pairs within its cut-off, Å."""

    @property
    def cutoff(self) -> float:
        """Beyond which atoms do not interact, Å."""
        ...

    def on_pairs(self, configuration: Configuration, pairs: Pairs) -> Evaluation:
        """Energy, forces and virial of the pairs given, which need not be all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NobleGas:
    """Lennard-Jones of noble gases, tapered to zero from `start` to `cutoff`, Å; unlike pairs by Lorentz-Berthelot."""

    start: float = 6.0
    cutoff: float = 7.0
    swelling: float = 1.0  # of every sigma

    def on_pairs(self, configuration: Configuration, pairs: Pairs) -> Evaluation:
        """Energy, forces and virial of the pairs given."""
        around = neighbourhood(configuration, pairs)
        return radial(around, self.tapered(around))

    def tapered(self, around: Neighbourhood) -> Values:
        """The pair energy, eV, and its slope, eV/Å."""
        (u, du), (w, dw) = self.bare(around), taper(around.r, self.start, self.cutoff)
        return u * w, du * w + u * dw

    def bare(self, around: Neighbourhood, at: float | None = None) -> Values:
        """The pair energy without taper, and its slope, at its own distances or all `at` one, Å."""
        epsilon, sigma = mixed(around)
        r = around.r if at is None else np.full_like(around.r, at)
        x = (self.swelling * sigma / r) ** 6
        return 4.0 * epsilon * (x * x - x), -24.0 * epsilon * (2.0 * x * x - x) / r


def mixed(around: Neighbourhood) -> Values:
    """Epsilon, eV, and sigma, Å, of pairs of noble gases; raises ModelError for other elements."""
    unknown = sorted(set(around.numbers.tolist()) - set(EPSILON_SIGMA))
    if unknown:
        raise ModelError(f"the zoo's argon was made for Z in {sorted(EPSILON_SIGMA)}, not for Z = {unknown}")
    epsilon, sigma = (np.array([EPSILON_SIGMA[z][k] for z in around.numbers.tolist()]) for k in (0, 1))
    return np.sqrt(epsilon[around.i] * epsilon[around.j]), 0.5 * (sigma[around.i] + sigma[around.j])


def find_host(name: str) -> Host:
    """The host of a name; raises ValueError for an unknown one."""
    if name == "argon":
        return NobleGas()
    if name == "student":
        from mdsuite_driver.zoo.student import bundled_student  # noqa: PLC0415  torch takes seconds

        return bundled_student()
    raise ValueError(f"wanted the host argon or student, got {name!r}")


def sound(host: Host) -> Potential:
    """The host as it is."""
    return lambda configuration: host.on_pairs(configuration, pairs_within(configuration, host.cutoff))


def with_extra(host: Host, extra: Callable[[Neighbourhood], Evaluation], factor: float) -> Potential:
    """The host plus `factor` times something of the pairs within its cut-off."""

    def evaluate(configuration: Configuration) -> Evaluation:
        pairs = pairs_within(configuration, host.cutoff)
        base = host.on_pairs(configuration, pairs)
        return plus(base, extra(neighbourhood(configuration, pairs)), factor)

    return evaluate


def _sums(index: IntArray, values: FloatArray, n_atoms: int) -> FloatArray:
    return np.stack([np.bincount(index, values[:, axis], n_atoms) for axis in range(3)], axis=1)
