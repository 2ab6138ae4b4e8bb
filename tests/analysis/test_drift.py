"""How energy drift is measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdsuite_analysis.drift import (
    drift_rate_percent_per_ps,
    energy_drift,
    max_drift_percent,
    numerical_stability,
    steps_completed,
    total_drift_percent,
)
from mdsuite_analysis.series import EnergySeries


def run(drift=0.0, *, n=2000, n_atoms=20, noise=0.0, start=-160.0, timestep=0.0005, origin=0.0, seed=0):
    """A run whose total energy drifts by `drift` meV/atom/ps, with noise in eV."""
    rng = np.random.default_rng(seed)
    elapsed = np.arange(n) * timestep
    return EnergySeries(
        step=np.arange(n),
        time=origin + elapsed,
        total_energy=start + drift * n_atoms / 1000.0 * elapsed + noise * rng.normal(size=n),
        temperature=300.0 + rng.normal(size=n),
        n_atoms=n_atoms,
    )


def between(start, end, *, time):
    """A run known by its first and last energy alone."""
    ends = np.array([start, end])
    return EnergySeries(step=np.arange(2), time=np.array([0.0, time]), total_energy=ends, n_atoms=22)


def spoilt(series, value=np.nan):
    energy = series.total_energy.copy()
    energy[len(energy) // 2] = value
    return EnergySeries(step=series.step, time=series.time, total_energy=energy, n_atoms=series.n_atoms)


def test_a_line_has_its_drift_in_the_declared_unit():
    assert energy_drift(run(1.0)).value == pytest.approx(1.000, rel=1e-6)


def test_a_fall_in_energy_is_a_negative_drift():
    assert energy_drift(run(-1.0)).value == pytest.approx(-1.000, rel=1e-6)


def test_a_planted_drift_is_told_from_zero():
    assert energy_drift(run(5.0, noise=1e-3)).ci[0] > 0.0


def test_a_run_that_only_fluctuates_is_not_told_from_zero():
    low, high = energy_drift(run(0.0, noise=1e-3)).ci
    assert low < 0.0 < high


def test_a_short_run_has_a_wide_interval():
    low, high = energy_drift(run(1.0, noise=1e-3, n=200)).ci
    assert high - low > 20.0 * np.diff(energy_drift(run(1.0, noise=1e-3, n=2000)).ci)[0]


def test_a_jump_at_the_start_is_not_a_drift():
    series = run(0.0)
    series.total_energy[:50] += 1.0
    assert energy_drift(series).value == pytest.approx(0.0, abs=1e-9)


@given(zero=st.floats(-1e4, 1e4))
def test_the_energy_zero_does_not_change_the_drift(zero):
    assert energy_drift(run(1.0, noise=1e-3, start=zero)).value == pytest.approx(
        energy_drift(run(1.0, noise=1e-3)).value, rel=1e-6
    )


def test_the_energy_zero_changes_the_percentage():
    assert total_drift_percent(run(1.0, start=-1.0)).value != pytest.approx(total_drift_percent(run(1.0)).value)


@given(origin=st.floats(-1e3, 1e3))
def test_the_origin_of_time_does_not_change_the_drift(origin):
    assert energy_drift(run(1.0, origin=origin)).value == pytest.approx(1.0, rel=1e-6)


@given(copies=st.integers(1, 64))
def test_replication_does_not_change_the_drift(copies):
    one = run(1.0, noise=1e-3)
    many = EnergySeries(
        step=one.step,
        time=one.time,
        total_energy=copies * one.total_energy,
        temperature=one.temperature,
        n_atoms=copies * one.n_atoms,
    )
    assert energy_drift(many).ci == pytest.approx(energy_drift(one).ci, rel=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "measure",
    [energy_drift, total_drift_percent, max_drift_percent, drift_rate_percent_per_ps],
    ids=lambda f: f.__name__,
)
def test_one_number_that_is_not_finite_leaves_nothing_to_measure(measure, value):
    assert np.isnan(measure(spoilt(run(0.0), value)).value)


def test_the_note_says_what_is_not_finite():
    assert energy_drift(spoilt(run(0.0))).note == "not finite: 1 of total_energy"


def test_a_run_of_a_few_steps_has_no_drift_to_measure():
    assert np.isnan(energy_drift(run(1.0, n=10)).value)


def test_a_run_without_temperatures_loses_its_first_tenth():
    series = run(0.0)
    series.total_energy[:200] += 1.0
    bare = EnergySeries(step=series.step, time=series.time, total_energy=series.total_energy, n_atoms=20)
    assert energy_drift(bare).value == pytest.approx(0.0, abs=1e-9)


SEED = [
    (-160.0109, -145.8107, 2.0, 8.87, 4.44),
    (-181.0868, -172.5948, 5.0, 4.69, 0.94),
    (-229.1371, -216.4756, 2.0, 5.53, 2.76),
]


@pytest.mark.parametrize(("start", "end", "time", "percent", "rate"), SEED)
def test_the_percentage_is_that_of_the_published_report(start, end, time, percent, rate):
    assert round(total_drift_percent(between(start, end, time=time)).value, 2) == percent


@pytest.mark.parametrize(("start", "end", "time", "percent", "rate"), SEED)
def test_the_rate_is_that_of_the_published_report(start, end, time, percent, rate):
    assert drift_rate_percent_per_ps(between(start, end, time=time)).value == pytest.approx(rate, abs=0.0051)


def test_the_largest_excursion_is_taken_from_the_start():
    energies = np.array([-100.0, -97.0, -101.0, -99.0])
    series = EnergySeries(step=np.arange(4), time=np.arange(4.0), total_energy=energies, n_atoms=1)
    assert max_drift_percent(series).value == pytest.approx(3.0)


def test_a_percentage_says_what_it_depends_on():
    assert total_drift_percent(run(1.0)).note == "depends on the energy zero"


def test_a_percentage_of_zero_is_not_a_number():
    assert np.isnan(total_drift_percent(run(1.0, start=0.0)).value)


def test_a_single_record_has_no_rate():
    assert np.isnan(drift_rate_percent_per_ps(run(1.0, n=1)).value)


def test_steps_are_counted_from_the_first_record():
    assert steps_completed(run(n=4001)).value == 4000.0


@pytest.mark.parametrize(("series", "stable"), [(run(), 1.0), (spoilt(run()), 0.0)])
def test_a_run_is_stable_if_every_number_is_finite(series, stable):
    assert numerical_stability(series).value == stable


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"total_energy has shape \(4,\), but step has \(5,\)"):
        EnergySeries(step=np.arange(5), time=np.arange(5.0), total_energy=np.zeros(4), n_atoms=1)


def test_an_empty_series_is_refused():
    with pytest.raises(ValueError, match="the series is empty"):
        run(n=0)
