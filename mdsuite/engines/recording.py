"""The recording of a run: H5MD segments that are whole or absent.

Layout of a segment (H5MD 1.1, doi:10.1016/j.cpc.2014.01.018): frames under /particles/trajectory, their energies
under /observables/trajectory, the energies of every step under /parameters/every_step, and under /parameters/axes the
rotation from the user's axes to the recorded ones. /parameters/ledger holds the steps kept for re-evaluation, in the
user's axes, as `mdsuite_analysis.ledger.sampling.Sample.to_arrays` names them, and /parameters/restart names the state
of the engine at its end. All in float64 and in eV, Å, ps, amu
and K, but for forces: MDAnalysis knows them in kJ/mol/Å only.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mdsuite import __version__
from mdsuite.constants import KJ_PER_MOL
from mdsuite.files import first, write_json
from mdsuite.runs import FloatArray, IntArray, Run
from mdsuite_analysis.ledger.sampling import Sample

REMOVED = "removed.json"
RECORDED = ("segments", "restarts")

UNITS = {
    "potential_energy": "eV",
    "kinetic_energy": "eV",
    "total_energy": "eV",
    "temperature": "K",
    "conserved_energy": "eV",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Atoms at one recorded step.

    cell : (3, 3) float, Å, rows
    positions, velocities, forces : (n_atoms, 3) float, Å (not wrapped), Å/ps, eV/Å
    virial : (3, 3) float, eV, of the forces alone, as the engine has it
    """

    step: int
    cell: FloatArray
    positions: FloatArray
    velocities: FloatArray
    forces: FloatArray
    virial: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A chunk of a run: its frames, and potential and kinetic energy (eV) of each of its steps.

    axes : (3, 3) float, orthogonal; recorded vectors are the user's times this matrix
    conserved_energy : (n_steps,) float, eV, up to a constant, what the integrator conserves, or None where it has none
    """

    frames: list[Frame]
    axes: FloatArray
    step: IntArray
    potential_energy: FloatArray
    kinetic_energy: FloatArray
    conserved_energy: FloatArray | None


def segment_path(folder: Path, index: int) -> Path:
    """Where a segment of a run belongs."""
    return folder / "segments" / f"{index:06d}.h5md"


def tail_path(folder: Path, index: int) -> Path:
    """Where the steps of a chunk that could not be finished are kept, until it is integrated again."""
    return folder / f"tail-{index:06d}.h5md"


def n_segments(folder: Path) -> int:
    """How many segments a run has so far, counted without a gap."""
    index = 0
    while segment_path(folder, index).exists():
        index += 1
    return index


def removed_steps(folder: Path) -> int | None:
    """How many steps a run had when its recording was removed, its results being all that was wanted, or None."""
    try:
        return int(json.loads((folder / REMOVED).read_text())["steps"])
    except FileNotFoundError:
        return None


def remove_recording(folder: Path, steps: int) -> None:
    """Leave of a run that is done what it was asked for, how it ended and what was measured; it may be repeated."""
    write_json(folder / REMOVED, {"steps": steps})
    _clear(folder)
    for log in (*folder.glob("*.log"), *folder.glob("log.*")):
        log.unlink()


def begin_anew(folder: Path) -> None:
    """Prepare a run whose recording was removed, and that is to be longer now, to be integrated from its start."""
    if removed_steps(folder) is not None:
        _clear(folder)  # a removal that was interrupted
        (folder / REMOVED).unlink()


def is_cleared(folder: Path) -> bool:
    """Whether nothing is left of a recording."""
    return not any((folder / name).exists() for name in RECORDED)


def _clear(folder: Path) -> None:
    for name in RECORDED:
        if (folder / name).exists():
            shutil.rmtree(folder / name)


def last_step(folder: Path) -> int | None:
    """The last step of a run's segments, from which it is taken up again; None where there are none, or no longer."""
    n = 0 if removed_steps(folder) is not None else n_segments(folder)
    return _last_step(segment_path(folder, n - 1)) if n else None


def last_conserved(folder: Path) -> float:
    """The conserved energy (eV) at the last step of a run's segments; NaN where it has none."""
    with h5py.File(segment_path(folder, n_segments(folder) - 1)) as file:
        series = file["parameters/every_step"]
        return float(series["conserved_energy"][-1]) if "conserved_energy" in series else float("nan")


def recorded_steps(folder: Path) -> int:
    """The last recorded step of a run, that of an unfinished chunk included, and of a recording that was removed."""
    if (removed := removed_steps(folder)) is not None:
        return removed
    tail = tail_path(folder, n_segments(folder))
    return _last_step(tail) if tail.exists() else last_step(folder) or 0


def _last_step(path: Path) -> int:
    with h5py.File(path) as file:
        return int(file["parameters/every_step/step"][-1])


def restart_of(path: Path) -> str:
    """What the state of the engine at the end of a segment is called; "" where it does not say it."""
    with h5py.File(path) as file:
        name = file.get("parameters/restart")
        return "" if name is None else str(name.asstr()[()])


