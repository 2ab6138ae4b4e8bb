"""Thresholds from few runs say how little few runs know."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mdsuite_analysis.calibration import calibrated


def test_mean_and_two_standard_deviations():
    found = calibrated(np.array([1.0, 2.0, 3.0]))
    assert (found.mean, found.two_sigma, found.n) == (2.0, 4.0, 3)
    assert found.percentile == pytest.approx(2.9)


@pytest.mark.parametrize("n", [3, 5, 20])
def test_the_interval_covers_the_quantile_of_a_normal_distribution_as_often_as_it_says(n: int):
    rng = np.random.default_rng(n)
    covered = sum(
        low <= 2.0 <= high for low, high in (calibrated(rng.normal(size=n)).two_sigma_ci for _ in range(2000))
    )
    assert covered / 2000 == pytest.approx(0.95, abs=0.02)


def test_the_interval_of_the_percentile_covers_it_whatever_the_distribution():
    rng = np.random.default_rng(0)
    truth = math.exp(1.6448536)
    covered = sum(
        low <= truth <= high for low, high in (calibrated(rng.lognormal(size=150)).percentile_ci for _ in range(1000))
    )
    assert covered / 1000 >= 0.94


@pytest.mark.parametrize(("n", "known"), [(5, False), (71, False), (72, True)])
def test_few_runs_do_not_know_the_upper_end_of_a_percentile(n: int, known: bool):
    assert math.isfinite(calibrated(np.arange(float(n))).percentile_ci[1]) is known


def test_runs_that_are_all_the_same_have_no_width():
    assert calibrated(np.full(4, 2.0)).two_sigma_ci == (2.0, 2.0)


@pytest.mark.parametrize("errors", [[1.0], [1.0, math.nan], []])
def test_too_few_runs_are_refused(errors: list[float]):
    with pytest.raises(ValueError, match="2 or more errors"):
        calibrated(np.array(errors))
