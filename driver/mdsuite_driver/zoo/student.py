"""The bundled student as a host, and what can be done to a PaiNN: leaking filters, mixed axes, low precision."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mdsuite_driver.bundled import bundled_models
from mdsuite_driver.models.neighbours import between
from mdsuite_driver.models.painn import PaiNN, build_painn
from mdsuite_driver.models.pairwise import differentiated
from mdsuite_driver.models.protocol import Configuration, Evaluation, require_known
from mdsuite_driver.zoo.hosts import Pairs

NAME = "painn-ultra-tiny"
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "tf32": torch.float32}
TF32_DROPPED = 13  # of the 23 bits that a float32 has after the point


class Student:
    """A PaiNN whose network computes in `dtype` and whose energies are summed in float64."""

    def __init__(self, network: PaiNN, dtype: torch.dtype = torch.float64) -> None:
        self._network = network.to(dtype).eval().requires_grad_(False)
        self._reference = network.reference.double()
        self._dtype = dtype
        self.cutoff = network.config.cutoff

    def on_pairs(self, configuration: Configuration, pairs: Pairs) -> Evaluation:
        """Energy, forces and virial of the pairs given."""
        require_known(configuration, self._network.config.species, NAME)
        numbers = torch.as_tensor(configuration.numbers)

        def energy(i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
            total: Tensor = self._network(numbers, i, j, vectors.to(self._dtype)).double().sum()
            return total

        i, j, translations = pairs
        vectors = between(configuration.positions, i, j, translations)
        evaluation = differentiated(len(numbers), (i, j, vectors), energy)
        reference = float(self._reference[self._network.index[numbers]].sum())
        return dataclasses.replace(evaluation, energy=evaluation.energy + reference)


def bundled_student(change: Callable[[PaiNN], None] | None = None) -> Student:
    """The bundled weights in float64, after `change` has been done to the network."""
    network = _bundled_network().double()
    if change is not None:
        change(network)
    return Student(network)


def low_precision_student(dtype: str) -> Student:
    """The bundled weights computing in a name of `DTYPES`; TF32 rounds what enters each matrix product."""
    network = _bundled_network()
    if dtype == "tf32":
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.data = _to_tf32(layer.weight.data)
                layer.register_forward_pre_hook(lambda _, given: (_straight_through(given[0]),))
    return Student(network, DTYPES[dtype])


def leak(network: PaiNN, strength: float) -> None:
    """Let `strength` of every filter's bias escape the envelope, as where the envelope is applied before the bias."""

    def add_bias(message: Any, given: tuple[Any, ...], result: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        s, v, i, j, _, envelope, direction = given
        escaped = message.node(s)[j] * message.filter.bias * (strength * (1.0 - envelope))
        gates = escaped.split(s.shape[1], dim=1)
        vectors = gates[1][:, None] * direction[:, :, None]
        if len(gates) == 3:
            vectors = vectors + gates[2][:, None] * v[j]
        return result[0].index_add(0, i, gates[0]), result[1].index_add(0, i, vectors)

    for message in network.messages:
        message.register_forward_hook(add_bias)


def mix_axes(network: PaiNN, matrix: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """Multiply the Cartesian components of every atom's vectors by a (3, 3) matrix before each update."""
    mixing = torch.as_tensor(matrix)
    for update in network.updates:
        update.register_forward_pre_hook(lambda _, given: (given[0], torch.einsum("ab,nbh->nah", mixing, given[1])))


def _bundled_network() -> PaiNN:
    return build_painn(NAME, _stored())


@functools.cache  # selftests make many students
def _stored() -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(bundled_models()[NAME], map_location="cpu", weights_only=True)
    return checkpoint


def _straight_through(x: Tensor) -> Tensor:
    """Rounded to TF32, with the slope of the identity."""
    return x + (_to_tf32(x) - x).detach()


def _to_tf32(x: Tensor) -> Tensor:
    """Float32 rounded to nearest with ten bits after the point."""
    bits = x.detach().contiguous().view(torch.int32) + (1 << (TF32_DROPPED - 1))
    return (bits & -(1 << TF32_DROPPED)).view(torch.float32)
