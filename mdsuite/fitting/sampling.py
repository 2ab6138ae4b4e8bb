"""Configurations of molecules with a teacher's energies and forces, kept on disk by what decides them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.errors import InputError
from mdsuite.files import whole
from mdsuite.fitting.recipe import Molecule, Recipe
from mdsuite.fitting.teacher import EXTRA, code_file, make_teacher
from mdsuite.run import FloatArray, IntArray

HELD_OUT, TRAIN, VALIDATION = "held-out", "train", "validation"
CONFORMER_SEEDS = {TRAIN: 1, VALIDATION: 2, HELD_OUT: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What decides a labelled trajectory."""

    teacher: str
    molecule: str
    smiles: str | None
    file: str | None
    role: str
    temperature: float
    steps: int
    every: int
    equilibration_steps: int
    timestep_fs: float
    friction_per_fs: float

    @property
    def key(self) -> str:
        """Hash of the content; of files, what they hold and not what they are called."""
        content = {**asdict(self), **_contents_of_files(self)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Frames of a molecule.

    numbers : (n_atoms,) int
    positions : (n, n_atoms, 3) float, Å
    energies : (n,) float, eV
    forces : (n, n_atoms, 3) float, eV/Å
    """

    molecule: str
    role: str
    temperature: float
    numbers: IntArray
    positions: FloatArray
    energies: FloatArray
    forces: FloatArray


def trajectories(recipe: Recipe) -> list[Trajectory]:
    """All trajectories of a recipe: training and validation and held-out ones never share a trajectory."""
    sampling = recipe.sampling
    lengths = {TRAIN: sampling.steps, VALIDATION: sampling.held_out_steps, HELD_OUT: sampling.held_out_steps}
    return [
        _trajectory(recipe, molecule, role, temperature, steps)
        for molecule in recipe.molecules
        for role, steps in lengths.items()
        for temperature in sampling.temperatures_K
    ]


def _trajectory(recipe: Recipe, molecule: Molecule, role: str, temperature: float, steps: int) -> Trajectory:
    sampling = recipe.sampling
    return Trajectory(
        teacher=recipe.teacher,
        molecule=molecule.name,
        smiles=molecule.smiles,
        file=molecule.file,
        role=role,
        temperature=temperature,
        steps=steps,
        every=sampling.every,
        equilibration_steps=sampling.equilibration_steps,
        timestep_fs=sampling.timestep_fs,
        friction_per_fs=sampling.friction_per_fs,
    )


def _contents_of_files(trajectory: Trajectory) -> dict[str, str]:
    from mdsuite.structures import read_structure  # noqa: PLC0415  ase is slow to import

    contents = {}
    if trajectory.file is not None:
        atoms = read_structure(trajectory.file)
        contents["file"] = hashlib.sha256(atoms.numbers.tobytes() + atoms.positions.tobytes()).hexdigest()
    code = code_file(trajectory.teacher)
    if code is not None and code.is_file():  # a missing one is refused where the teacher is made
        contents["teacher"] = trajectory.teacher + hashlib.sha256(code.read_bytes()).hexdigest()
    return contents


def sample(
    recipe: Recipe, cache: Path, workers: int, say: Callable[[str], None] = lambda _line: None
) -> list[Labelled]:
    """Every trajectory of a recipe, from the cache where it is there already."""
    cache.mkdir(parents=True, exist_ok=True)
    wanted = trajectories(recipe)
    missing = [each for each in wanted if not _file(cache, each).exists()]
    if missing:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_single_thread) as pool:
            for k, _ in enumerate(pool.map(_label, missing, [cache] * len(missing)), start=len(wanted) - len(missing)):
                say(f"labelled {k + 1} of {len(wanted)} trajectories")
    return [_read(cache, each) for each in wanted]


def snapshots(recipe: Recipe, labelled: list[Labelled]) -> dict[str, Any]:
    """A thermal frame (ase.Atoms) of each molecule that asks for one.

    From the held-out trajectory at the snapshot temperature: the frame whose potential energy is nearest to the
    trajectory's mean, so that a microcanonical run started there keeps that temperature.
    """
    from ase import Atoms  # noqa: PLC0415

    frames = {}
    for molecule in (molecule for molecule in recipe.molecules if molecule.snapshot):
        wanted = (molecule.name, HELD_OUT, recipe.sampling.snapshot_temperature_K)
        each = next(each for each in labelled if (each.molecule, each.role, each.temperature) == wanted)
        k = int(np.argmin(np.abs(each.energies - each.energies.mean())))
        atoms = Atoms(numbers=each.numbers, positions=each.positions[k])
        atoms.info["name"] = molecule.name
        atoms.info["origin"] = f"{recipe.teacher} Langevin dynamics at {each.temperature:g} K, frame {k}"
        frames[molecule.name] = atoms
    return frames


def _single_thread() -> None:
    import os  # noqa: PLC0415

    os.environ["OMP_NUM_THREADS"] = "1"


def _file(cache: Path, trajectory: Trajectory) -> Path:
    return cache / f"{trajectory.key}.npz"


def _label(trajectory: Trajectory, cache: Path) -> None:
    frames = _integrate(trajectory)
    with whole(_file(cache, trajectory)) as temporary, temporary.open("wb") as file:
        np.savez(file, **frames)  # type: ignore[arg-type]  # its stub forbids any keyword


def _integrate(trajectory: Trajectory) -> dict[str, np.ndarray[Any, Any]]:
    from ase import units  # noqa: PLC0415
    from ase.md.langevin import Langevin  # noqa: PLC0415
    from ase.optimize import BFGS  # noqa: PLC0415

    seed = int(hashlib.sha256(trajectory.key.encode()).hexdigest()[:8], 16)
    atoms = _start(trajectory)
    atoms.calc = make_teacher(trajectory.teacher)
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=200)
    dynamics = Langevin(
        atoms,
        trajectory.timestep_fs * units.fs,
        temperature_K=trajectory.temperature,
        friction=trajectory.friction_per_fs / units.fs,
        rng=np.random.RandomState(seed),
        fixcm=False,
    )
    dynamics.run(trajectory.equilibration_steps)
    rows = []
    for _ in range(trajectory.steps // trajectory.every):
        dynamics.run(trajectory.every)
        rows.append((atoms.get_positions(), atoms.get_potential_energy(), atoms.get_forces()))
    positions, energies, forces = (np.array(column) for column in zip(*rows, strict=True))
    return {"numbers": atoms.numbers, "positions": positions, "energies": energies, "forces": forces}


def _start(trajectory: Trajectory) -> Any:
    if trajectory.file is not None:
        from mdsuite.structures import read_structure  # noqa: PLC0415

        atoms = read_structure(trajectory.file)
        atoms.rattle(0.02, seed=CONFORMER_SEEDS[trajectory.role])
        return atoms
    return _conformer(str(trajectory.smiles), CONFORMER_SEEDS[trajectory.role])


def _conformer(smiles: str, seed: int) -> Any:
    try:
        from rdkit import Chem  # noqa: PLC0415
        from rdkit.Chem import rdDistGeom  # noqa: PLC0415
    except ImportError as error:
        raise InputError(f"SMILES need the package rdkit; {EXTRA}") from error
    from ase import Atoms  # noqa: PLC0415

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise InputError(f"{smiles!r} is not a SMILES string")
    molecule = Chem.AddHs(molecule)
    if rdDistGeom.EmbedMolecule(molecule, randomSeed=seed) != 0:
        raise InputError(f"rdkit finds no conformer of {smiles!r}; give a file instead")
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    return Atoms(numbers=numbers, positions=molecule.GetConformer().GetPositions())


def _read(cache: Path, trajectory: Trajectory) -> Labelled:
    with np.load(_file(cache, trajectory)) as arrays:
        return Labelled(
            molecule=trajectory.molecule,
            role=trajectory.role,
            temperature=trajectory.temperature,
            **{name: arrays[name] for name in ("numbers", "positions", "energies", "forces")},
        )
