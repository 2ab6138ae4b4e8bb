"""A model of metatomic: Gaussians of the distance with random weights, which end smoothly at a cut-off.

TorchScript reads annotations as they stand, so they must not be text.
"""

from pathlib import Path
from typing import Dict, List, Optional  # noqa: UP035  as TorchScript knows them

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput, NeighborListOptions, System

CUTOFF = 5.0  # Å


class Pairs(torch.nn.Module):
    """Of silicon."""

    def __init__(self) -> None:
        super().__init__()
        self.cutoff = CUTOFF
        self.pairs = NeighborListOptions(cutoff=CUTOFF, full_list=False, strict=True)
        self.weights = torch.nn.Parameter(torch.randn(8, dtype=torch.float64))
        self.register_buffer("centres", torch.linspace(1.0, CUTOFF, 8, dtype=torch.float64))

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:  # noqa: UP006
        return [self.pairs]

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[Labels],  # noqa: UP045
    ) -> Dict[str, TensorMap]:  # noqa: UP006
        energies: List[torch.Tensor] = []  # noqa: UP006
        for system in systems:
            distances = torch.linalg.vector_norm(system.get_neighbor_list(self.pairs).values.reshape(-1, 3), dim=1)
            terms = torch.exp(-((distances[:, None] - self.centres) ** 2)) @ self.weights
            energies.append((terms * (1.0 - (distances / self.cutoff) ** 2) ** 3).sum())
        block = TensorBlock(
            values=torch.stack(energies).reshape(-1, 1),
            samples=Labels("system", torch.arange(len(systems)).reshape(-1, 1)),
            components=torch.jit.annotate(List[Labels], []),  # noqa: UP006
            properties=Labels("energy", torch.tensor([[0]])),
        )
        return {"energy": TensorMap(Labels("_", torch.tensor([[0]])), [block])}


def save(path: Path) -> None:
    """Write it as metatomic does."""
    capabilities = ModelCapabilities(
        outputs={"energy": ModelOutput(unit="eV", sample_kind="system")},
        atomic_types=[14],
        interaction_range=CUTOFF,
        length_unit="Angstrom",
        supported_devices=["cpu"],
        dtype="float64",
    )
    torch.manual_seed(0)
    AtomisticModel(Pairs().eval(), ModelMetadata(name="random pairs"), capabilities).save(str(path))
