"""How the energy error falls with the timestep, on motions whose answer is known."""

import dataclasses
from functools import cache

import numpy as np
import pytest

from mdsuite_analysis.convergence import timestep_order
from mdsuite_analysis.series import EnergySeries

FORCE = 9648.53322  # amu Å/ps² in 1 eV/Å
EPSILON, SIGMA, MASS, CUTOFF, SWITCH = 0.0104, 3.4, 39.948, 6.5, 5.5
CELL, N = 12.6, 27
KINDS = ("none", "shift", "switch")


def series(time, energy, n_atoms=1, temperature=None):
    steps = np.arange(len(time))
    return EnergySeries(step=steps, time=time, total_energy=energy, n_atoms=n_atoms, temperature=temperature)


def found(ladder):
    return {m.name: m for m in timestep_order(ladder)}


def oscillator(timestep, *, omega=10.0, duration=20.0):
    """The total energy of a harmonic oscillator of unit mass under velocity Verlet, in units of its own."""
    n = round(duration / timestep)
    x, v, energy = 1.0, 0.0, np.empty(n)
    for i in range(n):
        energy[i] = 0.5 * v**2 + 0.5 * (omega * x) ** 2
        v -= 0.5 * timestep * omega**2 * x
        x += timestep * v
        v -= 0.5 * timestep * omega**2 * x
    return series(timestep * np.arange(n), energy)


def pair(kind, squared):
    """Energy and force over distance of a pair: truncated; truncated and shifted; smoothly switched off."""
    six = (SIGMA**2 / squared) ** 3
    energy, over = 4 * EPSILON * (six**2 - six), 24 * EPSILON * (2 * six**2 - six) / squared
    if kind == "shift":
        end = (SIGMA / CUTOFF) ** 6
        energy = energy - 4 * EPSILON * (end**2 - end)
    if kind == "switch":
        r = np.sqrt(squared)
        x = np.clip((r - SWITCH) / (CUTOFF - SWITCH), 0.0, 1.0)
        fade, slope = 1 - x**3 * (10 - 15 * x + 6 * x**2), -30 * x**2 * (1 - x) ** 2 / (CUTOFF - SWITCH)
        over = over * fade - energy * slope / r
        energy = energy * fade
    within = squared < CUTOFF**2
    return np.where(within, energy, 0.0), np.where(within, over, 0.0)


def forces(kind, x):
    """Energies (replicas,) and forces (replicas, N, 3) in a periodic cell."""
    first, second = np.triu_indices(N, 1)
    apart = x[:, first] - x[:, second]
    apart -= CELL * np.round(apart / CELL)
    energy, over = pair(kind, (apart**2).sum(axis=2))
    each = over[..., None] * apart
    f = np.zeros_like(x)
    for replica in range(len(x)):
        for axis in range(3):
            f[replica, :, axis] = np.bincount(first, each[replica, :, axis], N) - np.bincount(
                second, each[replica, :, axis], N
            )
    return energy.sum(axis=1), f


def integrated(kind, x, v, timestep, n):
    """Positions and velocities at the end, and total energies (n, replicas)."""
    total = np.empty((n, len(x)))
    energy, f = forces(kind, x)
    for i in range(n):
        total[i] = energy + 0.5 * MASS / FORCE * (v**2).sum(axis=(1, 2))
        v = v + 0.5 * timestep * FORCE * f / MASS
        x = x + timestep * v
        energy, f = forces(kind, x)
        v = v + 0.5 * timestep * FORCE * f / MASS
    return x, v, total


@cache
def melted():
    """Four replicas of hot argon."""
    random = np.random.default_rng(0)
    x = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(3)]) * (CELL / 3)
    v = 1.8 * random.normal(size=(4, N, 3))
    return integrated("switch", np.tile(x, (4, 1, 1)), v - v.mean(axis=1, keepdims=True), 0.004, 500)[:2]


@cache
def argon(kind):
    """Four replicas at 8, 4 and 2 fs."""
    ladder = {}
    for timestep in (0.008, 0.004, 0.002):
        n = round(4.0 / timestep)
        total = integrated(kind, *melted(), timestep, n)[2]
        ladder[timestep] = [series(timestep * np.arange(n), column, N) for column in total.T]
    return ladder


def drifting(*slopes, timesteps=(0.004, 0.002, 0.001), n_replicas=4, noise=1e-4, scatter=0.0, seed=0):
    """Clean second order about lines of these slopes, meV/ps, which scatter over the replicas."""
    random = np.random.default_rng(seed)
    ladder = {}
    for slope, timestep in zip(slopes, timesteps, strict=True):
        time = timestep * np.arange(round(4.0 / timestep))
        ladder[timestep] = [
            series(
                time,
                1e-3 * (slope + scatter * random.normal()) * time
                + noise * (timestep / 0.004) ** 2 * random.normal(size=len(time)),
            )
            for _ in range(n_replicas)
        ]
    return ladder


