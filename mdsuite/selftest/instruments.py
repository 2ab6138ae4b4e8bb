"""The instruments: static checks through a driver, trajectories with their energy ledgers, and engines compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from mdsuite.assessed import AssessedRun, Assessment
from mdsuite.assessment import assess
from mdsuite.campaign import Campaign, read_campaign
from mdsuite.examination import ALL, Subject, examine
from mdsuite.execution.local import run_all
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import Outcome as Ending
from mdsuite.execution.supervise import Status
from mdsuite.judgement.criteria import Profile, read_profile
from mdsuite.judgement.judge import Judged, Outcome
from mdsuite.plan import Plan, Structure, claim, make_plan
from mdsuite.preparation import Prepared
from mdsuite.reversal import turn_round
from mdsuite.runs import Run
from mdsuite.selftest.trial import AGREE, LEDGER, REVERSE, RUN, STAGES, STATIC, Case, Finding, Setup, Sign, sign_of
from mdsuite.structures import configuration, read_structure
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import DOUBLE, Configuration

REPLICAS = 4
PROFILE = "production-nve"
FRAME_STEPS = {RUN: 20, AGREE: 10, REVERSE: 20}
ENGINES = {RUN: ["lammps"], REVERSE: ["lammps"], AGREE: ["ase", "lammps"]}
"""Where engines are compared the first is the reference, whose masses are right."""

FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "precision": ("effective_",),
        "repetition": ("input_mutated", "repeatability_", "history_", "unrepeated_"),
        "gradient": ("force_energy_", "virial_"),
        "curl": ("jacobian_", "loop_"),
        "symmetry": ("translation_", "rotation_", "reflection_", "permutation_", "net_"),
        "locality": ("extensivity_", "locality_"),
        "cut-off": ("cutoff_", "force_beyond_", "bond_"),
        "driver": ("driver_",),
    }
)
"""Families of static checks, by what the names of their measurements begin with."""

OTHER = "other checks"
COLUMNS = (*FAMILIES, OTHER, RUN, LEDGER, REVERSE, AGREE)


class StoppedError(Exception):
    """A stop was requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all instruments share: their folder, the static checks with their criteria, and who may stop them."""

    output: Path
    static: Profile
    stop: Stop
    checks: Collection[str] = ALL


Instrument = Callable[[Setup, Path, Bench], Finding]


def family_of(measurement: str) -> str:
    """The family of static checks that a measurement belongs to."""
    return next((family for family, begins in FAMILIES.items() if measurement.startswith(begins)), OTHER)


def examined(setup: Setup, folder: Path, bench: Bench) -> Finding:
    """What the static checks say of a model."""

    def told(_what: str) -> None:
        if bench.stop.requested:
            raise StoppedError

    source = STAGES[setup.host].structure
    structure = Structure(source, source, read_structure(source))
    card = dataclasses.replace(load(setup.source).card, dtype=DOUBLE)  # what sound hosts compute in
    subject = Subject(source=setup.source, card=card, trust=False, threads=1)
    examination = examine(subject, [structure], bench.static, folder, seed=setup.seed, names=bench.checks, told=told)
    return Finding(
        signs=_by_family(examination.judged),
        judged=examination.judged,
        causes=examination.causes,
        reason=_unanswered(examination.judged),
    )


def _by_family(judged: Sequence[Judged]) -> dict[str, Sign]:
    grouped: dict[str, list[Judged]] = {}
    for each in judged:
        grouped.setdefault(family_of(each.criterion.measurement), []).append(each)
    return {family: sign_of(of) for family, of in grouped.items()}


def _unanswered(judged: Sequence[Judged]) -> str:
    notes = [each.measurement.note for each in judged if each.outcome is Outcome.NOT_RUN and each.measurement]
    return next(iter(notes), "")


def integrated(setup: Setup, folder: Path, bench: Bench) -> Finding:
    """What replicas say that are integrated with a model, and their energy ledgers where the drift does not pass."""
    assessment = _assessed(setup, folder, bench, RUN)
    audited = [run for run in assessment.runs if run.ledger is not None]
    judged = tuple(each for model in assessment.models for each in model.judged)
    causes = tuple(cause for model in assessment.models for cause in model.causes)
    signs = {RUN: sign_of(judged)}
    if audited:
        signs[LEDGER] = _of_ledgers(audited, named=any(cause.share is not None for cause in causes))
    return Finding(signs=signs, judged=judged, causes=causes, reason=_why(assessment))


def _of_ledgers(audited: Sequence[AssessedRun], *, named: bool) -> Sign:
    if named:
        return Sign.FLAGGED
    measured = any(run.ledger is not None and run.ledger.measurements for run in audited)
    return Sign.SILENT if measured else Sign.NOT_RUN


def _why(assessment: Assessment) -> str:
    ended = [run.ending.reason for run in assessment.runs if run.ending.status not in (Status.DONE, Status.UNSTABLE)]
    return next(iter(ended), "")


def compared(setup: Setup, folder: Path, bench: Bench) -> Finding:
    """What the comparison of an engine with another says, which alone has the right masses."""
    agreements = _assessed(setup, folder, bench, AGREE).agreements
    judged = tuple(each for agreement in agreements for each in agreement.judged)
    return Finding(
        signs={AGREE: sign_of(judged)},
        judged=judged,
        causes=tuple(agreement.cause for agreement in agreements if agreement.cause is not None),
        reason=next((agreement.unmeasured for agreement in agreements if agreement.unmeasured), ""),
    )


def turned(setup: Setup, folder: Path, bench: Bench) -> Finding:
    """What a trajectory says that is turned round, in the precision that sound hosts compute in."""

    def carried_out(runs: Plan, place: Path) -> dict[str, Ending]:
        return _carried_out(runs, place, bench)

    plan = make_plan(_campaign(setup, REVERSE))
    cards = tuple(dataclasses.replace(card, dtype=DOUBLE) for card in plan.cards)
    (there_and_back,) = turn_round(
        dataclasses.replace(plan, cards=cards), folder, read_profile(PROFILE), {}, carried_out
    )
    return Finding(
        signs={REVERSE: sign_of(there_and_back.judged)},
        judged=there_and_back.judged,
        reason=there_and_back.unmeasured,
    )


def _assessed(setup: Setup, folder: Path, bench: Bench, instrument: str) -> Assessment:
    """The runs of an instrument, carried out and judged; raises StoppedError."""
    plan = with_wrong_masses(make_plan(_campaign(setup, instrument)), setup.mass_factor)
    endings = _carried_out(plan, folder, bench)
    profile = read_profile(PROFILE if instrument == RUN else "agreement")
    unprepared = Prepared(endings={}, structures={}, starts={})
    return assess(plan, folder, endings, profile, unprepared, each_run=instrument == RUN)


def _carried_out(plan: Plan, folder: Path, bench: Bench) -> dict[str, Ending]:
    claim(plan, folder)
    endings = run_all({run.id: plan.folder(folder, run) for run in plan.all_runs}, 1, bench.stop, _silently)
    if bench.stop.requested:
        raise StoppedError
    return endings


def _campaign(setup: Setup, instrument: str) -> Campaign:
    stage = STAGES[setup.host]
    dynamics = {
        "time_ps": stage.time_ps,
        "timestep_fs": setup.timestep_fs,
        "temperature_K": stage.temperature,
        "replicas": REPLICAS if instrument == RUN else 1,
        "seed": setup.seed,
        "frame_steps": FRAME_STEPS[instrument],
    }
    names = {"models": [setup.source], "structures": [stage.structure], "engine": ENGINES[instrument]}
    return read_campaign(None, names, dynamics=dynamics)


def with_wrong_masses(plan: Plan, factor: float) -> Plan:
    """The same plan whose engine under test has every mass so many times too large."""

    def wrong(run: Run) -> Run:
        if run.engine != ENGINES[AGREE][-1] or factor == 1.0:
            return run
        return dataclasses.replace(run, start=dataclasses.replace(run.start, masses=run.start.masses * factor))

    comparisons = tuple(
        dataclasses.replace(each, others=tuple(wrong(run) for run in each.others)) for each in plan.comparisons
    )
    return dataclasses.replace(plan, runs=tuple(wrong(run) for run in plan.runs), comparisons=comparisons)


def _silently(*_told: object) -> None:
    """Show nothing."""


INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType(
    {STATIC: examined, RUN: integrated, AGREE: compared, REVERSE: turned}
)


def answers_as_clean(case: Case, clean: Case) -> bool:
    """Whether two models answer alike to the bit: a frame, the same moved a little, and the first once more."""
    atoms = read_structure(STAGES[case.host].structure)
    moved = 0.01 * np.random.default_rng(0).standard_normal(atoms.positions.shape)
    models = [load(each.setup.source) for each in (case, clean)]
    for displacement in (0.0 * moved, moved, 0.0 * moved):
        asked = configuration(atoms)
        question = Configuration(
            numbers=asked.numbers, positions=asked.positions + displacement, cell=asked.cell, pbc=asked.pbc
        )
        ours, theirs = (model.evaluate(question) for model in models)
        same = [np.array_equal(getattr(ours, of), getattr(theirs, of)) for of in ("energy", "forces", "virial")]
        if not all(same):
            return False
    return True
