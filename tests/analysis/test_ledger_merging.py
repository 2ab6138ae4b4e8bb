"""The samples of chunks, merged, still stand for all steps."""

import numpy as np
import pytest

from mdsuite_analysis.ledger.merging import merged
from mdsuite_analysis.ledger.residual import Box, Instant
from mdsuite_analysis.ledger.sampling import Sample, StepSampler

BOX = Box(cell=np.zeros((3, 3)), pbc=(False, False, False))
N_CHUNKS, LENGTH = 5, 24


def chunks(seed: int, n_kept: int = 12) -> tuple[list[Sample], np.ndarray]:
    """Samples of a walk in energy with a few large jumps, and its residuals."""
    rng = np.random.default_rng(7)
    changes = rng.normal(size=N_CHUNKS * LENGTH) * 1e-3
    changes[rng.choice(len(changes), 8, replace=False)] += 0.1
    energies = np.concatenate([[0.0], np.cumsum(changes)])
    nowhere = np.zeros((1, 3))
    instants = [Instant(step=k, positions=nowhere, energy=float(e), forces=nowhere) for k, e in enumerate(energies)]
    samples = []
    for begin in range(0, len(changes), LENGTH):
        sampler = StepSampler(instants[begin], BOX, n_kept=n_kept, seed=seed)
        for instant in instants[begin + 1 : begin + LENGTH + 1]:
            sampler.add(instant)
        samples.append(sampler.sample())
    return samples, changes


def estimate(sample: Sample) -> float:
    return float(sum(step.residual / pi for step, pi in zip(sample.steps, sample.inclusion(), strict=True)))


@pytest.mark.parametrize("n_kept", [20, 60, 1000])
def test_estimates_from_a_merged_sample_are_unbiased(n_kept: int):
    estimates = []
    for seed in range(60):
        samples, changes = chunks(seed)
        estimates.append(estimate(merged(samples, n_kept, seed=seed)))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - changes.sum()) < 4.0 * error + 1e-12


def test_no_more_steps_are_kept_than_asked_for_and_the_sums_are_those_of_all():
    samples, changes = chunks(0)
    one = merged(samples, 20, seed=0)
    assert len(one.steps) <= 20
    assert (one.n_steps, one.residual_sum) == (len(changes), pytest.approx(changes.sum(), abs=1e-12))


def test_steps_stay_in_the_order_of_the_run():
    steps = [step.before.step for step in merged(chunks(1)[0], 40, seed=1).steps]
    assert steps == sorted(steps)


def test_a_sample_that_keeps_everything_is_exact():
    samples, changes = chunks(2, n_kept=LENGTH + 1)
    assert estimate(merged(samples, 1000, seed=2)) == pytest.approx(changes.sum(), abs=1e-12)
