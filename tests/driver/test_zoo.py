"""Every animal of the defect zoo has the defect that it is kept for, and its clean twin has none."""

from __future__ import annotations

import itertools

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.spatial.transform import Rotation

from mdsuite_driver import zoo
from mdsuite_driver.bundled import inputs_folder
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration, ModelError
from mdsuite_driver.zoo import ANIMALS
from mdsuite_driver.zoo.hosts import EPSILON_SIGMA, NobleGas, taper

CAUSES = {
    "cutoff_discontinuity", "non_conservative_forces", "timestep", "precision", "stale_neighbour_list",
    "nondeterminism", "not_rotation_invariant", "not_permutation_invariant", "not_extensive", "virial_inconsistent",
    "engine_mismatch", "unit_mismatch", "wrong_potential", "not_translation_invariant",
}  # fmt: skip
R_C = NobleGas().cutoff


def of(atoms: Atoms, positions=None) -> Configuration:
    return Configuration(
        numbers=atoms.numbers.astype(np.int64),
        positions=np.array(atoms.positions if positions is None else positions, dtype=float),
        cell=np.array(atoms.cell[:]),
        pbc=tuple(bool(each) for each in atoms.pbc),
    )


def bundled(name: str) -> Atoms:
    return ase.io.read(inputs_folder() / "structures" / f"{name}.extxyz")


def cluster(n: int = 13, symbol: str = "Ar", seed: int = 0) -> Atoms:
    """Atoms about 3.8 Å apart, without symmetry."""
    grid = 3.8 * np.array(list(itertools.product(range(3), repeat=3)), dtype=float)[:n]
    return Atoms(f"{symbol}{n}", positions=grid + np.random.default_rng(seed).normal(scale=0.25, size=grid.shape))


def dimer(r: float, symbols: str = "ArAr") -> Configuration:
    return of(Atoms(symbols, positions=[[0.0, 0.0, 0.0], [r, 0.0, 0.0]]))


def ethanol() -> Atoms:
    return bundled("ethanol")


FRAMES = {"argon": cluster, "student": ethanol}


def animal(name: str, host: str = "argon", strength: float | None = None):
    return load(ANIMALS[name].source(host, strength=strength))


def pairs_of(names=None) -> list:
    chosen = [ANIMALS[name] for name in names] if names else [each for each in ANIMALS.values() if each.factory]
    return [pytest.param(each.name, host, id=f"{each.name}-{host}") for each in chosen for host in each.hosts]


def everyone(names=None):
    return pytest.mark.parametrize(("name", "host"), pairs_of(names))


def same(a, b, energy: float = 1e-9, forces: float = 1e-9) -> bool:
    return (
        abs(a.energy - b.energy) <= energy
        and np.allclose(a.forces, b.forces, rtol=0, atol=forces)
        and np.allclose(a.virial, b.virial, rtol=0, atol=1e-8)
    )


def force_error(model, frame: Configuration, h: float = 1e-4) -> float:
    """Worst difference of the forces along three directions from the slope of the energy, relative to the forces."""
    rng, worst, forces = np.random.default_rng(1), 0.0, model.evaluate(frame).forces
    for _ in range(3):
        u = rng.normal(size=frame.positions.shape)
        u *= 1 / np.linalg.norm(u)
        e = [model.evaluate(moved(frame, s * h * u)).energy for s in (-2, -1, 1, 2)]
        slope = (e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * h)
        worst = max(worst, abs(slope + (forces * u).sum()) / np.sqrt((forces**2).mean()))
    return worst


def moved(frame: Configuration, by) -> Configuration:
    return Configuration(numbers=frame.numbers, positions=frame.positions + by, cell=frame.cell, pbc=frame.pbc)


def permuted(frame: Configuration, order) -> Configuration:
    return Configuration(numbers=frame.numbers[order], positions=frame.positions[order], cell=frame.cell, pbc=frame.pbc)


def turned(frame: Configuration, turn) -> Configuration:
    return Configuration(numbers=frame.numbers, positions=frame.positions @ turn, cell=frame.cell, pbc=frame.pbc)


