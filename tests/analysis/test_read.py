"""Run folders, read."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.constants import Avogadro, electron_volt, kilo

from mdsuite_analysis.drift import EnergyDrift, energy_drift
from mdsuite_analysis.read import UnreadableRunError, read_energies, universe
from mdsuite_analysis.temperature import KineticTemperature, kinetic_temperature

KJ_PER_MOL = electron_volt * Avogadro / kilo
TIMESTEP = 0.0005
NUMBERS = [8, 1, 1]
MASSES = [15.999, 1.008, 1.008]
POSITIONS = np.array([[0.0, 0.0, 0.117], [0.0, 0.757, -0.469], [0.0, -0.757, -0.469]])


def energies(step):
    """A total energy that oscillates and drifts by 1 meV/atom/ps for three atoms."""
    return -10.0 + 0.003 * step * TIMESTEP + 1e-4 * np.sin(step)


def put(parent, name, values, unit):
    dataset = parent.create_dataset(name, data=values)
    dataset.attrs["unit"] = unit


def element(parent, name, step, values, unit):
    group = parent.create_group(name)
    group["step"] = step
    put(group, "time", step * TIMESTEP, "ps")
    put(group, "value", values, unit)


def write_segment(path, steps, *, every=10, edges=None):
    """One segment of a run as H5MD 1.1, with a frame every `every` steps."""
    frames = steps[steps % every == 0]
    with h5py.File(path, "w") as file:
        write_header(file)
        write_particles(file.create_group("particles/trajectory"), frames, edges)
        total = energies(frames)
        element(file.create_group("observables/trajectory"), "total_energy", frames, total, "eV")
        write_every_step(file.create_group("parameters/every_step"), steps)


def write_header(file):
    header = file.create_group("h5md")
    header.attrs["version"] = np.array([1, 1])
    header.create_group("author").attrs["name"] = "tests"
    header.create_group("creator").attrs["name"] = "tests"


def write_particles(group, frames, edges):
    group["species"], group["mass"] = NUMBERS, MASSES
    n = len(frames)
    drifting = POSITIONS + 0.01 * frames[:, None, None]
    element(group, "position", frames, drifting, "Angstrom")
    element(group, "velocity", frames, np.full((n, 3, 3), 2.0), "Angstrom ps-1")
    element(group, "force", frames, np.full((n, 3, 3), 1.5 * KJ_PER_MOL), "kJ mol-1 Angstrom-1")
    box = group.create_group("box")
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = ["none"] * 3 if edges is None else ["periodic"] * 3
    if edges is not None:
        element(box, "edges", frames, np.tile(edges, (n, 1, 1)), "Angstrom")


def write_every_step(group, steps):
    group["step"] = steps
    put(group, "time", steps * TIMESTEP, "ps")
    for name in ("potential_energy", "kinetic_energy", "total_energy"):
        put(group, name, energies(steps), "eV")
    put(group, "temperature", 300.0 + np.sin(steps), "K")


def write_run(folder: Path, *, ends=(500, 1000), **options):
    """A run folder whose segments end at these steps."""
    (folder / "segments").mkdir()
    starts = [0, *(end + 1 for end in ends[:-1])]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        write_segment(folder / "segments" / f"{number:06d}.h5md", np.arange(start, end + 1), **options)
    return folder


def test_the_steps_of_all_segments_are_joined(tmp_path):
    assert read_energies(write_run(tmp_path)).step.tolist() == list(range(1001))


def test_energies_are_read_in_full_precision(tmp_path):
    assert np.array_equal(read_energies(write_run(tmp_path)).total_energy, energies(np.arange(1001)))


def test_a_run_of_known_drift_has_it(tmp_path):
    assert energy_drift(read_energies(write_run(tmp_path))).value == pytest.approx(1.0, abs=0.05)


def test_a_folder_without_segments_is_refused(tmp_path):
    with pytest.raises(UnreadableRunError, match=r"holds no \*.h5md segment"):
        read_energies(tmp_path)


def test_a_lost_segment_is_named(tmp_path):
    folder = write_run(tmp_path, ends=(100, 200, 300))
    (folder / "segments" / "000001.h5md").unlink()
    with pytest.raises(UnreadableRunError, match=r"lacks 000001\.h5md"):
        read_energies(folder)


def test_a_gap_between_steps_is_named(tmp_path):
    folder = write_run(tmp_path, ends=(100,))
    write_segment(folder / "segments" / "000001.h5md", np.arange(103, 200))
    with pytest.raises(UnreadableRunError, match="step 101 should follow, but 103 does"):
        read_energies(folder)


def test_a_damaged_segment_is_named(tmp_path):
    folder = write_run(tmp_path)
    (folder / "segments" / "000001.h5md").write_bytes(b"torn")
    with pytest.raises(UnreadableRunError, match=r"000001\.h5md is not a readable HDF5 file"):
        universe(folder)


def test_a_missing_dataset_is_named(tmp_path):
    folder = write_run(tmp_path)
    with h5py.File(folder / "segments" / "000001.h5md", "a") as file:
        del file["parameters/every_step/total_energy"]
    with pytest.raises(UnreadableRunError, match="no readable dataset /parameters/every_step/total_energy"):
        read_energies(folder)


def test_a_universe_has_the_elements_of_the_run(tmp_path):
    assert universe(write_run(tmp_path)).atoms.elements.tolist() == ["O", "H", "H"]


def test_a_universe_has_the_masses_of_the_run(tmp_path):
    assert universe(write_run(tmp_path)).atoms.masses.tolist() == MASSES


def test_frames_across_segments_have_the_times_of_the_run(tmp_path):
    times = [ts.time for ts in universe(write_run(tmp_path)).trajectory]
    assert times == pytest.approx(np.arange(0, 1001, 10) * TIMESTEP)


def test_the_clock_of_the_trajectory_agrees_with_that_of_its_frames(tmp_path):
    trajectory = universe(write_run(tmp_path)).trajectory
    assert all(trajectory.time == pytest.approx(ts.time) for ts in trajectory)


def test_positions_are_in_angstrom(tmp_path):
    u = universe(write_run(tmp_path))
    assert u.trajectory[-1].positions == pytest.approx(POSITIONS + 10.0)


def test_velocities_are_in_angstrom_per_picosecond(tmp_path):
    assert universe(write_run(tmp_path)).atoms.velocities == pytest.approx(np.full((3, 3), 2.0))


def test_forces_are_in_the_unit_of_mdanalysis(tmp_path):
    assert universe(write_run(tmp_path)).atoms.forces == pytest.approx(np.full((3, 3), 1.5 * KJ_PER_MOL))


def test_a_molecule_in_vacuum_has_no_box(tmp_path):
    assert universe(write_run(tmp_path)).dimensions is None


def test_a_periodic_cell_is_read(tmp_path):
    edges = np.array([[10.0, 0.0, 0.0], [2.0, 9.0, 0.0], [1.0, 1.5, 8.0]])
    u = universe(write_run(tmp_path, edges=edges))
    assert u.trajectory.ts.triclinic_dimensions == pytest.approx(edges, abs=1e-5)


def test_a_cell_that_mdanalysis_would_turn_is_refused(tmp_path):
    folder = write_run(tmp_path, edges=5.0 * (np.ones((3, 3)) - np.eye(3)))
    with pytest.raises(UnreadableRunError, match="not lower triangular"):
        universe(folder)


def test_a_segment_without_frames_is_stepped_over(tmp_path):
    u = universe(write_run(tmp_path, ends=(100, 105, 200)))
    assert u.trajectory.n_frames == 21


def test_a_segment_of_one_frame_is_read(tmp_path):
    u = universe(write_run(tmp_path, ends=(100, 110)))
    assert u.trajectory[-1].time == pytest.approx(110 * TIMESTEP)


def test_frames_carry_their_energy(tmp_path):
    u = universe(write_run(tmp_path))
    assert u.trajectory[-1].data["trajectory/total_energy"] == energies(1000)


def test_the_frames_of_a_run_give_its_drift(tmp_path):
    folder = write_run(tmp_path)
    analysis = EnergyDrift(universe(folder).atoms).run()
    assert analysis.results.drift.value == pytest.approx(energy_drift(read_energies(folder)).value, abs=0.5)


def test_the_frames_are_measured_by_the_same_function(tmp_path):
    analysis = EnergyDrift(universe(write_run(tmp_path)).atoms).run()
    assert analysis.results.drift == energy_drift(analysis.results.series)


def test_the_frames_of_a_run_give_its_temperature(tmp_path):
    analysis = KineticTemperature(universe(write_run(tmp_path)).atoms, dof=6).run()
    expected = kinetic_temperature(np.array(MASSES), np.full((3, 3), 2.0), dof=6)
    assert analysis.results.mean.value == pytest.approx(expected)
