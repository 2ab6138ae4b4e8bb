"""Runs that differ in their velocities alone, judged from records, one after the other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mdsuite.execution.supervise import Status
from mdsuite.gathering.record import Record, Row
from mdsuite.judgement.criteria import Profile
from mdsuite.judgement.judge import Judged, Outcome, Verdict, verdict_of
from mdsuite.judgement.trajectories import POOLED, judge_replicas, judge_run
from mdsuite.plan import Terms
from mdsuite_analysis.heating import safe_horizon
from mdsuite_analysis.measurement import Measurement, undefined
from mdsuite_analysis.replicas import mean_of_slopes

Key = tuple[str, str, str, float, float]


def key_of(row: Row) -> Key:
    """What replicas have in common: the model's hash, structure, engine, temperature (K) and timestep (fs)."""
    return row.model_sha256, row.structure, row.engine, row.temperature_K, row.timestep_fs


@dataclass(slots=True)
class Kind:
    """What is kept of them: numbers, and no trajectory.

    alone : outcomes of criteria that each run meets by itself, and `by_drift` of those that replicas meet together
    """

    first: Row
    statuses: Counter[str] = field(default_factory=Counter)
    alone: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    by_drift: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    drifts: list[Measurement | None] = field(default_factory=list)
    energies: Counter[str] = field(default_factory=Counter)

    @property
    def n_runs(self) -> int:
        """How many there are."""
        return self.statuses.total()

    def add(self, record: Record, profile: Profile) -> None:
        """One more run of the kind."""
        row, measured = record.row, record.by_name
        self.statuses[row.status] += 1
        for each in judge_run(profile, measured, {}, row.temperature_K):
            name = each.criterion.measurement
            (self.by_drift if name in POOLED else self.alone)[name, each.outcome] += 1
        done = row.status == Status.DONE
        self.drifts.append(measured.get("conserved_drift" if row.thermostat else "energy_drift") if done else None)
        if row.energies_sha256:
            self.energies[row.energies_sha256] += 1

    def judged(self, profile: Profile, terms: Terms) -> JudgedKind:
        """All of them together, by the same rules as in ``mdsuite run``."""
        drift = self._drift()
        measured = {} if drift is None else {"mean_drift": drift}
        if drift is not None and math.isfinite(drift.value) and not self.first.thermostat:
            measured["safe_horizon"] = safe_horizon(drift)
        together = judge_replicas(profile, self.n_runs, measured, {}, self.first.temperature_K, terms.horizon_ps)
        alone = Counter(self.alone)
        for (name, outcome), n in self.by_drift.items():
            if not together.pooled or outcome is Outcome.FAIL:  # beside replicas one counts that fails beyond doubt
                alone[name, outcome] += n
        outcomes = [*(outcome for _, outcome in alone), *(each.outcome for each in together.every)]
        return JudgedKind(
            first=self.first,
            statuses=self.statuses,
            drift=drift,
            verdict=verdict_of(outcomes),
            unmet=_unmet(alone, together.every, profile),
        )

    def _drift(self) -> Measurement | None:
        """The mean over replicas, or that of a single run."""
        known = [each for each in self.drifts if each is not None]
        if len(known) < self.n_runs or not known:
            return None
        if len(known) == 1:
            return known[0]
        if lost := [each for each in known if not math.isfinite(each.value)]:
            return undefined("mean_drift", known[0].unit, lost[0].note)
        if (n := max(self.energies.values(), default=0)) > 1:
            reason = f"{n} replicas have identical energies; give each velocities of its own"
            return undefined("mean_drift", known[0].unit, reason)
        return mean_of_slopes([each.value for each in known])


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedKind:
    """A kind with its verdict.

    drift : mean over the replicas, where all have come to their ends
    unmet : labels of criteria that are not met or were not decided, with how often
    """

    first: Row
    statuses: Counter[str]
    drift: Measurement | None
    verdict: Verdict
    unmet: tuple[str, ...]

    @property
    def n_runs(self) -> int:
        """How many there are."""
        return self.statuses.total()

    @property
    def rung(self) -> tuple[float, float]:
        """Temperature (K) and timestep (fs)."""
        return self.first.temperature_K, self.first.timestep_fs

    @property
    def size(self) -> float:
        """Of its drift, meV/atom/ps; infinite where that is no number, 0 where it was not measured."""
        if self.drift is None:
            return 0.0
        return abs(self.drift.value) if math.isfinite(self.drift.value) else math.inf


def kinds_of(records: Iterable[Record], profile: Profile, terms: Terms) -> list[JudgedKind]:
    """Every kind, judged, in the order of models, structures, engines, temperatures and timesteps."""
    kinds: dict[Key, Kind] = {}
    for record in records:
        kind = kinds.setdefault(key_of(record.row), Kind(record.row))
        kind.add(record, profile)
    ordered = sorted(kinds.values(), key=lambda each: (each.first.model, *key_of(each.first)))
    return [each.judged(profile, terms) for each in ordered]


def _unmet(alone: Counter[tuple[str, Outcome]], together: Iterable[Judged], profile: Profile) -> tuple[str, ...]:
    labels = {each.measurement: each.label for each in profile.criteria}
    found = [f"{labels[name]}: {outcome} in {n}" for (name, outcome), n in alone.items() if outcome is not Outcome.PASS]
    return (
        *found,
        *(f"{each.criterion.label}: {each.outcome}" for each in together if each.outcome is not Outcome.PASS),
    )
