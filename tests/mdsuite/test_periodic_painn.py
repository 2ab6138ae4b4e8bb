"""A PaiNN in periodic cells, integrated by LAMMPS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from factories import run

from mdsuite.engines.contract import done
from mdsuite.structures import read_structure
from mdsuite_analysis.drift import energy_drift
from mdsuite_analysis.read import read_energies, read_frames
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration

MODEL = "painn-ultra-tiny"
TILT = np.array([[0.0, 0.0, 0.0], [0.2, 0.0, 0.0], [-0.15, 0.1, 0.0]])


def ethanol(edge: float) -> Any:
    """One molecule on the corner of a sheared and turned cell whose edges are so long (Å)."""
    atoms = read_structure("ethanol")
    atoms.positions -= atoms.positions.mean(axis=0)
    atoms.set_cell(edge * (np.eye(3) + TILT))
    atoms.pbc = True
    atoms.rotate(50.0, (2, 1, 3), rotate_cell=True)
    return atoms


def integrated(atoms: Any, folder: Path, n_steps: int = 200) -> Path:
    """Without the cell's own axes, LAMMPS would be right for a wrong reason."""
    of = run(atoms, model=MODEL, timestep=0.0005, n_steps=n_steps, chunk_steps=100, temperature=300.0)
    done(of, folder)
    return folder


def test_a_molecule_that_is_alone_in_its_cell_moves_as_in_the_open(tmp_path: Path):
    boxed = ethanol(16.0)
    free = boxed.copy()
    free.pbc, free.cell = False, np.zeros((3, 3))
    ours = read_frames(integrated(boxed, tmp_path / "boxed")).positions
    np.testing.assert_allclose(ours, read_frames(integrated(free, tmp_path / "free")).positions, atol=1e-8)


def test_energy_is_kept_and_the_virial_is_the_strains_where_images_meet(tmp_path: Path):
    atoms = ethanol(6.0)  # narrower than twice the cut-off, so that a molecule meets several of its images
    folder = integrated(atoms, tmp_path / "dense", 400)
    energies, frames = read_energies(folder), read_frames(folder)
    assert abs(energy_drift(energies).value) < 0.3  # meV/atom/ps, of which 0.2 ps tell no more
    assert np.ptp(energies.total_energy) < 0.02 * np.ptp(energies.potential_energy)
    np.testing.assert_allclose(
        frames.virial[-1], virial_by_strain(atoms, frames.positions[-1]), atol=1e-5 * np.abs(frames.virial[-1]).max()
    )


def virial_by_strain(atoms: Any, positions: Any, step: float = 1e-4) -> Any:
    """-dE/d(strain) (3, 3; eV) by central differences."""
    model, virial = load(MODEL), np.empty((3, 3))
    for i, j in np.ndindex(3, 3):
        energies = []
        for sign in (1.0, -1.0):
            strain = np.eye(3)
            strain[i, j] += sign * step
            strained = Configuration(
                numbers=atoms.numbers, positions=positions @ strain, cell=atoms.cell[:] @ strain, pbc=(True,) * 3
            )
            energies.append(model.evaluate(strained).energy)
        virial[i, j] = -(energies[0] - energies[1]) / (2.0 * step)
    return 0.5 * (virial + virial.T)