def work_residuals(model, frame: Configuration, length: float, n: int = 30):
    """ΔE + ½(F + F')·dx of each step along a straight path: of third order in the step unless the energy steps."""
    direction = np.random.default_rng(3).normal(size=frame.positions.shape)
    points = [frame.positions + s * length / n * direction for s in range(n + 1)]
    answers = [model.evaluate(moved(frame, x - frame.positions)) for x in points]
    dx = points[1] - points[0]
    return np.array(
        [b.energy - a.energy + 0.5 * ((a.forces + b.forces) * dx).sum() for a, b in itertools.pairwise(answers)]
    )


# The hosts


def test_the_student_host_is_the_bundled_student_to_the_bit():
    ours, bundled_one = animal("clean", "student"), load("painn-ultra-tiny")
    assert ours.evaluate(of(ethanol())).energy == bundled_one.evaluate(of(ethanol())).energy
    assert np.array_equal(ours.evaluate(of(ethanol())).forces, bundled_one.evaluate(of(ethanol())).forces)


def test_the_taper_has_three_continuous_derivatives():
    r = np.array([6.0 - 1e-3, 6.0 + 1e-3, 7.0 - 1e-3, 7.0 + 1e-3])
    value, slope = taper(r, 6.0, 7.0)
    np.testing.assert_allclose(value, [1, 1, 0, 0], atol=1e-10)
    np.testing.assert_allclose(slope, 0, atol=1e-6)


@pytest.mark.parametrize(
    "symbols", ["".join(pair) for pair in itertools.combinations_with_replacement(["Ne", "Ar", "Kr", "Xe"], 2)]
)
def test_every_pair_of_noble_gases_is_bound_and_ends_smoothly(symbols: str):
    model = animal("clean")
    sigma = np.mean([EPSILON_SIGMA[z][1] for z in Atoms(symbols).numbers])
    assert model.evaluate(dimer(1.12 * sigma, symbols)).energy < -2e-3
    assert abs(model.evaluate(dimer(R_C - 1e-3, symbols)).forces).max() < 1e-9


def test_argon_takes_no_other_elements():
    with pytest.raises(ModelError, match=r"not for Z = \[6\]"):
        animal("clean").evaluate(dimer(4.0, "ArC"))


def test_an_unknown_host_is_refused():
    with pytest.raises(ModelError, match="wanted the host argon or student, got 'water'"):
        load("ase:mdsuite_driver.zoo:curl?host=water")


@pytest.mark.parametrize("query", ["arithmetic?dtype=float8", "unit_slip?what=time"])
def test_an_unknown_variant_is_refused(query: str):
    with pytest.raises(ModelError, match="wanted"):
        load(f"ase:mdsuite_driver.zoo:{query}")


def test_the_virial_of_clean_argon_is_the_slope_of_its_energy_by_strain():
    np.testing.assert_allclose(animal("clean").evaluate(CRYSTAL).virial, strain_slopes(animal("clean")), atol=1e-5)


# The catalogue


def test_the_catalogue_has_every_factory():
    factories = set(zoo.__all__) - {"ANIMALS", "Animal"}
    assert {each.factory for each in ANIMALS.values() if each.factory} == factories


def test_causes_are_those_of_the_contract():
    assert {cause for each in ANIMALS.values() for cause in each.causes} <= CAUSES


def test_every_defect_should_be_found_by_something():
    known = {"static", "ledger", "run", "reversal"}
    assert all(each.found_by and set(each.found_by) <= known for each in ANIMALS.values() if each.name != "clean")


def test_a_defect_of_the_run_has_no_model():
    with pytest.raises(ValueError, match="no model of large_timestep"):
        ANIMALS["large_timestep"].source("argon")


@everyone()
def test_without_strength_an_animal_is_its_clean_twin(name: str, host: str):
    twin, clean = animal(name, host, strength=0), animal("clean", host)
    for frame in (of(FRAMES[host]()), moved(of(FRAMES[host]()), 0.01)):
        assert same(twin.evaluate(frame), clean.evaluate(frame))


@everyone()
def test_an_animal_does_the_same_whenever_it_is_made_anew(name: str, host: str):
    frames = [moved(of(FRAMES[host]()), by) for by in (0.0, 0.0, 0.02)]
    first, second = ([model.evaluate(f).forces for f in frames] for model in (animal(name, host), animal(name, host)))
    np.testing.assert_array_equal(first, second)


