"""A network on a device that is told what to do once for every size, and then only when.

The kernels of a molecule take a GPU longer to be launched one by one than to run. So what it does for so many atoms
and pairs is recorded, and launched as a whole. Pairs come and go, so what is recorded has room for more of them, by
steps of a quarter: the rest are pairs of one more atom with itself, at the cut-off, which no other atom feels. How much
room there is depends on the sizes alone, and so an answer on what was asked before in not a single bit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from mdsuite_driver.models.graph import EnergiesAndGradient
from mdsuite_driver.models.order import in_one_order
from mdsuite_driver.models.protocol import FloatArray, IntArray, ModelCard

Record = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
"""From what is to be done to what does it again, into the very tensor that it gave first."""

KEPT = 8  # rooms; each has memory of its own
SMALLEST, STEPS = 16, 4  # pairs, and sizes from one to its double


class Rooms:
    """Energies of atoms and the derivative of their sum, as `batch.AtomGraph`, of a network's copy on a device."""

    def __init__(self, network: nn.Module, card: ModelCard, device: torch.device, record: Record) -> None:
        self._function = EnergiesAndGradient(copy.deepcopy(network).to(device))
        self._card = card
        self._device = device
        self._record = record
        self._room = lru_cache(maxsize=KEPT)(self._made)

    def __call__(
        self, numbers: IntArray, i: IntArray, j: IntArray, vectors: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Energies (n_atoms,), eV, and the derivative (n_pairs, 3), eV/Å; raises what torch raises."""
        return self._room(len(numbers), room_for(len(i))).answer(numbers, i, j, vectors)

    def _made(self, n_atoms: int, n_pairs: int) -> _Room:
        with in_one_order(True):
            return _Room(self._function, self._card, self._device, self._record, n_atoms, n_pairs)


class _Room:
    """What is done for so many atoms and up to so many pairs, and where it is looked for.

    Integers lie beside each other, here and there, as do the answers, so that each is one copy.
    """

    def __init__(
        self,
        function: nn.Module,
        card: ModelCard,
        device: torch.device,
        record: Record,
        n_atoms: int,
        n_pairs: int,
    ) -> None:
        self._function = function
        self._nobody, self._far = n_atoms, card.cutoff or 0.0
        self._n_atoms = n_atoms + 1
        whole = torch.full((self._n_atoms + 2 * n_pairs,), self._nobody, dtype=torch.int64)
        whole[: self._n_atoms] = (card.species or (1,))[0]
        vectors = torch.zeros(n_pairs, 3, dtype=getattr(torch, card.dtype))
        vectors[:, 0] = self._far
        self._here = tuple(each.pin_memory() if device.type == "cuda" else each for each in (whole, vectors))
        self._there = tuple(each.to(device, copy=True) for each in self._here)
        whole_here, vectors_here = (each.numpy() for each in self._here)
        self._numbers, self._i, self._j = np.split(whole_here, [self._n_atoms, self._n_atoms + n_pairs])
        self._vectors = vectors_here
        self._pairs: tuple[IntArray, IntArray] | None = None
        self._again = record(self._done)

    def answer(self, numbers: IntArray, i: IntArray, j: IntArray, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `Rooms`."""
        self._put(numbers, i, j, vectors)
        told = self._again().cpu().numpy()
        return told[: len(numbers)], told[self._n_atoms :].reshape(-1, 3)[: len(i)]

    def _done(self) -> Tensor:
        whole, vectors = self._there
        pairs = whole[self._n_atoms :].reshape(2, -1)
        energies, gradient = self._function(whole[: self._n_atoms], pairs[0], pairs[1], vectors)
        return torch.cat([energies, gradient.double().flatten()])

    def _put(self, numbers: IntArray, i: IntArray, j: IntArray, vectors: FloatArray) -> None:
        n_pairs = len(i)
        whole, there = self._there
        same_pairs = self._pairs is not None and self._pairs[0] is i and self._pairs[1] is j
        if not (same_pairs and np.array_equal(self._numbers[:-1], numbers)):
            self._numbers[:-1] = numbers
            for ours, theirs in ((self._i, i), (self._j, j)):
                ours[:n_pairs], ours[n_pairs:] = theirs, self._nobody
            self._pairs = i, j
            whole.copy_(self._here[0], non_blocking=True)
        self._vectors[:n_pairs] = vectors
        self._vectors[n_pairs:] = self._far, 0.0, 0.0
        there.copy_(self._here[1], non_blocking=True)


def room_for(n_pairs: int) -> int:
    """The smallest size with room for so many pairs: a power of two, and three between it and the next."""
    if n_pairs <= SMALLEST:
        return SMALLEST
    step = (1 << (n_pairs - 1).bit_length() - 1) // STEPS
    return -(-n_pairs // step) * step
