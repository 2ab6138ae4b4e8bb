"""Runs on this machine, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from mdsuite.engines.recording import recorded_steps
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import REQUESTED, Outcome, Status, supervise


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """How far a run is; `outcome` once it has ended, `waiting` is the address where it waits for a foreign driver."""

    step: int
    steps_per_second: float | None = None
    outcome: Outcome | None = None
    waiting: str = ""


Show = Callable[[str, Advance], None]

Execute = Callable[[Mapping[str, Path], Stop, Show], dict[str, Outcome]]
"""Whoever brings runs to their ends, given their folders by their ids: the outcome of each."""


@dataclass(frozen=True, slots=True)
class OnThisMachine:
    """Several runs at a time, in threads that supervise processes."""

    jobs: int

    def __call__(self, folders: Mapping[str, Path], stop: Stop, show: Show) -> dict[str, Outcome]:
        """As `run_all`."""
        return run_all(folders, self.jobs, stop, show)


def run_all(folders: Mapping[str, Path], jobs: int, stop: Stop, show: Show) -> dict[str, Outcome]:
    """The outcome of every run, by its id; a run that fails does not keep the others from running.

    `show` is told of progress and of every end, from several threads. When a stop is requested, running runs are
    stopped and others not begun.
    """
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = {pool.submit(_attempt, run_id, folder, stop, show): run_id for run_id, folder in folders.items()}
        for future in as_completed(futures):
            run_id, outcome = futures[future], future.result()
            outcomes[run_id] = outcome
            show(run_id, Advance(step=outcome.steps, outcome=outcome))
    return outcomes


def _attempt(run_id: str, folder: Path, stop: Stop, show: Show) -> Outcome:
    if stop.requested:
        return Outcome(status=Status.STOPPED, steps=recorded_steps(folder), reason=REQUESTED)

    def advanced(step: int, rate: float) -> None:
        show(run_id, Advance(step=step, steps_per_second=rate))

    def waiting(address: str) -> None:
        show(run_id, Advance(step=0, waiting=address))

    try:
        return supervise(folder, stop, advanced, waiting)
    except Exception as error:
        return Outcome(status=Status.FAILED, steps=0, reason=f"{type(error).__name__}: {error}")
