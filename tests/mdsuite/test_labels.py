"""Students of frames that came with their labels: which are taken, what they are for, and what comes of them."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from click.testing import CliRunner

from mdsuite.cli import main
from mdsuite.constants import EV_PER_KCAL_PER_MOL
from mdsuite.errors import InputError
from mdsuite.fitting.accuracy import ALIKE, UNSEEN
from mdsuite.fitting.distill import distill
from mdsuite.fitting.labels import read_labels
from mdsuite.fitting.recipe import LabelledRecipe, read_recipe
from mdsuite.fitting.sampling import HELD_OUT, TRAIN, VALIDATION, Labelled
from mdsuite.forces.reference import read_references
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration

RECIPE = """
{labels}
[[students]]
name = "tiny"
hidden = 8
n_interactions = 2
n_rbf = 6
cutoff = 4.0
[training]
epochs = 8
batch_size = 8
learning_rate = 1e-2
ema = 0.9
"""
ONE_FILE = '[[labels]]\nfile = "frames.extxyz"\n'


def frames(of: Atoms | None = None, *, n: int = 120, seed: int = 0, amplitude: float = 0.05) -> list[Atoms]:
    """Displaced at random, with the energy and forces of effective medium theory."""
    start, rng = of or molecule("C2H6"), np.random.default_rng(seed)
    found = []
    for _ in range(n):
        atoms = start.copy()
        atoms.positions += rng.normal(scale=amplitude, size=atoms.positions.shape)
        atoms.calc = EMT()
        found.append(labelled(atoms, atoms.get_potential_energy(), atoms.get_forces()))
    return found


def labelled(atoms: Atoms, energy: float, forces: np.ndarray) -> Atoms:
    other = atoms.copy()
    other.calc = SinglePointCalculator(other, energy=energy, forces=forces)
    return other


def scaled(of: list[Atoms], *, energy: float = 1.0, forces: float = 1.0) -> list[Atoms]:
    return [labelled(e, energy * e.get_potential_energy(), forces * e.get_forces()) for e in of]


def write_recipe(folder: Path, labels: str = ONE_FILE, **files: list[Atoms]) -> Path:
    for name, of in files.items():
        ase.io.write(folder / f"{name}.extxyz", of)
    (folder / "recipe.toml").write_text(RECIPE.format(labels=labels))
    return folder / "recipe.toml"


def silent(_line: str) -> None:
    """Say nothing."""


def read(recipe: Path, said: list[str] | None = None) -> list[Labelled]:
    of = read_recipe(recipe)
    assert isinstance(of, LabelledRecipe)
    return read_labels(of, recipe.parent, silent if said is None else said.append)[0]


def count(labels: list[Labelled]) -> dict[str, int]:
    return {r: sum(len(e.energies) for e in labels if e.portion.role == r) for r in (TRAIN, VALIDATION, HELD_OUT)}


def positions(labels: list[Labelled], role: str) -> set[bytes]:
    return {each.tobytes() for of in labels if of.portion.role == role for each in of.positions}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(folder / "tiny.pt", weights_only=True)["state_dict"])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, labels and what came of them: molecules, and metal in cells thinner than the cut-off."""
    folder = tmp_path_factory.mktemp("trained")
    labels = (
        'level_of_theory = "EMT"\n'
        f'{ONE_FILE}[[labels]]\nfile = "metal.extxyz"\nname = "copper"\n'
        '[[labels]]\nfile = "ethene.extxyz"\nunseen = true\n'
    )
    metal = frames(bulk("Cu", cubic=True), n=20)
    distill(
        write_recipe(folder, labels, frames=frames(), metal=metal, ethene=frames(molecule("C2H4"), n=6)),
        folder / "out",
        1,
        silent,
    )
    return folder


def test_forces_are_better_than_none_on_frames_that_were_held_out(trained: Path):
    model = load(str(trained / "out" / "tiny.pt"))
    apart, size = [], []
    for each in read_references([trained / "out" / "held-out.extxyz"]).frames:
        if each.structure == "ethene":
            continue
        of = each.configuration
        asked = Configuration(numbers=of.numbers, positions=of.positions, cell=of.cell, pbc=of.pbc)
        apart.append((model.evaluate(asked).forces - each.forces).ravel())
        size.append(each.forces.ravel())
    assert np.square(np.concatenate(apart)).mean() < 0.7 * np.square(np.concatenate(size)).mean()


