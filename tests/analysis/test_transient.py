"""Where the start of a run ends."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mdsuite_analysis.transient import start_transient


def temperatures(n=2000, relaxation=1.0, slope=0.0):
    rng = np.random.default_rng(5)
    t = np.arange(n)
    return 300.0 + 300.0 * np.exp(-t / relaxation) + slope * t + rng.normal(size=n)


def test_a_settled_run_loses_its_first_tenth():
    assert start_transient(temperatures()).end == 200


def test_a_slow_start_is_left_out_for_longer():
    assert 300 < start_transient(temperatures(relaxation=100.0)).end <= 500


def test_a_run_that_never_settles_loses_half_and_says_so():
    one_swing = 300.0 + 50.0 * np.cos(2 * np.pi * np.arange(2000) / 2000)
    transient = start_transient(one_swing)
    assert (transient.end, transient.settled) == (1000, False)


def test_steady_heating_is_not_a_transient():
    assert start_transient(temperatures(slope=0.5)).end == 200


@given(zero=st.floats(-200, 200))
def test_the_transient_does_not_depend_on_the_zero_of_temperature(zero):
    assert start_transient(temperatures(relaxation=100.0) + zero) == start_transient(temperatures(relaxation=100.0))


@given(n=st.integers(1, 40))
def test_at_most_half_of_a_run_is_left_out(n):
    assert start_transient(np.arange(float(n)) ** 2).end <= n // 2
