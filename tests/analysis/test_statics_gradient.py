"""Forces and virial against the energy, and forces against any gradient."""

from dataclasses import replace

import numpy as np
import pytest
from pair_potentials import (
    changed,
    cluster,
    crystal,
    curled,
    noisy,
    pairwise,
    rounded,
    scaled,
    separations,
    shifted,
    summed,
    switched,
    truncated,
)

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.potential import Configuration, Evaluation, Potential
from mdsuite_analysis.statics.curl import jacobian_asymmetry, loop_work
from mdsuite_analysis.statics.gradient import forces_against_energy, virial_consistency

LIMIT = 3e-4
FRAMES = [cluster(), crystal()]


def direct(configuration: Configuration) -> Evaluation:
    """Forces of a head of its own: rotate with the frame, sum to zero, follow from no energy."""
    e = summed(configuration, switched)
    d, r = separations(configuration)
    crowding = np.exp(-((r / 2.0) ** 2)).sum(axis=1)
    pulls = (0.05 * crowding[:, None] * np.exp(-((r / 2.0) ** 2)))[:, :, None] * d
    forces = pulls.sum(axis=1)
    return replace(e, forces=e.forces + forces - forces.mean(axis=0))


def force_energy_consistency(potential: Potential, frame: Configuration) -> Measurement:
    return forces_against_energy(potential, frame)[0]


@pytest.mark.parametrize("frame", FRAMES)
def test_forces_of_a_sound_potential_are_its_gradient(frame):
    assert force_energy_consistency(pairwise(), frame).ci[1] < 1e-7


@pytest.mark.parametrize("frame", FRAMES)
def test_forces_of_a_sound_potential_in_single_precision_are_its_gradient(frame):
    assert force_energy_consistency(rounded(pairwise(offset=-20.0), np.float32), frame).ci[1] < LIMIT


@pytest.mark.parametrize("frame", FRAMES)
def test_forces_scaled_by_a_thousandth_are_measured(frame):
    found = force_energy_consistency(scaled(pairwise(), 1.001), frame)
    assert found.value == pytest.approx(1e-3, rel=1e-3)
    assert found.ci[0] > LIMIT


def test_scaled_forces_in_single_precision_are_flagged():
    found = force_energy_consistency(rounded(scaled(pairwise(offset=-20.0), 1.002), np.float32), cluster())
    assert found.ci[0] > LIMIT


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("factor", [1.0, 23.06, 0.5, -1.0])
def test_the_factor_of_the_forces_is_measured(frame, factor):
    found = forces_against_energy(scaled(pairwise(), factor), frame)[1]
    assert found.value == pytest.approx(factor, rel=1e-5)
    assert found.ci[1] - found.ci[0] < 1e-5 * abs(factor)


@pytest.mark.parametrize("frame", FRAMES)
def test_forces_that_are_no_gradient_have_no_sharp_factor(frame):
    low, high = forces_against_energy(direct, frame)[1].ci
    assert high - low > 1e-3


def test_the_interval_of_the_factor_covers_it_as_often_as_it_says():
    noise = [noisy(scaled(pairwise(), 1.001), force=0.02, energy=1e-4, seed=seed) for seed in range(40)]
    found = [forces_against_energy(each, cluster(), seed=seed)[1] for seed, each in enumerate(noise)]
    assert sum(each.ci[0] <= 1.001 <= each.ci[1] for each in found) >= 34


def test_an_energy_that_never_changes_has_no_factor():
    flat = changed(pairwise(), lambda _, e: replace(e, energy=1.0))
    assert np.isnan(forces_against_energy(flat, cluster())[1].value)


@pytest.mark.parametrize("frame", FRAMES)
def test_direct_forces_are_flagged(frame):
    assert force_energy_consistency(direct, frame).ci[0] > LIMIT


def test_noise_in_the_forces_counts_as_a_difference():
    assert force_energy_consistency(noisy(pairwise(), force=0.02), cluster()).ci[0] > LIMIT


def test_noise_in_the_energy_is_no_inconsistency_of_the_forces():
    found = force_energy_consistency(noisy(pairwise(), energy=1e-3), cluster())
    assert found.ci[0] < LIMIT < found.ci[1]


