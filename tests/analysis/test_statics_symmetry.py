"""Symmetries, net force and torque, extensivity and locality."""

from dataclasses import replace

import numpy as np
import pytest
from pair_potentials import changed, cluster, crystal, pairwise, rounded, separations

from mdsuite_analysis.statics.locality import extensivity, locality
from mdsuite_analysis.statics.symmetry import (
    net_force,
    net_torque,
    permutation_spread,
    reflection_spread,
    rotation_spread,
    symmetry,
    translation_spread,
)

FRAMES = [cluster(), crystal()]
ENERGY, FORCE = 0.01, 1e-4  # meV/atom, 1


def with_energy(extra, potential=None):
    """A potential with an energy of positions and numbers added, and its gradient by differences."""

    def change(configuration, e):
        x = configuration.positions
        h = 1e-5
        gradient = np.zeros_like(x)
        for k in np.ndindex(*x.shape):
            step = np.zeros_like(x)
            step[k] = h
            ends = [extra(replace(configuration, positions=x + s * step)) for s in (1.0, -1.0)]
            gradient[k] = (ends[0] - ends[1]) / (2.0 * h)
        return replace(e, energy=e.energy + extra(configuration), forces=e.forces - gradient)

    return changed(potential or pairwise(), change)


def along_x(configuration):
    """A Cartesian axis that is not like the others: what a mixing matrix does."""
    d, r = separations(configuration)
    return float(0.05 * (d[:, :, 0] ** 2 / r**2 * np.exp(-(r**2))).sum())


def chiral(configuration):
    """The signed volume of four atoms: turns with the frame, changes sign in a mirror."""
    a, b, c = configuration.positions[1:4] - configuration.positions[0]
    return float(0.1 * np.dot(a, np.cross(b, c)))


def by_index(configuration):
    """The first atom binds more."""
    _, r = separations(configuration)
    return float(0.1 * np.exp(-(r[0] ** 2)).sum())


def in_a_field(configuration):
    """Atoms pulled towards a fixed point."""
    return float(0.01 * (configuration.positions**2).sum())


def spreads(check, potential, frame):
    energy, force = check(potential, frame)
    assert energy.unit == "meV/atom" and force.unit == "1"
    return energy, force


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sound_potential_is_symmetric(frame, dtype):
    for each in symmetry(rounded(pairwise(offset=-100.0), dtype), frame):
        assert each.ci[1] < (ENERGY if each.unit == "meV/atom" else FORCE), each


@pytest.mark.parametrize(
    ("check", "extra"),
    [
        (rotation_spread, along_x),
        (reflection_spread, chiral),
        (permutation_spread, by_index),
        (translation_spread, in_a_field),
    ],
)
def test_a_broken_symmetry_is_flagged_in_energy_and_forces(check, extra):
    energy, force = spreads(check, with_energy(extra), cluster())
    assert energy.ci[0] > ENERGY and force.ci[0] > FORCE


def test_a_chiral_potential_still_rotates():
    energy, _ = spreads(rotation_spread, with_energy(chiral), cluster())
    assert energy.ci[1] < ENERGY


def test_a_potential_that_knows_only_next_images_is_flagged():
    """As one that takes atoms to lie in the cell."""

    def change(configuration, e):
        d = configuration.positions[None] - configuration.positions[:, None]
        shifts = np.clip(np.round(d @ np.linalg.inv(configuration.cell)), -1, 1)
        r2 = ((d - shifts @ configuration.cell) ** 2).sum(axis=2)
        return replace(e, energy=float(np.exp(-r2).sum()))

    energy, _ = spreads(translation_spread, changed(pairwise(), change), crystal())
    assert energy.ci[0] > ENERGY


def test_forces_that_do_not_turn_with_the_frame_are_flagged_where_energies_do():
    crooked = changed(pairwise(), lambda _, e: replace(e, forces=e.forces * np.array([1.01, 1.0, 1.0])))
    energy, force = spreads(rotation_spread, crooked, cluster())
    assert energy.ci[1] < ENERGY and force.ci[0] > FORCE


def test_elements_exchanged_without_their_atoms_are_flagged():
    def sorted_numbers(configuration):
        return pairwise()(replace(configuration, numbers=np.sort(configuration.numbers)))

    energy, _ = spreads(permutation_spread, sorted_numbers, cluster())
    assert energy.ci[0] > ENERGY


def test_a_potential_that_refuses_turned_cells_is_not_run():
    def triangular(configuration):
        if np.abs(np.triu(configuration.cell, 1)).max() > 1e-9:
            raise ValueError("the cell must be lower triangular")
        return pairwise()(configuration)

    energy, force = spreads(rotation_spread, triangular, replace(crystal(), cell=8.6 * np.eye(3)))
    assert np.isnan(energy.value) and np.isnan(force.value)
    assert energy.note.startswith("not run: the model raised ValueError: the cell must be lower triangular")


@pytest.mark.parametrize("frame", FRAMES)
def test_a_net_force_is_flagged(frame):
    pulled = changed(pairwise(), lambda _, e: replace(e, forces=e.forces + np.array([0.01, 0.0, 0.0])))
    assert net_force(pulled, frame).ci[0] > 1e-3
    assert net_force(pairwise(), frame).ci[1] < 1e-12


def test_a_net_torque_is_flagged():
    def twist(configuration, e):
        arms = configuration.positions - configuration.positions.mean(axis=0)
        return replace(e, forces=e.forces + 0.05 * np.cross([0.0, 0.0, 1.0], arms))

    assert net_torque(changed(pairwise(), twist), cluster()).ci[0] > 1e-3
    assert net_torque(pairwise(), cluster()).ci[1] < 1e-12


def test_unrelated_forces_have_a_net_force_of_one():
    rng = np.random.default_rng(0)
    unrelated = changed(pairwise(), lambda _, e: replace(e, forces=rng.normal(size=e.forces.shape)))
    assert net_force(unrelated, crystal()).value == pytest.approx(1.0, abs=0.6)


@pytest.mark.parametrize("frame", FRAMES)
def test_two_of_a_thing_have_twice_its_energy(frame):
    assert extensivity(pairwise(), frame).ci[1] < 1e-9
    assert locality(pairwise(), frame).value < 1e-12


@pytest.mark.parametrize("frame", FRAMES)
def test_an_energy_that_is_not_extensive_is_flagged(frame):
    def constant(_, e):
        return replace(e, energy=e.energy + 0.5)

    found = extensivity(changed(pairwise(), constant), frame)
    assert found.value == pytest.approx(1000.0 * 0.5 / (2 * len(frame.numbers)))
    assert found.ci[0] > 1.0


@pytest.mark.parametrize("frame", FRAMES)
def test_a_force_that_depends_on_the_number_of_atoms_is_flagged(frame):
    normalised = changed(pairwise(), lambda c, e: replace(e, forces=e.forces * (1.0 + 1.0 / len(c.numbers))))
    assert locality(normalised, frame).value > 1e-3


def test_a_potential_that_feels_far_atoms_is_flagged():
    def coulomb(configuration, e):
        d, r = separations(configuration)
        return replace(e, forces=e.forces - (5.0 * d / r[:, :, None] ** 3 * (r < 100)[:, :, None]).sum(axis=1))

    assert locality(changed(pairwise(), coulomb), cluster()).value > 1e-3