BOXES = {"argon": bulk("Ar", "fcc", 5.4, cubic=True).repeat(2), "student": ethanol()}
BOXES["argon"].rattle(0.2, seed=1)
BOXES["student"].set_cell(np.diag([12.0, 12.0, 12.0]))
BOXES["student"].pbc = True


@everyone([name for name, each in ANIMALS.items() if each.factory and name not in ("nan_gap", "float16")])
def test_an_animal_lives_in_a_periodic_cell_and_without_one(name: str, host: str):
    lone = FRAMES[host]()[:1]
    for atoms, stressed in ((BOXES[host].copy(), True), (FRAMES[host](), False), (lone, False)):
        atoms.calc = animal(name, host)._calculator
        assert np.isfinite(atoms.get_forces()).all()
        assert ("stress" in atoms.calc.results) == stressed


CONSERVATIVE = [
    "clean", "truncated", "shifted", "biased_filters", "neighbour_cap", "cartesian_mixing", "not_extensive",
    "not_permutation_invariant", "wrong_potential", "unit_slip_both", "one_pair_jump", "coordination_switch",
    "angle_branch", "boundary_step", "chiral", "external_field", "spin_up", "virial_sign", "cell_offset",
]  # fmt: skip
NON_CONSERVATIVE = [
    "curl", "scaled", "direct", "noisy", "unit_slip_energy", "unit_slip_forces", "unit_slip_positions",
    "rounded_forces", "mutating", "bfloat16",
]  # fmt: skip


@everyone(CONSERVATIVE)
def test_forces_are_the_slope_of_the_energy(name: str, host: str):
    model = animal(name, host)
    model.evaluate(of(FRAMES[host]()))  # past a first call that differs
    assert force_error(model, of(FRAMES[host]())) < 1e-6


@everyone(NON_CONSERVATIVE)
def test_forces_are_not_the_slope_of_the_energy(name: str, host: str):
    assert force_error(animal(name, host), of(FRAMES[host]())) > 5e-4


STEPPING = {
    "truncated": ["argon"], "biased_filters": ["student"], "neighbour_cap": ["student"],
    "coordination_switch": ["argon", "student"], "angle_branch": ["argon", "student"],
    "boundary_step": ["argon"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "host"), [(name, host) for name, hosts in STEPPING.items() for host in hosts])
def test_the_energy_steps_along_a_path(name: str, host: str):
    frame = CRYSTAL if host == "argon" else of(bundled("toluene" if name == "biased_filters" else "ethanol"))
    defective, clean = (work_residuals(animal(name, host, strength=s), frame, 0.15) for s in (None, 0))
    assert abs(defective).max() > 5 * abs(clean).max() and abs(defective).max() > 2e-4


# Steps


def test_truncation_steps_by_the_energy_at_the_cut_off():
    x = (3.40 / R_C) ** 6
    inside = animal("truncated").evaluate(dimer(R_C - 1e-9)).energy
    assert inside == pytest.approx(4 * 0.0104 * (x * x - x), rel=1e-6)


def test_half_the_truncation_steps_by_half():
    whole, half = (animal("truncated", strength=s).evaluate(dimer(R_C - 1e-9)).energy for s in (1, 0.5))
    assert half == pytest.approx(0.5 * whole, rel=1e-9)


def test_a_shifted_potential_steps_in_its_force_alone():
    x = (3.40 / R_C) ** 6
    inside = animal("shifted").evaluate(dimer(R_C - 1e-9))
    assert abs(inside.energy) < 1e-11
    assert inside.forces[0, 0] == pytest.approx(24 * 0.0104 * (x - 2 * x * x) / R_C, rel=1e-6)


def test_biased_filters_step_at_the_cut_off_of_the_student():
    steps = []
    for strength in (1, 0):
        model = animal("biased_filters", "student", strength)
        steps.append(model.evaluate(dimer(5 - 1e-7, "CO")).energy - model.evaluate(dimer(5 + 1e-7, "CO")).energy)
    assert abs(steps[0]) > 1e-3
    assert abs(steps[1]) < 1e-9


def test_a_cap_that_nobody_reaches_changes_nothing():
    capped = load("ase:mdsuite_driver.zoo:neighbour_cap?host=student&cap=8")
    assert same(capped.evaluate(of(ethanol())), animal("clean", "student").evaluate(of(ethanol())))


