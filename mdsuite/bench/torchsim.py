"""TorchSim with one of our networks, as its documentation has models wrapped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
import torch_sim  # type: ignore[import-not-found]  # an extra
from torch_sim.integrators import nve  # type: ignore[import-not-found]
from torch_sim.models.interface import ModelInterface  # type: ignore[import-not-found]
from torch_sim.neighbors import vesin_nl_ts  # type: ignore[import-not-found]
from torch_sim.units import MetalUnits  # type: ignore[import-not-found]

from mdsuite_driver.models.graph import EnergiesAndGradient

WIDE = 1000.0  # Å, the cell of what is in the open


class Served(ModelInterface):  # type: ignore[misc]
    """A network of energies of atoms, for systems beside each other; pairs are found as by TorchSim's own models."""

    def __init__(self, network: torch.nn.Module, cutoff: float, device: str) -> None:
        super().__init__()
        self._device, self._dtype = torch.device(device), torch.float64
        self._compute_forces, self._compute_stress = True, False
        self.graph = EnergiesAndGradient(network)
        self.cutoff = torch.tensor(cutoff, dtype=self._dtype, device=self._device)

    def forward(self, state: Any) -> dict[str, torch.Tensor]:
        """Energies (n_systems,), eV, and forces (n_atoms, 3), eV/Å."""
        i, j, vectors = (torch.cat(parts) for parts in zip(*self._pairs(state), strict=True))
        energies, gradient = self.graph(state.atomic_numbers, i, j, vectors)
        forces = torch.zeros_like(state.positions).index_add_(0, i, gradient).index_add_(0, j, -gradient)
        energy = energies.new_zeros(state.n_systems).index_add_(0, state.system_idx, energies)
        return {"energy": energy, "forces": forces}

    def _pairs(self, state: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Centres, neighbours and vectors between them, of each system."""
        first = 0
        for n_atoms, cell in zip(state.n_atoms_per_system.tolist(), state.row_vector_cell, strict=True):
            positions = state.positions[first : first + n_atoms]
            (i, j), shifts = vesin_nl_ts(positions, cell, state.pbc, self.cutoff)
            yield i + first, j + first, positions[j] - positions[i] + shifts @ cell
            first += n_atoms


def seconds_a_step(
    network: torch.nn.Module,
    cutoff: float,
    atoms: Any,
    *,
    device: str,
    n_systems: int,
    warm: int,
    steps: int,
    timestep: float,
    temperature: float,
) -> float:
    """Of velocity Verlet by its own functions, of all systems; timestep in ps, temperature in K."""
    atoms = atoms.copy()
    if not atoms.cell.rank:
        atoms.cell = [WIDE] * 3
    model = Served(network, cutoff, device)
    state = torch_sim.initialize_state([atoms] * n_systems, device=model.device, dtype=model.dtype)
    dt, kT = (
        torch.tensor(each, dtype=model.dtype, device=model.device)
        for each in (timestep * MetalUnits.time, temperature * MetalUnits.temperature)
    )
    begin, step = nve(model, dt=dt, kT=kT, seed=0)
    state = begin(state)
    for _ in range(warm):
        state = step(state)
    state.energy.sum().item()  # waits for a GPU
    begun = time.perf_counter()
    for _ in range(steps):
        state = step(state)
    state.energy.sum().item()
    return (time.perf_counter() - begun) / steps