def test_a_harmonic_oscillator_is_of_second_order():
    ladder = {timestep: [oscillator(timestep)] for timestep in (0.02, 0.01, 0.005)}
    measured = found(ladder)
    assert measured["timestep_order"].value == pytest.approx(2.0, abs=0.02)
    assert measured["timestep_ratio_2"].value == pytest.approx(4.0, abs=0.05)


def test_the_ratio_of_a_harmonic_oscillator_is_the_analytic_one():
    factor = [0.5 * 100.0 * (5.0 * dt) ** 2 * np.sqrt(1 / 8) for dt in (0.02, 0.01)]  # ω² dt²/8 of the potential energy
    measured = found({dt: [oscillator(dt)] for dt in (0.02, 0.01)})["timestep_ratio_1"]
    assert measured.value == pytest.approx(factor[0] / factor[1], rel=0.02)


def test_a_smooth_potential_is_of_second_order():
    measured = found(argon("switch"))
    assert measured["timestep_order"].value == pytest.approx(2.0, abs=0.1)
    assert measured["timestep_order"].ci[0] > 1.7


def test_a_truncated_potential_has_no_order_and_no_smaller_timestep_helps():
    measured = found(argon("none"))
    assert measured["timestep_order"].ci[1] < 1.0
    assert measured["timestep_ratio_2"].ci[1] < 3.0


def test_a_shifted_potential_falls_below_second_order_as_the_timestep_falls():
    measured = found(argon("shift"))
    assert 0.5 < measured["timestep_order"].ci[0] < measured["timestep_order"].ci[1] < 1.7
    assert measured["timestep_ratio_2"].value < measured["timestep_ratio_1"].value


def test_a_drift_does_not_hide_the_order():
    measured = found(drifting(50.0, 50.0, 50.0))
    assert measured["timestep_order"].value == pytest.approx(2.0, abs=0.05)


def test_a_drift_that_no_timestep_changes_is_not_reduced_by_halving():
    measured = found(drifting(5.0, 5.0, 5.0, scatter=0.1))
    low, high = measured["drift_reduction_by_halving"].ci
    assert -0.2 < low < high < 0.2
    assert measured["drift_at_zero_timestep"].ci[0] > 4.0


def test_a_drift_of_the_integrator_is_reduced_by_halving_and_vanishes_at_zero():
    measured = found(drifting(16.0, 4.0, 1.0, scatter=0.1))
    assert measured["drift_reduction_by_halving"].ci[0] > 0.7
    low, high = measured["drift_at_zero_timestep"].ci
    assert low < 0.0 < high


def test_where_there_is_no_drift_nothing_is_said_of_its_reduction():
    measured = found(drifting(0.0, 0.0, 0.0, scatter=0.1))["drift_reduction_by_halving"]
    assert np.isnan(measured.value) and "zero" in measured.note


@pytest.mark.parametrize("n_replicas", [1, 2])
def test_few_replicas_are_measured_and_it_is_said_that_they_are_few(n_replicas):
    measured = found(drifting(5.0, 5.0, 5.0, n_replicas=n_replicas))["timestep_order"]
    assert measured.ci[0] < 2.0 < measured.ci[1] and "too few" in measured.note


@pytest.mark.parametrize("n_replicas", [1, 4])
def test_the_intervals_hold_the_truth(n_replicas):
    orders = [found(drifting(0.0, 0.0, 0.0, n_replicas=n_replicas, seed=s))["timestep_order"] for s in range(40)]
    assert sum(each.ci[0] < 2.0 < each.ci[1] for each in orders) >= 34


def test_energy_zero_time_origin_and_replication_change_nothing():
    ladder = drifting(5.0, 4.0, 3.0)
    moved = {
        dt: [
            dataclasses.replace(s, time=s.time + 3.0, total_energy=2.0 * s.total_energy - 500.0, n_atoms=2)
            for s in replicas
        ]
        for dt, replicas in ladder.items()
    }
    for name, measured in found(moved).items():
        assert measured.value == pytest.approx(found(ladder)[name].value, rel=1e-6)


def test_a_thirding_is_told_as_a_halving():
    ladder = drifting(0.0, 0.0, timesteps=(0.003, 0.001))
    assert found(ladder)["timestep_ratio_1"].value == pytest.approx(4.0, rel=0.1)


def test_what_is_not_finite_is_not_measured():
    ladder = drifting(0.0, 0.0, 0.0)
    ladder[0.002][1].total_energy[5] = np.nan
    assert all(np.isnan(m.value) and "replica 2 at 2 fs" in m.note for m in timestep_order(ladder))


def test_a_run_of_a_few_steps_is_not_measured():
    short = {dt: [series(dt * np.arange(20), np.zeros(20))] for dt in (0.002, 0.001)}
    assert all(np.isnan(m.value) and "samples" in m.note for m in timestep_order(short))


def test_one_timestep_or_uneven_replicas_are_refused():
    ladder = drifting(0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="two timesteps"):
        timestep_order({0.004: ladder[0.004]})
    with pytest.raises(ValueError, match="same replicas"):
        timestep_order({**ladder, 0.002: ladder[0.002][:1]})
