"""What the energy ledger says of runs whose defect is known."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from mdsuite_analysis.ledger.attribution import Account, attribute, crossings, largest_jumps
from mdsuite_analysis.ledger.crossing import pairs_crossing
from mdsuite_analysis.ledger.residual import (
    KINETIC,
    Box,
    Instant,
    energy_change_from_residuals,
    ledger_closure,
    telescoping_energy,
)
from mdsuite_analysis.ledger.sampling import StepSampler
from mdsuite_analysis.ledger.split import energy_noise, split
from mdsuite_analysis.potential import Configuration, Evaluation

EPSILON, SIGMA, MASS = 0.0104, 3.4, 39.95
CUTOFF, INNER = 5.9, 4.6
SIDE = 12.1
N_ATOMS = 27
PAIRS = np.triu_indices(N_ATOMS, 1)
TO_ATOMS = np.eye(N_ATOMS)[PAIRS[0]].T - np.eye(N_ATOMS)[PAIRS[1]].T


def smooth(r):
    t = np.clip((r - INNER) / (CUTOFF - INNER), 0.0, 1.0)
    return 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t**2), -30.0 * t**2 * (1.0 - t) ** 2 / (CUTOFF - INNER)


@dataclass(frozen=True)
class LennardJones:
    """Argon, switched off smoothly unless a defect is asked for."""

    cut: str = "smoothly"  # or "truncated", "shifted"
    curl: float = 0.0  # eV/Å
    scale: float = 1.0  # of the forces
    dtype: type = float

    def __call__(self, configuration, seen=None):
        side = self.dtype(np.diag(configuration.cell).max())
        x = configuration.positions.astype(self.dtype)
        i, j = PAIRS
        apart = x[i] - x[j]
        apart -= side * np.rint(apart / side)
        r = np.sqrt((apart**2).sum(axis=1))
        inside = (r < CUTOFF) if seen is None else (r < CUTOFF) & seen
        s6 = (SIGMA / r) ** 6
        energy, slope = 4.0 * EPSILON * (s6**2 - s6), -24.0 * EPSILON * (2.0 * s6**2 - s6) / r
        if self.cut == "smoothly":
            factor, factor_slope = smooth(r)
            energy, slope = energy * factor, slope * factor + energy * factor_slope
        if self.cut == "shifted":
            energy = energy - 4.0 * EPSILON * ((SIGMA / CUTOFF) ** 12 - (SIGMA / CUTOFF) ** 6)
        energy = np.where(inside, energy, 0.0)
        forces = self.scale * (TO_ATOMS @ (np.where(inside, -slope / r, 0.0)[:, None] * apart))
        angle = 2.0 * np.pi * x / side
        forces = forces + self.curl * np.stack([-np.sin(angle[:, 1]), np.sin(angle[:, 0]), 0.0 * angle[:, 0]], axis=1)
        total = energy.astype(self.dtype).sum(dtype=self.dtype)
        return Evaluation(energy=float(total), forces=forces.astype(float), virial=np.zeros((3, 3)))


class Lagged:
    """Serves forces with a part of those of the configuration before."""

    def __init__(self, potential, part):
        self.potential, self.part, self.last = potential, part, None

    def __call__(self, configuration):
        now = self.potential(configuration)
        last, self.last = (now.forces if self.last is None else self.last), now.forces
        return replace(now, forces=now.forces + self.part * (last - now.forces))


class StaleList:
    """Knows only the neighbours of every twentieth step, with a skin of 0.1 Å."""

    def __init__(self, potential):
        self.potential, self.n_calls, self.seen = potential, 0, None

    def __call__(self, configuration):
        if self.n_calls % 20 == 0:
            apart = configuration.positions[PAIRS[0]] - configuration.positions[PAIRS[1]]
            self.seen = np.linalg.norm(apart - SIDE * np.rint(apart / SIDE), axis=1) < CUTOFF + 0.1
        self.n_calls += 1
        return self.potential(configuration, self.seen)


class NoisyEnergy:
    """Energies with a random part."""

    def __init__(self, potential, size):
        self.potential, self.size, self.rng = potential, size, np.random.default_rng(2)

    def __call__(self, configuration):
        evaluation = self.potential(configuration)
        return replace(evaluation, energy=evaluation.energy + self.size * self.rng.standard_normal())


def box(side=SIDE):
    return Box(cell=side * np.eye(3), pbc=(True, True, True))


def configuration(positions, side=SIDE):
    numbers = np.full(len(positions), 18)
    return Configuration(numbers=numbers, positions=positions, cell=side * np.eye(3), pbc=(True, True, True))


def start(side=SIDE, temperature=300.0):
    rng = np.random.default_rng(3)
    lattice = np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3) * side / 3.0
    velocities = rng.standard_normal((N_ATOMS, 3)) * np.sqrt(8.617e-5 * temperature / (MASS * KINETIC))
    return lattice + 0.1 * rng.standard_normal((N_ATOMS, 3)), velocities - velocities.mean(axis=0)


@dataclass(frozen=True)
class Run:
    samples: list
    account: Account
    closure: float
    energy: np.ndarray

    @property
    def steps(self):
        return [step for sample in self.samples for step in sample.steps]


def velocity_verlet(engine, dt=0.004, n_steps=200, n_kept=20, side=SIDE, chunk=100):
    x, v = start(side)

    def instant(step):
        evaluation = engine(configuration(x, side))
        positions = np.mod(x, side)  # as an engine that wraps writes them
        return Instant(step=step, positions=positions, energy=evaluation.energy, forces=evaluation.forces)

    first = now = instant(0)
    energy = [now.energy + 0.5 * MASS * KINETIC * (v**2).sum()]
    sampler, samples = StepSampler(now, box(side), n_kept=n_kept, seed=7), []
    for step in range(1, n_steps + 1):
        v = v + 0.5 * dt * now.forces / (MASS * KINETIC)
        x = x + dt * v
        now = instant(step)
        v = v + 0.5 * dt * now.forces / (MASS * KINETIC)
        energy.append(now.energy + 0.5 * MASS * KINETIC * (v**2).sum())
        sampler.add(now)
        if step % chunk == 0:
            samples.append(sampler.sample())
            sampler = StepSampler(now, box(side), n_kept=n_kept, seed=7, residuals=sampler.residuals)
    masses, change = np.full(N_ATOMS, MASS), energy[-1] - energy[0]
    telescoping = telescoping_energy(now.forces, masses, dt) - telescoping_energy(first.forces, masses, dt)
    expected = energy_change_from_residuals(
        sampler.residuals.total, first.forces, now.forces, masses=masses, timestep=dt
    )
    return Run(
        samples=samples,
        account=Account(n_atoms=N_ATOMS, duration=n_steps * dt, energy_change=change, telescoping_change=telescoping),
        closure=ledger_closure(change, expected).value,
        energy=np.array(energy),
    )


def splits_of(run, clean, twin=None, side=SIDE):
    like = configuration(np.zeros((N_ATOMS, 3)), side)
    frames = [configuration(step.before.positions, side) for step in run.steps[:: len(run.steps) // 9][:9]]
    noise = energy_noise(twin or clean, frames)
    return [split(step, clean, like, twin=twin, energy_noise=noise) for step in run.steps]


def measured(run, splits):
    return {m.name: m for m in attribute(run.samples, splits, run.account)}


def ledger(engine, clean=None, twin=None, **options):
    run = velocity_verlet(engine, **options)
    return measured(run, splits_of(run, clean or engine, twin))


@cache
def clean_ledger():
    return ledger(LennardJones())


@cache
def truncated_run(dt=0.004):
    run = velocity_verlet(LennardJones(cut="truncated"), dt=dt, n_steps=round(1.2 / dt))
    return run, splits_of(run, LennardJones(cut="truncated"))


def excludes_zero(measurement):
    low, high = measurement.ci
    return low > 0.0 or high < 0.0


def includes_zero(measurement):
    low, high = measurement.ci
    return low <= 0.0 <= high


@pytest.mark.parametrize("name", ["ledger_jump", "ledger_work", "ledger_engine"])
def test_a_clean_run_owes_nothing_to_the_potential_or_the_engine(name):
    assert abs(clean_ledger()[name].value) < 1e-6
    assert max(map(abs, clean_ledger()[name].ci)) < 2e-3


def test_a_clean_run_jumps_on_no_step():
    assert clean_ledger()["jump_steps"].value == 0.0
    assert clean_ledger()["jump_steps"].ci[1] < 0.15


@pytest.mark.parametrize(
    "potential", [LennardJones(), LennardJones(cut="truncated"), LennardJones(curl=1e-3)], ids=repr
)
def test_residuals_and_telescoping_term_are_the_change_of_the_total_energy(potential):
    assert abs(velocity_verlet(potential, n_steps=100).closure) < 1e-12


def test_a_wrong_mass_leaves_a_change_unexplained():
    run = velocity_verlet(LennardJones(), n_steps=100)
    heavier = replace(run.account, telescoping_change=2.0 * run.account.telescoping_change)
    unexplained = {m.name: m for m in attribute(run.samples, splits_of(run, LennardJones()), heavier)}
    assert abs(unexplained["ledger_unexplained"].value) > 1e-3


def test_the_shares_of_a_step_add_up_to_its_residual():
    run, splits = truncated_run()
    sums = [s.engine + s.jump + s.work + s.quadrature for s in splits]
    np.testing.assert_allclose(sums, [step.residual for step in run.steps], rtol=0, atol=1e-13)


@pytest.mark.parametrize("dt", [0.004, 0.002])
def test_the_drift_of_a_truncated_potential_is_energy_jumps_at_any_timestep(dt):
    shares = measured(*truncated_run(dt))
    assert excludes_zero(shares["ledger_jump"])
    assert abs(shares["ledger_jump"].value) > 5.0 * abs(shares["ledger_quadrature"].value)
    assert shares["jump_steps"].ci[0] > 0.1


def test_the_quadrature_share_falls_with_the_square_of_the_timestep():
    def per_time(dt):
        run = velocity_verlet(LennardJones(), dt=dt, n_steps=round(0.2 / dt), n_kept=1000, chunk=round(0.2 / dt))
        return np.mean([abs(s.quadrature) for s in splits_of(run, LennardJones())]) / dt

    assert per_time(0.004) / per_time(0.002) == pytest.approx(4.0, rel=0.05)


def test_a_step_of_the_force_alone_is_no_energy_jump():
    shares = ledger(LennardJones(cut="shifted"))
    assert shares["jump_steps"].value == 0.0
    assert includes_zero(shares["ledger_jump"])


def test_a_curl_force_does_work():
    shares = ledger(LennardJones(curl=1e-3))
    assert excludes_zero(shares["ledger_work"])
    assert shares["jump_steps"].value == 0.0
    assert includes_zero(shares["ledger_jump"])


def test_jumps_and_work_are_told_apart():
    both = ledger(LennardJones(cut="truncated", curl=2e-3), n_kept=40)
    assert excludes_zero(both["ledger_work"]) and both["jump_steps"].ci[0] > 0.1


def test_no_step_of_a_curl_force_is_a_jump_in_single_precision():
    assert ledger(LennardJones(curl=1e-3, dtype=np.float32), n_steps=200)["jump_steps"].value == 0.0


def test_forces_in_excess_by_a_thousandth_do_the_work_that_the_energy_lacks():
    run = velocity_verlet(LennardJones(scale=1.001))
    shares = measured(run, splits_of(run, LennardJones(scale=1.001)))
    ends = (run.samples[0].steps[0].before, run.samples[-1].steps[-1].after)
    potential = sum(sample.potential_change for sample in run.samples)
    expected = -0.001 * potential * 1000.0 / (N_ATOMS * run.account.duration)
    assert ends[0].step < ends[1].step
    assert shares["ledger_work"].value == pytest.approx(expected, rel=1e-3)


def test_forces_that_are_no_gradient_do_work():
    def direct(configuration):
        evaluation = LennardJones()(configuration)
        return replace(evaluation, forces=evaluation.forces + 1e-3 * np.sin(configuration.positions[:, [1, 2, 0]]))

    assert excludes_zero(ledger(direct)["ledger_work"])


@pytest.mark.parametrize(
    "engine",
    [Lagged(LennardJones(), 0.02), StaleList(LennardJones()), LennardJones(scale=1.001)],
    ids=["lagged", "stale list", "scaled"],
)
def test_what_the_engine_had_otherwise_than_the_potential_is_the_engines_share(engine):
    shares = ledger(engine, clean=LennardJones(), n_steps=300)
    assert excludes_zero(shares["ledger_engine"])
    assert abs(shares["ledger_work"].value) < 1e-6 and shares["jump_steps"].value == 0.0


@pytest.mark.parametrize(
    "potential", [LennardJones(dtype=np.float32), NoisyEnergy(LennardJones(), 1e-5)], ids=["float32", "noisy energy"]
)
def test_rounding_and_random_energies_are_no_jumps(potential):
    shares = ledger(potential)
    assert shares["jump_steps"].value == 0.0
    assert includes_zero(shares["ledger_jump"])


def test_energy_jumps_are_found_through_single_precision():
    potential = LennardJones(cut="truncated", dtype=np.float32)
    assert ledger(potential)["jump_steps"].ci[0] > 0.1


def test_the_noise_of_energies_is_measured():
    frames = [configuration(start()[0] + 0.01 * i) for i in range(40)]
    assert energy_noise(NoisyEnergy(LennardJones(), 1e-5), frames) == pytest.approx(1e-5, rel=0.4)


@pytest.mark.parametrize("defect", [{"curl": 1e-2}, {"scale": 1.1}], ids=str)
def test_work_is_not_taken_for_noise(defect):
    frames = [configuration(start()[0] + 0.01 * i) for i in range(9)]
    assert energy_noise(LennardJones(**defect), frames) < 1e-9


def test_a_twin_takes_the_rounding_of_single_precision_out_of_the_other_shares():
    coarse = ledger(LennardJones(dtype=np.float32), twin=LennardJones())
    assert includes_zero(coarse["ledger_precision"])
    assert max(map(abs, coarse["ledger_work"].ci)) < 1e-6


def test_forces_of_low_precision_are_the_precision_share():
    def truncating(configuration):
        evaluation = LennardJones()(configuration)
        return replace(evaluation, forces=np.trunc(evaluation.forces * 200.0) / 200.0)

    shares = ledger(truncating, twin=LennardJones())
    assert excludes_zero(shares["ledger_precision"])
    assert abs(shares["ledger_work"].value) < 1e-6


def test_without_a_twin_the_precision_share_is_not_known():
    assert np.isnan(clean_ledger()["ledger_precision"].value)


def test_the_shares_add_up_to_the_change_of_the_total_energy():
    run, splits = truncated_run()
    shares = measured(run, splits)
    named = ("jump", "work", "quadrature", "engine", "unexplained")
    telescoping = run.account.telescoping_change * 1000.0 / (N_ATOMS * run.account.duration)
    total = run.account.energy_change * 1000.0 / (N_ATOMS * run.account.duration)
    assert sum(shares[f"ledger_{name}"].value for name in named) + telescoping == pytest.approx(total, abs=1e-9)


def test_a_change_no_larger_than_the_swing_of_the_integrator_has_no_shares():
    share = clean_ledger()["ledger_jump_share"]
    assert np.isnan(share.value) and "swings" in share.note


def test_the_share_of_jumps_is_relative_to_the_change():
    run, splits = truncated_run(0.002)
    shares = measured(run, splits)
    total = run.account.energy_change * 1000.0 / (N_ATOMS * run.account.duration)
    assert shares["ledger_jump_share"].value == pytest.approx(shares["ledger_jump"].value / total)


def test_under_a_thermostat_nothing_is_called_unexplained():
    run, splits = truncated_run()
    shares = {m.name: m for m in attribute(run.samples, splits, replace(run.account, energy_change=None))}
    assert np.isnan(shares["ledger_unexplained"].value) and excludes_zero(shares["ledger_jump"])


def test_the_interval_of_a_sample_holds_what_all_steps_say():
    options = {"n_steps": 100, "chunk": 100}
    potential = LennardJones(cut="truncated")
    exact = ledger(potential, n_kept=1000, **options)
    sampled = ledger(potential, n_kept=30, **options)
    low, high = sampled["ledger_jump"].ci
    assert low < exact["ledger_jump"].value < high
    assert sampled["jump_steps"].ci[0] < exact["jump_steps"].value < sampled["jump_steps"].ci[1]


def test_the_jumps_of_a_thin_gas_sit_on_the_few_steps_on_which_a_pair_crosses():
    side, potential = 24.0, LennardJones(cut="truncated")
    run = velocity_verlet(potential, side=side, n_kept=50)
    found = {m.name: m for m in crossings(run.samples, splits_of(run, potential, side=side), box(side), CUTOFF)}
    assert found["crossing_share"].ci[0] > 0.8
    assert found["crossing_steps"].ci[1] < 0.3


def test_the_largest_jumps_name_their_time_and_the_pair_that_crosses():
    side, potential, dt = 24.0, LennardJones(cut="truncated"), 0.004
    run = velocity_verlet(potential, side=side, dt=dt, n_kept=50)
    splits = splits_of(run, potential, side=side)
    numbers = np.full(N_ATOMS, 18)
    found = largest_jumps(run.samples, splits, box(side), CUTOFF, numbers=numbers, timestep=dt)
    sizes = [abs(each.value) for each in found]
    assert len(found) == 3 and sizes == sorted(sizes, reverse=True)
    assert sizes[0] == max(abs(split.jump) for split in splits if split.jumps)
    depth = 4.0 * EPSILON * abs((SIGMA / CUTOFF) ** 12 - (SIGMA / CUTOFF) ** 6)
    steps = {f"{step.before.step * dt:.6g}": step for sample in run.samples for step in sample.steps}
    for each in found:
        pairs = pairs_crossing(steps[each.subject["time_ps"]], box(side), CUTOFF)
        assert each.subject["pairs"] == ", ".join(f"Ar{first}-Ar{second}" for first, second in pairs)
        assert abs(each.value) == pytest.approx(depth * len(pairs), rel=0.05)
    unknown = largest_jumps(run.samples, splits, box(side), None, numbers=numbers, timestep=dt)
    assert {each.subject["pairs"] for each in unknown} == {"not known"}


def test_a_clean_run_has_no_largest_jump():
    run = velocity_verlet(LennardJones(), n_steps=100)
    told = {"numbers": np.full(N_ATOMS, 18), "timestep": 0.004}
    assert largest_jumps(run.samples, splits_of(run, LennardJones()), box(), CUTOFF, **told) == []


def test_jumps_elsewhere_are_not_blamed_on_the_cut_off():
    run, splits = truncated_run(0.002)
    share, _ = crossings(run.samples, splits, box(), 3.0)  # no pair comes so near
    assert share.value == 0.0


def test_an_interval_without_a_jump_says_that_it_allows_for_rare_ones():
    assert "rare" in clean_ledger()["ledger_jump"].note


def test_without_jumps_there_is_no_share_of_crossings():
    run = velocity_verlet(LennardJones(), n_steps=100)
    share, steps = crossings(run.samples, splits_of(run, LennardJones()), box(), CUTOFF)
    assert np.isnan(share.value) and steps.value > 0.0


@pytest.mark.parametrize(("cutoff", "n_pairs"), [(2.05, 1), (3.0, 0), (7.95, 1)])
def test_pairs_are_seen_across_the_cell_and_beyond_half_of_it(cutoff, n_pairs):
    before = np.array([[0.5, 5.0, 5.0], [8.5, 5.0, 5.0]])  # 2 Å apart through the wall, 8 Å within
    after = before + np.array([[0.1, 0.0, 0.0], [0.0, 0.0, 0.0]])
    step = replace(
        truncated_run()[0].steps[0],
        before=Instant(step=0, positions=before, energy=0.0, forces=0.0 * before),
        after=Instant(step=1, positions=after, energy=0.0, forces=0.0 * before),
    )
    assert pairs_crossing(step, box(10.0), cutoff) == [(0, 1)] * n_pairs


def test_atoms_out_of_reach_of_each_other_change_nothing():
    def nothing(configuration):
        return Evaluation(energy=0.0, forces=np.zeros((N_ATOMS, 3)), virial=np.zeros((3, 3)))

    shares = ledger(nothing, n_steps=100)
    assert shares["ledger_jump"].value == shares["ledger_work"].value == shares["jump_steps"].value == 0.0


def test_a_run_that_is_not_finite_has_no_ledger():
    with np.errstate(all="ignore"):
        shares = ledger(LennardJones(), dt=0.2)
    assert all(np.isnan(m.value) for m in shares.values()) and "not finite" in shares["ledger_jump"].note


def test_splits_of_other_steps_are_refused():
    run, splits = truncated_run()
    with pytest.raises(ValueError, match="do not belong"):
        attribute(run.samples, splits[1:], run.account)


def test_a_run_without_time_is_refused():
    with pytest.raises(ValueError, match="needs atoms and time"):
        Account(n_atoms=1, duration=0.0)
