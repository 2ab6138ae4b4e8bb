"""How temperature is measured."""

import MDAnalysis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.constants import R, gram

from mdsuite_analysis.temperature import (
    KELVIN,
    KineticTemperature,
    kinetic_temperature,
    species_temperatures,
    temperature_mean,
)


def temperatures(mean=300.0, n=2000, start=0.0):
    rng = np.random.default_rng(4)
    return mean + start * np.exp(-np.arange(n) / 20.0) + 10.0 * rng.normal(size=n)


def maxwell(n_atoms=8, n_frames=40):
    rng = np.random.default_rng(1)
    universe = MDAnalysis.Universe.empty(n_atoms, trajectory=True, velocities=True)
    universe.add_TopologyAttr("masses", rng.uniform(1.0, 40.0, size=n_atoms))
    universe.load_new(np.zeros((n_frames, n_atoms, 3)), velocities=rng.normal(size=(n_frames, n_atoms, 3)))
    return universe


def test_one_atom_of_known_speed_has_the_temperature_of_the_gas_law():
    molar_kinetic_energy = 0.5 * 40.0 * gram * 300.0**2  # 40 g/mol at 300 m/s = 3 Å/ps
    expected = molar_kinetic_energy / (1.5 * R)
    measured = kinetic_temperature(np.array([40.0]), np.array([[3.0, 0.0, 0.0]]), dof=3)
    assert measured == pytest.approx(expected, rel=1e-8)


def test_the_mean_leaves_the_start_out():
    assert temperature_mean(temperatures(start=300.0)).value == pytest.approx(300.0, abs=1.0)


def test_the_interval_of_the_mean_holds_the_truth():
    low, high = temperature_mean(temperatures()).ci
    assert low < 300.0 < high


def test_a_hot_run_is_measured_hot():
    assert temperature_mean(temperatures(mean=6425.0)).ci[0] > 6000.0


def test_one_temperature_that_is_not_finite_leaves_no_mean():
    spoilt = temperatures()
    spoilt[1500] = np.nan
    assert np.isnan(temperature_mean(spoilt).value)


def test_a_run_of_a_few_steps_has_no_mean():
    assert np.isnan(temperature_mean(temperatures(n=12)).value)


@given(factor=st.floats(0.1, 10.0))
def test_temperature_grows_with_the_square_of_speed(factor):
    masses, velocities = np.array([1.0, 16.0]), np.arange(6.0).reshape(2, 3)
    expected = factor**2 * kinetic_temperature(masses, velocities, dof=3)
    assert kinetic_temperature(masses, factor * velocities, dof=3) == pytest.approx(expected)


@given(copies=st.integers(1, 16))
def test_replication_does_not_change_the_temperature(copies):
    masses, velocities = np.array([1.0, 16.0]), np.arange(6.0).reshape(2, 3)
    many = kinetic_temperature(np.tile(masses, copies), np.tile(velocities, (copies, 1)), dof=6 * copies)
    assert many == pytest.approx(kinetic_temperature(masses, velocities, dof=6))


def test_the_frames_of_a_trajectory_have_the_temperature_of_their_velocities():
    universe = maxwell()
    analysis = KineticTemperature(universe.atoms, dof=21).run()
    expected = [
        kinetic_temperature(universe.atoms.masses, universe.atoms.velocities.astype(float), dof=21)
        for _ in universe.trajectory
    ]
    assert analysis.results.temperature == pytest.approx(expected)


def test_the_mean_over_the_frames_is_that_of_their_series():
    analysis = KineticTemperature(maxwell().atoms, dof=21).run()
    assert analysis.results.mean == temperature_mean(analysis.results.temperature)


NUMBERS = np.array([1] * 6 + [6] * 3)
MASSES = np.where(NUMBERS == 1, 1.008, 12.011)


def thermal(hydrogen: float, carbon: float, *, at_rest: bool = True, n_frames: int = 2000, seed: int = 0):
    """Velocities (n_frames, 9, 3) of elements with temperatures of their own, the centre of mass at rest or not."""
    random = np.random.default_rng(seed)
    width = np.sqrt(np.where(NUMBERS == 1, hydrogen, carbon) / KELVIN / MASSES)
    velocities = random.normal(size=(n_frames, 9, 3)) * width[:, None]
    if at_rest:
        velocities -= (MASSES[:, None] * velocities).sum(axis=1, keepdims=True) / MASSES.sum()
    return velocities


@pytest.mark.parametrize("at_rest", [True, False])
def test_elements_in_equilibrium_have_one_temperature(at_rest: bool):
    *each, spread = species_temperatures(thermal(300.0, 300.0, at_rest=at_rest), MASSES, NUMBERS, at_rest=at_rest)
    assert [measured.name for measured in each] == ["temperature_of_H", "temperature_of_C"]
    for measured in each:
        assert measured.ci[0] < 300.0 < measured.ci[1]
    assert spread.ci[1] < 0.1


def test_an_element_that_is_hotter_is_found():
    spread = species_temperatures(thermal(360.0, 240.0), MASSES, NUMBERS, at_rest=True)[-1]
    assert spread.ci[0] > 0.1


def test_few_frames_say_nothing_of_elements():
    (spread,) = species_temperatures(thermal(300.0, 300.0, n_frames=10), MASSES, NUMBERS, at_rest=True)
    assert np.isnan(spread.value) and "needs" in spread.note
