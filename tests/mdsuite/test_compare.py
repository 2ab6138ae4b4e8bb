"""A candidate that has lost functions is worse and says which; the same model fitted again is equivalent."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from click.testing import CliRunner, Result

from mdsuite.cli import main

STRUCTURE_OF_ANOTHER = "argon-labelled.extxyz"
DATA = Path(__file__).parents[2] / "inputs" / "data" / "silicon-sw.extxyz"
RECIPE = """
name = "{name}"
[model]
elements = ["Si"]
degree = {degree}
cutoff_A = {cutoff}
lossy = {lossy}
[data]
files = ["frames.extxyz"]
[fit]
solver = "{solver}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small structures, and models fitted to them."""
    made = tmp_path_factory.mktemp("compare")
    argon = Atoms("Ar2", positions=[[0.0, 0.0, 0.0], [3.8, 0.0, 0.0]])
    argon.calc = SinglePointCalculator(argon, energy=-0.01, forces=np.zeros((2, 3)))
    ase.io.write(made / STRUCTURE_OF_ANOTHER, argon, format="extxyz")
    small = [atoms for atoms in ase.io.read(DATA, index=":") if len(atoms) <= 4]
    ase.io.write(made / "frames.extxyz", small, format="extxyz")
    for name, changes in {
        "full": {},
        "again": {},
        "lossy": {"lossy": "true"},
        "short": {"cutoff": 4.5},
        "qr": {"solver": "qr"},
    }.items():
        told = {"name": name, "degree": 7, "cutoff": 5.0, "lossy": "false", "solver": "blr", **changes}
        (made / f"{name}.toml").write_text(RECIPE.format(**told))
        arguments = ["fit", str(made / f"{name}.toml"), "--output", str(made)]
        assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    return made


def compare(folder: Path, baseline: str, candidate: str, output: Path, *flags: object) -> Result:
    models = [
        str(folder / f"{name}.pt") if (folder / f"{name}.pt").exists() else name for name in (baseline, candidate)
    ]
    given = [] if "--data" in flags else ["--data", str(folder / "frames.extxyz")]
    flags = tuple(folder / each if each == STRUCTURE_OF_ANOTHER else each for each in flags)
    arguments = ["compare", *models, *given, "--output", str(output), "--repeats", "2", *map(str, flags)]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def results(output: Path) -> dict:
    return json.loads((output / "results.json").read_text())


def test_a_basis_that_lost_its_repeated_functions_is_worse_and_they_are_named(folder: Path, tmp_path: Path):
    result = compare(folder, "full", "lossy", tmp_path)
    found = results(tmp_path)
    assert (result.exit_code, found["verdict"]) == (1, "WORSE"), result.output
    assert "Si: (1,1)(1,1)" in {each["name"] for each in found["missing"]}
    assert found["gained"] == []
    text = (tmp_path / "report.md").read_text()
    assert f"**{len(found['missing'])} functions of full are out of the span of lossy**" in text
    assert "None of what was left out was redundant" in text


def test_what_was_lost_is_gained_the_other_way_round(folder: Path, tmp_path: Path):
    result = compare(folder, "lossy", "full", tmp_path)
    found = results(tmp_path)
    assert (result.exit_code, found["missing"]) == (0, [])
    assert found["verdict"] == "BETTER"
    assert len(found["gained"]) > 10


def test_the_same_recipe_fitted_again_is_equivalent(folder: Path, tmp_path: Path):
    result = compare(folder, "full", "again", tmp_path)
    found = results(tmp_path)
    assert (result.exit_code, found["verdict"], found["missing"]) == (0, "EQUIVALENT", [])
    assert "is in the span of again" in (tmp_path / "report.md").read_text()


def test_the_same_basis_by_another_solver_has_lost_nothing(folder: Path, tmp_path: Path):
    compare(folder, "full", "qr", tmp_path)
    assert results(tmp_path)["missing"] == []


def test_models_that_cannot_be_fitted_anew_are_asked_as_they_are(folder: Path, tmp_path: Path):
    result = compare(folder, "silicon-sw", "full", tmp_path)
    assert (result.exit_code, results(tmp_path)["verdict"]) == (1, "WORSE"), result.output
    text = (tmp_path / "report.md").read_text()
    assert "Whether they were fitted to these structures is not known" in text
    assert "Not run: a basis can be taken apart where both models are linear" in text


def test_structures_to_fit_may_be_given_apart(folder: Path, tmp_path: Path):
    frames = ase.io.read(folder / "frames.extxyz", index=":")
    ase.io.write(tmp_path / "train.extxyz", frames[:12], format="extxyz")
    ase.io.write(tmp_path / "test.extxyz", frames[12:], format="extxyz")
    flags = ["--data", tmp_path / "test.extxyz", "--train", tmp_path / "train.extxyz"]
    compare(folder, "full", "again", tmp_path / "o", *flags)
    assert "to 12 structures" in (tmp_path / "o" / "report.md").read_text()
    assert results(tmp_path / "o")["structures"] == 9


def test_too_few_structures_are_inconclusive_and_say_how_many_are_wanted(folder: Path, tmp_path: Path):
    ase.io.write(tmp_path / "few.extxyz", ase.io.read(folder / "frames.extxyz", index="1:7"), format="extxyz")
    result = compare(folder, "full", "lossy", tmp_path / "o", "--data", tmp_path / "few.extxyz")
    assert (result.exit_code, "about 8 structures would decide" in result.output) == (3, True), result.output


@pytest.mark.parametrize(
    ("models", "flags", "said"),
    [
        (("full", "argon-lj"), (), "of the same elements"),
        (("full", "short"), (), "cut off at 5 Å, short at 4.5 Å"),
        (("full", "nothing.pt"), (), "there is no file nothing.pt"),
        (("full", "again"), ("--data", STRUCTURE_OF_ANOTHER), "has Ar, which full does not know"),
        (("full", "again"), ("--label", "forces=dft_force"), "forces under the name 'dft_force'"),
        (("full", "again"), ("--label", "colour=red"), "wanted KIND=NAME"),
        (("full", "again"), ("--folds", 40), "at least 40 structures"),
    ],
)
def test_what_cannot_be_compared_is_refused(folder: Path, tmp_path: Path, models, flags, said: str):
    result = compare(folder, *models, tmp_path / "o", *flags)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert not (tmp_path / "o").exists()
