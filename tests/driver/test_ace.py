"""The linear ACE: its counts and check values, its symmetries, and a model of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from mdsuite_driver.contract import ModelContract
from mdsuite_driver.models.ace.basis import Basis
from mdsuite_driver.models.ace.harmonics import coupling, spherical_harmonics
from mdsuite_driver.models.ace.model import ACE, ACEModel, checkpoint, load_ace
from mdsuite_driver.models.ace.radial import (
    MANY,
    PAIR,
    Agnesi,
    Polynomials,
    many_body_envelope,
    orthonormal,
    pair_envelope,
)
from mdsuite_driver.models.ace.specification import Specification
from mdsuite_driver.models.load import load
from mdsuite_driver.models.neighbours import vectors_within
from mdsuite_driver.models.protocol import Configuration, ModelError

STRUCTURES = Path(__file__).parents[2] / "inputs" / "structures"
R = torch.tensor([2.00, 2.35, 3.84, 5.00], dtype=torch.float64)
BOND = torch.full_like(R, 2.4)
CUTOFF = 5.5


def silicon(degree: float = 10, **changes: object) -> Specification:
    told = {"species": (14,), "order": 3, "cutoff": CUTOFF, "bond_lengths": {(14, 14): 2.4}, **changes}
    return Specification(degree=degree, **told)  # type: ignore[arg-type]


def binary() -> Specification:
    lengths = {(8, 8): 1.4, (8, 14): 1.6, (14, 14): 2.4}
    return silicon(5, species=(8, 14), bond_lengths=lengths, cutoff=4.0, nodes=100)


def model(specification: Specification, seed: int = 0) -> ACEModel:
    rng = np.random.default_rng(seed)
    basis = Basis(specification)
    shape = (len(specification.species), basis.n_functions)
    references = torch.arange(1.0, shape[0] + 1.0, dtype=torch.float64)
    stored = checkpoint(ACE(specification, torch.as_tensor(1e-2 * rng.standard_normal(shape)), references), {})
    return load_ace("random", stored, "0" * 64)


def of(atoms: Atoms) -> Configuration:
    first, second, third = (bool(each) for each in atoms.pbc)
    return Configuration(
        numbers=atoms.numbers.astype(np.int64),
        positions=atoms.positions.copy(),
        cell=np.array(atoms.cell[:]),
        pbc=(first, second, third),
    )


def crystal(n: int = 1) -> Atoms:
    atoms = bulk("Si", "diamond", 5.43, cubic=True)
    atoms.numbers[::3] = 8
    atoms.rattle(0.1, seed=1)
    return atoms.repeat(n)


def cluster() -> Atoms:
    atoms = crystal()
    return Atoms(atoms.numbers, positions=atoms.positions)


# The basis


@pytest.mark.parametrize(
    ("degree", "n"), [(8, 62), (9, 87), (10, 120), (11, 164), (12, 223), (13, 299), (14, 397), (15, 524)]
)
def test_the_basis_is_as_large_as_published(degree: int, n: int):
    assert len(silicon(degree).products()) + silicon(degree).n_radial == n


@pytest.mark.parametrize(("degree", "n"), [(10, 77), (11, 107), (12, 149), (13, 205), (14, 279), (15, 377)])
def test_the_lossy_basis_is_as_small_as_the_migration_made_it(degree: int, n: int):
    assert len(silicon(degree, lossy=True).products()) + silicon(degree).n_radial == n


def test_what_the_lossy_basis_has_lost_is_every_product_that_repeats_a_channel():
    lost = set(silicon().products()) - set(silicon(lossy=True).products())
    assert len(lost) == 43
    assert all(len(set(product)) < len(product) for product in lost)


def test_products_of_each_order_are_as_many_as_published():
    products = Basis(silicon()).products
    assert [sum(len(each) == order for each in products) for order in (1, 2, 3)] == [10, 41, 59]


def test_equal_monomials_are_folded():
    basis = Basis(silicon())
    assert [len(each) for each in (basis.singles, basis.doubles, basis.triples)] == [10, 81, 139]


@pytest.mark.parametrize(
    ("exponents", "expected"),
    [
        (MANY, [-0.5349332, -0.3131948, 0.5176289, 0.8920624]),
        (PAIR, [-0.4989179, -0.3211607, 0.3944043, 0.8376390]),
    ],
)
def test_the_transforms_have_the_published_values(exponents: tuple[int, int], expected: list[float]):
    assert Agnesi(*exponents, BOND, CUTOFF)(R).tolist() == pytest.approx(expected, abs=1e-7)


def test_the_radial_functions_have_the_published_values():
    x = Agnesi(*MANY, BOND, CUTOFF)(R)
    expected = [
        [0.56525566, -1.00286118, 0.97875269],
        [0.90232037, -0.93728492, 0.05747097],
        [0.59446882, 1.02057260, 0.93331158],
        [0.04626488, 0.13688095, 0.28920614],
    ]
    found = Polynomials(3, 4.0, 0)(x) * many_body_envelope(x)[:, None]
    np.testing.assert_allclose(found, expected, atol=5.1e-9)


def test_the_pair_functions_have_the_published_values():
    x = Agnesi(*PAIR, BOND, CUTOFF)(R)
    expected = [
        [0.71222813, -0.61547277, -0.20165599],
        [0.44864721, -0.24956749, -0.34639055],
        [0.06029601, 0.04118991, -0.03595375],
        [0.00379447, 0.00550514, 0.00468744],
    ]
    found = Polynomials(3, 0.0, 0)(x) * pair_envelope(R, BOND, CUTOFF)[:, None]
    np.testing.assert_allclose(found, expected, atol=5.1e-9)


@pytest.mark.parametrize("alpha", [0.0, 4.0])
def test_polynomials_are_orthonormal(alpha: float):
    x, weights = np.polynomial.legendre.leggauss(40)
    values = orthonormal(torch.as_tensor(x), 12, alpha).numpy()
    overlap = values.T @ (values * (weights * (1 - x**2) ** alpha)[:, None])
    np.testing.assert_allclose(overlap, np.eye(12), atol=1e-12)


def test_splines_are_natural_cubics_in_double_precision():
    nodes = np.linspace(-1.0, 1.0, 100)
    expected = CubicSpline(nodes, orthonormal(torch.as_tensor(nodes), 8, 4.0).numpy(), bc_type="natural")
    x = np.random.default_rng(0).uniform(-1.0, 1.0, 1000)
    np.testing.assert_allclose(Polynomials(8, 4.0, 100)(torch.as_tensor(x)), expected(x), atol=1e-12)


def test_harmonics_are_orthonormal_on_the_sphere():
    z, weights = np.polynomial.legendre.leggauss(12)
    phi = 2 * np.pi * np.arange(24) / 24
    sine = np.sqrt(1 - z**2)[:, None]
    points = np.stack([sine * np.cos(phi), sine * np.sin(phi), np.repeat(z[:, None], 24, axis=1)], axis=2)
    values = spherical_harmonics(torch.as_tensor(points.reshape(-1, 3)), 5).numpy()
    overlap = values.T @ (values * np.repeat(weights * 2 * np.pi / 24, 24)[:, None])
    np.testing.assert_allclose(overlap, np.eye(36), atol=1e-12)


def test_a_harmonic_at_a_pole_has_a_value():
    pole = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    expected = [
        math.sqrt((2 * ell + 1) / (4 * math.pi)) if m == 0 else 0.0 for ell in range(4) for m in range(-ell, ell + 1)
    ]
    assert spherical_harmonics(pole, 3)[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("momenta", [(0,), (2, 2), (1, 1, 2), (2, 2, 2), (1, 2, 3)])
def test_couplings_are_invariant(momenta: tuple[int, ...]):
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((len(momenta), 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]

    def contracted(turned: np.ndarray) -> float:
        value = coupling(momenta)
        for direction, ell in zip(turned, momenta, strict=True):
            y = spherical_harmonics(torch.as_tensor(direction[None]), ell)[0, ell * ell :].numpy()
            value = np.tensordot(y, value, 1)
        return float(value)

    turned = directions @ Rotation.random(random_state=1).as_matrix().T
    assert contracted(turned) == pytest.approx(contracted(directions), abs=1e-12)
    assert contracted(-directions) == pytest.approx(contracted(directions), abs=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"species": ()},
        {"order": 4},
        {"degree": 0.5},
        {"cutoff": -1.0},
        {"bond_lengths": {}},
        {"bond_lengths": {(14, 14): 6.0}},
        {"nodes": 2},
    ],
    ids=str,
)
def test_what_makes_no_basis_is_refused(change: dict[str, object]):
    with pytest.raises(ValueError, match="wanted"):
        silicon(**{"degree": 4, **change})  # type: ignore[arg-type]


# The model


@pytest.mark.parametrize("atoms", [crystal(), cluster()], ids=["crystal", "cluster"])
def test_forces_are_the_slope_of_the_energy(atoms: Atoms):
    ours, step = model(binary()), 1e-5
    slope = np.zeros(3)
    for k in range(3):
        ends = []
        for sign in (-1, 1):
            moved = atoms.copy()
            moved.positions[2, k] += sign * step
            ends.append(ours.evaluate(of(moved)).energy)
        slope[k] = -(ends[1] - ends[0]) / (2 * step)
    np.testing.assert_allclose(ours.evaluate(of(atoms)).forces[2], slope, atol=1e-7)


def test_rotated_and_mirrored_atoms_have_rotated_forces():
    atoms, ours = cluster(), model(binary())
    expected = ours.evaluate(of(atoms))
    turn = -Rotation.random(random_state=2).as_matrix()
    turned = atoms.copy()
    turned.positions = atoms.positions @ turn.T
    found = ours.evaluate(of(turned))
    assert found.energy == pytest.approx(expected.energy, rel=1e-12)
    np.testing.assert_allclose(found.forces, expected.forces @ turn.T, atol=1e-11)


def test_two_cells_have_twice_the_energy_and_virial_of_one():
    one, two = (model(binary()).evaluate(of(crystal().repeat((n, 1, 1)))) for n in (1, 2))
    assert two.energy == pytest.approx(2 * one.energy, rel=1e-12)
    np.testing.assert_allclose(two.virial, 2 * one.virial, atol=1e-10)


def test_energy_and_forces_go_to_zero_at_the_cut_off():
    ours = model(silicon(6, nodes=100))

    def dimer(r: float) -> tuple[float, float]:
        found = ours.evaluate(of(Atoms("Si2", positions=[[0, 0, 0], [r, 0, 0]])))
        return found.energy - 2.0, float(np.abs(found.forces).max())

    assert dimer(CUTOFF + 1e-6) == (0.0, 0.0)
    assert max(map(abs, dimer(CUTOFF - 1e-4))) < 1e-5
    assert abs(dimer(4.0)[0]) > 1e-4


def test_a_lone_atom_has_its_reference_energy():
    assert model(binary()).evaluate(of(Atoms("Si", positions=[[0, 0, 0]]))).energy == 2.0


def test_the_folded_coefficients_give_the_energies_of_the_functions():
    ours, there = model(binary()), of(crystal())
    i, j, vectors = (torch.as_tensor(each) for each in vectors_within(there, 4.0))
    given = (torch.as_tensor(there.numbers), i, j, vectors)
    torch.testing.assert_close(ours.network(*given), ours.network.by_functions(*given), rtol=1e-12, atol=1e-12)


def test_splines_stand_for_the_polynomials():
    energies = [model(silicon(8, nodes=nodes)).evaluate(of(bulk("Si", cubic=True))).energy for nodes in (0, 100, 400)]
    assert abs(energies[2] - energies[0]) < abs(energies[1] - energies[0]) < 1e-3


@pytest.mark.parametrize("change", [{"degree": 6}, {"species": [14]}, {"order": "three"}], ids=str)
def test_coefficients_of_another_basis_are_refused(change: dict[str, object]):
    stored = checkpoint(model(binary()).network, {})
    stored["specification"] = {**stored["specification"], **change}
    with pytest.raises(ModelError, match="do not go together"):
        load_ace("wrong", stored, "0")


def test_coefficients_that_are_not_finite_are_refused():
    stored = checkpoint(model(binary()).network, {})
    stored["coefficients"] = stored["coefficients"] * float("nan")
    with pytest.raises(ModelError, match="finite"):
        load_ace("wrong", stored, "0")


class TestBundled(ModelContract):
    source = "si-ace"
    structure = str(STRUCTURES / "silicon.extxyz")


def test_the_bundled_silicon_is_near_what_it_was_fitted_to():
    atoms = bulk("Si", "diamond", 5.431, cubic=True).repeat(2)
    atoms.rattle(0.05, seed=4)
    ours, theirs = (load(name).evaluate(of(atoms)) for name in ("si-ace", "silicon-sw"))
    assert abs(ours.energy - theirs.energy) < 2e-3 * len(atoms)
    assert np.sqrt(((ours.forces - theirs.forces) ** 2).mean()) < 0.05 * np.sqrt((theirs.forces**2).mean())
