"""From recorded runs to measurements, and from measurements to verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mdsuite_analysis.drift import energy_drift, numerical_stability, seed_percentages, steps_completed
from mdsuite_analysis.integrity import BondIntegrity
from mdsuite_analysis.read import read_energies, universe
from mdsuite_analysis.temperature import temperature_mean

from mdsuite.execution.supervise import Outcome as Ending
from mdsuite.execution.supervise import Status
from mdsuite.judgement.criteria import Profile
from mdsuite.judgement.judge import Judged, Outcome, Verdict, judge, verdict
from mdsuite.plan import Plan
from mdsuite.run import Run
from mdsuite_analysis.measurement import Measurement, about
from mdsuite_analysis.series import EnergySeries
from mdsuite_driver.models.protocol import ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedRun:
    """A run, how it ended, what was measured of it, and what the criteria say."""

    run: Run
    ending: Ending
    energies: EnergySeries | None
    measurements: tuple[Measurement, ...]
    judged: tuple[Judged, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict on this run alone."""
        return verdict(self.judged)

    def measured(self, name: str) -> Measurement | None:
        """A measurement by its name, if it was made."""
        return next((each for each in self.measurements if each.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedModel:
    """A model with all of its runs."""

    card: ModelCard
    runs: tuple[AssessedRun, ...]

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Every verdict on every run."""
        return tuple(each for run in self.runs for each in run.judged)

    @property
    def verdict(self) -> Verdict:
        """The verdict on the model."""
        return verdict(self.judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A campaign, measured and judged."""

    plan: Plan
    profile: Profile
    models: tuple[AssessedModel, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict on all models together."""
        return verdict(each for model in self.models for each in model.judged)

    @property
    def runs(self) -> tuple[AssessedRun, ...]:
        """Every run of every model."""
        return tuple(run for model in self.models for run in model.runs)


def assess(plan: Plan, output: Path, endings: Mapping[str, Ending], profile: Profile) -> Assessment:
    """Measure and judge every run of a campaign by what is in its output folder."""
    models = []
    for card in plan.cards:
        runs = [run for run in plan.runs if run.model_sha256 == card.sha256]
        assessed = tuple(_assess_run(run, plan.folder(output, run), endings[run.id], profile) for run in runs)
        models.append(AssessedModel(card=card, runs=assessed))
    return Assessment(plan=plan, profile=profile, models=tuple(models))


def _assess_run(run: Run, folder: Path, ending: Ending, profile: Profile) -> AssessedRun:
    energies = read_energies(folder) if ending.steps else None
    subject = _subject(run)
    measurements = tuple(about(each, **subject) for each in _measure(run, folder, ending, energies))
    by_name = {each.name: each for each in measurements}
    judged = tuple(
        judge(criterion, by_name.get(criterion.measurement), subject, scale=run.temperature)
        for criterion in profile.criteria
    )
    return AssessedRun(run=run, ending=ending, energies=energies, measurements=measurements, judged=judged)


def _subject(run: Run) -> dict[str, str]:
    return {
        "model": run.model_name,
        "structure": run.structure,
        "replica": str(run.replica),
        "engine": run.engine,
        "run": run.id,
    }


def _measure(run: Run, folder: Path, ending: Ending, energies: EnergySeries | None) -> Iterable[Measurement]:
    """What can be measured of a run: everything of a finished one, its instability of one that ended in NaN.

    A run that was stopped or lost its engine is not measured at all: what it has is not what was asked for.
    """
    if ending.status is Status.UNSTABLE:
        yield Measurement(name="numerical_stability", value=0.0, unit="1", note=ending.reason)
        return
    if ending.status is not Status.DONE or energies is None:
        return
    yield steps_completed(energies)
    yield numerical_stability(energies)
    yield energy_drift(energies)
    yield from seed_percentages(energies)
    yield temperature_mean(energies)
    yield from BondIntegrity(universe(folder)).run().measurements()


def exit_code(assessment: Assessment) -> int:
    """0 approved, 1 not recommended or conditional, 3 inconclusive or not run, 75 stopped and resumable."""
    if any(run.ending.status is Status.STOPPED for run in assessment.runs):
        return 75
    codes = {Verdict.APPROVED: 0, Verdict.CONDITIONAL: 1, Verdict.NOT_RECOMMENDED: 1, Verdict.INCONCLUSIVE: 3}
    return codes[assessment.verdict]


def outcomes_of(judged: Iterable[Judged], outcome: Outcome) -> list[Judged]:
    """Those with a given outcome."""
    return [each for each in judged if each.outcome is outcome]
