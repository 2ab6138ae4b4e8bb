"""What a linear model can express of another: ranks, conditioning, and what of each function is out of reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdsuite_analysis.series import Floats

REDUNDANT = 1e-6
"""Relative size of what is left of a function, up to which it is said to be in a span: rounding leaves 1e-10 or less of
what is, whatever the conditioning, and noise of labels is never so small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Of a design matrix.

    n_functions : how many columns it has
    rank : of its columns scaled to unit length, in double precision
    condition : largest by smallest singular value of these, infinite where the rank is not full
    """

    n_functions: int
    rank: int
    condition: float


def span(matrix: Floats) -> Span:
    """Of a matrix (n_rows, n_functions); columns of zeros count as none."""
    s = np.asarray(np.linalg.svd(_scaled(matrix), compute_uv=False), dtype=float)
    rank = _rank(s, matrix.shape)
    full = rank == matrix.shape[1]
    return Span(n_functions=matrix.shape[1], rank=rank, condition=float(s[0] / s[-1]) if full else float("inf"))


def out_of_reach(functions: Floats, by: Floats) -> Floats:
    """The share of each column of (n_rows, n) that no combination of the columns of (n_rows, m) gives, 0 to 1.

    By projection on an orthonormal basis of the second; a column of zeros is in any span. Raises ValueError where the
    rows do not outnumber the columns of the second: then nothing is out of reach.
    """
    if by.shape[0] <= by.shape[1]:
        raise ValueError(
            f"wanted more rows than the {by.shape[1]} functions that are to express others, got {by.shape[0]}; give "
            "more structures"
        )
    u, s, _ = np.linalg.svd(_scaled(by), full_matrices=False)
    inside = u[:, : _rank(np.asarray(s, dtype=float), by.shape)]
    scaled = _scaled(functions)
    rest = scaled - inside @ (inside.T @ scaled)
    rest -= inside @ (inside.T @ rest)  # once more: what rounding has left of the projection
    return np.asarray(np.linalg.norm(rest, axis=0))


def _scaled(matrix: Floats) -> Floats:
    size = np.linalg.norm(matrix, axis=0)
    return np.asarray(matrix / np.where(size > 0.0, size, 1.0))


def _rank(s: Floats, shape: tuple[int, ...]) -> int:
    return int((s > s[0] * max(shape) * np.finfo(float).eps).sum()) if len(s) and s[0] > 0.0 else 0
