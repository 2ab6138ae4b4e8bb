"""The client end of the i-PI protocol: waits for positions, answers with forces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdsuite_driver import wire
from mdsuite_driver.models.protocol import Configuration, Evaluation, IntArray, Model
from mdsuite_driver.stream import PeerClosedError, Stream
from mdsuite_driver.wire import WireError

NOT_FINITE = 3  # the exit code of a driver whose model answered with NaN or infinity


@dataclass(frozen=True, slots=True)
class Species:
    """What i-PI's positions leave unsaid: atomic numbers (n_atoms,) and periodicity."""

    numbers: IntArray
    pbc: tuple[bool, bool, bool]


class NotFiniteError(ArithmeticError):
    """The model answered with NaN or infinity."""


def serve(stream: Stream, model: Model, species: Species | None = None) -> int:
    """Answer one server until it sends EXIT or closes between two messages; returns the number of evaluations.

    `species` is used until the server's INIT names others. Raises WireError for anything that is not the protocol,
    PeerClosedError for an end inside a message, and what the model raises.
    """
    conversation = _Conversation(stream, model, species)
    while (word := _next(stream)) not in (None, wire.EXIT):
        conversation.answer(str(word))
    return conversation.n_evaluations


def _next(stream: Stream) -> str | None:
    try:
        return wire.read_header(stream.receive)
    except PeerClosedError as end:
        if end.clean:
            return None
        raise
    except ConnectionResetError:  # a server that was killed between two messages
        return None


class _Conversation:
    """The state that the protocol asks of a client: NEEDINIT, READY or HAVEDATA."""

    def __init__(self, stream: Stream, model: Model, species: Species | None) -> None:
        self._stream = stream
        self._model = model
        self._species = species
        self._initialised = False
        self._pending: Evaluation | None = None
        self.n_evaluations = 0
        self._answers: dict[str, Callable[[], None]] = {
            wire.STATUS: self._status,
            wire.INIT: self._init,
            wire.POSDATA: self._positions,
            wire.GETFORCE: self._forces,
        }

    def answer(self, word: str) -> None:
        if word not in self._answers:
            raise WireError(f"expected one of {', '.join([*self._answers, wire.EXIT])}, got {word!r}")
        self._answers[word]()

    def _status(self) -> None:
        if self._pending is not None:
            self._stream.send(wire.header(wire.HAVEDATA))
        else:
            self._stream.send(wire.header(wire.READY if self._initialised else wire.NEEDINIT))

    def _init(self) -> None:
        _, text = wire.read_init(self._stream.receive)
        batch = re.search(r"batch_size\s*:\s*(\d+)", text)
        if batch and int(batch[1]) > 1:
            raise WireError(f"the server wants batches of {batch[1]}, this driver serves one structure at a time")
        self._species = announced_species(text) or self._species
        self._initialised = True

    def _positions(self) -> None:
        cell, positions = wire.read_positions(self._stream.receive)
        species = self._species
        if species is None:
            raise WireError(
                "the server's INIT does not name the elements, as plain i-PI's never does; "
                "start the driver with --structure FILE"
            )
        if len(positions) != len(species.numbers):
            raise WireError(f"expected positions of {len(species.numbers)} atoms, got {len(positions)}")
        self._pending = self._evaluate(
            Configuration(numbers=species.numbers, positions=positions, cell=cell, pbc=species.pbc)
        )

    def _evaluate(self, configuration: Configuration) -> Evaluation:
        evaluation = self._model.evaluate(configuration)
        self.n_evaluations += 1
        require_finite(evaluation, self.n_evaluations)
        return evaluation

    def _forces(self) -> None:
        if self._pending is None:
            raise WireError("GETFORCE came before POSDATA")
        self._stream.send(wire.encode_evaluation(self._pending))
        self._pending = None


def announced_species(text: str) -> Species | None:
    """The species in an mdsuite server's INIT, or None in anybody else's.

    An mdsuite server sends JSON with the key "mdsuite" (1), "numbers" and "pbc".
    """
    try:
        announced = json.loads(text)
    except json.JSONDecodeError:
        return None
    if not isinstance(announced, dict) or "mdsuite" not in announced:
        return None
    first, second, third = (bool(periodic) for periodic in announced["pbc"])
    return Species(np.array(announced["numbers"], dtype=np.int64), (first, second, third))


def require_finite(evaluation: Evaluation, n: int) -> None:
    """Raise NotFiniteError, naming the culprit, unless energy, forces and virial are all finite."""
    bad = np.flatnonzero(~np.isfinite(evaluation.forces).all(axis=1))
    if len(bad):
        raise NotFiniteError(f"evaluation {n}: the model's force on atom {bad[0]} is {evaluation.forces[bad[0]]}")
    if not (np.isfinite(evaluation.energy) and np.isfinite(evaluation.virial).all()):
        raise NotFiniteError(
            f"evaluation {n}: the model's energy is {evaluation.energy}, its virial {evaluation.virial}"
        )
