"""Structure against a reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import norm, wasserstein_distance

from mdsuite_analysis.potential import Configuration
from mdsuite_analysis.series import Frames
from mdsuite_analysis.structure import (
    bond_length_distance,
    neighbour_angle_distance,
    neighbour_pairs,
    radial_distribution,
    rdf_distances,
    separations,
    start_bonds,
    structure_distances,
    triples,
)

LENGTH, WIDTH = 0.96, 0.03
OXYGEN, HYDROGEN = 8, 1


def open_structure(numbers, positions):
    return Configuration(
        numbers=np.array(numbers), positions=np.array(positions, float), cell=np.zeros((3, 3)), pbc=(False,) * 3
    )


def recorded(positions):
    n = len(positions)
    nothing = np.zeros_like(positions)
    return Frames(
        time=0.01 * np.arange(n), positions=positions, velocities=nothing, forces=nothing, virial=np.zeros((n, 3, 3))
    )


def at(lengths, degrees):
    """Water, oxygen first, with these lengths (n, 2) and angles (n,)."""
    half = np.radians(degrees) / 2
    sides = np.stack([np.stack([np.sin(s * half), np.cos(half), 0 * half], axis=1) for s in (1, -1)], axis=1)
    return np.concatenate([np.zeros((len(lengths), 1, 3)), lengths[..., None] * sides], axis=1)


WATER = open_structure([8, 1, 1], at(np.array([[LENGTH, LENGTH]]), np.array([104.5]))[0])


def correlated(shape, rng, tau):
    rho = np.exp(-1.0 / tau) if tau else 0.0
    noise = lfilter([np.sqrt(1 - rho**2)], [1.0, -rho], rng.normal(size=(shape[0] + 200, *shape[1:])), axis=0)
    return noise[200:]


def water(seed=0, *, n=1000, tau=5.0, longer=0.0, wider=1.0, degrees=104.5):
    """Frames of a molecule whose bonds and angle fluctuate as Gaussians with an exponential memory (frames)."""
    rng = np.random.default_rng(seed)
    lengths = LENGTH + longer + wider * WIDTH * correlated((n, 2), rng, tau)
    return recorded(at(lengths, degrees + 5.0 * correlated((n,), rng, tau)))


def silicon(seed=0, *, repeats=2, lattice=5.43, amplitude=0.1, n=40, cell=None):
    basis = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
    cells = np.stack(np.meshgrid(*[range(repeats)] * 3), axis=-1).reshape(-1, 1, 3)
    positions = ((basis + cells) * lattice).reshape(-1, 3)
    start = Configuration(
        numbers=np.full(len(positions), 14), positions=positions, cell=np.eye(3) * repeats * lattice, pbc=(True,) * 3
    )
    noise = np.random.default_rng(seed).normal(size=(n, *positions.shape)) * amplitude
    return start, recorded(positions + noise)


def ideal_gas(seed=0, *, n=400, n_atoms=40, side=12.0):
    positions = np.random.default_rng(seed).uniform(0.0, side, (n, n_atoms, 3))
    grid = np.stack(np.meshgrid(*[np.arange(4) * side / 4] * 3), axis=-1).reshape(-1, 3)[:n_atoms]
    start = Configuration(numbers=np.full(n_atoms, 18), positions=grid, cell=np.eye(3) * side, pbc=(True,) * 3)
    return start, recorded(positions)


def names(measurements):
    return [each.name for each in measurements]


def test_water_has_two_bonds_and_one_angle():
    assert start_bonds(WATER).tolist() == [[0, 1], [0, 2]]
    assert triples(start_bonds(WATER)).tolist() == [[1, 0, 2]]


def test_every_pair_of_bonds_at_an_atom_makes_one_angle():
    star = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [4, 5]])
    found = {tuple(each) for each in triples(star).tolist()}
    assert len(found) == 7
    assert {tuple(sorted((i, k))) for i, j, k in found if j == 0} == {
        (a, b) for a in range(1, 5) for b in range(a + 1, 5)
    }
    assert {(i, k) for i, j, k in found if j == 4} in ({(0, 5)}, {(5, 0)})


def test_samples_of_one_molecule_are_rarely_told_apart():
    measured = [each for seed in range(6) for each in structure_distances([water(seed)], [water(seed + 100)], WATER)]
    assert sum(each.ci[0] > 0.0 for each in measured) <= 3
    assert max(each.ci[1] for each in measured) < 1.0
    assert sum(each.value == 0.0 for each in measured) >= 0.2 * len(measured)  # what noise alone makes is taken off


@pytest.mark.parametrize("shift", [0.5, 1.0, 4.0])
def test_a_shift_of_every_bond_is_measured_in_its_deviations(shift):
    measured = bond_length_distance(
        [water(1, n=4000, tau=1.0, longer=shift * WIDTH)], [water(2, n=4000, tau=1.0)], WATER
    )
    assert measured.value == pytest.approx(shift, rel=0.1)
    assert measured.ci[0] < shift < measured.ci[1]
    assert measured.ci[0] > 0.2


def test_bonds_that_swing_more_widely_lie_apart_by_the_mean_modulus_of_a_gaussian():
    measured = bond_length_distance([water(1, wider=2.0)], [water(2)], WATER)
    assert measured.ci[0] < 2 * norm.pdf(0.0) < measured.ci[1]
    assert measured.value == pytest.approx(2 * norm.pdf(0.0), rel=0.15)


def test_a_shifted_angle_is_found_and_the_bonds_are_not_accused():
    turned = water(1, degrees=109.5)
    measured = {each.name: each for each in structure_distances([turned], [water(2)], WATER)}
    assert measured["angle_distance"].ci[0] < 1.0 < measured["angle_distance"].ci[1]
    assert measured["angle_distance"].ci[0] > 0.3
    assert measured["bond_length_distance"].ci[0] < 0.02


def test_the_distance_is_the_wasserstein_distance_of_scipy():
    ours, theirs = water(1, longer=0.1, tau=0.0), water(2, tau=0.0)
    measured = bond_length_distance([ours], [theirs], WATER)
    lengths = [np.linalg.norm(each.positions[:, 1:], axis=2) for each in (ours, theirs)]
    expected = np.mean(
        [wasserstein_distance(lengths[0][:, i], lengths[1][:, i]) / lengths[1][:, i].std() for i in (0, 1)]
    )
    assert np.mean(measured.ci) == pytest.approx(expected, rel=2e-3)


def test_the_bond_that_differs_most_is_named():
    frames = water(1)
    moved = frames.positions.copy()
    moved[:, 2] *= 1.1
    assert "most at O0-H2" in bond_length_distance([recorded(moved)], [water(2)], WATER).note


def test_a_slow_reference_widens_the_interval():
    fast, slow = (bond_length_distance([water(1, tau=tau)], [water(2, tau=tau)], WATER) for tau in (0.0, 100.0))
    assert slow.ci[1] > 3 * fast.ci[1]


@pytest.mark.parametrize("shift", [1.0, 10.0])
def test_the_interval_of_correlated_samples_covers_the_truth(shift):
    intervals = [
        bond_length_distance([water(seed, n=400, longer=shift * WIDTH)], [water(500 + seed, n=400)], WATER).ci
        for seed in range(12)
    ]
    assert sum(low <= shift <= high for low, high in intervals) >= 11


def test_several_runs_are_compared_together():
    runs = [water(seed, n=300) for seed in range(8)]
    measured = bond_length_distance(runs[:4], runs[4:], WATER)
    assert measured.ci[0] < 0.02
    assert "runs of the reference" in measured.note


@settings(max_examples=5, deadline=None)
@given(st.floats(-np.pi, np.pi), st.integers(0, 100))
def test_turning_and_moving_the_molecule_changes_nothing(angle, seed):
    frames = water(3, n=200)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shift = np.random.default_rng(seed).normal(size=3)
    moved = recorded(frames.positions @ turn.T + shift)
    ours, theirs = (bond_length_distance([each], [water(4, n=200)], WATER).ci for each in (frames, moved))
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_an_ideal_gas_has_no_structure():
    start, frames = ideal_gas()
    rdf = radial_distribution(frames, start, 18, 18)
    assert rdf.g[rdf.r > 2.0] == pytest.approx(1.0, abs=0.35)
    assert rdf.g[rdf.r > 2.0].mean() == pytest.approx(1.0, abs=0.01)


def test_silicon_has_four_neighbours_at_its_bond_length():
    start, frames = silicon(amplitude=0.02)
    rdf = radial_distribution(frames, start, 14, 14)
    near = rdf.r < 3.0
    shells = 4 * np.pi * rdf.r**2 * rdf.g * 64 / (2 * 5.43) ** 3 * (rdf.r[1] - rdf.r[0])
    assert rdf.r[near][np.argmax(rdf.g[near])] == pytest.approx(5.43 * np.sqrt(3) / 4, abs=0.03)
    assert shells[near].sum() == pytest.approx(4.0 * 64 / 64, rel=0.02)


def test_one_crystal_may_be_alike_in_every_respect():
    start, frames = silicon(0)
    measured = structure_distances([frames], [silicon(1)[1]], start)
    assert names(measured) == [
        "bond_length_distance", "angle_distance", "neighbour_angle_distance", "rdf_distance_Si-Si",
    ]  # fmt: skip
    assert all(each.ci[0] < 0.02 for each in measured)


def test_a_crystal_shaken_harder_is_found_in_every_respect():
    start, frames = silicon(0, amplitude=0.25)
    for measured in structure_distances([frames], [silicon(1)[1]], start):
        assert measured.ci[0] > 0.0


def test_the_angles_of_silicon_are_those_of_its_four_neighbours():
    start, frames = silicon(0)
    note = neighbour_angle_distance([frames], [silicon(1)[1]], start).note
    assert 2.6 < float(note.split()[2]) < 3.6  # between its first two shells


def test_argon_is_compared_by_its_radial_distribution_alone():
    start, frames = ideal_gas(n=60)
    measured = structure_distances([frames], [ideal_gas(1, n=60)[1]], start)
    assert names(measured) == ["neighbour_angle_distance", "rdf_distance_Ar-Ar"]
    assert np.isnan(bond_length_distance([frames], [frames], start).value)


def test_atoms_that_keep_apart_differ_from_a_gas_by_their_radial_distribution():
    start, gas = ideal_gas()
    crystal_start, crystal = silicon(0)
    alike = Configuration(numbers=np.full(40, 18), positions=start.positions, cell=crystal_start.cell, pbc=(True,) * 3)
    ordered, lost = recorded(crystal.positions[:, :40]), recorded(gas.positions[:40] * 10.86 / 12.0)
    (measured,) = rdf_distances([ordered], [lost], alike)
    assert measured.ci[0] > 0.05


def test_every_two_species_are_compared():
    assert names(rdf_distances([water(1)], [water(2)], WATER)) == ["rdf_distance_H-H", "rdf_distance_H-O"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_positions_that_are_not_finite_are_no_structure(value):
    frames = water(1)
    frames.positions[500, 1, 0] = value
    for measured in structure_distances([frames], [water(2)], WATER):
        assert np.isnan(measured.value) and "not finite" in measured.note


def test_a_few_frames_are_too_few():
    assert np.isnan(bond_length_distance([water(1, n=10)], [water(2)], WATER).value)


def skew(pbc):
    rng = np.random.default_rng(5)
    cell = np.array([[6.0, 1.0, 0.5], [-1.0, 7.0, 1.0], [0.3, 1.0, 8.0]])
    if not all(pbc):
        cell = np.array([[6.0, 1.0, 0.0], [-1.0, 7.0, 0.0], [0.0, 0.0, 0.0]])
    return Configuration(numbers=np.full(30, 18), positions=rng.normal(size=(30, 3)) * 9.0, cell=cell, pbc=pbc)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False)])
def test_the_nearest_images_are_found_in_a_skew_cell(pbc):
    start = skew(pbc)
    images = np.array([(a, b, c) for a in range(-8, 9) for b in range(-8, 9) for c in range(-8, 9)]) * np.array(pbc)
    i, j = np.triu_indices(30, 1)
    apart = start.positions[j] - start.positions[i]
    exact = np.min(np.linalg.norm(apart[:, None] + np.unique(images, axis=0) @ start.cell, axis=2), axis=1)
    pairs, distances = neighbour_pairs(start.positions, start, 2.5)
    near = exact < 2.5
    assert sorted(map(tuple, pairs.tolist())) == sorted(zip(i[near].tolist(), j[near].tolist(), strict=True))
    assert np.sort(distances) == pytest.approx(np.sort(exact[near]), abs=1e-4)
    found = np.linalg.norm(separations(start.positions, np.stack([i, j], axis=1)[near], start), axis=1)
    assert found == pytest.approx(exact[near])
