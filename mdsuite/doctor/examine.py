"""Everything that is looked at, in the order of the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mdsuite.doctor import machine, programs
from mdsuite.doctor.finding import Finding


def examine(output: Path) -> Iterator[Finding]:
    """One after the other; some take seconds."""
    yield programs.python()
    yield machine.processors()
    yield machine.memory()
    yield from machine.folder(output)
    yield from machine.sockets()
    yield programs.torch()
    yield programs.compiler()
    yield programs.lammps()
    yield programs.ipi()
    yield programs.scheduler()
    yield from programs.extras()
