"""A candidate that has lost functions is worse and says which; the same model fitted again is equivalent."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from click.testing import CliRunner, Result

from mdsuite.cli import main
from mdsuite.linear.data import Keys, Labelled, read_labelled
from mdsuite.replacement import evaluators
from mdsuite.replacement.sides import side
from mdsuite.structures import bundled_structures, configuration, read_structure
from mdsuite_driver.bundled import bundled_models

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
    quick = [] if "--thorough" in flags else ["--quick"]
    flags = tuple(each for each in flags if each != "--thorough")
    arguments = ["compare", *models, *given, "--output", str(output), "--repeats", "2", *quick, *map(str, flags)]
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


def test_a_threshold_that_the_baseline_meets_is_not_loosened(folder: Path, tmp_path: Path):
    compare(folder, "full", "lossy", tmp_path / "before")
    (before,) = (each for each in results(tmp_path / "before")["thresholds"] if is_of_all_forces(each))
    (tmp_path / "limits.toml").write_text(f"[all]\nforces = {1.01 * before['baseline']}\nenergy = 10000.0\n")
    result = compare(folder, "full", "lossy", tmp_path / "o", "--thresholds", tmp_path / "limits.toml")
    (limited,) = (each for each in results(tmp_path / "o")["thresholds"] if is_of_all_forces(each))
    assert limited["baseline"] < limited["limit"] < limited["candidate"], limited
    assert (limited["kept"], limited["says"] in ("WORSE", "INCONCLUSIVE")) == (True, True), limited
    text = (tmp_path / "o" / "report.md").read_text()
    assert "**No threshold is proposed**" in text
    assert "1 that the baseline meets stays as it is and is not met by the candidate: forces of all (" in text
    assert not (tmp_path / "o" / "thresholds.toml").exists()
    assert "the threshold on the forces of all, which the baseline meets: " in result.output


def is_of_all_forces(threshold: dict) -> bool:
    return (threshold["group"], threshold["kind"]) == ("all", "forces")


def test_thresholds_of_an_accepted_candidate_come_from_its_runs_and_are_never_looser(folder: Path, tmp_path: Path):
    (tmp_path / "limits.toml").write_text("[all]\nforces = 1e-3\nenergy = 1000.0\n")
    result = compare(folder, "full", "again", tmp_path / "o", "--thresholds", tmp_path / "limits.toml")
    assert result.exit_code == 0, result.output
    proposed = tomllib.loads((tmp_path / "o" / "thresholds.toml").read_text())
    assert proposed["all"]["energy"] < 1000.0
    assert proposed["all"]["forces"] > 1e-3  # which the baseline does not meet either


def test_a_fit_whose_rows_do_not_determine_it_is_told(folder: Path, tmp_path: Path):
    frames = [atoms for atoms in ase.io.read(folder / "frames.extxyz", index=":") if len(atoms) <= 2]
    ase.io.write(tmp_path / "few.extxyz", frames[:7], format="extxyz")
    compare(folder, "qr", "full", tmp_path / "o", "--data", tmp_path / "few.extxyz")
    found = results(tmp_path / "o")
    assert found["undetermined"][0], found
    assert found["undetermined"][1] == []
    text = (tmp_path / "o" / "report.md").read_text()
    assert "fits did not determine all coefficients" in text
    assert found["undetermined"][0][0] in text


def test_trainings_of_one_model_are_runs(folder: Path, tmp_path: Path):
    """A Stillinger-Weber potential and the same with its well a little deeper stand for trainings by other seeds."""
    others = [str(deeper(tmp_path, factor)) for factor in (1.002, 1.004, 0.997)]
    flags = ["--candidate-also", others[0], "--baseline-also", others[1], "--baseline-also", others[2]]
    compare(folder, "silicon-sw", str(deeper(tmp_path, 0.999)), tmp_path / "o", *flags)
    text = (tmp_path / "o" / "report.md").read_text()
    assert "3 and 2 trainings of them, whose scatter is in the intervals" in text
    assert {each["group"] for each in results(tmp_path / "o")["thresholds"]} >= {"all"}


def deeper(folder: Path, factor: float) -> Path:
    """Stillinger-Weber whose energies are scaled."""
    stored = torch.load(bundled_models()["silicon-sw"], weights_only=True)
    stored["parameters"]["epsilon"] = factor * stored["parameters"]["epsilon"]
    file = folder / f"sw-{factor}.pt"
    torch.save(stored, file)
    return file


@pytest.fixture(scope="module")
def thorough(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Everything that is measured of two models, with trajectories of a tenth of a picosecond."""
    output = tmp_path_factory.mktemp("thorough")
    flags = ["--structure", "silicon", "--time-ps", 0.8, "--timestep-fs", 2, "--replicas", 2, "--jobs", 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluators, "_packaged", evaluators._batched)  # a compiler takes a minute
        patch.setattr("mdsuite.replacement.compare.N_PROCESSES", 2)
        return output, compare(folder, "full", "again", output, "--thorough", *flags)


