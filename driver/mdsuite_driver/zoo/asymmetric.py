"""Energies without a symmetry or a scaling that an energy of atoms has; their forces are their slopes."""

from __future__ import annotations

import numpy as np
from ase.geometry import complete_cell

from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray
from mdsuite_driver.zoo.calculator import ZooCalculator
from mdsuite_driver.zoo.hosts import (
    Neighbourhood,
    NobleGas,
    find_host,
    plus,
    pulled,
    radial,
    sound,
    taper,
    with_extra,
)

MIXING = np.array([[0.3, -0.8, 0.4], [0.5, 0.2, -0.6], [-0.7, 0.9, -0.1]])  # any matrix that is no multiple of one
WAVELENGTH = 10.0  # Å, of the field where no cell gives one
RANGES = (1.0, 0.8, 0.6)  # of the three vectors of `chiral`, as shares of the cut-off


def cartesian_mixing(*, strength: float = 0.01, host: str = "student") -> ZooCalculator:
    """Vectors v become (1 + strength M) v with a fixed matrix M, so that the energy changes under rotation.

    The student's vector features; in argon the pair energies are multiplied by r̂·(1 + strength M) r̂.
    """
    potential = find_host(host)
    if isinstance(potential, NobleGas):
        return ZooCalculator(with_extra(potential, _anisotropy, strength))
    from mdsuite_driver.zoo.student import bundled_student, mix_axes  # noqa: PLC0415  torch takes seconds

    matrix = np.eye(3) + strength * MIXING
    return ZooCalculator(sound(bundled_student(lambda network: mix_axes(network, matrix))))


def _anisotropy(around: Neighbourhood) -> Evaluation:
    (u, du), unit = NobleGas().tapered(around), around.directions
    turned = unit @ (0.5 * (MIXING + MIXING.T))
    along = np.einsum("pa,pa->p", unit, turned)[:, None]
    pulls = du[:, None] * along * unit + (u / around.r)[:, None] * 2.0 * (turned - along * unit)
    return pulled(around, 0.5 * pulls, float(0.5 * u @ along[:, 0]))


def not_permutation_invariant(*, strength: float = 1e-3, host: str = "argon") -> ZooCalculator:
    """Atoms at odd places of the list gain `strength` eV for each neighbour, faded to zero at the cut-off."""
    potential = find_host(host)

    def odd(around: Neighbourhood) -> Evaluation:
        (w, dw), counted = taper(around.r, 0.0, potential.cutoff), around.i % 2
        return radial(around, (w * counted, dw * counted))

    return ZooCalculator(with_extra(potential, odd, strength))


def not_extensive(*, strength: float = 1e-3, host: str = "argon") -> ZooCalculator:
    """Every pair gains `strength` eV times the logarithm of the number of atoms, faded to zero at the cut-off."""
    potential = find_host(host)

    def crowd(around: Neighbourhood) -> Evaluation:
        w, dw = taper(around.r, 0.0, potential.cutoff)
        size = np.log(max(len(around.numbers), 1))
        return radial(around, (w * size, dw * size))

    return ZooCalculator(with_extra(potential, crowd, strength))


def chiral(*, strength: float = 0.1, host: str = "student") -> ZooCalculator:
    """Every atom gains `strength` eV times the triple product of three sums of unit vectors to its neighbours.

    The sums reach differently far. The energy is invariant under rotations and changes sign under reflections.
    """
    potential = find_host(host)
    return ZooCalculator(with_extra(potential, lambda around: _handedness(around, potential.cutoff), strength))


def _handedness(around: Neighbourhood, cutoff: float) -> Evaluation:
    unit = around.directions
    weights = [taper(around.r, 0.0, share * cutoff) for share in RANGES]
    a, b, c = (around.at_centres(w[:, None] * unit) for w, _ in weights)
    slopes = np.cross(b, c), np.cross(c, a), np.cross(a, b)
    pulls = sum(_slope_of_sum(around, *each) for each in zip(weights, slopes, strict=True))
    return pulled(around, np.asarray(pulls), float(np.einsum("ia,ia->", a, slopes[0])))


def _slope_of_sum(around: Neighbourhood, weight: tuple[FloatArray, FloatArray], slope: FloatArray) -> FloatArray:
    """dE/d(vectors) (n_pairs, 3) from `slope` = dE/d(Σ_j w r̂) (n_atoms, 3)."""
    (w, dw), unit, at_pair = weight, around.directions, slope[around.i]
    along = np.einsum("pa,pa->p", at_pair, unit)[:, None]
    pulls: FloatArray = dw[:, None] * along * unit + (w / around.r)[:, None] * (at_pair - along * unit)
    return pulls


def external_field(*, strength: float = 1e-3, host: str = "argon") -> ZooCalculator:
    """Every atom has the energy `strength` cos(k·x), eV, one wave in the cell or 10 Å along x."""
    potential = sound(find_host(host))

    def evaluate(configuration: Configuration) -> Evaluation:
        return plus(potential(configuration), _wave(configuration), strength)

    return ZooCalculator(evaluate)


def _wave(configuration: Configuration) -> Evaluation:
    """The virial of a wave that the strain takes along is zero, and that of one at rest is symmetrised."""
    k = np.array([2.0 * np.pi / WAVELENGTH, 0.0, 0.0])
    if configuration.pbc[0]:
        k = 2.0 * np.pi * np.linalg.inv(complete_cell(configuration.cell))[:, 0]
    phase = configuration.positions @ k
    forces = np.sin(phase)[:, None] * k
    virial = np.zeros((3, 3)) if configuration.pbc[0] else configuration.positions.T @ forces
    return Evaluation(energy=float(np.cos(phase).sum()), forces=forces, virial=0.5 * (virial + virial.T))
