"""The client end of the i-PI protocol: waits for positions, answers with forces."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from mdsuite_driver import dialect, pack, wire
from mdsuite_driver.dialect import Species
from mdsuite_driver.models.batch import Batch, batch_of
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model
from mdsuite_driver.soundness import require_sound
from mdsuite_driver.stream import PeerClosedError, Stream
from mdsuite_driver.wire import WireError

MESSAGE = 60.0  # s, for a message that has begun


def serve(
    stream: Stream,
    model: Model,
    species: Species | None = None,
    *,
    idle: float | None = None,
    token: str | None = None,
) -> int:
    """Answer one server until it sends EXIT or closes between two messages; returns the number of evaluations.

    `species` is used until the server's INIT names others; `idle` (s) bounds the wait for its next message; `token`
    is what an mdsuite server wants proven, by default that of the environment, which forgets it. Raises
    WireError for anything that is not the protocol, PeerClosedError for an end inside a message, TimeoutError for a
    message that does not end or, with `idle`, does not begin, UnsoundError for what must not be integrated, and what
    the model raises: an mdsuite server is told why before.
    """
    conversation = _Conversation(stream, model, species, token or os.environ.pop(dialect.TOKEN, None))
    while (word := _next(stream, idle)) not in (None, wire.EXIT):
        conversation.answer(str(word))
    return conversation.n_evaluations


def _next(stream: Stream, idle: float | None) -> str | None:
    stream.within(idle)
    try:
        stream.wait()
        stream.within(MESSAGE)
        return wire.read_header(stream.receive)
    except PeerClosedError as end:
        if end.clean:
            return None
        raise
    except ConnectionResetError:  # a server that was killed between two messages
        return None


class _Conversation:
    """The state that the protocol asks of a client: NEEDINIT, READY or HAVEDATA."""

    def __init__(self, stream: Stream, model: Model, species: Species | None, token: str | None) -> None:
        self._stream = stream
        self._model = model
        self._species = species
        self._announcement: dialect.Announcement | None = None
        self._batch: Batch | None = None
        self._initialised = False
        self._pending: tuple[bytes, BaseException | None] | None = None
        self._token = token
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
        nonce = dialect.read_challenge(text)
        if nonce is not None and self._token is not None:
            self._stream.send(wire.encode_proof(dialect.proof(self._token, nonce)))
            return
        batch = re.search(r"batch_size\s*:\s*(\d+)", text)
        if batch and batch[1].lstrip("0") not in ("", "1"):
            raise WireError(f"the server wants batches of {batch[1][:20]}, this driver serves one structure at a time")
        self._announcement = dialect.read_announcement(text)
        if self._announcement is not None:
            self._species = self._announcement.species
            self._batch = batch_of(self._model) if self._announcement.n_members > 1 else None
        self._initialised = True

    def _positions(self) -> None:
        species = self._species
        if species is None:
            raise WireError(
                "the server's INIT does not name the elements, as plain i-PI's never does; "
                "start the driver with --structure FILE"
            )
        cell, positions = wire.read_positions(self._stream.receive, len(species.numbers))
        configuration = Configuration(numbers=species.numbers, positions=positions, cell=cell, pbc=species.pbc)
        try:
            self._pending = wire.encode_evaluation(*self._answer(configuration)), None
        except Exception as error:
            if self._announcement is None:
                raise
            self._pending = wire.encode_evaluation(*dialect.failed(error, len(positions))), error

    def _answer(self, configuration: Configuration) -> tuple[Evaluation, str]:
        """An evaluation that may be integrated, and the extras."""
        max_force = self._announcement.max_force if self._announcement else None
        if self._batch is not None and self._announcement is not None:
            n_members = self._announcement.n_members
            answers = pack.evaluate(self._batch, configuration, n_members, max_force)
            self.n_evaluations += n_members
            return pack.encode(answers, len(configuration.numbers) // n_members)
        evaluation = self._model.evaluate(configuration)
        self.n_evaluations += 1
        require_sound(evaluation, len(configuration.numbers), max_force)
        return evaluation, ""

    def _forces(self) -> None:
        if self._pending is None:
            raise WireError("GETFORCE came before POSDATA")
        message, error = self._pending
        self._pending = None
        self._stream.within(MESSAGE)
        self._stream.send(message)
        if error is not None and not (self._announcement and self._announcement.persist):
            raise error
