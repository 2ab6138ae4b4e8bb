"""Steps of energy and forces, in vacuum and in company."""

from dataclasses import replace

import numpy as np
import pytest
from pair_potentials import (
    CUTOFF,
    capped,
    changed,
    cluster,
    crystal,
    morse,
    noisy,
    pairwise,
    rounded,
    shifted,
    switched,
    truncated,
)

from mdsuite_analysis.statics.cutoff import crossings, crowded, cutoff_at_edge, cutoff_in_company, cutoff_in_vacuum
from mdsuite_analysis.statics.path import straight

ENERGY = FORCE = 1e-4
RELATIVE = 3e-3
JUMPS = ("cutoff_energy_jump", "cutoff_force_jump")


def vacuum(potential, name, cutoff=CUTOFF, frame=None):
    found = cutoff_in_vacuum(potential, frame or cluster(), cutoff)
    return {each.subject["pair"]: each for each in found if each.name == name}


def company(potential, name, frame, cutoff=CUTOFF):
    found = cutoff_in_company(potential, frame, cutoff)
    return {each.subject["pair"]: each for each in found if each.name == name}


def tiny_step(r):
    """A step of 3e-4 eV at 3.217 Å, where no cut-off is declared."""
    e, de = switched(r)
    return e + 3e-4 * (r > 3.217), de


def test_a_smooth_potential_has_no_steps_where_no_cutoff_is_declared():
    every = [*cutoff_in_vacuum(pairwise(), cluster(), None), *cutoff_in_company(pairwise(), crystal(), None)]
    assert max(each.ci[1] for each in every if each.name in JUMPS) < ENERGY / 10


@pytest.mark.parametrize("cutoff", [CUTOFF, None])
@pytest.mark.parametrize(
    ("curve", "steps"), [(truncated, "cutoff_energy_jump"), (shifted, "cutoff_force_jump"), (switched, "")]
)
def test_before_a_run_the_cutoff_of_every_pair_is_looked_at(curve, steps, cutoff):
    asked = []

    def potential(configuration):
        asked.append(configuration)
        return pairwise(curve)(configuration)

    at_edge = {(each.name, each.subject["pair"]): each for each in cutoff_at_edge(potential, cluster(), cutoff)}
    for pair in ("C-C", "C-O", "O-O"):
        found = {name for name in JUMPS if at_edge[name, pair].ci[0] > ENERGY}
        assert steps in found if steps else not found
    closest = min(np.linalg.norm(np.diff(each.positions, axis=0)) for each in asked if len(each.numbers) == 2)
    assert closest == pytest.approx(CUTOFF - 1.0) if cutoff else closest < 2.0
    assert not any(name.startswith("bond") for name, _ in at_edge)


@pytest.mark.parametrize("cutoff", [CUTOFF, None])
def test_a_truncated_potential_jumps_at_the_cutoff_for_every_pair(cutoff):
    jumps = vacuum(pairwise(truncated), "cutoff_energy_jump", cutoff)
    assert set(jumps) == {"C-C", "C-O", "O-O"}
    assert jumps["C-C"].value == pytest.approx(-morse(np.array(CUTOFF))[0], rel=1e-6)
    assert all(each.ci[0] > ENERGY for each in jumps.values())
    found = vacuum(pairwise(truncated), "cutoff_found", cutoff)
    assert found["C-O"].value == pytest.approx(CUTOFF, abs=1e-7)


def test_a_step_that_nobody_declared_is_found():
    jump = vacuum(pairwise(tiny_step), "cutoff_energy_jump", None, crystal())["C-C"]
    assert jump.value == pytest.approx(3e-4, rel=1e-3)
    assert "r = 3.217" in jump.note


def test_a_truncated_potential_in_single_precision_is_flagged():
    jumps = vacuum(rounded(pairwise(truncated), np.float32), "cutoff_energy_jump")
    assert min(each.ci[0] for each in jumps.values()) > ENERGY


def test_a_shifted_potential_jumps_in_the_force_only():
    assert vacuum(pairwise(shifted), "cutoff_energy_jump", frame=crystal())["C-C"].ci[1] < ENERGY
    jump = vacuum(pairwise(shifted), "cutoff_force_jump", frame=crystal())["C-C"]
    assert jump.value == pytest.approx(morse(np.array(CUTOFF))[1], rel=1e-4)
    assert jump.ci[0] > FORCE
    assert vacuum(pairwise(shifted), "cutoff_force_jump_relative", frame=crystal())["C-C"].ci[0] > RELATIVE


