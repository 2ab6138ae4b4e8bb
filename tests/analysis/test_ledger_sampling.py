"""How residuals are added up, which steps are kept, and what is estimated from them."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdsuite_analysis.ledger.estimation import Design
from mdsuite_analysis.ledger.residual import Box, Instant, Residuals, ledger_closure, step_residual
from mdsuite_analysis.ledger.sampling import Sample, StepSampler, importance, uniform

OPEN = Box(cell=np.zeros((3, 3)), pbc=(False, False, False))


def instants(residuals, first=0):
    """A run of one atom that rests, whose energy alone makes the residuals."""
    energy = np.concatenate([[0.0], np.cumsum(residuals)])
    still = np.zeros((1, 3))
    return [Instant(step=first + i, positions=still, energy=float(e), forces=still) for i, e in enumerate(energy)]


def sampled(run, n_kept=5, seed=1, residuals=None):
    sampler = StepSampler(run[0], OPEN, n_kept=n_kept, seed=seed, residuals=residuals)
    for instant in run[1:]:
        sampler.add(instant)
    return sampler


def summed(numbers):
    total = Residuals()
    for number in numbers:
        total = total.plus(number)
    return total


def series(n=60):
    return np.random.default_rng(0).standard_normal(n) * 1e-3


@given(st.lists(st.floats(-1e12, 1e12), max_size=40))
def test_the_sum_loses_nothing_that_a_float_can_hold(numbers):
    exact = float(sum(map(Fraction, numbers)))
    assert summed(numbers).total == pytest.approx(exact, rel=1e-15, abs=1e-12 * math.ulp(1e12) * len(numbers) ** 2)


def test_a_small_residual_is_not_lost_beside_a_large_sum():
    assert summed([1e8, *[1e-9] * 1000, -1e8]).total == pytest.approx(1e-6, rel=1e-12)


def test_a_run_goes_on_from_its_numbers_bit_for_bit():
    numbers = series()
    half = Residuals.from_array(summed(numbers[:31]).to_array())
    for number in numbers[31:]:
        half = half.plus(float(number))
    assert half == summed([float(number) for number in numbers])


def test_a_residual_that_is_not_finite_spoils_the_sum():
    assert math.isnan(summed([1.0, math.nan, 1.0]).total)


def test_a_closure_that_is_not_finite_is_not_zero():
    assert math.isnan(ledger_closure(math.nan, 0.0).value)


@given(st.lists(st.integers(-3, 3), min_size=3, max_size=3), st.floats(2.0, 9.0))
def test_wrapping_changes_no_residual(turns, skew):
    box = Box(cell=np.array([[10.0, 0.0, 0.0], [skew, 11.0, 0.0], [1.0, 2.0, 12.0]]), pbc=(True, True, True))
    x, f = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, -2.0, 0.5]])
    before = Instant(step=0, positions=x, energy=0.0, forces=f)
    after = Instant(step=1, positions=x + 0.1, energy=0.2, forces=f)
    wrapped = Instant(step=1, positions=x + 0.1 + np.array(turns) @ box.cell, energy=0.2, forces=f)
    assert step_residual(before, wrapped, box) == pytest.approx(step_residual(before, after, box), abs=1e-12)


def test_a_direction_without_periodicity_is_not_wrapped():
    slab = Box(cell=np.diag([10.0, 10.0, 0.0]), pbc=(True, True, False))
    moved = slab.displacement(np.zeros((1, 3)), np.array([[9.0, 1.0, 9.0]]))
    np.testing.assert_allclose(moved, [[-1.0, 1.0, 9.0]])


def test_a_jump_hidden_in_a_smooth_error_weighs_more_than_its_neighbours():
    smooth = 1e-3 * np.sin(0.05 * np.arange(200))
    at = 150
    before = summed(smooth[:at].tolist())
    jump, usual = (importance(before, before.plus(each), each) for each in (smooth[at] + 1e-4, smooth[at]))
    assert jump > 3.0 * usual


def test_weights_know_nothing_of_what_comes_after():
    numbers = series()
    kept = {s.before.step: s.weight for s in sampled(instants(numbers), n_kept=100).sample().steps}
    other = np.where(np.arange(60) < 30, numbers, 5.0)
    again = {s.before.step: s.weight for s in sampled(instants(other), n_kept=100).sample().steps}
    assert [kept[i] for i in range(30)] == [again[i] for i in range(30)]


def test_the_steps_of_largest_priority_are_kept():
    numbers = series()
    every = sampled(instants(numbers), n_kept=100).sample().steps
    priorities = sorted((s.weight / uniform(1, s.before.step), s.before.step) for s in every)
    sample = sampled(instants(numbers), n_kept=10).sample()
    assert sorted(s.before.step for s in sample.steps) == sorted(step for _, step in priorities[-10:])
    assert sample.threshold == priorities[-11][0]


def test_a_sample_larger_than_the_chunk_keeps_every_step():
    sample = sampled(instants(series(8)), n_kept=8).sample()
    assert len(sample.steps) == 8 and sample.threshold == 0.0 and (sample.inclusion() == 1.0).all()


def test_weights_and_sums_do_not_depend_on_the_chunks():
    run = instants(series())
    whole = sampled(run, n_kept=100)
    first = sampled(run[:25], n_kept=100)
    second = sampled(run[24:], n_kept=100, residuals=Residuals.from_array(first.residuals.to_array()))
    parts = [*first.sample().steps, *second.sample().steps]
    assert [s.weight for s in parts] == [s.weight for s in whole.sample().steps]
    assert second.residuals == whole.residuals


def test_another_seed_keeps_other_steps():
    run = instants(series())
    one, other = (sampled(run, seed=seed).sample() for seed in (1, 2))
    assert [s.before.step for s in one.steps] != [s.before.step for s in other.steps]


def test_an_engine_may_reuse_its_arrays():
    still = np.zeros((1, 3))
    sampler = StepSampler(Instant(step=0, positions=still, energy=0.0, forces=still), OPEN, n_kept=2, seed=0)
    still += 1.0
    sampler.add(Instant(step=1, positions=still, energy=0.0, forces=still))
    assert sampler.sample().steps[0].before.positions[0, 0] == 0.0


def test_a_sample_survives_being_stored_as_arrays():
    sample = sampled(instants(series(), first=12)).sample()
    again = Sample.from_arrays(sample.to_arrays())
    for name, array in sample.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array)
    assert again.steps[0].after.step == again.steps[0].before.step + 1


def test_a_missing_step_is_refused():
    run = instants(series(5))
    with pytest.raises(ValueError, match="needs every step"):
        sampled([run[0], run[2]])


def test_a_single_step_gives_no_error_bar_and_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        sampled(instants(series(5)), n_kept=1)


def population(n=3000):
    """Residuals of a smooth error, rare jumps and small steady work, with the weights they get."""
    rng, t = np.random.default_rng(0), np.arange(n)
    jump = np.where(rng.random(n) < 0.1, 2e-5 * rng.standard_normal(n) + 5e-6, 0.0)
    work = 2e-6 * (np.sin(0.07 * t) + 0.3) + 1e-6 * rng.standard_normal(n)
    residual = jump + work + 1e-5 * np.sin(0.3 * t) * np.cos(0.011 * t)
    state, weights = Residuals(), []
    for r in residual.tolist():
        now = state.plus(r)
        weights.append(importance(state, now, r))
        state = now
    return jump, work, residual, np.array(weights)


def designs(residual, weights, n_samples=200, n_kept=120):
    rng = np.random.default_rng(1)
    for _ in range(n_samples):
        priority = weights / (1.0 - rng.random(len(weights)))
        order = np.argsort(-priority)
        kept = order[:n_kept]
        yield (
            kept,
            Design(
                inclusion=np.minimum(1.0, weights[kept] / priority[order[n_kept]]),
                known=np.stack([residual[kept], np.ones(n_kept)], axis=1),
                totals=np.array([residual.sum(), float(len(residual))]),
                totals_stderr=np.zeros(2),
            ),
        )


@pytest.mark.parametrize("share", ["jump", "work"])
def test_estimates_are_unbiased_and_their_intervals_hold_the_truth(share):
    jump, work, residual, weights = population()
    x = {"jump": jump, "work": work}[share]
    estimates = [design.total(x[kept], 0.0 * x[kept]) for kept, design in designs(residual, weights)]
    values = np.array([estimate.value for estimate in estimates])
    intervals = [estimate.interval(0.95) for estimate in estimates]
    assert abs(values.mean() - x.sum()) < 4.0 * values.std() / math.sqrt(len(values)) + 0.05 * values.std()
    assert 0.90 <= np.mean([low <= x.sum() <= high for low, high in intervals]) <= 0.99


def test_the_interval_of_a_fraction_holds_the_truth():
    jump, _, residual, weights = population()
    hit = (jump != 0.0).astype(float)
    intervals = [
        design.fraction(hit[kept], np.ones(len(kept)), confidence=0.95)[1]
        for kept, design in designs(residual, weights)
    ]
    assert 0.90 <= np.mean([low <= hit.mean() <= high for low, high in intervals]) <= 0.99


def test_what_is_known_of_all_steps_is_not_left_to_the_sample():
    _, _, residual, weights = population()
    kept, design = next(designs(residual, weights))
    estimate = design.total(0.7 * residual[kept] + 1e-6, 0.0 * residual[kept])
    assert estimate.value == pytest.approx((0.7 * residual + 1e-6).sum(), rel=1e-9)


def test_shares_that_add_up_in_every_step_add_up_in_the_estimate():
    jump, _, residual, weights = population()
    kept, design = next(designs(residual, weights))
    parts = [design.total(x[kept], 0.0 * x[kept]).value for x in (jump, residual - jump)]
    assert sum(parts) == pytest.approx(residual.sum(), abs=1e-12)
