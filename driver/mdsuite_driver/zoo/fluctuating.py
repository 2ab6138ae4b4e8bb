"""Answers that differ from call to call, by a generator seeded with the number of the call."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from mdsuite_driver.models.protocol import Configuration, Evaluation
from mdsuite_driver.zoo.calculator import ZooCalculator
from mdsuite_driver.zoo.hosts import find_host, sound
from mdsuite_driver.zoo.nonconservative import changed_forces

Change = Callable[[int, Evaluation], Evaluation]  # of the number of the call and the sound answer


def noisy(*, strength: float = 1e-3, host: str = "argon", seed: int = 0) -> ZooCalculator:
    """Gaussian noise of `strength` eV/Å on every component of the forces."""

    def change(call: int, answer: Evaluation) -> Evaluation:
        noise = np.random.default_rng((seed, call)).normal(scale=strength, size=answer.forces.shape)
        return changed_forces(answer, lambda forces: forces + noise)

    return _by_call(host, change)


def nondeterministic(*, strength: float = 1e-3, host: str = "argon", seed: int = 0) -> ZooCalculator:
    """Gaussian noise of `strength` eV on the energy."""

    def change(call: int, answer: Evaluation) -> Evaluation:
        noise = float(np.random.default_rng((seed, call)).normal(scale=strength))
        return dataclasses.replace(answer, energy=answer.energy + noise)

    return _by_call(host, change)


def rare_outlier(*, strength: float = 1.0, host: str = "argon", every: int = 1000, seed: int = 0) -> ZooCalculator:
    """One call in `every`, by chance, has `strength` eV too much energy and `strength` eV/Å on the first atom."""

    def change(call: int, answer: Evaluation) -> Evaluation:
        struck = np.random.default_rng((seed, call)).random() < 1.0 / every
        return _struck(answer, strength) if struck else answer

    return _by_call(host, change)


def spin_up(*, strength: float = 0.1, host: str = "argon") -> ZooCalculator:
    """The first call alone has `strength` eV too much energy and `strength` eV/Å on the first atom."""
    return _by_call(host, lambda call, answer: answer if call else _struck(answer, strength))


def ageing(*, strength: float = 1e-5, host: str = "argon") -> ZooCalculator:
    """The energy rises by `strength` eV with every call."""
    return _by_call(host, lambda call, answer: dataclasses.replace(answer, energy=answer.energy + strength * call))


def _struck(answer: Evaluation, strength: float) -> Evaluation:
    forces = answer.forces.copy()
    forces[0, 0] += strength
    return dataclasses.replace(answer, energy=answer.energy + strength, forces=forces)


def _by_call(host: str, change: Change) -> ZooCalculator:
    potential, calls = sound(find_host(host)), itertools.count()

    def evaluate(configuration: Configuration) -> Evaluation:
        return change(next(calls), potential(configuration))

    return ZooCalculator(evaluate)
