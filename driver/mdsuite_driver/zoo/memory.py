"""Answers that depend on what was asked before, or that change what was asked."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from mdsuite_driver.models.neighbours import pairs_within
from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray
from mdsuite_driver.zoo.calculator import ZooCalculator
from mdsuite_driver.zoo.hosts import Host, Pairs, find_host, sound
from mdsuite_driver.zoo.nonconservative import changed_forces


def stale_list(*, strength: float = 0.5, host: str = "argon") -> ZooCalculator:
    """A neighbour list without skin, kept until an atom has moved more than `strength` Å since it was made.

    Pairs that come within the cut-off meanwhile are missed.
    """
    return ZooCalculator(_KeptList(find_host(host), strength))


class _KeptList:
    def __init__(self, host: Host, reach: float) -> None:
        self._host = host
        self._reach = reach
        self._made: tuple[Configuration, Pairs] | None = None

    def __call__(self, configuration: Configuration) -> Evaluation:
        if self._made is None or not self._still_good(self._made[0], configuration):
            self._made = _copy(configuration), pairs_within(configuration, self._host.cutoff)
        made, pairs = self._made
        return self._host.on_pairs(_unwrapped(made, configuration), pairs)

    def _still_good(self, made: Configuration, configuration: Configuration) -> bool:
        if not _same_system(made, configuration):
            return False
        moved = _unwrapped(made, configuration).positions - made.positions
        return bool(np.linalg.norm(moved, axis=1).max(initial=0.0) <= self._reach)


def lagged(*, strength: float = 1.0, host: str = "argon") -> ZooCalculator:
    """Forces of `strength` calls ago, interpolated between whole calls; the energy is of now."""
    potential = sound(find_host(host))
    recent: deque[tuple[Configuration, FloatArray]] = deque(maxlen=math.ceil(strength) + 1)

    def evaluate(configuration: Configuration) -> Evaluation:
        answer = potential(configuration)
        if recent and not _same_system(recent[0][0], configuration):
            recent.clear()
        recent.appendleft((_copy(configuration), answer.forces))
        past = [recent[min(ago, len(recent) - 1)][1] for ago in (math.floor(strength), math.ceil(strength))]
        share = strength % 1.0
        return changed_forces(answer, lambda _: past[0] + share * (past[1] - past[0]))

    return ZooCalculator(evaluate)


def hysteresis(*, strength: float = 1e-5, host: str = "student") -> ZooCalculator:
    """Coordinates follow the atoms with a play of `strength` Å: the answer depends on whence the atoms came."""
    potential = sound(find_host(host))
    last: Configuration | None = None

    def evaluate(configuration: Configuration) -> Evaluation:
        nonlocal last
        x = configuration.positions
        if last is None or not _same_system(last, configuration):
            last = _copy(configuration)
        last = _moved(configuration, np.clip(last.positions, x - strength, x + strength))
        return potential(last)

    return ZooCalculator(evaluate)


def mutating(*, strength: float = 1e-3, host: str = "student") -> ZooCalculator:
    """Moves the atoms that it is asked about by `strength` Å along x, to and fro in turn, after it has answered.

    ASE then asks again for the next property of what it takes to be new positions.
    """
    potential = sound(find_host(host))

    def evaluate(configuration: Configuration) -> Evaluation:
        answer = potential(configuration)
        configuration.positions[::2, 0] += strength
        configuration.positions[1::2, 0] -= strength
        return answer

    return ZooCalculator(evaluate)


def _same_system(a: Configuration, b: Configuration) -> bool:
    return a.pbc == b.pbc and np.array_equal(a.numbers, b.numbers) and np.array_equal(a.cell, b.cell)


def _unwrapped(made: Configuration, configuration: Configuration) -> Configuration:
    """The images of the atoms that are nearest to where they were."""
    moved = configuration.positions - made.positions
    shifts = np.rint(moved @ np.linalg.pinv(configuration.cell)) * np.array(configuration.pbc)
    return _moved(configuration, configuration.positions - shifts @ configuration.cell)


def _copy(configuration: Configuration) -> Configuration:
    return _moved(configuration, configuration.positions.copy())


def _moved(configuration: Configuration, positions: FloatArray) -> Configuration:
    return Configuration(
        numbers=configuration.numbers, positions=positions, cell=configuration.cell, pbc=configuration.pbc
    )