def test_a_cap_of_twenty_loses_argon_neighbours():
    capped, clean = (animal("neighbour_cap", strength=s).evaluate(CRYSTAL).energy for s in (1, 0))
    assert capped - clean > 0.1


def test_only_pairs_of_hydrogen_and_oxygen_step():
    model = animal("one_pair_jump", "student")
    steps = {
        s: model.evaluate(dimer(2.6 - 1e-9, s)).energy - model.evaluate(dimer(2.6, s)).energy
        for s in ("OH", "CH", "OC")
    }
    assert steps == pytest.approx({"OH": 1e-3, "CH": 0.0, "OC": 0.0}, abs=1e-7)


def test_wrapping_an_atom_costs_energy():
    inside = of(Atoms("Ar", positions=[[1.0, 1.0, 1.0]], cell=[9, 9, 9], pbc=True))
    costs = [animal("boundary_step").evaluate(moved(inside, by)).energy for by in ([0, 0, 0], [9, 0, 0])]
    assert costs[1] - costs[0] == pytest.approx(1e-3, abs=1e-12)


# Forces


def test_a_pair_led_around_the_axis_gains_the_work_of_the_curl():
    r, n, model = 4.0, 24, animal("curl", strength=0.01)
    angles = 2 * np.pi * np.arange(n) / n
    work = 0.0
    for angle in angles:
        out, along = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
        forces = model.evaluate(of(Atoms("Ar2", positions=[-0.5 * r * out, 0.5 * r * out]))).forces
        work += (forces[1] - forces[0]) @ along * np.pi * r / n
    assert abs(work) == pytest.approx(0.01 * taper(np.array([r]), 0.0, R_C)[0][0] * 2 * np.pi * r, rel=1e-9)


@everyone(["curl", "direct", "noisy"])
def test_the_net_force_is_zero_unless_it_is_noise(name: str, host: str):
    net = abs(animal(name, host).evaluate(of(FRAMES[host]())).forces.sum(axis=0)).max()
    assert (net > 1e-4) == (name == "noisy")


@everyone(["direct"])
def test_direct_forces_turn_with_the_axes_and_exert_no_torque(name: str, host: str):
    model, frame, turn = animal(name, host), of(FRAMES[host]()), Rotation.random(random_state=0).as_matrix()
    forces = model.evaluate(frame).forces
    np.testing.assert_allclose(model.evaluate(turned(frame, turn)).forces, forces @ turn, atol=1e-10)
    np.testing.assert_allclose(np.cross(frame.positions, forces).sum(axis=0), 0, atol=1e-10)


@pytest.mark.parametrize(("strength", "asymmetric"), [(0.03, True), (0, False)])
def test_the_jacobian_of_direct_forces_is_not_symmetric(strength: float, asymmetric: bool):
    model, frame, h = animal("direct", "argon", strength), of(cluster(4)), 1e-4
    columns = []
    for unit in np.eye(12).reshape(12, 4, 3):
        up, down = (model.evaluate(moved(frame, s * h * unit)).forces for s in (1, -1))
        columns.append((up - down).ravel() / (2 * h))
    jacobian = np.array(columns)
    assert (np.linalg.norm(jacobian - jacobian.T) > 1e-3 * np.linalg.norm(jacobian)) == asymmetric


@pytest.mark.parametrize(("host", "structure"), [("argon", "argon"), ("student", "ethanol")])
def test_the_field_of_direct_forces_is_as_strong_as_stated(host: str, structure: str):
    defective, clean = (animal("direct", host, s).evaluate(of(bundled(structure))).forces for s in (0.1, 0))
    assert np.sqrt(((defective - clean) ** 2).mean() / (clean**2).mean()) == pytest.approx(0.1, rel=0.15)


def test_scaled_forces_are_a_thousandth_too_large():
    defective, clean = (animal("scaled", strength=s).evaluate(of(cluster())) for s in (None, 0))
    np.testing.assert_allclose(defective.forces, 1.001 * clean.forces, rtol=1e-12)
    assert defective.energy == clean.energy


