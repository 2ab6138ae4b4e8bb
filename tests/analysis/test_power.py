"""Plans: the length and the replicas that decide, checked by deciding."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdsuite_analysis.power import Plan, decisions, missing_length, pilot_noise, plan
from mdsuite_analysis.replicas import Noise
from mdsuite_analysis.statistics import trend

spec = importlib.util.spec_from_file_location(
    "decision_rates", Path(__file__).parents[2] / "benchmarks" / "decision_rates.py"
)
rates = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rates)

STATIONARY = Noise(diffusion=0.0, fluctuation=0.1)
WALK = Noise(diffusion=0.1, fluctuation=0.0)
MIXED = Noise(diffusion=0.1, fluctuation=0.1)
NOISES = pytest.mark.parametrize("noise", [STATIONARY, WALK, MIXED], ids=["stationary", "walk", "mixed"])


@NOISES
def test_a_plan_approves_no_drift_with_the_power_asked_for(noise):
    wanted = plan(noise, limit=1.0, power=0.8)
    assert decisions(noise, wanted, drift=0.0, limit=1.0).within == pytest.approx(0.8, abs=1e-3)


@NOISES
def test_a_plan_refuses_twice_the_limit_with_that_power_at_least(noise):
    wanted = plan(noise, limit=1.0, power=0.8)
    assert decisions(noise, wanted, drift=2.0, limit=1.0).beyond >= 0.8


@NOISES
def test_a_drift_on_the_limit_is_rarely_decided(noise):
    found = decisions(noise, plan(noise, limit=1.0), drift=1.0, limit=1.0)
    assert (found.within, found.beyond) == pytest.approx((0.025, 0.025), abs=1e-3)


@pytest.mark.parametrize("name", ["white", "AR(1), τ = T/100", "random walk"])
def test_the_planned_power_is_realised(name):
    realised = rates.planned_power(rates.NOISES[name], rates.KNOWN[name], 60)
    assert realised["zero within"] >= 0.65 and realised["twice beyond"] >= 0.75


def test_half_the_planned_length_has_not_that_power():
    wanted = plan(WALK, limit=1.0, n_replicas=4)
    half = Plan(n_replicas=4, length=wanted.length / 2.0)
    assert decisions(WALK, half, drift=0.0, limit=1.0).within < 0.5


def test_the_length_for_a_walk_falls_as_the_square_of_the_limit():
    assert plan(WALK, limit=0.1, n_replicas=4).length == pytest.approx(
        100.0 * plan(WALK, limit=1.0, n_replicas=4).length
    )


def test_the_length_for_noise_falls_as_the_limit_to_two_thirds():
    long, short = (plan(STATIONARY, limit=limit, n_replicas=4).length for limit in (1.0, 8.0))
    assert long == pytest.approx(4.0 * short)


def test_many_replicas_need_the_length_of_a_normal_interval():
    many = plan(WALK, limit=1.0, n_replicas=1000, power=0.5).length
    z = 1.959964 + 0.674490  # half of the drifts must miss neither end
    assert many == pytest.approx(2.4 * WALK.diffusion * z**2 / 1000.0, rel=0.01)


def test_a_plan_that_may_choose_is_no_longer_than_one_that_may_not():
    assert plan(MIXED, limit=1.0).total_length <= plan(MIXED, limit=1.0, n_replicas=8).total_length


def test_two_replicas_need_far_more_than_half_as_many():
    two, four = (plan(WALK, limit=1.0, n_replicas=n).total_length for n in (2, 4))
    assert two > 5.0 * four


def test_a_plan_for_a_drift_near_the_limit_is_longer():
    near = plan(MIXED, limit=1.0, drift=0.8, n_replicas=4)
    assert near.length > plan(MIXED, limit=1.0, drift=0.2, n_replicas=4).length


def test_the_sign_of_a_drift_does_not_matter():
    up, down = (plan(MIXED, limit=1.0, drift=drift, n_replicas=4).length for drift in (0.5, -0.5))
    assert up == pytest.approx(down, rel=1e-6)


def test_a_drift_on_the_limit_is_never_decided():
    assert plan(MIXED, limit=1.0, drift=1.0).length == math.inf


def test_a_pilot_without_noise_decides_at_once():
    assert plan(Noise(diffusion=0.0, fluctuation=0.0), limit=1.0).length == 0.0


@settings(max_examples=20, deadline=None)
@given(diffusion=st.floats(1e-6, 1e3), fluctuation=st.floats(1e-6, 1e3))
def test_more_noise_never_shortens_a_plan(diffusion, fluctuation):
    one = plan(Noise(diffusion=diffusion, fluctuation=fluctuation), limit=1.0, n_replicas=4).length
    other = plan(Noise(diffusion=2.0 * diffusion, fluctuation=fluctuation), limit=1.0, n_replicas=4).length
    assert other >= one * (1.0 - 1e-6)


def test_what_is_missing_is_the_plan_less_what_is_there():
    wanted = plan(MIXED, limit=1.0, n_replicas=4).length
    assert missing_length(MIXED, limit=1.0, n_replicas=4, length=0.25 * wanted) == pytest.approx(0.75 * wanted)


def test_long_enough_runs_miss_nothing():
    assert missing_length(MIXED, limit=1.0, n_replicas=4, length=1e6) == 0.0


def test_a_run_is_longer_than_what_counts_of_it():
    assert Plan(n_replicas=4, length=9.0).total_length == pytest.approx(40.0)


def test_one_replica_is_refused():
    with pytest.raises(ValueError, match="n_replicas is 1"):
        plan(MIXED, limit=1.0, n_replicas=1)


def test_the_noise_of_a_trend_is_its_variance_times_its_time():
    t = 0.01 * np.arange(20_000)
    pilot = trend(t, 0.02 * np.random.default_rng(0).normal(size=len(t)))
    assert pilot_noise(pilot, n_atoms=20).fluctuation == pytest.approx(1.0 * 0.005, rel=0.05)
