"""Pairs of atoms within a distance, by vesin."""

from __future__ import annotations

import numpy as np
from vesin import NeighborList

from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray, IntArray


def pairs_within(configuration: Configuration, cutoff: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Centres i and neighbours j (n_pairs,), and lattice translations (n_pairs, 3), Å, of all ordered pairs.

    The vector from i to j is positions[j] - positions[i] + translation. A cell thinner than the cut-off gives an atom
    its own images as neighbours. Nothing is kept between calls.
    """
    search = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    i, j, shifts = search.compute(configuration.positions, configuration.cell, list(configuration.pbc), "ijS")
    return i.astype(np.int64), j.astype(np.int64), shifts @ configuration.cell


def vectors_within(configuration: Configuration, cutoff: float) -> tuple[IntArray, IntArray, FloatArray]:
    """As `pairs_within`, with the vectors (n_pairs, 3), Å, from i to j."""
    i, j, translations = pairs_within(configuration, cutoff)
    return i, j, between(configuration.positions, i, j, translations)


def between(positions: FloatArray, i: IntArray, j: IntArray, translations: FloatArray) -> FloatArray:
    """Vectors (n_pairs, 3), Å, from i to j."""
    return positions[j] - positions[i] + translations


def collected(
    energy: float, n_atoms: int, i: IntArray, j: IntArray, vectors: FloatArray, gradient: FloatArray
) -> Evaluation:
    """Forces and virial from the derivative (n_pairs, 3), eV/Å, of an energy by the vectors between pairs."""
    forces = np.zeros((n_atoms, 3))
    np.add.at(forces, i, gradient)
    np.subtract.at(forces, j, gradient)
    virial = -vectors.T @ gradient
    return Evaluation(energy=energy, forces=forces, virial=0.5 * (virial + virial.T))
