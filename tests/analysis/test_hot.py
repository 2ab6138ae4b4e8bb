"""Where a run is hot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.constants import e, k

from mdsuite_analysis.heat import heat
from mdsuite_analysis.series import EnergySeries
from mdsuite_analysis.temperature import temperature_mean

BOLTZMANN = k / e
N_ATOMS = 12
DOF = 3 * N_ATOMS - 3
TARGET = 300.0
QUARTER = DOF * BOLTZMANN * TARGET  # two thermal halves: the total energy of a run at the target


def crystallite(seed=0, *, strain=1.0, n=4000, drift=0.0, melting=0.0, zero=-100.0):
    """A harmonic molecule by velocity Verlet, masses and k_B T at the target being 1.

    Parameters
    ----------
    strain : potential energy of the start, in thermal halves; 0 is relaxed, 1 is thermal
    drift : kelvin of kinetic energy that enter in every step, and stay in the total energy
    melting : the same, taken from the potential energy: the total is conserved
    """
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(DOF, DOF))
    vectors = np.linalg.qr(noise)[0]
    hessian = vectors @ np.diag(np.linspace(0.5, 4.0, DOF) ** 2) @ vectors.T
    x, v = np.linalg.solve(np.linalg.cholesky(hessian).T, rng.normal(size=DOF)), rng.normal(size=DOF)
    x *= np.sqrt(strain * DOF / (x @ hessian @ x))
    v *= np.sqrt(DOF / (v @ v))
    dt, released, rows = 0.02, 0.0, []
    for _ in range(n):
        rows.append((x @ hessian @ x / 2 - released, v @ v / 2))
        v = v - dt / 2 * hessian @ x
        x = x + dt * v
        v = v - dt / 2 * hessian @ x
        added = DOF / 2 * (drift + melting) / TARGET
        v *= np.sqrt(1.0 + 2 * added / (v @ v))
        released += DOF / 2 * melting / TARGET
    potential, kinetic = np.array(rows).T * BOLTZMANN * TARGET
    potential += zero
    return EnergySeries(
        step=np.arange(n),
        time=0.0005 * np.arange(n),
        total_energy=potential + kinetic,
        potential_energy=potential,
        kinetic_energy=kinetic,
        temperature=2 * kinetic / (DOF * BOLTZMANN),
        n_atoms=N_ATOMS,
    )


def parts(series, *, relaxed=-100.0, **options):
    return {
        each.name.removeprefix("heat_from_"): each
        for each in heat(series, temperature=TARGET, dof=DOF, relaxed_energy=relaxed, **options)
    }


def holds(measured, value):
    return measured.ci[0] <= value <= measured.ci[1]


@pytest.mark.parametrize("relaxed", [-100.0, None])
@pytest.mark.parametrize("options", [{}, {"strain": 5.0}, {"drift": 0.1}, {"melting": 0.1}])
def test_the_parts_add_up_to_the_excess_of_the_mean_temperature(options, relaxed):
    series = crystallite(**options)
    total = sum(each.value for each in parts(series, relaxed=relaxed).values())
    assert total == pytest.approx(temperature_mean(series.temperature).value - TARGET, abs=1e-9)


def test_a_thermal_start_is_not_hot():
    found = parts(crystallite())
    assert found["strain"].value == pytest.approx(0.0, abs=1.0)
    assert found["drift"].value == pytest.approx(0.0, abs=1.0)
    assert found["structure"].value == pytest.approx(0.0, abs=10.0)
    assert holds(found["structure"], 0.0)


def test_a_relaxed_start_gives_half_of_its_temperature_to_the_springs():
    found = parts(crystallite(strain=0.0))
    assert found["strain"].value == pytest.approx(-TARGET / 2, abs=1.0)
    assert found["structure"].value == pytest.approx(0.0, abs=10.0)


def test_a_strained_start_is_told_by_its_energy():
    found = parts(crystallite(strain=5.0))
    assert found["strain"].value == pytest.approx(2 * TARGET, rel=0.01)
    assert found["strain"].note.startswith("+1.71 eV")  # four thermal halves of 33 degrees of freedom
    assert found["structure"].value == pytest.approx(0.0, abs=30.0)


def test_a_strained_start_is_told_by_its_time_where_the_relaxed_energy_is_not_known():
    found = parts(crystallite(strain=5.0), relaxed=None)
    assert found["strain"].value == pytest.approx(2 * TARGET, abs=60.0)
    assert holds(found["strain"], 2 * TARGET)
    assert holds(found["structure"], 0.0)


@pytest.mark.parametrize("relaxed", [-100.0, None])
def test_heating_by_drift_is_told_by_the_total_energy(relaxed):
    series = crystallite(drift=0.2)
    found = parts(series, relaxed=relaxed)
    gained = (series.total_energy - series.total_energy[0])[-1] / QUARTER * TARGET
    assert gained == pytest.approx(400.0, rel=0.05)
    assert 0.4 * gained < found["drift"].ci[0] < found["drift"].ci[1] < 0.85 * gained
    assert abs(found["structure"].value) < 0.1 * found["drift"].value
    assert abs(found["strain"].value) < 0.1 * found["drift"].value


@pytest.mark.parametrize("relaxed", [-100.0, None])
def test_a_melting_structure_is_told_by_heat_at_conserved_energy(relaxed):
    found = parts(crystallite(melting=0.2), relaxed=relaxed)
    assert found["structure"].value > 150.0
    assert found["structure"].ci[0] > 100.0
    assert abs(found["drift"].value) < 2.0
    assert abs(found["strain"].value) < 0.15 * found["structure"].value


def test_strain_drift_and_melting_are_told_apart_together():
    found = parts(crystallite(strain=3.0, drift=0.1, melting=0.1))
    assert found["strain"].value == pytest.approx(TARGET, rel=0.02)
    assert found["drift"].value == pytest.approx(found["structure"].value, rel=0.25)


def test_the_interval_of_structure_covers_zero_in_sound_runs():
    found = [parts(crystallite(seed, n=1500), relaxed=None)["structure"] for seed in range(10)]
    assert sum(holds(each, 0.0) for each in found) >= 9


def test_rotations_that_no_spring_binds_take_less():
    series = crystallite()
    fewer = parts(series, springs=DOF - 3)
    assert fewer["strain"].value == pytest.approx(TARGET * 2 * DOF / (2 * DOF - 3) - TARGET, abs=0.5)


@settings(max_examples=5, deadline=None)
@given(st.floats(-1e4, 1e4), st.floats(-100.0, 100.0))
def test_neither_the_zero_of_energy_nor_that_of_time_matters(zero, begin):
    series = crystallite(n=300)
    moved = EnergySeries(
        step=series.step,
        time=series.time + begin,
        total_energy=series.total_energy + zero,
        kinetic_energy=series.kinetic_energy,
        n_atoms=N_ATOMS,
    )
    ours, theirs = parts(series), parts(moved, relaxed=-100.0 + zero)
    assert [each.value for each in theirs.values()] == pytest.approx([each.value for each in ours.values()], abs=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_energies_that_are_not_finite_explain_nothing(value):
    series = crystallite(n=300)
    series.kinetic_energy[5] = value
    assert all(np.isnan(each.value) and "finite" in each.note for each in parts(series).values())


def test_a_run_under_a_thermostat_is_not_explained():
    series = crystallite(n=300)
    columns = {**series.columns(), "conserved_energy": series.total_energy + np.linspace(0.0, 1.0, 300)}
    found = parts(EnergySeries(n_atoms=N_ATOMS, **columns))
    assert all(np.isnan(each.value) and "thermostat" in each.note for each in found.values())


def test_without_kinetic_energies_nothing_is_explained():
    series = crystallite(n=300)
    bare = EnergySeries(step=series.step, time=series.time, total_energy=series.total_energy, n_atoms=N_ATOMS)
    assert all(np.isnan(each.value) for each in parts(bare).values())


def test_a_short_run_is_not_explained():
    assert all(np.isnan(each.value) for each in parts(crystallite(n=20)).values())
