"""Several servers at once, whose requests are evaluated as one batch where they arrive together."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from mdsuite_driver.client import serve
from mdsuite_driver.dialect import Species
from mdsuite_driver.models.batch import Evaluator, answers_of, evaluator_of
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model, ModelCard
from mdsuite_driver.stream import Stream

Connect = Callable[[], Stream]
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Gathering:
    """How requests are gathered.

    at_most : configurations of a batch; a request for more is a batch of its own
    patience : s, that a request waits for others
    """

    at_most: int
    patience: float


def serve_together(
    servers: Sequence[Connect],
    model: Model,
    gathering: Gathering,
    species: Species | None = None,
    *,
    idle: float | None = None,
    told: Told,
) -> tuple[int, int]:
    """Answer every server as `mdsuite_driver.client.serve` does; returns the numbers of evaluations and of batches.

    A batch is evaluated once every server has asked, once it is full, or once its first request has waited long
    enough; in it requests stand in the order of the servers, so that the same requests are answered the same bit for
    bit. What goes wrong with one server is `told`, and ends that conversation alone; when the last has ended, the
    first such error is raised.
    """
    table = _Table(evaluator_of(model), gathering, len(servers))
    served: list[int] = []
    errors: list[Exception] = []

    def converse(place: int, connect: Connect) -> None:
        try:
            with contextlib.closing(connect()) as stream:
                served.append(serve(stream, _Seat(model, table, place), species, idle=idle))
        except Exception as error:
            told(f"server {place}: {type(error).__name__}: {error}")
            errors.append(error)
        finally:
            table.leave()

    for place, connect in enumerate(servers):
        threading.Thread(target=converse, args=(place, connect), daemon=True).start()
    table.attend()
    if errors:
        raise errors[0]
    return sum(served), table.n_batches


@dataclass(eq=False, slots=True)
class _Request:
    place: int
    asked: Sequence[Configuration]
    came: float = field(default_factory=time.monotonic)
    answer: list[Evaluation] | Exception = field(default_factory=list)
    answered: threading.Event = field(default_factory=threading.Event)


class _Table:
    """Where requests meet; they are evaluated by the thread that attends, whose threads are those of the model."""

    def __init__(self, evaluator: Evaluator, gathering: Gathering, n_guests: int) -> None:
        self._evaluator = evaluator
        self._gathering = gathering
        self._changed = threading.Condition()
        self._requests: list[_Request] = []
        self._n_guests = n_guests  # who will come, or are there
        self.n_batches = 0

    def leave(self) -> None:
        """One guest asks no more."""
        with self._changed:
            self._n_guests -= 1
            self._changed.notify_all()

    def ask(self, place: int, asked: Sequence[Configuration]) -> list[Evaluation]:
        """The answer, once there is one."""
        request = _Request(place, asked)
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
        request.answered.wait()
        if isinstance(request.answer, Exception):
            raise request.answer
        return request.answer

    def attend(self) -> None:
        """Evaluate what is asked until the last guest has left."""
        while requests := self._next():
            self.n_batches += 1
            answers = answers_of(self._evaluator, [each.asked for each in requests])
            for each, answer in zip(requests, answers, strict=True):
                each.answer = answer
                each.answered.set()

    def _next(self) -> list[_Request]:
        """The next batch, in the order of places; nothing once all have left."""
        with self._changed:
            while self._requests or self._n_guests:
                left = self._left()
                if left is not None and left <= 0.0:
                    return self._taken()
                self._changed.wait(left)
            return []

    def _left(self) -> float | None:
        """How long to wait, s; None for as long as it takes."""
        if not self._requests:
            return None
        n_asked = sum(len(each.asked) for each in self._requests)
        if len(self._requests) >= self._n_guests or n_asked >= self._gathering.at_most:
            return 0.0
        return self._requests[0].came + self._gathering.patience - time.monotonic()

    def _taken(self) -> list[_Request]:
        """Those that came first, as many as a batch takes."""
        sizes = accumulate(len(each.asked) for each in self._requests)
        n = max(1, sum(size <= self._gathering.at_most for size in sizes))
        taken, self._requests = self._requests[:n], self._requests[n:]
        return sorted(taken, key=lambda each: each.place)


@dataclass(frozen=True, slots=True)
class _Seat:
    """The model of one conversation."""

    model: Model
    table: _Table
    place: int

    @property
    def card(self) -> ModelCard:
        return self.model.card

    def evaluate(self, configuration: Configuration) -> Evaluation:
        return self.table.ask(self.place, (configuration,))[0]

    def batch(self) -> Evaluator:
        return _Several(self)


@dataclass(frozen=True, slots=True)
class _Several:
    """The evaluator of one conversation."""

    seat: _Seat

    def evaluate(self, configurations: Sequence[Configuration]) -> list[Evaluation]:
        return self.seat.table.ask(self.seat.place, configurations)
