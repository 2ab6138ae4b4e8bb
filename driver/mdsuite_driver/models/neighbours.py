"""Pairs of atoms within a distance, by vesin."""

from __future__ import annotations

import numpy as np
from vesin import NeighborList

from mdsuite_driver.models.protocol import Configuration, FloatArray, IntArray


def pairs_within(configuration: Configuration, cutoff: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Centres i and neighbours j (n_pairs,), and lattice translations (n_pairs, 3), Å, of all ordered pairs.

    The vector from i to j is positions[j] - positions[i] + translation. A cell thinner than the cut-off gives an atom
    its own images as neighbours. Nothing is kept between calls.
    """
    search = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    i, j, shifts = search.compute(configuration.positions, configuration.cell, list(configuration.pbc), "ijS")
    return i.astype(np.int64), j.astype(np.int64), shifts @ configuration.cell
