"""The vibrational density of states and the fastest vibration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdsuite_analysis.series import EnergySeries, Frames
from mdsuite_analysis.spectrum import (
    WAVENUMBER,
    fastest_period,
    kinetic_spectrum,
    resolves,
    steps_per_fastest_period,
    vdos_distances,
    vibrational_density,
)

LINES = np.array([300.0, 900.0, 1500.0, 2900.0, 3000.0, 3600.0])
NUMBERS = np.array([8, 1])
MASSES = np.array([15.999, 1.008])


def oscillators(seed=0, *, lines=LINES, n=4096, spacing=0.002, damping=0.5):
    """Two atoms whose six velocities swing at one wavenumber (cm⁻¹) each, with phases that wander (1/ps)."""
    rng = np.random.default_rng(seed)
    time = spacing * np.arange(n)
    wander = np.cumsum(rng.normal(size=(n, 6)) * np.sqrt(2 * damping * spacing), axis=0)
    phase = 2 * np.pi * np.asarray(lines) / WAVENUMBER * time[:, None] + wander + rng.uniform(0, 2 * np.pi, 6)
    velocities = np.cos(phase).reshape(n, 2, 3) / np.sqrt(MASSES)[:, None]
    nothing = np.zeros_like(velocities)
    return Frames(time=time, positions=nothing, velocities=velocities, forces=nothing, virial=np.zeros((n, 3, 3)))


def energies_of(lines=LINES, *, n=8192, spacing=0.0005, seed=0):
    frames = oscillators(seed, lines=lines, n=n, spacing=spacing)
    kinetic = (MASSES[:, None] * frames.velocities**2).sum(axis=(1, 2))
    return EnergySeries(
        step=np.arange(n), time=frames.time, total_energy=np.zeros(n), kinetic_energy=kinetic, n_atoms=2
    )


def distances(sample, reference, numbers=NUMBERS):
    return {each.name: each for each in vdos_distances(sample, reference, MASSES, numbers)}


def test_each_vibration_has_its_line_and_its_share():
    spectrum = vibrational_density(oscillators(damping=0.0), MASSES)
    for line in (300.0, 900.0, 1500.0, 3600.0):
        near = np.abs(spectrum.wavenumber - line) < 150.0
        assert spectrum.wavenumber[near][np.argmax(spectrum.density[near])] == pytest.approx(
            line, abs=spectrum.resolution
        )
        assert spectrum.density[near].sum() * spectrum.resolution == pytest.approx(1 / 6, rel=0.02)


def test_the_highest_wavenumber_is_half_the_frame_rate():
    assert vibrational_density(oscillators(), MASSES).highest == pytest.approx(WAVENUMBER / 0.004)


@pytest.mark.parametrize(("spacing", "enough"), [(0.002, True), (0.005, False)])
def test_bonds_to_hydrogen_need_frames_every_few_femtoseconds(spacing, enough):
    spectrum = vibrational_density(oscillators(spacing=spacing), MASSES)
    assert resolves(spectrum, NUMBERS) is enough
    assert resolves(spectrum, np.array([8, 8]))


def test_runs_of_one_molecule_may_be_alike():
    measured = [distances([oscillators(seed)], [oscillators(seed + 50)]) for seed in range(6)]
    assert sum(each["vdos_shift"].ci[0] > 0.0 for each in measured) <= 1
    assert all(each["vdos_distance"].ci[1] < 0.05 for each in measured)


def test_a_shift_of_every_vibration_is_measured_in_wavenumbers():
    measured = distances([oscillators(1, lines=LINES + 100.0)], [oscillators(2)])
    assert measured["vdos_shift"].value == pytest.approx(100.0, rel=0.05)
    assert measured["vdos_shift"].ci[0] < 100.0 < measured["vdos_shift"].ci[1]
    assert measured["vdos_distance"].value == pytest.approx(100.0 / LINES.std(), rel=0.07)


def test_one_softened_vibration_counts_by_its_share():
    softer = np.where(LINES == 3600.0, 3300.0, LINES)
    measured = distances([oscillators(1, lines=softer)], [oscillators(2)])
    assert measured["vdos_shift"].value == pytest.approx(300.0 / 6, rel=0.1)
    assert measured["vdos_shift"].ci[0] > 10.0


def test_runs_of_other_length_and_spacing_can_be_compared():
    measured = distances([oscillators(1, n=6000, spacing=0.0015)], [oscillators(2)])
    assert measured["vdos_shift"].ci[0] < 2.0
    assert measured["vdos_shift"].ci[1] < 60.0


def test_frames_too_far_apart_have_no_distance():
    measured = distances([oscillators(1, spacing=0.005)], [oscillators(2, spacing=0.005)])
    assert all(np.isnan(each.value) and "more often" in each.note for each in measured.values())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_velocities_that_are_not_finite_have_no_spectrum(value):
    frames = oscillators(1)
    frames.velocities[7, 0, 0] = value
    assert all(np.isnan(each.value) for each in distances([frames], [oscillators(2)]).values())
    with pytest.raises(ValueError, match="finite"):
        vibrational_density(frames, MASSES)


def test_few_frames_have_no_spectrum():
    assert np.isnan(distances([oscillators(1, n=100)], [oscillators(2)])["vdos_shift"].value)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0))
def test_neither_speed_nor_mass_unit_changes_the_spectrum(faster, heavier):
    frames = oscillators(n=512)
    scaled = Frames(
        time=frames.time,
        positions=frames.positions,
        velocities=faster * frames.velocities,
        forces=frames.forces,
        virial=frames.virial,
    )
    ours, theirs = vibrational_density(frames, MASSES), vibrational_density(scaled, heavier * MASSES)
    assert theirs.density == pytest.approx(ours.density)


def test_the_fastest_vibration_is_found_in_the_velocities():
    spectrum = vibrational_density(oscillators(), MASSES)
    period = fastest_period(spectrum, vibrations=6, numbers=NUMBERS)
    assert period.value == pytest.approx(1e3 * WAVENUMBER / 3600.0, rel=0.02)
    assert period.ci[0] < 1e3 * WAVENUMBER / 3600.0 < period.ci[1]


def test_the_fastest_vibration_is_found_in_the_kinetic_energy_of_every_step():
    period = fastest_period(kinetic_spectrum(energies_of()), vibrations=6, numbers=NUMBERS)
    assert period.ci[0] < 1e3 * WAVENUMBER / 3600.0 < period.ci[1]


@pytest.mark.parametrize(("timestep", "enough"), [(0.0005, False), (0.0004, True)])
def test_a_timestep_is_counted_in_fastest_periods(timestep, enough):
    spectrum = vibrational_density(oscillators(), MASSES)
    steps = steps_per_fastest_period(fastest_period(spectrum, vibrations=6, numbers=NUMBERS), timestep)
    assert (steps.value >= 20.0) is enough
    assert steps.unit == "1"


def test_frames_too_far_apart_have_no_fastest_vibration():
    spectrum = vibrational_density(oscillators(spacing=0.005), MASSES)
    period = fastest_period(spectrum, vibrations=6, numbers=NUMBERS)
    assert np.isnan(period.value)
    assert np.isnan(steps_per_fastest_period(period, 0.0005).value)


def anharmonic(overtone):
    """Kinetic energies of three stretches whose velocities have a second harmonic of this relative size."""
    lines = np.array([300.0, 900.0, 1500.0, 2840.0, 2850.0, 2860.0])
    frames = oscillators(lines=lines, n=8192, spacing=0.0005, damping=0.0)
    momentum = np.sqrt(MASSES)[:, None] * frames.velocities
    momentum[:, 1] += overtone * (2 * momentum[:, 1] ** 2 - 1)
    kinetic = (momentum**2).sum(axis=(1, 2))
    return EnergySeries(
        step=np.arange(8192), time=frames.time, total_energy=0 * kinetic, kinetic_energy=kinetic, n_atoms=2
    )


@pytest.mark.parametrize("overtone", [0.0, 0.07, 0.15])
def test_an_overtone_in_the_kinetic_energy_is_no_vibration(overtone):
    period = fastest_period(kinetic_spectrum(anharmonic(overtone)), vibrations=6, numbers=NUMBERS)
    assert period.value == pytest.approx(1e3 * WAVENUMBER / 2850.0, rel=0.03)


@pytest.mark.parametrize(
    "spectrum",
    [vibrational_density(oscillators(), MASSES), kinetic_spectrum(energies_of())],
    ids=["velocity", "kinetic"],
)
def test_the_density_integrates_to_one(spectrum):
    assert spectrum.density.sum() * spectrum.resolution == pytest.approx(1.0)


def test_a_vibration_with_a_fifth_of_its_energy_is_still_seen():
    frames = oscillators()
    frames.velocities[:, 1, 2] *= np.sqrt(0.2)
    period = fastest_period(vibrational_density(frames, MASSES), vibrations=6, numbers=NUMBERS)
    assert period.ci[0] < 1e3 * WAVENUMBER / 3600.0 < period.ci[1]
