"""Several configurations evaluated at once: pairs of all of them beside each other, energies of atoms told apart.

With the same configurations side by side the answers are the same bit for bit; with others beside it, a configuration
is answered otherwise in its last digits, as sums are then cut otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from mdsuite_driver.models.neighbours import Neighbours, virial_of
from mdsuite_driver.models.protocol import (
    Configuration,
    Evaluation,
    FloatArray,
    IntArray,
    Model,
    ModelCard,
    ModelError,
    require_fit,
)

if TYPE_CHECKING:
    from torch import nn

AtomGraph = Callable[[IntArray, IntArray, IntArray, FloatArray], tuple[FloatArray, FloatArray]]
"""From numbers, i, j and vectors to the energies of atoms and the derivative of their sum by the vectors."""


class Evaluator(Protocol):
    """Who is asked for several configurations at once."""

    def evaluate(self, configurations: Sequence[Configuration]) -> list[Evaluation]:
        """Energy, forces and virial of each."""
        ...


@runtime_checkable
class Batching(Model, Protocol):
    """A model that can be asked for several configurations at once."""

    def batch(self) -> Evaluator:
        """Whom to ask for them; raises ModelError where there is nobody."""
        ...


class Batch:
    """A graph that is asked for several configurations at once."""

    def __init__(self, graph: AtomGraph, card: ModelCard) -> None:
        self._graph = graph
        self._card = card
        self._neighbours = Neighbours(card.cutoff or 0.0)

    def evaluate(self, configurations: Sequence[Configuration]) -> list[Evaluation]:
        """Energy, forces and virial of each; raises ModelError for elements or boundaries that the model is not for."""
        for each in configurations:
            require_fit(each, self._card)
        beside = i, j, vectors = self._neighbours.vectors_beside(configurations)
        numbers = np.concatenate([each.numbers for each in configurations])
        energies, gradient = self._graph(numbers, i, j, vectors)
        forces = self._neighbours.forces_of(len(numbers), beside, gradient)
        ends = np.cumsum([len(each.numbers) for each in configurations])
        atoms = [slice(first, end) for first, end in pairwise((0, *ends.tolist()))]
        pairs = [slice(first, end) for first, end in pairwise((0, *np.searchsorted(i, ends).tolist()))]  # i is sorted
        return [
            Evaluation(
                energy=float(energies[own].sum()),
                forces=forces[own],
                virial=virial_of(vectors[theirs], gradient[theirs]),
            )
            for own, theirs in zip(atoms, pairs, strict=True)
        ]


def side_by_side(network: nn.Module, card: ModelCard) -> Batch:
    """Whom to ask for several configurations of a network of energies of atoms, as it is."""
    from mdsuite_driver.models.exported import atom_graph_of  # noqa: PLC0415  it knows of this module
    from mdsuite_driver.models.graph import EnergiesAndGradient  # noqa: PLC0415  torch takes seconds

    return Batch(atom_graph_of(EnergiesAndGradient(network), card.dtype), card)


@dataclass(frozen=True, slots=True)
class OneByOne:
    """A model that takes one configuration at a time, asked for several."""

    model: Model

    def evaluate(self, configurations: Sequence[Configuration]) -> list[Evaluation]:
        """Energy, forces and virial of each."""
        return [self.model.evaluate(each) for each in configurations]


def batch_of(model: Model) -> Evaluator:
    """Whom to ask for several configurations; raises ModelError for a model that takes one at a time."""
    if not isinstance(model, Batching):
        raise ModelError(
            f"{model.card.name} ({model.card.kind}) is evaluated for one structure at a time; batches are for the "
            "project's PaiNN and ACE, and for seed students"
        )
    return model.batch()


def evaluator_of(model: Model) -> Evaluator:
    """Whom to ask for several configurations, be it one after the other."""
    return batch_of(model) if isinstance(model, Batching) else OneByOne(model)


def answers_of(evaluator: Evaluator, requests: Sequence[Sequence[Configuration]]) -> list[list[Evaluation] | Exception]:
    """The answers to several requests that are evaluated as one batch; where that fails each is asked for by itself.

    A request without an answer has what was raised for it.
    """
    try:
        found = iter(evaluator.evaluate([each for request in requests for each in request]))
    except Exception:  # of one of them, and whose is found by asking for each
        return [_answer(evaluator, request) for request in requests]
    return [list(islice(found, len(request))) for request in requests]


def _answer(evaluator: Evaluator, request: Sequence[Configuration]) -> list[Evaluation] | Exception:
    try:
        return evaluator.evaluate(request)
    except Exception as error:
        return error
