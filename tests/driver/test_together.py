"""Several servers at once: each gets its own answers, in as few batches as may be, whatever becomes of the others."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from mdsuite_driver import wire
from mdsuite_driver.dialect import Species, announce
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray, ModelError
from mdsuite_driver.soundness import NotFiniteError
from mdsuite_driver.stream import Stream
from mdsuite_driver.together import Gathering, serve_together
from mdsuite_driver.wire import WireError

ARGON = Species(np.array([18, 18]), (False, False, False))
LONG = 30.0  # s, which no test waits


@dataclass
class Told:
    """A model whose energy (eV) is the largest coordinate (Å), and what it was asked in each batch.

    It raises where that is above 100, and has no number where it is below -100.
    """

    card = load("argon-lj").card
    batches: list[list[float]] = field(default_factory=list)

    def batch(self) -> Told:
        return self

    def evaluate(self, configurations: Sequence[Configuration]) -> list[Evaluation]:
        values = [float(each.positions.max()) for each in configurations]
        self.batches.append([round(value) for value in values])
        if max(values) > 100.0:
            raise ModelError("too far")
        nothing = np.zeros((3, 3))
        return [
            Evaluation(energy=value if value > -100.0 else np.nan, forces=0.0 * each.positions, virial=nothing)
            for value, each in zip(values, configurations, strict=True)
        ]


class Served:
    """Servers that one driver serves."""

    def __init__(self, n: int, gathering: Gathering, model: Told) -> None:
        pairs = [socket.socketpair() for _ in range(n)]
        self.servers = [Stream(ours, deadline=LONG) for ours, _ in pairs]
        self.told: list[str] = []
        self.ended: tuple[int, int] | BaseException | None = None
        connects = [lambda theirs=theirs: Stream(theirs) for _, theirs in pairs]

        def call() -> None:
            try:
                self.ended = serve_together(connects, model, gathering, ARGON, told=self.told.append)
            except Exception as error:
                self.ended = error

        self._thread = threading.Thread(target=call, daemon=True)
        self._thread.start()

    def ask(self, k: int, value: float, *, whole: bool = True) -> None:
        message = wire.encode_positions(np.eye(3), at(value)) + wire.header(wire.GETFORCE)
        self.servers[k].send(message if whole else message[:100])

    def answer(self, k: int) -> float:
        receive = self.servers[k].receive
        assert wire.read_header(receive) == wire.FORCEREADY
        return wire.read_evaluation(receive)[0].energy

    def end(self) -> None:
        for server in self.servers:
            server.close()
        self._thread.join(LONG)
        assert not self._thread.is_alive()


def at(value: float) -> FloatArray:
    return np.full((2, 3), float(value))


@contextlib.contextmanager
def served(n: int, model: Told, *, at_most: int = 100, patience: float = 10 * LONG) -> Iterator[Served]:
    driver = Served(n, Gathering(at_most=at_most, patience=patience), model)
    yield driver
    driver.end()


def test_what_all_ask_is_one_batch_in_the_order_of_the_servers_and_each_has_its_own_answer():
    model = Told()
    with served(4, model) as driver:
        for step in range(3):
            for k in (2, 0, 3, 1):
                driver.ask(k, 10 * step + k)
            assert [driver.answer(k) for k in range(4)] == pytest.approx([10 * step + k for k in range(4)])
    assert model.batches == [[10 * step + k for k in range(4)] for step in range(3)]
    assert (driver.ended, driver.told) == ((12, 3), [])


def test_no_batch_is_larger_than_it_may_be():
    model = Told()
    with served(5, model, at_most=2, patience=0.05) as driver:
        for k in range(5):
            driver.ask(k, k)
        assert [driver.answer(k) for k in range(5)] == pytest.approx(range(5))
    assert [len(each) for each in model.batches] == [2, 2, 1]


def test_a_full_batch_waits_for_nobody():
    model = Told()
    with served(3, model, at_most=2) as driver:
        for k in range(2):
            driver.ask(k, k)
        assert [driver.answer(k) for k in range(2)] == pytest.approx(range(2))
    assert model.batches == [[0, 1]]


def test_a_request_waits_no_longer_for_others_than_it_may():
    model = Told()
    with served(2, model, patience=0.05) as driver:
        driver.ask(0, 1)
        assert driver.answer(0) == pytest.approx(1)
    assert model.batches == [[1]]


@pytest.mark.parametrize("half", [True, False])
def test_a_server_that_says_half_or_nothing_does_not_hold_up_another(half: bool):
    with served(2, Told(), patience=0.05) as driver:
        if half:
            driver.ask(1, 5, whole=False)
        for value in range(3):
            driver.ask(0, value)
            assert driver.answer(0) == pytest.approx(value)


def test_nobody_waits_for_a_server_that_has_left():
    model = Told()
    with served(2, model) as driver:
        driver.servers[1].send(wire.header(wire.EXIT))
        driver.ask(0, 3)
        assert driver.answer(0) == pytest.approx(3)
    assert (driver.ended, driver.told) == ((1, 1), [])


@pytest.mark.parametrize(
    ("value", "error", "said"), [(200.0, ModelError, "too far"), (-200.0, NotFiniteError, "the model's energy")]
)
def test_what_fails_for_one_fails_for_it_alone(value: float, error: type[Exception], said: str):
    with served(3, Told()) as driver:
        for k, each in enumerate((1.0, value, 3.0)):
            driver.ask(k, each)
        assert [driver.answer(0), driver.answer(2)] == pytest.approx([1.0, 3.0])
        for k in (0, 2):
            driver.ask(k, 7.0)
        assert [driver.answer(0), driver.answer(2)] == pytest.approx([7.0, 7.0])
    assert isinstance(driver.ended, error)
    assert len(driver.told) == 1
    assert driver.told[0].startswith("server 1: ")
    assert said in driver.told[0]


def test_a_server_of_nonsense_is_left_alone():
    with served(2, Told()) as driver:
        driver.servers[1].send(wire.header("NONSENSE"))
        driver.ask(0, 3)
        assert driver.answer(0) == pytest.approx(3)
    assert isinstance(driver.ended, WireError)
    assert "expected one of STATUS" in driver.told[0]


def test_packs_and_batches_and_lone_requests_share_a_batch():
    model = Told()
    with served(3, model) as driver:
        pack = announce(Species(np.full(4, 18), (False, False, False)), None, n_members=2)
        driver.servers[0].send(wire.encode_init(0, pack))
        driver.servers[0].send(wire.encode_positions(np.eye(3), np.vstack([at(1), at(2)])))
        driver.servers[1].send(wire.encode_init(0, "batch_size:2"))
        driver.servers[1].send(wire.encode_batch([np.eye(3)] * 2, [at(3), at(4)]))
        driver.ask(2, 5)
        assert driver.answer(2) == pytest.approx(5)
    assert model.batches == [[1, 2, 3, 4, 5]]


def test_the_thread_that_serves_is_the_one_that_asks_the_model():
    class Threaded(Told):
        def evaluate(self, configurations: Sequence[Configuration]) -> list[Evaluation]:
            threads.add(threading.current_thread().name)
            return super().evaluate(configurations)

    threads: set[str] = set()
    with served(3, Threaded()) as driver:
        name = driver._thread.name
        for k in range(3):
            driver.ask(k, k)
        assert driver.answer(2) == pytest.approx(2)
    assert threads == {name}
