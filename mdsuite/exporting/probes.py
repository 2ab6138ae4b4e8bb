"""Configurations of many sizes, on which an export is compared with its model."""

from __future__ import annotations

import numpy as np

from mdsuite.runs import FloatArray, IntArray
from mdsuite.structures import bundled_structures, configuration, read_structure
from mdsuite_analysis.elements import COVALENT_RADII, symbol
from mdsuite_analysis.potential import Configuration
from mdsuite_driver.models.protocol import Configuration as Question
from mdsuite_driver.models.protocol import ModelCard

N_PROBES = 24
SHAKEN = 0.05  # Å, standard deviation of every coordinate
FEWEST = 4  # atoms
ROOM = 2.0  # Å, between an atom's surface and the next of random ones
TRIES = 1000


def probes(card: ModelCard, *, seed: int = 0) -> list[Question]:
    """At least twenty, no two of which need have as many atoms; half of them periodic where the model is.

    Pieces of the bundled structures of the model's elements, shaken; where there is none, atoms at random, far enough
    from one another.
    """
    rng = np.random.default_rng(seed)
    known = [configuration(read_structure(name)) for name in bundled_structures()]
    usable = [each for each in known if _served(each, card)]
    return [_probe(usable, card, rng, periodic=card.periodic and k % 2 == 1) for k in range(N_PROBES)]


def _served(of: Configuration, card: ModelCard) -> bool:
    return set(of.numbers.tolist()) <= set(card.species or ())


def _probe(usable: list[Configuration], card: ModelCard, rng: np.random.Generator, *, periodic: bool) -> Question:
    if usable:
        of = usable[int(rng.integers(len(usable)))]
        kept = np.sort(rng.permutation(len(of.numbers))[: int(rng.integers(FEWEST, len(of.numbers) + 1))])
        numbers, positions = of.numbers[kept], of.positions[kept]
        positions = positions + rng.normal(scale=SHAKEN, size=positions.shape)
    else:
        numbers, positions = _gas(card, rng)
    extent = np.ptp(positions, axis=0) + 2.0 * (card.cutoff or 5.0) * rng.uniform(0.6, 1.0)
    cell = np.diag(np.maximum(extent, card.minimum_width)) if periodic else np.zeros((3, 3))
    return Question(numbers=numbers, positions=positions, cell=cell, pbc=(periodic,) * 3)


def _gas(card: ModelCard, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Atoms of the model's elements at random in a cube, none within bonding distance of another."""
    species = np.array(card.species or (18,))
    n = int(rng.integers(FEWEST, 30))
    numbers = rng.choice(species, size=n)
    radii = np.array([COVALENT_RADII[symbol(int(z))] for z in numbers])
    edge = 1.2 * float(np.cbrt(((2.0 * radii + ROOM) ** 3).sum()))
    placed: list[FloatArray] = []
    for _ in range(TRIES):
        if len(placed) == n:
            break
        point = rng.uniform(0.0, edge, size=3)
        k = len(placed)
        if all(np.linalg.norm(point - other) > 0.8 * (radii[k] + radii[m]) for m, other in enumerate(placed)):
            placed.append(point)
    return numbers[: len(placed)], np.array(placed)
