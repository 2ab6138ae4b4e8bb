"""Pairs of atoms that cross a distance in a step."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from mdsuite_analysis.ledger.residual import Box
from mdsuite_analysis.ledger.sampling import SampledStep
from mdsuite_analysis.series import Floats, Integers


def pairs_crossing(step: SampledStep, box: Box, cutoff: float) -> list[tuple[int, int]]:
    """The pairs, periodic images included, that are on different sides of `cutoff` (Å) at both ends of a step.

    Numbers of atoms from 0, the smaller one first; a pair of which several images cross is there as often.
    """
    start = step.before.positions
    moved = box.displacement(start, step.after.positions)
    reach = cutoff + 2.0 * float(np.linalg.norm(moved, axis=1).max())
    home, images, owner = _images(start, box, reach)
    near = KDTree(home).sparse_distance_matrix(KDTree(images), reach, output_type="ndarray")
    i, j = near["i"], near["j"]
    apart = images[j] - home[i]
    before = np.linalg.norm(apart, axis=1)
    after = np.linalg.norm(apart + moved[owner[j]] - moved[i], axis=1)
    crosses = (before < cutoff) != (after < cutoff)
    pairs = np.sort(np.stack([i[crosses], owner[j[crosses]]], axis=1), axis=1)
    seen = sorted((int(first), int(second)) for first, second in pairs)
    return seen[::2]  # each is seen from both of its atoms


def _images(positions: Floats, box: Box, reach: float) -> tuple[Floats, Floats, Integers]:
    """The atoms in the cell, all their images within `reach` of it, and the atom that each is an image of."""
    lattice = box.cell[np.flatnonzero(box.pbc)]
    heights = np.linalg.pinv(lattice)  # positions to fractional coordinates
    home = positions - np.floor(positions @ heights) @ lattice
    images, owner = home, np.arange(len(home), dtype=np.int64)
    for vector, height in zip(lattice, heights.T, strict=True):
        margin = reach * float(np.linalg.norm(height))
        turns = np.arange(-np.ceil(margin), np.ceil(margin) + 1.0)
        images = (images + turns[:, None, None] * vector).reshape(-1, 3)
        depth = images @ height
        near = (depth > -margin) & (depth < 1.0 + margin)
        images, owner = images[near], np.tile(owner, len(turns))[near]
    return home, images, owner
