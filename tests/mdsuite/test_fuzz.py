"""Both ends of the wire against every malformed conversation: an answer or a typed error, in time, in little memory."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import struct
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import conversations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdsuite.engines import server
from mdsuite.engines.server import ForceServer, ModelFailedError
from mdsuite.runs import Coupling, Start
from mdsuite_driver import client, wire
from mdsuite_driver.models.protocol import Configuration, Evaluation
from mdsuite_driver.soundness import UnsoundError, require_sound
from mdsuite_driver.stream import Stream
from mdsuite_driver.wire import WireError

SHORT = 0.01  # s, instead of the minutes that a peer may take
IN_TIME = 2.0  # s, for one conversation
TYPED = (WireError, ConnectionError, TimeoutError, UnsoundError, ModelFailedError)
START = Start(
    numbers=conversations.SPECIES.numbers,
    masses=np.full(3, 39.95),
    positions=np.zeros((3, 3)),
    velocities=np.zeros((3, 3)),
    cell=conversations.CELL,
    pbc=conversations.SPECIES.pbc,
)
COUPLING = Coupling(first_evaluation_s=SHORT, evaluation_s=SHORT)


class Zero:
    """A model to which nothing happens."""

    def evaluate(self, configuration: Configuration) -> Evaluation:
        return Evaluation(energy=0.0, forces=np.zeros((len(configuration.numbers), 3)), virial=np.zeros((3, 3)))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HANDSHAKE", SHORT)
    monkeypatch.setattr(client, "MESSAGE", SHORT)


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    def hung(*_how: object) -> None:
        raise AssertionError(f"a conversation took longer than {IN_TIME:g} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, IN_TIME)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def driver_meets(random: Random) -> str:
    """Our driver and a server to which something happened; how it ended."""
    data = conversations.happened_to(random, conversations.of_a_server(random))
    species = random.choice([None, conversations.SPECIES])
    with conversations.peer_that_says(random, data) as connection, in_time():
        try:
            client.serve(Stream(connection), Zero(), species, idle=SHORT)
        except TYPED as error:
            return type(error).__name__
    return "answered"


def server_meets(random: Random) -> str:
    """Our server and a driver to which something happened; how it ended."""
    data = conversations.happened_to(random, conversations.of_a_driver(random))
    with conversations.peer_that_says(random, data) as connection, in_time():
        try:
            asked = ForceServer(Stream(connection), START, COUPLING)
            for _ in range(2):
                require_sound(asked.evaluate(START.cell, START.positions), 3, COUPLING.max_force)
        except TYPED as error:
            return type(error).__name__
    return "answered"


BOTH = pytest.mark.parametrize("meet", [driver_meets, server_meets])


@pytest.mark.parametrize("meet", [driver_meets, server_meets])
@settings(max_examples=300, deadline=IN_TIME * 1000)
@given(random=st.randoms(use_true_random=False))
def test_any_conversation_ends_in_an_answer_or_in_a_typed_error(meet: Callable[[Random], str], random: Random):
    meet(random)


def memory() -> float:
    """Resident, MiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def many(meet: Callable[[Random], str], count: int) -> None:
    ends: Counter[str] = Counter()
    longest = 0.0
    for seed in range(count):
        if seed == count // 5:
            at_first = memory(), open_files()
        began = time.monotonic()
        ends[meet(Random(seed))] += 1
        longest = max(longest, time.monotonic() - began)
    growth = memory() - at_first[0]
    told = ", ".join(f"{n} {end}" for end, n in ends.most_common())
    print(f"{count} conversations, the longest {longest:.2f} s, memory {growth:+.1f} MiB: {told}")
    assert open_files() == at_first[1]
    assert growth < 4.0
    assert {"answered", "WireError", "PeerClosedError", "TimeoutError"} <= set(ends)


@BOTH
def test_two_thousand_conversations_leave_nothing(meet: Callable[[Random], str]):
    many(meet, 2_000)


@pytest.mark.slow
@BOTH
def test_fifty_thousand_conversations_leave_nothing(meet: Callable[[Random], str]):
    many(meet, 50_000)


@BOTH
def test_every_truncation_is_a_typed_error_or_an_end_between_messages(
    meet: Callable[[Random], str], monkeypatch: pytest.MonkeyPatch
):
    """Cut after each byte of a conversation, the peer then closing; all is there, so that patience never matters."""
    monkeypatch.setattr(server, "HANDSHAKE", IN_TIME)
    monkeypatch.setattr(client, "MESSAGE", IN_TIME)
    patient = Coupling(first_evaluation_s=IN_TIME, evaluation_s=IN_TIME)
    driver = meet is driver_meets
    spoken = (conversations.of_a_server if driver else conversations.of_a_driver)(Random(1))
    whole, boundaries = b"".join(spoken), {0, *np.cumsum([len(message) for message in spoken]).tolist()}
    for length in range(len(whole)):
        near, far = socket.socketpair()
        with near, far, in_time():
            near.sendall(whole[:length])
            near.shutdown(socket.SHUT_WR)
            try:
                if driver:
                    client.serve(Stream(far), Zero(), conversations.SPECIES)
                else:
                    asked = ForceServer(Stream(far), START, patient)
                    asked.evaluate(START.cell, START.positions)
                    asked.evaluate(START.cell, START.positions)
            except ConnectionError:
                assert not (driver and length in boundaries)
            else:
                assert driver and length in boundaries


@pytest.mark.parametrize("announced", [wire.MAX_ATOMS, wire.MAX_ATOMS + 1, 2**31 - 1])
def test_what_is_announced_and_does_not_come_takes_no_memory(announced: int):
    near, far = socket.socketpair()
    with near, far:
        near.sendall(struct.pack("<di", 0.0, announced) + bytes(1000))
        near.shutdown(socket.SHUT_WR)
        tracemalloc.start()
        with pytest.raises((WireError, ConnectionError)):
            wire.read_evaluation(Stream(far).receive)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * 2**20


def test_a_text_that_is_announced_and_does_not_come_takes_no_memory():
    near, far = socket.socketpair()
    with near, far:
        near.sendall(struct.pack("<ii", 0, wire.MAX_TEXT) + bytes(1000))
        near.shutdown(socket.SHUT_WR)
        tracemalloc.start()
        with pytest.raises(ConnectionError):
            wire.read_init(Stream(far).receive)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * 2**20


def test_a_peer_that_dribbles_for_ever_is_given_up():
    """Each byte comes in time, the message does not."""
    near, far = socket.socketpair()
    with near, far, in_time():
        near.setblocking(False)
        stream = Stream(far, deadline=0.3)

        def dribbling(n_bytes: int) -> bytes:
            received = b""
            while len(received) < n_bytes:
                near.send(b"x")
                received += stream.receive(1)
                time.sleep(0.01)
            return received

        with pytest.raises(TimeoutError, match=r"within 0\.3 s"):
            wire.read_init(lambda n: dribbling(max(n, 1000)))


def test_a_server_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch):
    """An answer larger than what the socket takes, to somebody who never takes it."""
    n_atoms = 50_000
    species = conversations.dialect.Species(np.full(n_atoms, 18), (True, True, True))
    monkeypatch.setattr(client, "MESSAGE", 0.5)
    message = wire.encode_positions(conversations.CELL, np.zeros((n_atoms, 3))) + wire.header(wire.GETFORCE)
    with conversations.peer_that_says(Random(2), message) as connection, in_time(), pytest.raises(TimeoutError):
        client.serve(Stream(connection), Zero(), species, idle=0.5)
