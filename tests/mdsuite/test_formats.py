"""Results as other programs read them say what results.json says."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from campaigns import command, results

from mdsuite.explanation import explain

FORMATS = [flag for each in ("junit", "csv", "parquet") for flag in ("--format", each)]
OUTCOMES = {"failure": "fail", "error": "inconclusive", "skipped": "not run"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a defect."""
    output = tmp_path_factory.mktemp("formats") / "o"
    model = ["--model", "ase:mdsuite_driver.zoo:truncated?strength=1", "--trust"]
    short = ["--structure", "argon", "--temperature-K", 60, "--time-ps", 0.2, "--timestep-fs", 4, "--replicas", 1]
    ended = command("run", *model, *short, "--engine", "ase", "--no-follow-up", "--output", output, *FORMATS)
    assert ended.exit_code == 1, ended.output
    return output


def test_junit_fails_where_a_verdict_does(folder: Path):
    suites = ElementTree.parse(folder / "results.junit.xml").getroot()
    cases = suites.findall("testsuite/testcase")
    told = [next((OUTCOMES[child.tag] for child in case), "pass") for case in cases]
    assert told == [each["outcome"] for each in results(folder)["verdicts"]]
    (suite,) = suites
    assert {key: int(suite.get(key, "")) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": len(told),
        "failures": told.count("fail"),
        "errors": told.count("inconclusive"),
        "skipped": told.count("not run"),
    }
    assert "fail" in told
    for failure in suites.iter("failure"):
        assert "limit" in failure.get("message", "") and "not measured" not in failure.get("message", "")
        assert (failure.text or "").startswith("source: ")


def test_every_number_of_a_report_is_explained(folder: Path):
    names = {each["name"] for each in results(folder)["measurements"]}
    assert len(names) > 30
    assert {name for name in names if explain(name).definition is None} == set()


def test_tables_hold_every_number(folder: Path):
    measured = results(folder)["measurements"]
    parquet, csv = pd.read_parquet(folder / "measurements.parquet"), pd.read_csv(folder / "measurements.csv")
    assert len(parquet) == len(csv) == len(measured)
    for row, other, each in zip(parquet.to_dict("records"), csv.to_dict("records"), measured, strict=True):
        assert row["name"] == other["name"] == each["name"]
        value = float("nan") if each["value"] is None else each["value"]
        assert row["value"] == pytest.approx(value, rel=0, abs=0, nan_ok=True)
        assert other["value"] == pytest.approx(value, rel=1e-15, nan_ok=True)
