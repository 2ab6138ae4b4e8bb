"""Virials that are not the slope of the energy by the strain; energies and forces are sound unless said otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray
from mdsuite_driver.zoo.calculator import ZooCalculator
from mdsuite_driver.zoo.hosts import NobleGas, sound


def virial_sign(*, strength: float = 1.0) -> ZooCalculator:
    """Argon with the shear components of the virial times 1 - 2 `strength`."""
    shear = 1.0 - 2.0 * strength * (1.0 - np.eye(3))
    return _with_virial(lambda _, answer: answer.virial * shear)


def virial_of_positions(*, strength: float = 1.0) -> ZooCalculator:
    """Argon whose virial has `strength` of Σ r⊗F in place of the sum over pairs, which ignores the periodic images."""

    def virial(configuration: Configuration, answer: Evaluation) -> FloatArray:
        of_positions = configuration.positions.T @ answer.forces
        return answer.virial + strength * (0.5 * (of_positions + of_positions.T) - answer.virial)

    return _with_virial(virial)


def cell_offset(*, strength: float = 1.0) -> ZooCalculator:
    """Argon with `strength` times the logarithm of the volume in Å³ in the energy, eV, and not in the virial."""
    host = sound(NobleGas())

    def evaluate(configuration: Configuration) -> Evaluation:
        answer = host(configuration)
        volume = abs(float(np.linalg.det(configuration.cell))) if all(configuration.pbc) else 1.0
        return dataclasses.replace(answer, energy=answer.energy + strength * float(np.log(volume)))

    return ZooCalculator(evaluate)


def _with_virial(virial: Callable[[Configuration, Evaluation], FloatArray]) -> ZooCalculator:
    host = sound(NobleGas())

    def evaluate(configuration: Configuration) -> Evaluation:
        answer = host(configuration)
        return dataclasses.replace(answer, virial=virial(configuration, answer))

    return ZooCalculator(evaluate)
