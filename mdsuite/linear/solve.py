"""Coefficients from weighted rows: plain least squares by QR, and Bayesian linear regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize

from mdsuite.runs import FloatArray, IntArray

FLOOR = 1e-4
"""Of both standard deviations of the regression, as in ACEfit.jl."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Coefficients, and how well the rows determine them.

    coefficients : (n_functions,) float
    committee : (n_members, n_functions) float, drawn from the posterior
    rank : of the matrix in double precision
    condition : largest by smallest singular value
    undetermined : (n,) int, functions that depend on the others, where the rank is not full
    prior, noise : standard deviations of the regression, of coefficients by the prior and of the rows; None for QR
    """

    coefficients: FloatArray
    committee: FloatArray
    rank: int
    condition: float
    undetermined: IntArray
    prior: float | None = None
    noise: float | None = None


def least_squares(matrix: FloatArray, target: FloatArray, smoothness: FloatArray) -> Solution:
    """Least squares; what the rows do not determine is left at the smallest coefficients by the prior."""
    scaled = matrix / smoothness
    q, r, order = scipy.linalg.qr(scaled, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    rank = int((diagonal > diagonal[0] * max(matrix.shape) * np.finfo(float).eps).sum()) if len(diagonal) else 0
    if rank == matrix.shape[1]:
        theta = np.asarray(scipy.linalg.solve_triangular(r, q.T @ target))[np.argsort(order)]
    else:
        theta = np.asarray(np.linalg.lstsq(scaled, target, rcond=None)[0])
    return Solution(
        coefficients=theta / smoothness,
        committee=np.zeros((0, len(theta))),
        rank=rank,
        condition=float(np.linalg.cond(scaled)),
        undetermined=np.sort(order[rank:]).astype(np.int64),
    )


def bayesian(
    matrix: FloatArray, target: FloatArray, smoothness: FloatArray, n_members: int = 0, seed: int = 0
) -> Solution:
    """Bayesian linear regression with the two variances that maximise the evidence (ACEfit.jl, `BLR`).

    Rows are X θ + noise, with a normal prior of one standard deviation for all θ = smoothness · coefficients.
    """
    scaled = matrix / smoothness
    u, s, vt = np.linalg.svd(scaled, full_matrices=False)
    projected = u.T @ target
    outside = max(float(target @ target - projected @ projected), 0.0)
    n_rows = len(target)

    def minus_log_evidence(x: FloatArray) -> tuple[float, FloatArray]:
        prior, noise = (FLOOR**2 + float(each) ** 2 for each in x)
        variances = noise + prior * s**2
        rest = n_rows - len(s)
        value = 0.5 * (np.log(variances).sum() + rest * np.log(noise))
        value += 0.5 * ((projected**2 / variances).sum() + outside / noise)
        of_variances = 0.5 * (1.0 / variances - projected**2 / variances**2)
        of_noise = of_variances.sum() + 0.5 * (rest / noise - outside / noise**2)
        return float(value), 2.0 * x * np.array([(of_variances * s**2).sum(), of_noise])

    found = scipy.optimize.minimize(
        minus_log_evidence, np.ones(2), jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 1000}
    )
    prior, noise = (FLOOR**2 + float(each) ** 2 for each in found.x)
    theta = vt.T @ (prior * s / (noise + prior * s**2) * projected)
    rank = int((s > s[0] * max(matrix.shape) * np.finfo(float).eps).sum())
    smallest = float(s[-1])
    return Solution(
        coefficients=theta / smoothness,
        committee=_drawn(theta, s, vt, prior, noise, n_members, seed) / smoothness,
        rank=rank,
        condition=float(s[0]) / smallest if smallest > 0.0 else float("inf"),
        undetermined=np.zeros(0, dtype=np.int64),
        prior=prior**0.5,
        noise=noise**0.5,
    )


def _drawn(
    theta: FloatArray, s: FloatArray, vt: FloatArray, prior: float, noise: float, n_members: int, seed: int
) -> FloatArray:
    """Samples of the posterior; along directions that no row knows, of the prior."""
    normal = np.random.default_rng(seed).standard_normal((n_members, len(theta)))
    along = normal @ vt.T
    shrunk = np.sqrt(prior * noise / (noise + prior * s**2))
    return np.asarray(theta + (along * shrunk) @ vt + np.sqrt(prior) * (normal - along @ vt))
