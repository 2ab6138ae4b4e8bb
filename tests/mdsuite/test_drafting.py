"""`mdsuite init` writes a campaign that runs, or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from campaigns import command

from mdsuite.campaign import read_campaign
from mdsuite.plan import make_plan

STRUCTURES = Path(__file__).parents[2] / "inputs" / "structures"


def test_it_means_the_same_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    shutil.copy(STRUCTURES / "argon.extxyz", here / "mine.extxyz")
    shutil.copy(Path(__file__).with_name("faulty.py"), here / "own.py")
    monkeypatch.chdir(here)
    told = ["--model", "ase:own.py:make?fault=none", "--structure", "mine.extxyz", "--trust", "--horizon-ps", 50]
    written = command("init", there / "campaign.toml", *told, "--temperature-K", 60, "--time-ps", 2)
    assert (written.exit_code, "4 runs of 4000 steps" in written.output) == (0, True), written.output
    monkeypatch.chdir(tmp_path)
    plan = make_plan(read_campaign(there / "campaign.toml", {}))
    assert {run.model for run in plan.all_runs} == {f"ase:{here / 'own.py'}:make?fault=none"}
    assert [plan.campaign.horizon_ps, plan.campaign.dynamics.temperature_K] == [50.0, [60.0]]
    text = (there / "campaign.toml").read_text()
    assert all(line.startswith("#") for line in text.splitlines() if "  " in line)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (["--model", "painn-ultra-tiny", "--structure", "argon"], "has never seen Ar"),
        (["--model", "painn-ultra-tini", "--structure", "ethanol"], "painn-ultra-tiny"),
        (["--model", "argon-lj", "--structure", "argon", "--time-ps", -1], "time_ps"),
        (["--structure", "argon"], "wanted at least one --model"),
    ],
)
def test_what_cannot_run_is_not_written(tmp_path: Path, told: list[object], wanted: str):
    refused = command("init", tmp_path / "c.toml", *told)
    assert (refused.exit_code, wanted in refused.output) == (2, True), refused.output
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path: Path):
    (tmp_path / "c.toml").write_text("mine")
    refused = command("init", tmp_path / "c.toml", "--model", "argon-lj", "--structure", "argon")
    assert (refused.exit_code, (tmp_path / "c.toml").read_text()) == (2, "mine")
