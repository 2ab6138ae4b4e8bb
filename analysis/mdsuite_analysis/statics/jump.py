"""Where energy or forces are discontinuous along a path, and by how much.

A scan is compared, interval by interval, with what smooth curves through the points on either side predict. Where the
two sides disagree more than the surroundings do, the interval is bisected. The step is then the difference of curves
fitted on either side, over lengths from 1e-2 to 1e-6 Å: a discontinuity is seen at all of them, a sharp but smooth bend
not at the short ones, rounding less at the long ones. So the length at which least is seen tells. The largest of many
steps is measured anew at points that were not used to find it, for it may only be the luckiest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mdsuite_analysis.potential import Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.path import Path, Samples, sample
from mdsuite_analysis.statistics import SHORTEST, autocorrelation_time

NARROWEST = 1e-9
"""Width, Å, to which a step is bisected."""

SPANS = (1e-2, 1e-3, 1e-6)
"""Lengths, Å, of the curves fitted on either side of a step of the forces."""

ENERGY_SPANS = SPANS[:2]
"""The same of the energy: what rises within 1e-3 Å is a step to any timestep."""

SIDE = 4
"""Points of a cubic; so many samples of a scan lie beyond its ends."""

STANDARD_ERRORS = 1.96
_WINDOW = 20  # intervals on either side that tell what is usual
_STANDS_OUT = 8.0  # times the usual: 5.4 standard deviations of normal noise
_ROUGH, _FINE = SIDE, SHORTEST  # points per side, to find the largest step and to measure it


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A step at one point of a path.

    at : Å
    height, error : with its standard error; eV of the energy, eV/Å of the forces
    """

    at: float
    height: float
    error: float


class Place(NamedTuple):
    """A point of a path where there may be a step, with rough heights of energy and forces (n_atoms, 3)."""

    path: Path
    at: float
    energy: float
    forces: Floats


class Candidate(NamedTuple):
    """An interval of a scan in which there may be a step of the energy or of the forces.

    excess : by how much it exceeds what would stand out
    """

    path: Path
    scan: Samples
    interval: int
    of_forces: bool
    excess: float


def candidates(path: Path, scan: Samples, *, most: int = 2) -> list[Candidate]:
    """Intervals of evenly spaced samples that stand out, `most` for energy and for forces; the quietest if none.

    The energy stands out where either side's prediction fails, or where it changes by what the forces do not say; the
    latter sees smaller steps unless the forces are no gradient, and then it is nothing unusual.
    """
    of_energy = np.maximum(_excess(np.abs(_steps(scan.energy))), _excess(np.abs(_unexplained_changes(scan))))
    of_forces = _excess(np.linalg.norm(_steps(scan.forces), axis=2).max(axis=1))
    found = []
    for is_force, excess in ((False, of_energy), (True, of_forces)):
        for n in range(most):
            k = int(np.clip(np.argmax(excess), 1, len(excess) - 2))
            if n and not excess[k] > 0.0:
                break
            found.append(Candidate(path, scan, k + SIDE - 1, is_force, float(excess[k])))
            excess[max(k - SIDE, 0) : k + SIDE + 1] = -np.inf
    return found


def expected(path: Path, scan: Samples, at: float) -> list[Candidate]:
    """The interval around a point, whether it stands out or not; none if it is not inside the scan."""
    if not scan.s[SIDE + 1] < at < scan.s[-SIDE - 2]:
        return []
    k = int(np.searchsorted(scan.s, at)) - 1
    return [Candidate(path, scan, k, of_forces, np.inf) for of_forces in (False, True)]


def places(potential: Potential, among: Sequence[Candidate], *, most: int) -> list[Place]:
    """The steps of the candidates that stand out most, `most` for energy and for forces."""
    found: list[Place] = []
    for of_forces in (False, True):
        ranked = sorted((each for each in among if each.of_forces is of_forces), key=lambda each: -each.excess)
        for candidate in ranked[:most]:
            found += _places(potential, candidate)
    return found


def _places(potential: Potential, candidate: Candidate) -> list[Place]:
    ways = (_by_forces,) if candidate.of_forces else (_by_energy, _by_work)
    found = {round(_bisected(potential, candidate, way) / NARROWEST) for way in ways}
    return [_rough(potential, candidate.path, at * NARROWEST) for at in sorted(found)]


def energy_jump(potential: Potential, found: Sequence[Place], *, tries: int = 1) -> Jump:
    """The largest step of the energy, of the `tries` that seem so."""
    ranked = sorted(found, key=lambda each: -abs(each.energy))
    return max((_energy_step(potential, place) for place in ranked[:tries]), key=_surely)


def _energy_step(potential: Potential, place: Place) -> Jump:
    sides = {span: _sides(potential, place, span, _FINE) for span in ENERGY_SPANS}
    height, error = _least(_height(below.energy, above.energy, span) for span, (below, above) in sides.items())
    return Jump(at=place.at, height=height, error=error)


def force_jump(potential: Potential, found: Sequence[Place], *, tries: int = 1) -> Jump:
    """The largest step of a force, of the `tries` that seem so."""
    ranked = sorted(found, key=lambda each: -float(np.linalg.norm(each.forces, axis=1).max()))
    return max((_force_step(potential, place) for place in ranked[:tries]), key=_surely)


def _force_step(potential: Potential, place: Place) -> Jump:
    """Of the atom on which it is largest, along the direction that was found first, so that it is unbiased."""
    size = np.linalg.norm(place.forces, axis=1)
    atom = int(np.argmax(size))
    direction = place.forces[atom] / max(float(size[atom]), 1e-300)
    sides = {span: _sides(potential, place, span, _FINE) for span in SPANS}
    height, error = _least(
        _height(below.forces[:, atom] @ direction, above.forces[:, atom] @ direction, span)
        for span, (below, above) in sides.items()
    )
    return Jump(at=place.at, height=height, error=error)


def _surely(jump: Jump) -> tuple[float, float]:
    """How large it is at least, and how large it seems; other steps near by make a height uncertain."""
    return max(abs(jump.height) - STANDARD_ERRORS * jump.error, 0.0), abs(jump.height)


def _least(heights: Iterable[tuple[float, float]]) -> tuple[float, float]:
    return min(heights, key=lambda each: abs(each[0]) + STANDARD_ERRORS * each[1])


def _steps(values: Floats) -> Floats:
    """Right minus left cubic, extrapolated to the middle of every interval that has four points on each side."""
    n = len(values) - 2 * SIDE + 1
    weights = _cubic(np.arange(0.0, -SIDE, -1.0), 0.5)
    left = sum(weight * values[SIDE - 1 - j : SIDE - 1 - j + n] for j, weight in enumerate(weights))
    right = sum(weight * values[SIDE + j : SIDE + j + n] for j, weight in enumerate(weights))
    return np.asarray(right - left)


def _unexplained_changes(scan: Samples) -> Floats:
    """Of the energy over the same intervals, less the work of the forces, and less what is usual around them."""
    f = scan.force[SIDE - 2 : len(scan.s) - SIDE + 2]
    work = (13.0 * (f[1:-2] + f[2:-1]) - f[:-3] - f[3:]) / 24.0 * (scan.s[1] - scan.s[0])
    changes = np.diff(scan.energy[SIDE - 1 : len(scan.s) - SIDE + 1]) + work
    return np.asarray(changes - _around(changes))


def _excess(step: Floats) -> Floats:
    """How much of a step is beyond what would stand out from its surroundings."""
    return np.asarray(step - _STANDS_OUT * _around(step))


def _around(values: Floats) -> Floats:
    """The median of each interval's surroundings, without those whose points it shares."""
    k = np.arange(len(values))
    apart = np.abs(k[:, None] - k)
    around = np.where((apart >= SIDE) & (apart <= _WINDOW), values, np.nan)
    return np.asarray(np.nanmedian(around, axis=1))


def _cubic(points: Floats, at: float) -> Floats:
    """Weights with which values at four points give the cubic through them at another."""
    powers = np.arange(SIDE)
    return np.asarray(np.linalg.solve((points[:, None] ** powers).T, at**powers))


_SideOf = Callable[[Samples, int, Samples, Samples, Samples], bool]
"""From a scan, an interval of it, and three points in it: whether the middle one lies below the step."""


