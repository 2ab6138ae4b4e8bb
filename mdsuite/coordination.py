"""One coordinator for a campaign, or several shares of it at once, and never both."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mdsuite.errors import InputError

LOCK = "coordinator.lock"
PATIENCE = 2.0  # s, for one that was ended to be gone
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"""What file systems answer that have none."""


@contextmanager
def coordinating(output: Path, what: str, *, share: bool = False) -> Iterator[str]:
    """Hold the campaign in a folder, as the command `what`; yields "", or why others are not seen.

    share : several of them may be at work at once

    The system takes the hold away from a process that has ended, however it did. Where the command is refused
    (InputError), what was made in order to hold it is removed again.

    Raises InputError, which names the other one, where somebody holds it, and where the folder cannot be written.
    """
    try:
        new = [path for path in (output / LOCK, output) if not path.exists()]
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}; give another --output") from error
    try:
        said = _held(descriptor, output, share=share)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_identity(what)).encode(), 0)
        yield said
    except InputError:
        _leave_alone(new)
        raise
    finally:
        os.close(descriptor)


def _leave_alone(new: Sequence[Path]) -> None:
    """Remove what was made for a campaign that was refused."""
    for path in new:
        if path.is_file():
            path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()


def _held(descriptor: int, output: Path, *, share: bool) -> str:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if share else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise InputError(f"{_holder(descriptor)} is at work on {output}; wait for it, or end it") from None
            time.sleep(0.05)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return f"{output} is on a file system without locks, where a second mdsuite at work on it is not seen"
        else:
            return ""


def _identity(what: str) -> dict[str, str | int]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"command": what, "host": socket.gethostname(), "process": os.getpid(), "since": now}


def _holder(descriptor: int) -> str:
    try:
        told = json.loads(os.pread(descriptor, 4096, 0))
        return f"{told['command']} (process {told['process']} on {told['host']}, since {told['since']})"
    except (ValueError, KeyError, TypeError):  # it has not written it yet
        return "another mdsuite"
