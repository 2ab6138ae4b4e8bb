"""Measurements of other packages: entry points of the group ``mdsuite.measurements``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mdsuite import __version__
from mdsuite.judgement.criteria import measurements_judged
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.trajectory import Trajectory

GROUP = "mdsuite.measurements"

Measure = Callable[[Trajectory], Iterable[Measurement]]
"""Asked once for every run that came to its end."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What other packages say of a trajectory.

    reasons : why some of them say nothing
    """

    measurements: tuple[Measurement, ...] = ()
    reasons: tuple[str, ...] = ()


def measured_by() -> str:
    """Version of mdsuite and of the packages that measure too: where it differs, runs are measured again."""
    return "; ".join([__version__, *(f"{point.name} of {_package(point)}" for point in _points())])


def contributed(trajectory: Trajectory, ours: Sequence[Measurement]) -> Contribution:
    """What every package measures; names that mdsuite uses itself are refused, and what raises is told."""
    taken = {each.name for each in ours} | measurements_judged()
    measurements: list[Measurement] = []
    reasons = []
    for point in _points():
        try:
            found = _asked(point, trajectory, taken)
        except Exception as error:  # whatever somebody else's package raises
            reasons.append(f"{point.name} of {_package(point)} could not be measured: {type(error).__name__}: {error}")
            continue
        measurements += found
        taken |= {each.name for each in found}
    return Contribution(tuple(measurements), tuple(reasons))


def _asked(point: EntryPoint, trajectory: Trajectory, taken: set[str]) -> list[Measurement]:
    measure: Measure = point.load()
    found = list(measure(trajectory))
    for each in found:
        if not isinstance(each, Measurement):
            raise TypeError(f"wanted measurements, got {type(each).__name__}")
        if each.name in taken:
            raise ValueError(f"{each.name} is measured by mdsuite or by another package; choose another name")
    return found


def _points() -> tuple[EntryPoint, ...]:
    return _points_on(tuple(sys.path))


@cache  # it reads the metadata of every package, and is asked for every run
def _points_on(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=GROUP), key=lambda point: point.name))


def _package(point: EntryPoint) -> str:
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
