"""A connected socket on which nothing is received in part."""

from __future__ import annotations

import math
import os
import select
import socket
import time
from collections import deque
from functools import lru_cache
from pathlib import Path

PIECE = 1024 * 1024  # bytes; no more room is made than has arrived, and this much
AHEAD = 16 * 1024  # bytes, taken at once where so many have arrived: a message of few atoms with the one after it
LOOK = 3e-4  # s; what comes within that comes sooner to who looks for it again and again than to who must be woken
LONGEST_REST = 256  # waits
LONG = 0.02  # s; being woken is nothing beside it


class PeerClosedError(ConnectionError):
    """The other end has closed; `clean` where it did so between two messages."""

    def __init__(self, received: int, wanted: int) -> None:
        super().__init__(f"peer closed after {received} of {wanted} bytes")
        self.clean = received == 0


class Stream:
    """Exact-length receives and complete sends, all of them before the end of a deadline where one is set."""

    def __init__(self, connection: socket.socket, *, deadline: float | None = None) -> None:
        self._connection = connection
        connection.setblocking(False)  # a limit of time by `socket` costs two more calls of the system each time
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(connection, select.POLLIN)
        self._writable.register(connection, select.POLLOUT)
        self._arrived, self._taken = b"", 0
        self._rest = self._resting = 0  # waits
        self._waits: deque[float] = deque(maxlen=8)  # s
        self.within(deadline)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def within(self, seconds: float | None) -> None:
        """What follows must be over in so many seconds from now, or may take for ever."""
        self._seconds = seconds
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    def wait(self) -> None:
        """Return when something has arrived, or the peer has closed; raises TimeoutError past the deadline."""
        if self._taken == len(self._arrived):
            self._arrived, self._taken = self._first_received(AHEAD, "the peer sent nothing"), 0

    def receive(self, n_bytes: int) -> bytes:
        """Exactly `n_bytes`; raises PeerClosedError at the end of the stream and TimeoutError past the deadline."""
        end = self._taken + n_bytes
        if end > len(self._arrived):
            self._arrived, self._taken, end = self._gathered(n_bytes), 0, n_bytes
        received = self._arrived[self._taken : end]
        self._taken = end
        return received

    def send(self, data: bytes) -> None:
        """All of `data`; raises TimeoutError past the deadline."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._connection.send(left) :]
            except BlockingIOError:
                self._wait_for(self._writable, "the peer did not take a message")

    def _gathered(self, n_bytes: int) -> bytes:
        """What has arrived and was not taken, once it is so many bytes or more."""
        arrived = bytearray(self._arrived[self._taken :])
        while len(arrived) < n_bytes:
            wanted = min(max(n_bytes - len(arrived), AHEAD), PIECE)
            received = self._received if arrived else self._first_received
            piece = received(wanted, "the peer did not finish its message")
            if not piece:
                raise PeerClosedError(len(arrived), n_bytes)
            arrived += piece
        return bytes(arrived)

    def _first_received(self, at_most: int, otherwise: str) -> bytes:
        """As `_received`, of what begins a message: the length of the wait tells when the next is due."""
        begun = time.monotonic()
        try:
            return self._received(at_most, otherwise)
        finally:
            self._waits.append(time.monotonic() - begun)

    def _received(self, at_most: int, otherwise: str) -> bytes:
        """What has arrived, once something has; nothing where the peer has closed."""
        while True:
            if time.monotonic() >= self._end or not self._seen():
                self._wait_for(self._readable, otherwise)
            try:
                return self._connection.recv(at_most)
            except BlockingIOError:  # woken for nothing, as poll(2) may be
                continue

    def _seen(self) -> bool:
        """Whether something arrives while we look for it, from a little before it is due until a little after.

        What is due later than soon is looked for only where that keeps nobody from the CPU. After a look in vain the
        next waits go without, twice as many as after the one before.
        """
        if self._resting:
            self._resting -= 1
            return False
        usual = min(self._waits) if len(self._waits) == self._waits.maxlen else 0.0
        end = time.monotonic() + usual + LOOK
        if usual > LOOK:
            if usual > LONG or end > self._end or not has_spare_cpu(int(end)):
                return False
            if not self._readable.poll(0):
                time.sleep(usual - LOOK)
        while not self._readable.poll(0):
            os.sched_yield()
            if time.monotonic() > end:
                self._rest = self._resting = min(2 * self._rest + 1, LONGEST_REST)
                return False
        self._rest = 0
        return True

    def _wait_for(self, event: select.poll, otherwise: str) -> None:
        left = self._end - time.monotonic()
        if left <= 0 or not event.poll(None if left == math.inf else math.ceil(1000.0 * left)):
            raise TimeoutError(f"{otherwise} within {self._seconds:g} s")

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()


@lru_cache(maxsize=1)  # asked once in a second
def has_spare_cpu(_second: int) -> bool:
    """Whether no more threads want to run on this machine now than there are CPUs for us, as far as it tells."""
    try:
        load = Path("/proc/loadavg").read_text()
    except OSError:
        return False
    running, _, _ = load.split()[3].partition("/")
    return int(running) <= len(os.sched_getaffinity(0))


def connect(address: str | tuple[str, int], *, patience: float) -> Stream:
    """Connect to a path (UNIX socket) or (host, port), trying again for `patience` seconds.

    Raises ConnectionError naming the address when nobody listens there in time.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return Stream(_socket(address))
        except OSError as error:
            if time.monotonic() > end:
                raise ConnectionError(
                    f"wanted an i-PI server at {address}, got '{error}' for {patience:g} s; start the server first"
                ) from error
        time.sleep(0.1)


def _socket(address: str | tuple[str, int]) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection
