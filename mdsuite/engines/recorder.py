"""Where an engine's chunks go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from mdsuite.engines.recording import Segment, segment_path, tail_path, write_segment
from mdsuite.engines.witness import Witness
from mdsuite.files import write_json
from mdsuite.runs import Run

ABOUT = "engine.json"


class Recorder(Protocol):
    """What is written of a run, or of the runs of a pack."""

    def begin(self, first: int) -> None:
        """A chunk begins at a step."""
        ...

    def write_about(self, engine: Mapping[str, str]) -> None:
        """What integrates."""
        ...

    def write(self, index: int, segment: Segment, state: str) -> None:
        """A whole chunk, and what the engine's state at its end is called."""
        ...

    def write_tail(self, index: int, segment: Segment) -> None:
        """What was recorded of a chunk that could not be finished."""
        ...


class OfRun:
    """The recorder of one run, in its folder."""

    def __init__(self, run: Run, folder: Path, witness: Witness) -> None:
        self._run = run
        self._folder = folder
        self._witness = witness

    def begin(self, _first: int) -> None:
        """A chunk begins at a step."""
        self._witness.begin()

    def write_about(self, engine: Mapping[str, str]) -> None:
        """What integrates."""
        write_about(self._folder, engine)

    def write(self, index: int, segment: Segment, state: str) -> None:
        """A whole chunk, and what the engine's state at its end is called."""
        write_segment(segment_path(self._folder, index), self._run, segment, self._witness.sample(), state)

    def write_tail(self, index: int, segment: Segment) -> None:
        """What was recorded of a chunk that could not be finished."""
        write_segment(tail_path(self._folder, index), self._run, segment, self._witness.sample())


def write_about(folder: Path, engine: Mapping[str, str]) -> None:
    """What has integrated the run in a folder."""
    write_json(folder / ABOUT, dict(engine))


def clear_tails(folder: Path) -> None:
    """Remove what an attempt has left of a chunk that it could not finish."""
    for left in (*folder.glob("tail-*.h5md"), *folder.rglob(".*.tmp")):
        left.unlink(missing_ok=True)
