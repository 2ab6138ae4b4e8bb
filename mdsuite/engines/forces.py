"""Forces of a driver: one that is lost is replaced, the atoms waiting; and of a model without a driver."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from mdsuite import link
from mdsuite.engines.server import ForceServer
from mdsuite.runs import FloatArray, Run
from mdsuite_driver.dialect import Species
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration, Evaluation
from mdsuite_driver.pack import Answer
from mdsuite_driver.soundness import require_sound
from mdsuite_driver.stream import Stream
from mdsuite_driver.wire import WireError

Answered = TypeVar("Answered")

BEAT = 0.25  # s, between two words to the supervisor about the step
ANSWER = 60.0  # s, for the supervisor beyond the time that a driver may take


class DriverLostError(RuntimeError):
    """The driver is gone, and the supervisor gives no other."""


class Forces(Protocol):
    """What an engine asks on every step, and tells of how far it is."""

    def evaluate(self, step: int, cell: FloatArray, positions: FloatArray) -> Evaluation:
        """Energy (eV), forces (n_atoms, 3; eV/Å) and virial (3, 3; eV) for a cell (Å, rows) and positions (Å)."""
        ...

    def advanced(self, step: int) -> None:
        """The engine has come to this step."""
        ...


Meanwhile = Callable[[], None]
"""What can be done while a driver is at work; more than once where another takes its place."""


class Source(Forces, Protocol):
    """Forces with whose waiting time something can be done."""

    def evaluate(
        self, step: int, cell: FloatArray, positions: FloatArray, meanwhile: Meanwhile = lambda: None
    ) -> Evaluation:
        """As `Forces.evaluate`."""
        ...


class Supervisor:
    """What an engine's process says to its supervisor, and hears from it."""

    def __init__(self, channel: link.Link) -> None:
        self._channel = channel
        self._told = 0.0
        self._stop = False
        self._unread: list[link.Message] = []

    def advanced(self, step: int) -> None:
        """Tell how far the engine is, if that was not told just now."""
        now = time.monotonic()
        if now - self._told >= BEAT:
            self._told = now
            self._channel.send(link.STEP, step=step)

    def lost(self, step: int, reason: str, *, introduced: bool) -> None:
        """Tell that the driver is lost, and whether it had introduced itself."""
        self._channel.send(link.LOST, step=step, reason=reason, introduced=introduced)

    def stop_requested(self) -> bool:
        """Whether the run shall end at the next chunk."""
        while (message := self._channel.receive(0.0)) is not None:
            if message.kind == link.STOP:
                self._stop = True
            else:
                self._unread.append(message)  # a driver that is there already
        return self._stop

    def driver(self, patience: float | None) -> socket.socket:
        """The connection of the next driver; raises DriverLostError where there is none, or none in time (s)."""
        while True:
            message = self._unread.pop(0) if self._unread else self._channel.receive(patience)
            if message is None:
                raise DriverLostError(f"the supervisor gave no driver within {patience:g} s")
            if message.kind == link.STOP:
                self._stop = True
            elif message.kind == link.REFUSED:
                raise DriverLostError(message.content["reason"])
            elif message.connection is not None:
                return message.connection


class DriverForces:
    """Forces of the driver that the supervisor provides, and replaces as often as it is willing to."""

    def __init__(self, run: Run, supervisor: Supervisor, n_members: int = 1) -> None:
        self._run = run
        self._supervisor = supervisor
        self._n_members = n_members
        self._server: ForceServer | None = None

    def evaluate(
        self, step: int, cell: FloatArray, positions: FloatArray, meanwhile: Meanwhile = lambda: None
    ) -> Evaluation:
        """Ask the driver; raises DriverLostError when it is lost for good, and what `ForceServer.evaluate` raises."""
        return self._asked(step, lambda server: server.evaluate(cell, positions, meanwhile))

    def evaluate_members(
        self, step: int, cell: FloatArray, positions: FloatArray, meanwhile: Meanwhile = lambda: None
    ) -> list[Answer]:
        """As `evaluate`, of every member of a pack."""
        return self._asked(step, lambda server: server.evaluate_members(cell, positions, meanwhile))

    def _asked(self, step: int, ask: Callable[[ForceServer], Answered]) -> Answered:
        while True:
            try:
                self._server = self._server or self._next()
                answer = ask(self._server)
            except (ConnectionError, TimeoutError) as error:
                reason = f"{type(error).__name__}: {error}"
                self._supervisor.lost(step, reason, introduced=self._server is not None)
                self.close()
                continue
            self._supervisor.advanced(step)
            return answer

    def advanced(self, step: int) -> None:
        """Tell the supervisor."""
        self._supervisor.advanced(step)

    def close(self) -> None:
        """Let the driver go."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _next(self) -> ForceServer:
        coupling = self._run.coupling
        patience = (coupling.start_s + ANSWER) * (coupling.replacements + 1)
        connection = self._supervisor.driver(None if coupling.accept_foreign else patience)
        start = self._run.start
        try:
            species = Species(start.numbers, start.pbc)
            return ForceServer(Stream(connection), species, coupling, n_members=self._n_members)
        except WireError as error:  # not yet a driver that lies, only somebody who does not speak i-PI
            raise ConnectionError(str(error)) from error


class LocalForces:
    """Forces of a model in this process, without a wire: the reference of all others."""

    def __init__(self, run: Run, supervisor: Supervisor) -> None:
        self._run = run
        self._supervisor = supervisor
        self._model = load(run.model, trust=run.trust)

    def evaluate(
        self, step: int, cell: FloatArray, positions: FloatArray, meanwhile: Meanwhile = lambda: None
    ) -> Evaluation:
        """Ask the model; raises UnsoundError for an answer that must not be integrated, and what the model raises."""
        meanwhile()
        start, coupling = self._run.start, self._run.coupling
        configuration = Configuration(numbers=start.numbers, positions=positions, cell=cell, pbc=start.pbc)
        evaluation = self._model.evaluate(configuration)
        require_sound(evaluation, start.n_atoms, coupling.max_force)
        self._supervisor.advanced(step)
        return evaluation

    def advanced(self, step: int) -> None:
        """Tell the supervisor."""
        self._supervisor.advanced(step)

    def close(self) -> None:
        """Nothing is held."""


class NoForces:
    """For an engine that has its own potential; `told` hears of every step."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self._told = told

    def evaluate(
        self, step: int, cell: FloatArray, positions: FloatArray, meanwhile: Meanwhile = lambda: None
    ) -> Evaluation:
        """Refuse."""
        raise RuntimeError(f"step {step}: forces were asked for, but there are none")

    def advanced(self, step: int) -> None:
        """Tell of it."""
        self._told(step)

    def close(self) -> None:
        """Nothing is held."""
