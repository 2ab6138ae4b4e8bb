"""Radial functions of a linear ACE, after ACEpotentials.jl (`ace1_model`).

Distances are transformed by a generalised Agnesi function, whose slope is largest at the bond length, to x in [-1, 1].
Many-body functions are Jacobi(4, 4) polynomials times (1 + x)²(1 - x)²; pair functions are Legendre polynomials times
an envelope that diverges at zero and vanishes with its slope at the cut-off. Both families are orthonormal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

MANY, PAIR = (2, 4), (1, 3)
"""Exponents p and q of the transforms."""

JACOBI = 4.0


@dataclass(frozen=True, slots=True)
class Agnesi:
    """x(r) = -1 + 2 (y(r) - 1)/(y(cutoff) - 1) with y = 1/(1 + a s^q/(1 + s^(q - p))) and s = r/bond."""

    p: int
    q: int
    bond: Tensor
    cutoff: float

    def __call__(self, r: Tensor) -> Tensor:
        """Of distances (n,), in Å."""
        end = self._y(torch.full_like(r, self.cutoff))
        return (-1.0 + 2.0 * (self._y(r) - 1.0) / (end - 1.0)).clamp(-1.0, 1.0)

    def _y(self, r: Tensor) -> Tensor:
        p, q = self.p, self.q
        a = (-2 * q + p * (4 * q - 2)) / (p + p * p + q + q * q)
        s = r / self.bond
        return 1.0 / (1.0 + a * s**q / (1.0 + s ** (q - p)))


def orthonormal(x: Tensor, n: int, alpha: float) -> Tensor:
    """The first n polynomials (…, n), orthonormal with the weight (1 - x²)^alpha on [-1, 1]; Legendre for alpha = 0."""
    squared = 2.0 ** (2 * alpha + 1) * math.gamma(alpha + 1) ** 2 / math.gamma(2 * alpha + 2)
    columns = [torch.full_like(x, squared**-0.5)]
    below = 0.0
    for k in range(1, n):
        above = math.sqrt(k * (k + 2 * alpha) / ((2 * k + 2 * alpha) ** 2 - 1))
        last = columns[-2] if k > 1 else torch.zeros_like(x)
        columns.append((x * columns[-1] - below * last) / above)
        below = above
    return torch.stack(columns, dim=-1)


class Polynomials(torch.nn.Module):
    """Orthonormal polynomials, or natural cubic splines through them at equispaced nodes."""

    coefficients: Tensor

    def __init__(self, n: int, alpha: float, nodes: int) -> None:
        super().__init__()
        self._n, self._alpha, self._nodes = n, alpha, nodes
        x = torch.linspace(-1.0, 1.0, max(nodes, 2), dtype=torch.float64)
        values = orthonormal(x, n, alpha)
        spline = CubicSpline(x.numpy(), values.numpy(), bc_type="natural")
        self.register_buffer("coefficients", torch.as_tensor(spline.c), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Of transformed distances (n_pairs,): (n_pairs, n)."""
        if not self._nodes:
            return orthonormal(x, self._n, self._alpha)
        width = 2.0 / (self._nodes - 1)
        interval = ((x + 1.0) / width).floor().long().clamp(0, self._nodes - 2)
        t = (x + 1.0 - interval.to(x.dtype) * width)[:, None]  # an integer times a float is single precision
        c = self.coefficients[:, interval]
        return ((c[0] * t + c[1]) * t + c[2]) * t + c[3]


def many_body_envelope(x: Tensor) -> Tensor:
    """(1 + x)²(1 - x)²."""
    return (1.0 + x) ** 2 * (1.0 - x) ** 2


def pair_envelope(r: Tensor, bond: Tensor, cutoff: float) -> Tensor:
    """s⁻² less its tangent at the cut-off, with s = r/bond; zero beyond."""
    s, end = r / bond, cutoff / bond
    inside = s**-2 - end**-2 + 2.0 * end**-3 * (s - end)
    return torch.where(r < cutoff, inside, torch.zeros_like(inside))
