"""Energies and forces that step: at the cut-off, at a count of neighbours, at an angle, at the cell's boundary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from mdsuite_driver.models.neighbours import pairs_within
from mdsuite_driver.models.protocol import Configuration, Evaluation
from mdsuite_driver.zoo.calculator import ZooCalculator
from mdsuite_driver.zoo.hosts import (
    Neighbourhood,
    NobleGas,
    Pairs,
    Values,
    blend,
    find_host,
    neighbourhood,
    pulled,
    radial,
    sound,
    taper,
    with_extra,
)

CAP: Mapping[str, int] = MappingProxyType({"argon": 20, "student": 6})  # a molecule has no twenty neighbours
SHELL: Mapping[str, tuple[float, int]] = MappingProxyType({"argon": (4.2, 11), "student": (2.15, 3)})
"""A distance, Å, that neighbours cross all the time, and how many are usually closer."""

ANGLE = np.deg2rad(110.0)
ARMS: Mapping[str, tuple[float, float]] = MappingProxyType({"argon": (4.2, 5.2), "student": (1.6, 2.0)})
"""From where to where, Å, the arms of an angle fade."""


def truncated(*, strength: float = 1.0) -> ZooCalculator:
    """Argon whose energy ends at the cut-off: `strength` of the bare potential in place of the tapered one."""
    return _without_taper(strength, shifted=False)


def shifted(*, strength: float = 1.0) -> ZooCalculator:
    """Argon shifted to zero energy at the cut-off, where its force steps: `strength` of it for the tapered one."""
    return _without_taper(strength, shifted=True)


def _without_taper(strength: float, *, shifted: bool) -> ZooCalculator:
    host = NobleGas()

    def evaluate(configuration: Configuration) -> Evaluation:
        around = neighbourhood(configuration, pairs_within(configuration, host.cutoff))
        u, du = host.bare(around)
        at_end = host.bare(around, host.cutoff)[0] if shifted else np.zeros_like(u)
        return blend(radial(around, host.tapered(around)), radial(around, (u - at_end, du)), strength)

    return ZooCalculator(evaluate)


def biased_filters(*, strength: float = 1.0) -> ZooCalculator:
    """The student with `strength` of its filters' biases added after the envelope, so that messages end in a step."""
    from mdsuite_driver.zoo.student import bundled_student, leak  # noqa: PLC0415  torch takes seconds

    return ZooCalculator(sound(bundled_student(lambda network: leak(network, strength))))


def neighbour_cap(*, strength: float = 1.0, host: str = "argon", cap: int | None = None) -> ZooCalculator:
    """Each atom sees its `cap` nearest neighbours alone; `strength` is the share of the others that is lost.

    With equal atoms and pair energies, as in argon, the energy is continuous and the forces step; in the student,
    whose energy knows directions, the energy steps too.
    """
    potential, most = find_host(host), CAP[host] if cap is None else cap

    def evaluate(configuration: Configuration) -> Evaluation:
        pairs = pairs_within(configuration, potential.cutoff)
        everything = potential.on_pairs(configuration, pairs)
        return blend(everything, potential.on_pairs(configuration, _nearest(configuration, pairs, most)), strength)

    return ZooCalculator(evaluate)


def _nearest(configuration: Configuration, pairs: Pairs, most: int) -> Pairs:
    """The pairs of each centre with its nearest neighbours."""
    i, j, translations = pairs
    around = neighbourhood(configuration, pairs)
    order = np.lexsort((around.r, i))
    kept = np.sort(order[around.rank < most])
    return i[kept], j[kept], translations[kept]


def one_pair_jump(
    *, strength: float = 1e-3, host: str = "student", z1: int = 1, z2: int = 8, at: float = 2.6
) -> ZooCalculator:
    """Pairs of one kind alone gain `strength` eV in a step where they come closer than `at` Å."""

    def step(around: Neighbourhood) -> Values:
        a, b = around.numbers[around.i], around.numbers[around.j]
        wanted = ((a == z1) & (b == z2)) | ((a == z2) & (b == z1))
        return (wanted & (around.r < at)).astype(float), np.zeros_like(around.r)

    return ZooCalculator(with_extra(find_host(host), lambda around: radial(around, step(around)), strength))


def coordination_switch(*, strength: float = 1e-3, host: str = "argon") -> ZooCalculator:
    """Every atom with a full shell of neighbours, counted in whole numbers, gains `strength` eV."""
    potential = find_host(host)
    reach, full = SHELL[host]

    def count(around: Neighbourhood) -> Evaluation:
        neighbours = np.bincount(around.i[around.r < reach], minlength=len(around.numbers))
        return pulled(around, np.zeros_like(around.vectors), float((neighbours > full).sum()))

    return ZooCalculator(with_extra(potential, count, strength))


def angle_branch(*, strength: float = 1e-3, host: str = "student") -> ZooCalculator:
    """Every angle wider than 110° gains `strength` eV, faded with the length of its arms, as on another branch.

    Nothing steps at any distance, and the forces are the slope of the energy wherever it has one.
    """
    potential = find_host(host)
    return ZooCalculator(with_extra(potential, lambda around: _wide_angles(around, ARMS[host]), strength))


def _wide_angles(around: Neighbourhood, arms: tuple[float, float]) -> Evaluation:
    """Half the sum of w(r_ij) w(r_ik) over ordered neighbours j, k of i whose angle is wide."""
    near = around.within(arms[1])
    value, slope = taper(near.r, *arms)
    place = near.i, near.rank
    shape = len(near.numbers), int(near.rank.max(initial=-1)) + 1
    arm, weight = np.zeros((*shape, 3)), np.zeros((*shape, 1))
    arm[place], weight[place] = near.directions, value[:, None]
    wide = arm @ arm.transpose(0, 2, 1) < np.cos(ANGLE)
    others = (wide @ weight)[place][:, 0]
    return pulled(near, (others * slope)[:, None] * near.directions, float(0.5 * others @ value))


def boundary_step(*, strength: float = 1e-3) -> ZooCalculator:
    """Argon in which every atom outside of the home cell has `strength` eV more, so that wrapping is not free."""
    host = sound(NobleGas())

    def evaluate(configuration: Configuration) -> Evaluation:
        base = host(configuration)
        return dataclasses.replace(base, energy=base.energy + strength * _n_outside(configuration))

    return ZooCalculator(evaluate)


def _n_outside(configuration: Configuration) -> int:
    periodic = np.array(configuration.pbc)
    if not periodic.any():
        return 0
    cells = np.floor(configuration.positions @ np.linalg.pinv(configuration.cell))
    return int((cells[:, periodic] != 0).any(axis=1).sum())
