"""The axes and the cell that an engine integrates in, and those of its user."""

from __future__ import annotations

import numpy as np

from mdsuite.runs import FloatArray, Start

PLACEHOLDER = 1000.0  # Å; the wire has no words for a cell that is not there


class Axes:
    """Between the user's axes and an engine's, whose first lattice vector lies along x and second in the xy plane.

    LAMMPS and i-PI know no others, and MDAnalysis keeps of a cell its lengths and angles only, so recordings have
    the engine's. The model sees the user's, and one that is not invariant under rotation is served as it is.
    `to_engine` is (3, 3), orthogonal, and exactly the identity where the cell already fits.
    """

    def __init__(self, start: Start) -> None:
        self.pbc = start.pbc
        self.user_cell = wire_cell(start)
        cell = complete_cell(start.cell) if any(start.pbc) and not start.cell.any(axis=1).all() else self.user_cell
        fits = not np.triu(cell, 1).any() and (np.diag(cell) > 0).all()
        self._fits = bool(fits)
        self.to_engine = np.eye(3) if fits else _rotation(cell)
        self.cell = cell if fits else np.tril(cell @ self.to_engine)

    def inward(self, vectors: FloatArray) -> FloatArray:
        """Vectors (n, 3) of the user's axes in the engine's."""
        return vectors.copy() if self._fits else vectors @ self.to_engine

    def outward(self, vectors: FloatArray) -> FloatArray:
        """Vectors (n, 3) of the engine's axes in the user's."""
        return vectors.copy() if self._fits else vectors @ self.to_engine.T

    def inward_tensor(self, tensor: FloatArray) -> FloatArray:
        """A tensor (3, 3) of the user's axes in the engine's."""
        return tensor.copy() if self._fits else self.to_engine.T @ tensor @ self.to_engine


def _rotation(cell: FloatArray) -> FloatArray:
    q, r = np.linalg.qr(cell.T)
    return np.asarray(q * np.sign(np.diag(r)))


def wire_cell(start: Start) -> FloatArray:
    """A cell (3, 3) that can be inverted, with placeholders in the directions that are not periodic."""
    cell = np.array(start.cell, dtype=float)
    if abs(np.linalg.det(cell)) > 1e-6:
        return cell
    if not any(start.pbc):
        return PLACEHOLDER * np.eye(3)
    return complete_cell(cell)


def complete_cell(cell: FloatArray) -> FloatArray:
    """Missing (zero) rows replaced by vectors at right angles to the others, `PLACEHOLDER` long."""
    _, _, basis = np.linalg.svd(cell)
    missing = np.flatnonzero(~cell.any(axis=1))
    completed = cell.copy()
    completed[missing] = PLACEHOLDER * basis[3 - len(missing) :]
    if np.linalg.det(completed) < 0:
        completed[missing[0]] *= -1
    return completed
