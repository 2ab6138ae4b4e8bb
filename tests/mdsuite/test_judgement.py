"""Criteria judge measurements; a gap or a NaN never passes."""

from __future__ import annotations

import math

import pytest

from mdsuite.judgement.criteria import Criterion, profiles, read_profile
from mdsuite.judgement.judge import Outcome, Verdict, judge, verdict
from mdsuite.judgement.power import time_to_decide
from mdsuite_analysis.measurement import NOT_KNOWN, NOT_RUN, Measurement


def criterion(low: float | None = -1.0, high: float | None = 1.0, **changes) -> Criterion:
    facts = {
        "measurement": "energy_drift",
        "label": "drift",
        "unit": "meV/atom/ps",
        "source": "test",
        "remedy": "none",
    }
    return Criterion(**{**facts, **changes}, low=low, high=high)


def measured(value: float, half: float | None = 0.1, **changes) -> Measurement:
    ci = None if half is None else (value - half, value + half)
    return Measurement(**{"name": "energy_drift", "value": value, "unit": "meV/atom/ps", "ci": ci, **changes})


@pytest.mark.parametrize(
    ("measurement", "outcome"),
    [
        (measured(0.0), Outcome.PASS),
        (measured(0.95), Outcome.INCONCLUSIVE),
        (measured(-1.05), Outcome.INCONCLUSIVE),
        (measured(0.0, half=2.0), Outcome.INCONCLUSIVE),
        (measured(1.2), Outcome.FAIL),
        (measured(-1.2), Outcome.FAIL),
        (measured(math.nan), Outcome.FAIL),
        (measured(math.nan, note=f"{NOT_KNOWN}9 samples; a slope needs 16"), Outcome.INCONCLUSIVE),
        (measured(math.nan, note=f"{NOT_RUN}the model refused"), Outcome.NOT_RUN),
        (measured(math.inf), Outcome.FAIL),
        (measured(0.0, half=math.nan), Outcome.INCONCLUSIVE),
        (measured(1.0, half=None), Outcome.PASS),
        (measured(1.0001, half=None), Outcome.FAIL),
        (None, Outcome.NOT_RUN),
    ],
)
def test_an_interval_decides_only_where_it_keeps_to_one_side(measurement, outcome: Outcome):
    assert judge(criterion(), measurement, {}).outcome is outcome


def test_units_must_agree():
    with pytest.raises(ValueError, match="restate the criterion"):
        judge(criterion(unit="K/ps"), measured(0.0), {})


def test_relative_limits_scale():
    judged = judge(criterion(0.5, 1.5, relative_to="target temperature"), measured(200.0), {}, scale=300.0)
    assert (judged.limit, judged.outcome) == ((150.0, 450.0), Outcome.PASS)


@pytest.mark.parametrize(
    ("measurements", "expected"),
    [
        ([measured(0.0)], Verdict.APPROVED),
        ([measured(0.0), measured(0.95)], Verdict.INCONCLUSIVE),
        ([measured(0.0), None], Verdict.INCONCLUSIVE),
        ([measured(0.0), None, measured(3.0)], Verdict.NOT_RECOMMENDED),
        ([], Verdict.INCONCLUSIVE),
    ],
)
def test_one_failure_condemns_and_one_gap_leaves_open(measurements, expected: Verdict):
    assert verdict([judge(criterion(), each, {}) for each in measurements]) is expected


def test_the_time_that_would_decide_is_told():
    undecided = judge(criterion(), measured(0.0, half=8.0), {})
    assert time_to_decide(undecided, duration=2.0) == pytest.approx(8.0)


def test_a_value_on_the_limit_is_never_decided():
    assert time_to_decide(judge(criterion(), measured(1.0), {}), duration=2.0) is None


@pytest.mark.parametrize("name", list(profiles()))
def test_every_bundled_criterion_has_a_source(name: str):
    assert all(each.source and each.remedy for each in read_profile(name).criteria)
