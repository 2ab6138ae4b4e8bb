"""The gradient of the loss by the weights, as PyTorch does it step by step, or as one compiled graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mdsuite.errors import InputError
from mdsuite.fitting.batch import Batch
from mdsuite.fitting.recipe import Training
from mdsuite_driver.models.package import equal_by_chance, quietly, traced
from mdsuite_driver.models.painn import PaiNN
from mdsuite_driver.models.protocol import first_line

Network = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Gradients = tuple[Tensor, list[Tensor]]
"""A loss, and its derivative by every weight."""

Step = Callable[[Batch], Gradients]

TOLERANCE = 1e-3
"""Relative, by which compiled gradients may differ from those of the same network step by step, in single precision."""


def predict(network: Network, batch: Batch, *, create_graph: bool) -> tuple[Tensor, Tensor]:
    """Energies (n_molecules,), eV, without references, and forces (n_atoms, 3), eV/Å."""
    vectors = batch.vectors.detach().requires_grad_()
    atoms = network(batch.numbers, batch.i, batch.j, vectors)
    energies = atoms.new_zeros(batch.n_atoms.shape[0]).index_add(0, batch.molecule, atoms)
    (gradient,) = torch.autograd.grad(energies.sum(), vectors, create_graph=create_graph)
    forces = torch.zeros_like(batch.forces).index_add(0, batch.i, gradient).index_add(0, batch.j, -gradient)
    return energies, forces


def eager(network: PaiNN, training: Training) -> Step:
    """Step by step."""
    weights = list(network.parameters())

    def step(batch: Batch) -> Gradients:
        loss = _loss(network, batch, training)
        return loss.detach(), list(torch.autograd.grad(loss, weights))

    return step


class Compiled:
    """As one graph for batches of every size; three to four times as fast on a CPU core.

    It is made at an example, by whose sizes a compiler orders sums: a fit that is taken up again must have the same.

    Raises InputError where there is no compiler, and where its gradients are not those made step by step.
    """

    def __init__(self, network: PaiNN, training: Training, example: Batch) -> None:
        self._network = network
        self._training = training
        self._example = example
        self._eager = eager(network, training)
        self._graph: Callable[..., Any] | None = None

    def __call__(self, batch: Batch) -> Gradients:
        """The loss and its gradient; batches of one molecule or pair are no example of a size, and done by steps."""
        if not _exemplary(batch):
            return self._eager(batch)
        if self._graph is None:
            self._graph = self._compiled(self._example)
            for each in filter(_exemplary, (self._example, self._example.half())):
                self._require_right(each)
        return self._asked(batch)

    def _asked(self, batch: Batch) -> Gradients:
        assert self._graph is not None
        # Sizes that the compiler has excluded are done by steps, because another graph would depend on who came first.
        with torch.no_grad(), torch.compiler.set_stance("eager_on_recompile"):
            loss, *gradients = self._graph([each.detach() for each in self._network.parameters()], *batch.tensors)
        return loss, gradients

    def _compiled(self, batch: Batch) -> Callable[..., Any]:
        names = [name for name, _ in self._network.named_parameters()]

        def step(weights: Sequence[Tensor], *tensors: Tensor) -> tuple[Tensor, ...]:
            own = [each.detach().requires_grad_() for each in weights]
            loss = _loss(_with(self._network, names, own), Batch(*tensors), self._training)
            return loss.detach(), *(each.detach() for each in torch.autograd.grad(loss, own))

        weights = [each.detach() for each in self._network.parameters()]
        try:
            with quietly():
                compiled = _compiled(traced(step, weights, *batch.tensors), weights, batch)
        except Exception as error:  # torch raises whatever its parts and the C++ compiler do
            raise InputError(
                "training.compile: the gradients could not be compiled, which takes a C++ compiler that torch can use; "
                f"mend that, or leave it out of the recipe: {first_line(error)}"
            ) from error
        return compiled

    def _require_right(self, batch: Batch) -> None:
        """Raise InputError where a batch has other gradients step by step."""
        ours, theirs = (torch.cat([each.ravel() for each in of(batch)[1]]) for of in (self._asked, self._eager))
        apart = float((ours - theirs).norm() / theirs.norm())
        if not apart < TOLERANCE:
            raise InputError(
                f"the compiled gradients differ by {apart:.1e} of their size from those made step by step; leave "
                "training.compile out of the recipe"
            )


def _compiled(graph: torch.fx.GraphModule, weights: Sequence[Tensor], batch: Batch) -> Callable[..., Any]:
    """A graph of which the sizes of weights are fixed and those of batches are not."""
    from torch._inductor import config  # noqa: PLC0415  takes seconds

    compiled: Callable[..., Any] = torch.compile(graph, dynamic=True, fullgraph=True)
    for each in weights:
        torch._dynamo.mark_static(each)
    # A cache may hold what was compiled at an example of other sizes.
    with torch.no_grad(), equal_by_chance(), config.patch(fx_graph_cache=False):
        compiled(weights, *batch.tensors)
    return compiled


def stepper(network: PaiNN, training: Training, batches: Iterable[Batch]) -> Step:
    """As the training says; a graph is made at the first of the batches that can be an example."""
    example = next(filter(_exemplary, batches), None) if training.compile else None
    return eager(network, training) if example is None else Compiled(network, training, example)


def _exemplary(batch: Batch) -> bool:
    """Whether no size is one, which a graph takes for a size that never changes."""
    return min(len(batch.n_atoms), len(batch.i)) > 1


def _with(network: nn.Module, names: Sequence[str], weights: Sequence[Tensor]) -> Network:
    """The network with other weights."""
    named = dict(zip(names, weights, strict=True))
    return lambda *tensors: torch.func.functional_call(network, named, tensors)


def _loss(network: Network, batch: Batch, training: Training) -> Tensor:
    energies, forces = predict(network, batch, create_graph=True)
    of_energies = _mean(((energies - batch.energies) / batch.n_atoms) ** 2)
    return training.energy_weight * of_energies + training.force_weight * _mean((forces - batch.forces) ** 2)


def _mean(of: Tensor) -> Tensor:
    """As a sum over a size, because torch 2.13 compiles no derivative of its own mean where sizes are open."""
    return of.sum() / math.prod(of.shape)
