"""Fits a PaiNN to labelled frames; deterministic by seed, and resumable after every epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdsuite.files import whole
from mdsuite.fitting.batch import Batch, Item, collate, items_of
from mdsuite.fitting.recipe import Student, Training
from mdsuite.fitting.sampling import Labelled
from mdsuite.fitting.step import Step, predict, stepper
from mdsuite_driver.models.painn import PaiNN, PaiNNConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """How an epoch ended: root mean square errors on validation frames, eV per atom and eV/Å per component."""

    number: int
    loss: float
    energy_rmse: float
    force_rmse: float


def fit(
    student: Student,
    training: Training,
    train: Sequence[Labelled],
    validation: Sequence[Labelled],
    state: Path,
    told: Callable[[Epoch], None],
    device: str = "cpu",
) -> tuple[PaiNN, list[Epoch]]:
    """The network of the best validation epoch, and all epochs; goes on from the file `state` where it exists.

    On the CPU the weights depend on recipe and labels alone; a GPU adds up in an order of its own.
    """
    torch.manual_seed(training.seed)
    network = PaiNN(_config(student, train))
    network.reference.copy_(_reference_energies(network.config.species, train))
    items = [item for each in train for item in items_of(network, each)]
    checked = [item for each in validation for item in items_of(network, each)]
    fitting = Fitting(training, network.to(device), items, checked)
    if state.exists():
        fitting.load(torch.load(state, weights_only=True, map_location=device))
    while not fitting.over:
        told(fitting.advance())
        with whole(state) as temporary:
            torch.save(fitting.stored(), temporary)
    network.load_state_dict(fitting.best)
    return network.cpu(), fitting.history


class Fitting:
    """A fit between two epochs."""

    def __init__(self, training: Training, network: PaiNN, train: list[Item], validation: list[Item]) -> None:
        self._training = training
        self._network = network
        self._train = train
        self._validation = validation
        self._averaged = copy.deepcopy(network)
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=1e-6)
        # At a batch of the first epoch, whichever is next, so that a resumed fit has the graph of an uninterrupted one.
        self._step: Step = stepper(network, training, self._batches(0))
        self.epoch = 0
        self.history: list[Epoch] = []
        self.best: dict[str, Tensor] = network.state_dict()

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or none has been better for longer than the patience."""
        if self.epoch >= self._training.epochs:
            return True
        forces = [each.force_rmse for each in self.history]
        since = len(forces) - 1 - int(np.argmin(forces)) if forces else 0
        return self._training.patience is not None and since >= self._training.patience

    def advance(self) -> Epoch:
        """One epoch."""
        losses = []
        for k, batch in enumerate(self._batches(self.epoch)):
            self._set_learning_rate((self.epoch + k / self._n_batches) / self._training.epochs)
            losses.append(self._take(batch))
        energy_rmse, force_rmse = errors(self._averaged, self._validation)
        self.epoch += 1
        ended = Epoch(number=self.epoch, loss=float(np.mean(losses)), energy_rmse=energy_rmse, force_rmse=force_rmse)
        if all(force_rmse < each.force_rmse for each in self.history):
            self.best = copy.deepcopy(self._averaged.state_dict())
        self.history.append(ended)
        return ended

    def stored(self) -> dict[str, Any]:
        """Everything that decides how the fit goes on, in plain types."""
        return {
            "epoch": self.epoch,
            "network": self._network.state_dict(),
            "averaged": self._averaged.state_dict(),
            "best": self.best,
            "optimiser": self._optimiser.state_dict(),
            "history": [[each.number, each.loss, each.energy_rmse, each.force_rmse] for each in self.history],
        }

    def load(self, stored: dict[str, Any]) -> None:
        """Take up what `stored` gave."""
        self.epoch = stored["epoch"]
        self._network.load_state_dict(stored["network"])
        self._averaged.load_state_dict(stored["averaged"])
        self._optimiser.load_state_dict(stored["optimiser"])
        self.best = stored["best"]
        self.history = [
            Epoch(number=number, loss=loss, energy_rmse=energy, force_rmse=force)
            for number, loss, energy, force in stored["history"]
        ]

    @property
    def _n_batches(self) -> int:
        return math.ceil(len(self._train) / self._training.batch_size)

    def _batches(self, epoch: int) -> Iterator[Batch]:
        """Of an epoch, by whose number their order is drawn: a resumed fit sees what an uninterrupted one sees."""
        order = np.random.default_rng([self._training.seed, epoch]).permutation(len(self._train))
        for chosen in np.split(order, range(self._training.batch_size, len(order), self._training.batch_size)):
            yield collate([self._train[n] for n in chosen], self._device)

    @property
    def _device(self) -> torch.device:
        return self._network.reference.device

    def _set_learning_rate(self, progress: float) -> None:
        """A warm-up over the first hundredth, then half a cosine."""
        factor = min(1.0, progress / 0.01) * 0.5 * (1.0 + math.cos(math.pi * progress))
        for group in self._optimiser.param_groups:
            group["lr"] = self._training.learning_rate * max(factor, 1e-3)

    def _take(self, batch: Batch) -> float:
        """A step of the optimiser."""
        loss, gradients = self._step(batch)
        for parameter, gradient in zip(self._network.parameters(), gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 10.0)
        self._optimiser.step()
        self._average()
        return float(loss)

    @torch.no_grad()
    def _average(self) -> None:
        """An exponential moving average of the weights, younger at the beginning."""
        steps = self.epoch * self._n_batches
        decay = min(self._training.ema, (1.0 + steps) / (10.0 + steps))
        for averaged, current in zip(self._averaged.parameters(), self._network.parameters(), strict=True):
            averaged.lerp_(current, 1.0 - decay)


def errors(network: PaiNN, items: Sequence[Item]) -> tuple[float, float]:
    """Root mean square errors of energies per atom (eV) and of force components (eV/Å)."""
    energy, force = residuals(network, items)
    return float(np.sqrt(np.mean(energy**2))), float(np.sqrt(np.mean(force**2)))


def residuals(network: PaiNN, items: Sequence[Item]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Predicted less labelled energies (n_frames,), eV per atom, and force components (all in one row), eV/Å."""
    energy, force = [], []
    for k in range(0, len(items), 100):
        batch = collate(items[k : k + 100], network.reference.device)
        energies, forces = predict(network, batch, create_graph=False)
        energy.append(((energies - batch.energies) / batch.n_atoms).detach().cpu().numpy())
        force.append((forces - batch.forces).detach().cpu().numpy().ravel())
    return np.concatenate(energy), np.concatenate(force)


def _config(student: Student, train: Sequence[Labelled]) -> PaiNNConfig:
    species = sorted({int(z) for each in train for z in each.numbers})
    return PaiNNConfig(species=tuple(species), **student.model_dump(exclude={"name"}))


def _reference_energies(species: Sequence[int], train: Sequence[Labelled]) -> Tensor:
    """An energy for each element, eV, by least squares (of smallest norm where frames leave them open)."""
    counts = np.array([[(each.numbers == z).sum() for z in species] for each in train], dtype=float)
    means = np.array([each.energies.mean() for each in train])
    return torch.as_tensor(np.linalg.lstsq(counts, means, rcond=None)[0])
