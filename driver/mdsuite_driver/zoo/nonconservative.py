"""Forces that are not the slope of the energy, the same at every call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from mdsuite_driver.models.protocol import Evaluation, FloatArray
from mdsuite_driver.zoo.calculator import ZooCalculator
from mdsuite_driver.zoo.hosts import Host, Neighbourhood, Potential, find_host, pulled, sound, taper, with_extra

Forces = Callable[[FloatArray], FloatArray]

USUAL_FORCE: Mapping[str, float] = MappingProxyType({"argon": 0.032, "student": 0.77})
"""Of a component, rms, eV/Å, in the bundled structure argon, and in ethanol at 300 K."""

DIRECT_FIELD: Mapping[str, float] = MappingProxyType({"argon": 0.36, "student": 0.75})
"""Of a component of the field of `direct` without its factor, rms, in the same structures."""


def curl(*, strength: float = 0.01, host: str = "argon") -> ZooCalculator:
    """Every pair is also turned about the z axis: F_i += strength Σ_j w(r_ij) ẑ×r̂_ij, eV/Å, w falling from 1 to 0.

    Local and without net force, so that it can be had in a periodic cell; a pair that is led around the axis gains
    energy. It prefers an axis and has a net torque.
    """
    potential = find_host(host)
    return ZooCalculator(with_extra(potential, lambda around: _swirl(around, potential.cutoff), strength))


def _swirl(around: Neighbourhood, cutoff: float) -> Evaluation:
    sideways = np.cross([0.0, 0.0, 1.0], around.directions)
    return pulled(around, 0.5 * taper(around.r, 0.0, cutoff)[0][:, None] * sideways)


def direct(*, strength: float = 0.03, host: str = "student") -> ZooCalculator:
    """Forces with `strength` of the usual force in a smooth field that no energy has, as a force head gives them.

    Pairs pull each other with an amplitude that depends on the surroundings of both: nothing but conservation is
    broken, neither the sum of forces and torques nor any symmetry nor locality.
    """
    potential = find_host(host)
    scale = strength * USUAL_FORCE[host] / DIRECT_FIELD[host]
    return ZooCalculator(with_extra(potential, lambda around: _field(around, potential), scale))


def _field(around: Neighbourhood, host: Host) -> Evaluation:
    weight = taper(around.r, 0.0, host.cutoff)[0]
    crowding = np.bincount(around.i, weight, len(around.numbers))
    amplitude = np.cos(3.0 * (crowding[around.i] + crowding[around.j]))
    return pulled(around, (0.5 * amplitude * weight)[:, None] * around.directions)


def scaled(*, strength: float = 1e-3, host: str = "argon") -> ZooCalculator:
    """Forces times 1 + `strength`."""
    return ZooCalculator(with_forces(sound(find_host(host)), lambda forces: forces * (1.0 + strength)))


def clipped(*, strength: float = 0.5, host: str = "student") -> ZooCalculator:
    """Forces no longer than 1/`strength` eV/Å, `strength` in Å/eV."""

    def clip(forces: FloatArray) -> FloatArray:
        length = np.linalg.norm(forces, axis=1, keepdims=True)
        shortened: FloatArray = forces / np.maximum(1.0, strength * length)
        return shortened

    return ZooCalculator(with_forces(sound(find_host(host)), clip))


def with_forces(potential: Potential, change: Forces) -> Potential:
    """The same energies and virials with other forces."""
    return lambda configuration: changed_forces(potential(configuration), change)


def changed_forces(evaluation: Evaluation, change: Forces) -> Evaluation:
    """The same energy and virial with other forces."""
    return dataclasses.replace(evaluation, forces=change(evaluation.forces))
