"""Labelled frames as tensors, several side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mdsuite.fitting.sampling import Labelled
from mdsuite_driver.models.neighbours import vectors_within
from mdsuite_driver.models.painn import PaiNN
from mdsuite_driver.models.protocol import Configuration


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames side by side: `molecule` (n_atoms,) numbers them, `n_atoms` (n_molecules,) counts their atoms."""

    numbers: Tensor
    molecule: Tensor
    n_atoms: Tensor
    i: Tensor
    j: Tensor
    vectors: Tensor
    energies: Tensor
    forces: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in the order in which a batch is made of them."""
        return (
            self.numbers,
            self.molecule,
            self.n_atoms,
            self.i,
            self.j,
            self.vectors,
            self.energies,
            self.forces,
        )

    def half(self) -> Batch:
        """The first half of its molecules."""
        n_molecules = (len(self.n_atoms) + 1) // 2
        n_atoms = int(self.n_atoms[:n_molecules].sum())
        pairs = self.i < n_atoms
        return Batch(
            numbers=self.numbers[:n_atoms],
            molecule=self.molecule[:n_atoms],
            n_atoms=self.n_atoms[:n_molecules],
            i=self.i[pairs],
            j=self.j[pairs],
            vectors=self.vectors[pairs],
            energies=self.energies[:n_molecules],
            forces=self.forces[:n_atoms],
        )


@dataclass(frozen=True, slots=True)
class Item:
    """One frame, with its pairs; energies without the elements' references."""

    numbers: Tensor
    i: Tensor
    j: Tensor
    vectors: Tensor
    energy: float
    forces: Tensor


def collate(items: Sequence[Item], device: torch.device) -> Batch:
    """Frames side by side, their pairs renumbered."""
    counts = torch.tensor([len(item.numbers) for item in items])
    offsets = torch.cumsum(counts, 0) - counts
    return Batch(
        numbers=torch.cat([item.numbers for item in items]).to(device),
        molecule=torch.repeat_interleave(torch.arange(len(items)), counts).to(device),
        n_atoms=counts.to(device),
        i=torch.cat([item.i + offset for item, offset in zip(items, offsets, strict=True)]).to(device),
        j=torch.cat([item.j + offset for item, offset in zip(items, offsets, strict=True)]).to(device),
        vectors=torch.cat([item.vectors for item in items]).to(device),
        energies=torch.tensor([item.energy for item in items]).to(device),
        forces=torch.cat([item.forces for item in items]).to(device),
    )


def items_of(network: PaiNN, labelled: Labelled) -> Iterator[Item]:
    """The frames of one portion in the network's precision, with periodic images where they are periodic."""
    numbers = torch.as_tensor(labelled.numbers)
    reference = float(network.reference_energies(numbers).sum())
    frames = zip(labelled.positions, labelled.cells, labelled.energies, labelled.forces, strict=True)
    for positions, cell, energy, forces in frames:
        configuration = Configuration(numbers=labelled.numbers, positions=positions, cell=cell, pbc=labelled.pbc)
        i, j, vectors = vectors_within(configuration, network.config.cutoff)
        yield Item(
            numbers=numbers,
            i=torch.as_tensor(i),
            j=torch.as_tensor(j),
            vectors=torch.as_tensor(vectors, dtype=torch.float32),
            energy=float(energy) - reference,
            forces=torch.as_tensor(forces, dtype=torch.float32),
        )
