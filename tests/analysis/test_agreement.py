"""What tells an engine that is wrong from one that rounds: on trajectories whose truth is known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from mdsuite_analysis.agreement import (
    Recorded,
    distances,
    divergence,
    fluctuation_difference,
    force_scale,
    kinetic_distance,
    lyapunov_rate,
    paired_differences,
    parity,
    resolved,
)
from mdsuite_analysis.series import EnergySeries, Frames

TIME = np.arange(200) * 0.01
RATE = 5.0
EPS = 2.0**-52


def recorded(size: float = 0.0, seed: int = 0, *, force: float = 1.0, virial: float = 1.0, heat: float = 0.0):
    """A run whose atoms part from the reference as exp(5 t), beginning at `size`."""
    random = np.random.default_rng(0)
    positions = random.normal(size=(1, 4, 3)) + np.sin(TIME)[:, None, None]
    apart = np.random.default_rng(seed).normal(size=(1, 4, 3)) * size * np.exp(RATE * TIME)[:, None, None]
    forces = (positions + apart) * force
    temperature = 300.0 + 20.0 * np.sin(40.0 * TIME) + heat * TIME
    return Recorded(
        energies=EnergySeries(
            step=np.arange(len(TIME)),
            time=TIME,
            total_energy=-5.0 + 1e-3 * np.cos(40.0 * TIME) + heat * TIME * 1e-4,
            potential_energy=-6.0 + forces.sum(axis=(1, 2)) * 1e-2,
            kinetic_energy=temperature * 1e-3,
            temperature=temperature,
            n_atoms=4,
        ),
        frames=Frames(
            time=TIME,
            positions=positions + apart,
            velocities=np.zeros_like(positions),
            forces=forces,
            virial=np.einsum("nij,nik->njk", positions, forces) * virial,
        ),
    )


REFERENCE = recorded()
CONTROLS = [recorded(EPS, seed) for seed in (1, 2)]


@pytest.mark.parametrize("size", [EPS / 10, EPS, 10 * EPS])
def test_rounding_is_counted_as_a_few_roundings(size: float):
    run = recorded(size, 7)
    assert all(each.value < 30 for each in parity(run, REFERENCE, CONTROLS))
    assert divergence(run, REFERENCE, CONTROLS).ci[1] < 30


@pytest.mark.parametrize("size", [1e-10, 1e-7, 1e-3])
def test_what_is_no_rounding_is_counted_as_many(size: float):
    measured = divergence(recorded(size, 7), REFERENCE, CONTROLS)
    assert measured.ci[0] > 1e3
    assert 0.2 < measured.value / (size / EPS) < 5.0


def test_the_rate_of_chaos_is_found():
    measured = lyapunov_rate(REFERENCE, [recorded(1e-10, seed) for seed in (1, 2)])
    assert measured.value == pytest.approx(RATE, rel=1e-3)


def test_trajectories_that_begin_apart_by_bonds_are_not_compared():
    assert divergence(recorded(EPS, 7), REFERENCE, [recorded(1.0, 1)]) is None


def test_another_virial_is_seen_in_the_virial_alone():
    found = {each.name: each.value for each in parity(recorded(virial=1.0 + 1e-6), REFERENCE, CONTROLS)}
    assert found["virial_parity"] > 1e3
    assert found["energy_parity"] < 1.0 and found["force_parity"] < 1.0


def test_a_factor_between_forces_is_found_and_explains_them():
    factor, left = force_scale(recorded(force=23.06), REFERENCE)
    assert factor == pytest.approx(23.06)
    assert left < 1e-12


def test_a_factor_explains_nothing_where_forces_are_others():
    assert force_scale(recorded(1.0, 3), REFERENCE)[1] > 0.1


def test_a_model_in_double_precision_resolves_a_rounding_error_and_one_in_single_does_not():
    coarse = recorded(2.0**-24, 1)
    assert resolved(recorded(EPS, 1), coarse, REFERENCE, 2.0**28)
    assert not resolved(recorded(0.0), coarse, REFERENCE, 2.0**28)
    assert not resolved(coarse, coarse, REFERENCE, 2.0**28)


def test_a_run_that_heats_differs_by_its_heat():
    found = {each.name: each for each in paired_differences(recorded(heat=3.0), REFERENCE)}
    assert found["temperature_difference"].value == pytest.approx(3.0 * TIME.mean(), rel=1e-6)
    assert found["drift_difference"].value == pytest.approx(3e-4 * 1e3 / 4, rel=1e-6)


def test_equal_runs_differ_by_nothing():
    for measured in paired_differences(REFERENCE, REFERENCE):
        assert (measured.value, measured.ci) == (0.0, (0.0, 0.0))


def test_the_distance_of_two_normal_distributions_is_that_of_their_means():
    random = np.random.default_rng(0)
    ours, theirs = random.normal(1.0, 1.0, 4000), random.normal(0.0, 1.0, 4000)
    measured = kinetic_distance(ours, theirs)
    assert measured.ci[0] < 1.0 < measured.ci[1]
    assert measured.value == pytest.approx(1.0, rel=0.1)


def wandering(n: int, tau: float, seed: int):
    """An AR(1) series of unit variance and correlation time `tau`."""
    noise = np.random.default_rng(seed).normal(size=n + 20 * int(tau))
    keep = np.exp(-1.0 / tau)
    values = lfilter([np.sqrt(1.0 - keep**2)], [1.0, -keep], noise)
    return values[-n:]


@pytest.mark.parametrize("tau", [10.0, 50.0, 200.0])
def test_fluctuations_of_one_distribution_are_not_taken_for_two(tau: float):
    """Of 60 pairs of series hardly one is beyond the limit of a half."""
    pairs = [(wandering(2000, tau, k), wandering(2000, tau, 1000 + k)) for k in range(60)]
    assert sum(fluctuation_difference(*pair).ci[0] > 0.5 for pair in pairs) <= 3


def test_fluctuations_of_different_widths_are_found():
    measured = [
        fluctuation_difference(2.0 * wandering(8000, 10.0, k), wandering(8000, 10.0, 99 + k)) for k in range(20)
    ]
    assert sum(each.ci[0] > 0.5 for each in measured) >= 19


def shortened(of: Recorded, n: int) -> Recorded:
    energies = {name: getattr(of.energies, name)[:n] for name in of.energies.columns()}
    frames = {name: getattr(of.frames, name)[:n] for name in Frames.__slots__}
    return Recorded(energies=EnergySeries(n_atoms=4, **energies), frames=Frames(**frames))


@pytest.mark.parametrize("n", [1, 2, 15])
def test_of_a_run_that_ended_at_once_little_is_said_and_nothing_wrongly(n: int):
    run = shortened(REFERENCE, n)
    assert paired_differences(run, REFERENCE) == []
    assert all(each.value < 1.0 for each in parity(run, REFERENCE, CONTROLS))
    parted = divergence(run, REFERENCE, CONTROLS)
    assert parted is None if n == 1 else parted.value < 1.0


def test_forces_that_vanish_in_both_are_the_same():
    still = [recorded(force=0.0) for _ in range(2)]
    assert {each.value for each in parity(still[0], still[1], [recorded(force=0.0)])} == {0.0}


def test_frames_are_compared_as_far_as_both_go():
    short = Frames(**{name: getattr(REFERENCE.frames, name)[:50] for name in Frames.__slots__})
    assert len(distances(short, REFERENCE.frames)) == 50