def test_clipped_forces_are_no_longer_than_the_limit():
    stretched = ethanol()
    stretched.positions[0] += 0.1
    forces = animal("clipped", "student").evaluate(of(stretched)).forces
    assert np.linalg.norm(forces, axis=1).max() == pytest.approx(2.0)
    assert force_error(animal("clipped", "student"), of(stretched)) > 5e-4


def test_rounded_forces_are_whole_multiples():
    forces = animal("rounded_forces").evaluate(of(cluster())).forces
    np.testing.assert_allclose(forces / 1e-3, np.rint(forces / 1e-3), atol=1e-9)


# Chance


def test_noise_differs_from_call_to_call_by_its_strength():
    model, frame = animal("noisy", strength=0.01), of(cluster())
    forces = np.array([model.evaluate(frame).forces for _ in range(40)])
    assert forces.std(axis=0).mean() == pytest.approx(0.01, rel=0.1)


def test_energies_differ_from_call_to_call_by_their_strength_and_forces_do_not():
    model, frame = animal("nondeterministic", strength=0.01), of(cluster())
    answers = [model.evaluate(frame) for _ in range(200)]
    assert np.std([each.energy for each in answers]) == pytest.approx(0.01, rel=0.2)
    assert np.array_equal(answers[0].forces, answers[1].forces)


def test_a_rare_outlier_strikes_as_often_as_stated():
    model, frame = load("ase:mdsuite_driver.zoo:rare_outlier?every=10"), dimer(4.0)
    energies = np.array([model.evaluate(frame).energy for _ in range(300)])
    struck = energies > np.median(energies) + 0.5
    assert 15 <= struck.sum() <= 50


def test_only_the_first_call_of_a_spin_up_differs():
    model, frame = animal("spin_up"), dimer(4.0)
    energies = np.array([model.evaluate(frame).energy for _ in range(3)])
    np.testing.assert_allclose(energies - energies[-1], [0.1, 0, 0], atol=1e-12)


def test_an_ageing_model_gains_the_same_at_every_call():
    model, frame = animal("ageing"), dimer(4.0)
    np.testing.assert_allclose(np.diff([model.evaluate(frame).energy for _ in range(4)]), 1e-4, rtol=1e-6)


def test_asking_once_for_everything_is_one_call():
    atoms = cluster()
    atoms.calc = animal("ageing")._calculator
    assert atoms.get_potential_energy() == atoms.calc.results["energy"] == atoms.get_potential_energy()


# Memory


def test_a_stale_list_misses_what_came_near_until_an_atom_has_moved_far_enough():
    stale, clean = animal("stale_list"), animal("clean")
    stale.evaluate(dimer(R_C + 0.1))
    assert stale.evaluate(dimer(R_C - 0.39)).energy == 0.0 != clean.evaluate(dimer(R_C - 0.39)).energy
    assert stale.evaluate(dimer(R_C - 0.41)).energy == clean.evaluate(dimer(R_C - 0.41)).energy


def test_a_stale_list_is_not_made_anew_because_an_atom_was_wrapped():
    stale, there = animal("stale_list"), CRYSTAL.positions.copy()
    stale.evaluate(CRYSTAL)
    near = moved(CRYSTAL, np.where(np.arange(len(there))[:, None] % 2, 0.1, -0.1))
    wrapped = moved(near, np.eye(len(there))[:, :1] @ CRYSTAL.cell[:1])
    expected = stale.evaluate(near).energy
    assert expected != animal("clean").evaluate(near).energy
    assert stale.evaluate(wrapped).energy == pytest.approx(expected, abs=1e-9)


def test_another_system_gets_a_list_of_its_own():
    stale = animal("stale_list")
    stale.evaluate(CRYSTAL)
    assert same(stale.evaluate(of(cluster())), animal("clean").evaluate(of(cluster())))


@pytest.mark.parametrize(("lag", "seen"), [(1, 4.1), (2, 4.0)])
def test_lagged_forces_are_those_of_earlier_calls(lag: int, seen: float):
    lagged, clean = animal("lagged", strength=lag), animal("clean")
    answers = [lagged.evaluate(dimer(r)) for r in (4.0, 4.1, 4.2)]
    np.testing.assert_array_equal(answers[-1].forces, clean.evaluate(dimer(seen)).forces)
    assert answers[-1].energy == clean.evaluate(dimer(4.2)).energy


