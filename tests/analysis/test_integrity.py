"""Whether molecules stay whole."""

import MDAnalysis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdsuite_analysis.integrity import BondIntegrity, bond_graph

METHANE = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 1.09 / np.sqrt(3)
CH4 = ["C", "H", "H", "H", "H"]
DIAMOND = np.array(
    [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]], dtype=float
)


def silicon(repeats=2, lattice=5.43):
    """A cubic silicon crystal and its cell."""
    cells = np.stack(np.meshgrid(*[range(repeats)] * 3), axis=-1).reshape(-1, 1, 3)
    positions = ((DIAMOND / 4 + cells) * lattice).reshape(-1, 3)
    return positions, np.array([repeats * lattice] * 3 + [90.0] * 3, dtype=np.float32)


def with_hydrogen_at(distance, start=METHANE):
    """Methane with its first hydrogen moved out to a distance (Å) from carbon."""
    moved = start.copy()
    moved[1] *= distance / np.linalg.norm(start[1])
    return moved


def integrity(frames, elements=CH4, box=None, dt=0.5):
    frames = np.array(frames)
    universe = MDAnalysis.Universe.empty(len(elements), trajectory=False)
    universe.add_TopologyAttr("elements", elements)
    universe.load_new(frames, dimensions=None if box is None else np.tile(box, (len(frames), 1)), dt=dt)
    return BondIntegrity(universe.atoms).run().results


def measured(name, *arguments, **options):
    (found,) = [m for m in integrity(*arguments, **options).measurements if m.name == name]
    return found


NAMES = ["broken_bonds", "fragments_lost", "longest_stretch", "first_break_time"]


def test_methane_has_four_bonds():
    assert bond_graph(METHANE, CH4).pairs.tolist() == [[0, 1], [0, 2], [0, 3], [0, 4]]


def test_every_atom_of_silicon_has_four_bonds():
    positions, box = silicon()
    assert np.bincount(bond_graph(positions, ["Si"] * 64, box).pairs.ravel()).tolist() == [4] * 64


def test_argon_has_no_bonds():
    assert len(bond_graph(np.array([[0.0, 0, 0], [3.7, 0, 0]]), ["Ar", "Ar"]).pairs) == 0


def test_a_run_that_vibrates_breaks_nothing():
    assert measured("broken_bonds", [METHANE, with_hydrogen_at(1.3), METHANE]).value == 0


def test_a_bond_stretched_by_more_than_half_an_angstrom_is_broken():
    assert measured("broken_bonds", [METHANE, with_hydrogen_at(1.6)]).value == 1


def test_a_bond_that_comes_back_was_still_broken():
    assert measured("broken_bonds", [METHANE, with_hydrogen_at(2.0), METHANE]).value == 1


def test_a_lost_hydrogen_is_a_fragment():
    assert measured("fragments_lost", [METHANE, with_hydrogen_at(5.0)]).value == 1


def test_the_stretch_is_that_of_the_worst_bond():
    assert measured("longest_stretch", [METHANE, with_hydrogen_at(1.39)]).value == pytest.approx(0.3, abs=1e-5)


def test_the_first_break_has_its_time():
    frames = [METHANE, METHANE, with_hydrogen_at(2.0), with_hydrogen_at(3.0)]
    assert measured("first_break_time", frames).value == pytest.approx(1.0)


def test_a_run_without_a_break_has_no_time_of_it():
    assert np.isnan(measured("first_break_time", [METHANE, METHANE]).value)


def test_the_broken_atoms_are_named():
    assert measured("broken_bonds", [METHANE, with_hydrogen_at(2.0)]).note == "broken: C0-H1"


@pytest.mark.parametrize("name", NAMES[:2])
def test_positions_that_are_not_finite_break_everything(name):
    exploded = METHANE.copy()
    exploded[2, 1] = np.nan
    assert measured(name, [METHANE, exploded]).value == 4


def test_positions_that_are_not_finite_are_stretched_without_bound():
    assert measured("longest_stretch", [METHANE, np.full((5, 3), np.nan)]).value == np.inf


def test_a_structure_without_bonds_breaks_none_and_says_so():
    argon = np.array([[0.0, 0, 0], [3.7, 0, 0]])
    found = measured("broken_bonds", [argon, argon], elements=["Ar", "Ar"])
    assert (found.value, found.note) == (0.0, "no bonds in the start structure")


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_structure_without_bonds_does_not_pass_with_positions_that_are_not_finite(name):
    argon = np.array([[0.0, 0, 0], [3.7, 0, 0]])
    assert np.isnan(measured(name, [argon, argon * np.nan], elements=["Ar", "Ar"]).value)


def test_a_start_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="start structure has positions that are not finite"):
        integrity([METHANE * np.nan])


def test_a_bond_across_the_cell_is_not_broken_by_wrapping():
    positions, box = silicon()
    wrapped = (positions + 1.0) % box[:3]
    assert measured("broken_bonds", [positions, wrapped], elements=["Si"] * 64, box=box).value == 0


def test_an_atom_pushed_out_of_its_site_breaks_bonds_in_a_crystal():
    positions, box = silicon()
    pushed = positions.copy()
    pushed[0] -= 1.0
    assert measured("broken_bonds", [positions, pushed], elements=["Si"] * 64, box=box).value >= 1


def test_a_cell_too_small_for_nearest_images_is_refused():
    positions, box = silicon(repeats=1)
    with pytest.raises(ValueError, match=r"the cell is 5.43 Å wide.*repeat the cell"):
        bond_graph(positions, ["Si"] * 8, box)


def test_a_single_atom_has_no_bonds():
    assert len(bond_graph(np.zeros((1, 3)), ["Ar"]).pairs) == 0


def test_atoms_without_an_element_are_refused():
    with pytest.raises(ValueError, match="no covalent radius is known for 'X'"):
        bond_graph(METHANE, ["X", *CH4[1:]])


@given(order=st.permutations(range(5)))
def test_the_order_of_atoms_does_not_matter(order):
    frames = [METHANE[order], with_hydrogen_at(2.0)[order]]
    assert measured("fragments_lost", frames, elements=[CH4[i] for i in order]).value == 1


@given(shift=st.floats(-50.0, 50.0))
def test_the_place_of_the_molecule_does_not_matter(shift):
    assert measured("broken_bonds", [METHANE, with_hydrogen_at(2.0) + shift]).value == 1


def test_two_molecules_break_twice_as_many_bonds():
    both = [np.concatenate([frame, frame + 20.0]) for frame in (METHANE, with_hydrogen_at(2.0))]
    assert measured("broken_bonds", both, elements=CH4 * 2).value == 2
