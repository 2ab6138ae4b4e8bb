"""Configurations of molecules with a teacher's energies and forces, kept on disk by what decides them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.errors import InputError
from mdsuite.files import whole
from mdsuite.fitting.conformers import conformer
from mdsuite.fitting.displacement import from_normal_modes, randomly
from mdsuite.fitting.recipe import Molecule, SampledRecipe
from mdsuite.fitting.teacher import code_file, make_teacher
from mdsuite.runs import FloatArray, IntArray

HELD_OUT, TRAIN, VALIDATION = "held-out", "train", "validation"
CONFORMER_SEEDS = {TRAIN: 1, VALIDATION: 2, HELD_OUT: 3}
LANGEVIN, NORMAL_MODES, RANDOM = "langevin", "normal modes", "random"
MOST_WITHOUT_LABEL = 0.01
"""Share of the frames that may have no finite energy and forces."""

Rows = Iterable[tuple[FloatArray, float, FloatArray]]
"""Positions, an energy and forces of one frame after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What decides some labelled frames: a trajectory, or displacements from a relaxed molecule.

    method : langevin, normal modes or random
    frames : how many; of a trajectory one in `every` steps
    temperature : K, of a trajectory or of normal modes; 0 otherwise
    amplitude : Å, of random displacements
    """

    teacher: str
    molecule: str
    smiles: str | None
    file: str | None
    role: str
    unseen: bool
    conformer: int
    method: str
    frames: int
    temperature: float = 0.0
    amplitude: float = 0.0
    every: int = 0
    equilibration_steps: int = 0
    timestep_fs: float = 0.0
    friction_per_fs: float = 0.0

    @property
    def subject(self) -> str:
        """What errors are told of."""
        return self.molecule

    @property
    def key(self) -> str:
        """Hash of the content; of files, what they hold and not what they are called."""
        content = {**asdict(self), **_contents_of_files(self)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Frames of the same atoms in a file, for one purpose.

    subject : what errors are told of
    key : hash of the frames and their labels, and of what they are for
    temperature : not known
    """

    subject: str
    role: str
    unseen: bool
    key: str
    temperature: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Frames of the same atoms with finite labels; `wanted` is how many there should be.

    numbers : (n_atoms,) int
    positions : (n, n_atoms, 3) float, Å
    energies : (n,) float, eV
    forces : (n, n_atoms, 3) float, eV/Å
    cells : (n, 3, 3) float, Å, lattice vectors as rows
    pbc : three booleans, along which of them all frames are periodic
    """

    portion: Portion | Excerpt
    wanted: int
    numbers: IntArray
    positions: FloatArray
    energies: FloatArray
    forces: FloatArray
    cells: FloatArray
    pbc: tuple[bool, bool, bool] = (False, False, False)


def portions(recipe: SampledRecipe) -> list[Portion]:
    """All of a recipe: training, validation and held-out frames never share a trajectory."""
    return [each for molecule in recipe.molecules for each in _portions(recipe, molecule)]


def _portions(recipe: SampledRecipe, molecule: Molecule) -> Iterator[Portion]:
    sampling = recipe.sampling
    lengths = {TRAIN: sampling.steps, VALIDATION: sampling.held_out_steps, HELD_OUT: sampling.held_out_steps}
    for k in range(sampling.conformers):
        trajectory = _trajectory(recipe, molecule, k)
        for role, steps in lengths.items():
            if molecule.unseen and role != HELD_OUT:
                continue
            for temperature in sampling.temperatures_K:
                yield replace(trajectory, role=role, frames=steps // sampling.every, temperature=temperature)
        if not molecule.unseen:
            still = replace(trajectory, every=0, equilibration_steps=0, timestep_fs=0.0, friction_per_fs=0.0)
            yield from _displacements(recipe, still)


def _trajectory(recipe: SampledRecipe, molecule: Molecule, conformer: int) -> Portion:
    sampling = recipe.sampling
    return Portion(
        teacher=recipe.teacher,
        molecule=molecule.name,
        smiles=molecule.smiles,
        file=molecule.file,
        role=TRAIN,
        unseen=molecule.unseen,
        conformer=conformer,
        method=LANGEVIN,
        frames=0,
        every=sampling.every,
        equilibration_steps=sampling.equilibration_steps,
        timestep_fs=sampling.timestep_fs,
        friction_per_fs=sampling.friction_per_fs,
    )


def _displacements(recipe: SampledRecipe, still: Portion) -> Iterator[Portion]:
    modes, random = recipe.sampling.normal_modes, recipe.sampling.random
    if modes is not None:
        for temperature in modes.temperatures_K:
            yield replace(still, method=NORMAL_MODES, frames=modes.frames, temperature=temperature)
    if random is not None:
        yield replace(still, method=RANDOM, frames=random.frames, amplitude=random.amplitude_A)


def _contents_of_files(portion: Portion) -> dict[str, str]:
    from mdsuite.structures import read_structure  # noqa: PLC0415  ase is slow to import

    contents = {}
    if portion.file is not None:
        atoms = read_structure(portion.file)
        contents["file"] = hashlib.sha256(atoms.numbers.tobytes() + atoms.positions.tobytes()).hexdigest()
    code = code_file(portion.teacher)
    if code is not None and code.is_file():  # a missing one is refused where the teacher is made
        contents["teacher"] = portion.teacher + hashlib.sha256(code.read_bytes()).hexdigest()
    return contents


def sample(
    recipe: SampledRecipe, cache: Path, workers: int, say: Callable[[str], None] = lambda _line: None
) -> list[Labelled]:
    """Every portion of a recipe, from the cache where it is there already.

    Raises InputError for molecules that cannot be built, teachers that cannot be made, and where more than one frame in
    a hundred has no finite label.
    """
    cache.mkdir(parents=True, exist_ok=True)
    wanted = portions(recipe)
    missing = [each for each in wanted if not _file(cache, each).exists()]
    if missing:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_single_thread) as pool:
            for k, _ in enumerate(pool.map(_label, missing, [cache] * len(missing)), start=len(wanted) - len(missing)):
                say(f"labelled {k + 1} of {len(wanted)} portions")
    labelled = [_read(cache, each) for each in wanted]
    _require_labels(wanted, labelled, say)
    return labelled


def _require_labels(portions: Sequence[Portion], labelled: Sequence[Labelled], say: Callable[[str], None]) -> None:
    teacher = portions[0].teacher
    n = sum(each.wanted for each in labelled)
    dropped = n - sum(len(each.energies) for each in labelled)
    if dropped:
        say(f"{dropped} of {n} frames dropped: {teacher} gave no finite energy and forces")
    if dropped > MOST_WITHOUT_LABEL * n:
        worst = portions[int(np.argmax([each.wanted - len(each.energies) for each in labelled]))]
        raise InputError(
            f"{teacher} gave no finite energy and forces for {dropped} of {n} frames, most of them of {worst.molecule} "
            f"({worst.method}, {worst.temperature:g} K); at most {MOST_WITHOUT_LABEL:.0%} may be dropped. Lower the "
            "temperature or the timestep, or take another teacher"
        )


def snapshots(recipe: SampledRecipe, labelled: list[Labelled]) -> dict[str, Any]:
    """A thermal frame (ase.Atoms) of each molecule that asks for one.

    From the held-out trajectory at the snapshot temperature: the frame whose potential energy is nearest to the
    trajectory's mean, so that a microcanonical run started there keeps that temperature.
    """
    from ase import Atoms  # noqa: PLC0415

    frames = {}
    for molecule in (molecule for molecule in recipe.molecules if molecule.snapshot):
        wanted = (molecule.name, HELD_OUT, recipe.sampling.snapshot_temperature_K)
        each = next(
            each for each in labelled if (each.portion.subject, each.portion.role, each.portion.temperature) == wanted
        )
        k = int(np.argmin(np.abs(each.energies - each.energies.mean())))
        atoms = Atoms(numbers=each.numbers, positions=each.positions[k])
        atoms.info["name"] = molecule.name
        atoms.info["origin"] = f"{recipe.teacher} Langevin dynamics at {each.portion.temperature:g} K, frame {k}"
        frames[molecule.name] = atoms
    return frames


def _single_thread() -> None:
    import os  # noqa: PLC0415

    os.environ["OMP_NUM_THREADS"] = "1"


def _file(cache: Path, portion: Portion) -> Path:
    return cache / f"{portion.key}.npz"


def _label(portion: Portion, cache: Path) -> None:
    atoms = _relaxed(portion)
    rng = np.random.default_rng(int(hashlib.sha256(portion.key.encode()).hexdigest()[:8], 16))
    rows = list(_integrated(portion, atoms, rng) if portion.method == LANGEVIN else _displaced(portion, atoms, rng))
    shape = (len(rows), len(atoms), 3)
    frames = {
        "numbers": atoms.numbers,
        "positions": np.array([each[0] for each in rows]).reshape(shape),
        "energies": np.array([each[1] for each in rows], dtype=float),
        "forces": np.array([each[2] for each in rows]).reshape(shape),
    }
    with whole(_file(cache, portion)) as temporary, temporary.open("wb") as file:
        np.savez(file, **frames)


def _relaxed(portion: Portion) -> Any:
    from ase.optimize import BFGS  # noqa: PLC0415

    atoms = _start(portion)
    atoms.calc = make_teacher(portion.teacher)
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=200)
    return atoms


def _start(portion: Portion) -> Any:
    seed = CONFORMER_SEEDS[portion.role] + len(CONFORMER_SEEDS) * portion.conformer
    if portion.file is None:
        return conformer(str(portion.smiles), seed)
    from mdsuite.structures import read_structure  # noqa: PLC0415

    atoms = read_structure(portion.file)
    atoms.rattle(0.02, seed=seed)
    return atoms


def _integrated(portion: Portion, atoms: Any, rng: np.random.Generator) -> Rows:
    from ase import units  # noqa: PLC0415
    from ase.md.langevin import Langevin  # noqa: PLC0415

    dynamics = Langevin(
        atoms,
        portion.timestep_fs * units.fs,
        temperature_K=portion.temperature,
        friction=portion.friction_per_fs / units.fs,
        rng=np.random.RandomState(rng.integers(2**32)),
        fixcm=False,
    )
    dynamics.run(portion.equilibration_steps)
    for _ in range(portion.frames):
        dynamics.run(portion.every)
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        if not _finite(energy, forces):
            return  # where it goes from here means nothing
        yield atoms.get_positions(), energy, forces


def _displaced(portion: Portion, atoms: Any, rng: np.random.Generator) -> Rows:
    from ase.calculators.calculator import CalculatorError  # noqa: PLC0415

    if portion.method == NORMAL_MODES:
        displacements = from_normal_modes(atoms, portion.temperature, portion.frames, rng)
    else:
        displacements = randomly(atoms, portion.amplitude, portion.frames, rng)
    relaxed = atoms.get_positions()
    for displacement in displacements:
        atoms.set_positions(relaxed + displacement)
        try:
            energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        except CalculatorError:  # no label; counted as one that is missing
            continue
        if _finite(energy, forces):
            yield atoms.get_positions(), energy, forces


def _finite(energy: float, forces: FloatArray) -> bool:
    return bool(np.isfinite(energy) and np.isfinite(forces).all())


def _read(cache: Path, portion: Portion) -> Labelled:
    with np.load(_file(cache, portion)) as arrays:
        return Labelled(
            portion=portion,
            wanted=portion.frames,
            cells=np.zeros((len(arrays["energies"]), 3, 3)),
            **{name: arrays[name] for name in ("numbers", "positions", "energies", "forces")},
        )
