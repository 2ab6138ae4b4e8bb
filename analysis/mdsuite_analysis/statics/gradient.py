"""Whether forces and virial are the derivatives of the energy."""

import numpy as np
from scipy.stats import t

from mdsuite_analysis.measurement import NOT_KNOWN, Measurement, undefined
from mdsuite_analysis.potential import Configuration, Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.deformation import one_atom_direction, random_direction, thermal
from mdsuite_analysis.statics.inquiry import answered
from mdsuite_analysis.statics.mean_square import relative_root_mean_square
from mdsuite_analysis.statics.path import Path, straight, straining
from mdsuite_analysis.statics.stencil import Slopes, slopes

N_COLLECTIVE = 16
N_SINGLE = 8
N_STRAINS = 2  # of each of the six

FLAT = 1e-12
"""Of the square of the forces; an energy with less of a slope is the same everywhere but for rounding."""

FORCE = ("force_energy_consistency", "1")
FACTOR = ("force_energy_factor", "1")
VIRIAL = ("virial_consistency", "1")


def forces_against_energy(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> list[Measurement]:
    """`force_energy_consistency` and `force_energy_factor`: how far forces are from -dE/dx, and how much longer.

    The first is √⟨(-dE/ds - F·u)²⟩ / √⟨(F·u)²⟩ over random directions u, the second the slope of F·u against -dE/ds
    through the origin, with the heteroskedastic interval of a regression; where energy and forces are in different
    units it is the ratio of these.

    Sixteen directions move all atoms and eight a single one, each from a thermal frame of its own. What scatters in F·u
    about a smooth curve counts as a difference; what rounding makes of E does not, but widens the interval. What
    crosses a discontinuity is left out. Adding a constant to E changes nothing.

    Parameters
    ----------
    potential : Potential
    configuration : Configuration
    seed : int
        Of directions and displacements.
    confidence : float
        Of the interval.

    """

    def measure() -> list[Measurement]:
        paths = _straight_paths(configuration, np.random.default_rng(seed))
        found = slopes(potential, paths)
        return [_difference(FORCE, found, confidence), _factor(found, confidence)]

    return answered([FORCE, FACTOR], measure)


def virial_consistency(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> Measurement:
    """The same of the virial: -dE/dε against the virial W:ε, for the six symmetric strains ε of cell and positions.

    Each strain is applied to two thermal frames; without periodic vectors it is applied to the positions.
    """

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        paths = [straining(thermal(configuration, rng), strain) for strain in _strains() * N_STRAINS]
        return [_difference(VIRIAL, slopes(potential, paths, stretch=5.0), confidence)]

    return answered([VIRIAL], measure)[0]


def _straight_paths(configuration: Configuration, rng: np.random.Generator) -> list[Path]:
    n_atoms = len(configuration.numbers)
    directions = [random_direction(rng, n_atoms) for _ in range(N_COLLECTIVE)]
    directions += [one_atom_direction(rng, n_atoms) for _ in range(N_SINGLE)]
    return [straight(thermal(configuration, rng), direction) for direction in directions]


def _strains() -> list[Floats]:
    """Six symmetric strains (3, 3) that span all."""
    strains = []
    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = 1.0 if i == j else np.sqrt(0.5)
        strains.append(strain)
    return strains


def _difference(named: tuple[str, str], found: Slopes, confidence: float) -> Measurement:
    errors = np.hypot(found.excess, found.scatter)
    value, ci = relative_root_mean_square(errors, found.variance, found.force, confidence)
    broken = f"; {found.n_broken} cross a discontinuity" if found.n_broken else ""
    return Measurement(
        name=named[0],
        value=value,
        unit=named[1],
        ci=ci,
        confidence=confidence,
        note=f"{len(found.force)} directions compared, stencils of ±{found.scale:g} Å{broken}",
    )


def _factor(found: Slopes, confidence: float) -> Measurement:
    slope, force = found.force + found.excess, found.force
    square = float((slope**2).sum())
    if not square > FLAT * float((force**2).sum()):
        return undefined(*FACTOR, f"{NOT_KNOWN}the energy is the same everywhere", confidence)
    value = float((slope * force).sum()) / square
    n = len(force)
    errors = slope**2 * ((force - value * slope) ** 2 * n / (n - 1) + value**2 * found.variance)
    half = float(t.ppf(0.5 + confidence / 2, n - 1)) * float(errors.sum()) ** 0.5 / square
    name, unit = FACTOR
    return Measurement(name=name, value=value, unit=unit, ci=(value - half, value + half), confidence=confidence)
