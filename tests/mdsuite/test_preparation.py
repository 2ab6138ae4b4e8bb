"""Starts that the model itself makes ready."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from click.testing import CliRunner, Result

from mdsuite.cli import main
from mdsuite.structures import read_structure

STRAINED = 0.05  # Å
SHORT = ["--model", "painn-ultra-tiny", "--replicas", "1", "--time-ps", "0.1", "--relax", "--equilibrate-ps", "0.1"]

FAILS = """
from ase.calculators.calculator import Calculator

class Fails(Calculator):
    implemented_properties = ["energy", "forces"]

    def __init__(self):
        super().__init__()
        self.n = 0

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.n += 1
        forces = -5.0 * (self.atoms.positions - self.atoms.positions.mean(axis=0))
        self.results = {"energy": 0.0, "forces": forces if self.n < 20 else forces * float("nan")}
"""


def run(folder: Path, *flags: object) -> Result:
    arguments = ["run", "--no-check", *map(str, flags), "--output", str(folder / "o")]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[object], Path]:
    folder = tmp_path_factory.mktemp("prepared")
    atoms = read_structure("ethanol")
    atoms.positions += np.random.default_rng(1).normal(scale=STRAINED, size=atoms.positions.shape)
    ase.io.write(folder / "strained.extxyz", atoms)
    flags = [*SHORT, "--structure", folder / "strained.extxyz"]
    run(folder, *flags)
    return flags, folder


def test_a_strained_start_is_relaxed_and_the_energy_that_it_released_is_told(prepared):
    content = json.loads((prepared[1] / "o" / "results.json").read_text())
    (relaxation,) = content["preparation"]["relaxations"]
    assert relaxation["released"] > 0.3
    assert relaxation["largest_force"] < 0.01
    assert "## Preparation" in (prepared[1] / "o" / "report.md").read_text()


def test_a_run_begins_where_the_equilibration_ended(prepared):
    output = prepared[1] / "o"
    (equilibrated,) = (output / "preparation" / "equilibration" / "runs").iterdir()
    (produced,) = (output / "runs").iterdir()
    with np.load(equilibrated / "start.npz") as before, np.load(produced / "start.npz") as after:
        assert 0.0 < np.abs(before["positions"] - after["positions"]).max() < 1.0


def test_a_prepared_campaign_is_taken_up_without_being_prepared_again(prepared):
    flags, folder = prepared
    before = {path: path.stat().st_mtime_ns for path in (folder / "o").rglob("*.h5md")}
    run(folder, *flags)
    assert {path: path.stat().st_mtime_ns for path in (folder / "o").rglob("*.h5md")} == before


def test_a_model_that_fails_in_the_preparation_fails_the_run(tmp_path: Path):
    (tmp_path / "fails.py").write_text(FAILS)
    flags = ["--model", f"ase:{tmp_path / 'fails.py'}:Fails", "--trust", "--structure", "ethanol", "--replicas", 1]
    assert run(tmp_path, *flags, "--time-ps", 0.1, "--equilibrate-ps", 0.1).exit_code == 1
    (ended,) = json.loads((tmp_path / "o" / "results.json").read_text())["runs"]
    assert (ended["status"], ended["steps"]) == ("unstable", 0)
    assert ended["reason"].startswith("in the preparation, step ")


def test_a_native_potential_cannot_be_relaxed_and_says_so(tmp_path: Path):
    flags = ["--engine", "lammps-native", "--model", "native:silicon-sw", "--structure", "silicon", "--relax"]
    result = run(tmp_path, *flags)
    assert result.exit_code == 2
    assert "wanted is a model that mdsuite loads" in result.output