def test_the_card_tells_files_with_hash_and_frames(trained: Path):
    import hashlib

    digest = hashlib.sha256((trained / "frames.extxyz").read_bytes()).hexdigest()
    card = (trained / "out" / "tiny.md").read_text()
    assert f"| frames | `frames.extxyz` | `{digest}` | 96 | 12 | 12 | 0 | 0 |" in card
    assert "(EMT)" in card and "Nothing was trained on ethene" in card
    assert json.loads((trained / "out" / "tiny.json").read_text())["labels"][0]["sha256"] == digest
    assert digest[:12] in load(str(trained / "out" / "tiny.pt")).card.origin


def test_errors_are_told_for_each_file(trained: Path):
    told = json.loads((trained / "out" / "tiny.json").read_text())["held_out_force_rmse_meV_per_A"]
    assert {"frames", "copper", "ethene", ALIKE, UNSEEN} == set(told)
    assert all(np.isfinite(each) for each in told.values())


def test_a_student_of_thin_cells_serves_them(trained: Path):
    assert load(str(trained / "out" / "tiny.pt")).card.minimum_width == pytest.approx(3.61)


def test_the_network_in_training_and_the_model_that_is_served_agree_on_a_cell(trained: Path):
    from mdsuite.fitting.batch import collate, items_of
    from mdsuite.fitting.step import predict
    from mdsuite_driver.models.painn import build_painn

    network = build_painn("tiny", torch.load(trained / "out" / "tiny.pt", weights_only=True))
    metal = next(each for each in read(trained / "recipe.toml") if each.portion.subject == "copper")
    batch = collate(list(items_of(network, metal)), torch.device("cpu"))
    energies, forces = predict(network, batch, create_graph=False)
    first = Configuration(numbers=metal.numbers, positions=metal.positions[0], cell=metal.cells[0], pbc=metal.pbc)
    served = load(str(trained / "out" / "tiny.pt")).evaluate(first)
    reference = float(network.reference_energies(torch.as_tensor(metal.numbers)).sum())
    assert float(energies[0].detach()) + reference == pytest.approx(served.energy, abs=1e-4)
    assert forces[:4].detach().numpy() == pytest.approx(served.forces, abs=1e-4)


class Killed(BaseException):
    """The process ends here."""


def test_a_training_that_was_killed_goes_on_to_the_same_weights(trained: Path, tmp_path: Path):
    def kill_in_the_fourth_epoch(line: str) -> None:
        if line.startswith("tiny, epoch 4/"):
            raise Killed

    with pytest.raises(Killed):
        distill(trained / "recipe.toml", tmp_path, 1, kill_in_the_fourth_epoch)
    lines: list[str] = []
    distill(trained / "recipe.toml", tmp_path, 1, lines.append)
    assert [line for line in lines if line.startswith("tiny, epoch 1/")] == []
    assert same(weights(tmp_path), weights(trained / "out"))


def test_labels_that_changed_are_fitted_anew(tmp_path: Path):
    recipe = write_recipe(tmp_path, frames=frames(n=20))
    recipe.write_text(recipe.read_text().replace("epochs = 8", "epochs = 1"))
    distill(recipe, tmp_path / "out", 1, silent)
    before = weights(tmp_path / "out")
    write_recipe(tmp_path, frames=scaled(frames(n=20), energy=1.1, forces=1.1))
    recipe.write_text(recipe.read_text().replace("epochs = 8", "epochs = 1"))
    distill(recipe, tmp_path / "out", 1, silent)
    assert not same(before, weights(tmp_path / "out"))


def test_shares_and_seed_decide_the_division_and_the_order_of_frames_does_not(tmp_path: Path):
    of = frames(n=40)
    recipe = write_recipe(tmp_path, ONE_FILE + "[split]\nvalidation = 0.25\nheld_out = 0.1", frames=of)
    first = read(recipe)
    ase.io.write(tmp_path / "frames.extxyz", of[::-1])
    assert count(first) == {TRAIN: 26, VALIDATION: 10, HELD_OUT: 4}
    assert all(positions(first, role) == positions(read(recipe), role) for role in (TRAIN, VALIDATION, HELD_OUT))
    recipe.write_text(recipe.read_text().replace("held_out = 0.1", "held_out = 0.1\nseed = 1"))
    assert positions(first, HELD_OUT) != positions(read(recipe), HELD_OUT)


