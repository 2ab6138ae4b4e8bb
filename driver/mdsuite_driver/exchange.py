"""What a server asks at a time: one configuration, a pack of mdsuite's, or a batch of i-PI's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mdsuite_driver import pack, wire
from mdsuite_driver.dialect import Announcement, Species
from mdsuite_driver.models.batch import Evaluator, batch_of, evaluator_of
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model
from mdsuite_driver.soundness import require_sound
from mdsuite_driver.wire import Receive


class Exchange(Protocol):
    """One kind of question with its kind of answer."""

    @property
    def n_evaluations(self) -> int:
        """How many configurations are asked at a time."""
        ...

    def read(self, receive: Receive, species: Species) -> Sequence[Configuration]:
        """What follows a POSDATA header; raises WireError for anything else."""
        ...

    def answer(self, asked: Sequence[Configuration]) -> bytes:
        """FORCEREADY; raises UnsoundError for what must not be integrated, and what the model raises."""
        ...


def exchange_of(model: Model, announcement: Announcement | None, batch_size: int = 1) -> Exchange:
    """That of a server which has announced itself, or which i-PI's INIT is of; raises ModelError if there is none."""
    if announcement is not None and announcement.n_members > 1:
        return _OfAPack(batch_of(model), announcement.n_members, announcement.max_force)
    if batch_size > 1:
        return _OfABatch(evaluator_of(model), batch_size)
    return _OfOne(model, announcement.max_force if announcement else None)


def _read_one(receive: Receive, species: Species) -> Configuration:
    cell, positions = wire.read_positions(receive, len(species.numbers))
    return Configuration(numbers=species.numbers, positions=positions, cell=cell, pbc=species.pbc)


@dataclass(frozen=True, slots=True)
class _OfOne:
    model: Model
    max_force: float | None
    n_evaluations: int = 1

    def read(self, receive: Receive, species: Species) -> Sequence[Configuration]:
        return (_read_one(receive, species),)

    def answer(self, asked: Sequence[Configuration]) -> bytes:
        return wire.encode_evaluation(_sound(self.model.evaluate(asked[0]), asked[0], self.max_force))


@dataclass(frozen=True, slots=True)
class _OfAPack:
    evaluator: Evaluator
    n_evaluations: int
    max_force: float | None

    def read(self, receive: Receive, species: Species) -> Sequence[Configuration]:
        return pack.members(_read_one(receive, species), self.n_evaluations)

    def answer(self, asked: Sequence[Configuration]) -> bytes:
        answers = pack.evaluate(self.evaluator, asked, self.max_force)
        return wire.encode_evaluation(*pack.encode(answers, len(asked[0].numbers)))


@dataclass(frozen=True, slots=True)
class _OfABatch:
    evaluator: Evaluator
    n_evaluations: int

    def read(self, receive: Receive, species: Species) -> Sequence[Configuration]:
        return [
            Configuration(numbers=species.numbers, positions=positions, cell=cell, pbc=species.pbc)
            for cell, positions in wire.read_batch(receive, self.n_evaluations, len(species.numbers))
        ]

    def answer(self, asked: Sequence[Configuration]) -> bytes:
        evaluations = self.evaluator.evaluate(asked)
        return wire.encode_evaluations([_sound(each, of, None) for each, of in zip(evaluations, asked, strict=True)])


def _sound(evaluation: Evaluation, of: Configuration, max_force: float | None) -> Evaluation:
    require_sound(evaluation, len(of.numbers), max_force)
    return evaluation
