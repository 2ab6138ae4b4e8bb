"""A connected socket on which nothing is received in part."""

from __future__ import annotations

import socket
import time


class PeerClosedError(ConnectionError):
    """The other end has closed; `clean` where it did so between two messages."""

    def __init__(self, received: int, wanted: int) -> None:
        super().__init__(f"peer closed after {received} of {wanted} bytes")
        self.clean = received == 0


class Stream:
    """Exact-length receives and complete sends; a deadline, where given, holds for each of them."""

    def __init__(self, connection: socket.socket, *, deadline: float | None = None) -> None:
        self._connection = connection
        self.deadline = deadline
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, n_bytes: int) -> bytes:
        """Exactly `n_bytes`; raises PeerClosedError at the end of the stream and TimeoutError past the deadline."""
        buffer = bytearray(n_bytes)
        view = memoryview(buffer)
        received = 0
        end = None if self.deadline is None else time.monotonic() + self.deadline
        while received < n_bytes:
            self._connection.settimeout(None if end is None else max(end - time.monotonic(), 1e-3))
            count = self._connection.recv_into(view[received:])
            if count == 0:
                raise PeerClosedError(received, n_bytes)
            received += count
        return bytes(buffer)

    def send(self, data: bytes) -> None:
        """All of `data`; raises TimeoutError past the deadline."""
        self._connection.settimeout(self.deadline)
        self._connection.sendall(data)

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
