"""What fails first in a run, and when."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from mdsuite_analysis.failure import first_failure, molecules
from mdsuite_analysis.potential import Configuration
from mdsuite_analysis.series import EnergySeries, Frames

OPEN = (False, False, False)
PERIODIC = (True, True, True)
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
METHANE = np.concatenate([np.zeros((1, 3)), 1.09 * TETRAHEDRON])
CYCLOPROPANE = np.array([[np.cos(a), np.sin(a), 0.0] for a in 2 * np.pi * np.arange(3) / 3]) * 1.51 / np.sqrt(3)
DIAMOND = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
N_FRAMES, SPACING, DT = 100, 0.01, 0.0005


def structure(numbers, positions, *, cell=None, pbc=OPEN):
    cell = np.zeros((3, 3)) if cell is None else np.asarray(cell, float)
    return Configuration(numbers=np.array(numbers), positions=np.array(positions, float), cell=cell, pbc=pbc)


def crystal(number, basis, lattice, repeats):
    cells = np.stack(np.meshgrid(*[range(repeats)] * 3), axis=-1).reshape(-1, 1, 3)
    positions = ((np.array(basis) + cells) * lattice).reshape(-1, 3)
    return structure([number] * len(positions), positions, cell=np.eye(3) * lattice * repeats, pbc=PERIODIC)


CH4 = structure([6, 1, 1, 1, 1], METHANE)
SILICON = crystal(14, DIAMOND, 5.43, 2)
ARGON = crystal(18, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 5.3, 3)
COPPER = crystal(29, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 3.61, 3)


def recorded(start, *, amplitude=0.03, n=N_FRAMES, moved=None, seed=0):
    """Frames about the start structure; `moved` is added to them, (n, n_atoms, 3)."""
    noise = np.random.default_rng(seed).normal(size=(n, *start.positions.shape)) * amplitude
    positions = start.positions + noise + (0.0 if moved is None else moved)
    nothing = np.zeros_like(positions)
    return Frames(
        time=SPACING * np.arange(n), positions=positions, velocities=nothing, forces=nothing, virial=np.zeros((n, 3, 3))
    )


def drawn(dof, rng, *, tau=10.0, n=4000):
    """A canonical temperature (K) with an exponential memory of tau samples."""
    rho = np.exp(-1.0 / tau)
    noise = lfilter([np.sqrt(1 - rho**2)], [1.0, -rho], rng.normal(size=(n + 200, dof)), axis=0)[200:]
    return 300.0 * (noise**2).mean(axis=1)


def energies(temperature=None, *, dof=12, seed=0, n=4000):
    rng = np.random.default_rng(seed)
    temperature = drawn(dof, rng, n=n) if temperature is None else temperature
    return EnergySeries(
        step=np.arange(n),
        time=DT * np.arange(n),
        total_energy=1e-4 * rng.normal(size=n),
        temperature=temperature,
        n_atoms=5,
    )


def failure(frames, start=CH4, series=None, *, dof=12):
    return first_failure(energies() if series is None else series, frames, start, temperature=300.0, dof=dof)


def drift_of(atoms, start, rate, *, begin=50):
    """Displacements (n, n_atoms, 3) of atoms that leave along a vector (Å per frame) from a frame on."""
    moved = np.zeros((N_FRAMES, *start.positions.shape))
    moved[:, atoms] = np.maximum(np.arange(N_FRAMES) - begin, 0)[:, None, None] * np.asarray(rate)
    return moved


@pytest.mark.parametrize("start", [CH4, SILICON, ARGON, COPPER], ids=["methane", "silicon", "argon", "copper"])
def test_a_sound_run_has_no_failure(start):
    assert failure(recorded(start, amplitude=0.05), start) is None


@pytest.mark.parametrize("name", ["positions", "velocities", "forces"])
def test_a_frame_that_is_not_finite_is_a_failure(name):
    frames = recorded(CH4)
    getattr(frames, name)[30, 2, 1] = np.nan
    found = failure(frames)
    assert (found.kind, found.time, found.step) == ("not_finite", pytest.approx(0.3), 600)
    assert name in found.what


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_energy_that_is_not_finite_is_a_failure(value):
    series = energies()
    series.total_energy[1234] = value
    found = failure(recorded(CH4), series=series)
    assert (found.kind, found.step) == ("not_finite", 1234)


def test_a_hydrogen_that_leaves_is_a_lost_fragment():
    found = failure(recorded(CH4, moved=drift_of([1], CH4, 0.05 * TETRAHEDRON[0])))
    assert found.kind == "fragment_lost"
    assert found.time == pytest.approx(0.61, abs=0.03)
    assert "C0-H1" in found.what


def test_a_ring_that_opens_breaks_a_bond_and_loses_nothing():
    start = structure([6, 6, 6], CYCLOPROPANE)
    angles = np.maximum(np.arange(N_FRAMES) - 50, 0) * 0.02
    arm = CYCLOPROPANE[1] - CYCLOPROPANE[0]
    swung = np.stack(
        [
            np.cos(angles) * arm[0] + np.sin(angles) * arm[1],
            -np.sin(angles) * arm[0] + np.cos(angles) * arm[1],
            0 * angles,
        ],
        axis=1,
    )
    turned = np.zeros((N_FRAMES, 3, 3))  # atom 1 swings about atom 0
    turned[:, 1] = swung - arm
    assert failure(recorded(start, moved=turned, amplitude=0.01), start).kind == "bond_broken"


def test_two_molecules_that_join_form_a_bond():
    start = structure([6, 1, 1, 1, 1] * 2, np.concatenate([METHANE, METHANE + np.array([6.0, 0, 0])]))
    moved = np.zeros((N_FRAMES, 10, 3))
    moved[50:, 5:] = [-4.4, 0.0, 0.0]
    found = failure(recorded(start, moved=moved, amplitude=0.01), start)
    assert found.kind in ("bond_formed", "overlap")
    assert found.time == pytest.approx(0.5)


def test_two_atoms_must_stay_together_to_form_a_bond():
    start = structure([6, 6], [[0.0, 0, 0], [6.0, 0, 0]])
    stays, meets = np.zeros((2, N_FRAMES, 2, 3))
    stays[40:, 1], meets[40:42, 1] = [-4.5, 0, 0], [-4.5, 0, 0]
    found = failure(recorded(start, moved=stays), start)
    assert (found.kind, found.time) == ("bond_formed", pytest.approx(0.4))
    assert "C0-C1" in found.what
    assert failure(recorded(start, moved=meets), start) is None


@pytest.mark.parametrize("start", [ARGON, COPPER, SILICON], ids=["argon", "copper", "silicon"])
def test_overlapping_atoms_are_a_failure_of_any_substance(start):
    frames = recorded(start)
    frames.positions[20, 1] = frames.positions[20, 0] + np.array([0.9, 0.0, 0.0])
    found = failure(frames, start)
    assert (found.kind, found.time) == ("overlap", pytest.approx(0.2))


@pytest.mark.parametrize("start", [ARGON, COPPER, SILICON], ids=["argon", "copper", "silicon"])
def test_a_substance_without_molecules_may_melt(start):
    slow = np.random.default_rng(1).normal(size=(1, *start.positions.shape))
    moved = 0.02 * np.arange(N_FRAMES)[:, None, None] * np.where(np.abs(slow) > 1.0, 0.1, 0.0)
    assert failure(recorded(start, moved=moved), start) is None
    assert "not applicable" in molecules(start).note


def test_a_molecule_across_the_face_of_a_cell_is_whole():
    start = structure([6, 1, 1, 1, 1], METHANE, cell=np.eye(3) * 8.0, pbc=PERIODIC)
    wrapped = structure(start.numbers, start.positions % 8.0, cell=start.cell, pbc=PERIODIC)
    assert len(molecules(wrapped).bonds.pairs) == 4
    assert failure(recorded(wrapped), wrapped) is None
    broken = recorded(wrapped, moved=drift_of([1], CH4, 0.05 * TETRAHEDRON[0]))
    assert failure(broken, wrapped).kind == "fragment_lost"


def test_a_cell_too_narrow_for_bonds_is_said_to_be():
    start = structure([6, 1, 1, 1, 1], METHANE, cell=np.eye(3) * 3.0, pbc=PERIODIC)
    assert "repeat the cell" in molecules(start).note


def test_a_jump_of_the_energy_is_a_failure_and_a_noisy_energy_is_not():
    series = energies()
    series.total_energy[2000:] += 0.5
    found = failure(recorded(CH4), series=series)
    assert (found.kind, found.step) == ("energy_jump", 2000)
    noisy = energies()
    noisy.total_energy[:] *= 3000.0
    assert failure(recorded(CH4), series=noisy) is None


def test_a_jump_smaller_than_the_kinetic_energy_fluctuates_is_none():
    series = energies()
    series.total_energy[2000:] += 0.01
    assert failure(recorded(CH4), series=series) is None


@pytest.mark.parametrize("dof", [3, 12, 300])
def test_canonical_fluctuations_are_no_failure(dof):
    for seed in range(6):
        series = energies(drawn(dof, np.random.default_rng(seed), tau=30.0 * (seed + 1)))
        assert failure(None, series=series, dof=dof) is None


@pytest.mark.parametrize(("dof", "factor"), [(3, 21.0), (12, 6.0), (300, 1.8), (300, 0.3)])
def test_a_temperature_that_leaves_its_range_is_dated(dof, factor):
    temperature = drawn(dof, np.random.default_rng(0))
    temperature[2000:] *= factor
    found = failure(None, series=energies(temperature), dof=dof)
    assert found.kind == "temperature"
    assert 0.99 <= found.time <= 1.5


def test_a_molecule_that_explodes_during_the_transient_is_dated_there():
    temperature = drawn(12, np.random.default_rng(0))
    temperature[100:] = 6425.0
    found = failure(None, series=energies(temperature))
    assert found.kind == "temperature"
    assert found.time <= 0.1


def test_a_start_that_is_hot_for_a_moment_is_no_failure():
    temperature = drawn(12, np.random.default_rng(0))
    temperature[:50] *= 8.0
    assert failure(None, series=energies(temperature)) is None


def test_the_first_of_two_failures_is_told():
    series = energies()
    series.total_energy[1000:] += 5.0
    frames = recorded(CH4)
    frames.positions[30, 2, 1] = np.nan
    assert failure(frames, series=series).kind == "not_finite"
    frames = recorded(CH4)
    frames.positions[80, 2, 1] = np.nan
    assert failure(frames, series=series).kind == "energy_jump"


@settings(max_examples=5, deadline=None)
@given(shift=st.floats(-50.0, 50.0), order=st.permutations(range(5)))
def test_neither_place_nor_order_of_the_atoms_matters(shift, order):
    moved = drift_of([1], CH4, 0.05 * TETRAHEDRON[0])
    start = structure(CH4.numbers[list(order)], METHANE[list(order)] + shift)
    frames = recorded(CH4, moved=moved)
    other = Frames(
        time=frames.time,
        positions=frames.positions[:, list(order)] + shift,
        velocities=frames.velocities,
        forces=frames.forces,
        virial=frames.virial,
    )
    ours, theirs = failure(frames), failure(other, start)
    assert (ours.kind, ours.time) == (theirs.kind, theirs.time)
