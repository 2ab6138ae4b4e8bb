"""Distillation: deterministic, resumable, and never labelling twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from click.testing import CliRunner

from mdsuite.cli import main
from mdsuite.constants import BOLTZMANN
from mdsuite.errors import InputError
from mdsuite.fitting import train
from mdsuite.fitting.batch import Batch
from mdsuite.fitting.displacement import from_normal_modes
from mdsuite.fitting.distill import distill
from mdsuite.fitting.recipe import read_recipe
from mdsuite.fitting.sampling import HELD_OUT, TRAIN, portions, sample
from mdsuite.fitting.step import Compiled
from mdsuite.forces.reference import read_references
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration

RECIPE = """
teacher = "{teacher}"
[[molecules]]
name = "ethane"
{origin}
snapshot = true
[sampling]
temperatures_K = [100.0, 300.0]
steps = 60
held_out_steps = 20
every = 2
equilibration_steps = 20
timestep_fs = 0.5
[[students]]
name = "tiny"
hidden = 8
n_interactions = 2
n_rbf = 6
[training]
epochs = 6
batch_size = 8
"""


def write_recipe(folder: Path, *, teacher: str = "ase:ase.calculators.emt:EMT", smiles: str | None = None) -> Path:
    ase.io.write(folder / "ethane.extxyz", molecule("C2H6"))
    origin = f'smiles = "{smiles}"' if smiles else f"file = '{folder / 'ethane.extxyz'}'"
    (folder / "recipe.toml").write_text(RECIPE.format(teacher=teacher, origin=origin))
    return folder / "recipe.toml"


def silent(_line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("distilled")
    recipe = write_recipe(folder)
    distill(recipe, folder / "out", 1, silent)
    return recipe, folder / "out"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(folder / "tiny.pt", weights_only=True)["state_dict"])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def test_the_weights_are_served_like_any_model(distilled):
    atoms = molecule("C2H6")
    there = Configuration(numbers=atoms.numbers, positions=atoms.positions, cell=np.eye(3), pbc=(False,) * 3)
    assert np.isfinite(load(str(distilled[1] / "tiny.pt")).evaluate(there).energy)


def test_training_lowers_the_loss(distilled):
    recipe = read_recipe(distilled[0])
    labelled = sample(recipe, distilled[1] / "labels", 1)
    epochs: list[train.Epoch] = []
    parts = [[each for each in labelled if each.portion.role == role] for role in (TRAIN, HELD_OUT)]
    train.fit(recipe.students[0], recipe.training, *parts, distilled[1] / "other-state.pt", epochs.append)
    assert epochs[-1].loss < 0.8 * epochs[0].loss


def test_errors_snapshots_and_a_plot_are_written_beside_the_weights(distilled):
    written = {path.name for path in distilled[1].rglob("*") if path.is_file()}
    assert {"tiny.pt", "tiny.md", "tiny.json", "tiny-training.png", "ethane.extxyz"} <= written


def test_the_held_out_frames_are_a_reference_for_forces(distilled):
    recipe = read_recipe(distilled[0])
    held_out = [each for each in sample(recipe, distilled[1] / "labels", 1) if each.portion.role == HELD_OUT]
    read = read_references([distilled[1] / "held-out.extxyz"])
    assert {each.structure for each in read.frames} == {"ethane"}
    stored = np.concatenate([each.forces for each in read.frames])
    assert stored == pytest.approx(np.concatenate([each.forces.reshape(-1, 3) for each in held_out]), abs=1e-7)
    assert [each.energy for each in read.frames] == pytest.approx(np.concatenate([each.energies for each in held_out]))


def test_the_same_recipe_gives_the_same_weights(distilled, tmp_path: Path):
    distill(distilled[0], tmp_path, 1, silent)
    assert same(weights(tmp_path), weights(distilled[1]))


def test_an_element_of_an_unseen_molecule_alone_is_refused(tmp_path: Path):
    recipe = write_recipe(tmp_path)
    ase.io.write(tmp_path / "water.extxyz", molecule("H2O"))
    unseen = f"[[molecules]]\nname = \"water\"\nfile = '{tmp_path / 'water.extxyz'}'\nunseen = true\n"
    recipe.write_text(recipe.read_text() + unseen)
    with pytest.raises(InputError, match="water has O in frames for held-out"):
        distill(recipe, tmp_path / "out", 1, silent)


class Killed(BaseException):
    """The process ends here."""


def test_a_training_that_was_killed_goes_on_to_the_same_weights(distilled, tmp_path: Path):
    def kill_in_the_fourth_epoch(line: str) -> None:
        if line.startswith("tiny, epoch 4/"):
            raise Killed

    with pytest.raises(Killed):
        distill(distilled[0], tmp_path, 1, kill_in_the_fourth_epoch)
    lines: list[str] = []
    distill(distilled[0], tmp_path, 1, lines.append)
    assert [line for line in lines if line.startswith("tiny, epoch 1/")] == []
    assert same(weights(tmp_path), weights(distilled[1]))


def test_labels_are_never_made_twice(distilled):
    labels = distilled[1] / "labels"
    before = {path: path.stat().st_mtime_ns for path in labels.iterdir()}
    sample(read_recipe(distilled[0]), labels, 1)
    assert {path: path.stat().st_mtime_ns for path in labels.iterdir()} == before


def test_a_file_that_changed_is_labelled_and_fitted_anew(tmp_path: Path):
    recipe = write_recipe(tmp_path)
    distill(recipe, tmp_path / "out", 1, silent)
    before = weights(tmp_path / "out")
    ase.io.write(tmp_path / "ethane.extxyz", molecule("C2H4"))
    distill(recipe, tmp_path / "out", 1, silent)
    assert not same(before, weights(tmp_path / "out"))


def test_a_teacher_whose_code_changed_labels_anew(tmp_path: Path):
    code = tmp_path / "teacher.py"
    code.write_text("from ase.calculators.emt import EMT")
    recipe = read_recipe(write_recipe(tmp_path, teacher=f"ase:{code}:EMT"))
    before = {each.key for each in portions(recipe)}
    code.write_text("from ase.calculators.emt import EMT  # another line")
    assert not before & {each.key for each in portions(recipe)}


def test_every_labelled_trajectory_is_told(tmp_path: Path):
    recipe = read_recipe(write_recipe(tmp_path))
    lines: list[str] = []
    sample(recipe, tmp_path / "labels", 1, lines.append)
    assert lines[-1] == "labelled 6 of 6 portions"


def test_held_out_frames_come_from_trajectories_of_their_own(distilled):
    keys = {
        role: {each.key for each in portions(read_recipe(distilled[0])) if each.role == role}
        for role in (TRAIN, HELD_OUT)
    }
    assert not keys[TRAIN] & keys[HELD_OUT]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("epochs = 6", "epoch = 6", "training.epoch"),
        ("steps = 60", "steps = 0", "greater than or equal to 1"),
        ('name = "ethane"', 'name = "ethane"\nsmiles = "CC"', "either smiles or file"),
        ("[sampling]", "[sampling", "not a recipe"),
        ("hidden = 8", "hidden = 1", "greater than or equal to 2"),
        ("emt:EMT", "emt:EMTT", "has no 'EMTT'"),
        ("calculators.emt", "calculators.nosuch", "nosuch"),
        ("snapshot = true", "unseen = true", "none to train on"),
        (
            'name = "tiny"',
            'name = "tiny"\nhidden = 8\nn_interactions = 1\nn_rbf = 6\n[[students]]\nname = "tiny"',
            "two students",
        ),
    ],
)
def test_a_recipe_with_a_mistake_is_refused(tmp_path: Path, before: str, after: str, said: str):
    recipe = write_recipe(tmp_path)
    recipe.write_text(recipe.read_text().replace(before, after, 1))
    refused = CliRunner().invoke(main, ["distill", str(recipe), "--output", str(tmp_path / "out")])
    assert refused.exit_code == 2
    assert said in refused.output


def test_a_teacher_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    import sys

    from mdsuite.fitting.teacher import make_teacher

    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(InputError, match=r"pip install 'mdsuite\[distill\]'"):
        make_teacher("gfn2-xtb")


NAN_TEACHER = """
import numpy as np
from ase.calculators.emt import EMT

