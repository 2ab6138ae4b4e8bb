"""The gradient of the loss by the weights, as PyTorch does it step by step, or as one compiled graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mdsuite.errors import InputError
from mdsuite.fitting.batch import Batch
from mdsuite.fitting.recipe import Training
from mdsuite_driver.models.package import traced
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
    """As one graph for batches of every size, made at the first; about five times as fast on a CPU core.

    Raises InputError where there is no compiler, and where its gradients are not those made step by step.
    """

    def __init__(self, network: PaiNN, training: Training) -> None:
        self._network = network
        self._training = training
        self._eager = eager(network, training)
        self._graph: Callable[..., Any] | None = None

    def __call__(self, batch: Batch) -> Gradients:
        """The loss and its gradient; batches of one molecule or pair are no example of a size, and done by steps."""
        if min(len(batch.n_atoms), len(batch.i)) < 2:
            return self._eager(batch)
        if self._graph is None:
            self._graph = self._compiled(batch)
            self._require_right(batch.half())
        return self._asked(batch)

    def _asked(self, batch: Batch) -> Gradients:
        assert self._graph is not None
        with torch.no_grad():
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
            graph = traced(step, weights, *batch.tensors)
            compiled: Callable[..., Any] = torch.compile(graph, dynamic=True, fullgraph=True)
            with torch.no_grad():
                compiled(weights, *batch.tensors)
        except Exception as error:  # torch raises whatever its parts and the C++ compiler do
            raise InputError(
                "training.compile: the gradients could not be compiled, which takes a C++ compiler that torch can use; "
                f"mend that, or leave it out of the recipe: {first_line(error)}"
            ) from error
        return compiled

    def _require_right(self, batch: Batch) -> None:
        """On another batch than that of which the graph was made, and of another size."""
        ours, theirs = (torch.cat([each.ravel() for each in of(batch)[1]]) for of in (self._asked, self._eager))
        apart = float((ours - theirs).norm() / theirs.norm())
        if not apart < TOLERANCE:
            raise InputError(
                f"the compiled gradients differ by {apart:.1e} of their size from those made step by step; leave "
                "training.compile out of the recipe"
            )


def _with(network: nn.Module, names: Sequence[str], weights: Sequence[Tensor]) -> Network:
    """The network with other weights."""
    named = dict(zip(names, weights, strict=True))
    return lambda *tensors: torch.func.functional_call(network, named, tensors)


def _loss(network: Network, batch: Batch, training: Training) -> Tensor:
    energies, forces = predict(network, batch, create_graph=True)
    of_energies = (((energies - batch.energies) / batch.n_atoms) ** 2).mean()
    return training.energy_weight * of_energies + training.force_weight * ((forces - batch.forces) ** 2).mean()
