"""The seed students load as they are, and give the energies that their authors recorded."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule

from mdsuite_driver.models.exported import GraphModel, graph_of
from mdsuite_driver.models.graph import EnergyAndGradient
from mdsuite_driver.models.load import in_double, load
from mdsuite_driver.models.protocol import Configuration, ModelError
from mdsuite_driver.models.seed_student import Hyperparameters, SeedStudent, load_seed_student

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "seed_students"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="not run: the reference data is not beside the checkout")
SIZES = {427_292: (128, 3, 20), 77_203: (64, 2, 12), 21_459: (32, 2, 10)}


def sizes(hidden: int = 8, n_interactions: int = 2, n_rbf: int = 6) -> Hyperparameters:
    return Hyperparameters(hidden=hidden, n_interactions=n_interactions, n_rbf=n_rbf, cutoff=5.0, max_z=100)


def random_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = SeedStudent(sizes())
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return dict(network.state_dict())


def ethanol() -> Configuration:
    atoms = molecule("CH3CH2OH")
    return Configuration(numbers=atoms.numbers, positions=atoms.positions, cell=np.eye(3), pbc=(False, False, False))


@pytest.mark.parametrize(("count", "shape"), SIZES.items())
def test_the_family_has_the_published_numbers_of_parameters(count: int, shape: tuple[int, int, int]):
    assert sum(parameter.numel() for parameter in SeedStudent(sizes(*shape)).parameters()) == count


@pytest.mark.parametrize(
    "stored",
    [
        {"model_state_dict": random_state(), "config": {"hidden_dim": 8, "cutoff": 5.0, "batch_size": 32}},
        {"model_state_dict": {f"model.{key}": value for key, value in random_state().items()}, "config": {}},
        {"model_state_dict": random_state(), "epoch": 3},
        random_state(),
    ],
    ids=["with config", "with prefix", "without config", "bare"],
)
def test_every_layout_of_a_checkpoint_gives_the_same_model(stored):
    expected = load_seed_student("reference", random_state(), "0").evaluate(ethanol()).energy
    assert load_seed_student("student", stored, "0").evaluate(ethanol()).energy == expected


def test_weights_without_the_untrained_radial_basis_load():
    state = {key: value for key, value in random_state().items() if not key.startswith("rbf.")}
    expected = load_seed_student("reference", random_state(), "0").evaluate(ethanol()).energy
    assert load_seed_student("student", {"model_state_dict": state}, "0").evaluate(ethanol()).energy == expected


def test_forces_are_the_slope_of_the_energy():
    model = load_seed_student("student", random_state(), "0")
    there = ethanol()
    direction = np.random.default_rng(0).normal(size=there.positions.shape)
    h = 1e-2  # the model is in single precision
    up, down = (
        model.evaluate(
            Configuration(
                numbers=there.numbers, positions=there.positions + s * h * direction, cell=there.cell, pbc=there.pbc
            )
        ).energy
        for s in (1, -1)
    )
    assert -(up - down) / (2 * h) == pytest.approx(float((model.evaluate(there).forces * direction).sum()), rel=2e-2)


def dense(state: dict[str, torch.Tensor], positions: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The energy as MLFF-Distiller defines it, over the square of all atoms."""

    def layers(x: torch.Tensor, prefix: str, *indices: int) -> torch.Tensor:
        for k in indices:
            x = torch.nn.functional.silu(x) if k != indices[0] else x
            x = x @ state[f"{prefix}.{k}.weight"].T + state[f"{prefix}.{k}.bias"]
        return x

    away = positions[None] - positions[:, None]  # from the row to the column
    distance = (away**2).sum(-1).add(torch.eye(len(numbers))).sqrt()
    near = (distance < 5.0) & ~torch.eye(len(numbers), dtype=torch.bool)
    rbf = torch.exp(-(((distance[..., None] - state["rbf.centers"]) / state["rbf.widths"]) ** 2))
    rbf = rbf * (0.5 * (torch.cos(torch.pi * distance / 5.0) + 1))[..., None]
    direction = away / (distance + 1e-8)[..., None]
    s = state["embedding.weight"][numbers]
    v = torch.zeros(len(numbers), 3, s.shape[1], dtype=s.dtype)
    for block in ("interactions.0", "interactions.1"):
        on_s, on_v, on_d = (layers(rbf, f"{block}.message.rbf_to_scalar", 0, 2) * near[..., None]).chunk(3, dim=-1)
        s = s + (s[None] * on_s).sum(1)
        v = v + (v[None] * on_v[:, :, None] + direction[..., None] * on_d[:, :, None]).sum(1)
        change, keep, mix = layers(torch.cat([s, v.norm(dim=1)], -1), f"{block}.update.update_mlp", 0, 2).chunk(3, -1)
        mixed = torch.stack([(row[:, None] * v).sum(1) for row in state[f"{block}.update.mixing_matrix"]], 1)
        s, v = s + change, v * keep[:, None] + mixed * mix[:, None]
    return layers(s, "energy_head", 0, 2, 4).sum()