@pytest.mark.slow
def test_every_way_to_evaluate_a_model_agrees_and_is_named(thorough: tuple[Path, Result]):
    found = results(thorough[0])
    ways = {each["name"]: each["agrees"] for each in found["evaluators"] if each["model"] == "full"}
    assert ways["all structures as one graph"] is True
    assert ways["function by function"] is True
    assert ways["traced with its derivative"] is True
    assert len(ways) == 5


@pytest.mark.slow
@pytest.mark.parametrize("model", ["si-ace", "painn-ultra-tiny"])
def test_a_compiled_package_answers_as_its_model(model: str):
    of = side(model, trust=False)
    structures = bundled_structures()
    names = ["silicon"] if model == "si-ace" else ["ethanol", "benzene", "uracil"]
    labelled = [
        Labelled(name=name, group="all", configuration=configuration(read_structure(str(structures[name]))),
                 energy=None, forces=None, virial=None)
        for name in names
    ]  # fmt: skip
    ways = {each.name: each for each in evaluators.evaluators(of, labelled, print)}
    assert ways["compiled to a .pt2 package, written and read"].agrees is True
    assert (ways["TorchScript, written and read"].agrees is True) == (model != "si-ace")


@pytest.mark.slow
def test_static_checks_of_both_stand_beside_each_other(thorough: tuple[Path, Result]):
    assert results(thorough[0])["static"] == {"baseline": "APPROVED", "candidate": "APPROVED"}
    assert "| Forces are the derivative of the energy |" in (thorough[0] / "report.md").read_text()


@pytest.mark.slow
def test_resources_are_ratios_with_intervals(thorough: tuple[Path, Result]):
    cost = {each["name"]: each for each in results(thorough[0])["cost"]}
    assert 0.5 < cost["largest resident memory"]["ratio"] < 2.0
    assert cost["evaluation, for each atom"]["ci"][0] <= cost["evaluation, for each atom"]["ci"][1]
    assert cost["page faults without file input"]["baseline"] > 0


@pytest.mark.slow
def test_trajectories_of_both_begin_alike_and_are_judged(thorough: tuple[Path, Result]):
    output, result = thorough
    assert any("trajectories" in each["what"] for each in results(output)["reasons"]), result.output
    text = (output / "report.md").read_text()
    assert "rdf distance Si-Si" in text
    assert (output / "trajectories" / "report.md").exists()


def test_an_evaluator_that_differs_is_flagged_and_its_clean_twin_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch):
    model = side(str(folder / "full.pt"), trust=False)
    labelled = read_labelled([folder / "frames.extxyz"], Keys())[:6]
    monkeypatch.setattr(evaluators, "_packaged", evaluators._batched)  # a compiler takes a minute
    assert all(each.agrees for each in evaluators.evaluators(model, labelled, print) if not each.reason)
    model.model.network.of_monomials[0, 3] += 1e-4  # as a folding of coefficients that forgot a term
    of = {each.name: each.agrees for each in evaluators.evaluators(model, labelled, print)}
    assert of["function by function"] is False
    assert of["all structures as one graph"] is True


@pytest.mark.parametrize(
    ("models", "flags", "said"),
    [
        (("full", "argon-lj"), (), "of the same elements"),
        (("full", "short"), (), "cut off at 5 Å, short at 4.5 Å"),
        (("full", "nothing.pt"), (), "there is no file nothing.pt"),
        (("full", "again"), ("--data", STRUCTURE_OF_ANOTHER), "has Ar, which full does not know"),
        (("full", "again"), ("--label", "forces=dft_force"), "forces under the name 'dft_force'"),
        pytest.param(("full", "again"), ("--label", "colour=red"), "wanted KIND=NAME", marks=pytest.mark.slow),
        pytest.param(("full", "again"), ("--folds", 40), "at least 40 structures", marks=pytest.mark.slow),
        (("full", "again"), ("--baseline-also", "si-ace"), "full is linear and fitted anew"),
        pytest.param(
            ("silicon-sw", "full"),
            ("--baseline-also", "silicon-sw"),
            "has the weights of silicon-sw",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("silicon-sw", "full"),
            ("--baseline-also", "argon-lj"),
            "of other elements or cut-off",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("full", "again"), ("--thresholds", "none.toml"), "there is no file none.toml", marks=pytest.mark.slow
        ),
        pytest.param(
            ("full", "again"), ("--time-ps", 1), "name where they start with --structure", marks=pytest.mark.slow
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(folder: Path, tmp_path: Path, models, flags, said: str):
    result = compare(folder, *models, tmp_path / "o", *flags)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert not (tmp_path / "o").exists()
