"""Engines that integrate the same model alike are told from those that do not, whatever is wrong with them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import broken_engines
import numpy as np
import pytest
from click.testing import CliRunner, Result

from mdsuite.cli import main
from mdsuite.engines.contract import EngineContract
from mdsuite.structures import read_structure
from mdsuite_analysis.read import read_energies, read_frames

ARGON = ["--structure", "argon", "--temperature-K", 60, "--timestep-fs", 4]
FOUND_BY = {
    "rounded": "force_parity",
    "single": "force_parity",
    "shear": "virial_parity",
    "kcal": "force_parity",
    "stale": "divergence_ratio",
    "thermostatted": "divergence_ratio",
    "slow": "divergence_ratio",
    "constants": "divergence_ratio",
}


def agree(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["agree", *map(str, arguments)], catch_exceptions=False)


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def failures(found: dict[str, Any], engine: str) -> set[str]:
    return {
        each["measurement"]
        for each in found["verdicts"]
        if each["subject"]["engine"] == engine and each["outcome"] == "fail"
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The broken engines, as a package that brings them."""
    site = tmp_path_factory.mktemp("site")
    package = site / "broken_engines-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-engines\nVersion: 1.0\n")
    points = "\n".join(f"{kind.name} = broken_engines:{_name(kind)}" for kind in broken_engines.KINDS)
    (package / "entry_points.txt").write_text(f"[mdsuite.engines]\n{points}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(Path(__file__).parent)]))
        yield


@pytest.fixture(scope="module")
def judged(installed: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, dict[str, Any]]:
    """Every broken engine, and its clean twin, in one comparison."""
    output = tmp_path_factory.mktemp("agree") / "o"
    engines = [flag for kind in broken_engines.KINDS if kind.name != "permuted" for flag in ("--engine", kind.name)]
    result = agree("argon-lj", *ARGON, "--time-ps", 1.2, "--engine", "ase", *engines, "--output", output)
    return result, results(output)


def _name(kind: Any) -> str:
    return next(name for name, value in vars(broken_engines).items() if value is kind)


def test_a_broken_engine_makes_the_verdict(judged: tuple[Result, dict[str, Any]]):
    assert (judged[0].exit_code, judged[1]["verdict"]) == (1, "NOT RECOMMENDED")


def test_a_page_shows_how_they_part(judged: tuple[Result, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory):
    page = Path(judged[0].output.rsplit("report:", 1)[1].split()[0]).with_suffix(".html").read_text()
    assert "NOT RECOMMENDED" in page
    assert "data:image/png;base64," in page


@pytest.mark.parametrize("engine", FOUND_BY)
def test_a_broken_engine_is_found_by_what_it_breaks(engine: str, judged: tuple[Result, dict[str, Any]]):
    assert FOUND_BY[engine] in failures(judged[1], engine)
    cause = "unit_mismatch" if engine == "kcal" else "engine_mismatch"
    named = [each for each in judged[1]["causes"] if each["finding"].startswith(f"{engine}, argon")]
    assert [each["name"] for each in named] == [cause]
    assert FOUND_BY[engine] in named[0]["evidence"]


@pytest.mark.slow
def test_atoms_that_are_permuted_are_found_where_they_differ(installed: None, tmp_path: Path):
    """LAMMPS' sorting is seen by a molecule; for atoms of one element it is no defect."""
    engines = ["--engine", "ase", "--engine", "permuted", "--engine", "clean"]
    arguments = ["--structure", "ethanol", "--time-ps", 0.2, *engines, "--output", tmp_path / "o"]
    assert agree("painn-ultra-tiny", *arguments).exit_code == 1
    found = results(tmp_path / "o")
    assert "divergence_ratio" in failures(found, "permuted") or "force_parity" in failures(found, "permuted")
    assert failures(found, "clean") == set()


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
class TestAnEngineOfAnotherPackage(EngineContract):
    """Registered by an entry point, and tested by the contract."""

    engine = "clean"


@pytest.mark.parametrize("engine", ["shear", "kcal"])
def test_a_broken_engine_breaks_the_contract(engine: str, installed: None, tmp_path: Path):
    broken = type("Broken", (EngineContract,), {"engine": engine})()
    with pytest.raises(AssertionError):
        broken.test_energy_forces_and_virial_are_the_models(tmp_path)


def test_the_clean_twin_of_all_passes(judged: tuple[Result, dict[str, Any]]):
    outcomes = {each["outcome"] for each in judged[1]["verdicts"] if each["subject"]["engine"] == "clean"}
    assert outcomes == {"pass"}


def test_halved_shear_is_a_defect_of_the_virial_alone(judged: tuple[Result, dict[str, Any]]):
    assert failures(judged[1], "shear") == {"virial_parity"}


def test_the_factor_between_units_is_named(judged: tuple[Result, dict[str, Any]]):
    (cause,) = (each for each in judged[1]["causes"] if each["name"] == "unit_mismatch")
    assert "23.06" in cause["finding"] and "kcal/mol for eV" in cause["finding"]


SHEAR = np.array([[0.0, 0.0, 0.0], [1.8, 0.0, 0.0], [0.5, -1.4, 0.0]])  # Å


ARGON_LJ = pytest.param(("argon-lj", "argon"), id="argon-lj", marks=pytest.mark.slow)
SILICON_SW = pytest.param(("silicon-sw", "silicon"), id="silicon-sw", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=[ARGON_LJ, SILICON_SW])
def natively(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """A model and LAMMPS' own potential of the same form, in an orthorhombic and in a triclinic cell, for 100 steps."""
    model, structure = request.param
    folder = tmp_path_factory.mktemp("natively")
    atoms = read_structure(structure)
    ase.io.write(folder / "orthorhombic.extxyz", atoms)
    atoms.set_cell(atoms.cell[:] + SHEAR, scale_atoms=True)
    ase.io.write(folder / "triclinic.extxyz", atoms)
    cells = [flag for name in ("orthorhombic", "triclinic") for flag in ("--structure", folder / f"{name}.extxyz")]
    length = ["--timestep-fs", 1, "--time-ps", 0.1, "--temperature-K", 60]
    engines = ["--native", model, "--engine", "lammps", "--engine", "ase"]
    return agree(model, *engines, *cells, *length, "--output", folder / "o"), folder / "o"


def test_a_native_potential_that_is_the_model_is_approved(natively: tuple[Result, Path]):
    result, folder = natively
    assert result.exit_code == 0, result.output
    assert {each["outcome"] for each in results(folder)["verdicts"]} == {"pass"}
    assert results(folder)["causes"] == []


def test_its_report_shows_what_was_compared(natively: tuple[Result, Path]):
    report = (natively[1] / "report.md").read_text()
    assert "LAMMPS' own: do the engines agree?" in report.splitlines()[0]
    figures = re.findall(r"!\[.*\]\((.*)\)", report)
    assert len(figures) == 2
    assert all((natively[1] / figure).is_file() for figure in figures)


def test_native_and_served_energies_forces_and_virials_are_the_same_to_ten_digits(natively: tuple[Result, Path]):
    folder = natively[1] / "runs"
    of = {each["subject"].get("run"): each["subject"] for each in results(natively[1])["measurements"]}
    where = {(about["structure"], about["engine"]): folder / run for run, about in of.items()}
    for structure in ("orthorhombic", "triclinic"):
        native, served = where[structure, "lammps-native"], where[structure, "lammps"]
        assert read_energies(native).step[-1] == 100
        for ours, theirs in (
            (read_energies(native).potential_energy, read_energies(served).potential_energy),
            (read_frames(native).forces, read_frames(served).forces),
            (read_frames(native).virial, read_frames(served).virial),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * np.abs(theirs).max())


SLIPS = {
    "real-for-metal": ('units = "real"\n', "pair_coeff * * 0.0104 3.4", "force_parity"),
    "stale-neighbours": ("", "neigh_modify every 1000000 delay 1000000 check no", "divergence_ratio"),
    "another-cut-off": ("", "pair_coeff * * 0.0104 3.4 6.4", "force_parity"),
    "another-sigma": ("", "pair_coeff * * 0.0104 3.4001", "force_parity"),
    "none": ("", "pair_coeff * * 0.0104 3.4", ""),
}


@pytest.fixture(scope="module")
def slipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Native potentials with a slip, and one without, beside their model."""
    folder = tmp_path_factory.mktemp("slips")
    natives = []
    for name, (units, line, _) in SLIPS.items():
        lines = ["pair_style lj/smooth/linear 6.5", "pair_coeff * * 0.0104 3.4", "neighbor 0.1 bin", line]
        (folder / f"{name}.toml").write_text(f'elements = ["Ar"]\n{units}commands = {json.dumps(lines)}\n')
        natives += ["--native", folder / f"{name}.toml"]
    result = agree("argon-lj", *natives, *ARGON, "--engine", "ase", "--time-ps", 1.2, "--output", folder / "o")
    assert result.exit_code == 1, result.output
    return results(folder / "o")


@pytest.mark.slow
@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_a_native_potential_is_found(slip: str, slipped: dict[str, Any]):
    failed = {
        each["measurement"]
        for each in slipped["verdicts"]
        if each["subject"]["model"] == slip and each["outcome"] == "fail"
    }
    found_by = SLIPS[slip][2]
    assert found_by in failed if found_by else not failed


@pytest.mark.slow
def test_a_campaign_with_several_engines_compares_them(tmp_path: Path):
    arguments = ["--model", "painn-ultra-tiny", "--structure", "ethanol", "--replicas", 1, "--time-ps", 0.15]
    engines = ["--engine", "lammps", "--engine", "ipi", "--engine", "ase"]
    result = CliRunner().invoke(
        main, ["run", "--no-check", *map(str, [*arguments, *engines, "--output", tmp_path / "o"])]
    )
    found = results(tmp_path / "o")
    assert found["engine"] == ["lammps", "ipi", "ase"]
    parity = [each for each in found["verdicts"] if each["measurement"] == "divergence_ratio"]
    assert [each["outcome"] for each in parity] == ["pass", "pass"]
    assert "## Engines" in (tmp_path / "o" / "report.md").read_text()
    assert result.exit_code in (0, 3)


@pytest.mark.slow
def test_engines_with_thermostats_of_their_own_are_compared_by_what_they_have_in_common(tmp_path: Path):
    """Their random numbers differ, and so must their trajectories."""
    arguments = [
        "--model",
        "silicon-sw",
        "--structure",
        "silicon",
        "--replicas",
        1,
        "--time-ps",
        0.5,
        "--timestep-fs",
        1,
    ]
    engines = ["--engine", "lammps", "--engine", "ase", "--ensemble", "nvt", "--thermostat", "csvr"]
    flags = ["--no-check", *arguments, *engines, "--output", tmp_path / "o"]
    CliRunner().invoke(main, ["run", *map(str, flags)])
    found = results(tmp_path / "o")
    compared = {each["measurement"]: each["outcome"] for each in found["verdicts"] if "reference" in each["subject"]}
    assert compared["force_parity"] == "pass"
    assert "divergence_ratio" not in compared and "drift_difference" not in compared
    assert compared["temperature_difference"] in ("pass", "inconclusive")
    assert found["causes"] == []


@pytest.mark.slow
def test_without_a_structure_a_bundled_one_is_taken_that_the_model_is_for(tmp_path: Path):
    result = agree("argon-lj", "--engine", "lammps", "--engine", "ase", "--time-ps", 0.05, "--output", tmp_path / "o")
    assert result.exit_code == 0, result.output
    assert {each["subject"]["structure"] for each in results(tmp_path / "o")["verdicts"]} == {"argon"}


def test_a_model_that_is_not_there_is_refused(tmp_path: Path):
    result = agree("argon-jl", "--output", tmp_path / "o")
    assert result.exit_code == 2 and "did you mean argon-lj" in result.output
