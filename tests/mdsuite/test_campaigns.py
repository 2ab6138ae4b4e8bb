"""Ladders, early endings, trajectories turned round, and starts that are run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from campaigns import BRIEF
from click.testing import CliRunner, Result

from mdsuite.cli import main
from mdsuite.structures import read_structure
from mdsuite_analysis.read import read_frames

ARGON = ["--structure", "argon", "--temperature-K", 60, "--no-check"]


def run(output: Path, *flags: object) -> Result:
    arguments = ["run", "--engine", "lammps", *map(str, flags), "--output", str(output)]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def results(output: Path) -> dict[str, Any]:
    return json.loads((output / "results.json").read_text())


@pytest.mark.slow
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


def test_replicas_end_as_soon_as_a_bond_has_broken(tmp_path: Path):
    """Two replicas at 8000 K, whose drift is not decided."""
    (tmp_path / "c.toml").write_text(
        """
models = ["painn-ultra-tiny"]
structures = ["ethanol"]
check = false
follow_up = false
early = true
[dynamics]
temperature_K = 8000
time_ps = 0.2
replicas = 2
frame_steps = 10
chunk_steps = 20
"""
    )
    for _ in range(2):  # and is taken up as it stands
        assert run(tmp_path / "o", tmp_path / "c.toml").exit_code == 1
        content = results(tmp_path / "o")
        assert "broken_bonds" in {each["measurement"] for each in content["verdicts"] if each["outcome"] == "fail"}
        assert {each["steps"] for each in content["runs"]} <= {20, 40, 80, 200}
        assert len({each["steps"] for each in content["runs"]}) == 1


CLEAN = pytest.param("clean?host=argon", "pass", marks=pytest.mark.slow)


@pytest.mark.parametrize(("model", "outcome"), [("lagged?host=argon&strength=1", "fail"), CLEAN])
def test_what_remembers_does_not_find_its_way_back(model: str, outcome: str, tmp_path: Path):
    flags = ["--model", f"ase:mdsuite_driver.zoo:{model}", *ARGON, "--timestep-fs", 4, "--time-ps", 0.1]
    run(tmp_path / "o", *flags, "--replicas", 1, "--no-follow-up", "--reverse")
    judged = {each["measurement"]: each["outcome"] for each in results(tmp_path / "o")["verdicts"]}
    assert judged["time_reversal_excess"] == outcome


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def argon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two replicas of argon, and the frames of the second as files: as they are, and with atoms 1 Å off."""
    folder = tmp_path_factory.mktemp("argon")
    run(folder / "o", "--model", "argon-lj", *ARGON, "--timestep-fs", 4, "--time-ps", 8, "--replicas", 2)
    first, second = sorted((folder / "o" / "runs").iterdir())
    (folder / "first").symlink_to(first)
    atoms, positions = read_structure("argon"), read_frames(second).positions
    off = np.random.default_rng(0).normal(scale=1.0, size=positions.shape)
    for name, moved in (("same", positions), ("off", positions + off)):
        frames = [atoms.copy() for _ in moved]
        for frame, each in zip(frames, moved, strict=True):
            frame.positions = each
        ase.io.write(folder / f"{name}.extxyz", frames)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("name", "outcome", "code"), [("same", "pass", 0), ("off", "fail", 1)])
def test_a_reference_may_be_a_file_of_frames(name: str, outcome: str, code: int, argon: Path, tmp_path: Path):
    arguments = [argon / "first", "--reference", argon / f"{name}.extxyz", "--output", tmp_path / "o"]
    result = CliRunner().invoke(main, ["analyze", *map(str, arguments)], catch_exceptions=False)
    judged = {each["measurement"]: each["outcome"] for each in results(tmp_path / "o")["verdicts"]}
    assert (judged["rdf_distance_*"], result.exit_code) == (outcome, code), result.output
    assert "has no velocities" in (tmp_path / "o" / "report.md").read_text()


@pytest.mark.slow
def test_a_reference_of_other_atoms_is_refused(argon: Path, tmp_path: Path):
    ase.io.write(tmp_path / "other.extxyz", read_structure("ethanol"))
    arguments = [argon / "first", "--reference", tmp_path / "other.extxyz", "--output", tmp_path / "o"]
    result = CliRunner().invoke(main, ["analyze", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 2 and "frame 0 is of C2H6O" in result.output


@pytest.mark.parametrize(("horizon", "outcome", "code"), [(5, "pass", 0), (100, "fail", 1)])
def test_a_drift_that_passes_may_be_too_much_for_a_long_production(
    horizon: int, outcome: str, code: int, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.getbasetemp() / "horizon"  # both ask of the same runs
    flags = ["--model", "ase:mdsuite_driver.zoo:curl?strength=0.02&host=argon", *ARGON, "--timestep-fs", 4]
    done = run(folder, *flags, "--time-ps", 3, "--replicas", 3, "--no-follow-up", "--horizon-ps", horizon)
    judged = {each["measurement"]: each["outcome"] for each in results(folder)["verdicts"]}
    assert judged["safe_horizon"] == outcome
    assert {each["outcome"] for each in results(folder)["verdicts"] if each["measurement"] == "mean_drift"} <= {"pass"}
    assert done.exit_code == code


@pytest.mark.parametrize(
    ("defect", "cause"),
    [
        ("truncated?strength=1", "cutoff_discontinuity"),
        pytest.param("not_extensive?strength=1e-3&host=argon", "not_extensive", marks=pytest.mark.slow),
    ],
)
def test_what_the_gates_find_is_told_though_every_trajectory_passes(tmp_path: Path, defect: str, cause: str):
    flags = ["--model", f"ase:mdsuite_driver.zoo:{defect}", *ARGON[:-1], "--timestep-fs", 4]
    assert run(tmp_path / "o", *flags, "--time-ps", 2, "--replicas", 2, "--no-follow-up").exit_code == 1
    report = (tmp_path / "o" / "report.md").read_text()
    causes = report.split("## Causes")[1].split("## Analysis")[0]
    assert f"`{cause}`" in causes and "| Trajectory |" not in causes


def test_a_log_says_what_is_waited_for_and_how_every_run_has_ended(tmp_path: Path):
    said = run(tmp_path / "o", *BRIEF[2:]).output.splitlines()
    assert said[:1] == ["loading models and structures …"]
    ends = [line for line in said if line.startswith("[")]
    assert [line.split("]")[0] for line in ends] == ["[1 of 2", "[2 of 2"]
    assert all(line.endswith("lammps: done after 200 steps") for line in ends)
