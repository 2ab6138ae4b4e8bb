"""Run folders, read."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import h5py
import MDAnalysis
import numpy as np
from MDAnalysis.core.universe import Universe
from scipy.constants import N_A, e

from mdsuite_analysis.elements import symbol
from mdsuite_analysis.ledger.sampling import Sample
from mdsuite_analysis.series import EnergySeries, Floats, Frames

_EVERY_STEP = "parameters/every_step"
_PARTICLES = "particles/trajectory"
_CONSERVED = "conserved_energy"  # not every integrator reckons it
_OBSERVABLES = "observables/trajectory"
_LEDGER = "parameters/ledger"
KJ_PER_MOL = N_A * e * 1e-3
"""1 eV in kJ/mol, in which forces are recorded."""
_COLUMNS = ("step", "time", "potential_energy", "kinetic_energy", "total_energy", "temperature")


class UnreadableRunError(ValueError):
    """A run folder whose segments are missing, damaged or not contiguous."""


def segments(folder: Path) -> list[Path]:
    """The segment files of a run folder in order, numbered from zero without a gap.

    What a run recorded of a chunk that it could not finish follows as the last.
    """
    found = sorted((folder / "segments").glob("*.h5md"))
    tail = folder / f"tail-{len(found):06d}.h5md"
    if not found and not tail.exists():
        raise UnreadableRunError(f"{folder / 'segments'} holds no *.h5md segment; has the run started?")
    wanted = [f"{number:06d}.h5md" for number in range(len(found))]
    for name, path in zip(wanted, found, strict=True):
        if path.name != name:
            raise UnreadableRunError(f"{path.parent} lacks {name}, but holds {found[-1].name}; a segment was lost")
    return [*found, tail] if tail.exists() else found


def read_energies(folder: Path) -> EnergySeries:
    """The energies of every step of a run, read from all its segments."""
    parts = [_read_columns(path) for path in segments(folder)]
    names = [*_COLUMNS, *([_CONSERVED] if all(_CONSERVED in part for part in parts) else [])]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    step = columns.pop("step").astype(np.int64)
    _check_contiguous(folder, step)
    return EnergySeries(step=step, n_atoms=len(_species(segments(folder)[0])), **columns)


def read_frames(folder: Path) -> Frames:
    """The frames of a run in double precision and in its user's axes, read from all its segments."""
    parts = [part for part in map(_read_frames, segments(folder)) if len(part.time)]
    if not parts:
        raise UnreadableRunError(f"the segments of {folder} hold no frame")
    return Frames(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Frames)})


def read_ledger(folder: Path) -> list[Sample]:
    """What the energy ledger keeps of each segment of a run; empty where its engine asked nobody for forces."""
    return [sample for sample in map(_read_sample, segments(folder)) if sample is not None]


def _read_sample(path: Path) -> Sample | None:
    with _opened(path) as file:
        if _LEDGER not in file:
            return None
        return Sample.from_arrays({name: np.asarray(values[()]) for name, values in file[_LEDGER].items()})


def _read_frames(path: Path) -> Frames:
    with _opened(path) as file:
        axes = _dataset(file, "parameters/axes")
        inverse = axes.T
        names = {"positions": "position", "velocities": "velocity", "forces": "force"}
        vectors = {key: _dataset(file, f"{_PARTICLES}/{name}/value") @ inverse for key, name in names.items()}
        vectors["forces"] = vectors["forces"] / KJ_PER_MOL
        virial = axes @ _dataset(file, f"{_OBSERVABLES}/virial/value") @ inverse
        return Frames(time=_dataset(file, f"{_PARTICLES}/position/time"), virial=virial, **vectors)


def universe(folder: Path) -> Universe:
    """The frames of a run as an MDAnalysis universe with elements and masses.

    Positions in Å, velocities in Å/ps, times of frames (``ts.time``) in ps as recorded; MDAnalysis holds
    coordinates in single precision.
    """
    paths = segments(folder)
    framed = [path for path in paths if _frame_times(path).size]  # MDAnalysis refuses a file without frames
    if not framed:
        raise UnreadableRunError(f"the {len(paths)} segments of {folder} hold no frame")
    for path in framed:
        _check_cell(path)
    topology = _topology(paths[0])
    return topology.load_new([str(path) for path in framed], format="H5MD", dt=_frame_spacing(framed))


def _topology(path: Path) -> Universe:
    names = [symbol(int(number)) for number in _species(path)]
    atoms = MDAnalysis.Universe.empty(len(names), trajectory=False)
    for attribute in ("elements", "names", "types"):
        atoms.add_TopologyAttr(attribute, names)
    atoms.add_TopologyAttr("masses", _read(path, f"{_PARTICLES}/mass"))
    return atoms


def _frame_spacing(paths: Sequence[Path]) -> float:
    # MDAnalysis' H5MD reader never learns the spacing itself, warns, and then dates chained files by 1 ps a frame.
    times = np.concatenate([_frame_times(path) for path in paths])
    return float(times[1] - times[0]) if len(times) > 1 else 1.0


def _frame_times(path: Path) -> Floats:
    return _read(path, f"{_PARTICLES}/position/time")


def _check_cell(path: Path) -> None:
    """MDAnalysis keeps lengths and angles of a cell but not its orientation, so that must be the standard one."""
    with _opened(path) as file:
        if f"{_PARTICLES}/box/edges/value" not in file:
            return
        edges = np.asarray(file[f"{_PARTICLES}/box/edges/value"])
    if np.abs(np.triu(edges, 1)).max() > 1e-6 or (np.diagonal(edges, axis1=1, axis2=2) < 0.0).any():
        raise UnreadableRunError(
            f"{path} has a cell that is not lower triangular with a positive diagonal; turn it (and the atoms) so"
        )


def _check_contiguous(folder: Path, step: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    expected = np.arange(len(step))
    if not np.array_equal(step, expected):
        first = int(np.argmax(step != expected))
        raise UnreadableRunError(f"{folder}: step {first} should follow, but {step[first]} does; a segment is damaged")


def _species(path: Path) -> Floats:
    return _read(path, f"{_PARTICLES}/species")


def _read_columns(path: Path) -> dict[str, Floats]:
    with _opened(path) as file:
        optional = [_CONSERVED] if f"{_EVERY_STEP}/{_CONSERVED}" in file else []
        return {name: _dataset(file, f"{_EVERY_STEP}/{name}") for name in (*_COLUMNS, *optional)}


def _read(path: Path, name: str) -> Floats:
    with _opened(path) as file:
        return _dataset(file, name)


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UnreadableRunError(f"{path} is not a readable HDF5 file: {error}") from error


def _dataset(file: h5py.File, name: str) -> Floats:
    try:
        return np.asarray(file[name][()], dtype=np.float64)
    except (KeyError, OSError) as error:
        raise UnreadableRunError(f"{file.filename} has no readable dataset /{name}: {error}") from error
