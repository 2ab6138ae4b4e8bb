"""The client end of the i-PI protocol: waits for positions, answers with forces."""

from __future__ import annotations

import os
from collections.abc import Callable

from mdsuite_driver import dialect, wire
from mdsuite_driver.dialect import Species
from mdsuite_driver.exchange import exchange_of
from mdsuite_driver.models.protocol import Model
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
        self._exchange = exchange_of(model, None)
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
        self._announcement = dialect.read_announcement(text)
        if self._announcement is not None:
            self._species = self._announcement.species
        self._exchange = exchange_of(self._model, self._announcement, wire.batch_size(text))
        self._initialised = True

    def _positions(self) -> None:
        species = self._species
        if species is None:
            raise WireError(
                "the server's INIT does not name the elements, as plain i-PI's never does; "
                "start the driver with --structure FILE"
            )
        asked = self._exchange.read(self._stream.receive, species)
        try:
            self._pending = self._exchange.answer(asked), None
            self.n_evaluations += self._exchange.n_evaluations
        except Exception as error:
            if self._announcement is None:
                raise
            self._pending = wire.encode_evaluation(*dialect.failed(error, len(species.numbers))), error

    def _forces(self) -> None:
        if self._pending is None:
            raise WireError("GETFORCE came before POSDATA")
        message, error = self._pending
        self._pending = None
        self._stream.within(MESSAGE)
        self._stream.send(message)
        if error is not None and not (self._announcement and self._announcement.persist):
            raise error
