"""What can be analyzed: recorded runs, tables of energies, and trajectories that MDAnalysis reads."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import MDAnalysis
from MDAnalysis.core.groups import AtomGroup

from mdsuite.analysis import Source
from mdsuite.errors import InputError
from mdsuite.recorded import recorded
from mdsuite.runs import read_run
from mdsuite.series import read_csv
from mdsuite_analysis.read import UnreadableRunError, read_energies, universe


def read_sources(
    paths: Sequence[Path],
    *,
    n_atoms: int | None,
    topology: Path | None,
    trajectory: Path | None,
    temperature: float | None,
) -> list[Source]:
    """Run folders, output folders of campaigns, and CSV files of energies, which may have a trajectory beside them.

    Raises InputError for what is none of these, and for runs that are no replicas of each other.
    """
    folders = recorded([path for path in paths if path.is_dir()])
    files = [path for path in paths if not path.is_dir()]
    if folders and (files or topology or trajectory):
        raise InputError("wanted either recorded runs or tables of energies, got both; analyze one after the other")
    if folders:
        return _recorded(folders, temperature)
    if topology is None and trajectory is not None:
        raise InputError(f"wanted the topology of {trajectory}; give --topology FILE, with elements")
    if topology is not None and len(files) > 1:
        raise InputError(f"one table of energies belongs to one trajectory, got {len(files)}")
    atoms = None if topology is None else _atoms(topology, trajectory)
    count = _count(n_atoms, atoms)
    read = [(file.name, read_csv(file, count)) for file in files]
    return [
        Source(name=name, series=series, atoms=_dated(atoms, series.duration), temperature=temperature)
        for name, series in read
    ]


def _count(n_atoms: int | None, atoms: AtomGroup | None) -> int:
    if atoms is not None:
        if n_atoms not in (None, atoms.n_atoms):
            raise InputError(f"--n-atoms says {n_atoms}, but the topology has {atoms.n_atoms}; leave out --n-atoms")
        return int(atoms.n_atoms)
    if n_atoms is None:
        raise InputError("a table of energies does not say to how many atoms they belong; give --n-atoms N")
    return n_atoms


def _dated(atoms: AtomGroup | None, duration: float) -> AtomGroup | None:
    """With times: where the format has none, frames are taken to be spread evenly over the energies."""
    if atoms is None:
        return None
    trajectory = atoms.universe.trajectory
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        _ = trajectory.dt
    if said and trajectory.n_frames > 1:
        atoms.universe.load_new(trajectory.filename, dt=duration / (trajectory.n_frames - 1))
    return atoms


def _recorded(folders: Sequence[Path], temperature: float | None) -> list[Source]:
    runs = [read_run(folder) for folder in folders]
    if len({run.kind for run in runs}) > 1:
        raise InputError(
            f"these {len(runs)} runs are no replicas of each other: they differ in model, structure, engine, "
            "temperature or timestep; analyze those that are one after the other"
        )
    try:
        return [
            Source(
                name=folder.name,
                series=read_energies(folder),
                atoms=universe(folder).atoms,
                temperature=temperature or run.temperature,
                thermostatted=bool(run.thermostat),
            )
            for folder, run in zip(folders, runs, strict=True)
        ]
    except UnreadableRunError as error:
        raise InputError(str(error)) from error


def _atoms(topology: Path, trajectory: Path | None) -> AtomGroup:
    for file in filter(None, (topology, trajectory)):
        if not file.is_file():
            raise InputError(f"wanted a trajectory, but there is no file {file}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that lack charges, or a time step
            atoms = MDAnalysis.Universe(*(str(file) for file in (topology, trajectory) if file)).atoms
            if not hasattr(atoms, "elements"):
                guessed = MDAnalysis.topology.guessers.guess_types(atoms.names)
                atoms.universe.add_TopologyAttr("elements", guessed)
    except Exception as error:  # each of MDAnalysis' readers raises its own
        raise InputError(f"{topology} cannot be read as a topology: {type(error).__name__}: {error}") from error
    return atoms
