"""Several configurations evaluated at once: pairs of all of them beside each other, energies of atoms told apart.

With the same configurations side by side the answers are the same bit for bit; with others beside it, a configuration
is answered otherwise in its last digits, as sums are then cut otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from mdsuite_driver.models.neighbours import Neighbours, collected
from mdsuite_driver.models.protocol import (
    Configuration,
    Evaluation,
    FloatArray,
    IntArray,
    Model,
    ModelCard,
    ModelError,
    require_known,
)

if TYPE_CHECKING:
    from torch import nn

AtomGraph = Callable[[IntArray, IntArray, IntArray, FloatArray], tuple[FloatArray, FloatArray]]
"""From numbers, i, j and vectors to the energies of atoms and the derivative of their sum by the vectors."""


@runtime_checkable
class Batching(Model, Protocol):
    """A model that can be asked for several configurations at once."""

    def batch(self) -> Batch:
        """Whom to ask for them; raises ModelError where there is nobody."""
        ...


class Batch:
    """What is asked for several configurations at once."""

    def __init__(self, graph: AtomGraph, card: ModelCard) -> None:
        self._graph = graph
        self._card = card
        self._neighbours: list[Neighbours] = []  # of each place in a batch

    def evaluate(self, configurations: Sequence[Configuration]) -> list[Evaluation]:
        """Energy, forces and virial of each; raises ModelError for elements or boundaries that the model is not for."""
        card = self._card
        for each in configurations:
            require_known(each, card.species or (), card.name)
            if any(each.pbc) and not card.periodic:
                raise ModelError(f"{card.name} has no periodic boundaries; give a structure with pbc='F F F'")
        while len(self._neighbours) < len(configurations):
            self._neighbours.append(Neighbours(card.cutoff or 0.0))
        pairs = [at.vectors_within(each) for at, each in zip(self._neighbours, configurations, strict=False)]
        sizes = np.array([len(each.numbers) for each in configurations])
        first = np.cumsum(sizes) - sizes
        energies, gradient = self._graph(
            np.concatenate([each.numbers for each in configurations]),
            np.concatenate([i + begun for (i, _, _), begun in zip(pairs, first, strict=True)]),
            np.concatenate([j + begun for (_, j, _), begun in zip(pairs, first, strict=True)]),
            np.concatenate([vectors for _, _, vectors in pairs]),
        )
        n_pairs = np.cumsum([len(i) for i, _, _ in pairs])[:-1]
        shares = zip(np.split(energies, first[1:]), np.split(gradient, n_pairs), pairs, sizes, strict=True)
        return [
            collected(float(of_atoms.sum()), int(n_atoms), i, j, vectors, by_vectors)
            for of_atoms, by_vectors, (i, j, vectors), n_atoms in shares
        ]


def side_by_side(network: nn.Module, card: ModelCard) -> Batch:
    """Whom to ask for several configurations of a network of energies of atoms, as it is."""
    from mdsuite_driver.models.exported import atom_graph_of  # noqa: PLC0415  it knows of this module
    from mdsuite_driver.models.graph import EnergiesAndGradient  # noqa: PLC0415  torch takes seconds

    return Batch(atom_graph_of(EnergiesAndGradient(network), card.dtype), card)


def batch_of(model: Model) -> Batch:
    """Whom to ask for several configurations; raises ModelError for a model that takes one at a time."""
    if not isinstance(model, Batching):
        raise ModelError(
            f"{model.card.name} ({model.card.kind}) is evaluated for one structure at a time; batches are for the "
            "project's PaiNN and ACE, and for seed students"
        )
    return model.batch()
