"""Deciding early: the looks share one error probability, and keep it."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.sequential import PLANNED, Decision, Looks, decide, look, replay, until

spec = importlib.util.spec_from_file_location(
    "decision_rates", Path(__file__).parents[2] / "benchmarks" / "decision_rates.py"
)
rates = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rates)

LIMIT = (-1.0, 1.0)
LOOKS = Looks(fractions=PLANNED)


def replicas(drift=0.0, *, noise=rates.white, seed=0):
    return next(iter(rates.campaigns(noise, 1, drift=drift, seed=seed)))


def drift(value, low, high):
    return Measurement(name="mean_drift", value=value, unit="meV/atom/ps", ci=(low, high))


def evenly(n_looks, confidence=0.95):
    return Looks(fractions=tuple((k + 1) / n_looks for k in range(n_looks)), confidence=confidence)


@given(n_looks=st.integers(1, 50), confidence=st.floats(0.5, 0.999))
def test_the_looks_share_one_error_probability(n_looks, confidence):
    spent = [1.0 - each for each in evenly(n_looks, confidence).confidences]
    assert sum(spent) == pytest.approx(1.0 - confidence)


def test_one_look_is_the_plain_interval():
    assert evenly(1).confidences == pytest.approx((0.95,))


def test_half_is_kept_for_the_planned_length():
    assert LOOKS.confidences == pytest.approx((0.99375,) * 4 + (0.975,))


@pytest.mark.parametrize("fractions", [(), (0.5,), (0.5, 0.5, 1.0), (0.0, 1.0), (0.5, 1.0, 1.5), (float("nan"), 1.0)])
def test_looks_that_do_not_rise_to_the_end_are_refused(fractions):
    with pytest.raises(ValueError, match="rising fractions that end with 1"):
        Looks(fractions=fractions)


@pytest.mark.parametrize(
    ("measurement", "decision"),
    [
        (drift(0.0, -0.9, 0.9), Decision.WITHIN),
        (drift(2.0, 1.1, 2.9), Decision.BEYOND),
        (drift(-2.0, -2.9, -1.1), Decision.BEYOND),
        (drift(0.9, 0.5, 1.3), Decision.UNDECIDED),
        (drift(0.0, -3.0, 3.0), Decision.UNDECIDED),
    ],
)
def test_an_interval_decides_where_the_limit_is_outside_it(measurement, decision):
    assert decide(measurement, LIMIT) is decision


@pytest.mark.parametrize(
    "measurement",
    [drift(np.nan, np.nan, np.nan), drift(0.0, np.nan, 0.5), drift(0.0, -0.5, np.nan), drift(np.nan, -0.5, 0.5)],
)
def test_a_nan_decides_nothing(measurement):
    assert decide(measurement, LIMIT) is Decision.UNDECIDED


def test_a_gross_drift_is_refused_early():
    end = replay(replicas(5.0), looks=LOOKS, limit=LIMIT)
    assert end.decision is Decision.BEYOND and end.fraction < 1.0


def test_a_run_far_within_is_approved_early():
    end = replay(replicas(0.0), looks=LOOKS, limit=LIMIT)
    assert end.decision is Decision.WITHIN and end.fraction < 1.0


def test_a_noisy_run_stays_undecided_to_the_end():
    end = replay(replicas(0.0, noise=rates.walk), looks=LOOKS, limit=(-0.1, 0.1))
    assert (end.decision, end.fraction) == (Decision.UNDECIDED, 1.0)


def test_a_replica_that_fails_is_never_approved():
    series = replicas(0.0)
    series[2].total_energy[5] = np.nan
    assert replay(series, looks=LOOKS, limit=LIMIT).decision is Decision.UNDECIDED


def test_a_look_sees_the_runs_at_its_own_confidence():
    seen = look(replicas(0.0), 2, looks=LOOKS, limit=LIMIT)
    assert seen.measurement.confidence == LOOKS.confidences[2]


def test_the_first_part_of_a_run_keeps_its_start():
    series = replicas()[0]
    part = until(series, 0.25)
    assert part.time.tolist() == series.time[:100].tolist()


@pytest.mark.parametrize("name", ["white", "AR(1), τ = T/20", "random walk"])
def test_the_error_rates_are_kept(name):
    found = rates.sequential_rates(rates.NOISES[name], 40, multiples=(1.0,))
    assert found["1 × within"] + found["1 × beyond"] <= 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / 40)


def test_looks_at_plain_confidence_do_not_keep_them():
    class Careless(Looks):
        confidences = (0.95,) * 10

    careless = Careless(fractions=evenly(10).fractions)
    found = rates.sequential_rates(rates.walk, 30, looks=careless, multiples=(1.0,))
    assert found["1 × within"] + found["1 × beyond"] > 0.1


@pytest.mark.parametrize(("multiple", "length"), [(3.0, 0.95), (10.0, 0.5), (30.0, 0.25)])
def test_the_larger_a_drift_the_sooner_it_is_found(multiple, length):
    found = rates.sequential_rates(rates.white, 20, multiples=(multiple,))
    assert found[f"{multiple:g} × beyond"] >= 0.9 and found[f"{multiple:g} × length"] < length