def test_frames_of_a_block_stay_together(tmp_path: Path):
    of = frames(n=40)
    found = read(write_recipe(tmp_path, ONE_FILE + "[split]\nblock = 8", frames=of))
    stored = [each.positions.tobytes() for each in ase.io.read(tmp_path / "frames.extxyz", ":")]
    places = sorted(stored.index(each) for each in positions(found, HELD_OUT))
    assert len(places) == 8
    assert {place // 8 for place in places} == {places[0] // 8}


def test_files_may_have_roles_and_names_of_their_own_for_labels(tmp_path: Path):
    of = frames(n=12)
    for each in of:
        each.info["dft_energy"], each.arrays["dft_forces"] = each.get_potential_energy(), each.get_forces()
        each.calc = None
    keys = 'energy = "dft_energy"\nforces = "dft_forces"\n'
    labels = "".join(
        f'[[labels]]\nfile = "{name}.extxyz"\nrole = "{role}"\n{keys}'
        for name, role in (("a", TRAIN), ("b", VALIDATION), ("c", HELD_OUT))
    )
    found = read(write_recipe(tmp_path, labels, a=of[:6], b=of[6:10], c=of[10:]))
    assert count(found) == {TRAIN: 6, VALIDATION: 4, HELD_OUT: 2}


def test_a_frame_that_is_held_out_is_not_trained_on_from_another_file(tmp_path: Path):
    of, test = frames(n=30), '[[labels]]\nfile = "test.extxyz"\nrole = "held-out"\n'
    lines: list[str] = []
    found = read(write_recipe(tmp_path, ONE_FILE + test, frames=of, test=[*of[:5], *frames(n=2, seed=1)]), lines)
    assert sum(len(each.energies) for each in found if each.portion.subject == "test") == 7
    assert not positions(found, TRAIN) & positions(found, HELD_OUT)
    assert [line for line in lines if line.startswith("5 of 37 frames dropped")]


def test_one_frame_with_two_labels_is_refused(tmp_path: Path):
    of = frames(n=30)
    with pytest.raises(InputError, match="level of theory"):
        read(write_recipe(tmp_path, frames=[*of, *scaled(of[:1], energy=1.01)]))


def test_a_frame_without_finite_labels_is_dropped_and_counted(tmp_path: Path):
    of = frames(n=120)
    lines: list[str] = []
    broken = labelled(of[7], np.nan, of[7].get_forces())
    found = read(write_recipe(tmp_path, frames=[*of[:7], broken, *of[8:]]), lines)
    assert sum(count(found).values()) == 119
    assert [line for line in lines if line.startswith("1 of 120 frames dropped")]


def test_many_frames_without_finite_labels_are_refused(tmp_path: Path):
    of = frames(n=120)
    broken = [labelled(each, each.get_potential_energy(), np.nan * each.get_forces()) for each in of[:2]]
    with pytest.raises(InputError, match=r"2 of 120 frames.*at most 1% may be dropped"):
        read(write_recipe(tmp_path, frames=[*broken, *of[2:]]))


@pytest.mark.parametrize("label", ["energy", "forces"])
@pytest.mark.parametrize("n", [1, 20])
def test_frames_that_lack_a_label_are_refused(tmp_path: Path, label: str, n: int):
    of = frames(n=20)
    for each in of[:n]:
        del each.calc.results[label]
    with pytest.raises(InputError, match=rf"under the name '{label}'"):
        read(write_recipe(tmp_path, frames=of))


@pytest.mark.parametrize(
    ("energy", "forces", "said"),
    [
        (1.0, 1.0 / EV_PER_KCAL_PER_MOL, "energies in eV and forces in kcal/mol/Å"),
        (1.0 / EV_PER_KCAL_PER_MOL, 1.0, "energies in kcal/mol and forces in eV/Å"),
        (1.0, 0.529177, "forces in eV/Bohr"),
        (1.0, -1.0, "these are gradients"),
        (1.0 / 8.0, 1.0, "the energies are those of an atom, not of all 8"),
        (1.0, 5.0, "forces do 5.0"),
    ],
)
def test_forces_in_other_units_than_the_slope_of_the_energy_are_refused(
    tmp_path: Path, energy: float, forces: float, said: str
):
    of = frames(n=40, amplitude=0.02)
    with pytest.raises(InputError, match="wanted energies in eV and forces in eV/Å") as refused:
        read(write_recipe(tmp_path, frames=scaled(of, energy=energy, forces=forces)))
    assert said in str(refused.value)


def test_it_is_said_where_units_could_not_be_compared(tmp_path: Path):
    lines: list[str] = []
    read(write_recipe(tmp_path, frames=scaled(frames(n=40, amplitude=0.15), forces=5.0)), lines)
    assert "units of energies and forces not compared (0 steps" in lines[0]
    lines.clear()
    read(write_recipe(tmp_path, frames=frames(n=40, amplitude=0.02)), lines)
    assert "work of the forces 1.0" in lines[0]


def overlapping() -> Atoms:
    atoms = molecule("C2H6")
    atoms.positions[1] = atoms.positions[0] + 0.1
    return labelled(atoms, 0.0, np.zeros((8, 3)))


def flat() -> Atoms:
    atoms = Atoms("C2", positions=[[0, 0, 0], [1.2, 0, 0]], cell=[[3, 0, 0], [0, 0, 0], [0, 0, 3]], pbc=True)
    return labelled(atoms, 0.0, np.zeros((2, 3)))


def of_no_element() -> Atoms:
    return labelled(Atoms("CX", positions=[[0, 0, 0], [1.2, 0, 0]]), 0.0, np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("bad", "said"),
    [(overlapping, "atoms 0 and 1 are 0.173 Å apart"), (flat, "is flat"), (of_no_element, "an atom with Z = 0")],
)
def test_a_frame_that_cannot_be_is_refused(tmp_path: Path, bad, said: str):
    with pytest.raises(InputError, match=said):
        read(write_recipe(tmp_path, frames=[*frames(n=10), bad()]))


def test_an_element_that_is_held_out_alone_is_refused(tmp_path: Path):
    labels = ONE_FILE + '[[labels]]\nfile = "water.extxyz"\nunseen = true\n'
    recipe = write_recipe(tmp_path, labels, frames=frames(n=10), water=frames(molecule("H2O"), n=3))
    with pytest.raises(InputError, match="water has O in frames for held-out"):
        distill(recipe, tmp_path / "out", 1, silent)


def test_too_few_frames_for_all_purposes_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="got 0 for train, 1 for validation, 1 for held-out"):
        read(write_recipe(tmp_path, frames=frames(n=2)))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ('[[labels]]\nfile = "nosuch.extxyz"\n', "there is no file"),
        ('[[labels]]\nfile = "empty.extxyz"\n', "Empty file"),
        ('teacher = "gfn2-xtb"\n' + ONE_FILE, "wanted either labels or a teacher's molecules, got labels and teacher"),
        ("labels = []\n", "at least 1 item"),
        (ONE_FILE + ONE_FILE, "two labels are called frames"),
        (ONE_FILE + "unseen = true\n", "no labels are trained on"),
        (ONE_FILE + 'unseen = true\nrole = "train"\n', "their role is 'held-out'"),
        (ONE_FILE + 'role = "test"\n', "'held-out'"),
        (ONE_FILE + 'units = "kcal/mol"\n', "labels.0.units"),
        (ONE_FILE + "[split]\nvalidation = 0.5\nheld_out = 0.5\n", "none to train on"),
        (ONE_FILE + 'energy = "dft_energy"\n', "under the name 'dft_energy'"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused(tmp_path: Path, labels: str, said: str):
    recipe = write_recipe(tmp_path, labels, frames=frames(n=10))
    (tmp_path / "empty.extxyz").touch()
    refused = CliRunner().invoke(main, ["distill", str(recipe), "--output", str(tmp_path / "out")])
    assert refused.exit_code == 2, refused.output
    assert said in refused.output
    assert not (tmp_path / "out").exists()


def test_the_example_can_be_read():
    found = read(Path(__file__).parents[2] / "inputs" / "recipes" / "silicon-labels.toml")
    assert count(found) == {TRAIN: 37, VALIDATION: 4, HELD_OUT: 24}
    assert "silicon-held-out, dia" in {each.portion.subject for each in found}