class Gaps(EMT):
    calls = 0

    def __init__(self, every):
        super().__init__()
        self.every = every

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        Gaps.calls += 1
        if Gaps.calls % self.every == 0:
            self.results["forces"] = np.nan * self.results["forces"]
"""
DISPLACED = "[sampling.random]\namplitude_A = 0.05\nframes = 200\n[[students]]"


def test_frames_without_a_label_are_dropped_and_counted(tmp_path: Path):
    lines = sampled_with_gaps(tmp_path, every=150)
    assert [line for line in lines if line.startswith("1 of 208 frames dropped")]


def test_too_many_frames_without_a_label_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"for \d+ of 208 frames, most of them of ethane"):
        sampled_with_gaps(tmp_path, every=40)


def sampled_with_gaps(folder: Path, *, every: int) -> list[str]:
    """What is said where one answer in so many has no forces, of displaced frames mostly."""
    (folder / "gaps.py").write_text(NAN_TEACHER)
    recipe = write_recipe(folder, teacher=f"ase:{folder / 'gaps.py'}:Gaps?every={every}")
    text = recipe.read_text().replace("[[students]]", DISPLACED).replace("[100.0, 300.0]", "[300.0]")
    text = text.replace("steps = 60", "steps = 8").replace("held_out_steps = 20", "held_out_steps = 4")
    recipe.write_text(text.replace("equilibration_steps = 20", "equilibration_steps = 0"))
    lines: list[str] = []
    sample(read_recipe(recipe), folder / "labels", 1, lines.append)
    return lines


def test_normal_modes_have_the_energy_of_their_temperature():
    atoms = molecule("C2H6")
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=0.001)
    relaxed, energy = atoms.get_positions(), atoms.get_potential_energy()
    displacements = from_normal_modes(atoms, 10.0, 200, np.random.default_rng(0))
    weighted = (displacements * np.sqrt(atoms.get_masses())[:, None]).reshape(200, -1)
    n_modes = np.linalg.matrix_rank(weighted, tol=1e-6)
    excess = []
    for displacement in displacements:
        atoms.set_positions(relaxed + displacement)
        excess.append(atoms.get_potential_energy() - energy)
    assert n_modes >= 10
    assert np.mean(excess) == pytest.approx(0.5 * n_modes * BOLTZMANN * 10.0, rel=0.1)


def test_a_molecule_that_is_not_to_be_seen_is_held_out_alone(tmp_path: Path):
    recipe = write_recipe(tmp_path)
    recipe.write_text(recipe.read_text() + '[[molecules]]\nname = "water"\nsmiles = "O"\nunseen = true\n')
    roles = {each.role for each in portions(read_recipe(recipe)) if each.molecule == "water"}
    assert roles == {HELD_OUT}


def test_a_fit_ends_when_its_patience_is_over(distilled, tmp_path: Path):
    recipe = read_recipe(distilled[0])
    labelled = sample(recipe, distilled[1] / "labels", 1)
    parts = [[each for each in labelled if each.portion.role == role] for role in (TRAIN, HELD_OUT)]
    patient = recipe.training.model_copy(update={"learning_rate": 1e-12, "patience": 2, "epochs": 50, "ema": 0.0})
    epochs: list[train.Epoch] = []
    train.fit(recipe.students[0], patient, *parts, tmp_path / "state.pt", epochs.append)
    forces = [each.force_rmse for each in epochs]
    assert len(epochs) == forces.index(min(forces)) + 3 < 50


def test_a_student_and_a_device_that_are_not_there_are_refused(tmp_path: Path):
    recipe = write_recipe(tmp_path)
    for flags, said in ((["--student", "huge"], "it has tiny"), (["--device", "cuda:99"], "torch cannot use it")):
        refused = CliRunner().invoke(main, ["distill", str(recipe), "--output", str(tmp_path / "out"), *flags])
        assert (refused.exit_code, said in refused.output) == (2, True), refused.output


def test_gfn2_labels_a_molecule_that_rdkit_builds(tmp_path: Path):
    recipe = write_recipe(tmp_path, teacher="gfn2-xtb", smiles="C")
    text = recipe.read_text().replace("[100.0, 300.0]", "[300.0]").replace("steps = 60", "steps = 4")
    recipe.write_text(text.replace("held_out_steps = 20", "held_out_steps = 2"))
    labelled = sample(read_recipe(recipe), tmp_path / "labels", 1)
    energies = [each.energies.mean() for each in labelled]
    assert energies == pytest.approx([-113.5] * 3, abs=0.7)  # methane in GFN2-xTB, eV


def compiled_recipe(folder: Path) -> Path:
    recipe = write_recipe(folder)
    text = recipe.read_text().replace("n_interactions = 2", "n_interactions = 1").replace("hidden = 8", "hidden = 4")
    recipe.write_text(text.replace("epochs = 6", "epochs = 4\ncompile = true"))
    return recipe


def resumed_after_two_epochs(recipe: Path, output: Path) -> None:
    def kill_in_the_third_epoch(line: str) -> None:
        if line.startswith("tiny, epoch 3/"):
            raise Killed

    with pytest.raises(Killed):
        distill(recipe, output, 1, kill_in_the_third_epoch)
    distill(recipe, output, 1, silent)


def test_a_graph_is_made_at_the_same_example_whenever_a_training_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    examples = []

    def not_compiled(self: Compiled, batch: Batch) -> Any:
        examples.append(torch.cat([each.double().ravel() for each in batch.tensors]))

        def by_steps(_weights: Any, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with torch.enable_grad():
                loss, gradients = self._eager(Batch(*tensors))
            return loss, *gradients

        return by_steps

    monkeypatch.setattr(Compiled, "_compiled", not_compiled)
    resumed_after_two_epochs(compiled_recipe(tmp_path), tmp_path / "out")
    assert len(examples) == 2
    assert torch.equal(*examples)


@pytest.mark.slow
def test_a_compiled_training_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path):
    recipe = compiled_recipe(tmp_path)
    distill(recipe, tmp_path / "whole", 1, silent)
    resumed_after_two_epochs(recipe, tmp_path / "resumed")
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "resumed"))
