"""Structure and dynamics of recorded runs beside those of a reference."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.errors import InputError
from mdsuite.judgement.criteria import Profile, read_profile
from mdsuite.judgement.judge import Judged, Outcome, judge
from mdsuite.recorded import recorded
from mdsuite.runs import Start, read_run
from mdsuite.structures import read_frames_of, velocities_of
from mdsuite_analysis.measurement import NOT_KNOWN, Measurement, undefined
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


def compare(folders: Sequence[Path], reference: Sequence[Path], spacing_fs: float | None = None) -> Compared:
    """Compare recorded runs with a reference of the same atoms.

    The reference is recorded runs, or files of frames that ASE reads, as of ab initio dynamics: their cell must be that
    of the runs, their frames `spacing_fs` apart. Raises InputError for what is of another structure or cannot be read.
    """
    runs = [read_run(folder) for folder in folders]
    start = runs[0].start
    _require_alike([run.start for run in runs], start)
    try:
        ours = [_settled(read_frames(folder)) for folder in folders]
        theirs = [_settled(each) for path in reference for each in _reference(path, start, spacing_fs)]
    except UnreadableRunError as error:
        raise InputError(str(error)) from error
    found = [*structure_distances(ours, theirs, start.configuration), *_vibrations(ours, theirs, start)]
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


def _require_alike(starts: Sequence[Start], start: Start) -> None:
    alike = all(np.array_equal(each.numbers, start.numbers) for each in starts)
    if not alike or any(each.pbc != start.pbc or not np.allclose(each.cell, start.cell) for each in starts):
        raise InputError("a reference must be of the same atoms in the same cell as the runs; these are not")


def _reference(path: Path, start: Start, spacing_fs: float | None) -> list[Frames]:
    if path.is_dir():
        folders = recorded([path])
        _require_alike([read_run(folder).start for folder in folders], start)
        return [read_frames(folder) for folder in folders]
    return [_from_file(path, start, spacing_fs)]


def _from_file(file: Path, start: Start, spacing_fs: float | None) -> Frames:
    """Frames of a file; velocities are nan where it has none, or nobody says how far apart the frames are."""
    atoms = read_frames_of(file)
    _require_alike_frames(atoms, file, start)
    dated = spacing_fs is not None and all(each.has("momenta") for each in atoms)
    shape = (len(atoms), start.n_atoms, 3)
    return Frames(
        time=np.arange(len(atoms), dtype=np.float64) * ((spacing_fs or 1.0) * 1e-3),
        positions=np.array([each.positions for each in atoms]),
        velocities=np.array([velocities_of(each) for each in atoms]) if dated else np.full(shape, np.nan),
        forces=np.full(shape, np.nan),
        virial=np.full((len(atoms), 3, 3), np.nan),
    )


def _require_alike_frames(atoms: Sequence[Any], file: Path, start: Start) -> None:
    cell = np.asarray(start.cell)[list(start.pbc)]
    for k, each in enumerate(atoms):
        if not np.array_equal(each.numbers, start.numbers):
            raise InputError(
                f"{file}: frame {k} is of {each.get_chemical_formula()}, not of the atoms of the runs in their order"
            )
        if tuple(map(bool, each.pbc)) != start.pbc or not np.allclose(each.cell[:][list(start.pbc)], cell, atol=1e-3):
            raise InputError(f"{file}: frame {k} has another cell than the runs, or is periodic where they are not")


def _vibrations(ours: Sequence[Frames], theirs: Sequence[Frames], start: Start) -> list[Measurement]:
    if any(np.isnan(each.velocities).all() for each in theirs):
        why = f"{NOT_KNOWN}the reference has no velocities, or nobody said how far apart its frames are"
        return [undefined("vdos_distance", "1", why), undefined("vdos_shift", "cm⁻¹", why)]
    return vdos_distances(ours, theirs, start.masses, start.numbers)


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
