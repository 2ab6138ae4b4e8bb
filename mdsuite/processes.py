"""Commands that are heard to their ends, within a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

PYTHON = (sys.executable, "-P")
"""This Python; nothing is imported from where the user happens to be."""


def heard(
    command: Sequence[str],
    *,
    patience: float,
    environment: Mapping[str, str] = MappingProxyType({}),
    given: str = "",
) -> subprocess.CompletedProcess[str] | None:
    """How a command has ended and what it has said; None where it has not within `patience`, s, and was ended.

    environment : what is added to that of this process
    given : what it reads
    """
    try:
        return subprocess.run(
            command,
            env={**os.environ, **environment},
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
