"""How a single step is split, for an atom on a line whose energy and force are known at every point."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from mdsuite_analysis.ledger.residual import Instant
from mdsuite_analysis.ledger.sampling import SampledStep
from mdsuite_analysis.ledger.split import energy_noise, split
from mdsuite_analysis.potential import Configuration, Evaluation

LENGTH = 0.02  # Å
STIFFNESS = 30.0  # eV/Å²
LIKE = Configuration(
    numbers=np.array([1]), positions=np.zeros((1, 3)), cell=np.zeros((3, 3)), pbc=(False, False, False)
)


@dataclass
class Line:
    """A spring, with steps of the energy or of the force at some points, extra force, and noise."""

    energy_steps: dict = field(default_factory=dict)  # s: eV
    force_steps: dict = field(default_factory=dict)  # s: eV/Å
    extra_force: float = 0.0
    noise: float = 0.0

    def __post_init__(self):
        self.rng, self.n_calls = np.random.default_rng(0), 0

    def __call__(self, configuration):
        self.n_calls += 1
        x = float(configuration.positions[0, 0])
        energy, force = 0.5 * STIFFNESS * (x - 0.1) ** 2, -STIFFNESS * (x - 0.1)
        for s, height in self.energy_steps.items():
            energy += height * (x > s * LENGTH)
        for s, height in self.force_steps.items():
            energy -= height * max(0.0, x - s * LENGTH)
            force += height * (x > s * LENGTH)
        energy += self.noise * self.rng.standard_normal()
        forces = np.array([[force + self.extra_force, 0.0, 0.0]])
        return Evaluation(energy=float(energy), forces=forces, virial=np.zeros((3, 3)))


def step_of(engine):
    ends = []
    for i, s in enumerate((0.0, 1.0)):
        positions = np.array([[s * LENGTH, 0.0, 0.0]])
        said = engine(Configuration(numbers=LIKE.numbers, positions=positions, cell=LIKE.cell, pbc=LIKE.pbc))
        ends.append(Instant(step=i, positions=positions, energy=said.energy, forces=said.forces))
    work = 0.5 * float(np.vdot(ends[0].forces + ends[1].forces, ends[1].positions - ends[0].positions))
    residual = ends[1].energy - ends[0].energy + work
    return SampledStep(before=ends[0], after=ends[1], residual=residual, weight=1.0)


def shares(potential, noise=0.0):
    return split(step_of(potential), potential, LIKE, energy_noise=noise)


def places(n_steps, n_draws=60):
    return np.random.default_rng(4).random((n_draws, n_steps))


def test_a_spring_has_no_jump_and_no_work():
    step = shares(Line())
    assert not step.jumps and abs(step.work) < 3.0 * step.work_error


def test_the_error_of_a_smooth_step_is_small():
    assert shares(Line()).jump_error < 1e-8


@pytest.mark.parametrize("height", [1e-3, -1e-5, 1e-7])
def test_a_jump_is_found_with_its_size_wherever_it_is(height):
    found = [shares(Line(energy_steps={s: height})) for (s,) in places(1)]
    assert all(step.jumps for step in found)
    np.testing.assert_allclose([step.jump for step in found], height, rtol=1e-3)


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_steps_of_the_force_apart_from_each_other_are_never_a_jump(n_steps):
    heights = (0.3, -0.3, 0.2)[:n_steps]
    apart = [at for at in places(n_steps, 150) if n_steps == 1 or np.diff(np.sort(at)).min() > 2e-3]
    found = [shares(Line(force_steps=dict(zip(at, heights, strict=True)))) for at in apart]
    assert not any(step.jumps for step in found)


def test_what_a_step_of_the_force_leaves_is_within_the_errors():
    found = [shares(Line(force_steps={s: 0.3})) for (s,) in places(1)]
    assert all(abs(step.jump) < 1.1 * step.jump_error for step in found)


def test_a_step_of_the_force_is_seen():
    assert shares(Line(force_steps={0.4: 0.3})).force_step > 1e3 * shares(Line()).force_step


def test_an_energy_jump_beside_a_step_of_the_force_is_found():
    found = [shares(Line(energy_steps={a: 1e-2}, force_steps={b: 0.3})) for a, b in places(2)]
    assert all(step.jumps for step in found)


def test_work_is_the_excess_force_times_the_way():
    assert shares(Line(extra_force=0.01)).work == pytest.approx(0.01 * LENGTH, rel=1e-6)


def test_work_is_known_beside_jumps():
    found = [shares(Line(extra_force=0.01, energy_steps=dict.fromkeys(at, 1e-3))) for at in places(3)]
    np.testing.assert_allclose([step.work for step in found], 0.01 * LENGTH, rtol=1e-3)


@pytest.mark.parametrize("noise", [1e-12, 1e-8, 1e-6, 1e-4])
def test_noise_is_no_jump_and_no_work_at_any_size(noise):
    potential = Line(noise=noise)
    found = [shares(potential, noise) for _ in range(80)]
    assert not any(step.jumps for step in found)
    assert np.mean([abs(step.work) < 3.0 * step.work_error for step in found]) >= 0.95


def test_the_errors_of_noisy_steps_are_the_scatter():
    potential = Line(noise=1e-6)
    found = [shares(potential, 1e-6) for _ in range(150)]
    scatter, error = np.std([step.jump for step in found]), np.median([step.jump_error for step in found])
    assert 0.5 * error < scatter < 1.5 * error


def test_many_jumps_of_one_size_are_not_taken_for_work_through_noise():
    found = [shares(Line(energy_steps=dict.fromkeys(at, 1e-3), noise=1e-6), 1e-6) for at in places(12)]
    assert np.mean([abs(step.work) < 3.0 * step.work_error for step in found]) > 0.9


@pytest.mark.parametrize("at", [(0.05, 1.3), (0.05,), (-0.3, 0.95)], ids=str)
def test_jumps_that_all_long_stretches_straddle_are_not_taken_for_work(at):
    step = shares(Line(energy_steps=dict.fromkeys(at, 1e-3), noise=1e-6), 1e-6)
    assert abs(step.work) < 0.1 * 1e-3


@pytest.mark.parametrize(("potential", "n_calls"), [(Line(), 12), (Line(energy_steps={0.4: 1e-3}), 20)], ids=str)
def test_a_step_takes_about_twenty_evaluations_at_most(potential, n_calls):
    step = step_of(potential)
    potential.n_calls = 0
    split(step, potential, LIKE)
    assert potential.n_calls <= n_calls


def test_an_engine_with_another_zero_of_energy_adds_no_share():
    step = step_of(Line())
    lifted = [
        Instant(step=i.step, positions=i.positions, energy=i.energy + 5.0, forces=i.forces)
        for i in (step.before, step.after)
    ]
    lifted_step = SampledStep(before=lifted[0], after=lifted[1], residual=step.residual, weight=1.0)
    assert split(lifted_step, Line(), LIKE).engine == pytest.approx(0.0, abs=1e-14)


def test_a_potential_that_says_nan_has_no_shares():
    step = step_of(Line())
    found = split(step, Line(noise=float("nan")), LIKE)
    assert np.isnan(found.jump) and np.isnan(found.work) and not found.jumps


def test_noise_that_is_not_finite_is_not_small():
    assert np.isnan(energy_noise(Line(noise=float("nan")), [LIKE] * 5))


def test_energies_of_single_precision_have_at_least_its_spacing():
    def single(_):
        return Evaluation(energy=float(np.float32(-1e5)), forces=np.zeros((1, 3)), virial=np.zeros((3, 3)))

    assert energy_noise(single, [LIKE] * 5) == pytest.approx(np.spacing(np.float32(1e5)) / np.sqrt(12.0))
