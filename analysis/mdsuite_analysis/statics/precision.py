"""How finely a potential resolves energy and forces."""

import numpy as np

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.potential import Configuration, Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.deformation import random_direction, thermal
from mdsuite_analysis.statics.inquiry import answered
from mdsuite_analysis.statics.mean_square import root_mean_square
from mdsuite_analysis.statics.path import Path, sample, straight

N_PATHS = 8
N_POINTS = 25
HALF_LENGTHS = (1e-3, 1e-4)
"""Of the paths, Å: a tenth of what atoms move in a step, and less."""

BENDS = 30.0
"""Times by which scatter falls on the shorter path where it came from bends of a curve; that of rounding falls less."""

DEGREE = 6
MOST_DIGITS = 17.0
ARITHMETIC = ((10.0, "double precision"), (4.5, "single precision"), (-np.inf, "TF32, half precision, or noise"))
"""Fewest digits of the forces, and what leaves as many."""

RESOLUTION = ("effective_energy_resolution", "eV")
DIGITS = ("effective_digits", "digits")


def precision(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> list[Measurement]:
    """`effective_energy_resolution`, eV, and `effective_digits` of the forces.

    Both are what scatters about a smooth curve along paths of 2e-3 Å: of the energy its standard deviation, of the
    forces the decimal digits between their size in thermal frames and their scatter. Digits of the energy would depend
    on its zero. Medians over paths, so that one which crosses a discontinuity does not count; where shorter paths
    scatter far less, the curve bends, and they tell.
    """

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        paths = _paths(configuration, rng)
        coarse, fine = (np.array([_scatter(potential, path, half) for path in paths]) for half in HALF_LENGTHS)
        bent = [_resolved(fine) and np.median(coarse[:, k]) > BENDS * np.median(fine[:, k]) for k in range(2)]
        energy, forces = (fine[:, k] if bent[k] else coarse[:, k] for k in range(2))
        return [_resolution(energy, confidence), _digits(forces, coarse[:, 2], confidence)]

    return answered([RESOLUTION, DIGITS], measure)


def _paths(configuration: Configuration, rng: np.random.Generator) -> list[Path]:
    n_atoms = len(configuration.numbers)
    return [straight(thermal(configuration, rng), random_direction(rng, n_atoms)) for _ in range(N_PATHS)]


def _scatter(potential: Potential, path: Path, half_length: float) -> tuple[float, float, float, float]:
    """Of energy and forces along one path, the size of the forces, and the share of energies that differ."""
    x = np.linspace(-1.0, 1.0, N_POINTS)
    samples = sample(potential, path, half_length * x)
    forces = samples.forces.reshape(N_POINTS, -1)
    different = len(np.unique(samples.energy)) / N_POINTS
    return _rough(samples.energy, x), _rough(forces, x), float(np.sqrt((forces**2).mean())), different


def _resolved(scatter: Floats) -> bool:
    """Whether steps of the path are longer than those of the arithmetic; if they are not, nothing scatters."""
    return bool(np.median(scatter[:, 3]) > 0.5)


def _rough(values: Floats, x: Floats) -> float:
    centred = values - values.mean(axis=0)
    powers = np.vander(x, DEGREE + 1)
    rest = centred - powers @ (np.linalg.pinv(powers) @ centred)
    return float(np.sqrt((rest**2).sum() / rest[0].size / (N_POINTS - DEGREE - 1)))


def _resolution(scatter: Floats, confidence: float) -> Measurement:
    name, unit = RESOLUTION
    ci = _of_median(scatter)
    return Measurement(name=name, value=float(np.median(scatter)), unit=unit, ci=ci, confidence=confidence)


def _of_median(values: Floats) -> tuple[float, float]:
    """Order statistics that enclose the median of eight with 93 %."""
    ordered = np.sort(values)
    return float(ordered[1]), float(ordered[-2])


def _digits(scatter: Floats, size: Floats, confidence: float) -> Measurement:
    name, unit = DIGITS
    scale = root_mean_square(size, confidence).value
    noise = float(np.median(scatter))
    if scale == 0.0:
        return Measurement(name=name, value=float("nan"), unit=unit, note="there are no forces")
    low, high = (_decimals(each, scale) for each in reversed(_of_median(scatter)))
    value = _decimals(noise, scale)
    looks = next(words for fewest, words in ARITHMETIC if value >= fewest)
    return Measurement(
        name=name, value=value, unit=unit, ci=(low, high), confidence=confidence, note=f"looks like {looks}"
    )


def _decimals(noise: float, scale: float) -> float:
    return float(min(-np.log10(noise / scale), MOST_DIGITS)) if noise > 0.0 else MOST_DIGITS
