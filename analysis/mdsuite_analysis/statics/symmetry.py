"""Whether energy and forces change as they must when a frame is moved, turned, mirrored or its atoms are renamed."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mdsuite_analysis.drift import MEV_PER_EV
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.potential import Configuration, Evaluation, Potential
from mdsuite_analysis.series import Floats, Integers
from mdsuite_analysis.statics.deformation import (
    displaced,
    permuted,
    random_rotation,
    rotated,
    thermal,
    wrapped,
)
from mdsuite_analysis.statics.inquiry import Named, answered, ask
from mdsuite_analysis.statics.mean_square import Estimate, root_mean_square, standard_deviation

N_OPERATIONS = 12
N_FRAMES = 6
FARTHEST = 10.0
"""Half width, Å, of the random translations; far beyond, single precision itself loses digits."""

NET_FORCE = ("net_force", "1")
NET_TORQUE = ("net_torque", "1")


class Image(NamedTuple):
    """A configuration that is the same but for a symmetry, and the forces (n_atoms, 3) that it must have."""

    configuration: Configuration
    forces: Callable[[Floats], Floats]


Operation = Callable[[Configuration, np.random.Generator, int], Image]
"""The k-th image of a configuration."""


def rotation(frame: Configuration, rng: np.random.Generator, _: int) -> Image:
    """Atoms and cell under a random proper rotation."""
    matrix = random_rotation(rng)
    return Image(rotated(frame, matrix), lambda forces: forces @ matrix.T)


def reflection(frame: Configuration, rng: np.random.Generator, _: int) -> Image:
    """Atoms and cell mirrored and turned at random."""
    matrix = random_rotation(rng) @ np.diag([1.0, 1.0, -1.0])
    return Image(rotated(frame, matrix), lambda forces: forces @ matrix.T)


def translation(frame: Configuration, rng: np.random.Generator, k: int) -> Image:
    """All atoms moved; of a periodic frame, by turns, wrapped into the cell or each by lattice vectors of its own."""
    moved = displaced(frame, rng.uniform(-FARTHEST, FARTHEST, size=3))
    if k % 3 == 1:
        moved = wrapped(moved)
    if k % 3 == 2:
        shifts = rng.integers(-1, 2, size=(len(frame.numbers), 3)) * np.array(frame.pbc)
        moved = displaced(frame, shifts @ frame.cell) if any(frame.pbc) else moved
    return Image(moved, lambda forces: forces)


def permutation(frame: Configuration, rng: np.random.Generator, k: int) -> Image:
    """Atoms in another order: by turns all, and those of one element among themselves."""
    order = _order(frame.numbers, rng, within=k % 2 == 1)
    return Image(permuted(frame, order), lambda forces: forces[order])


def _order(numbers: Integers, rng: np.random.Generator, *, within: bool) -> Integers:
    order = np.arange(len(numbers))
    if not within:
        return rng.permutation(order)
    for z in set(numbers.tolist()):
        order[numbers == z] = rng.permutation(order[numbers == z])
    return order


def spread(
    name: str,
    operation: Operation,
    potential: Potential,
    configuration: Configuration,
    *,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Measurement]:
    """`NAME_energy_spread`, meV/atom, and `NAME_force_spread` under twelve random images of a thermal frame.

    The first is the standard deviation of the energy of the images, the second the root mean square of F' - R F over
    that of F.
    """
    named = spread_named(name)

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        frame = thermal(configuration, rng)
        original = ask(potential, frame)
        images = [operation(frame, rng, k) for k in range(N_OPERATIONS)]
        answers = [ask(potential, image.configuration) for image in images]
        estimates = [
            _energy_spread([original, *answers], len(frame.numbers), confidence),
            _force_spread(original, images, answers, confidence),
        ]
        note = f"{N_OPERATIONS} images of a thermal frame"
        return [_estimated(each, estimate, confidence, note) for each, estimate in zip(named, estimates, strict=True)]

    return answered(named, measure)


def spread_named(name: str) -> list[Named]:
    """Names and units of the two spreads."""
    return [(f"{name}_energy_spread", "meV/atom"), (f"{name}_force_spread", "1")]


def _energy_spread(answers: Sequence[Evaluation], n_atoms: int, confidence: float) -> Estimate:
    energies = np.array([answer.energy for answer in answers])
    return standard_deviation((energies - energies[0]) * MEV_PER_EV / n_atoms, confidence)


def _force_spread(
    original: Evaluation, images: Sequence[Image], answers: Sequence[Evaluation], confidence: float
) -> Estimate:
    differences = [answer.forces - image.forces(original.forces) for image, answer in zip(images, answers, strict=True)]
    size = float(np.sqrt((original.forces**2).mean()))
    errors = np.sqrt((np.array(differences) ** 2).mean(axis=(1, 2)))
    return root_mean_square(_relative(errors, size), confidence)


def _relative(errors: Floats, size: float) -> Floats:
    """Errors over a size; no force at all is wrong by nothing."""
    return errors / size if size > 0.0 else np.where(errors > 0.0, np.inf, 0.0)


def rotation_spread(potential: Potential, configuration: Configuration, *, seed: int = 0) -> list[Measurement]:
    """`rotation_energy_spread` and `rotation_force_spread`; see `spread`."""
    return spread("rotation", rotation, potential, configuration, seed=seed)


def reflection_spread(potential: Potential, configuration: Configuration, *, seed: int = 0) -> list[Measurement]:
    """`reflection_energy_spread` and `reflection_force_spread`; a chiral potential may have them."""
    return spread("reflection", reflection, potential, configuration, seed=seed)


def translation_spread(potential: Potential, configuration: Configuration, *, seed: int = 0) -> list[Measurement]:
    """`translation_energy_spread` and `translation_force_spread`, across periodic boundaries too."""
    return spread("translation", translation, potential, configuration, seed=seed)


def permutation_spread(potential: Potential, configuration: Configuration, *, seed: int = 0) -> list[Measurement]:
    """`permutation_energy_spread` and `permutation_force_spread`, of equal and of unlike atoms."""
    return spread("permutation", permutation, potential, configuration, seed=seed)


def net_force(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> Measurement:
    """The sum of the forces, |ΣF| / (√N rms F), root mean square over thermal frames; 1 for unrelated forces."""

    def of(_: Configuration, forces: Floats) -> float:
        size = float(np.sqrt(len(forces) * (forces**2).sum(axis=1).mean()))
        return float(_relative(np.array([np.linalg.norm(forces.sum(axis=0))]), size)[0])

    return answered([NET_FORCE], lambda: [_over_frames(NET_FORCE, of, potential, configuration, seed, confidence)])[0]


def net_torque(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> Measurement:
    """The sum of the torques about the centre, |Σ r×F| / √(Σ|r|²|F|²), root mean square over thermal frames.

    Assumption: no periodic vectors, under which the torque of a frame is not defined.
    """

    def of(frame: Configuration, forces: Floats) -> float:
        arms = frame.positions - frame.positions.mean(axis=0)
        size = float(np.sqrt(((arms**2).sum(axis=1) * (forces**2).sum(axis=1)).sum()))
        return float(_relative(np.array([np.linalg.norm(np.cross(arms, forces).sum(axis=0))]), size)[0])

    return answered([NET_TORQUE], lambda: [_over_frames(NET_TORQUE, of, potential, configuration, seed, confidence)])[0]


def _over_frames(
    named: Named,
    of: Callable[[Configuration, Floats], float],
    potential: Potential,
    configuration: Configuration,
    seed: int,
    confidence: float,
) -> Measurement:
    rng = np.random.default_rng(seed)
    frames = [thermal(configuration, rng) for _ in range(N_FRAMES)]
    values = np.array([of(frame, ask(potential, frame).forces) for frame in frames])
    return _estimated(named, root_mean_square(values, confidence), confidence, f"{N_FRAMES} thermal frames")


def _estimated(named: Named, estimate: Estimate, confidence: float, note: str) -> Measurement:
    name, unit = named
    return Measurement(name=name, value=estimate.value, unit=unit, ci=estimate.ci, confidence=confidence, note=note)


def symmetry(potential: Potential, configuration: Configuration, *, seed: int = 0) -> Iterator[Measurement]:
    """Every measurement of this module that the configuration allows."""
    for of in (translation_spread, rotation_spread, reflection_spread, permutation_spread):
        yield from of(potential, configuration, seed=seed)
    yield net_force(potential, configuration, seed=seed)
    if not any(configuration.pbc):
        yield net_torque(potential, configuration, seed=seed)
