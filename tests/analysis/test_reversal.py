"""What runs back to where it began, and what remembers: a cluster of Lennard-Jones atoms turned round."""

import dataclasses

import numpy as np
import pytest

from mdsuite_analysis.reversal import ACCELERATION, reversed_in_time, time_reversal_error
from mdsuite_analysis.series import Frames

EPSILON, SIGMA, MASS, CUTOFF, TRAP = 0.0104, 3.4, 4.0, 6.5, 0.002
TIMESTEP, STEPS = 0.004, 300
MASSES = np.full(8, MASS)
CUBE = 3.9 * np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
FAST = 9.0 * np.random.default_rng(0).normal(size=(8, 3))  # some 400 K
FAST -= FAST.mean(axis=0)


class Cluster:
    """Lennard-Jones atoms in a trap, with as much of a memory as asked for."""

    def __init__(self, *, dtype=float, noise=0.0, jitter=0.0, lag=0, list_age=0, seed=0):
        self.dtype, self.noise, self.jitter, self.lag, self.list_age = dtype, noise, jitter, lag, list_age
        self.random = np.random.default_rng(seed)
        self.asked, self.neighbours, self.past = 0, None, []

    def __call__(self, positions):
        x = (positions * (1.0 + self.jitter * self.random.uniform(-1.0, 1.0, positions.shape))).astype(self.dtype)
        apart = x[:, None] - x[None]
        squared = (apart**2).sum(axis=2) + np.eye(8, dtype=self.dtype)
        within = (squared < CUTOFF**2) & ~np.eye(8, dtype=bool)
        if self.list_age:
            within = self.kept(within)
        six = (self.dtype(SIGMA**2) / squared) ** 3
        fade = np.clip((CUTOFF - np.sqrt(squared)) / 0.5, 0.0, 1.0).astype(self.dtype)
        size = self.dtype(24 * EPSILON) * (2 * six**2 - six) / squared * fade
        forces = (np.where(within, size, 0)[..., None] * apart).sum(axis=1).astype(float)
        forces -= TRAP * (x - x.mean(axis=0)).astype(float)
        forces += self.noise * self.random.normal(size=forces.shape)
        self.past.append(forces)
        return self.past[-1 - min(self.lag, len(self.past) - 1)]

    def kept(self, within):
        if self.asked % self.list_age == 0:
            self.neighbours = within
        self.asked += 1
        return self.neighbours


def integrated(forces, positions, velocities, *, friction=0.0, random=None):
    """Frames of velocity Verlet, every step one."""
    x, v, f = positions.copy(), velocities.copy(), forces(positions)
    recorded = [(x, v, f)]
    for _ in range(STEPS):
        v = v + 0.5 * TIMESTEP * ACCELERATION * f / MASS
        x = x + TIMESTEP * v
        f = forces(x)
        v = v + 0.5 * TIMESTEP * ACCELERATION * f / MASS
        if friction:
            v = v * np.exp(-friction * TIMESTEP) + np.sqrt(2 * friction * TIMESTEP) * 9.0 * random.normal(size=v.shape)
        recorded.append((x, v, f))
    x, v, f = (np.array(each) for each in zip(*recorded, strict=True))
    return Frames(
        time=TIMESTEP * np.arange(len(x)), positions=x, velocities=v, forces=f, virial=np.zeros((len(x), 3, 3))
    )


def turned(*, rounding=2.0**-23, friction=0.0, origin=0.0, **defect):
    """Measurements of a run there and back, by name; every run has an engine and a model of its own."""
    random = np.random.default_rng(3)

    def run(positions, velocities, seed):
        return integrated(Cluster(seed=seed, **defect), positions, velocities, friction=friction, random=random)

    forward = run(CUBE + origin, FAST, 0)
    end, back = forward.positions[-1], -forward.velocities[-1]
    backward = run(end, back, 1)
    signs = np.random.default_rng(9).choice([-1.0, 1.0], size=(2, 8, 3))
    controls = [run(end * (1.0 + rounding * sign), back, 2 + i) for i, sign in enumerate(signs)]
    return {m.name: m for m in time_reversal_error(forward, backward, controls, MASSES, rounding=rounding)}


CLEAN = turned()
PATH = integrated(Cluster(), CUBE, FAST)


def test_a_trajectory_of_a_clean_model_comes_back():
    assert CLEAN["time_reversal_error"].value < 1e-6
    assert CLEAN["time_reversal_velocity_error"].value < 1e-5
    assert CLEAN["time_reversal_excess"].ci[1] < 100


def test_it_comes_back_in_single_precision_too():
    assert turned(dtype=np.float32)["time_reversal_excess"].ci[1] < 100


@pytest.mark.parametrize(
    "rounded", [{"noise": 5e-9}, {"jitter": 2.0**-24}], ids=["sums", "positions"]
)  # forces are 0.04 eV/Å
def test_what_rounds_otherwise_every_time_is_rounding(rounded):
    found = turned(dtype=np.float32, **rounded)
    assert found["time_reversal_error"].value > 1e6 * CLEAN["time_reversal_error"].value
    assert found["time_reversal_excess"].ci[1] < 100


def test_a_start_far_from_the_origin_rounds_more_and_that_is_known():
    assert turned(dtype=np.float32, jitter=2.0**-24, origin=100.0)["time_reversal_excess"].ci[1] < 100


def test_a_clean_model_in_double_precision_is_within_what_its_own_precision_explains():
    assert turned(rounding=2.0**-52)["time_reversal_excess"].ci[1] < 100


@pytest.mark.parametrize(
    "defect",
    [{"list_age": 20}, {"lag": 1}, {"noise": 1e-3}, {"friction": 1.0}],
    ids=["stale neighbour list", "forces of the step before", "random noise", "a thermostat left on"],
)
def test_what_remembers_is_flagged(defect):
    assert turned(**defect)["time_reversal_excess"].ci[0] > 1000


@pytest.mark.parametrize(
    "defect", [{"noise": 1e-8}, {"friction": 1e-3}, {"list_age": 3}], ids=["noise", "a thermostat", "a stale list"]
)
def test_what_is_slight_is_flagged_where_double_precision_is_declared(defect):
    assert turned(rounding=2.0**-52, **defect)["time_reversal_excess"].ci[0] > 1000


def test_the_error_grows_as_chaos_makes_it_grow():
    error, growth = CLEAN["time_reversal_error"].value, CLEAN["time_reversal_growth"]
    assert 0.0 < growth.ci[0] < growth.ci[1]
    assert error == pytest.approx(1e-15 * np.exp(growth.value * STEPS * TIMESTEP), rel=30.0)


def test_a_path_turned_twice_is_itself():
    twice = reversed_in_time(reversed_in_time(PATH))
    assert np.array_equal(twice.velocities, PATH.velocities) and np.allclose(twice.time, PATH.time)


def test_a_way_back_that_begins_elsewhere_is_not_measured():
    found = time_reversal_error(PATH, PATH, [PATH], MASSES)
    assert all(np.isnan(m.value) and "begins" in m.note for m in found)


def test_what_is_not_finite_is_not_measured():
    broken = dataclasses.replace(PATH, forces=np.where(PATH.time[:, None, None] > 1.0, np.nan, PATH.forces))
    found = time_reversal_error(PATH, reversed_in_time(broken), [reversed_in_time(PATH)], MASSES)
    assert all(np.isnan(m.value) for m in found)


def test_a_way_back_without_controls_is_refused():
    with pytest.raises(ValueError, match="one control or more"):
        time_reversal_error(PATH, reversed_in_time(PATH), [], MASSES)
