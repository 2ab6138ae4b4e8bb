"""The channel between a supervisor and its engine: short messages, each whole, one of which may carry a socket."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

LARGEST = 64 * 1024  # bytes

DRIVER, REFUSED, STOP = "driver", "refused", "stop"  # from the supervisor
STEP, LOST, FAILED = "step", "lost", "failed"  # from the engine


class LinkClosedError(RuntimeError):
    """The other end has gone."""


@dataclass(frozen=True, slots=True)
class Message:
    """Its kind, its content, and the connected socket that came with it."""

    kind: str
    content: dict[str, Any]
    connection: socket.socket | None = None


class Link:
    """One end of the channel."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def fileno(self) -> int:
        """For a selector."""
        return self._end.fileno()

    def send(self, kind: str, connection: socket.socket | None = None, **content: Any) -> None:
        """Send a message, of JSON and at most one socket; raises LinkClosedError."""
        data = json.dumps({"kind": kind, **content}).encode()
        try:
            socket.send_fds(self._end, [data], [connection.fileno()] if connection else [])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise LinkClosedError("the other process has gone") from error

    def receive(self, patience: float | None) -> Message | None:
        """The next message, or None if there is none in so many seconds; raises LinkClosedError at the end."""
        self._end.settimeout(patience)
        try:
            data, descriptors, _, _ = socket.recv_fds(self._end, LARGEST, 1)
        except (TimeoutError, BlockingIOError):
            return None
        except ConnectionResetError as error:
            raise LinkClosedError("the other process has gone") from error
        finally:
            self._end.settimeout(None)
        if not data:
            raise LinkClosedError("the other process has gone")
        content = json.loads(data)
        connection = socket.socket(fileno=descriptors[0]) if descriptors else None
        return Message(content.pop("kind"), content, connection)

    def close(self) -> None:
        """Close this end."""
        self._end.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends that keep messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
