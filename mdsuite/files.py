"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class DiskError(OSError):
    """Something that could not be written or read where it belongs; what is there already is whole."""


@contextmanager
def on_disk() -> Iterator[None]:
    """Raise DiskError in place of an OSError."""
    try:
        yield
    except DiskError:
        raise
    except OSError as error:
        raise DiskError(f"{error.strerror or error}: {error.filename or 'the output folder'}") from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved there once its writer has succeeded and the bytes are on the disk."""
    temporary = beside(path)
    try:
        yield temporary
        move_whole(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def move_whole(temporary: Path, path: Path) -> None:
    """Move a file that is complete to its place, once its bytes are on the disk."""
    _sync(temporary)
    temporary.replace(path)


class OvertakenError(RuntimeError):
    """A file is there already that this process was to make: another one is ahead with the same work."""


UNLINKED = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What file systems answer that have no hard links."""


@contextmanager
def first(path: Path) -> Iterator[Path]:
    """A temporary path of this process's own, made `path` once its writer has succeeded, unless that exists by then.

    One of several processes succeeds, whether or not they can see each other's locks; the others raise OvertakenError.
    A file system without hard links cannot tell them apart: the last one counts there.
    """
    temporary = beside(path)
    try:
        yield temporary
        _sync(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError as error:
            raise OvertakenError(f"{path.name} is there already: another process is working on this run") from error
        except OSError as error:
            if error.errno not in UNLINKED:
                raise
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text that is whole or absent."""
    with whole(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, content: Any) -> None:  # whatever json can hold
    """Write JSON that is whole or absent; NaN is refused."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def beside(path: Path) -> Path:
    """A path that no other process takes for the same purpose."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
