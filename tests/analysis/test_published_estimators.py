"""Published estimators beside ours, on a line of known slope and on published energies."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from mdsuite_analysis.drift import drift_rate_percent_per_ps, energy_drift, max_drift_percent, total_drift_percent
from mdsuite_analysis.series import EnergySeries

spec = importlib.util.spec_from_file_location(
    "published_estimators", Path(__file__).parents[2] / "benchmarks" / "published_estimators.py"
)
published = importlib.util.module_from_spec(spec)
spec.loader.exec_module(published)
RUNS = pytest.mark.parametrize("run", published.REPORT, ids=lambda run: run.structure)


def through_the_largest(run):
    """First energy, largest excursion as printed, last energy."""
    energies = np.array([run.start, run.start + 0.01 * run.largest * abs(run.start), run.end])
    time = np.array([0.0, 0.5, 1.0]) * run.time
    return EnergySeries(step=np.arange(3), time=time, total_energy=energies, n_atoms=run.n_atoms)


@pytest.mark.parametrize("drift", [1e-3, 1.0, 300.0])
def test_ours_has_the_slope_of_the_line(drift):
    assert energy_drift(published.line(drift)).value / drift == pytest.approx(1.000, abs=1e-6)


def test_lambench_reports_ten_times_the_slope():
    assert published.lambench(published.line(1.0)) == pytest.approx(10.18, abs=0.005)


def test_fairchem_reports_89_percent_of_the_slope():
    assert published.fairchem(published.line(1.0)) == pytest.approx(0.887, abs=0.0005)


@pytest.mark.parametrize("estimator", [published.lambench, published.fairchem])
def test_theirs_lose_the_sign(estimator):
    assert estimator(published.line(-1.0)) > 0.0 > energy_drift(published.line(-1.0)).value


@RUNS
def test_the_total_drift_is_the_printed_one(run):
    assert round(total_drift_percent(published.between(run)).value, 2) == run.total


@RUNS
def test_the_rate_is_the_printed_one(run):
    assert round(drift_rate_percent_per_ps(published.between(run)).value, 2) == run.rate


@RUNS
def test_the_largest_excursion_is_the_printed_one(run):
    assert max_drift_percent(through_the_largest(run)).value == pytest.approx(run.largest, abs=1e-9)


@RUNS
def test_the_drift_is_that_from_first_to_last(run):
    assert energy_drift(published.between(run)).value == pytest.approx(run.drift, abs=0.05)


def test_the_tables_are_printed(capsys):
    published.main()
    assert "mdsuite     1.000000" in capsys.readouterr().out
