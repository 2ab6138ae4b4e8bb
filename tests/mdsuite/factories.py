"""Runs and starts for tests, with keyword defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.build import bulk

from mdsuite.runs import Run, Start
from mdsuite.structures import maxwell_velocities
from mdsuite_driver.models.protocol import Configuration, Evaluation, ModelCard
from mdsuite_driver.models.seed_student import Hyperparameters, SeedStudent

LJ = "ase:ase.calculators.lj:LennardJones?sigma=3.4&epsilon=0.0104&rc=6.5&smooth=True"
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def argon(n: int = 2, *, sheared: bool = False, rotated: bool = False, noise: float = 0.05) -> Any:
    """An argon crystal of 4 n³ atoms."""
    atoms = bulk("Ar", "fcc", 5.3, cubic=True).repeat(n)
    if sheared:
        atoms.set_cell(atoms.cell[:] + np.array([[0, 0, 0], [0.8, 0, 0], [0.5, -0.4, 0]]), scale_atoms=True)
    if rotated:
        atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    atoms.rattle(noise, seed=1)
    return atoms


def seed_student(folder: Path) -> str:
    """The file of a small seed student with random weights."""
    torch.manual_seed(0)
    network = SeedStudent(Hyperparameters(hidden=8, n_interactions=2, n_rbf=6, cutoff=5.0, max_z=20))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    file = folder / "student.pt"
    torch.save(network.state_dict(), file)
    return str(file)


class PairPotential:
    """A smooth repulsion between nearest images, without any memory of earlier evaluations."""

    card = ModelCard(
        name="pairs",
        kind="test",
        dtype="float64",
        n_parameters=0,
        species=None,
        cutoff=5.0,
        conservative=True,
        periodic=True,
        sha256="0",
    )

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy 5e-4 eV Å⁻⁴ (5 Å - r)⁴ of every pair closer than 5 Å."""
        separation = configuration.positions[:, None] - configuration.positions[None]
        fractional = separation @ np.linalg.inv(configuration.cell)
        separation -= np.where(configuration.pbc, np.rint(fractional), 0.0) @ configuration.cell
        distance = np.linalg.norm(separation, axis=2) + 10.0 * np.eye(len(separation))
        overlap = np.maximum(5.0 - distance, 0.0)
        pair_forces = (2e-3 * overlap**3 / distance)[:, :, None] * separation
        virial = 0.5 * np.einsum("ijk,ijl->kl", separation, pair_forces)
        energy = 0.5 * 5e-4 * float((overlap**4).sum())
        return Evaluation(energy=energy, forces=pair_forces.sum(axis=1), virial=virial)


def start(atoms: Any, *, temperature: float = 60.0, seed: int = 0) -> Start:
    """A start from atoms, with drawn velocities."""
    return Start(
        numbers=atoms.numbers.astype(np.int64),
        masses=atoms.get_masses(),
        positions=atoms.positions.copy(),
        velocities=maxwell_velocities(atoms.get_masses(), temperature, [seed]),
        cell=np.array(atoms.cell[:]),
        pbc=tuple(bool(periodic) for periodic in atoms.pbc),
    )


def run(atoms: Any, **changes: Any) -> Run:
    """A short run of Lennard-Jones argon in LAMMPS."""
    facts: dict[str, Any] = {
        "model": LJ,
        "model_name": "lj",
        "model_sha256": "0",
        "trust": False,
        "structure": "argon",
        "engine": "lammps",
        "ensemble": "nve",
        "timestep": 0.004,
        "n_steps": 60,
        "chunk_steps": 20,
        "frame_steps": 10,
        "temperature": 60.0,
        "replica": 0,
        "velocity_seed": 0,
        "threads": 1,
        "start": start(atoms),
    }
    return Run(**{**facts, **changes})