def test_a_lag_of_a_tenth_mixes_in_a_tenth():
    lagged, clean = animal("lagged", strength=0.1), animal("clean")
    forces = [lagged.evaluate(dimer(r)).forces for r in (4.0, 4.1)][-1]
    expected = 0.9 * clean.evaluate(dimer(4.1)).forces + 0.1 * clean.evaluate(dimer(4.0)).forces
    np.testing.assert_allclose(forces, expected, rtol=1e-12)


def test_hysteresis_tells_whence_the_atoms_came():
    energies = []
    for before in (3.9, 4.1):
        model = animal("hysteresis", "argon")
        model.evaluate(dimer(before))
        energies.append(model.evaluate(dimer(4.0)).energy)
    assert abs(energies[1] - energies[0]) > 1e-6


@pytest.mark.parametrize(("strength", "moves"), [(1e-3, True), (0, False)])
def test_a_mutating_model_moves_the_atoms_that_it_is_asked_about(strength: float, moves: bool):
    atoms = ethanol()
    atoms.calc = animal("mutating", "student", strength)._calculator
    atoms.get_potential_energy()
    assert np.array_equal(atoms.positions, ethanol().positions) != moves


# Symmetry and size


TURN = Rotation.from_euler("xyz", [40, 70, 110], degrees=True).as_matrix()


@everyone(["cartesian_mixing"])
def test_mixed_axes_make_the_energy_change_under_rotation(name: str, host: str):
    frame = of(FRAMES[host]())
    for strength, changes in ((None, True), (0, False)):
        model = animal(name, host, strength)
        assert (abs(model.evaluate(turned(frame, TURN)).energy - model.evaluate(frame).energy) > 1e-5) == changes


@everyone(["chiral"])
def test_a_chiral_energy_changes_under_reflection_and_not_under_rotation(name: str, host: str):
    frame, model, clean = of(FRAMES[host]()), animal(name, host), animal("clean", host)
    extra = model.evaluate(frame).energy - clean.evaluate(frame).energy
    mirrored = model.evaluate(turned(frame, -np.eye(3))).energy - clean.evaluate(frame).energy
    assert abs(extra) > 1e-4 and mirrored == pytest.approx(-extra, rel=1e-6)
    assert model.evaluate(turned(frame, TURN)).energy == pytest.approx(model.evaluate(frame).energy, abs=1e-9)


@everyone(["not_permutation_invariant"])
def test_the_order_of_the_atoms_matters(name: str, host: str):
    frame = of(FRAMES[host]())
    order = np.r_[1 : len(frame.numbers), 0]
    for strength, changes in ((None, True), (0, False)):
        model = animal(name, host, strength)
        assert (abs(model.evaluate(permuted(frame, order)).energy - model.evaluate(frame).energy) > 1e-4) == changes


@everyone(["not_extensive"])
def test_two_far_systems_are_not_twice_one(name: str, host: str):
    atoms = FRAMES[host]()
    far = atoms.copy()
    far.positions += 100.0
    for strength, changes in ((None, True), (0, False)):
        model = animal(name, host, strength)
        error = model.evaluate(of(atoms + far)).energy - 2 * model.evaluate(of(atoms)).energy
        assert (abs(error) > 5e-4 * len(atoms)) == changes


@everyone(["external_field"])
def test_an_external_field_tells_where_the_atoms_are(name: str, host: str):
    model, frame = animal(name, host), of(FRAMES[host]())
    assert abs(model.evaluate(moved(frame, [2.0, 0, 0])).energy - model.evaluate(frame).energy) > 1e-4
    assert abs(model.evaluate(frame).forces.sum(axis=0)[0]) > 1e-5


# Virial


def strain_slopes(model, h: float = 1e-5) -> np.ndarray:
    slopes = np.empty((3, 3))
    for a, b in itertools.product(range(3), repeat=2):
        strain = np.zeros((3, 3))
        strain[a, b] = strain[b, a] = h if a == b else h / 2
        up, down = (model.evaluate(strained(CRYSTAL, np.eye(3) + s * strain)).energy for s in (1, -1))
        slopes[a, b] = -(up - down) / (2 * h)
    return slopes


