"""Which forces keep momentum and angular momentum, and which do not."""

import dataclasses

import numpy as np
import pytest

from mdsuite_analysis.momentum import angular_momentum_drift, centre_acceleration, momentum_drift
from mdsuite_analysis.series import Frames

N, STEPS, TIMESTEP = 6, 200, 0.002
RANDOM = np.random.default_rng(1)
MASSES = RANDOM.uniform(1.0, 16.0, N)
START = RANDOM.normal(size=(N, 3)) * 2.0
SPEEDS = RANDOM.normal(size=(N, 3)) * 5.0


def springs(x):
    """A spring between every pair, whose rest length is 2 Å; accelerations times masses."""
    apart = x[:, None] - x[None]
    length = np.linalg.norm(apart, axis=2) + np.eye(len(x))
    pull = 500.0 * (1.0 - 2.0 / length) * (1.0 - np.eye(len(x)))
    return -(pull[..., None] * apart).sum(axis=1)


def path(extra=lambda x: 0.0, *, moving=0.0, dtype=float):
    """Frames of velocity Verlet with spring forces and whatever is added to them."""

    def forces(x):
        return (springs(x.astype(dtype)) + extra(x)).astype(dtype).astype(float)

    x, v = START, SPEEDS + moving
    f, recorded = forces(x), []
    for _ in range(STEPS):
        recorded.append((x, v, f))
        v = v + 0.5 * TIMESTEP * f / MASSES[:, None]
        x = x + TIMESTEP * v
        f = forces(x)
        v = v + 0.5 * TIMESTEP * f / MASSES[:, None]
    x, v, f = (np.array(each) for each in zip(*recorded, strict=True))
    time = TIMESTEP * np.arange(STEPS)
    return Frames(time=time, positions=x, velocities=v, forces=f, virial=np.zeros((STEPS, 3, 3)))


def pushed(x):
    return np.array([[0.5, 0.0, 0.0]])


def turned(x):
    """A torque without a net force."""
    from_centre = x - x.mean(axis=0)
    return np.stack([-from_centre[:, 1], from_centre[:, 0], np.zeros(len(x))], axis=1)


def shaken(x):
    return np.random.default_rng(abs(hash(x.tobytes())) % 2**32).normal(size=x.shape)


def test_pair_forces_keep_momentum_to_rounding():
    assert momentum_drift(path(), MASSES).value < 1e-12


def test_pair_forces_keep_angular_momentum_to_rounding():
    assert angular_momentum_drift(path(), MASSES).value < 1e-12


def test_pair_forces_of_single_precision_keep_both_to_single_precision():
    frames = path(dtype=np.float32)
    assert 1e-12 < momentum_drift(frames, MASSES).value < 1e-4
    assert 1e-12 < angular_momentum_drift(frames, MASSES).value < 1e-4


def test_a_net_force_is_flagged():
    assert momentum_drift(path(pushed), MASSES).value > 1e-4


def test_forces_with_noise_are_flagged():
    assert momentum_drift(path(shaken), MASSES).value > 1e-4
    assert angular_momentum_drift(path(shaken), MASSES).value > 1e-4


def test_a_torque_is_flagged_by_the_angular_momentum_alone():
    frames = path(turned)
    assert momentum_drift(frames, MASSES).value < 1e-12
    assert angular_momentum_drift(frames, MASSES).value > 1e-4


def test_a_steady_motion_of_all_is_no_drift():
    frames = path(moving=50.0)
    assert momentum_drift(frames, MASSES).value < 1e-12
    assert angular_momentum_drift(frames, MASSES).value < 1e-10


def test_the_origin_of_the_axes_does_not_change_the_angular_momentum():
    frames = path(turned)
    moved = dataclasses.replace(frames, positions=frames.positions + 100.0)
    expected = angular_momentum_drift(frames, MASSES).value
    assert angular_momentum_drift(moved, MASSES).value == pytest.approx(expected, rel=1e-9)


def test_units_of_mass_do_not_change_the_drifts():
    frames = path(pushed)
    assert momentum_drift(frames, 7.0 * MASSES).value == pytest.approx(momentum_drift(frames, MASSES).value)


def test_a_net_force_accelerates_the_centre_as_newton_says():
    measured = centre_acceleration(path(pushed), MASSES)
    assert measured.value == pytest.approx(0.5 * N / MASSES.sum(), rel=1e-6)
    assert measured.ci[0] > 0.0


def test_pair_forces_do_not_accelerate_the_centre():
    assert centre_acceleration(path(), MASSES).ci[1] < 1e-10


@pytest.mark.parametrize("measure", [momentum_drift, angular_momentum_drift, centre_acceleration])
def test_what_is_not_finite_is_not_measured(measure):
    frames = path()
    frames.velocities[5, 0, 0] = np.nan
    measured = measure(frames, MASSES)
    assert np.isnan(measured.value) and "finite" in measured.note


def test_a_single_frame_tells_nothing():
    frames = path()
    first = Frames(**{f.name: getattr(frames, f.name)[:1] for f in dataclasses.fields(Frames)})
    assert np.isnan(momentum_drift(first, MASSES).value)
