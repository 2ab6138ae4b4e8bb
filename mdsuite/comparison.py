"""Runs of one start in several engines, and what rounding alone makes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mdsuite.runs import Run

REFERENCE = "ase"  # shares neither wire nor axes with any other
CONTROL_STEPS = 2000
FINE, COARSE = 2.0**-52, 2.0**-24  # rounding of double and of single precision


@dataclass(frozen=True, slots=True)
class Comparison:
    """A start in a reference engine and in others.

    fine, coarse : in the reference engine, the start displaced by a rounding error of double and of single precision
    """

    reference: Run
    others: tuple[Run, ...]
    fine: tuple[Run, ...]
    coarse: tuple[Run, ...]


def comparisons(runs: Sequence[Run], *, across_models: bool) -> Iterator[Comparison]:
    """One for the first replica of every structure and model that has runs in more than one engine.

    Of several temperatures or timesteps, the first.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.replica == 0 and (run.temperature, run.timestep) == (runs[0].temperature, runs[0].timestep):
            model = "" if across_models else run.model_sha256
            groups.setdefault((model, run.structure), []).append(run)
    for group in groups.values():
        if len(group) > 1:
            reference = next((run for run in group if run.engine == REFERENCE), group[0])
            others = tuple(run for run in group if run is not reference)
            yield Comparison(
                reference, others, *(tuple(_displaced(reference, scale, k) for k in (1, 2)) for scale in (FINE, COARSE))
            )


def _displaced(run: Run, scale: float, number: int) -> Run:
    """A short run whose start is moved by about `scale` of its coordinates."""
    start = run.start
    size = max(float(np.abs(start.positions).max()), float(np.abs(start.cell).max()))
    moved = np.random.default_rng(number).uniform(-2.0, 2.0, start.positions.shape) * scale * size
    displaced = dataclasses.replace(start, positions=start.positions + moved)
    return dataclasses.replace(run, start=displaced, n_steps=min(run.n_steps, CONTROL_STEPS))