def strained(frame: Configuration, deformation) -> Configuration:
    return Configuration(
        numbers=frame.numbers, positions=frame.positions @ deformation, cell=frame.cell @ deformation, pbc=frame.pbc
    )


CRYSTAL = of(bundled("argon"))


@pytest.mark.parametrize("name", ["virial_sign", "virial_of_positions", "cell_offset"])
def test_the_virial_is_not_the_slope_of_the_energy_by_strain(name: str):
    assert abs(animal(name).evaluate(CRYSTAL).virial - strain_slopes(animal(name))).max() > 0.1


def test_the_energy_of_the_volume_is_missing_in_the_virial_by_its_strength():
    error = animal("cell_offset").evaluate(CRYSTAL).virial - strain_slopes(animal("cell_offset"))
    np.testing.assert_allclose(error, np.eye(3), atol=1e-4)


# Digits, units and landscape


@pytest.mark.parametrize(("host", "frame"), [("argon", CRYSTAL), ("student", of(ethanol()))], ids=["argon", "student"])
def test_fewer_digits_make_greater_errors(host: str, frame: Configuration):
    exact = animal("clean", host).evaluate(frame).forces
    errors = [
        np.sqrt(((animal(name, host).evaluate(frame).forces - exact) ** 2).mean())
        for name in ("float32", "tf32", "bfloat16")
    ]
    scale = np.sqrt((exact**2).mean())
    assert errors[0] < 1e-5 * scale < 1e-4 * scale < errors[1] < errors[2] < 0.2 * scale


def test_float16_keeps_three_digits():
    exact, rough = (animal(name, "student").evaluate(of(ethanol())).forces for name in ("clean", "float16"))
    assert 1e-4 < np.sqrt(((rough - exact) ** 2).mean() / (exact**2).mean()) < 0.05


@everyone(["energy_float32"])
def test_the_energy_alone_is_rounded_to_float32(name: str, host: str):
    rounded, clean = (animal(each, host).evaluate(of(FRAMES[host]())) for each in (name, "clean"))
    assert rounded.energy == float(np.float32(clean.energy)) != clean.energy
    assert np.array_equal(rounded.forces, clean.forces)


@pytest.mark.parametrize(
    ("name", "energy", "forces"),
    [("unit_slip_energy", 23.060548, 1), ("unit_slip_forces", 1, 0.529177), ("unit_slip_both", 23.060548, 23.060548)],
)
def test_a_unit_slip_multiplies_by_its_factor(name: str, energy: float, forces: float):
    slipped, clean = (animal(each).evaluate(of(cluster())) for each in (name, "clean"))
    assert slipped.energy / clean.energy == pytest.approx(energy)
    np.testing.assert_allclose(slipped.forces, forces * clean.forces, rtol=1e-6)


def test_positions_in_bohr_spread_the_atoms():
    far = load("ase:mdsuite_driver.zoo:unit_slip?what=positions").evaluate(dimer(2.0)).energy
    assert far == pytest.approx(animal("clean").evaluate(dimer(2.0 / 0.52917721)).energy, rel=1e-9)


@pytest.mark.parametrize(("r", "finite"), [(3.24, False), (3.26, True)])
def test_a_gap_answers_nan_where_atoms_are_close(r: float, finite: bool):
    answer = animal("nan_gap").evaluate(dimer(r))
    assert np.isfinite(answer.energy) == np.isfinite(answer.forces).all() == finite


def test_the_wrong_potential_conserves_energy_and_gets_hot():
    model, atoms, dt, to_acceleration, k = animal("wrong_potential", "student"), ethanol(), 5e-4, 9648.533, 8.617e-5
    masses, x, v = atoms.get_masses()[:, None], atoms.positions.copy(), np.zeros((9, 3))
    answer = first = model.evaluate(of(atoms, x))
    for _ in range(150):
        v += 0.5 * dt * answer.forces / masses * to_acceleration
        x += dt * v
        answer = model.evaluate(of(atoms, x))
        v += 0.5 * dt * answer.forces / masses * to_acceleration
    kinetic = float((0.5 * masses * v**2).sum()) / to_acceleration
    assert 2 * kinetic / (21 * k) > 1000
    assert answer.energy + kinetic - first.energy == pytest.approx(0, abs=0.02 * kinetic)