def write_segment(path: Path, run: Run, segment: Segment, sample: Sample | None = None, restart: str = "") -> None:
    """Write one segment, and what the energy ledger keeps of it, whole or not at all.

    Raises OSError where the disk does not take it, and OvertakenError where another process has written it.
    """
    # in memory first: HDF5 itself does not always tell of a full disk as such
    with h5py.File(path, "w", driver="core", backing_store=False) as file:
        _write_header(file)
        _write_every_step(file.create_group("parameters/every_step"), run, segment)
        file["parameters/axes"] = segment.axes
        file["parameters/restart"] = restart
        if sample is not None:
            _write_ledger(file.create_group("parameters/ledger"), sample)
        frames = _Frames(run, segment)
        _write_particles(file.create_group("particles/trajectory"), run, segment.frames, frames)
        _write_observables(file.create_group("observables/trajectory"), run, segment, frames)
        file.flush()
        content = file.id.get_file_image()
    path.parent.mkdir(exist_ok=True)
    with first(path) as temporary:
        temporary.write_bytes(content)


def _write_header(file: h5py.File) -> None:
    header = file.create_group("h5md")
    header.attrs["version"] = np.array([1, 1])
    header.create_group("author").attrs["name"] = "mdsuite"
    creator = header.create_group("creator")
    creator.attrs["name"] = "mdsuite"
    creator.attrs["version"] = __version__


def _series(run: Run, segment: Segment) -> dict[str, FloatArray]:
    series = {
        "potential_energy": segment.potential_energy,
        "kinetic_energy": segment.kinetic_energy,
        "total_energy": segment.potential_energy + segment.kinetic_energy,
        "temperature": run.start.temperature(segment.kinetic_energy),
    }
    return series if segment.conserved_energy is None else {**series, "conserved_energy": segment.conserved_energy}


def _write_every_step(group: h5py.Group, run: Run, segment: Segment) -> None:
    _write_clock(group, run, segment.step)
    for name, values in _series(run, segment).items():
        _write(group, name, values, UNITS[name])


def _write_clock(group: h5py.Group, run: Run, steps: IntArray) -> tuple[h5py.Dataset, h5py.Dataset]:
    step = group.create_dataset("step", data=steps)
    return step, _write(group, "time", np.asarray(steps * run.timestep, dtype=float), "ps")


def _write(group: h5py.Group, name: str, values: FloatArray, unit: str) -> h5py.Dataset:
    dataset = group.create_dataset(name, data=values)
    dataset.attrs["unit"] = unit
    return dataset


def _write_ledger(group: h5py.Group, sample: Sample) -> None:
    for name, values in sample.to_arrays().items():
        group.create_dataset(name, data=values)


class _Frames:
    """Elements of H5MD, one value for every frame; all of them have the same steps and times, stored once."""

    def __init__(self, run: Run, segment: Segment) -> None:
        self._run = run
        self.steps = np.array([frame.step for frame in segment.frames], dtype=np.int64)
        self._clock: tuple[h5py.Dataset, h5py.Dataset] | None = None

    def write(self, group: h5py.Group, name: str, values: FloatArray, unit: str) -> None:
        """Write one element of a group."""
        element = group.create_group(name)
        if self._clock is None:
            self._clock = _write_clock(element, self._run, self.steps)
        else:
            element["step"], element["time"] = self._clock
        _write(element, "value", values, unit)


def _write_observables(group: h5py.Group, run: Run, segment: Segment, frames: _Frames) -> None:
    rows = np.searchsorted(segment.step, frames.steps)
    for name, values in _series(run, segment).items():
        frames.write(group, name, values[rows], UNITS[name])
    virials = np.array([frame.virial for frame in segment.frames]).reshape(-1, 3, 3)
    frames.write(group, "virial", virials, "eV")


def _write_particles(group: h5py.Group, run: Run, recorded: list[Frame], frames: _Frames) -> None:
    start = run.start
    group["species"] = start.numbers
    group["mass"] = start.masses
    box = group.create_group("box")
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = ["periodic" if periodic else "none" for periodic in start.pbc]
    if any(start.pbc):
        frames.write(box, "edges", _rows([frame.cell for frame in recorded]), "Angstrom")
    frames.write(group, "position", _rows([frame.positions for frame in recorded]), "Angstrom")
    frames.write(group, "velocity", _rows([frame.velocities for frame in recorded]), "Angstrom ps-1")
    forces = _rows([frame.forces for frame in recorded]) * KJ_PER_MOL
    frames.write(group, "force", forces, "kJ mol-1 Angstrom-1")


def _rows(vectors: list[FloatArray]) -> FloatArray:
    """Vectors (n_frames, n, 3), also of no frames."""
    return np.array(vectors, dtype=float).reshape(len(vectors), -1, 3) if vectors else np.empty((0, 0, 3))
