"""Equivalence is shown, not assumed: of errors of two models on the same structures."""

from __future__ import annotations

import numpy as np
import pytest

from mdsuite_analysis.paired import Standing, error_interval, error_ratio, together


def squares(n: int, seed: int, factor: float = 1.0, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squared errors that differ from structure to structure, and much less between the models."""
    rng = np.random.default_rng(seed)
    baseline = rng.lognormal(0.0, 0.8, n)
    return baseline, factor**2 * baseline * rng.lognormal(-0.5 * noise**2, noise, n)


@pytest.mark.parametrize(
    ("factor", "says"), [(1.0, Standing.EQUIVALENT), (1.3, Standing.WORSE), (0.7, Standing.BETTER)]
)
def test_many_structures_decide(factor: float, says: Standing):
    found = error_ratio(*squares(2000, 0, factor), margin=0.05)
    assert found.says is says
    assert found.value == pytest.approx(factor, rel=0.03)


def test_a_difference_that_is_not_significant_is_no_equivalence():
    found = error_ratio(*squares(12, 3, 1.0), margin=0.02)
    assert found.ci is not None
    assert found.ci[0] < 1.0 < found.ci[1]
    assert found.says is Standing.INCONCLUSIVE
    assert found.wanted is not None
    assert found.wanted > 12


def test_a_difference_that_is_significant_and_within_the_margin_is_equivalent():
    found = error_ratio(*squares(5000, 0, 1.03, 0.05), margin=0.05)
    assert found.ci is not None
    assert found.ci[0] > 1.0
    assert found.says is Standing.EQUIVALENT


def test_the_same_errors_are_equivalent():
    baseline, _ = squares(20, 0)
    found = error_ratio(baseline, baseline.copy(), margin=1e-6)
    assert (found.value, found.ci, found.says) == (1.0, (1.0, 1.0), Standing.EQUIVALENT)


def test_too_few_structures_say_how_many_are_wanted():
    found = error_ratio(*squares(5, 0), margin=0.1)
    assert (found.says, found.ci, found.wanted) == (Standing.INCONCLUSIVE, None, 8)


def test_as_many_structures_as_are_wanted_decide():
    first = error_ratio(*squares(16, 5, 1.12), margin=0.05)
    assert first.says is Standing.INCONCLUSIVE
    assert first.wanted is not None
    decided = [error_ratio(*squares(2 * first.wanted, seed, 1.12), margin=0.05).says for seed in range(10, 20)]
    assert decided.count(Standing.WORSE) >= 8


def test_the_interval_holds_the_truth_as_often_as_it_says():
    held = 0
    for seed in range(200):
        low, high = error_ratio(*squares(40, seed, 1.1), margin=0.05).ci or (0.0, 0.0)
        held += low <= 1.1 <= high
    assert 0.89 <= held / 200 <= 0.99


def test_a_candidate_that_is_worse_by_more_than_the_margin_is_seldom_called_equivalent():
    called = [error_ratio(*squares(200, seed, 1.1), margin=0.1).says for seed in range(200)]
    assert called.count(Standing.EQUIVALENT) <= 0.06 * 200


@pytest.mark.parametrize(
    ("baseline", "candidate", "margin", "said"),
    [
        (np.ones(9), np.ones(8), 0.1, "same structures"),
        (np.ones(9), np.ones(9), 0.0, "margin above 0"),
        (np.ones(9), np.full(9, np.nan), 0.1, "finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(baseline: np.ndarray, candidate: np.ndarray, margin: float, said: str):
    with pytest.raises(ValueError, match=said):
        error_ratio(baseline, candidate, margin=margin)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (["EQUIVALENT", "EQUIVALENT"], "EQUIVALENT"),
        (["EQUIVALENT", "BETTER"], "BETTER"),
        (["BETTER", "WORSE"], "WORSE"),
        (["INCONCLUSIVE", "BETTER"], "INCONCLUSIVE"),
        (["INCONCLUSIVE", "WORSE"], "WORSE"),
        ([], "INCONCLUSIVE"),
    ],
)
def test_what_is_worse_in_one_is_worse(of: list[str], expected: str):
    assert together([Standing(each) for each in of]) == expected


def trained(n_runs: int, n: int, rng: np.random.Generator, scatter: float, factor: float = 1.0) -> np.ndarray:
    """Trainings of a model, each off by a factor of its own, on structures that scatter too."""
    of_runs = rng.normal(scale=scatter, size=(n_runs, 1))
    return factor**2 * np.exp(2.0 * of_runs) * rng.lognormal(0.0, 0.05, (n_runs, n))


@pytest.mark.parametrize("runs", [(3, 3), (5, 2), (1, 5)])
def test_what_trainings_scatter_is_in_the_interval(runs: tuple[int, int]):
    rng = np.random.default_rng(0)
    covered, blind = 0, 0
    for seed in range(300):
        baseline, candidate = (trained(n, 40, rng, 0.1) for n in runs)
        found = error_ratio(baseline, candidate, margin=0.05, seed=seed)
        alone = error_ratio(baseline.mean(axis=0), candidate.mean(axis=0), margin=0.05, seed=seed)
        assert found.ci is not None
        assert alone.ci is not None
        covered += found.ci[0] <= 1.0 <= found.ci[1]
        blind += alone.ci[0] <= 1.0 <= alone.ci[1]
    assert covered >= 0.92 * 300
    assert blind < 0.5 * 300


def test_trainings_that_scatter_too_much_are_told_from_too_few_structures():
    rng = np.random.default_rng(1)
    found = error_ratio(trained(3, 400, rng, 0.2), trained(3, 400, rng, 0.2), margin=0.05)
    assert (found.says, found.trainings_scatter, found.wanted) == (Standing.INCONCLUSIVE, True, None)


def test_an_interval_of_one_error_covers_it():
    rng = np.random.default_rng(2)
    counts = np.full(60, 3)
    within = 0
    for seed in range(300):
        low, high = error_interval(rng.chisquare(3, 60), counts, seed=seed)
        within += low <= 1.0 <= high
    assert within >= 0.91 * 300


def test_few_structures_give_no_interval():
    assert np.isnan(error_interval(np.ones(7), np.ones(7))).all()
