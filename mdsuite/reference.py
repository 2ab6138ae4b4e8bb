"""Structure and dynamics of recorded runs beside those of a reference."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.errors import InputError
from mdsuite.judgement.criteria import Profile, read_profile
from mdsuite.judgement.judge import Judged, Outcome, judge
from mdsuite.run import read_run
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.read import UnreadableRunError, read_frames
from mdsuite_analysis.series import Frames
from mdsuite_analysis.spectrum import vdos_distances
from mdsuite_analysis.structure import structure_distances
from mdsuite_analysis.transient import FRACTION

PROFILE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was measured of runs and a reference together, and what the criteria say of it.

    unmeasured : what could not be, with the reason
    """

    profile: Profile
    measurements: tuple[Measurement, ...]
    judged: tuple[Judged, ...]
    unmeasured: tuple[Measurement, ...]


def compare(folders: Sequence[Path], reference: Sequence[Path]) -> Compared:
    """Compare recorded runs with recorded runs of the same structure.

    Raises InputError for runs that are not of one structure.
    """
    runs = [read_run(folder) for folder in (*folders, *reference)]
    start = runs[0].start
    alike = all(np.array_equal(run.start.numbers, start.numbers) for run in runs)
    if not alike or any(run.start.pbc != start.pbc or not np.allclose(run.start.cell, start.cell) for run in runs):
        raise InputError("a reference must be of the same atoms in the same cell as the runs; these are not")
    try:
        ours, theirs = ([_settled(read_frames(folder)) for folder in of] for of in (folders, reference))
    except UnreadableRunError as error:
        raise InputError(str(error)) from error
    found = [
        *structure_distances(ours, theirs, start.configuration),
        *vdos_distances(ours, theirs, start.masses, start.numbers),
    ]
    profile = read_profile(PROFILE)
    judged = [
        judge(criterion, each, {}) for criterion in profile.criteria for each in _of(criterion.measurement, found)
    ]
    return Compared(
        profile=profile,
        measurements=tuple(each for each in found if math.isfinite(each.value)),
        judged=tuple(each for each in judged if each.outcome is not Outcome.NOT_RUN),
        unmeasured=tuple(each for each in found if not math.isfinite(each.value)),
    )


def _of(pattern: str, found: Sequence[Measurement]) -> list[Measurement]:
    return [each for each in found if fnmatch.fnmatch(each.name, pattern) and math.isfinite(each.value)]


def _settled(frames: Frames) -> Frames:
    """Without the first tenth."""
    begin = math.ceil(FRACTION * len(frames.time))
    return Frames(
        time=frames.time[begin:],
        positions=frames.positions[begin:],
        velocities=frames.velocities[begin:],
        forces=frames.forces[begin:],
        virial=frames.virial[begin:],
    )
