"""Which criteria are asked of a single run, and which of replicas together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mdsuite.judgement.criteria import HORIZON, ON_REQUEST, Criterion, Profile
from mdsuite.judgement.judge import Judged, judge
from mdsuite_analysis.measurement import Measurement

POOLED = {"energy_drift": "mean_drift", "conserved_drift": "mean_drift"}
"""Criteria that replicas meet together, and the measurement by which they do."""

Measured = Mapping[str, Measurement]
Subject = Mapping[str, str]


def judge_run(profile: Profile, measured: Measured, subject: Subject, temperature: float) -> tuple[Judged, ...]:
    """A run by itself; `temperature` (K) is its target."""
    return tuple(
        judge(criterion, measured.get(criterion.measurement), subject, scale=temperature)
        for criterion in profile.criteria
        if criterion.relative_to != HORIZON and criterion.measurement not in ON_REQUEST
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTogether:
    """What replicas meet together, by the criteria that they are not asked alone; and their length of production."""

    pooled: Sequence[Criterion]
    by_drift: tuple[Judged, ...]
    by_horizon: tuple[Judged, ...]

    @property
    def every(self) -> tuple[Judged, ...]:
        """All of them."""
        return (*self.by_drift, *self.by_horizon)


def judge_replicas(
    profile: Profile, n_replicas: int, measured: Measured, subject: Subject, temperature: float, horizon: float
) -> JudgedTogether:
    """Replicas by what was measured of them together; `horizon` (ps) is the length of production, or 0."""
    pooled = [each for each in profile.criteria if each.measurement in POOLED and n_replicas > 1]
    asked = [each for each in profile.criteria if each.relative_to == HORIZON and horizon]
    return JudgedTogether(
        pooled=pooled,
        by_drift=tuple(
            judge(each, measured.get(POOLED[each.measurement]), subject, scale=temperature) for each in pooled
        ),
        by_horizon=tuple(judge(each, measured.get(each.measurement), subject, scale=horizon) for each in asked),
    )
