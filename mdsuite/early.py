"""A campaign that ends replicas as soon as their drift is decided, with the error rates kept, or a bond has broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mdsuite.engines.recording import recorded_steps
from mdsuite.execution.supervise import Outcome as Ending
from mdsuite.execution.supervise import Status
from mdsuite.judgement.criteria import Profile
from mdsuite.judgement.judge import Outcome
from mdsuite.judgement.surface import STRUCTURE
from mdsuite.judgement.trajectories import POOLED, judge_run
from mdsuite.measuring import conserving, of_bonds
from mdsuite.plan import Plan
from mdsuite.runs import Run, read_run
from mdsuite_analysis.measurement import Interval
from mdsuite_analysis.read import read_energies, universe
from mdsuite_analysis.sequential import PLANNED, Decision, Looks, look
from mdsuite_analysis.series import EnergySeries

Endings = dict[str, Ending]
Integrate = Callable[[Plan], Endings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What came of the looks.

    plan : with every run as long as it has become
    confidences : of the interval of the mean drift, by the id of each run that was looked at: that of the look which
        decided, or of the last
    """

    plan: Plan
    endings: Endings
    confidences: Mapping[str, float]


def limit_of(profile: Profile) -> Interval | None:
    """The drifts (meV/atom/ps) that a profile tolerates, or None where it does not judge by them."""
    found = [each for each in profile.criteria if each.measurement in POOLED]
    if not found or found[0].low is None or found[0].high is None:
        return None
    return found[0].low, found[0].high


def integrate_early(plan: Plan, output: Path, integrate: Integrate, profile: Profile, limit: Interval) -> Looked:
    """Integrate to each look, and on only where replicas have not decided.

    They have where their drift is decided, and where one of them fails by what more steps cannot undo. The looks are
    those of `mdsuite_analysis.sequential` at whole chunks; a run that has ended in any other way than at its length is
    not integrated on.
    """
    groups = [group for group in _groups(plan) if len(group) > 1]
    single = [run for group in _groups(plan) if len(group) == 1 for run in group]
    confidences: dict[str, float] = {}
    lengths = {run.id: run.n_steps for run in single}
    endings: Endings = {}
    going = groups
    looks = _looks(groups[0][0]) if groups else Looks(fractions=(1.0,))
    for number, fraction in enumerate(looks.fractions):
        if number and not going:
            break
        for run in (run for group in going for run in group):
            lengths[run.id] = _steps(run, fraction)
        now = replace(plan, runs=tuple(_of_length(run, lengths[run.id], plan, output) for run in plan.runs))
        endings = integrate(now)
        if any(ending.status is Status.STOPPED for ending in endings.values()):
            return Looked(plan=now, endings=endings, confidences=confidences)
        confidences |= {run.id: looks.confidences[number] for group in going for run in group}
        going = [
            group
            for group in going
            if not (
                _decided(group, plan, output, endings, number, looks, limit)
                or any(_broken(run, plan.folder(output, run), fraction, profile) for run in group)
            )
        ]
    final = replace(plan, runs=tuple(_of_length(run, lengths[run.id], plan, output) for run in plan.runs))
    return Looked(plan=final, endings=endings, confidences=confidences)


def _groups(plan: Plan) -> list[list[Run]]:
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in plan.runs:
        groups.setdefault(run.kind, []).append(run)
    return list(groups.values())


def _looks(run: Run) -> Looks:
    """At whole chunks."""
    steps = sorted({_steps(run, fraction) for fraction in PLANNED})
    return Looks(fractions=tuple(step / run.n_steps for step in steps))


def _steps(run: Run, fraction: float) -> int:
    chunks = -(-round(fraction * run.n_steps) // run.chunk_steps)
    return min(chunks * run.chunk_steps, run.n_steps)


def _of_length(run: Run, n_steps: int, plan: Plan, output: Path) -> Run:
    """A run of so many steps, or of as many as an earlier attempt has given it."""
    folder = plan.folder(output, run)
    known = read_run(folder).n_steps if (folder / "run.json").exists() else 0
    return replace(run, n_steps=max(n_steps, known))


def _decided(
    group: Sequence[Run], plan: Plan, output: Path, endings: Endings, number: int, looks: Looks, limit: Interval
) -> bool:
    if any(endings[run.id].status is not Status.DONE for run in group):
        return True  # nothing is gained by running the others longer
    series = [_conserving(run, plan.folder(output, run), looks.fractions[number]) for run in group]
    known = [each for each in series if each is not None]
    if len(known) < len(series):
        return False
    return look(known, number, looks=looks, limit=limit).decision is not Decision.UNDECIDED


def _broken(run: Run, folder: Path, fraction: float, profile: Profile) -> bool:
    """Whether bonds or fragments have failed up to a look, for good: the most that was broken is what is judged."""
    if not any(each.measurement in STRUCTURE for each in profile.criteria) or not recorded_steps(folder):
        return False
    measured, _ = of_bonds(universe(folder).atoms, _steps(run, fraction) // run.frame_steps + 1)
    by_name = {each.name: each for each in measured if each.name in STRUCTURE}
    judged = judge_run(profile, by_name, {}, run.temperature)
    return any(each.outcome is Outcome.FAIL for each in judged if each.criterion.measurement in by_name)


def _conserving(run: Run, folder: Path, fraction: float) -> EnergySeries | None:
    """What a run conserves, up to a look."""
    energies = read_energies(folder)
    kept = energies.step <= _steps(run, fraction)
    columns: dict[str, Any] = {name: column[kept] for name, column in energies.columns().items()}  # of two kinds
    return conserving(replace(energies, **columns), thermostatted=bool(run.thermostat))
