"""PaiNN with random weights has the symmetries and the smoothness that trained weights inherit."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from scipy.spatial.transform import Rotation

from mdsuite_driver.models.neighbours import pairs_within
from mdsuite_driver.models.painn import PaiNN, PaiNNConfig, build_painn, checkpoint, load_painn
from mdsuite_driver.models.protocol import Configuration, ModelError


def random_model(*, cutoff: float = 4.0, species: tuple[int, ...] = (1, 6, 8, 14), hidden: int = 12):
    torch.manual_seed(1)
    network = PaiNN(PaiNNConfig(species=species, hidden=hidden, n_interactions=2, n_rbf=8, cutoff=cutoff))
    for parameter in network.parameters():  # biases too: a cut-off must not depend on their being zero
        torch.nn.init.normal_(parameter, std=0.2)
    network.reference.copy_(torch.linspace(-3, 3, len(species)))
    return load_painn("random", checkpoint(network, {}), "0")


RECIPES = Path(__file__).parents[2] / "inputs/recipes"
MODEL = random_model()


def of(atoms, **changes) -> Configuration:
    facts = {
        "numbers": atoms.numbers,
        "positions": atoms.positions.copy(),
        "cell": np.array(atoms.cell[:]) if atoms.pbc.any() else np.eye(3),
        "pbc": tuple(bool(periodic) for periodic in atoms.pbc),
    }
    return Configuration(**{**facts, **changes})


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=2)
    return atoms


def silicon(n: int = 1):
    atoms = bulk("Si", "diamond", 5.43, cubic=True)
    atoms.set_cell(atoms.cell[:] + np.array([[0, 0, 0], [0.4, 0, 0], [0.2, -0.3, 0]]), scale_atoms=True)
    atoms.rattle(0.1, seed=3)
    return atoms.repeat((n, 1, 1))


STRUCTURES = {"molecule": ethanol(), "crystal": silicon()}
structures = pytest.mark.parametrize("atoms", STRUCTURES.values(), ids=STRUCTURES)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["rotation", "rotation and reflection"])
@structures
def test_energy_and_forces_turn_with_the_axes(atoms, sign: float):
    turn = sign * Rotation.random(random_state=0).as_matrix()
    there = of(atoms)
    here = MODEL.evaluate(of(atoms, positions=there.positions @ turn, cell=there.cell @ turn))
    expected = MODEL.evaluate(there)
    assert here.energy == pytest.approx(expected.energy, abs=1e-10)
    np.testing.assert_allclose(here.forces, expected.forces @ turn, atol=1e-10)
    np.testing.assert_allclose(here.virial, turn.T @ expected.virial @ turn, atol=1e-9)


@structures
def test_a_translation_changes_nothing(atoms):
    moved = MODEL.evaluate(of(atoms, positions=atoms.positions + np.array([17.0, -3.0, 0.4])))
    np.testing.assert_allclose(moved.forces, MODEL.evaluate(of(atoms)).forces, atol=1e-10)


@structures
def test_the_order_of_the_atoms_does_not_matter(atoms):
    order = np.random.default_rng(0).permutation(len(atoms))
    permuted = MODEL.evaluate(of(atoms, numbers=atoms.numbers[order], positions=atoms.positions[order]))
    expected = MODEL.evaluate(of(atoms))
    assert permuted.energy == pytest.approx(expected.energy, abs=1e-10)
    np.testing.assert_allclose(permuted.forces, expected.forces[order], atol=1e-10)


def test_atoms_may_lie_in_any_image_of_the_cell():
    atoms = silicon()
    shifts = np.random.default_rng(0).integers(-2, 3, size=(len(atoms), 3))
    moved = MODEL.evaluate(of(atoms, positions=atoms.positions + shifts @ atoms.cell[:]))
    np.testing.assert_allclose(moved.forces, MODEL.evaluate(of(atoms)).forces, atol=1e-10)


def test_two_cells_have_twice_the_energy_and_virial_of_one():
    one, two = (MODEL.evaluate(of(silicon(n))) for n in (1, 2))
    assert two.energy == pytest.approx(2 * one.energy, rel=1e-12)
    np.testing.assert_allclose(two.virial, 2 * one.virial, atol=1e-9)


def test_a_cell_thinner_than_the_cut_off_is_as_good_as_its_multiple():
    atoms = bulk("Si", "diamond", 5.43)
    atoms.rattle(0.1, seed=3)
    one, eight = (MODEL.evaluate(of(atoms.repeat(n))) for n in (1, 2))
    assert eight.energy == pytest.approx(8 * one.energy, rel=1e-12)
    np.testing.assert_allclose(eight.forces, np.tile(one.forces, (8, 1)), atol=1e-10)


@pytest.mark.parametrize("pbc", list(itertools.product([True, False], repeat=3)))
def test_pairs_are_those_of_ase_whichever_directions_repeat(pbc: tuple[bool, bool, bool]):
    atoms = silicon()
    atoms.set_cell(0.6 * atoms.cell[:], scale_atoms=True)  # thinner than the cut-off
    atoms.positions += np.random.default_rng(4).normal(size=atoms.positions.shape, scale=5.0)
    atoms.pbc = pbc
    i, j, translations = pairs_within(of(atoms, cell=np.array(atoms.cell[:])), 4.0)
    vectors = atoms.positions[j] - atoms.positions[i] + translations
    expected = zip(*neighbor_list("ij", atoms, 4.0), *neighbor_list("D", atoms, 4.0).round(6).T, strict=True)
    found = zip(i, j, *vectors.round(6).T, strict=True)
    np.testing.assert_allclose(sorted(found), sorted(expected), atol=2e-6)


def test_molecules_far_apart_do_not_know_of_each_other():
    atoms = ethanol()
    far = atoms.copy()
    far.positions += [30.0, 0, 0]
    assert MODEL.evaluate(of(atoms + far)).energy == pytest.approx(2 * MODEL.evaluate(of(atoms)).energy, rel=1e-12)


@structures
def test_forces_are_the_slope_of_the_energy(atoms):
    direction = np.random.default_rng(0).normal(size=atoms.positions.shape)
    h = 1e-4
    up, down = (MODEL.evaluate(of(atoms, positions=atoms.positions + s * h * direction)).energy for s in (1, -1))
    assert -(up - down) / (2 * h) == pytest.approx((MODEL.evaluate(of(atoms)).forces * direction).sum(), rel=1e-6)


@structures
def test_the_virial_is_the_slope_of_the_energy_by_strain(atoms):
    there = of(atoms)
    h, slopes = 1e-5, np.empty((3, 3))
    for a in range(3):
        for b in range(3):
            strain = np.zeros((3, 3))
            strain[a, b] = h
            energies = [
                MODEL.evaluate(
                    of(atoms, positions=there.positions @ (np.eye(3) + s), cell=there.cell @ (np.eye(3) + s))
                ).energy
                for s in (strain, -strain)
            ]
            slopes[a, b] = -(energies[0] - energies[1]) / (2 * h)
    np.testing.assert_allclose(MODEL.evaluate(there).virial, 0.5 * (slopes + slopes.T), rtol=1e-5, atol=1e-6)


def dimer(r: float):
    return MODEL.evaluate(
        Configuration(
            numbers=np.array([6, 8]),
            positions=np.array([[0.0, 0, 0], [0, 0, r]]),
            cell=np.eye(3),
            pbc=(False, False, False),
        )
    )


@pytest.mark.parametrize("step", [1e-3, 1e-6])
def test_energy_and_force_vanish_smoothly_at_the_cut_off(step: float):
    inside, outside = dimer(4.0 - step), dimer(4.0 + step)
    assert abs(inside.energy - outside.energy) < 10 * step**3 + 1e-12
    assert np.abs(inside.forces).max() < 1e2 * step**2 + 1e-12


def test_a_lone_atom_has_an_energy_and_no_force():
    lone = Configuration(numbers=np.array([6]), positions=np.zeros((1, 3)), cell=np.eye(3), pbc=(False, False, False))
    assert not MODEL.evaluate(lone).forces.any()


def test_every_parameter_matters():
    network = build_painn("random", checkpoint(random_model()._network, {})).double()
    there = of(ethanol())
    i, j, _ = pairs_within(there, 4.0)
    vectors = torch.tensor(there.positions[j] - there.positions[i])
    network(torch.as_tensor(there.numbers), torch.as_tensor(i), torch.as_tensor(j), vectors).sum().backward()
    dead = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert dead == []


def test_a_checkpoint_gives_the_same_model_back(tmp_path):
    torch.save(checkpoint(MODEL._network, {"note": "x"}), tmp_path / "model.pt")
    again = load_painn("again", torch.load(tmp_path / "model.pt", weights_only=True), "0")
    assert again.evaluate(of(ethanol())).energy == MODEL.evaluate(of(ethanol())).energy


def test_an_evaluation_leaves_no_trace_in_the_next():
    first = MODEL.evaluate(of(ethanol()))
    MODEL.evaluate(of(silicon()))
    assert np.array_equal(MODEL.evaluate(of(ethanol())).forces, first.forces)


def test_an_unknown_element_is_refused():
    with pytest.raises(ModelError, match=r"Z = \[7\]"):
        MODEL.evaluate(of(molecule("NH3")))


@pytest.mark.parametrize(
    "change",
    [
        {"species": [1, 200]},
        {"species": [6, 6]},
        {"species": [-6]},
        {"species": ["C"]},
        {"cutoff": 0.0},
        {"cutoff": float("nan")},
        {"cutoff": "4"},
        {"hidden": 1},
        {"n_interactions": 0},
        {"n_rbf": 2.5},
    ],
    ids=str,
)
def test_a_configuration_that_means_nothing_is_refused(change):
    stored = checkpoint(MODEL._network, {})
    stored["config"].update(change)
    with pytest.raises(ModelError, match="do not go together: wanted"):
        load_painn("wrong", stored, "0")


@pytest.mark.parametrize(
    ("recipe", "sizes"),
    [
        ("painn", {"painn-ultra-tiny": 22171, "painn-tiny": 76155, "painn-original": 431605}),
    ],
)
def test_the_bundled_recipes_make_networks_of_these_sizes(recipe: str, sizes: dict[str, int]):
    content = tomllib.loads((RECIPES / f"{recipe}.toml").read_text())
    made = {each.pop("name"): PaiNNConfig(species=(1, 6, 7, 8), **each) for each in content["students"]}
    found = {name: sum(p.numel() for p in PaiNN(config).parameters()) for name, config in made.items()}
    assert found == sizes


def test_weights_of_another_size_are_refused():
    stored = checkpoint(MODEL._network, {})
    stored["config"]["hidden"] = 16
    with pytest.raises(ModelError, match="do not go together"):
        load_painn("wrong", stored, "0")
