"""Drift over replicas: its mean covers, walks are told from noise, and replicas that disagree are found."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.replicas import (
    Character,
    Noise,
    character,
    diffusive_drift,
    drift_heterogeneity,
    energy_diffusion,
    energy_noise,
    mean_drift,
    replica_drift,
)
from mdsuite_analysis.series import EnergySeries
from mdsuite_analysis.statistics import trend

SPACING = 0.025
CAMPAIGNS = 50
MEASURES = [mean_drift, energy_diffusion, diffusive_drift, drift_heterogeneity]


def white(n, rng):
    return rng.normal(size=n)


def correlated(n, rng):
    """AR(1) with an autocorrelation time of a hundredth of 400 samples."""
    return lfilter([1.0], [1.0, -np.exp(-0.25)], rng.normal(size=n) * np.sqrt(1.0 - np.exp(-0.5)))


def walk(n, rng):
    """A random walk with D = 1 (meV/atom)²/ps."""
    return np.cumsum(rng.normal(size=n)) * np.sqrt(2.0 * SPACING)


def run(energies, *, drift=0.0, n_atoms=1, zero=0.0, origin=0.0):
    """A run with these energies, meV/atom, about a line."""
    time = SPACING * np.arange(len(energies))
    total = zero + n_atoms / 1000.0 * (energies + drift * time)
    return EnergySeries(step=np.arange(len(energies)), time=origin + time, total_energy=total, n_atoms=n_atoms)


def replicas(noise=white, *, drifts=(0.0,) * 4, n=400, seed=0, rng=None, **facts):
    rng = rng or np.random.default_rng(seed)
    return [run(noise(n, rng), drift=drift, **facts) for drift in drifts]


@lru_cache
def measured(measure, noise, scatter=0.0):
    rng = np.random.default_rng(5)
    return [measure(replicas(noise, drifts=scatter * rng.normal(size=4), rng=rng)) for _ in range(CAMPAIGNS)]


def share(measurements, says):
    return np.mean([says(*measurement.ci) for measurement in measurements])


def spoilt(series):
    energy = series.total_energy.copy()
    energy[7] = np.nan
    return EnergySeries(step=series.step, time=series.time, total_energy=energy, n_atoms=series.n_atoms)


def test_lines_have_their_mean_drift():
    series = [run(np.zeros(400), drift=drift, zero=i) for i, drift in enumerate((0.5, 1.0, 1.5, 1.0))]
    assert mean_drift(series).value == pytest.approx(1.0, rel=1e-9)


def test_the_interval_is_students_t_over_the_slopes():
    series = [run(np.zeros(400), drift=drift) for drift in (1.0, 2.0, 3.0, 4.0)]
    half = 3.182446 * np.std([1, 2, 3, 4], ddof=1) / 2.0
    assert mean_drift(series).ci == pytest.approx((2.5 - half, 2.5 + half), rel=1e-5)


@pytest.mark.parametrize(("noise", "scatter"), [(white, 0.0), (correlated, 0.0), (walk, 0.0), (white, 0.3)])
def test_the_mean_drift_covers_whatever_the_noise(noise, scatter):
    assert share(measured(mean_drift, noise, scatter), lambda low, high: low <= 0.0 <= high) >= 0.88


def test_a_planted_drift_is_systematic():
    found = replica_drift(replicas(drifts=(1.0,) * 4))
    assert character(found[0], found[1]) is Character.SYSTEMATIC


def test_a_walk_is_diffusive():
    found = replica_drift(replicas(walk, n=2000, seed=1))
    assert character(found[0], found[1]) is Character.DIFFUSIVE


def test_a_walk_along_a_line_is_both():
    found = replica_drift(replicas(walk, n=2000, drifts=(5.0,) * 4))
    assert character(found[0], found[1]) is Character.BOTH


def test_noise_alone_has_no_character():
    found = replica_drift(replicas())
    assert character(found[0], found[1]) is Character.NONE


def test_what_was_not_measured_has_no_character_to_tell():
    found = replica_drift(replicas()[:1])
    with pytest.raises(ValueError, match="was not measured"):
        character(found[0], found[1])


def test_the_diffusion_of_a_walk_is_the_planted_one():
    long = replicas(walk, n=8000, drifts=(0.0,) * 16)
    assert energy_diffusion(long).value == pytest.approx(1.0, rel=0.25)


def test_the_diffusion_of_a_walk_is_covered():
    assert share(measured(energy_diffusion, walk), lambda low, high: low <= 1.0 <= high) >= 0.85


def test_a_walk_is_told_from_noise():
    assert share(measured(energy_diffusion, walk), lambda low, high: low > 0.0) >= 0.8


@pytest.mark.parametrize("noise", [white, correlated])
def test_stationary_noise_is_not_taken_for_a_walk(noise):
    assert share(measured(energy_diffusion, noise), lambda low, high: low > 0.0) <= 0.07


def test_drifts_do_not_enter_the_diffusion():
    level, steep = replicas(walk), replicas(walk, drifts=(3.0, -20.0, 7.0, 100.0))
    assert energy_diffusion(steep).ci == pytest.approx(energy_diffusion(level).ci, rel=1e-5)


def test_the_slopes_of_walks_scatter_as_their_diffusion_predicts():
    rng = np.random.default_rng(3)
    t = SPACING * np.arange(400)
    slopes = [trend(t, walk(400, rng)).slope for _ in range(600)]
    assert np.std(slopes) == pytest.approx(np.sqrt(Noise(diffusion=1.0, fluctuation=0.0).slope_variance(10.0)), rel=0.1)


def test_the_slopes_of_noise_scatter_as_its_density_predicts():
    rng = np.random.default_rng(3)
    t = SPACING * np.arange(400)
    slopes = [trend(t, white(400, rng)).slope for _ in range(600)]
    noise = Noise(diffusion=0.0, fluctuation=0.5 * SPACING)
    assert np.std(slopes) == pytest.approx(np.sqrt(noise.slope_variance(10.0)), rel=0.1)


def test_the_diffusive_drift_is_the_scatter_of_a_walks_slopes():
    series = replicas(walk)
    expected = np.sqrt(12.0 * energy_diffusion(series).value / (5.0 * 0.9 * 400 * SPACING))
    assert diffusive_drift(series).value == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("noise", [white, correlated, walk])
def test_replicas_that_agree_are_not_found_to_differ(noise):
    assert share(measured(drift_heterogeneity, noise), lambda low, high: low > 0.0) <= 0.07


def test_replicas_that_differ_are_found():
    assert share(measured(drift_heterogeneity, white, 0.3), lambda low, high: low > 0.0) >= 0.9


def test_the_scatter_of_true_drifts_is_covered():
    assert share(measured(drift_heterogeneity, white, 0.3), lambda low, high: low <= 0.3 <= high) >= 0.88


def test_the_noise_of_a_pilot_is_learnt():
    noise = energy_noise(replicas(n=4000, drifts=(0.0,) * 16, seed=3))
    assert noise.diffusion == 0.0 and noise.fluctuation == pytest.approx(0.5 * SPACING, rel=0.3)


def test_the_walk_of_a_pilot_is_learnt():
    assert energy_noise(replicas(walk, drifts=(0.0,) * 16)).diffusion == pytest.approx(1.0, rel=0.5)


def test_the_noise_of_a_run_that_failed_is_not():
    with pytest.raises(ValueError, match="1 of total_energy"):
        energy_noise([spoilt(replicas()[0])])


@pytest.mark.parametrize("measure", MEASURES)
def test_one_failed_replica_leaves_nothing_to_measure(measure):
    first, *others = replicas()
    found = measure([spoilt(first), *others])
    assert np.isnan(found.value) and "replica 1: not finite: 1 of total_energy" in found.note


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("n", [0, 1])
def test_one_run_is_no_replica(measure, n):
    assert np.isnan(measure(replicas()[:n]).value)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_same_run_twice_is_one_run(measure):
    first, second, *_ = replicas()
    found = measure([first, second, first])
    assert np.isnan(found.value) and "replicas 1 and 3" in found.note


@pytest.mark.parametrize("measure", MEASURES)
def test_few_replicas_are_said_to_be_few(measure):
    assert measure(replicas()[:3]).note == "3 replicas; 4 are recommended"


@pytest.mark.parametrize("measure", MEASURES)
def test_four_replicas_need_no_note(measure):
    assert measure(replicas()).note == ""


@settings(max_examples=8, deadline=None)
@given(zero=st.floats(-1e3, 1e3), origin=st.floats(-1e3, 1e3), n_atoms=st.integers(1, 1000))
def test_neither_zeros_nor_size_change_a_measurement(zero, origin, n_atoms):
    moved = replica_drift(replicas(drifts=(0.1,) * 4, zero=zero, origin=origin, n_atoms=n_atoms))
    still = replica_drift(replicas(drifts=(0.1,) * 4))
    for one, other in zip(moved, still, strict=True):
        assert one.ci == pytest.approx(other.ci, rel=1e-4, abs=1e-6)


def test_the_order_of_replicas_does_not_matter():
    series = replicas(walk, drifts=(1.0, 2.0, 3.0, 4.0))
    for one, other in zip(replica_drift(series), replica_drift(series[::-1]), strict=True):
        assert one.ci == pytest.approx(other.ci, rel=1e-9)


def test_replicas_of_different_length_say_so():
    series = [*replicas(drifts=(0.0,) * 3), *replicas(drifts=(0.0,), n=300, seed=1)]
    found = replica_drift(series)
    assert {measurement.note for measurement in found} == {"the replicas differ in length"}


def test_a_character_is_told_from_the_intervals_alone():
    drift = Measurement(name="mean_drift", value=1.0, unit="meV/atom/ps", ci=(0.5, 1.5))
    still = Measurement(name="energy_diffusion", value=0.0, unit="(meV/atom)²/ps", ci=(0.0, 0.1))
    assert character(drift, still) is Character.SYSTEMATIC
