"""A connected socket on which nothing is received in part."""

from __future__ import annotations

import math
import select
import socket
import time

PIECE = 1024 * 1024  # bytes; no more room is made than has arrived, and this much
AHEAD = 16 * 1024  # bytes, taken at once where so many have arrived: a message of few atoms with the one after it


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
        self._arrived = bytearray()
        self.within(deadline)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def within(self, seconds: float | None) -> None:
        """What follows must be over in so many seconds from now, or may take for ever."""
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def wait(self) -> None:
        """Return when something has arrived, or the peer has closed; raises TimeoutError past the deadline."""
        if self._arrived:
            return
        self._arrived += self._received(AHEAD, "the peer sent nothing")

    def receive(self, n_bytes: int) -> bytes:
        """Exactly `n_bytes`; raises PeerClosedError at the end of the stream and TimeoutError past the deadline."""
        while len(self._arrived) < n_bytes:
            wanted = min(max(n_bytes - len(self._arrived), AHEAD), PIECE)
            piece = self._received(wanted, "the peer did not finish its message")
            if not piece:
                raise PeerClosedError(len(self._arrived), n_bytes)
            self._arrived += piece
        received = bytes(self._arrived[:n_bytes])
        del self._arrived[:n_bytes]
        return received

    def send(self, data: bytes) -> None:
        """All of `data`; raises TimeoutError past the deadline."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._connection.send(left) :]
            except BlockingIOError:
                self._wait_for(self._writable, "the peer did not take a message")

    def _received(self, at_most: int, otherwise: str) -> bytes:
        """What has arrived, once something has; nothing where the peer has closed."""
        while True:
            self._wait_for(self._readable, otherwise)
            try:
                return self._connection.recv(at_most)
            except BlockingIOError:  # woken for nothing, as poll(2) may be
                continue

    def _wait_for(self, event: select.poll, otherwise: str) -> None:
        left = None if self._end is None else self._end - time.monotonic()
        if (left is not None and left <= 0) or not event.poll(None if left is None else math.ceil(1000.0 * left)):
            raise TimeoutError(f"{otherwise} within {self._seconds:g} s")

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()


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
