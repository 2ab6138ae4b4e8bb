"""The sound potentials as they are, and ones that are sound in every way but for what they say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from ase.data import covalent_radii

from mdsuite_driver.models.neighbours import pairs_within
from mdsuite_driver.models.protocol import Configuration, Evaluation
from mdsuite_driver.zoo.calculator import ZooCalculator
from mdsuite_driver.zoo.hosts import (
    Neighbourhood,
    NobleGas,
    Pairs,
    Potential,
    Values,
    blend,
    find_host,
    neighbourhood,
    radial,
    sound,
    taper,
)

DEPTH, STIFFNESS, REACH = 0.2, 1.5, (4.0, 5.0)  # eV, 1/Å, Å: of the wrong bonds
SWELLING = 1.1  # of the wrong argon atoms
CLOSEST: Mapping[str, float] = MappingProxyType({"argon": 3.25, "student": 0.95})
"""Å, to which some atoms come within picoseconds at 60 and 300 K."""

SLIPS: Mapping[str, float] = MappingProxyType(
    {"energy": 23.060548, "forces": 0.52917721, "both": 23.060548, "positions": 1.0 / 0.52917721}
)
"""kcal/mol in an eV, Bohr in Å, and their like."""


def clean(*, strength: float = 0.0, host: str = "argon") -> ZooCalculator:
    """The host itself, whatever the strength."""
    return ZooCalculator(sound(find_host(host)))


def wrong_potential(*, strength: float = 1.0, host: str = "student") -> ZooCalculator:
    """A smooth, conservative potential with `strength` of another one, whose minimum is elsewhere.

    All atoms of a molecule attract each other as if bonded, and it collapses into a hot drop; argon atoms are 10 %
    larger than their crystal has room for.
    """
    right = find_host(host)
    wrong: Potential = sound(NobleGas(swelling=SWELLING)) if host == "argon" else _drop

    def evaluate(configuration: Configuration) -> Evaluation:
        pairs = pairs_within(configuration, right.cutoff)
        return blend(right.on_pairs(configuration, pairs), wrong(configuration), strength)

    return ZooCalculator(evaluate)


def _drop(configuration: Configuration) -> Evaluation:
    around = neighbourhood(configuration, pairs_within(configuration, REACH[1]))
    return radial(around, _morse(around))


def _morse(around: Neighbourhood) -> Values:
    """Morse bonds of one depth between all atoms, at the sums of their covalent radii."""
    radii = covalent_radii[around.numbers]
    x = np.exp(-STIFFNESS * (around.r - radii[around.i] - radii[around.j]))
    u, du = DEPTH * (x * x - 2.0 * x), -2.0 * DEPTH * STIFFNESS * (x * x - x)
    w, dw = taper(around.r, *REACH)
    return u * w, du * w + u * dw


def unit_slip(*, strength: float = 1.0, host: str = "argon", what: str = "energy") -> ZooCalculator:
    """`what` is handed over in another unit; `strength` is the share of the slip, 1 a whole one.

    energy: in kcal/mol; forces: in eV/Bohr; both: energy, forces and virial in kcal and mol, which are consistent;
    positions: taken in Bohr.
    """
    if what not in SLIPS:
        raise ValueError(f"wanted a slip of {', '.join(SLIPS)}, got {what!r}")
    potential, factor = sound(find_host(host)), 1.0 + strength * (SLIPS[what] - 1.0)
    if what == "positions":
        return ZooCalculator(lambda configuration: potential(_magnified(configuration, factor)))
    on_energy = factor if what in {"energy", "both"} else 1.0
    on_forces = factor if what in {"forces", "both"} else 1.0
    on_virial = factor if what == "both" else 1.0

    def evaluate(configuration: Configuration) -> Evaluation:
        right = potential(configuration)
        return Evaluation(
            energy=right.energy * on_energy, forces=right.forces * on_forces, virial=right.virial * on_virial
        )

    return ZooCalculator(evaluate)


def _magnified(configuration: Configuration, factor: float) -> Configuration:
    return dataclasses.replace(
        configuration, positions=configuration.positions * factor, cell=configuration.cell * factor
    )


def nan_gap(*, strength: float = 1.0, host: str = "student") -> ZooCalculator:
    """NaN where two atoms are closer than `strength` times a distance that they sometimes come to."""
    potential, closest = find_host(host), strength * CLOSEST[host]

    def evaluate(configuration: Configuration) -> Evaluation:
        pairs = pairs_within(configuration, potential.cutoff)
        answer = potential.on_pairs(configuration, pairs)
        return _nan(answer) if _shortest(configuration, pairs) < closest else answer

    return ZooCalculator(evaluate)


def _shortest(configuration: Configuration, pairs: Pairs) -> float:
    return float(neighbourhood(configuration, pairs).r.min(initial=np.inf))


def _nan(answer: Evaluation) -> Evaluation:
    return Evaluation(energy=np.nan, forces=np.full_like(answer.forces, np.nan), virial=np.full((3, 3), np.nan))
