"""A model's forces beside a reference's: right numbers, and no approval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from click.testing import CliRunner, Result

from mdsuite.cli import main
from mdsuite.forces.bands import Bands, read_bands
from mdsuite.judgement.units import unit_of_forces
from mdsuite.structures import configuration, read_structure
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration

N_FRAMES = 6
CLEAN = "ase:mdsuite_driver.zoo:clean?host=argon"


def forces(output: Path, *arguments: object) -> Result:
    flags = [*map(str, arguments), "--output", str(output)]
    return CliRunner().invoke(main, ["forces", *flags], catch_exceptions=False)


def labelled(source: str = "argon-lj") -> list[Atoms]:
    """Frames of argon with a model's answers."""
    model, rng = load(source), np.random.default_rng(0)
    frames = []
    for _ in range(N_FRAMES):
        atoms = read_structure("argon")
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        asked = configuration(atoms)
        said = model.evaluate(
            Configuration(numbers=asked.numbers, positions=asked.positions, cell=asked.cell, pbc=asked.pbc)
        )
        atoms.calc = SinglePointCalculator(atoms, energy=said.energy, forces=said.forces)
        frames.append(atoms)
    return frames


def written(file: Path, frames: list[Atoms]) -> Path:
    ase.io.write(file, frames, format="extxyz")
    return file


def measured(output: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((output / "results.json").read_text())
    return {each["name"]: each for each in content["measurements"] if not each["subject"]}


@pytest.fixture(scope="module")
def agreed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("agreed")
    return forces(folder / "o", "argon-lj", "--reference", written(folder / "r.extxyz", labelled())), folder / "o"


def test_a_model_agrees_with_itself(agreed):
    result, output = agreed
    assert result.exit_code == 0, result.output
    found = measured(output)
    assert found["force_r2_component"]["value"] == pytest.approx(1.0)
    assert found["force_error_max"]["value"] < 1e-3  # what the file's digits leave


def test_no_agreement_of_forces_approves_a_model(agreed):
    result, output = agreed
    assert json.loads((output / "results.json").read_text())["verdict"] == "INCONCLUSIVE"
    assert "No approval for dynamics" in (output / "report.md").read_text()
    assert "no approval for dynamics" in result.output


def test_the_figure_is_there(agreed):
    assert {path.name for path in (agreed[1] / "figures").iterdir()} == {"forces.png", "forces.svg"}


def test_forces_that_are_a_tenth_too_large_are_measured(tmp_path: Path):
    reference = written(tmp_path / "r.extxyz", labelled(CLEAN))
    forces(tmp_path / "o", "ase:mdsuite_driver.zoo:scaled?strength=0.1&host=argon", "--reference", reference)
    assert measured(tmp_path / "o")["force_r2_component"]["value"] == pytest.approx(0.99, abs=1e-3)


def test_a_reference_in_other_units_is_refused(tmp_path: Path):
    frames = labelled()
    for atoms in frames:
        atoms.calc.results["forces"] = 23.0605 * atoms.calc.results["forces"]
    result = forces(tmp_path / "o", "argon-lj", "--reference", written(tmp_path / "r.extxyz", frames))
    assert result.exit_code == 2
    assert "as in kcal/mol/Å" in result.output


def test_one_frame_without_numbers_in_a_hundred_is_left_out_and_counted(tmp_path: Path):
    frames = 20 * labelled()
    frames[7] = frames[7].copy()
    frames[7].calc = SinglePointCalculator(frames[7], energy=np.nan, forces=np.full((108, 3), np.nan))
    result = forces(tmp_path / "o", "argon-lj", "--reference", written(tmp_path / "r.extxyz", frames))
    assert result.exit_code == 0, result.output
    counted = json.loads((tmp_path / "o" / "results.json").read_text())["frames"]
    assert counted == {"compared": 119, "without_finite_reference": 1, "without_answer": 0}


def test_more_of_them_are_refused(tmp_path: Path):
    frames = labelled()
    frames[1].calc.results["forces"][5, 1] = np.inf
    result = forces(tmp_path / "o", "argon-lj", "--reference", written(tmp_path / "r.extxyz", frames))
    assert result.exit_code == 2
    assert "1 of 6 frames" in result.output


def test_a_frame_that_the_model_refuses_is_told(tmp_path: Path):
    frames = labelled()
    frames[0].numbers[0] = 6
    frames[0].calc = SinglePointCalculator(frames[0], **frames[0].calc.results)
    result = forces(tmp_path / "o", "argon-lj", "--reference", written(tmp_path / "r.extxyz", frames))
    assert result.exit_code == 3
    assert "1 frames not answered" in result.output


def test_a_teacher_labels(tmp_path: Path):
    result = forces(tmp_path / "o", CLEAN, "--teacher", CLEAN, "--structure", "argon")
    assert result.exit_code == 0, result.output
    assert measured(tmp_path / "o")["force_r2_component"]["value"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "either --reference FILE"),
        (["--teacher", "gfn2-xtb"], "either --reference FILE"),
        (["--teacher", "gfn3", "--structure", "argon"], "wanted the teacher"),
        (["--reference", "no.extxyz"], "there is no file no.extxyz"),
        (["--reference", "inputs/structures/argon.extxyz"], "wanted frames with forces"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, flags: list[str], said: str):
    result = forces(tmp_path / "o", "argon-lj", *flags)
    assert (result.exit_code, said in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    ("ratio", "unit"),
    [
        (1.0, None),
        (23.06, "kcal/mol/Å"),
        (96.5, "kJ/mol/Å"),
        (0.01945, "Hartree/Bohr"),
        (965.0, "kJ/mol/nm"),
        (2.0, None),
    ],
)
def test_units_of_forces_are_told(ratio: float, unit: str | None):
    assert unit_of_forces(ratio) == unit


def test_every_band_has_words_and_a_source():
    assert all(band.says and band.source for bands in read_bands() for band in bands.bands)


def test_bands_end_where_the_next_begins():
    found = {each.name: each for each in read_bands()}
    assert found["force_r2_component"].of(0.9995) is found["force_r2_component"].bands[0]
    assert found["force_r2_component"].of(-1.0) is found["force_r2_component"].bands[-1]
    assert found["force_mae_component"].of(1e9) is found["force_mae_component"].bands[-1]


def test_bands_out_of_order_are_refused():
    bands = [{"up_to": 2.0, "says": "a", "source": "b"}, {"up_to": 1.0, "says": "a", "source": "b"}]
    with pytest.raises(ValueError, match="in order"):
        Bands.model_validate({"name": "x", "unit": "1", "bands": [*bands, {"says": "a", "source": "b"}]})
