"""From recorded runs to measurements, and from measurements to verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from mdsuite.agreement import agreements
from mdsuite.assessed import AssessedLadder, AssessedModel, AssessedReplicas, AssessedRun, Assessment
from mdsuite.campaign import Campaign, Preparation
from mdsuite.engines.kinds import engine_kind
from mdsuite.examination import GATES, Examination, Subject, Told, examine
from mdsuite.execution.supervise import Outcome as Ending
from mdsuite.execution.supervise import Status
from mdsuite.judgement.causes import UNIT_MISMATCH, together
from mdsuite.judgement.criteria import Profile, read_profile
from mdsuite.judgement.drift_causes import drift_causes, mismatch_causes
from mdsuite.judgement.judge import Judged, Outcome, Verdict, decided_alone
from mdsuite.judgement.surface import Evidence, wrong_potential
from mdsuite.judgement.trajectories import POOLED, judge_replicas, judge_run
from mdsuite.ledger import Ledgers
from mdsuite.measuring import measure_run
from mdsuite.plan import FOREIGN, STATIC, Plan, read_structures
from mdsuite.preparation import Prepared
from mdsuite.replication import CONFIDENCE, Replicate, measure_replicas, missing_time
from mdsuite.reversal import Reversed
from mdsuite.runs import Run
from mdsuite_analysis.convergence import timestep_order
from mdsuite_analysis.heat import heat
from mdsuite_analysis.measurement import Measurement, about
from mdsuite_analysis.survival import envelope
from mdsuite_driver.models.protocol import ModelCard

TWIN = "prepared"
"""Folder of a campaign's prepared twin."""

EQUILIBRATED = 1.0  # ps, of the twin
HOT = 1.5
"""Times the target, above which it is measured where the heat came from."""


def assess(
    plan: Plan,
    output: Path,
    endings: Mapping[str, Ending],
    profile: Profile,
    prepared: Prepared,
    examinations: Mapping[str, Examination] = MappingProxyType({}),
    confidences: Mapping[str, float] = MappingProxyType({}),
    reversals: Sequence[Reversed] = (),
    *,
    each_run: bool = True,
) -> Assessment:
    """Measure and judge a campaign by what is in its output folder: each of its runs, and its engines together.

    `examinations` are the static gates, by the models' hashes; `confidences` those of the intervals of mean drifts, by
    the ids of runs that were looked at on the way.
    """
    models = []
    campaign = plan.campaign
    log = output / "ledger.log"
    with Ledgers(trust=campaign.trust, threads=campaign.threads, log=log, doubles=plan.doubles) as ledgers:
        for card in plan.cards:
            runs = [run for run in plan.runs if run.model_sha256 == card.sha256]
            assessed = [
                _assess_run(plan, run, plan.folder(output, run), endings[run.id], profile) for run in runs if each_run
            ]
            groups = [
                _assess_replicas(group, profile, campaign.horizon_ps, _confidence(group, confidences))
                for group in _grouped(assessed)
            ]
            examined = examinations.get(card.sha256)
            cutoff = card.cutoff if examined is None else examined.cutoff
            audited = [_audited(plan, output, group, ledgers, card, cutoff) for group in groups]
            replicas = tuple(_warmed(group, ledgers) for group in audited)
            model = _assess_model(card, replicas, examined)
            turned = tuple(each for each in reversals if each.run.model_sha256 == card.sha256)
            models.append(replace(model, reversals=turned))
    compared = agreements(plan, output, endings)
    return Assessment(plan=plan, profile=profile, models=tuple(models), prepared=prepared, agreements=compared)


def prepared_twin(assessment: Assessment) -> Campaign | None:
    """One replica of what was hot, from a start that the model itself has relaxed and a thermostat has warmed.

    None where nothing was hot, it was not wanted, the campaign was prepared itself, or nobody can relax its model.
    """
    campaign = assessment.plan.campaign
    hot = [each.run for each in assessment.runs if _hot(each) and each.run.native is None]
    served = [run for run in hot if not run.model.startswith(FOREIGN)]
    if campaign.preparation.asked or not campaign.follow_up or not served:
        return None
    named = {structure.name: structure.source for structure in read_structures(campaign)}
    dynamics = campaign.dynamics
    return campaign.model_copy(
        update={
            "engine": [served[0].engine],
            "models": list(dict.fromkeys(run.model for run in served)),
            "structures": list(dict.fromkeys(named[run.structure] for run in served)),
            "check": False,
            "preparation": Preparation(relax=True, equilibrate_ps=min(EQUILIBRATED, dynamics.time_ps)),
            "dynamics": dynamics.model_copy(
                update={
                    "replicas": 1,
                    "velocities": "maxwell",
                    "temperature_K": dynamics.temperature_K[:1],
                    "timestep_fs": dynamics.timestep_fs[:1],
                }
            ),
        }
    )


