"""Real spherical harmonics, and their invariant couplings."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mdsuite_driver.models.protocol import FloatArray


def spherical_harmonics(directions: Tensor, highest: int) -> Tensor:
    """Real, orthonormal on the sphere, of unit vectors (n, 3): (n, (highest + 1)²), in the order l² + l + m.

    By recursions in Cartesian components, which have no poles; without the Condon-Shortley phase.
    """
    x, y, z = directions.unbind(dim=1)
    cosines, sines = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(highest):
        c, s = cosines[-1], sines[-1]
        cosines.append(x * c - y * s)
        sines.append(x * s + y * c)
    columns = [x] * (highest + 1) ** 2
    for m in range(highest + 1):
        for l, q in enumerate(_legendre(z, m, highest), start=m):  # noqa: E741
            norm = _norm(l, m)
            columns[l * l + l + m] = norm * q * cosines[m]
            if m:
                columns[l * l + l - m] = norm * q * sines[m]
    return torch.stack(columns, dim=1)


def _legendre(z: Tensor, m: int, highest: int) -> list[Tensor]:
    """Associated Legendre functions of l = m … highest, divided by (1 - z²)^(m/2)."""
    q = [torch.full_like(z, math.prod(range(1, 2 * m, 2)))]
    if highest > m:
        q.append((2 * m + 1) * z * q[0])
    for l in range(m + 2, highest + 1):  # noqa: E741
        q.append(((2 * l - 1) * z * q[-1] - (l + m - 1) * q[-2]) / (l - m))
    return q


def _norm(l: int, m: int) -> float:  # noqa: E741
    squared = (2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m)
    return math.sqrt(squared if m == 0 else 2 * squared)


@lru_cache
def coupling(momenta: tuple[int, ...]) -> FloatArray:
    """The invariant (2 l₁ + 1, …) of up to three angular momenta, of unit norm.

    It is proportional to the integral of the product of their harmonics over the sphere, for even sums that fulfil the
    triangle rule; computed by a quadrature that is exact.
    """
    total = sum(momenta)
    z, weights = np.polynomial.legendre.leggauss(total // 2 + 1)
    phi = 2 * np.pi * np.arange(total + 1) / (total + 1)
    sine = np.sqrt(1 - z**2)[:, None]
    points = np.stack([sine * np.cos(phi), sine * np.sin(phi), np.broadcast_to(z[:, None], (len(z), len(phi)))], axis=2)
    harmonics = spherical_harmonics(torch.as_tensor(points.reshape(-1, 3)), max(momenta)).numpy()
    of_l = [harmonics[:, l * l : (l + 1) ** 2] for l in momenta]  # noqa: E741
    indices = "abc"[: len(momenta)]
    integral = np.einsum(
        f"p,{','.join(f'p{each}' for each in indices)}->{indices}", np.repeat(weights, len(phi)), *of_l, optimize=True
    )
    integral[np.abs(integral) < 1e-12 * np.abs(integral).max()] = 0.0
    return np.asarray(integral / np.linalg.norm(integral))
