"""Where a driver comes in: one that proves that we have started it, and nobody else."""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import os
import secrets
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mdsuite.runs import Coupling
from mdsuite_driver import dialect, wire

LOOPBACK = "127.0.0.1"
LONGEST_PATH = 100  # bytes; the kernel takes 107, other clients copy it without looking
PREFIX = "mdsuite-door-"
UNLOCKED = 10.0  # s, more than it takes from the making of a folder to its lock
NAME = "s"
VISIT = 5.0  # s, for a visitor to prove who it is
VISITORS = 64
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)


class DoorError(RuntimeError):
    """A socket that cannot be opened as safely as it must be."""


@dataclass(slots=True)
class _Visitor:
    connection: socket.socket
    nonce: str
    came: float = field(default_factory=time.monotonic)
    said: bytes = b""


class Door:
    """A listening socket, gone from the file system as soon as the driver is in.

    A visitor is challenged and has `VISIT` seconds to prove that it knows the token in its environment; visitors do
    not wait for each other. With `accept_foreign` the first to come is let in. A UNIX socket lies in a folder that
    only this user may enter, and visitors of other users are turned away; TCP listens on the loopback only.
    """

    def __init__(self, coupling: Coupling) -> None:
        self._foreign = coupling.accept_foreign
        self.token = secrets.token_hex(32)
        self._visitors: list[_Visitor] = []
        self._folder: _PrivateFolder | None = None
        if coupling.transport == "tcp":
            self._listener = socket.create_server((LOOPBACK, 0))
        else:
            self._folder = _PrivateFolder()
            self._listener = _listening(self._folder.path / NAME)
        self._listener.setblocking(False)

    @property
    def environment(self) -> dict[str, str]:
        """What a driver must find in its environment."""
        return {dialect.TOKEN: self.token}

    @property
    def where(self) -> str | tuple[str, int]:
        """The path of the socket, or its host and port."""
        if self._folder is not None:
            return str(self._folder.path / NAME)
        host, port = self._listener.getsockname()
        return host, port

    @property
    def flags(self) -> list[str]:
        """What tells ``mdsuite-driver`` where the door is."""
        where = self.where
        return ["--unix", where] if isinstance(where, str) else ["--host", where[0], "--port", str(where[1])]

    @property
    def address(self) -> str:
        """The same in words."""
        return " ".join(self.flags)

    def attend(self) -> socket.socket | None:
        """Let nobody wait: the connection of whoever has proven to be the driver, if one has. Does not block."""
        for connection in self._arrivals():
            if self._folder is not None and _uid_of(connection) != os.getuid():
                connection.close()
            elif self._foreign:
                return connection
            else:
                self._challenge(connection)
        for visitor in list(self._visitors):
            if self._listen_to(visitor):
                self._visitors.remove(visitor)
                return visitor.connection
        return None

    def close(self) -> None:
        """Close it, with every visitor outside."""
        for visitor in self._visitors:
            visitor.connection.close()
        self._visitors.clear()
        self._listener.close()
        if self._folder is not None:
            self._folder.remove()

    def _arrivals(self) -> Iterator[socket.socket]:
        while True:
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            connection.setblocking(False)
            yield connection

    def _challenge(self, connection: socket.socket) -> None:
        visitor = _Visitor(connection, secrets.token_hex(16))
        question = wire.encode_init(0, dialect.challenge(visitor.nonce))
        try:
            complete = connection.send(question) == len(question)
        except OSError:  # it has gone again
            complete = False
        if not complete:
            connection.close()
            return
        self._visitors.append(visitor)
        if len(self._visitors) > VISITORS:
            self._visitors.pop(0).connection.close()

    def _listen_to(self, visitor: _Visitor) -> bool:
        """Whether a visitor has proven itself; one that never will is sent away."""
        wanted = wire.encode_proof(dialect.proof(self.token, visitor.nonce))
        try:
            said = visitor.connection.recv(len(wanted) + 1)
        except BlockingIOError:
            if time.monotonic() - visitor.came > VISIT:
                self._send_away(visitor)
            return False
        except OSError:
            said = b""
        visitor.said += said
        if hmac.compare_digest(visitor.said, wanted):
            return True
        if not said or len(visitor.said) >= len(wanted):
            self._send_away(visitor)
        return False

    def _send_away(self, visitor: _Visitor) -> None:
        visitor.connection.close()
        self._visitors.remove(visitor)


class _PrivateFolder:
    """A new folder with a short path that only this user may enter, locked for as long as it is in use."""

    def __init__(self) -> None:
        parent = _short_parent()
        _sweep(parent)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # with mode 0700
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)  # one that somebody has removed already is gone too
        os.close(self._lock)


def _short_parent() -> Path:
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if parent and os.access(parent, os.W_OK) and len(os.fsencode(parent)) + len(PREFIX) + 12 <= LONGEST_PATH:
            return Path(parent)
    raise DoorError(
        "wanted a folder with a short path for a UNIX socket, but neither XDG_RUNTIME_DIR, nor the temporary folder, "
        "nor /tmp can be used; set XDG_RUNTIME_DIR, or use --transport tcp"
    )


def _sweep(parent: Path) -> None:
    """Remove what supervisors of this user left that were killed while their door was open."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, in use, or swept by somebody else in this moment
            stat = folder.stat()
            if stat.st_uid == os.getuid() and time.time() - stat.st_mtime > UNLOCKED:
                _remove_unless_locked(folder)


def _remove_unless_locked(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(descriptor)


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(VISITORS)
    return listener


def _uid_of(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])
