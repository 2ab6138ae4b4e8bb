"""Whether a potential says the same of the same frame, whatever it was asked before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.potential import Configuration, Evaluation, Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.deformation import (
    displaced,
    radius,
    random_direction,
    thermal,
    without_last,
)
from mdsuite_analysis.statics.inquiry import Named, answered, ask, copied

N_REPEATS = 20
STEP = 0.01
"""Displacement, Å, of the fastest atom per step of a slow path, as in molecular dynamics."""

NOISE = 3.0
"""Times by which the spread of five answers that should be equal may be exceeded by the largest of fifty."""

SLOW_STEPS = 200
STATIONS = 20  # of a slow path at which it is compared
SLOW_LENGTH = STEP * SLOW_STEPS
LONGEST_WAVE = 1.0  # Å, amplitude in a periodic frame, beyond half of any usual skin
LARGEST_SHEAR = 0.5  # beyond, atoms collide

REPEAT = (("repeatability_energy", "eV"), ("repeatability_force", "eV/Å"))
HISTORY = (("history_energy", "eV"), ("history_force", "eV/Å"))
MUTATED = ("input_mutated", "1")


def repeatability(potential: Potential, configuration: Configuration, *, seed: int = 0) -> list[Measurement]:
    """`repeatability_energy` and `repeatability_force`: largest less smallest of twenty answers to one frame.

    Before each, another frame is asked, always the same, so that a kept answer does not pass for repeatability and
    memory not for noise. Of the forces it is the largest over components.
    """

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        frame, other = thermal(configuration, rng), thermal(configuration, rng)
        answers = [_after(potential, [other], frame) for _ in range(N_REPEATS + 1)][1:]
        note = f"{N_REPEATS} evaluations"
        return _pair(REPEAT, *_spread(answers), note)

    return answered(REPEAT, measure)


def history(potential: Potential, configuration: Configuration, *, seed: int = 0) -> list[Measurement]:
    """`history_energy` and `history_force`: how far answers differ with what was asked before, the largest difference.

    The reference of every frame is its answer right after one with another number of atoms, for which nothing kept can
    be used. Against it stand the first answer of all, answers after the frame itself, after a small and after large
    displacements, and at stations of slow paths, 0.01 Å per step and farther than any neighbour list is kept for. What
    is only noise differs among the references as well, and widens the interval.
    """

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        found, references = _contexts(potential, configuration, rng)
        for path in _slow_paths(configuration, rng):
            found += _slow(potential, path)
        energy = max(found, key=lambda each: each.energy)
        force = max(found, key=lambda each: each.force)
        note = f"energy: {energy.when}; forces: {force.when}; {len(found)} comparisons"
        noise = (NOISE * each for each in _spread(references))
        return [
            replace(each, ci=(max(each.value - width, 0.0), each.value + width))
            for each, width in zip(_pair(HISTORY, energy.energy, force.force, note), noise, strict=True)
        ]

    return answered(HISTORY, measure)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """Of two answers to one frame: eV, and eV/Å of the largest component."""

    when: str
    energy: float
    force: float


def _difference(when: str, answer: Evaluation, reference: Evaluation) -> _Difference:
    return _Difference(
        when=when,
        energy=abs(answer.energy - reference.energy),
        force=float(np.abs(answer.forces - reference.forces).max()),
    )


def _after(potential: Potential, before: Sequence[Configuration], frame: Configuration) -> Evaluation:
    for each in before:
        ask(potential, each)
    return ask(potential, frame)


def _fresh(potential: Potential, frame: Configuration) -> Evaluation:
    return _after(potential, [without_last(frame)], frame)


def _contexts(
    potential: Potential, configuration: Configuration, rng: np.random.Generator
) -> tuple[list[_Difference], list[Evaluation]]:
    """Differences at first and after other frames, and the references, which are all of one frame."""
    frame = thermal(configuration, rng)
    first = ask(potential, frame)
    near = displaced(frame, 1e-3 * random_direction(rng, len(frame.numbers)))
    shifted = displaced(frame, np.array([7.0, 5.0, 3.0]))
    others = {
        "after itself": [frame],
        "after a small displacement": [near],
        "after another thermal frame": [thermal(configuration, rng)],
        "after a large displacement": [shifted],
        "after a return": [frame, shifted, near],
    }
    references = [_fresh(potential, frame) for _ in others]
    answers = [_after(potential, before, frame) for before in others.values()]
    found = [_difference(*each) for each in zip(others, answers, references, strict=True)]
    return [_difference("at first", first, references[-1]), *found], references


def _spread(answers: Sequence[Evaluation]) -> tuple[float, float]:
    """Largest less smallest energy, and of the forces the largest over components."""
    energies = np.array([each.energy for each in answers])
    forces = np.array([each.forces for each in answers])
    return float(np.ptp(energies)), float(np.ptp(forces, axis=0).max())


def _slow_paths(configuration: Configuration, rng: np.random.Generator) -> list[list[Configuration]]:
    """Frames 0.01 Å apart, from afar to a thermal frame and back."""
    end = thermal(configuration, rng)
    far = _wave(end) if any(configuration.pbc) else _dilation(end)
    inward = [displaced(end, fraction * far) for fraction in np.linspace(1.0, 0.0, SLOW_STEPS + 1)]
    return [inward, inward[::-1]]


def _dilation(frame: Configuration) -> Floats:
    """Displacements (n_atoms, 3) away from the centre, the largest as long as a slow path."""
    outward = frame.positions - frame.positions.mean(axis=0)
    return np.asarray(outward * (SLOW_LENGTH / max(radius(frame), STEP)))


def _wave(frame: Configuration) -> Floats:
    """Displacements (n_atoms, 3) by a standing shear wave one periodic vector long, so that none collide."""
    along = int(np.flatnonzero(frame.pbc)[0])
    phase = 2.0 * np.pi * (frame.positions @ np.linalg.pinv(frame.cell))[:, along]
    length = float(np.linalg.norm(frame.cell[along]))
    across = np.cross(frame.cell[along] / length, np.roll(np.eye(3), along + 1, axis=1)[0])
    across = across if np.linalg.norm(across) > 0.1 else np.cross(frame.cell[along] / length, np.ones(3))
    amplitude = min(LONGEST_WAVE, LARGEST_SHEAR * length / (2.0 * np.pi))
    return np.asarray(amplitude * np.sin(phase)[:, None] * across / np.linalg.norm(across))


def _slow(potential: Potential, path: Sequence[Configuration]) -> list[_Difference]:
    """Answers on the way, compared with fresh ones to the same frames at stations."""
    ask(potential, without_last(path[0]))
    on_the_way = [ask(potential, frame) for frame in path]
    stations = np.linspace(0, len(path) - 1, STATIONS + 1).astype(int)
    return [_difference("on a slow path", on_the_way[k], _fresh(potential, path[k])) for k in stations]


def _pair(named: Sequence[Named], energy: float, force: float, note: str) -> list[Measurement]:
    return [
        Measurement(name=name, value=value, unit=unit, note=note)
        for (name, unit), value in zip(named, (energy, force), strict=True)
    ]


def input_mutated(potential: Potential, configuration: Configuration) -> Measurement:
    """How many of the arrays that it is given (numbers, positions, cell) a potential changes."""

    def measure() -> list[Measurement]:
        given = copied(configuration)
        ask(potential, given, copy=False)
        arrays = ("numbers", "positions", "cell")
        changed = [each for each in arrays if not np.array_equal(getattr(given, each), getattr(configuration, each))]
        name, unit = MUTATED
        return [Measurement(name=name, value=float(len(changed)), unit=unit, note=", ".join(changed))]

    return answered([MUTATED], measure)[0]


def repetition(potential: Potential, configuration: Configuration, *, seed: int = 0) -> Iterator[Measurement]:
    """Every measurement of this module; history comes first, for it looks at the first answer too."""
    yield from history(potential, configuration, seed=seed)
    yield from repeatability(potential, configuration, seed=seed)
    yield input_mutated(potential, configuration)