def _assess_run(plan: Plan, run: Run, folder: Path, ending: Ending, profile: Profile) -> AssessedRun:
    found = measure_run(run, folder, ending)
    subject = _subject(run)
    by_name = {each.name: about(each, **subject) for each in found.measurements}
    judged = judge_run(profile, by_name, subject, run.temperature)
    return AssessedRun(
        run=run,
        ending=ending,
        energies=found.energies,
        measurements=tuple(by_name.values()),
        judged=judged,
        unmeasured=found.unmeasured,
        engine=engine_kind(run.engine).title if len(plan.campaign.engine) > 1 else "",
        rung=_rung(plan, run),
        failure=found.failure,
    )


def examine_models(plan: Plan, profile: Profile, output: Path, told: Told) -> dict[str, Examination]:
    """The gates of a profile, for each model that can be asked outside an engine, on the first structure."""
    campaign = plan.campaign
    if not (profile.gates and campaign.check):
        return {}
    gates, structures = read_profile(profile.gates), read_structures(campaign)[:1]
    asked = {run.model_sha256: run.model for run in plan.runs if run.native is None}
    return {
        card.sha256: examine(
            Subject(source=asked[card.sha256], card=card, trust=campaign.trust, threads=campaign.threads),
            structures,
            gates,
            output / STATIC,
            names=GATES,
            told=told,
        )
        for card in plan.cards
        if card.sha256 in asked and not asked[card.sha256].startswith(FOREIGN)
    }


def _assess_model(
    card: ModelCard, replicas: tuple[AssessedReplicas, ...], examination: Examination | None
) -> AssessedModel:
    runs = tuple(run for group in replicas for run in group.runs)
    static = () if examination is None else examination.causes
    mixed = any(each.name == UNIT_MISMATCH for each in static)
    causes = drift_causes(_ledgers(each for each in replicas if not _conserves(each)), mixed_units=mixed)
    named = {each.name for each in causes}
    causes += [each for each in mismatch_causes(_ledgers(replicas)) if each.name not in named]
    wrong = wrong_potential([_evidence(run) for group in replicas if _conserves(group) for run in group.runs])
    causes += [] if wrong is None else [wrong]
    return AssessedModel(
        card=card,
        runs=runs,
        replicas=replicas,
        causes=tuple(together([*causes, *static])),
        ladders=tuple(_ladders(replicas)),
        examination=examination,
    )


def _ledgers(groups: Iterable[AssessedReplicas]) -> list[dict[str, Measurement]]:
    every = (run.ledger for group in groups for run in group.runs)
    return [_named(each.measurements) for each in every if each is not None and each.measurements]


def _conserves(group: AssessedReplicas) -> bool:
    """Whether the drift of replicas was judged, and has passed."""
    drifts = [each for each in group.every if each.criterion.measurement in POOLED]
    return bool(drifts) and all(each.outcome is Outcome.PASS for each in drifts)


def _evidence(each: AssessedRun) -> Evidence:
    return Evidence(
        name=f"{each.run.structure}, replica {each.run.replica}",
        temperature=each.run.temperature,
        judged=each.judged,
        measurements=each.measurements,
    )


def _ladders(replicas: Sequence[AssessedReplicas]) -> Iterator[AssessedLadder]:
    """One for every start that was run at several temperatures or timesteps."""
    starts: dict[tuple[str, str], list[AssessedReplicas]] = {}
    for group in replicas:
        starts.setdefault((group.runs[0].run.structure, group.runs[0].engine), []).append(group)
    for (structure, engine), groups in starts.items():
        if len(groups) > 1:
            yield AssessedLadder(
                name=", ".join(filter(None, (structure, engine))),
                envelope=envelope({group.rung: _outcomes(group) for group in groups}),
                measurements=tuple(_measure_timesteps(groups)),
            )


def _outcomes(group: AssessedReplicas) -> list[tuple[float, bool]]:
    """How long each replica ran, ps, and whether it failed or did not meet a criterion."""
    if group.verdict is Verdict.INCONCLUSIVE:
        return []
    return [(_replicate(each).lasted[0], group.verdict is not Verdict.APPROVED) for each in group.runs]


def _measure_timesteps(groups: Sequence[AssessedReplicas]) -> Iterator[Measurement]:
    """How the energy error falls with the timestep, at every temperature at which all of them came to their end."""
    for temperature in dict.fromkeys(group.rung[0] for group in groups):
        same = [group for group in groups if group.rung[0] == temperature]
        series = {group.rung[1]: [_replicate(each).conserving for each in group.runs] for group in same}
        known = {dt: [each for each in of if each is not None] for dt, of in series.items()}
        if len(same) > 1 and all(len(known[dt]) == len(of) for dt, of in series.items()):
            subject = {**_subject(same[0].runs[0].run), "replica": f"all {len(same[0].runs)}"}
            del subject["run"], subject["timestep_fs"]
            yield from (about(each, **subject) for each in timestep_order(known))


