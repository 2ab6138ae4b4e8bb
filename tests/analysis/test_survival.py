"""How long runs last."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mdsuite_analysis.survival import envelope, failure_rate, survival_probability, time_to_failure

ALIVE, DEAD = (10.0, False), (4.0, True)


@pytest.mark.parametrize("n_dead", [0, 1, 3, 6])
def test_replicas_of_equal_length_have_the_exact_binomial_interval(n_dead):
    measured = survival_probability([DEAD] * n_dead + [ALIVE] * (6 - n_dead), 10.0)
    exact = binomtest(6 - n_dead, 6).proportion_ci(0.95, method="exact")
    assert measured.value == pytest.approx((6 - n_dead) / 6)
    assert measured.ci == pytest.approx((exact.low, exact.high))


def test_the_estimate_is_that_of_kaplan_and_meier_on_a_published_set():
    # 6-mercaptopurine, weeks in remission, Freireich et al. 1963, doi:10.1182/blood.V21.6.699.699: S(10) = 0.753
    failed = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    replicas = [(float(t), True) for t in failed] + [(float(t), False) for t in censored]
    assert survival_probability(replicas, 10.0).value == pytest.approx(0.7529, abs=1e-4)
    assert survival_probability(replicas, 23.0).value == pytest.approx(0.4482, abs=1e-4)
    assert time_to_failure(replicas).value == 23.0


def test_the_interval_of_survival_covers_the_truth_when_runs_are_censored():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        lives, ends = rng.exponential(10.0, 8), rng.uniform(2.0, 12.0, 8)
        replicas = [(min(life, end), bool(life < end)) for life, end in zip(lives, ends, strict=True)]
        low, high = survival_probability(replicas, 5.0).ci
        covered += low <= math.exp(-0.5) <= high
    assert covered >= 0.95 * 200


def test_runs_stopped_before_the_planned_length_do_not_show_that_they_survive_it():
    measured = survival_probability([(5.0, False)] * 4, 10.0)
    assert measured.ci == (0.0, 1.0)


def test_a_run_of_the_planned_length_survives_it_whatever_its_rounding():
    assert survival_probability([(10.0 - 1e-12, False)] * 4, 10.0).ci[0] > 0.3


def test_more_replicas_without_failure_say_more():
    few, many = (survival_probability([ALIVE] * n, 10.0).ci[0] for n in (4, 40))
    assert few < 0.5
    assert many > 0.9


def test_no_failure_bounds_the_rate_by_three_over_the_time_run():
    measured = failure_rate([ALIVE] * 4)
    assert measured.value == 0.0
    assert measured.ci == (0.0, pytest.approx(2.9957 / 0.04, rel=1e-4))


def test_three_failures_have_the_interval_of_garwood():
    measured = failure_rate([(1000.0, True)] * 3 + [(1000.0, False)])
    assert measured.value == pytest.approx(0.75)
    assert measured.ci == pytest.approx((0.6187 / 4, 8.7673 / 4), rel=1e-4)


@given(factor=st.floats(0.01, 100.0))
def test_the_rate_falls_as_times_grow(factor):
    short = failure_rate([DEAD, ALIVE]).value
    assert failure_rate([(4.0 * factor, True), (10.0 * factor, False)]).value == pytest.approx(short / factor)


def test_the_median_of_replicas_that_all_failed_lies_among_them():
    measured = time_to_failure([(float(t), True) for t in range(1, 10)])
    assert measured.value == 5.0
    assert measured.ci == (2.0, 8.0)  # order statistics of the sign test at nine


def test_half_of_few_failing_leaves_the_median_open_above():
    assert time_to_failure([DEAD, DEAD, ALIVE, ALIVE]).ci[1] == math.inf


def test_without_failure_there_is_no_time_to_it():
    assert math.isnan(time_to_failure([ALIVE] * 4).value)


@pytest.mark.parametrize("replicas", [[], [(math.nan, False), ALIVE]])
def test_nothing_run_or_a_duration_that_is_not_finite_is_no_survival(replicas):
    for measured in (survival_probability(replicas, 10.0), failure_rate(replicas), time_to_failure(replicas)):
        assert math.isnan(measured.value)
        assert measured.note


def ladder(**changed):
    outcomes = {(T, dt): [ALIVE] * 2 for T in (300.0, 500.0, 700.0) for dt in (5e-4, 1e-3)}
    outcomes.update({(700.0, 1e-3): [DEAD, DEAD], (700.0, 5e-4): [ALIVE, DEAD]})
    return {**outcomes, **changed}


def test_the_envelope_names_every_outcome():
    assert envelope(ladder()).words == (("stable", "stable"), ("stable", "stable"), ("mixed", "unstable"))


def test_the_safe_rectangle_is_the_largest_that_is_stable_throughout():
    assert envelope(ladder()).safe == (500.0, 1e-3)
    assert "500 K" in envelope(ladder()).sentence
    assert "1 fs" in envelope(ladder()).sentence


def test_a_cell_that_was_not_run_is_not_safe():
    outcomes = ladder()
    del outcomes[300.0, 1e-3]
    assert envelope(outcomes).words[0] == ("stable", "not run")
    assert envelope(outcomes).safe == (500.0, 5e-4)


def test_stability_above_a_failure_is_no_envelope():
    outcomes = ladder()
    outcomes[300.0, 5e-4] = [DEAD]
    assert envelope(outcomes).safe is None
    assert "not stable" in envelope(outcomes).sentence
