"""TorchSim with one of our networks, as its documentation has models wrapped."""

from __future__ import annotations

import time
from typing import Any

import torch
import torch_sim  # type: ignore[import-not-found]  # an extra
from torch_sim.integrators import nve  # type: ignore[import-not-found]
from torch_sim.models.interface import ModelInterface  # type: ignore[import-not-found]
from torch_sim.neighbors import vesin_nl_ts  # type: ignore[import-not-found]
from torch_sim.units import MetalUnits  # type: ignore[import-not-found]

from mdsuite_driver.models.graph import EnergyAndGradient

WIDE = 1000.0  # Å, the cell of what is in the open


class Served(ModelInterface):  # type: ignore[misc]
    """A network of energies of atoms, for one system."""

    def __init__(self, network: torch.nn.Module, cutoff: float) -> None:
        super().__init__()
        self._device, self._dtype = torch.device("cpu"), torch.float64
        self._compute_forces, self._compute_stress = True, False
        self.graph = EnergyAndGradient(network)
        self.cutoff = torch.tensor(cutoff, dtype=self._dtype)

    def forward(self, state: Any) -> dict[str, torch.Tensor]:
        """Energy (1,), eV, and forces (n_atoms, 3), eV/Å."""
        (cell,) = state.row_vector_cell
        (i, j), shifts = vesin_nl_ts(state.positions, cell, state.pbc, self.cutoff)
        vectors = state.positions[j] - state.positions[i] + shifts @ cell
        energy, gradient = self.graph(state.atomic_numbers, i, j, vectors)
        forces = torch.zeros_like(state.positions).index_add_(0, i, gradient).index_add_(0, j, -gradient)
        return {"energy": energy.reshape(1), "forces": forces}


def seconds_a_step(
    network: torch.nn.Module, cutoff: float, atoms: Any, *, warm: int, steps: int, timestep: float, temperature: float
) -> float:
    """Of velocity Verlet by its own functions; timestep in ps, temperature in K."""
    atoms = atoms.copy()
    if not atoms.cell.rank:
        atoms.cell = [WIDE] * 3
    model = Served(network, cutoff)
    state = torch_sim.initialize_state(atoms, device=model.device, dtype=model.dtype)
    dt = torch.tensor(timestep * MetalUnits.time, dtype=model.dtype)
    begin, step = nve(model, dt=dt, kT=torch.tensor(temperature * MetalUnits.temperature, dtype=model.dtype), seed=0)
    state = begin(state)
    for _ in range(warm):
        state = step(state)
    begun = time.perf_counter()
    for _ in range(steps):
        state = step(state)
    return (time.perf_counter() - begun) / steps
