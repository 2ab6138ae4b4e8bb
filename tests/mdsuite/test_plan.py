"""What a campaign takes is measured on runs of its own, and what is done is not counted again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mdsuite.campaign import read_campaign
from mdsuite.cli import main
from mdsuite.plan import make_plan
from mdsuite.planning.console import duration, size
from mdsuite.planning.estimate import Estimate, estimate
from mdsuite.planning.pilot import Pilot, chosen, kind_of

FLAGS = ["--engine", "lammps", "--model", "argon-lj", "--structure", "argon", "--replicas", "2", "--no-check"]
RAISES = """
class Never:
    implemented_properties = ["energy", "forces"]
    def calculate(self, *a, **k):
        raise RuntimeError("no weights today")
def make():
    from ase.calculators.calculator import Calculator
    return type("C", (Never, Calculator), {})()
"""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdsuite.planning.pilot.SECONDS", 1.0)


def planned(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plan", *map(str, arguments)], catch_exceptions=False)


def told(output: Path, *more: object) -> dict[str, Any]:
    result = planned(*FLAGS, "--output", output, "--json", *more)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_a_campaign_is_timed_once_and_what_is_done_is_not_to_do(tmp_path: Path):
    output = tmp_path / "out"
    before = told(output, "--time-ps", 0.5)
    (model,) = before["models"]
    assert (model["runs"], model["done"], model["steps"], model["steps_done"]) == (2, 0, 2000, 0)
    assert 0.0 < model["seconds_range"][0] <= model["seconds"] <= model["seconds_range"][1]
    assert not output.exists()
    kept = (tmp_path / "out-pilots" / "pilot.json").read_bytes()
    run = ["run", *FLAGS, "--time-ps", "0.5", "--no-follow-up", "--output", str(output), "--jobs", "2"]
    assert CliRunner().invoke(main, run).exit_code in (0, 3)
    after = told(output, "--time-ps", 0.5)
    assert (after["models"][0]["done"], after["models"][0]["seconds"]) == (2, 0.0)
    assert after["on_disk_bytes"] > 0
    longer = told(output, "--time-ps", 1.0)["models"][0]
    assert (longer["done"], longer["steps"] - longer["steps_done"]) == (0, 2000)
    assert (tmp_path / "out-pilots" / "pilot.json").read_bytes() == kept
    assert planned(*FLAGS, "--output", output, "--time-ps", 0.5, "--seed", 9).exit_code == 2


def test_runs_that_are_over_before_they_are_heard_of_are_timed_by_longer_ones(tmp_path: Path):
    (model,) = told(tmp_path / "out", "--time-ps", 0.01)["models"]
    assert model["steps"] < 100
    assert 0.0 < model["seconds_range"][0] <= model["seconds"]


@pytest.mark.slow
def test_adding_a_model_leaves_what_is_done_as_it_is(tmp_path: Path):
    output = tmp_path / "out"
    run = ["run", *FLAGS, "--time-ps", "0.1", "--no-follow-up", "--output", str(output), "--jobs", "2"]
    assert CliRunner().invoke(main, run).exit_code in (0, 3)
    more = told(output, "--time-ps", 0.1, "--model", "ase:ase.calculators.lj:LennardJones?sigma=3.4&epsilon=0.01")
    assert [each["done"] for each in more["models"]] == [2, 0]
    assert more["models"][1]["seconds"] > 0.0


def test_what_cannot_be_timed_is_told_and_is_no_plan(tmp_path: Path):
    (tmp_path / "never.py").write_text(RAISES)
    flags = ["--model", f"ase:{tmp_path / 'never.py'}:make", "--structure", "argon", "--engine", "lammps"]
    result = planned(*flags, "--trust", "--time-ps", 1, "--output", tmp_path / "out")
    assert result.exit_code == 3, result.output
    assert "no weights today" in result.output
    assert "core-hours" not in result.output


def pilot(run: Any, *, step: float, start: float = 0.0) -> Pilot:
    return Pilot(
        kind=kind_of(run),
        n_atoms=run.start.n_atoms,
        step=step,
        spread=(0.5 * step, 2.0 * step),
        start=start,
        of_step=8.0 * run.start.n_atoms,
    )


def of_sizes(tmp_path: Path, pilots: dict[str, float], start: float = 0.0) -> Estimate:
    names = ["malonaldehyde", "ethanol", "benzene", "aspirin"]
    plan = make_plan(read_campaign(None, {"models": ["painn-tiny"], "structures": names}, dynamics={"replicas": 3}))
    by_structure = {run.structure: run for run in plan.runs}
    return estimate(plan, tmp_path, [pilot(by_structure[name], step=t, start=start) for name, t in pilots.items()])


def test_the_smallest_the_largest_and_a_middle_size_are_timed():
    names = ["malonaldehyde", "ethanol", "benzene", "toluene", "aspirin"]
    plan = make_plan(read_campaign(None, {"models": ["painn-tiny"], "structures": names}))
    sizes = sorted({run.start.n_atoms for run in plan.runs})
    assert [run.start.n_atoms for run in chosen(plan.runs)] == [sizes[0], sizes[len(sizes) // 2], sizes[-1]]


def test_times_between_sizes_follow_a_power_law(tmp_path: Path):
    law = {9: 1e-3, 21: 1e-3 * (21 / 9) ** 1.5}
    found = of_sizes(tmp_path, {"ethanol": law[9], "aspirin": law[21]})
    n_steps, atoms = 20000, (9, 9, 12, 21)
    wanted = 3 * n_steps * sum(1e-3 * (n / 9) ** 1.5 for n in atoms)
    assert found.seconds == pytest.approx((0.5 * wanted, wanted, 2.0 * wanted))


def test_each_run_begins_once(tmp_path: Path):
    first, second = (of_sizes(tmp_path, {"ethanol": 1e-3}, start=start) for start in (0.0, 5.0))
    assert first.seconds is not None
    assert second.seconds is not None
    assert np.subtract(second.seconds, first.seconds) == pytest.approx([60.0] * 3)


def test_a_pilot_of_another_model_is_not_taken(tmp_path: Path):
    plan = make_plan(read_campaign(None, {"models": ["painn-tiny"], "structures": ["ethanol"]}))
    other = dataclasses.replace(pilot(plan.runs[0], step=1e-3), kind="lammps 0000000000000000 1")
    found = estimate(plan, tmp_path, [other])
    assert (found.seconds, len(found.untimed)) == (None, 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (90.0, "1.5 min"), (7200.0, "2 h"), (86400.0 * 3, "3 d"), (float("nan"), "not known")],
)
def test_durations_have_readable_units(seconds: float, text: str):
    assert duration(seconds) == text


def test_sizes_have_readable_units():
    assert [size(each) for each in (12.0, 2048.0, 3 * 2.0**30)] == ["12 B", "2 KiB", "3 GiB"]
