"""Pairs of atoms within a distance, by vesin.

Pairs somewhat farther apart are searched, put in order, and those within the distance taken by one comparison. So it
does not matter to a single bit of an answer whether they were searched for these positions or for others nearby.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray, IntArray

Pairs = tuple[IntArray, IntArray, FloatArray]
"""Centres i and neighbours j (n_pairs,) of all ordered pairs, and their vectors or translations (n_pairs, 3), Å."""

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

    def vectors_within(self, configuration: Configuration) -> Pairs:
        """As the function of this name."""
        kept = self._kept
        if kept is None or not kept.has_all(configuration):
            again = kept is not None and kept.is_of(configuration)
            kept = _Candidates.of(configuration, self._cutoff, self._skin if again else 0.0)
            self._kept = kept
        vectors, near = kept.near(configuration.positions)
        return kept.i.take(near), kept.j.take(near), vectors.take(near, axis=0)


def pairs_within(configuration: Configuration, cutoff: float) -> Pairs:
    """Centres i and neighbours j (n_pairs,), and lattice translations (n_pairs, 3), Å, of all ordered pairs.

    The vector from i to j is positions[j] - positions[i] + translation. A cell thinner than the cut-off gives an atom
    its own images as neighbours. Sorted by i, j and lattice translation; nothing is kept between calls.
    """
    found = _Candidates.of(configuration, cutoff, 0.0)
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
class _Candidates:
    """All ordered pairs within a cut-off and a skin of where the atoms were; cell as bytes, so that 0 is not -0."""

    cutoff: float
    skin: float
    positions: FloatArray
    cell: bytes
    pbc: tuple[bool, bool, bool]
    i: IntArray
    j: IntArray
    translations: FloatArray

    @classmethod
    def of(cls, configuration: Configuration, cutoff: float, skin: float) -> Self:
        """By a search that decides on no pair within the cut-off, for its distances may be rounded otherwise."""
        from vesin import NeighborList  # noqa: PLC0415  it takes torch with it, which not every process needs

        search = NeighborList(cutoff=cutoff + skin + MARGIN, full_list=True)
        i, j, shifts = search.compute(configuration.positions, configuration.cell, list(configuration.pbc), "ijS")
        order = np.lexsort((*shifts.T[::-1], j, i))  # vesin's is that of its boxes, whose size is the cut-off's
        return cls(
            cutoff=cutoff,
            skin=skin,
            positions=configuration.positions.copy(),
            cell=configuration.cell.tobytes(),
            pbc=configuration.pbc,
            i=i[order].astype(np.int64),
            j=j[order].astype(np.int64),
            translations=_translations(shifts[order], configuration.cell),
        )

    def is_of(self, configuration: Configuration) -> bool:
        """Whether as many atoms are in the same cell."""
        return (
            self.positions.shape == configuration.positions.shape
            and self.pbc == configuration.pbc
            and self.cell == configuration.cell.tobytes()
        )

    def has_all(self, configuration: Configuration) -> bool:
        """Whether no pair within the cut-off can be missing."""
        if not self.is_of(configuration):
            return False
        moved = configuration.positions - self.positions
        return bool(_squares(moved).max(initial=0.0) <= (0.5 * self.skin) ** 2)

    def near(self, positions: FloatArray) -> tuple[FloatArray, IntArray]:
        """Vectors (n_candidates, 3), Å, and the places of those within the cut-off."""
        vectors = between(positions, self.i, self.j, self.translations)
        return vectors, np.flatnonzero(_squares(vectors) < self.cutoff**2)


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
    forces = np.empty((n_atoms, 3))
    for axis, slope in enumerate(gradient.T):
        forces[:, axis] = np.bincount(i, slope, n_atoms) - np.bincount(j, slope, n_atoms)
    virial = -vectors.T @ gradient
    return Evaluation(energy=energy, forces=forces, virial=0.5 * (virial + virial.T))
