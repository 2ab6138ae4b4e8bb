"""Whether what is far away is not felt, and two of a thing have twice its energy."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mdsuite_analysis.drift import MEV_PER_EV
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.potential import Configuration, Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.deformation import (
    displaced,
    doubled,
    joined,
    open_extent,
    random_direction,
    random_rotation,
    thermal,
)
from mdsuite_analysis.statics.inquiry import answered, ask
from mdsuite_analysis.statics.mean_square import root_mean_square

FAR = 40.0
"""Distance, Å, at which nothing short-ranged is felt."""

N_FRAMES = 4

EXTENSIVITY = ("extensivity_error", "meV/atom")
LOCALITY = ("locality_error", "eV/Å")


def extensivity(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> Measurement:
    """`extensivity_error`: what the energy of two far copies has above the sum, per atom, meV.

    Without periodic vectors the copies are 40 Å apart and thermal each in its own way; otherwise the second copy is the
    neighbouring cell. Root mean square over four frames.
    """

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        errors = np.array([_excess(potential, configuration, rng, k) for k in range(N_FRAMES)])
        estimate = root_mean_square(errors * MEV_PER_EV, confidence)
        name, unit = EXTENSIVITY
        note = f"{N_FRAMES} thermal frames"
        return [
            Measurement(name=name, value=estimate.value, unit=unit, ci=estimate.ci, confidence=confidence, note=note)
        ]

    return answered([EXTENSIVITY], measure)[0]


def _excess(potential: Potential, configuration: Configuration, rng: np.random.Generator, k: int) -> float:
    """Per atom, eV."""
    first = thermal(configuration, rng)
    if any(configuration.pbc):
        both, parts = doubled(first, _periodic_axis(configuration, k)), (first, first)
    else:
        second = displaced(thermal(configuration, rng), _far(configuration, rng))
        both, parts = joined(first, second), (first, second)
    apart = sum(ask(potential, part).energy for part in parts)
    return (ask(potential, both).energy - apart) / len(both.numbers)


def _periodic_axis(configuration: Configuration, k: int) -> int:
    axes = np.flatnonzero(configuration.pbc)
    return int(axes[k % len(axes)])


def _far(configuration: Configuration, rng: np.random.Generator) -> Floats:
    """A displacement beyond which two copies are at least 40 Å apart."""
    return np.asarray(random_rotation(rng)[0] * (FAR + float(np.linalg.norm(open_extent(configuration)))))


def locality(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> Measurement:
    """`locality_error`: the largest change of a force component by what is far away, eV/Å, over four frames.

    Without periodic vectors a single atom of one of the frame's elements comes to 40 Å; in a periodic frame a
    neighbouring cell is added, which must change no force either.
    """

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        changes = [_change(potential, configuration, rng, k) for k in range(N_FRAMES)]
        name, unit = LOCALITY
        note = f"largest of {N_FRAMES} thermal frames"
        return [Measurement(name=name, value=max(changes), unit=unit, confidence=confidence, note=note)]

    return answered([LOCALITY], measure)[0]


def _change(potential: Potential, configuration: Configuration, rng: np.random.Generator, k: int) -> float:
    frame = thermal(configuration, rng)
    n_atoms = len(frame.numbers)
    if any(frame.pbc):
        company = doubled(frame, _periodic_axis(frame, k))
    else:
        ghost = replace(
            frame,
            numbers=frame.numbers[rng.integers(n_atoms, size=1)],
            positions=frame.positions.mean(axis=0, keepdims=True) + _far(frame, rng) + random_direction(rng, 1),
        )
        company = joined(frame, ghost)
    return float(np.abs(ask(potential, company).forces[:n_atoms] - ask(potential, frame).forces).max())


def locality_and_extensivity(
    potential: Potential, configuration: Configuration, *, seed: int = 0
) -> Iterator[Measurement]:
    """Every measurement of this module."""
    yield extensivity(potential, configuration, seed=seed)
    yield locality(potential, configuration, seed=seed)
