"""Engines compared: measured, judged, and the cause named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from mdsuite.comparison import COARSE, FINE, Comparison
from mdsuite.constants import EV_PER_KCAL_PER_MOL, KJ_PER_MOL
from mdsuite.engines.kinds import engine_kind
from mdsuite.execution.supervise import Outcome as Ending
from mdsuite.execution.supervise import Status
from mdsuite.judgement.causes import ENGINE_MISMATCH, UNIT_MISMATCH, Cause
from mdsuite.judgement.criteria import Criterion, read_profile
from mdsuite.judgement.judge import Judged, Outcome, judge
from mdsuite.plan import Plan
from mdsuite.runs import Run
from mdsuite_analysis.agreement import (
    Recorded,
    divergence,
    force_scale,
    lyapunov_rate,
    paired_differences,
    parity,
    resolved,
)
from mdsuite_analysis.measurement import Measurement, about
from mdsuite_analysis.read import read_energies, read_frames
from mdsuite_driver.wire import BOHR, HARTREE

PROFILE = "agreement"
# each thermostat makes them differ in its own way
OF_TRAJECTORIES = ("divergence_ratio", "lyapunov_rate", "drift_difference")
FACTORS: Mapping[str, float] = MappingProxyType(
    {
        "kcal/mol for eV": 1 / EV_PER_KCAL_PER_MOL,
        "kJ/mol for eV": KJ_PER_MOL,
        "Hartree for eV": 1 / HARTREE,
        "Rydberg for eV": 2 / HARTREE,
        "bohr for Å": BOHR,
        "Hartree/bohr for eV/Å": BOHR / HARTREE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was found of one engine beside the reference.

    unmeasured : why nothing was, if so
    """

    reference: Run
    run: Run
    measurements: tuple[Measurement, ...]
    judged: tuple[Judged, ...]
    cause: Cause | None
    unmeasured: str = ""

    @property
    def title(self) -> str:
        """Whose agreement with whom."""
        model = "" if self.run.model_name == self.reference.model_name else f" ({self.run.model_name})"
        ours, theirs = engine_kind(self.run.engine).title, engine_kind(self.reference.engine).title
        return f"{ours}{model} and {theirs}, {self.run.structure}"


def agreements(plan: Plan, output: Path, endings: Mapping[str, Ending]) -> tuple[Agreement, ...]:
    """Every engine of a plan beside its reference."""
    read = cache(_recorded)  # a reference and its controls serve every other engine
    criteria = read_profile(PROFILE).criteria
    return tuple(
        _agreement(comparison, run, endings, lambda each: read(plan.folder(output, each)), criteria)
        for comparison in plan.comparisons
        for run in comparison.others
    )


def _agreement(
    comparison: Comparison,
    run: Run,
    endings: Mapping[str, Ending],
    read: Callable[[Run], Recorded],
    criteria: Sequence[Criterion],
) -> Agreement:
    needed = (run, comparison.reference, *comparison.fine, *comparison.coarse)
    missing = [each for each in needed if not _recorded_enough(endings[each.id], whole=each is not run)]
    subject = {"structure": run.structure, "model": run.model_name, "engine": run.engine, "run": run.id}
    subject["reference"] = comparison.reference.engine
    recorded = [] if missing else [read(each) for each in needed]
    found = _measured(recorded, len(comparison.fine), thermostatted=bool(run.thermostat)) if recorded else []
    measured = tuple(about(each, **subject) for each in found)
    by_name = {each.name: each for each in measured}
    judged = tuple(
        judge(criterion, by_name.get(criterion.measurement), subject, scale=run.temperature)
        for criterion in criteria
        if not (run.thermostat and criterion.measurement in OF_TRAJECTORIES)
    )
    return Agreement(
        reference=comparison.reference,
        run=run,
        measurements=measured,
        judged=judged,
        cause=_cause(run, judged, endings[run.id], *force_scale(*recorded[:2])) if recorded else None,
        unmeasured=_why(missing[0], endings[missing[0].id]) if missing else "",
    )


def _why(run: Run, ending: Ending) -> str:
    reason = f": {ending.reason}" if ending.reason else ""
    return f"{engine_kind(run.engine).title}: {ending.status} after {ending.steps} steps{reason}"


def _recorded_enough(ending: Ending, *, whole: bool) -> bool:
    """What a model made unstable in one engine is compared as far as it came."""
    return ending.status is Status.DONE or (not whole and ending.status is Status.UNSTABLE and ending.steps > 0)


def _recorded(folder: Path) -> Recorded:
    return Recorded(energies=read_energies(folder), frames=read_frames(folder))


def _measured(recorded: Sequence[Recorded], n_fine: int, *, thermostatted: bool) -> list[Measurement]:
    run, reference, *controls = recorded
    fine, coarse = controls[:n_fine], controls[n_fine:]
    pairs = paired_differences(run, reference)
    if thermostatted:
        pairs = [each for each in pairs if each.name not in OF_TRAJECTORIES]
    chosen = fine if resolved(fine[0], coarse[0], reference, COARSE / FINE) else coarse
    parted = None if thermostatted else divergence(run, reference, chosen)
    trajectories = [] if parted is None else [parted, lyapunov_rate(reference, chosen)]
    return [*parity(run, reference, chosen), *trajectories, *pairs]


def _cause(run: Run, judged: Sequence[Judged], ending: Ending, factor: float, left: float) -> Cause | None:
    failed = [each for each in judged if each.outcome is Outcome.FAIL]
    if not failed:
        return None
    evidence = tuple(each.criterion.measurement for each in failed)
    unit = next((unit for unit, wanted in FACTORS.items() if left < 1e-3 and abs(factor / wanted - 1.0) < 1e-2), None)
    worst = failed[0]
    shown = "not finite" if worst.measurement is None else f"{worst.measurement.value:.3g} {worst.measurement.unit}"
    note = "" if worst.measurement is None else worst.measurement.note
    what = f"{engine_kind(run.engine).title}, {run.structure}: '{worst.criterion.label}' is off: {shown}"
    sentence = what + (f" ({note})" if note else "")
    if ending.status is Status.UNSTABLE:
        sentence += f"; there the run became unstable after {ending.steps} of {run.n_steps} steps"
    if unit is not None:
        sentence += f"; its forces are {factor:.6g} times those of the reference, as by {unit}"
    return Cause(
        name=ENGINE_MISMATCH if unit is None else UNIT_MISMATCH,
        share=None,
        evidence=evidence,
        remedy=worst.criterion.remedy,
        sentence=sentence,
    )
