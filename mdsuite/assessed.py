"""What is known of a campaign once it is measured and judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mdsuite.agreement import Agreement
from mdsuite.examination import Examination
from mdsuite.execution.supervise import Outcome as Ending
from mdsuite.judgement.causes import Cause
from mdsuite.judgement.criteria import Profile
from mdsuite.judgement.judge import Judged, Outcome, Verdict, verdict, worst
from mdsuite.ledger import Ledger
from mdsuite.plan import Plan
from mdsuite.preparation import Prepared
from mdsuite.reversal import Reversed
from mdsuite.runs import Run
from mdsuite_analysis.failure import Failure
from mdsuite_analysis.measurement import Measurement, named
from mdsuite_analysis.series import EnergySeries
from mdsuite_analysis.survival import Envelope
from mdsuite_driver.models.protocol import ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedRun:
    """A run, how it ended, what was measured of it, and what the criteria say.

    unmeasured : why some measurement could not be made
    engine : its engine's title, where the campaign has several
    rung : its temperature and timestep, where the campaign has several
    ledger : the energy ledger, where a criterion was not met
    failure : what failed first, if anything did
    """

    run: Run
    ending: Ending
    energies: EnergySeries | None
    measurements: tuple[Measurement, ...]
    judged: tuple[Judged, ...]
    unmeasured: str = ""
    engine: str = ""
    rung: str = ""
    ledger: Ledger | None = None
    failure: Failure | None = None

    @property
    def drift(self) -> Measurement | None:
        """That of what should be conserved, if it was measured."""
        return self.measured("conserved_drift" if self.run.thermostat else "energy_drift")

    @property
    def verdict(self) -> Verdict:
        """The verdict on this run alone."""
        return verdict(self.judged)

    def measured(self, name: str) -> Measurement | None:
        """A measurement by its name, if it was made."""
        return named(self.measurements, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedReplicas:
    """Runs that differ in their velocities alone, taken together: what was measured, and what the criteria say.

    missing : float, ps, by how much they must be longer to decide on their drift, where they have not and it is known
    """

    runs: tuple[AssessedRun, ...]
    measurements: tuple[Measurement, ...]
    judged: tuple[Judged, ...]
    missing: float | None = None

    @property
    def name(self) -> str:
        """What a reader calls them."""
        first = self.runs[0]
        return ", ".join(filter(None, (first.run.structure, first.engine, first.rung)))

    @property
    def verdict(self) -> Verdict:
        """The verdict on all of them."""
        return verdict(self.every)

    @property
    def every(self) -> tuple[Judged, ...]:
        """Every verdict on them, together and alone."""
        return (*self.judged, *(each for run in self.runs for each in run.judged))

    @property
    def rung(self) -> tuple[float, float]:
        """Temperature (K) and timestep (ps)."""
        return self.runs[0].run.temperature, self.runs[0].run.timestep


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedLadder:
    """A start at several temperatures or timesteps: how far it holds.

    envelope : where every criterion was met; what was not decided counts as not run
    measurements : how the energy error falls with the timestep, at each temperature
    """

    name: str
    envelope: Envelope
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedModel:
    """A model with all of its runs.

    replicas : in the order of the campaign; those at its first temperature and timestep are asked about, the others
        show how far the verdict holds
    """

    card: ModelCard
    runs: tuple[AssessedRun, ...]
    replicas: tuple[AssessedReplicas, ...]
    causes: tuple[Cause, ...] = ()
    ladders: tuple[AssessedLadder, ...] = ()
    examination: Examination | None = None
    reversals: tuple[Reversed, ...] = ()

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Every verdict on every run, and on replicas together."""
        of_runs = tuple(each for run in self.runs for each in run.judged)
        of_reversals = (each for reversal in self.reversals for each in reversal.judged)
        return (*of_runs, *(each for group in self.replicas for each in group.judged), *of_reversals, *self.gates)

    @property
    def gates(self) -> tuple[Judged, ...]:
        """Verdicts of the static checks."""
        return () if self.examination is None else self.examination.judged

    @property
    def verdict(self) -> Verdict:
        """The verdict at the first temperature and timestep; conditional, if it does not hold at all others."""
        if not self.replicas:
            return verdict(self.judged)
        first = self.replicas[0].rung
        asked = [*self.gates, *(each for group in self.replicas if group.rung == first for each in group.every)]
        here = verdict([*asked, *(each for reversal in self.reversals for each in reversal.judged)])
        elsewhere = [group.verdict for group in self.replicas if group.rung != first]
        if here is Verdict.APPROVED and any(each is not Verdict.APPROVED for each in elsewhere):
            return Verdict.CONDITIONAL
        return here


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A campaign, measured and judged.

    twin : the same from prepared starts, of what was hot
    """

    plan: Plan
    profile: Profile
    models: tuple[AssessedModel, ...]
    prepared: Prepared
    agreements: tuple[Agreement, ...] = ()
    twin: Assessment | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict on all models together, and on the engines where several were compared."""
        of_engines = [verdict(each.judged) for each in self.agreements]
        return worst([*(model.verdict for model in self.models if model.runs), *of_engines])

    @property
    def runs(self) -> tuple[AssessedRun, ...]:
        """Every run of every model."""
        return tuple(run for model in self.models for run in model.runs)


def outcomes_of(judged: Iterable[Judged], outcome: Outcome) -> list[Judged]:
    """Those with a given outcome."""
    return [each for each in judged if each.outcome is outcome]
