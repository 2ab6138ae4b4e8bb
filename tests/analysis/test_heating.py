"""What a drift means: exact conversions, and horizons that hold at the worst end of the interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdsuite_analysis.heating import (
    drift_kT_per_ns_per_dof,
    drift_percent_of_kinetic,
    drift_temperature_rate,
    safe_horizon,
    thermostat_bias,
)
from mdsuite_analysis.measurement import Measurement, about

CONVERSIONS = [
    drift_temperature_rate,
    safe_horizon,
    lambda drift: thermostat_bias(drift, friction=1.0),
    lambda drift: drift_kT_per_ns_per_dof(drift, temperature=300.0),
    lambda drift: drift_percent_of_kinetic(drift, temperature=300.0),
]


def drift(value=1.0, low=None, high=None):
    ci = (value if low is None else low, value if high is None else high)
    return Measurement(name="mean_drift", value=value, unit="meV/atom/ps", ci=ci)


def test_a_mev_per_atom_and_ps_heats_a_harmonic_solid_by_so_much():
    assert drift_temperature_rate(drift(1.0)).value == pytest.approx(3.87, abs=0.005)


def test_a_drift_of_the_size_of_the_buffer_bound_heats_by_193_kelvin_per_ns():
    assert 1000.0 * drift_temperature_rate(drift(0.05)).value == pytest.approx(193, abs=0.5)


def test_a_measured_heat_capacity_is_used():
    doubled = drift_temperature_rate(drift(1.0), heat_capacity=6.0).value
    assert doubled == pytest.approx(drift_temperature_rate(drift(1.0)).value / 2.0)


@pytest.mark.parametrize(("friction", "bias"), [(1.0, 3.9), (0.1, 38.7)])
def test_a_thermostat_ends_off_its_target(friction, bias):
    assert thermostat_bias(drift(1.0), friction=friction).value == pytest.approx(bias, abs=0.05)


def test_a_simulated_langevin_thermostat_ends_where_the_bias_says():
    rng = np.random.default_rng(0)
    timestep, friction, boltzmann, power = 0.02, 1.0, 8.617333e-2, 20.0
    memory, kT = np.exp(-friction * timestep), boltzmann * 300.0
    v = rng.normal(size=(3, 4000)) * np.sqrt(kT)
    kinetic = []
    for step in range(1000):
        v = memory * v + np.sqrt((1.0 - memory**2) * kT) * rng.normal(size=v.shape)
        energy = 0.5 * (v**2).sum(axis=0).mean()
        v *= np.sqrt(1.0 + power * timestep / energy)
        if step > 300:
            kinetic.append(energy + 0.5 * power * timestep)
    measured = np.mean(kinetic) / (1.5 * boltzmann) - 300.0
    assert measured == pytest.approx(thermostat_bias(drift(power), friction=friction).value, rel=0.03)


def test_a_drift_in_kT_per_ns_and_degree_of_freedom():
    assert drift_kT_per_ns_per_dof(drift(1.0), temperature=300.0).value == pytest.approx(12.894, abs=0.001)


def test_one_percent_of_the_kinetic_energy_in_a_ps():
    kinetic = 1.5 * 8.617333e-2 * 300.0
    assert drift_percent_of_kinetic(drift(0.01 * kinetic), temperature=300.0).value == pytest.approx(1.0, rel=1e-6)


def test_the_horizon_is_the_time_to_the_tolerated_heating():
    rate = drift_temperature_rate(drift(0.3)).value
    assert safe_horizon(drift(0.3), tolerance=10.0).value == pytest.approx(10.0 / rate)


def test_the_guaranteed_horizon_belongs_to_the_worst_drift():
    horizon = safe_horizon(drift(0.1, low=-0.5, high=0.3))
    assert horizon.ci[0] == pytest.approx(safe_horizon(drift(0.5)).value)


def test_a_drift_not_told_from_zero_has_no_longest_horizon():
    assert safe_horizon(drift(0.1, low=-0.5, high=0.3)).ci[1] == float("inf")


def test_a_drift_told_from_zero_has_a_longest_horizon():
    horizon = safe_horizon(drift(-0.3, low=-0.4, high=-0.1))
    assert horizon.ci[1] == pytest.approx(safe_horizon(drift(0.1)).value)


def test_cooling_shortens_the_horizon_as_heating_does():
    assert safe_horizon(drift(-0.3)).value == safe_horizon(drift(0.3)).value


@given(value=st.floats(-1e3, 1e3), below=st.floats(0.0, 1e3), above=st.floats(0.0, 1e3))
def test_the_value_lies_in_the_interval_of_a_horizon(value, below, above):
    horizon = safe_horizon(drift(value, value - below, value + above))
    assert horizon.ci[0] <= horizon.value <= horizon.ci[1]


@pytest.mark.parametrize("convert", CONVERSIONS)
def test_what_is_not_measured_stays_so(convert):
    nan = float("nan")
    found = convert(Measurement(name="mean_drift", value=nan, unit="meV/atom/ps", ci=(nan, nan), note="not finite"))
    assert np.isnan([found.value, *found.ci]).all() and found.note == "not finite"


@pytest.mark.parametrize("convert", CONVERSIONS)
def test_an_interval_that_is_not_a_number_never_becomes_one(convert):
    low, _ = convert(drift(0.1, low=float("nan"), high=0.2)).ci
    assert np.isnan(low)


@pytest.mark.parametrize("convert", CONVERSIONS)
def test_the_subject_and_confidence_stay(convert):
    found = convert(about(drift(), structure="ethanol"))
    assert (found.subject["structure"], found.confidence) == ("ethanol", 0.95)


@pytest.mark.parametrize("convert", CONVERSIONS)
def test_a_drift_in_another_unit_is_refused(convert):
    with pytest.raises(ValueError, match="is in %/ps"):
        convert(Measurement(name="drift_rate_percent_per_ps", value=1.0, unit="%/ps"))


@pytest.mark.parametrize("friction", [0.0, -1.0, float("nan")])
def test_a_friction_that_is_not_positive_is_refused(friction):
    with pytest.raises(ValueError, match="wanted a positive number"):
        thermostat_bias(drift(), friction=friction)
