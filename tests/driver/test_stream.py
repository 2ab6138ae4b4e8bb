"""The stream: bytes as they were sent, and a wait that leaves the CPU to others."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdsuite_driver import stream
from mdsuite_driver.stream import PeerClosedError, Stream


@pytest.fixture
def pair():
    near, far = socket.socketpair()
    with near, far:
        yield near, Stream(far, deadline=10)


@pytest.fixture
def yields(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for every time that the CPU was left to others while looking."""
    seen: list[None] = []
    monkeypatch.setattr(stream.os, "sched_yield", lambda: seen.append(None))
    return seen


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=8), st.lists(st.integers(0, 20), max_size=8))
def test_bytes_come_in_their_order_however_they_are_sent_and_received(pieces: list[bytes], sizes: list[int]):
    near, far = socket.socketpair()
    with near, far:
        reader, received = Stream(far, deadline=10), b""
        for i, piece in enumerate(pieces):
            near.sendall(piece)
            if i % 2:
                reader.wait()
        near.close()
        for size in (*sizes, *[1] * len(b"".join(pieces))):
            received += reader.receive(min(size, len(b"".join(pieces)) - len(received)))
    assert received == b"".join(pieces)


def test_a_message_larger_than_what_is_taken_at_once_is_received_whole(pair):
    near, reader = pair
    message = bytes(range(256)) * 12_000
    thread = threading.Thread(target=near.sendall, args=(message + b"next",))
    thread.start()
    assert reader.receive(1) + reader.receive(len(message) - 1) == message
    assert reader.receive(4) == b"next"
    thread.join()


def test_what_came_before_the_end_is_received_and_then_the_end_is_told(pair):
    near, reader = pair
    near.sendall(b"whole, cut")
    near.close()
    assert reader.receive(6) == b"whole,"
    with pytest.raises(PeerClosedError, match="after 4 of 6 bytes"):
        reader.receive(6)


def test_nothing_is_received_past_the_deadline_even_if_it_is_there(pair):
    near, reader = pair
    near.sendall(b"late")
    reader.within(0.0)
    with pytest.raises(TimeoutError, match="within 0 s"):
        reader.receive(4)


def test_an_idle_stream_sleeps(pair):
    near, reader = pair
    near.sendall(b"x" * 100)
    for _ in range(100):
        reader.receive(1)
    reader.within(0.5)
    begun = time.process_time()
    with pytest.raises(TimeoutError, match=r"sent nothing within 0\.5 s"):
        reader.wait()
    assert time.process_time() - begun < 0.1


def waits_for(near: socket.socket, reader: Stream, pause: float) -> None:
    """For a byte that comes after a pause."""
    timer = threading.Timer(pause, near.sendall, args=(b"x",))
    timer.start()
    assert reader.receive(1) == b"x"
    timer.join()


@pytest.fixture
def spare(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Whether there is a CPU that nobody wants; there is one unless a test says otherwise."""
    monkeypatch.setattr(stream, "has_spare_cpu", lambda _second: getattr(request, "param", True))


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long it was slept before looking."""
    seen: list[float] = []
    monkeypatch.setattr(stream.time, "sleep", seen.append)
    return seen


@pytest.mark.usefixtures("spare")
@pytest.mark.parametrize("spare", [False], indirect=True)
def test_who_waits_for_a_slow_peer_sleeps_at_once_nearly_always(pair, yields: list[None]):
    near, reader = pair
    looked = 0
    for _ in range(40):
        before = len(yields)
        waits_for(near, reader, 5e-3)
        looked += len(yields) > before
    assert looked <= 6


def test_a_peer_that_has_become_quick_is_looked_for_again(pair, yields: list[None]):
    near, reader = pair
    for _ in range(8):
        waits_for(near, reader, 2e-3)
    for _ in range(stream.LONGEST_REST + 1):
        near.sendall(b"x")
        reader.receive(1)
    yields.clear()
    waits_for(near, reader, 5e-3)
    assert yields


@pytest.mark.usefixtures("spare")
def test_a_slow_peer_is_looked_for_when_its_answer_is_due(pair, yields: list[None], sleeps: list[float]):
    near, reader = pair
    for _ in range(8):
        waits_for(near, reader, 5e-3)
    yields.clear()
    for _ in range(stream.LONGEST_REST):
        waits_for(near, reader, 5e-3)
        if sleeps:
            break
    assert 0.0 < sleeps[0] < stream.LONG
    assert yields


@pytest.mark.usefixtures("spare")
def test_nobody_sleeps_past_a_deadline_or_over_what_has_arrived(pair, sleeps: list[float]):
    near, reader = pair
    reader._waits.extend([5e-3] * 8)
    near.sendall(b"x")
    assert reader.receive(1) == b"x"
    reader._waits.extend([5e-3] * 8)
    reader.within(2e-3)
    with pytest.raises(TimeoutError):
        reader.receive(1)
    assert sleeps == []


@pytest.mark.parametrize(("running", "spare"), [(1, True), (2, True), (3, False)])
def test_a_cpu_is_spare_where_no_more_threads_want_to_run_than_there_are(
    running: int, spare: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream.Path, "read_text", lambda _path: f"0.63 0.96 0.97 {running}/78 31796\n")
    monkeypatch.setattr(stream.os, "sched_getaffinity", lambda _process: {0, 5})
    stream.has_spare_cpu.cache_clear()
    assert stream.has_spare_cpu(0) is spare
    stream.has_spare_cpu.cache_clear()
