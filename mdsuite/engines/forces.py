"""Forces from whichever driver the supervisor has at hand: one that is lost is replaced, the atoms waiting."""

from __future__ import annotations

import socket
import time
from typing import Protocol

from mdsuite import link
from mdsuite.engines.server import ForceServer
from mdsuite.run import FloatArray, Run
from mdsuite_driver.models.protocol import Evaluation
from mdsuite_driver.stream import Stream
from mdsuite_driver.wire import WireError

BEAT = 0.25  # s, between two words to the supervisor about the step
ANSWER = 60.0  # s, for the supervisor beyond the time that a driver may take


class DriverLostError(RuntimeError):
    """The driver is gone, and the supervisor gives no other."""


class Forces(Protocol):
    """What an engine asks on every step."""

    def evaluate(self, step: int, cell: FloatArray, positions: FloatArray) -> Evaluation:
        """Energy (eV), forces (n_atoms, 3; eV/Å) and virial (3, 3; eV) for a cell (Å, rows) and positions (Å)."""
        ...


class SupervisedForces:
    """A driver that the supervisor provides, and replaces as often as it is willing to."""

    def __init__(self, run: Run, supervisor: link.Link) -> None:
        self._run = run
        self._supervisor = supervisor
        self._server: ForceServer | None = None
        self._told = 0.0
        self._stop = False
        self._unread: list[link.Message] = []

    def evaluate(self, step: int, cell: FloatArray, positions: FloatArray) -> Evaluation:
        """Ask the driver; raises DriverLostError when it is lost for good, and what `ForceServer.evaluate` raises."""
        while True:
            try:
                self._server = self._server or self._next()
                evaluation = self._server.evaluate(cell, positions)
            except (ConnectionError, TimeoutError) as error:
                reason = f"{type(error).__name__}: {error}"
                self._supervisor.send(link.LOST, step=step, reason=reason, introduced=self._server is not None)
                self._drop()
                continue
            self._tell(step)
            return evaluation

    def stop_requested(self) -> bool:
        """Whether the supervisor wants the run to end at the next chunk."""
        while (message := self._supervisor.receive(0.0)) is not None:
            if message.kind == link.STOP:
                self._stop = True
            else:
                self._unread.append(message)  # a driver that is there already
        return self._stop

    def close(self) -> None:
        """Let the driver go."""
        self._drop()

    def _drop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _next(self) -> ForceServer:
        """The driver that the supervisor sends."""
        coupling = self._run.coupling
        patience = (coupling.start_s + ANSWER) * (coupling.replacements + 1)
        while True:
            message = (
                self._unread.pop(0)
                if self._unread
                else self._supervisor.receive(None if coupling.accept_foreign else patience)
            )
            if message is None:
                raise DriverLostError(f"the supervisor gave no driver within {patience:g} s")
            if message.kind == link.STOP:
                self._stop = True
            elif message.kind == link.REFUSED:
                raise DriverLostError(message.content["reason"])
            elif message.connection is not None:
                return _introduced(message.connection, self._run)

    def _tell(self, step: int) -> None:
        now = time.monotonic()
        if now - self._told >= BEAT:
            self._told = now
            self._supervisor.send(link.STEP, step=step)


def _introduced(connection: socket.socket, run: Run) -> ForceServer:
    try:
        return ForceServer(Stream(connection), run.start, run.coupling)
    except WireError as error:  # not yet a driver that lies, only somebody who does not speak i-PI
        raise ConnectionError(str(error)) from error
