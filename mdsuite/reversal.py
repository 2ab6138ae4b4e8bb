"""Runs that are turned round: whether an engine with its model finds its way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mdsuite.examination import Examination
from mdsuite.execution.supervise import Outcome, Status
from mdsuite.judgement.criteria import Profile
from mdsuite.judgement.judge import Judged, judge
from mdsuite.plan import REVERSAL, Plan
from mdsuite.runs import Run
from mdsuite_analysis.measurement import Measurement, about
from mdsuite_analysis.read import read_frames
from mdsuite_analysis.reversal import time_reversal_error
from mdsuite_driver.models.protocol import ModelCard

STEPS = 200
FRAME_STEPS = 5
DOUBLE, SINGLE = 2.0**-52, 2.0**-23
"""Relative rounding errors of forces."""

DIGITS = 10.0
"""Of the forces, as the static checks find them, from which a model computes in double precision."""

CONTROLS = (1.0, -1.0)

CarryOut = Callable[[Plan, Path], dict[str, Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversed:
    """A start that was run, turned round and run back.

    unmeasured : why nothing was measured
    """

    run: Run
    measurements: tuple[Measurement, ...] = ()
    judged: tuple[Judged, ...] = ()
    unmeasured: str = ""


def turn_round(
    plan: Plan, output: Path, profile: Profile, examinations: Mapping[str, Examination], carry_out: CarryOut
) -> list[Reversed]:
    """Run the first replica of every model, structure and engine there and back; none under a thermostat."""
    folder = output / REVERSAL
    first = [run for run in plan.runs if run.replica == 0 and not run.thermostat and _rung(run) == _rung(plan.runs[0])]
    there = [replace(run, n_steps=STEPS, frame_steps=FRAME_STEPS) for run in first]
    if not there:
        return []
    endings = carry_out(replace(plan, runs=tuple(there), comparisons=()), folder / "there")
    done = [run for run in there if endings[run.id].status is Status.DONE]
    roundings = {card.sha256: _rounding(card, examinations.get(card.sha256)) for card in plan.cards}
    back = {run.id: list(_back(run, folder, roundings[run.model_sha256])) for run in done}
    every = tuple(each for runs in back.values() for each in runs)
    if every:
        endings |= carry_out(replace(plan, runs=every, comparisons=()), folder / "back")
    return [
        _measured(run, back.get(run.id, []), endings, folder, roundings[run.model_sha256], profile) for run in there
    ]


def _rung(run: Run) -> tuple[float, float]:
    return run.temperature, run.timestep


def _back(run: Run, folder: Path, rounding: float) -> Iterator[Run]:
    """From where a run has ended, with negated velocities, and the same moved by rounding."""
    frames = read_frames(folder / "there" / "runs" / run.id)
    turned = dataclasses.replace(run.start, positions=frames.positions[-1].copy(), velocities=-frames.velocities[-1])
    yield replace(run, start=turned)
    for sign in CONTROLS:
        moved = turned.positions * (1.0 + sign * rounding)
        yield replace(run, start=dataclasses.replace(turned, positions=moved))


def _rounding(card: ModelCard, examination: Examination | None) -> float:
    """That of the precision which the static checks find, or the model declares; single where neither is known."""
    found = () if examination is None else examination.measurements
    digits = [each.value for each in found if each.name == "effective_digits"]
    double = digits[0] >= DIGITS if digits else card.dtype == "float64"
    return DOUBLE if double else SINGLE


def _measured(
    run: Run, back: list[Run], endings: dict[str, Outcome], folder: Path, rounding: float, profile: Profile
) -> Reversed:
    failed = [endings[each.id] for each in (run, *back) if endings[each.id].status is not Status.DONE]
    if failed:
        return Reversed(run=run, unmeasured=f"a run there or back {failed[0].status}: {failed[0].reason}")
    forward = read_frames(folder / "there" / "runs" / run.id)
    backward, *controls = (read_frames(folder / "back" / "runs" / each.id) for each in back)
    found = time_reversal_error(forward, backward, controls, run.start.masses, rounding=rounding)
    subject = {"model": run.model_name, "structure": run.structure, "engine": run.engine}
    measured = {each.name: about(each, **subject) for each in found}
    judged = [
        judge(each, measured[each.measurement], subject) for each in profile.criteria if each.measurement in measured
    ]
    return Reversed(run=run, measurements=tuple(measured.values()), judged=tuple(judged))