def _named(measurements: Iterable[Measurement]) -> dict[str, Measurement]:
    return {each.name: each for each in measurements}


def _audited(
    plan: Plan, output: Path, group: AssessedReplicas, ledgers: Ledgers, card: ModelCard, cutoff: float | None
) -> AssessedReplicas:
    """With the ledgers of the runs, where a criterion has not passed or they ended before its time."""
    unstable = any(each.ending.status is Status.UNSTABLE for each in group.runs)
    if not unstable and all(each.outcome is Outcome.PASS for each in group.every):
        return group
    runs = []
    for each in group.runs:
        if each.ending.status not in (Status.DONE, Status.UNSTABLE):
            runs.append(each)
            continue
        ledger = ledgers.of(each.run, plan.folder(output, each.run), card, cutoff)
        measured = tuple(about(one, **_subject(each.run)) for one in ledger.measurements)
        runs.append(replace(each, ledger=ledger, measurements=(*each.measurements, *measured)))
    return replace(group, runs=tuple(runs))


def _warmed(group: AssessedReplicas, ledgers: Ledgers) -> AssessedReplicas:
    """With what has heated each run that is hot: strain of its start, drift, or a potential that melts it."""
    return replace(group, runs=tuple(_heated(each, ledgers) if _hot(each) else each for each in group.runs))


def _hot(each: AssessedRun) -> bool:
    temperature = each.measured("temperature_mean")
    return not each.run.thermostat and temperature is not None and temperature.value > HOT * each.run.temperature


def _heated(each: AssessedRun, ledgers: Ledgers) -> AssessedRun:
    run, start = each.run, each.run.start
    if each.energies is None:
        return each
    known = run.native is None and not run.model.startswith(FOREIGN)
    measured = heat(
        each.energies,
        temperature=run.temperature,
        dof=start.n_dof,
        springs=None if any(start.pbc) else max(1, 3 * start.n_atoms - 6),
        relaxed_energy=ledgers.relaxed_energy(run) if known else None,
    )
    found = (about(one, **_subject(run)) for one in measured)
    return replace(each, measurements=(*each.measurements, *found))


def _grouped(runs: Iterable[AssessedRun]) -> list[list[AssessedRun]]:
    groups: dict[tuple[object, ...], list[AssessedRun]] = {}
    for each in runs:
        groups.setdefault(each.run.kind, []).append(each)
    return list(groups.values())


def _confidence(runs: Sequence[AssessedRun], confidences: Mapping[str, float]) -> float:
    return max((confidences.get(each.run.id, CONFIDENCE) for each in runs), default=CONFIDENCE)


def _assess_replicas(
    runs: Sequence[AssessedRun], profile: Profile, horizon: float, confidence: float
) -> AssessedReplicas:
    """Replicas judged by their mean where they have one; each alone only where it fails beyond doubt by itself."""
    first = runs[0].run
    subject = {**_subject(first), "replica": f"all {len(runs)}"}
    del subject["run"]
    replicates = [_replicate(each) for each in runs]
    measured = {each.name: about(each, **subject) for each in measure_replicas(replicates, runs[0].drift, confidence)}
    together = judge_replicas(profile, len(runs), measured, subject, first.temperature, horizon)
    return AssessedReplicas(
        runs=tuple(replace(run, judged=decided_alone(run.judged, together.pooled)) for run in runs),
        measurements=tuple(measured.values()),
        judged=together.every,
        missing=_missing(runs, together.by_drift),
    )


def _replicate(each: AssessedRun) -> Replicate:
    return Replicate(run=each.run, ending=each.ending, energies=each.energies, failure=each.failure)


def _missing(runs: Sequence[AssessedRun], judged: Sequence[Judged]) -> float | None:
    """How much longer the replicas must run, where they have not decided on their drift."""
    undecided = [each for each in judged if each.outcome is Outcome.INCONCLUSIVE and _finite(each.measurement)]
    bounds = [abs(bound) for each in undecided for bound in each.limit if bound is not None]
    return missing_time([_replicate(each) for each in runs], min(bounds)) if bounds else None


def _finite(measurement: Measurement | None) -> bool:
    return measurement is not None and math.isfinite(measurement.value)


def _rung(plan: Plan, run: Run) -> str:
    dynamics = plan.campaign.dynamics
    words = [f"{run.temperature:g} K"] if len(dynamics.temperature_K) > 1 else []
    return ", ".join([*words, f"{run.timestep * 1e3:g} fs"] if len(dynamics.timestep_fs) > 1 else words)


def _subject(run: Run) -> dict[str, str]:
    return {
        "model": run.model_name,
        "structure": run.structure,
        "replica": str(run.replica),
        "engine": run.engine,
        "temperature_K": f"{run.temperature:g}",
        "timestep_fs": f"{run.timestep * 1e3:g}",
        "run": run.id,
    }
