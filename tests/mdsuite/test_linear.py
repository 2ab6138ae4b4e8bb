"""Linear fits: published errors reproduced, known coefficients and noise found again, bad data refused."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from click.testing import CliRunner, Result

from mdsuite.cli import main
from mdsuite.linear.data import UNGROUPED, Keys, read_labelled
from mdsuite.linear.design import Block, Weights, asked, blocks, responses, weighted
from mdsuite.linear.errors import Errors, errors
from mdsuite.linear.fit import smoothness
from mdsuite.linear.solve import bayesian, least_squares
from mdsuite_driver.models.ace.basis import Basis
from mdsuite_driver.models.ace.model import ACE, checkpoint, load_ace
from mdsuite_driver.models.ace.specification import Specification
from mdsuite_driver.models.load import load

DATA = Path(__file__).parents[2] / "inputs" / "data" / "silicon-sw.extxyz"
SI_TINY = Path(__file__).parents[2].parent / "shared" / "data" / "si_tiny" / "Si_tiny.xyz"
needs_data = pytest.mark.skipif(not SI_TINY.is_file(), reason="not run: the reference data is not beside the checkout")
LONE_SILICON = -158.54496821  # eV
LIQUID = Weights(energy=10.0, forces=0.66, virial=0.25)

RECIPE = """
name = "small"
[model]
elements = ["Si"]
degree = {degree}
cutoff_A = 5.0
[data]
files = ["frames.extxyz"]
[fit]
solver = "{solver}"
"""


def specification(degree: float, *, lossy: bool = False) -> Specification:
    lengths = {(14, 14): 2.4}
    return Specification(
        species=(14,), order=3, degree=degree, cutoff=5.5, bond_lengths=lengths, nodes=100, lossy=lossy
    )


@cache
def rows_of_si_tiny(degree: int, *, lossy: bool) -> tuple[Basis, list[Block]]:
    keys = Keys(energy="dft_energy", forces="dft_force", virial="dft_virial")
    basis = Basis(specification(degree, lossy=lossy))
    weights = {UNGROUPED: Weights(), "liq": LIQUID}
    return basis, blocks(basis, read_labelled([SI_TINY], keys), {14: LONE_SILICON}, weights)


def si_tiny(degree: int, solver: str, *, lossy: bool) -> dict[str, Errors]:
    basis, found = rows_of_si_tiny(degree, lossy=lossy)
    solve = bayesian if solver == "blr" else least_squares
    return {each.group: each for each in errors(found, solve(*weighted(found), smoothness(basis)).coefficients)}


def rounded(each: Errors) -> tuple[float, float, float]:
    """As they are published: meV, eV/Å, meV."""
    return round(each.energy, 3), round(1e-3 * each.forces, 3), round(each.virial, 3)


@needs_data
@pytest.mark.parametrize(
    ("solver", "lossy", "expected"),
    [
        ("blr", False, (5.797, 0.197, 104.086)),
        ("blr", True, (10.399, 0.315, 145.482)),
        ("qr", False, (4.455, 0.190, 92.519)),
        ("qr", True, (9.297, 0.306, 137.291)),
    ],
)
def test_published_errors_are_reproduced_at_degree_10(solver: str, lossy: bool, expected: tuple[float, float, float]):
    assert rounded(si_tiny(10, solver, lossy=lossy)["all"]) == pytest.approx(expected, abs=1.01e-3)


LIMITS = {
    "qr": {"dia": (1.2, 0.024, 27), "liq": (0.6, 0.16, 37), "bt": (2.2, 0.07, 80), "all": (1.7, 0.12, 57)},
    "blr": {"dia": (1.6, 0.03, 33.3255), "liq": (0.4, 0.19, 35), "bt": (3.8, 0.073, 90), "all": (2.8, 0.14, 68)},
}
PUBLISHED = {
    ("blr", "full"): {
        "dia": (1.586, 0.029, 29.866),
        "liq": (0.364, 0.178, 33.934),
        "bt": (3.420, 0.071, 88.180),
        "all": (2.590, 0.138, 64.896),
    },
    ("blr", "lossy"): {
        "dia": (3.688, 0.040, 67.000),
        "liq": (0.842, 0.290, 51.704),
        "bt": (5.261, 0.087, 127.341),
        "all": (4.416, 0.221, 100.285),
    },
    ("qr", "full"): {
        "dia": (1.165, 0.023, 26.794),
        "liq": (0.549, 0.150, 35.095),
        "bt": (2.174, 0.067, 75.290),
        "all": (1.698, 0.117, 55.837),
    },
    ("qr", "lossy"): {
        "dia": (2.970, 0.026, 66.743),
        "liq": (1.070, 0.249, 46.858),
        "bt": (4.274, 0.082, 111.659),
        "all": (3.581, 0.191, 90.665),
    },
}


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("solver", "basis"), PUBLISHED)
def test_published_errors_are_reproduced_at_degree_12(solver: str, basis: str):
    found = si_tiny(12, solver, lossy=basis == "lossy")
    for group, expected in PUBLISHED[solver, basis].items():
        assert rounded(found[group]) == pytest.approx(expected, abs=1.01e-3), group


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("solver", ["qr", "blr"])
@pytest.mark.parametrize("lossy", [False, True], ids=["full", "lossy"])
def test_the_strict_limits_are_met_by_the_full_basis_and_broken_by_the_lossy_one(solver: str, lossy: bool):
    found = si_tiny(12, solver, lossy=lossy)
    for group, limits in LIMITS[solver].items():
        each = found[group]
        within = [
            value <= limit for value, limit in zip((each.energy, 1e-3 * each.forces, each.virial), limits, strict=True)
        ]
        assert within == [not lossy] * 3, (group, each)


# Rows


def silicon(n: int = 6) -> list[Atoms]:
    """The first structures, a lone atom among them, of the bundled data."""
    return ase.io.read(DATA, index=f":{n}")


def test_rows_are_the_answers_of_a_model_with_unit_coefficients():
    basis = Basis(specification(6))
    of = read_labelled([DATA], Keys())[3]
    found = responses(basis, asked(of))
    coefficients = np.random.default_rng(0).standard_normal(basis.n_functions)
    network = ACE(basis.specification, torch.as_tensor(coefficients[None]), torch.zeros(1))
    expected = load_ace("rows", checkpoint(network, {}), "0").evaluate(asked(of))
    assert found.energy @ coefficients == pytest.approx(expected.energy, rel=1e-10)
    np.testing.assert_allclose(found.forces @ coefficients, expected.forces, atol=1e-8)
    np.testing.assert_allclose(found.virial @ coefficients, expected.virial, atol=1e-8)


def test_a_virial_may_stand_as_a_stress(tmp_path: Path):
    atoms = silicon()[2]
    virial = atoms.info.pop("virial")
    told = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **told, stress=-virial / atoms.get_volume())
    ase.io.write(tmp_path / "frames.extxyz", atoms)
    np.testing.assert_allclose(read_labelled([tmp_path / "frames.extxyz"], Keys())[0].virial, virial, atol=1e-6)


# Solvers


def test_least_squares_finds_coefficients_again():
    rng = np.random.default_rng(0)
    matrix, smooth, wanted = rng.standard_normal((50, 8)), 10.0 ** np.arange(8), rng.standard_normal(8)
    found = least_squares(matrix, matrix @ wanted, smooth)
    np.testing.assert_allclose(found.coefficients, wanted, rtol=1e-9)
    assert (found.rank, found.undetermined.tolist()) == (8, [])


def test_what_the_rows_do_not_tell_apart_is_named():
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((50, 4))
    matrix[:, 2] = 1e-3 * (matrix[:, 0] - matrix[:, 1])
    found = least_squares(matrix, matrix @ np.ones(4), np.ones(4))
    assert (found.rank, found.undetermined.tolist()) == (3, [2])
    np.testing.assert_allclose(matrix @ found.coefficients, matrix @ np.ones(4), rtol=1e-9)


def test_the_evidence_finds_prior_and_noise_again():
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((4000, 200))
    wanted = 3.0 * rng.standard_normal(200)
    found = bayesian(matrix, matrix @ wanted + 0.5 * rng.standard_normal(4000), np.ones(200))
    assert (found.prior, found.noise) == (pytest.approx(3.0, rel=0.15), pytest.approx(0.5, rel=0.05))


def test_a_committee_is_as_wide_as_its_members_are_wrong():
    rng = np.random.default_rng(2)
    matrix, smooth = rng.standard_normal((60, 20)), np.linspace(1.0, 5.0, 20)
    wanted = rng.standard_normal(20) / smooth
    found = bayesian(matrix, matrix @ wanted + 0.3 * rng.standard_normal(60), smooth, 400)
    wrong = (found.coefficients - wanted) / found.committee.std(axis=0)
    assert 0.7 < np.sqrt((wrong**2).mean()) < 1.4


# The command


def fit(folder: Path, frames: list[Atoms], *, degree: int = 5, solver: str = "blr", more: str = "") -> Result:
    ase.io.write(folder / "frames.extxyz", frames, format="extxyz")
    (folder / "recipe.toml").write_text(RECIPE.format(degree=degree, solver=solver) + more)
    arguments = ["fit", str(folder / "recipe.toml"), "--output", str(folder / "out")]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_a_fitted_model_is_served_and_has_the_errors_that_are_told(tmp_path: Path):
    frames = silicon()
    assert fit(tmp_path, frames, more="committee = 3").exit_code == 0
    model = load(str(tmp_path / "out" / "small.pt"))
    wrong = []
    for each in read_labelled([tmp_path / "frames.extxyz"], Keys()):
        wrong.append(1e3 * (model.evaluate(asked(each)).energy - each.energy) / each.n_atoms)
    told = json.loads((tmp_path / "out" / "small.json").read_text())["errors"][-1]
    assert told["energy"] == pytest.approx(np.sqrt(np.mean(np.square(wrong))), rel=1e-6)
    assert torch.load(tmp_path / "out" / "small.pt", weights_only=True)["committee"].shape[0] == 3
    assert "a committee of 3" in (tmp_path / "out" / "small.md").read_text()


def test_the_same_recipe_gives_the_same_coefficients(tmp_path: Path):
    stored = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        fit(tmp_path / name, silicon())
        stored.append(torch.load(tmp_path / name / "out" / "small.pt", weights_only=True)["coefficients"])
    assert torch.equal(*stored)


def test_too_few_structures_for_least_squares_are_told_by_the_names_of_functions(tmp_path: Path):
    result = fit(tmp_path, silicon(2), degree=8, solver="qr")
    assert result.exit_code == 0
    assert "warning: the structures do not tell" in result.output
    assert "Si: (" in result.output
    assert "do not determine all coefficients" in (tmp_path / "out" / "small.md").read_text()


def without(frames: list[Atoms], label: str) -> list[Atoms]:
    for atoms in frames:
        atoms.calc.results.pop(label, None)
    return frames


def spoiled(frames: list[Atoms]) -> list[Atoms]:
    frames[3].calc.results["forces"] = np.full((len(frames[3]), 3), np.nan)
    return frames


def germanium(frames: list[Atoms]) -> list[Atoms]:
    frames[2].numbers[0] = 32
    return frames


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frames: without(frames, "forces"), "has forces under the name 'forces'"),
        (lambda frames: without(frames, "energy"), "has an energy under the name 'energy'"),
        (spoiled, "a label is not finite"),
        (germanium, "has Ge, which the recipe does not know"),
        (lambda frames: frames[1:], "the energy of a lone Si is not known"),
    ],
    ids=["forces", "energy", "nan", "element", "lone"],
)
def test_data_that_cannot_be_fitted_are_refused(tmp_path: Path, change, said: str):
    result = fit(tmp_path, change(silicon()))
    assert (result.exit_code, said in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[model.bond_lengths_A]\nSi-Ge = 2.4", "which are no two of Si"),
        ("[model.bond_lengths_A]\nSi-Si = 9.0", "bond lengths between 0 and the cut-off"),
        ("colour = 1", "not a recipe of a linear fit"),
        ("[weights.liq]\nenergy = -1.0", "not a recipe of a linear fit"),
    ],
)
def test_recipes_that_are_wrong_are_refused(tmp_path: Path, more: str, said: str):
    result = fit(tmp_path, silicon(), more=more)
    assert (result.exit_code, said in result.output) == (2, True), result.output
