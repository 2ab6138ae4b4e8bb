"""Whether the energies of labelled frames change as their forces say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mdsuite.errors import InputError
from mdsuite.judgement.units import NEAR, nearly_mixed_units
from mdsuite.linear.data import Labelled as Frame

FARTHEST = 0.2
"""Å, by which an atom may move between two frames of which the work is taken."""

FEWEST = 10
"""Steps from which anything is said."""

ALIKE = 0.95
"""Cosine of the angle between all changes of energy and all works, from which one may be the other in other units."""

SAME = 1.25
"""Ratio up to which they are the same; what is not harmonic between two frames makes less of a difference."""

Step = tuple[float, float, int]
"""Work of the forces, fall of the energy, eV, and number of atoms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The work of the forces between frames that follow one another, against what the energy falls by.

    factor : how many times the one the other is, below zero where the energy rises; None where it cannot be known
    n_atoms : of the frames, where all have as many
    """

    n_steps: int
    factor: float | None
    n_atoms: int | None


def work_of(frames: Sequence[Frame]) -> Work:
    """By the trapezoidal rule, which is exact for what is harmonic however far two frames are apart.

    Frames that are not neighbours in a trajectory, or too far apart, make no step.
    """
    steps = list(_steps(frames))
    work, fall, n_atoms = np.array(steps).reshape(-1, 3).T
    product, sizes = float(work @ fall), (float(np.linalg.norm(work)), float(np.linalg.norm(fall)))
    known = len(steps) >= FEWEST and abs(product) > ALIKE * sizes[0] * sizes[1]
    return Work(
        n_steps=len(steps),
        factor=math.copysign(sizes[0] / sizes[1], product) if known else None,
        n_atoms=int(n_atoms[0]) if len(set(n_atoms)) == 1 else None,
    )


def require_same_units(work: Work, file: str) -> None:
    """Raise InputError where forces are not the negative derivative of the energy, but something times it."""
    if work.factor is None or 1.0 / SAME < work.factor < SAME:
        return
    raise InputError(
        f"wanted energies in eV and forces in eV/Å, but between {work.n_steps} pairs of close frames of {file} the "
        f"forces do {work.factor:.4g} times the work by which the energy falls{_reason(work)}. Convert the file, or "
        "name its other columns in [[labels]]"
    )


def _reason(work: Work) -> str:
    assert work.factor is not None
    if work.factor < 0.0:
        return ": these are gradients, forces have the other sign"
    if work.n_atoms is not None and math.isclose(work.factor, work.n_atoms, rel_tol=NEAR):
        return f", as many times as there are atoms: the energies are those of an atom, not of all {work.n_atoms}"
    said = nearly_mixed_units(work.factor)
    return "" if said is None else f", as with {said}"


def _steps(frames: Sequence[Frame]) -> Iterator[Step]:
    from ase.geometry import find_mic  # noqa: PLC0415  slow to import

    for one, other in itertools.pairwise(frames):
        if not _same_atoms(one, other):
            continue
        here, there = one.configuration, other.configuration
        moved, distances = find_mic(there.positions - here.positions, here.cell, here.pbc)
        if 0.0 < distances.max() <= FARTHEST:
            (before, pull), (after, pull_there) = one.labels, other.labels
            yield float(0.5 * ((pull + pull_there) * moved).sum()), before - after, one.n_atoms


def _same_atoms(one: Frame, other: Frame) -> bool:
    here, there = one.configuration, other.configuration
    return (
        np.array_equal(here.numbers, there.numbers) and here.pbc == there.pbc and np.array_equal(here.cell, there.cell)
    )
