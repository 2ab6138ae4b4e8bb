"""Slopes and means: unbiased, and with intervals that cover what they say."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from mdsuite_analysis.statistics import autocorrelation_time, length_to_decide, mean_with_interval, trend

SERIES = 400
CASES = [(2000, 1), (2000, 20), (2000, 100), (20000, 100), (20000, 1000)]
TOO_SHORT = [(2000, 400), (200, 40), (60, 5), (20, 1)]


def correlated(n, tau, rng):
    """A stationary AR(1) series whose correlation decays as exp(-k/tau)."""
    memory = np.exp(-1.0 / tau)
    kicks = rng.normal(size=n) * np.sqrt(1.0 - memory**2)
    kicks[0] = rng.normal()
    return lfilter([1.0], [1.0, -memory], kicks)


def oscillating(n, rng):
    """What velocity Verlet does to a total energy: fast oscillations, a little noise."""
    periods, phases = rng.uniform(10, 40, size=(5, 1)), rng.uniform(0, 2 * np.pi, size=(5, 1))
    return np.sin(2 * np.pi * np.arange(n) / periods + phases).sum(axis=0) + 0.3 * rng.normal(size=n)


def chain_force(x):
    """Forces and energies of weakly anharmonic chains of unit masses, one chain a row."""
    stretch = np.diff(x, axis=1)
    pull = stretch + 0.5 * stretch**2 + 0.5 * stretch**3
    energy = (stretch**2 / 2 + stretch**3 / 6 + stretch**4 / 8).sum(axis=1)
    return np.pad(pull, ((0, 0), (0, 1))) - np.pad(pull, ((0, 0), (1, 0))), energy


def chains(n_runs=100, n_atoms=12, n=4000, timestep=0.1):
    """Total energies of chains under velocity Verlet, (n_runs, n); on average they do not drift."""
    x, v = np.zeros((n_runs, n_atoms)), 0.7 * np.random.default_rng(0).normal(size=(n_runs, n_atoms))
    force, potential = chain_force(x)
    total = np.empty((n, n_runs))
    for step in range(n):
        total[step] = potential + 0.5 * (v**2).sum(axis=1)
        v += 0.5 * timestep * force
        x += timestep * v
        force, potential = chain_force(x)
        v += 0.5 * timestep * force
    return total.T


@lru_cache
def trends(make, *parameters):
    rng = np.random.default_rng(7)
    return [trend(np.arange(float(parameters[0])), make(*parameters, rng)) for _ in range(SERIES)]


def covered(estimates, truth=0.0):
    return np.mean([low <= truth <= high for low, high in (estimate.ci for estimate in estimates)])


def test_an_exact_line_has_exactly_its_slope():
    t = np.arange(1000) * 0.0005
    assert trend(t, 1.0 * t - 160.0).slope == pytest.approx(1.0, rel=1e-9)


def test_an_exact_line_has_no_uncertainty():
    t = np.arange(1000) * 0.0005
    assert trend(t, 1.0 * t - 160.0).stderr < 1e-9


def test_a_constant_has_a_slope_of_exactly_zero():
    assert trend(np.arange(100.0), np.full(100, 3.0)).ci == (0.0, 0.0)


def test_the_intercept_is_the_line_at_time_zero():
    t = 5.0 + np.arange(100.0)
    assert trend(t, 2.0 * t + 3.0).intercept == pytest.approx(3.0)


@pytest.mark.parametrize(("n", "tau"), CASES)
def test_the_slope_is_unbiased(n, tau):
    slopes = np.array([estimate.slope for estimate in trends(correlated, n, tau)])
    assert abs(slopes.mean()) < 3.5 * slopes.std() / np.sqrt(SERIES)


@pytest.mark.parametrize(("n", "tau"), CASES)
def test_the_interval_of_a_slope_covers_what_it_says(n, tau):
    assert covered(trends(correlated, n, tau)) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(("n", "tau"), TOO_SHORT)
def test_a_series_too_short_for_its_correlation_still_covers(n, tau):
    assert covered(trends(correlated, n, tau)) >= 0.92


def test_the_interval_covers_under_the_oscillations_of_velocity_verlet():
    assert covered(trends(oscillating, 2000)) >= 0.92


def test_oscillations_faster_than_the_run_do_not_widen_the_interval():
    half_widths = [estimate.ci[1] - estimate.slope for estimate in trends(oscillating, 2000)]
    assert np.mean(half_widths) < 1.5 * 1.96 * np.std([estimate.slope for estimate in trends(oscillating, 2000)])


def test_the_interval_is_several_times_that_of_independent_samples():
    estimates = trends(correlated, 2000, 100)
    independent = [e.residual_std * np.sqrt(12.0 / 2000**3) for e in estimates]
    assert np.mean([e.stderr for e in estimates]) > 10.0 * np.mean(independent)


def test_the_energy_of_a_conserving_chain_is_rarely_taken_for_a_drift():
    assert covered([trend(np.arange(4000.0), energy) for energy in chains()]) >= 0.8


def test_a_slope_of_the_size_of_the_noise_is_told_from_zero():
    rng = np.random.default_rng(3)
    t = np.arange(5000.0)
    assert trend(t, t / 5000.0 + 0.1 * correlated(5000, 20, rng)).ci[0] > 0.0


@pytest.mark.parametrize(("n", "tau"), [(2000, 1), (2000, 20), (2000, 100)])
def test_the_interval_of_a_mean_covers_what_it_says(n, tau):
    rng = np.random.default_rng(11)
    means = [mean_with_interval(300.0 + correlated(n, tau, rng)) for _ in range(SERIES)]
    assert covered(means, truth=300.0) == pytest.approx(0.95, abs=0.03)


@given(shift=st.floats(-1e3, 1e3), origin=st.floats(-1e3, 1e3), factor=st.floats(1e-3, 1e3))
def test_the_interval_moves_with_units_and_not_with_zeros(shift, origin, factor):
    t, y = np.arange(200) * 0.5, correlated(200, 5, np.random.default_rng(0))
    expected = factor * np.array(trend(t, y).ci)
    assert trend(t + origin, factor * y + shift).ci == pytest.approx(expected, rel=1e-4, abs=1e-10)


def test_the_autocorrelation_time_of_a_known_series_is_found():
    y = correlated(200_000, 50, np.random.default_rng(2))
    assert autocorrelation_time(y) == pytest.approx(50, rel=0.15)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_series_with_a_number_that_is_not_finite_has_no_interval(value):
    y = np.zeros(100)
    y[50] = value
    with pytest.raises(ValueError, match="1 of 100 samples are not finite"):
        trend(np.arange(100.0), y)


def test_a_handful_of_samples_has_no_interval():
    with pytest.raises(ValueError, match="at least 16 samples"):
        mean_with_interval(np.arange(10.0))


def test_uneven_times_are_refused():
    with pytest.raises(ValueError, match="not evenly spaced"):
        trend(np.arange(100.0) ** 2, np.zeros(100))


def test_a_run_of_the_length_to_decide_has_the_limit_at_the_edge_of_its_interval():
    length = length_to_decide(slope=0.5, half_width=1.0, duration=2.0, limit=1.0)
    assert (length / 2.0) ** -1.5 * 1.0 == pytest.approx(1.0 - 0.5)


def test_a_slope_on_the_limit_is_never_decided():
    assert length_to_decide(slope=1.0, half_width=0.1, duration=2.0, limit=1.0) == float("inf")
