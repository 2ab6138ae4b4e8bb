"""How long a model takes for an answer, and how much memory its driver."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.errors import InputError
from mdsuite.execution.session import Session
from mdsuite.plan import bundled_structure_for
from mdsuite.runs import ANY_ANSWER
from mdsuite.structures import configuration, read_structure
from mdsuite_driver.models.protocol import ModelCard

N_WARM, N_TIMED = 5, 50
SHAKEN = 0.01  # Å, between two questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Of one structure, through a driver on this machine.

    milliseconds : median of an evaluation
    spread : its quartiles
    megabytes : largest resident memory of the driver, with Python and all libraries
    """

    structure: str
    n_atoms: int
    threads: int
    milliseconds: float
    spread: tuple[float, float]
    megabytes: float


def measured_speed(source: str, card: ModelCard, log: Path, *, trust: bool, threads: int) -> Speed | None:
    """On the first bundled structure that the model is for; None where there is none, or it gives no forces."""
    if not card.forces:
        return None
    try:
        structure = bundled_structure_for(source, trust=trust)
    except InputError:  # a model of elements that no bundled structure has
        return None
    return measure_speed(source, structure, log, trust=trust, threads=threads)


def measure_speed(source: str, structure: str, log: Path, *, trust: bool, threads: int) -> Speed:
    """Ask for one frame after the other, each a little other than the one before."""
    asked = configuration(read_structure(structure))
    rng = np.random.default_rng(0)
    times = []
    with Session(source, log, trust=trust, threads=threads, coupling=ANY_ANSWER) as session:
        for _ in range(N_WARM + N_TIMED):
            asked.positions[:] += rng.normal(scale=SHAKEN, size=asked.positions.shape) / np.sqrt(N_TIMED)
            begun = time.perf_counter()
            session(asked)
            times.append(1e3 * (time.perf_counter() - begun))
        megabytes = session.peak_memory
    low, middle, high = np.quantile(times[N_WARM:], [0.25, 0.5, 0.75])
    return Speed(
        structure=structure,
        n_atoms=len(asked.numbers),
        threads=threads,
        milliseconds=float(middle),
        spread=(float(low), float(high)),
        megabytes=megabytes,
    )