def test_energy_and_forces_are_those_of_the_published_definition():
    there = ethanol()
    evaluation = in_double(load_seed_student("student", random_state(), "0")).evaluate(there)
    state = {key: value.double() for key, value in random_state().items()}
    positions = torch.tensor(there.positions, requires_grad=True)
    energy = dense(state, positions, torch.as_tensor(there.numbers))
    (gradient,) = torch.autograd.grad(energy, positions)
    assert evaluation.energy == pytest.approx(energy.item(), rel=1e-10)
    assert evaluation.forces == pytest.approx(-gradient.numpy(), rel=1e-10, abs=1e-10)


def test_the_network_alone_answers_as_the_student_with_the_neighbours_of_others():
    model = in_double(load_seed_student("student", random_state(), "0"))
    graph = GraphModel(graph_of(EnergyAndGradient(model.network), model.card.dtype), model.card)
    ours, theirs = graph.evaluate(ethanol()), model.evaluate(ethanol())
    assert ours.energy == pytest.approx(theirs.energy, rel=1e-10)
    assert ours.forces == pytest.approx(theirs.forces, rel=1e-10, abs=1e-10)
    assert ours.virial == pytest.approx(theirs.virial, rel=1e-10, abs=1e-10)


def test_a_periodic_structure_is_refused():
    there = ethanol()
    with pytest.raises(ModelError, match="no periodic boundaries"):
        load_seed_student("student", random_state(), "0").evaluate(
            Configuration(numbers=there.numbers, positions=there.positions, cell=np.eye(3) * 9, pbc=(True, True, True))
        )


def test_a_student_in_double_precision_is_the_same_to_single_precision():
    single = load_seed_student("student", random_state(), "0")
    double = in_double(single)
    one, other = (model.evaluate(ethanol()) for model in (single, double))
    assert (single.card.dtype, double.card.dtype) == ("float32", "float64")
    assert in_double(double) is double
    assert 0.0 < np.abs(one.forces - other.forces).max() < 1e-4 * np.abs(other.forces).max()


def test_what_computes_in_single_precision_alone_says_so():
    class Fixed:
        card = load_seed_student("fixed", random_state(), "0").card

        def evaluate(self, configuration: Configuration) -> None: ...

    with pytest.raises(ModelError, match="cannot be told to compute in float64"):
        in_double(Fixed())


@needs_data
@pytest.mark.parametrize(("k", "energy"), [(0, -160.451080), (2, -110.726532), (4, -181.475281)])
def test_tiny_gives_the_recorded_energies(k: int, energy: float):
    atoms = ase.io.read(DATA / f"molecule_{k}.extxyz")
    there = Configuration(numbers=atoms.numbers, positions=atoms.positions, cell=np.eye(3), pbc=(False, False, False))
    assert load(str(DATA / "tiny.pt")).evaluate(there).energy == pytest.approx(energy, abs=1e-5)


@needs_data
@pytest.mark.parametrize(("name", "count"), [("tiny", 77_203), ("ultra_tiny", 21_459)])
def test_the_published_weights_have_the_published_sizes(name: str, count: int):
    assert load(str(DATA / f"{name}.pt")).card.n_parameters == count
