"""What a drift comes from is measured in real runs, and named by what was planted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mdsuite.cli import main

STRICT = """
title = "no drift at all"
[[criteria]]
measurement = "energy_drift"
label = "Energy drift"
low = -1e-7
high = 1e-7
unit = "meV/atom/ps"
source = "test: so strict that the ledger is made for every run"
remedy = "none"
"""


ROUNDED_DOWN = """
import numpy as np

from mdsuite_driver.zoo import clean

class RoundedDown(type(clean(host="argon"))):
    def __init__(self, grid):
        super().__init__(clean(host="argon")._potential)
        self.grid = grid

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        if self.grid:
            self.results["forces"] = self.grid * np.floor(self.results["forces"] / self.grid)
"""


def run(folder: Path, model: str, *flags: object) -> dict[str, Any]:
    (folder / "strict.toml").write_text(STRICT)
    arguments = ["--engine", "lammps", "--model", model, "--structure", "argon", "--temperature-K", 90]
    arguments += ["--no-follow-up", "--replicas", 1, "--profile", folder / "strict.toml", *flags]
    CliRunner().invoke(main, ["run", *map(str, arguments), "--output", str(folder / "o")], catch_exceptions=False)
    return json.loads((folder / "o" / "results.json").read_text())


def measured(content: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in content["measurements"] if each["name"] == name)


PLANTED = [
    ("truncated?strength=1", 4, "cutoff_discontinuity"),
    ("curl?strength=0.01&host=argon", 4, "non_conservative_forces"),
    ("clean?host=argon", 30, "timestep"),
    ("stale_list?strength=0.5", 4, "stale_neighbour_list"),
    ("noisy?strength=0.01&host=argon", 4, "nondeterminism"),
]


@pytest.mark.parametrize(("animal", "timestep", "cause"), PLANTED, ids=[cause for _, _, cause in PLANTED])
def test_the_cause_of_a_drift_is_the_one_that_was_planted(animal: str, timestep: int, cause: str, tmp_path: Path):
    content = run(tmp_path, f"ase:mdsuite_driver.zoo:{animal}", "--timestep-fs", timestep, "--time-ps", 0.3 * timestep)
    assert content["causes"][0]["name"] == cause
    assert cause == "nondeterminism" or content["causes"][0]["share"] > 0.7


@pytest.mark.parametrize("grid", [1e-3, 0.0])
def test_what_rounding_does_is_told_by_a_twin_in_double_precision(grid: float, tmp_path: Path):
    (tmp_path / "model.py").write_text(ROUNDED_DOWN)
    source, zoo = f"ase:{tmp_path / 'model.py'}:RoundedDown?grid={grid}", "ase:mdsuite_driver.zoo:clean?host=argon"
    content = run(tmp_path, source, "--trust", "--double", zoo, "--timestep-fs", 4, "--time-ps", 1.2, "--no-check")
    names = [each["name"] for each in content["causes"]]
    assert (names[:1] == ["precision"]) == (grid > 0.0), names
    assert measured(content, "ledger_precision")["value"] == 0.0 or grid > 0.0


def test_a_wrong_answer_now_and_then_is_chance_and_not_memory(tmp_path: Path):
    model = "ase:mdsuite_driver.zoo:rare_outlier?strength=1&host=argon"
    content = run(tmp_path, model, "--timestep-fs", 4, "--time-ps", 8)
    assert "nondeterminism" in {each["name"] for each in content["causes"]}
    assert "stale_neighbour_list" not in {each["name"] for each in content["causes"]}


def test_a_clean_run_has_nothing_but_the_integrators_error_and_closes_to_rounding(tmp_path: Path):
    clean = run(tmp_path, "ase:mdsuite_driver.zoo:clean?host=argon", "--timestep-fs", 2, "--time-ps", 1)
    assert {each["name"] for each in clean["causes"]} <= {"timestep"}
    assert measured(clean, "jump_steps")["value"] == 0.0
    assert measured(clean, "ledger_engine")["value"] == 0.0
    assert abs(measured(clean, "ledger_closure")["value"]) < 1e-11
