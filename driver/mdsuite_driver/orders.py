"""A driver that goes from one server to the next with a model that it has loaded once, as it is told to."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from dataclasses import asdict, dataclass

import click
import numpy as np

from mdsuite_driver.client import serve
from mdsuite_driver.models.batch import Evaluator, batch_of
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model, ModelCard
from mdsuite_driver.stream import connect

LARGEST = 64 * 1024  # bytes, of an order
SERVED = b"served"


class ChangedError(RuntimeError):
    """What a model has served has left a trace in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Where to serve next.

    address : path of a UNIX socket, or host and port
    token : known to the server, who asks for a proof that this is the driver that was sent
    log : path of the file for what the driver has to say meanwhile
    """

    address: str | tuple[str, int]
    token: str
    log: str

    def encode(self) -> bytes:
        """One message of a channel that keeps messages apart."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, channel: socket.socket) -> Order | None:
        """The next, however long it takes; None where there will be no more."""
        message = channel.recv(LARGEST)
        if not message:
            return None
        told = json.loads(message)
        address = told["address"]
        return cls(
            address=address if isinstance(address, str) else (address[0], address[1]),
            token=told["token"],
            log=told["log"],
        )


def serve_in_turn(channel: socket.socket, model: Model, *, patience: float) -> None:
    """Carry out orders until there are no more; says `SERVED` after each.

    Before every order but the first the model is asked again what it was asked first of all: only if it gives the same
    answer, bit for bit, is it as good as one that was loaded now. Raises ChangedError if it does not, and what
    `mdsuite_driver.client.serve` raises.
    """
    os.set_inheritable(channel.fileno(), False)  # what the model starts shall not keep it open
    asked = _Asked(model)
    while (order := Order.read(channel)) is not None:
        _speak_into(order.log)
        click.echo(f"serving {model.card}")
        asked.require_unchanged()
        with contextlib.closing(connect(order.address, patience=patience)) as stream:
            n_evaluations = serve(stream, asked, token=order.token)
        click.echo(f"served {n_evaluations} evaluations")
        channel.sendall(SERVED)


class _Asked:
    """A model, and what it was asked first."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._first: tuple[Configuration, bytes] | None = None

    @property
    def card(self) -> ModelCard:
        return self._model.card

    def batch(self) -> Evaluator:
        return batch_of(self._model)

    def evaluate(self, configuration: Configuration) -> Evaluation:
        if self._first is not None:
            return self._model.evaluate(configuration)
        asked = _copied(configuration)
        evaluation = self._model.evaluate(configuration)
        self._first = asked, _bits(evaluation)
        return evaluation

    def require_unchanged(self) -> None:
        if self._first is None:
            return
        configuration, answer = self._first
        if _bits(self._model.evaluate(_copied(configuration))) != answer:
            raise ChangedError(
                "the model answers what it was first asked otherwise now, so that it depends on what it has served; "
                "every run needs a driver of its own"
            )


def _copied(configuration: Configuration) -> Configuration:
    """One that a model may spoil."""
    return Configuration(
        numbers=configuration.numbers.copy(),
        positions=configuration.positions.copy(),
        cell=configuration.cell.copy(),
        pbc=configuration.pbc,
    )


def _bits(evaluation: Evaluation) -> bytes:
    parts = (evaluation.energy, evaluation.forces, evaluation.virial)
    return b"".join(np.asarray(part, dtype=np.float64).tobytes() for part in parts)


def _speak_into(log: str) -> None:
    """What is said from now on, by whatever library, goes to the end of a file."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    os.close(file)
