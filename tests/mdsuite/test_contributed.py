"""Measurements that other packages bring."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaigns import BRIEF, command, results

MODULE = """
import numpy as np
from mdsuite_analysis.measurement import Measurement

def largest_gyration(trajectory):
    weights = trajectory.masses / trajectory.masses.sum()
    positions = trajectory.frames.positions
    centres = np.einsum("a,tax->tx", weights, positions)
    square = np.einsum("a,tax->t", weights, (positions - centres[:, None]) ** 2)
    yield Measurement(name="largest_gyration", value=float(np.sqrt(square.max())), unit="Å")

def raising(trajectory):
    raise ZeroDivisionError("nothing to divide by")

def impostor(trajectory):
    yield Measurement(name="energy_drift", value=0.0, unit="meV/atom/ps")
"""

PROFILE = """
title = "stays folded"

[[criteria]]
measurement = "largest_gyration"
label = "Stays folded"
high = {high}
unit = "Å"
source = "this test"
remedy = "fold it"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A package that measures what mdsuite does not, one that raises, and one that takes a name of mdsuite's."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "gyration_for_tests.py").write_text(MODULE)
    info = folder / "gyration_for_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gyration-for-tests\nVersion: 1.0\n")
    points = "".join(f"{name} = gyration_for_tests:{name}\n" for name in ("largest_gyration", "raising", "impostor"))
    (info / "entry_points.txt").write_text(f"[mdsuite.measurements]\n{points}")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def folder(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("campaign")


def judged(folder: Path, *, high: float) -> tuple[int, dict[str, Any]]:
    """The campaign of the folder, by a limit on the measurement of that package; it is integrated once."""
    profile = folder.with_suffix(".toml")
    profile.write_text(PROFILE.format(high=high))
    done = command("run", *BRIEF, "--profile", profile, "--output", folder)
    return done.exit_code, results(folder)


def test_a_measurement_of_another_package_is_judged_by_a_profile(folder: Path):
    assert judged(folder, high=1000.0)[0] == 0
    code, found = judged(folder, high=1.0)
    assert code == 1
    verdict = next(each for each in found["verdicts"] if each["measurement"] == "largest_gyration")
    assert verdict["outcome"] == "fail"
    assert "largest_gyration of gyration-for-tests 1.0" in found["provenance"]["measured by"]


def test_one_that_raises_is_told_in_the_report_and_nothing_is_lost(folder: Path):
    judged(folder, high=1000.0)
    report = (folder / "report.md").read_text()
    assert "raising of gyration-for-tests 1.0 could not be measured: ZeroDivisionError: nothing to divide by" in report


def test_a_name_of_our_own_is_refused(folder: Path):
    _, found = judged(folder, high=1000.0)
    drifts = [each["value"] for each in found["measurements"] if each["name"] == "energy_drift"]
    assert 0.0 not in drifts
    assert "energy_drift is measured by mdsuite or by another package" in (folder / "report.md").read_text()


def test_a_table_is_renewed_when_a_package_comes_or_goes(folder: Path, site: Path, monkeypatch: pytest.MonkeyPatch):
    judged(folder, high=1000.0)
    wanted = folder.with_suffix(".toml")
    assert command("gather", folder, "--profile", wanted).exit_code == 0
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(site)])
    assert command("gather", folder, "--profile", wanted).exit_code == 3
