"""Which functions a linear ACE consists of.

A one-particle function (z, n, l) is a radial function n of the distance times a spherical harmonic l, summed over the
neighbours of element z. A basis function is an invariant of a product of up to three of them; its level is the sum of
n + 3 l/2, and all up to a total degree are taken (ACEpotentials.jl, `ace1_model`). For products of up to three there is
at most one invariant of even parity, and it exists where the l add up to an even number and fulfil the triangle rule.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LEVEL_OF_L = 1.5
HIGHEST_ORDER = 3


class Channel(NamedTuple):
    """A one-particle function: neighbours of the element z, radial function n ≥ 1, angular momentum l."""

    z: int
    n: int
    l: int  # noqa: E741  the symbol of the field

    @property
    def level(self) -> float:
        """What it adds to the total degree."""
        return self.n + LEVEL_OF_L * self.l


Product = tuple[Channel, ...]
"""The channels of a basis function, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """What decides the basis.

    species : atomic numbers
    order : how many neighbours are correlated, up to three
    degree : total degree
    cutoff : float, Å
    bond_lengths : Å, by two atomic numbers, the smaller first; where the radial transforms are centred
    nodes : of the splines that stand for the polynomials; 0 for the polynomials themselves
    lossy : leave out every product that repeats a channel, as a migration did that took `unique` inside each product
    """

    species: tuple[int, ...]
    order: int
    degree: float
    cutoff: float
    bond_lengths: Mapping[tuple[int, int], float]
    nodes: int = 0
    lossy: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for what makes no basis."""
        if not self.species or list(self.species) != sorted(set(self.species)):
            raise ValueError(f"wanted atomic numbers in ascending order, got {self.species}")
        if not 1 <= self.order <= HIGHEST_ORDER:
            raise ValueError(f"wanted an order of 1 to {HIGHEST_ORDER}, got {self.order}")
        if not self.degree >= 1:
            raise ValueError(f"wanted a total degree of at least 1, got {self.degree}")
        if not self.cutoff > 0:
            raise ValueError(f"wanted a cut-off above 0 Å, got {self.cutoff}")
        wanted = set(itertools.combinations_with_replacement(self.species, 2))
        if set(self.bond_lengths) != wanted:
            raise ValueError(f"wanted a bond length for each of {sorted(wanted)}, got {sorted(self.bond_lengths)}")
        if not all(0 < length < self.cutoff for length in self.bond_lengths.values()):
            raise ValueError(f"wanted bond lengths between 0 and the cut-off, got {dict(self.bond_lengths)}")
        if self.nodes and self.nodes < 4:
            raise ValueError(f"wanted splines of at least 4 nodes, got {self.nodes}")

    @property
    def n_radial(self) -> int:
        """How many radial functions there are for each element, of the many-body and of the pair part."""
        return int(self.degree)

    def products(self) -> tuple[Product, ...]:
        """The many-body functions around any atom, by order and level."""
        channels = self._channels()
        found = (each for order in range(1, self.order + 1) for each in self._of_order(order, channels))
        return tuple(each for each in found if not (self.lossy and len(set(each)) < len(each)))

    def _channels(self) -> list[Channel]:
        every = (
            Channel(z, n, l)
            for l in range(int(self.degree / LEVEL_OF_L) + 1)  # noqa: E741
            for n in range(1, self.n_radial + 1)
            for z in self.species
        )
        return sorted((each for each in every if each.level <= self.degree), key=lambda each: (each.level, each))

    def _of_order(self, order: int, channels: Sequence[Channel]) -> list[Product]:
        found = [tuple(sorted(each)) for each in _below(channels, order, self.degree) if _has_invariant(each)]
        return sorted(found, key=lambda each: (sum(channel.level for channel in each), each))


def _below(channels: Sequence[Channel], order: int, degree: float, first: int = 0) -> Iterator[tuple[Channel, ...]]:
    """Multisets of channels, which are sorted by level, up to a total degree."""
    if order == 0:
        yield ()
        return
    for k in range(first, len(channels)):
        if order * channels[k].level > degree:
            return
        for rest in _below(channels, order - 1, degree - channels[k].level, k):
            yield (channels[k], *rest)


def _has_invariant(product: Sequence[Channel]) -> bool:
    momenta = sorted(each.l for each in product)
    return sum(momenta) % 2 == 0 and 2 * momenta[-1] <= sum(momenta)
