"""Pairs of atoms within a distance, by vesin.

Pairs somewhat farther apart are searched, put in order, and those within the distance taken by one comparison. So it
does not matter to a single bit of an answer whether they were searched for these positions or for others nearby.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from mdsuite_driver.models.last import OfTheLast
from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray, IntArray

Pairs = tuple[IntArray, IntArray, FloatArray]
"""Centres i and neighbours j (n_pairs,) of all ordered pairs, and their vectors or translations (n_pairs, 3), Å."""

AXES = np.arange(3)
SKIN = 1.0  # Å
MARGIN = 1e-6  # Å, more than what rounding does to distances where coordinates are below 1e8 Å


class Neighbours:
    """Pairs within a cut-off of configurations that follow one another; an answer does not depend on those before.

    Pairs within the cut-off and a skin are kept until an atom has moved by more than half the skin, or the cell has
    changed: until then two that were farther apart cannot have come within the cut-off. A cell that is seen for the
    first time has no skin, for it may be of those that change each time.
    """

    def __init__(self, cutoff: float, skin: float = SKIN) -> None:
        self._cutoff = cutoff
        self._skin = skin
        self._kept: _Candidates | None = None
        self._within: _Within | None = None
        self._of_centres, self._of_neighbours = OfTheLast(components_of), OfTheLast(components_of)

    def vectors_within(self, configuration: Configuration) -> Pairs:
        """As the function of this name; while the pairs are the same, so are the arrays of centres and neighbours."""
        return self.vectors_beside([configuration])

    def vectors_beside(self, configurations: Sequence[Configuration]) -> Pairs:
        """Of several, whose atoms are numbered one after the other and have no neighbours in another."""
        kept, positions = self._kept, _positions(configurations)
        if kept is None or not kept.has_all(configurations, positions):
            again = kept is not None and kept.is_of(configurations)
            kept = _Candidates.of(configurations, self._cutoff, self._skin if again else 0.0)
            self._kept, self._within = kept, None
        vectors, near = kept.near(positions)
        within = self._within
        if within is None or not np.array_equal(within.near, near):
            within = self._within = _Within(near=near, i=kept.i.take(near), j=kept.j.take(near))
        return within.i, within.j, vectors if len(near) == len(vectors) else vectors.take(near, axis=0)

    def collected(self, energy: float, n_atoms: int, pairs: Pairs, gradient: FloatArray) -> Evaluation:
        """As the function of this name, of pairs that were found here."""
        forces = self.forces_of(n_atoms, pairs, gradient)
        return Evaluation(energy=energy, forces=forces, virial=virial_of(pairs[2], gradient))

    def forces_of(self, n_atoms: int, pairs: Pairs, gradient: FloatArray) -> FloatArray:
        """As the function of this name, of pairs that were found here."""
        i, j, _ = pairs
        return _forces(n_atoms, self._of_centres(i), self._of_neighbours(j), gradient)


def pairs_within(configuration: Configuration, cutoff: float) -> Pairs:
    """Centres i and neighbours j (n_pairs,), and lattice translations (n_pairs, 3), Å, of all ordered pairs.

    The vector from i to j is positions[j] - positions[i] + translation. A cell thinner than the cut-off gives an atom
    its own images as neighbours. Sorted by i, j and lattice translation; nothing is kept between calls.
    """
    found = _Candidates.of([configuration], cutoff, 0.0)
    _, near = found.near(configuration.positions)
    return found.i.take(near), found.j.take(near), found.translations.take(near, axis=0)


def vectors_within(configuration: Configuration, cutoff: float) -> Pairs:
    """As `pairs_within`, with the vectors (n_pairs, 3), Å, from i to j."""
    return Neighbours(cutoff).vectors_within(configuration)


def between(positions: FloatArray, i: IntArray, j: IntArray, translations: FloatArray) -> FloatArray:
    """Vectors (n_pairs, 3), Å, from i to j."""
    vectors = positions.take(j, axis=0)
    vectors -= positions.take(i, axis=0)
    vectors += translations
    return vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class _Within:
    """Centres and neighbours of the candidates in the places `near`."""

    near: IntArray
    i: IntArray
    j: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """All ordered pairs within a cut-off and a skin of where the atoms were.

    cells, pbc : of all configurations; cells as bytes, so that 0 is not -0
    """

    cutoff: float
    skin: float
    sizes: tuple[int, ...]
    positions: FloatArray
    cells: bytes
    pbc: tuple[tuple[bool, bool, bool], ...]
    i: IntArray
    j: IntArray
    translations: FloatArray

    @classmethod
    def of(cls, configurations: Sequence[Configuration], cutoff: float, skin: float) -> Self:
        """By a search that decides on no pair within the cut-off, for its distances may be rounded otherwise."""
        sizes = [len(each.positions) for each in configurations]
        found = [_searched(each, cutoff + skin + MARGIN) for each in configurations]
        return cls(
            cutoff=cutoff,
            skin=skin,
            sizes=tuple(sizes),
            positions=np.array(_positions(configurations)),
            cells=_cells(configurations),
            pbc=tuple(each.pbc for each in configurations),
            i=np.concatenate([i + first for (i, _, _), first in zip(found, _firsts(sizes), strict=True)]),
            j=np.concatenate([j + first for (_, j, _), first in zip(found, _firsts(sizes), strict=True)]),
            translations=np.concatenate([translations for _, _, translations in found]),
        )

    def is_of(self, configurations: Sequence[Configuration]) -> bool:
        """Whether as many atoms are in the same cells."""
        return (
            self.sizes == tuple(len(each.positions) for each in configurations)
            and self.pbc == tuple(each.pbc for each in configurations)
            and self.cells == _cells(configurations)
        )

    def has_all(self, configurations: Sequence[Configuration], positions: FloatArray) -> bool:
        """Whether no pair within the cut-off can be missing."""
        if not self.is_of(configurations):
            return False
        moved = positions - self.positions
        return bool(_squares(moved).max(initial=0.0) <= (0.5 * self.skin) ** 2)

    def near(self, positions: FloatArray) -> tuple[FloatArray, IntArray]:
        """Vectors (n_candidates, 3), Å, and the places of those within the cut-off."""
        vectors = between(positions, self.i, self.j, self.translations)
        return vectors, np.flatnonzero(_squares(vectors) < self.cutoff**2)


def _searched(configuration: Configuration, reach: float) -> Pairs:
    """Centres, neighbours and lattice translations of one, in order."""
    from vesin import NeighborList  # noqa: PLC0415  it takes torch with it, which not every process needs

    search = NeighborList(cutoff=reach, full_list=True)
    i, j, shifts = search.compute(configuration.positions, configuration.cell, list(configuration.pbc), "ijS")
    order = np.lexsort((*shifts.T[::-1], j, i))  # vesin's is that of its boxes, whose size is the cut-off's
    translations = _translations(shifts[order], configuration.cell)
    return i[order].astype(np.int64), j[order].astype(np.int64), translations


def _positions(configurations: Sequence[Configuration]) -> FloatArray:
    """Of all, (n_atoms, 3), Å."""
    if len(configurations) == 1:
        return configurations[0].positions
    return np.concatenate([each.positions for each in configurations])


def _cells(configurations: Sequence[Configuration]) -> bytes:
    return b"".join(each.cell.tobytes() for each in configurations)


def _firsts(sizes: Sequence[int]) -> IntArray:
    """The first atom of each."""
    return np.cumsum(sizes, dtype=np.int64) - np.array(sizes, dtype=np.int64)


def _squares(vectors: FloatArray) -> FloatArray:
    """Of lengths (n,), Å²; term by term, so that rounding does not depend on the place of a vector."""
    squares = vectors * vectors
    return squares[:, 0] + squares[:, 1] + squares[:, 2]


def _translations(shifts: IntArray, cell: FloatArray) -> FloatArray:
    """Sums (n_pairs, 3), Å, of lattice vectors; term by term for the same reason."""
    x, y, z = shifts.T.astype(np.float64, order="C")
    a, b, c = cell[:, :, None]
    return np.ascontiguousarray((x * a + y * b + z * c).T)


def collected(
    energy: float, n_atoms: int, i: IntArray, j: IntArray, vectors: FloatArray, gradient: FloatArray
) -> Evaluation:
    """Forces and virial from the derivative (n_pairs, 3), eV/Å, of an energy by the vectors between pairs."""
    return Evaluation(energy=energy, forces=forces_of(n_atoms, i, j, gradient), virial=virial_of(vectors, gradient))


def forces_of(n_atoms: int, i: IntArray, j: IntArray, gradient: FloatArray) -> FloatArray:
    """(n_atoms, 3), eV/Å, from the derivative (n_pairs, 3) by the vectors from i to j."""
    return _forces(n_atoms, components_of(i), components_of(j), gradient)


def components_of(atoms: IntArray) -> IntArray:
    """Places (3 n,) of x, y and z of atoms (n,) among the components of all."""
    return (3 * atoms[:, None] + AXES).ravel()


def _forces(n_atoms: int, centres: IntArray, neighbours: IntArray, gradient: FloatArray) -> FloatArray:
    slopes = gradient.ravel()
    of_centres, of_neighbours = (np.bincount(each, slopes, 3 * n_atoms) for each in (centres, neighbours))
    forces: FloatArray = np.subtract(of_centres, of_neighbours, dtype=np.float64)  # without pairs they are whole
    return forces.reshape(n_atoms, 3)


def virial_of(vectors: FloatArray, gradient: FloatArray) -> FloatArray:
    """(3, 3), eV, from vectors and the derivative by them, both (n_pairs, 3)."""
    half: FloatArray = np.dot(vectors.T, -0.5 * gradient)
    return half + half.T