@pytest.mark.parametrize("frame", [cluster(), crystal()])
def test_a_truncated_potential_jumps_in_company(frame):
    assert min(each.ci[0] for each in company(pairwise(truncated), "cutoff_energy_jump", frame).values()) > ENERGY


def test_a_cap_on_neighbours_shows_in_a_dense_frame_and_not_in_vacuum():
    assert max(each.ci[1] for each in vacuum(capped(5), "cutoff_force_jump", frame=crystal()).values()) < FORCE
    assert company(capped(5), "cutoff_force_jump", crystal(), None)["embedded"].ci[0] > FORCE


def test_a_cap_that_a_small_molecule_never_reaches_shows_in_a_crowd():
    jumps = company(capped(20), "cutoff_energy_jump", cluster(), None)
    assert jumps["embedded"].ci[1] < ENERGY < jumps["crowd"].ci[0]


def test_noise_is_no_step():
    noise = noisy(pairwise(), energy=2e-5)
    jumps = [
        *vacuum(noise, "cutoff_energy_jump", frame=crystal()).values(),
        *company(noise, "cutoff_energy_jump", crystal()).values(),
    ]
    assert max(each.ci[0] for each in jumps) < ENERGY


def test_no_force_reaches_beyond_the_cutoff_unless_it_does():
    assert vacuum(pairwise(), "force_beyond_cutoff", frame=crystal())["C-C"].value == 0.0
    assert vacuum(pairwise(), "force_beyond_cutoff", 3.5, crystal())["C-C"].value > 1e-2


def test_the_end_of_a_smooth_interaction_is_found():
    assert vacuum(pairwise(), "cutoff_found", None, crystal())["C-C"].value == pytest.approx(CUTOFF, abs=0.05)


def test_a_single_well_is_not_tortuous_and_a_wavy_one_is():
    def wavy(r):
        e, de = switched(r)
        return e + 0.05 * np.sin(8.0 * r), de + 0.4 * np.cos(8.0 * r)

    single, many = (
        {each.name: each.value for each in cutoff_in_vacuum(pairwise(curve), crystal(), CUTOFF)}
        for curve in (switched, wavy)
    )
    assert single["bond_tortuosity"] == pytest.approx(1.0, abs=1e-6) and single["bond_force_flips"] == 1.0
    assert many["bond_tortuosity"] > 1.05 and many["bond_force_flips"] > 1.0
    assert many["bond_energy_jump"] > single["bond_energy_jump"]


def test_energies_that_are_not_finite_are_nan_with_the_reason():
    broken = changed(pairwise(), lambda _, e: replace(e, energy=float("nan")))
    jump = vacuum(broken, "cutoff_energy_jump")["C-C"]
    assert np.isnan(jump.value) and "nan" in jump.note


def test_a_crowd_holds_copies_that_do_not_touch():
    crowd = crowded(cluster())
    distances = np.linalg.norm(crowd.positions[:6, None] - crowd.positions[None, 6:], axis=2)
    assert len(crowd.numbers) == 60 and distances.min() >= 2.0 - 1e-9


def test_crossings_are_counted_over_images():
    frame = replace(crystal(), numbers=np.array([6]), positions=np.zeros((1, 3)), cell=10.0 * np.eye(3))
    pair = replace(frame, numbers=np.array([6, 6]), positions=np.array([[0.0, 0.0, 0.0], [5.9, 0.0, 0.0]]))
    assert crossings(straight(pair, np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])), 1, 1.0, 4.0) == 1


def test_a_bend_too_sharp_for_single_precision_passes_for_smooth():
    """As the length of a vector that nearly vanishes, with a constant under the root."""

    def bent(r):
        e, de = switched(r)
        root = np.sqrt((r - 1.7) ** 2 + 1e-10)
        return e + 0.02 * root, de + 0.02 * (r - 1.7) / root

    for dtype in (np.float64, np.float32):
        jump = vacuum(rounded(pairwise(bent), dtype), "cutoff_force_jump_relative", 2.5, crystal())["C-C"]
        assert jump.ci[1] < RELATIVE
