"""Ladders, early endings, trajectories turned round, and starts that are run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from click.testing import CliRunner, Result

from mdsuite.cli import main
from mdsuite.structures import read_structure

ARGON = ["--structure", "argon", "--temperature-K", 60, "--no-check"]


def run(output: Path, *flags: object) -> Result:
    arguments = ["run", "--engine", "lammps", *map(str, flags), "--output", str(output)]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def results(output: Path) -> dict[str, Any]:
    return json.loads((output / "results.json").read_text())


def test_a_verdict_that_does_not_hold_at_a_longer_timestep_is_conditional_and_says_how_far(tmp_path: Path):
    flags = ["--model", "argon-lj", *ARGON, "--timestep-fs", 4, "--timestep-fs", 200, "--time-ps", 6, "--no-follow-up"]
    assert run(tmp_path / "o", *flags, "--replicas", 2).exit_code == 1
    content = results(tmp_path / "o")
    (envelope,) = content["envelopes"]
    assert content["verdict"] == "CONDITIONAL"
    assert envelope["safe"] == [60.0, 4.0]
    assert "with timesteps up to 4 fs" in (tmp_path / "o" / "report.md").read_text()


def test_replicas_end_as_soon_as_they_have_decided(tmp_path: Path):
    flags = ["--model", "argon-lj", *ARGON, "--timestep-fs", 4, "--time-ps", 20, "--replicas", 4, "--early"]
    assert run(tmp_path / "o", *flags).exit_code == 0
    content = results(tmp_path / "o")
    steps = {each["steps"] for each in content["runs"]}
    (mean,) = [each for each in content["measurements"] if each["name"] == "mean_drift"]
    assert max(steps) < 5000
    assert mean["confidence"] > 0.95
    assert run(tmp_path / "o", *flags).exit_code == 0  # and is taken up as it stands
    assert {each["steps"] for each in results(tmp_path / "o")["runs"]} == steps


@pytest.mark.parametrize(("model", "outcome"), [("clean?host=argon", "pass"), ("lagged?host=argon&strength=1", "fail")])
def test_what_remembers_does_not_find_its_way_back(model: str, outcome: str, tmp_path: Path):
    flags = ["--model", f"ase:mdsuite_driver.zoo:{model}", *ARGON, "--timestep-fs", 4, "--time-ps", 0.1]
    run(tmp_path / "o", *flags, "--replicas", 1, "--no-follow-up", "--reverse")
    judged = {each["measurement"]: each["outcome"] for each in results(tmp_path / "o")["verdicts"]}
    assert judged["time_reversal_excess"] == outcome


def test_heat_from_a_strained_start_is_told_from_a_wrong_potential(tmp_path: Path):
    atoms = read_structure("ethanol")
    atoms.positions += np.random.default_rng(1).normal(scale=0.09, size=atoms.positions.shape)
    ase.io.write(tmp_path / "strained.extxyz", atoms)
    flags = ["--model", "painn-ultra-tiny", "--structure", tmp_path / "strained.extxyz", "--time-ps", 0.3, "--no-check"]
    assert run(tmp_path / "o", *flags, "--replicas", 1).exit_code == 1
    content = results(tmp_path / "o")
    heat = {each["name"]: each["value"] for each in content["measurements"] if each["name"].startswith("heat_from")}
    assert heat["heat_from_strain"] > 300.0 > abs(heat["heat_from_structure"])
    assert [each["name"] for each in content["causes"] if each["name"] == "wrong_potential"] == []
    assert content["prepared_twin"]["runs"][0]["structure"] == "strained"
    assert "Does a prepared start pass?" in (tmp_path / "o" / "report.md").read_text()