@pytest.mark.parametrize("curve", [truncated, shifted])
@pytest.mark.parametrize("frame", FRAMES)
def test_a_discontinuity_is_no_inconsistency(curve, frame):
    assert force_energy_consistency(pairwise(curve), frame).ci[1] < LIMIT
    assert virial_consistency(pairwise(curve), frame).ci[1] < 1e-3
    assert jacobian_asymmetry(pairwise(curve), frame).ci[1] < 1e-3


def test_the_zero_of_energy_changes_nothing():
    one, other = (force_energy_consistency(scaled(pairwise(offset=e), 1.01), cluster()) for e in (0.0, 64.0))
    assert one.value == pytest.approx(other.value, rel=1e-6)


@pytest.mark.parametrize("frame", FRAMES)
def test_the_virial_of_a_sound_potential_is_consistent(frame):
    assert virial_consistency(pairwise(), frame).ci[1] < 1e-7


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(
    "wrong",
    [
        lambda _, e: replace(e, virial=-e.virial),
        lambda _, e: replace(e, virial=1.003 * e.virial),
        lambda _, e: replace(e, virial=np.diag(np.diag(e.virial))),
    ],
)
def test_a_wrong_virial_is_flagged(frame, wrong):
    assert virial_consistency(changed(pairwise(), wrong), frame).ci[0] > 1e-3


def test_a_potential_without_virial_has_no_consistent_one():
    found = virial_consistency(changed(pairwise(), lambda _, e: replace(e, virial=np.full((3, 3), np.nan))), cluster())
    assert np.isnan(found.value) and "virial" in found.note


def test_forces_that_are_not_finite_are_nan_with_the_reason():
    broken = changed(pairwise(), lambda _, e: replace(e, forces=e.forces * np.nan))
    for check in (force_energy_consistency, virial_consistency, jacobian_asymmetry, loop_work):
        found = check(broken, cluster())
        assert np.isnan(found.value) and "not finite" in found.note


def test_a_potential_that_raises_is_not_run():
    def refusing(_: Configuration) -> Evaluation:
        raise RuntimeError("no such element")

    assert (
        force_energy_consistency(refusing, cluster()).note == "not run: the model raised RuntimeError: no such element"
    )


@pytest.mark.parametrize("frame", FRAMES)
def test_a_gradient_has_a_symmetric_jacobian(frame):
    assert jacobian_asymmetry(pairwise(), frame).ci[1] < 1e-6
    assert jacobian_asymmetry(rounded(pairwise(offset=-200.0), np.float32), frame).ci[1] < 1e-3


def test_the_asymmetry_of_a_curl_is_its_share_of_the_jacobian():
    frame = cluster()
    strength = 0.05
    found = jacobian_asymmetry(curled(pairwise(), strength), frame)
    antisymmetric = strength * np.sqrt(2.0 * (len(frame.numbers) - 1))
    total = np.linalg.norm(_jacobian(curled(pairwise(), strength), frame))
    assert found.ci[0] > 1e-3
    assert found.value == pytest.approx(antisymmetric / total, rel=0.5)


def _jacobian(potential, frame):
    rows = []
    for k in range(frame.positions.size):
        step = np.zeros(frame.positions.size)
        step[k] = 1e-4
        ends = [potential(replace(frame, positions=frame.positions + s * step.reshape(-1, 3))) for s in (1, -1)]
        rows.append((ends[0].forces - ends[1].forces).ravel() / 2e-4)
    return np.array(rows)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_curl_force_is_flagged(frame):
    assert jacobian_asymmetry(curled(pairwise(), 0.1), frame).ci[0] > 1e-3
    assert loop_work(curled(pairwise(), 0.1), frame).ci[0] > 1e-3


def test_direct_forces_have_an_asymmetric_jacobian():
    assert jacobian_asymmetry(direct, cluster()).ci[0] > 1e-3


@pytest.mark.parametrize("frame", FRAMES)
def test_a_gradient_does_no_work_around_a_loop(frame):
    assert loop_work(pairwise(), frame).ci[1] < 1e-4
    assert loop_work(rounded(pairwise(), np.float32), frame).ci[1] < 1e-4


def test_scaled_forces_are_still_a_gradient():
    assert jacobian_asymmetry(scaled(pairwise(), 1.01), cluster()).ci[1] < 1e-6
