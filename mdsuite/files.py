"""Files that are either whole or absent."""

from __future__ import annotations

import json
import os
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
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        _sync(temporary)
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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