def _bisected(potential: Potential, candidate: Candidate, side_of: _SideOf) -> float:
    """Where the step in an interval or in one beside it is; a step shows in its neighbours too."""
    scan, k = candidate.scan, candidate.interval
    below, above = (Samples(*(values[j : j + 1] for values in scan)) for j in (k - 1, k + 2))
    while above.s[0] - below.s[0] > NARROWEST:
        middle = sample(potential, candidate.path, 0.5 * (below.s + above.s))
        if side_of(scan, k, below, middle, above):
            below = middle
        else:
            above = middle
    return float(0.5 * (below.s[0] + above.s[0]))


def _by_energy(scan: Samples, k: int, _: Samples, middle: Samples, __: Samples) -> bool:
    return _predicted(scan.s, scan.energy[:, None], k, middle.s[0], middle.energy)


def _by_forces(scan: Samples, k: int, _: Samples, middle: Samples, __: Samples) -> bool:
    return _predicted(scan.s, scan.forces.reshape(len(scan.s), -1), k, middle.s[0], middle.forces.reshape(-1))


def _predicted(s: Floats, values: Floats, k: int, at: float, value: Floats) -> bool:
    """Whether the cubic through the samples below predicts a value better than the one through those above."""
    origin, width = s[k], s[k + 1] - s[k]
    sides = (slice(k - SIDE, k), slice(k + 2, k + 2 + SIDE))
    below, above = (
        np.linalg.norm(value - _cubic((s[side] - origin) / width, (at - origin) / width) @ values[side])
        for side in sides
    )
    return bool(below < above)


def _by_work(_: Samples, __: int, below: Samples, middle: Samples, above: Samples) -> bool:
    """By where the energy changes by what the forces do not say; other steps near by do not mislead it."""
    first, second = (abs(_unexplained(*ends)) for ends in ((below, middle), (middle, above)))
    return first < second


def _unexplained(a: Samples, b: Samples) -> float:
    return float((b.energy - a.energy + 0.5 * (a.force + b.force) * (b.s - a.s))[0])


def _rough(potential: Potential, path: Path, at: float) -> Place:
    empty = Place(path, at, 0.0, np.zeros(0))
    energies, forces = [], []
    for span in SPANS:
        below, above = _sides(potential, empty, span, _ROUGH)
        weights = _edge_weights(_ROUGH, span)
        energies.append(float(weights @ (above.energy - below.energy)))
        forces.append(np.tensordot(weights, above.forces - below.forces, 1))
    energy = min(energies[: len(ENERGY_SPANS)], key=abs)
    return Place(path, at, energy, min(forces, key=lambda each: float(np.linalg.norm(each))))


def _sides(potential: Potential, place: Place, span: float, n: int) -> tuple[Samples, Samples]:
    """Samples at mirrored distances below and above a point, nearest first."""
    distances = span * _distances(n, span)
    return sample(potential, place.path, place.at - distances), sample(potential, place.path, place.at + distances)


def _height(below: Floats, above: Floats, span: float) -> tuple[float, float]:
    """Difference of cubics at the point between, and its standard error; correlated scatter counts as such."""
    n = len(below)
    weights = _edge_weights(n, span)
    variance = 0.0
    for side in (below, above):
        rest = side - _projection(n, span) @ side
        correlation = 2.0 * autocorrelation_time(rest)
        variance += float(rest @ rest) / (n - SIDE) * correlation * float(weights @ weights)
    return float(weights @ (above - below)), variance**0.5


def _distances(n: int, span: float) -> Floats:
    """Of the points on a side from the step, whose place is known to a few `NARROWEST`, in spans."""
    return 5.0 * NARROWEST / span + (np.arange(n) + 0.5) / n


@lru_cache
def _powers(n: int, span: float) -> Floats:
    return np.asarray(_distances(n, span)[:, None] ** np.arange(SIDE))


@lru_cache
def _edge_weights(n: int, span: float) -> Floats:
    """Weights (n,) that extrapolate a fitted cubic to distance zero."""
    return np.asarray(np.linalg.pinv(_powers(n, span))[0])


@lru_cache
def _projection(n: int, span: float) -> Floats:
    return np.asarray(_powers(n, span) @ np.linalg.pinv(_powers(n, span)))
