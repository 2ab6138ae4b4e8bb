"""A measurement judged by a criterion, and a campaign by its verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mdsuite.judgement.criteria import Criterion
from mdsuite_analysis.measurement import NOT_KNOWN, NOT_RUN, Measurement


class Outcome(StrEnum):
    """What a criterion says of a measurement."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not run"


class Verdict(StrEnum):
    """What a campaign says of its model."""

    APPROVED = "APPROVED"
    CONDITIONAL = "CONDITIONAL"
    NOT_RECOMMENDED = "NOT RECOMMENDED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A measurement beside the criterion that judged it; `measurement` is None where it was not made.

    limit : the criterion's range in the measurement's unit
    """

    criterion: Criterion
    measurement: Measurement | None
    limit: tuple[float | None, float | None]
    outcome: Outcome
    subject: Mapping[str, str] = field(default_factory=dict)


def judge(
    criterion: Criterion, measurement: Measurement | None, subject: Mapping[str, str], scale: float = 1.0
) -> Judged:
    """One measurement judged; `scale` is what a relative criterion's limits are multiples of.

    Raises ValueError where the units differ.
    """
    limit = _limit(criterion, scale)
    if measurement is None or _refused(measurement):
        outcome = Outcome.NOT_RUN
    elif measurement.unit != criterion.unit:
        raise ValueError(
            f"{measurement.name} is in {measurement.unit}, but its criterion is in {criterion.unit} "
            f"({criterion.source}); restate the criterion"
        )
    else:
        outcome = _outcome(measurement, limit)
    return Judged(criterion=criterion, measurement=measurement, limit=limit, outcome=outcome, subject=subject)


def verdict(judged: Iterable[Judged]) -> Verdict:
    """The verdict on all: one failure condemns, one gap leaves it open, and nothing judged is nothing known."""
    return verdict_of(each.outcome for each in judged)


def verdict_of(outcomes: Iterable[Outcome]) -> Verdict:
    """As `verdict`, of outcomes alone."""
    found = set(outcomes)
    if Outcome.FAIL in found:
        return Verdict.NOT_RECOMMENDED
    if found == {Outcome.PASS}:
        return Verdict.APPROVED
    return Verdict.INCONCLUSIVE


def decided_alone(judged: Iterable[Judged], pooled: Sequence[Criterion]) -> tuple[Judged, ...]:
    """Of verdicts on one replica, those that count beside what replicas meet together.

    By a pooled criterion a replica alone counts only where it fails beyond doubt by itself.
    """
    return tuple(each for each in judged if each.criterion not in pooled or each.outcome is Outcome.FAIL)


def worst(of: Iterable[Verdict]) -> Verdict:
    """The verdict on several things at once: what condemns one condemns all; of nothing, nothing is known."""
    found = set(of)
    order = (Verdict.NOT_RECOMMENDED, Verdict.INCONCLUSIVE, Verdict.CONDITIONAL, Verdict.APPROVED)
    return next((each for each in order if each in found), Verdict.INCONCLUSIVE)


def exit_code(of: Verdict) -> int:
    """0 approved, 1 not recommended or conditional, 3 inconclusive or not run."""
    return {Verdict.APPROVED: 0, Verdict.CONDITIONAL: 1, Verdict.NOT_RECOMMENDED: 1, Verdict.INCONCLUSIVE: 3}[of]


def _refused(measurement: Measurement) -> bool:
    """Whether the model refused to be asked, which is no failure of what was to be measured."""
    return not math.isfinite(measurement.value) and measurement.note.startswith(NOT_RUN)


def _limit(criterion: Criterion, scale: float) -> tuple[float | None, float | None]:
    factor = 1.0 if criterion.relative_to is None else scale
    low, high = criterion.low, criterion.high
    return (None if low is None else low * factor, None if high is None else high * factor)


def _outcome(measurement: Measurement, limit: tuple[float | None, float | None]) -> Outcome:
    if math.isnan(measurement.value):
        return Outcome.INCONCLUSIVE if measurement.note.startswith(NOT_KNOWN) else Outcome.FAIL
    low, high = measurement.ci or (measurement.value, measurement.value)
    at_least = -math.inf if limit[0] is None else limit[0]
    at_most = math.inf if limit[1] is None else limit[1]
    if at_least <= low and high <= at_most:
        return Outcome.PASS
    if high < at_least or low > at_most:
        return Outcome.FAIL
    return Outcome.INCONCLUSIVE  # also reached for an interval of NaN, which must never pass
