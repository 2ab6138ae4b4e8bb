"""What an engine is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mdsuite.engines.recording import Segment


class StepError(RuntimeError):
    """A step that could not be taken; no engine goes on after it.

    step : the step
    recorded : the steps of the chunk before it, or None if it was the first
    """

    def __init__(self, step: int, cause: BaseException) -> None:
        super().__init__(f"step {step}: {type(cause).__name__}: {cause}")
        self.step = step
        self.recorded: Segment | None = None


class Engine(Protocol):
    """One run in something that integrates it."""

    @property
    def build(self) -> str:
        """Name, version and platform of what integrates."""
        ...

    def begin(self) -> None:
        """Put the start where it can be integrated."""
        ...

    def resume(self, restart: Path, conserved: float) -> None:
        """Take up the run where a restart file left it, to the bit; the conserved energy (eV) was `conserved` there."""
        ...

    def write_restart(self, path: Path) -> None:
        """Write everything that decides what comes next; raises DiskError where that fails."""
        ...

    def integrate(self, first: int, last: int) -> Segment:
        """Steps `first` + 1 to `last`, and step 0 where `first` is 0.

        Raises StepError for the step that could not be taken, with what was recorded before it.
        """
        ...

    def close(self) -> None:
        """Free everything."""
        ...
