"""Kinetic energies whose distribution is known, right and wrong."""

import numpy as np
import pytest
from scipy.constants import angstrom, atomic_mass, e, k, pico
from scipy.signal import lfilter

from mdsuite_analysis.kinetic import kinetic_distribution, molecular_temperatures
from mdsuite_analysis.series import EnergySeries, Frames

KT = 300.0 * k / e
DOF = 60


def run(*, temperature=300.0, narrowed=1.0, dof=DOF, correlation=5.0, n=6000, seed=0):
    """The kinetic energy of Langevin dynamics without forces, its fluctuation narrowed as by Berendsen's thermostat."""
    kept = np.exp(-0.5 / correlation)
    noise = np.random.default_rng(seed).normal(size=(n, dof))
    noise[1:] *= np.sqrt(1.0 - kept**2)
    velocities = lfilter([1.0], [1.0, -kept], noise, axis=0)
    kinetic = 0.5 * KT * temperature / 300.0 * (velocities**2).sum(axis=1)
    kinetic = kinetic.mean() + narrowed * (kinetic - kinetic.mean())
    return EnergySeries(
        step=np.arange(n), time=0.001 * np.arange(n), total_energy=kinetic, kinetic_energy=kinetic, n_atoms=20
    )


def measured(series, **given):
    settings = {"temperature": 300.0, "dof": DOF, "canonical": True} | given
    return {m.name: m for m in kinetic_distribution(series, **settings)}


def test_a_correct_thermostat_has_its_temperature_by_mean_and_by_width():
    found = measured(run())
    for name in ("kinetic_temperature_by_mean", "kinetic_temperature_by_width"):
        assert found[name].ci[0] < 300.0 < found[name].ci[1]
        assert found[name].value == pytest.approx(300.0, rel=0.05)
    assert found["kinetic_distribution_p"].value > 0.01


def test_a_thermostat_that_narrows_the_fluctuation_is_flagged_by_the_width_alone():
    found = measured(run(narrowed=0.4))
    assert found["kinetic_temperature_by_mean"].value == pytest.approx(300.0, rel=0.05)
    assert found["kinetic_temperature_by_width"].ci[1] < 200.0
    assert found["kinetic_distribution_p"].value < 1e-4


def test_a_wrong_temperature_is_flagged():
    found = measured(run(temperature=350.0))
    assert found["kinetic_temperature_by_mean"].ci[0] > 330.0
    assert found["kinetic_distribution_p"].value < 1e-4


def test_a_wrong_number_of_degrees_of_freedom_is_flagged():
    assert measured(run(), dof=50)["kinetic_distribution_p"].value < 1e-4


def test_correlated_samples_raise_no_more_false_alarms_than_they_should():
    values = [measured(run(correlation=10.0, n=2000, dof=12, seed=s), dof=12) for s in range(100)]
    assert sum(each["kinetic_distribution_p"].value < 0.05 for each in values) <= 11  # 5 expected; more, one in 100


@pytest.mark.parametrize("name", ["kinetic_temperature_by_mean", "kinetic_temperature_by_width"])
def test_the_intervals_of_correlated_samples_hold_the_truth(name):
    values = [measured(run(correlation=5.0, n=2000, dof=12, seed=s), dof=12)[name] for s in range(100)]
    assert sum(each.ci[0] < 300.0 < each.ci[1] for each in values) >= 88


def test_of_constant_energy_nothing_is_said():
    found = measured(run(narrowed=0.6), canonical=False)
    assert all(np.isnan(m.value) and "at constant energy" in m.note for m in found.values())


