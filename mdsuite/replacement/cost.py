"""What an evaluation of two models costs, measured in turn."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from mdsuite.linear.data import Labelled
from mdsuite.linear.design import asked
from mdsuite.replacement.sides import Side
from mdsuite_driver.models.load import resolve

N_TURNS = 21
N_DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of evaluations of one structure in this process, one model after the other.

    milliseconds : medians of baseline and candidate
    ratio, ci : candidate by baseline, with the 95 % interval of a bootstrap over turns
    sizes : bytes of the files, or None where a model is no file
    """

    n_atoms: int
    milliseconds: tuple[float, float]
    ratio: float
    ci: tuple[float, float]
    sizes: tuple[int, int] | None


def cost(baseline: Side, candidate: Side, on: Labelled) -> Cost:
    """Interleaved, so that what else the machine does falls on both."""
    there = asked(on)
    taken: list[tuple[float, float]] = []
    for _ in range(N_TURNS + 1):
        times = []
        for side in (baseline, candidate):
            start = time.perf_counter()
            side.model.evaluate(there)
            times.append(time.perf_counter() - start)
        taken.append((times[0], times[1]))
    measured = np.array(taken[1:])  # the first call warms up
    chosen = np.random.default_rng(0).integers(len(measured), size=(N_DRAWS, len(measured)))
    ratios = np.median(measured[chosen][..., 1] / measured[chosen][..., 0], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    first, second = 1e3 * np.median(measured, axis=0)
    return Cost(
        n_atoms=on.n_atoms,
        milliseconds=(float(first), float(second)),
        ratio=float(np.median(measured[:, 1] / measured[:, 0])),
        ci=(float(low), float(high)),
        sizes=_sizes(baseline, candidate),
    )


def _sizes(baseline: Side, candidate: Side) -> tuple[int, int] | None:
    if any(":" in each.source for each in (baseline, candidate)):
        return None
    return resolve(baseline.source).stat().st_size, resolve(candidate.source).stat().st_size
