"""Nine points on a path at several scales, and the scale at which they say most.

Short stencils drown in rounding, long ones cross the discontinuities of a potential. No step suits every potential, so
each is tried at every scale and the one with the smallest scatter is taken, for all paths together.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mdsuite_analysis.potential import Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.path import Path, Samples, sample

SCALES = (2e-2, 1e-3, 5e-5)
"""Half lengths of the stencils, Å."""

NODES = np.linspace(-1.0, 1.0, 9)
N_INTERVALS = len(NODES) - 1
DEGREE = 5  # of the polynomial that passes for smooth between the nodes
OUTLYING = 10.0  # times the typical scatter: a discontinuity
DIFFERENT = 1e-6  # of the largest force; less is a bend
FEWEST = 8  # smooth paths, with which the others can be left out


class Slopes(NamedTuple):
    """How much -dE/ds is above the force along each of n paths, at the scale that says most.

    Attributes
    ----------
    excess : (n,) float, eV/Å
    variance : (n,) float, (eV/Å)²
        Of the noise in `excess`.
    force : (n,) float, eV/Å
        In the middle of the path.
    scatter : float, eV/Å
        Of single forces about a smooth curve, on the scale where it is least.
    n_broken : int
        Further paths, on which energy or force is discontinuous; where the smooth ones are fewer than eight they are
        among the n, without the intervals where the energy is.
    scale : float, Å
        Half length of the stencils.

    """

    excess: Floats
    variance: Floats
    force: Floats
    scatter: float
    n_broken: int
    scale: float


def slopes(potential: Potential, paths: Sequence[Path], stretch: float = 1.0) -> Slopes:
    """-ΔE between neighbouring nodes against the integral of the force between them, over the distance.

    No derivative is taken, so that rounding of the energy is divided by the whole length of the stencil.
    """
    every = [[sample(potential, path, stretch * scale * NODES) for path in paths] for scale in SCALES]
    excesses = [np.array([_excess(each) for each in samples]) for samples in every]
    best = int(np.argmin([np.median(excess.std(axis=1)) for excess in excesses]))
    scatter = min(_typical_scatter(samples) for samples in every)
    scatter = scatter if np.isfinite(scatter) else 0.0
    return _slopes(every[best], excesses[best], stretch * SCALES[best], scatter)


def _typical_scatter(samples: Sequence[Samples]) -> float:
    """Of the forces along paths; infinite where most energies are the same, for nothing scatters below a rounding."""
    if np.median([len(np.unique(each.energy)) for each in samples]) <= len(NODES) // 2:
        return float("inf")
    return float(np.median([_scatter(each.force) for each in samples]))


def _slopes(samples: Sequence[Samples], excess: Floats, scale: float, scatter: float) -> Slopes:
    """Of the paths on which nothing is discontinuous; where these are too few, of the intervals."""
    forces = np.array([each.force for each in samples])
    centred = np.abs(excess - np.median(excess, axis=1, keepdims=True))
    kept = centred <= OUTLYING * float(np.median(centred)) + DIFFERENT * float(np.abs(forces).max())
    scatters = np.array([_scatter(each) for each in forces])
    smooth = kept.all(axis=1) & (scatters <= OUTLYING * float(np.median(scatters)) + DIFFERENT * np.abs(forces).max())
    chosen = smooth if smooth.sum() >= FEWEST else np.ones(len(samples), dtype=bool)
    n_kept = np.maximum(kept[chosen].sum(axis=1), 1)
    energy_noise = float(np.median(np.array([_scatter(each.energy) for each in samples])[chosen]))
    return Slopes(
        excess=np.where(kept, excess, 0.0)[chosen].sum(axis=1) / n_kept,
        variance=2.0 * (energy_noise / (2.0 * scale * n_kept / N_INTERVALS)) ** 2 + scatter**2 / len(NODES),
        force=forces[chosen, len(NODES) // 2],
        scatter=scatter,
        n_broken=int((~smooth).sum()),
        scale=scale,
    )


def _excess(samples: Samples) -> Floats:
    width = np.diff(samples.s)
    half_length = 0.5 * (samples.s[-1] - samples.s[0])
    return np.asarray(-np.diff(samples.energy) - half_length * (_interval_weights() @ samples.force)) / width


def _scatter(values: Floats) -> float:
    """Standard deviation of values at the nodes (9, ...) about a smooth curve."""
    rest = values - _smoother() @ values
    return float(np.sqrt((rest**2).sum() / rest[0].size / (len(NODES) - DEGREE - 1)))


@lru_cache
def _interval_weights() -> Floats:
    """Integrals (8, 9) over each interval of the cubics through the four nodes about it: bends stay where they are."""
    weights = np.zeros((N_INTERVALS, len(NODES)))
    for k in range(N_INTERVALS):
        first = min(max(k - 1, 0), len(NODES) - 4)
        powers = np.arange(1, 5)
        integral = (NODES[k + 1] ** powers - NODES[k] ** powers) / powers
        weights[k, first : first + 4] = np.linalg.solve(
            np.vander(NODES[first : first + 4], increasing=True).T, integral
        )
    return weights


@lru_cache
def _smoother() -> Floats:
    """Projection (9, 9) of values at the nodes on polynomials."""
    powers = np.vander(NODES, DEGREE + 1, increasing=True)
    return np.asarray(powers @ np.linalg.pinv(powers))


class Responses(NamedTuple):
    """Derivatives of the forces along each of n paths from one configuration: J u.

    Attributes
    ----------
    derivative : (n, 3 n_atoms) float, eV/Å²
    noise : (n,) float, eV/Å²
        Standard deviation of each component.
    smooth : (n,) bool
        Whether the forces are continuous along the path.

    """

    derivative: Floats
    noise: Floats
    smooth: Floats


def responses(potential: Potential, paths: Sequence[Path]) -> Responses:
    """dF/ds in the middle of each path, by the polynomial that fits the forces best."""
    every = [[sample(potential, path, scale * NODES) for path in paths] for scale in SCALES]
    noises = [
        np.array([_scatter(each.forces.reshape(len(NODES), -1)) for each in samples]) / scale
        for samples, scale in zip(every, SCALES, strict=True)
    ]
    best = int(np.argmin([np.median(noise) for noise in noises]))
    weights = _slope_weights()
    derivative = np.array([weights @ each.forces.reshape(len(NODES), -1) for each in every[best]]) / SCALES[best]
    noise = noises[best] * float(np.linalg.norm(weights))
    return Responses(derivative, noise, noise <= OUTLYING * np.median(noise) + DIFFERENT * np.abs(derivative).max())


@lru_cache
def _slope_weights() -> Floats:
    """Weights (9,) that give the slope at the middle node of a fitted polynomial."""
    return np.asarray(np.linalg.pinv(np.vander(NODES, DEGREE + 1, increasing=True))[1])