def test_a_run_of_few_independent_samples_has_no_p_value():
    found = measured(run(correlation=200.0))
    assert np.isnan(found["kinetic_distribution_p"].value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_measured(bad):
    series = run()
    series.kinetic_energy[7] = bad
    assert all(np.isnan(m.value) and "1 of 6000" in m.note for m in measured(series).values())


def molecules(*, translation=300.0, rotation=300.0, internal=300.0, n_frames=400, n_molecules=20, at_rest=True):
    """Bent triatomics whose velocities are drawn anew on every frame, each kind of motion at its own temperature."""
    random = np.random.default_rng(2)
    masses = np.tile([16.0, 1.0, 1.0], n_molecules)
    shape = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    positions = (shape + 4.0 * np.arange(n_molecules)[:, None, None]).reshape(-1, 3)
    speed = np.sqrt(k / atomic_mass / (angstrom / pico) ** 2 / masses)
    drawn = speed[:, None] * random.normal(size=(n_frames, 3 * n_molecules, 3))
    velocities = np.empty_like(drawn)
    for atoms in np.arange(3 * n_molecules).reshape(-1, 3):
        m, v = masses[atoms], drawn[:, atoms]
        centre = (m @ v / m.sum())[:, None]
        r = positions[atoms] - m @ positions[atoms] / m.sum()
        inertia = np.einsum("a,ab,ab->", m, r, r) * np.eye(3) - np.einsum("a,ab,ac->bc", m, r, r)
        angular = np.einsum("a,nab->nb", m, np.cross(r, v - centre))
        turning = np.cross(np.linalg.solve(inertia, angular.T).T[:, None], r)
        velocities[:, atoms] = (
            np.sqrt(translation) * centre + np.sqrt(rotation) * turning + np.sqrt(internal) * (v - centre - turning)
        )
    if at_rest:
        velocities -= np.einsum("a,nab->nb", masses, velocities)[:, None] / masses.sum()
    frames = Frames(
        time=np.arange(n_frames) * 0.01,
        positions=np.broadcast_to(positions, velocities.shape),
        velocities=velocities,
        forces=np.zeros_like(velocities),
        virial=np.zeros((n_frames, 3, 3)),
    )
    return frames, masses, list(np.arange(3 * n_molecules).reshape(-1, 3)), at_rest


def shared(**temperatures):
    frames, masses, atoms, at_rest = molecules(**temperatures)
    return {m.name: m for m in molecular_temperatures(frames, masses, atoms, at_rest=at_rest)}


@pytest.mark.parametrize("at_rest", [True, False])
def test_equipartition_within_molecules_is_seen(at_rest):
    found = shared(at_rest=at_rest)
    for name in ("translational_temperature", "rotational_temperature", "internal_temperature"):
        assert found[name].value == pytest.approx(300.0, rel=0.03)
    assert found["molecular_temperature_spread"].ci[1] < 0.1


def test_cold_translation_and_hot_rotation_are_told_apart():
    found = shared(translation=200.0, rotation=400.0)
    assert found["translational_temperature"].value == pytest.approx(200.0, rel=0.03)
    assert found["rotational_temperature"].value == pytest.approx(400.0, rel=0.03)
    assert found["internal_temperature"].value == pytest.approx(300.0, rel=0.03)
    assert found["molecular_temperature_spread"].ci[0] > 0.1


def test_a_diatomic_has_two_rotations_and_one_vibration():
    random = np.random.default_rng(0)
    positions = np.broadcast_to([[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]], (2000, 2, 3))
    velocities = np.sqrt(k / atomic_mass / (angstrom / pico) ** 2 * 300.0 / 14.0) * random.normal(size=(2000, 2, 3))
    frames = Frames(
        time=np.arange(2000.0),
        positions=positions,
        velocities=velocities,
        forces=np.zeros((2000, 2, 3)),
        virial=np.zeros((2000, 3, 3)),
    )
    found = molecular_temperatures(frames, np.full(2, 14.0), [np.array([0, 1])], at_rest=False)
    assert [m.value for m in found[:3]] == pytest.approx([300.0] * 3, rel=0.1)


def test_atoms_have_a_translational_temperature_alone():
    frames, masses, _, _ = molecules(n_frames=50)
    found = molecular_temperatures(frames, masses, [np.array([i]) for i in range(len(masses))], at_rest=True)
    assert [m.name for m in found] == ["translational_temperature", "molecular_temperature_spread"]


def test_velocities_that_are_not_finite_have_no_temperature():
    frames, masses, atoms, _ = molecules(n_frames=50)
    frames.velocities[3, 2, 1] = np.nan
    (found,) = molecular_temperatures(frames, masses, atoms, at_rest=True)
    assert found.name == "molecular_temperature_spread" and np.isnan(found.value)
