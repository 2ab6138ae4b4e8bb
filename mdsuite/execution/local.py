"""Runs on this machine, several at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from mdsuite.execution.supervise import Outcome, Status, supervise

REFRESH = 0.25  # s


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """How far a run is; `outcome` once it has ended."""

    step: int
    steps_per_second: float | None = None
    outcome: Outcome | None = None


def run_all(
    folders: Mapping[str, Path], jobs: int, stop: threading.Event, show: Callable[[str, Advance], None]
) -> dict[str, Outcome]:
    """The outcome of every run, by its id; a run that fails does not keep the others from running.

    `show` is told of progress and of every end. When `stop` is set, running runs are stopped and others not begun.
    """
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = {pool.submit(_attempt, folder, stop): run_id for run_id, folder in folders.items()}
        return _collect(futures, folders, show)


def _attempt(folder: Path, stop: threading.Event) -> Outcome:
    if stop.is_set():
        return Outcome(status=Status.STOPPED, steps=0, reason="stopped on request")
    try:
        return supervise(folder, stop)
    except Exception as error:
        return Outcome(status=Status.FAILED, steps=0, reason=f"{type(error).__name__}: {error}")


def _collect(
    futures: dict[Future[Outcome], str], folders: Mapping[str, Path], show: Callable[[str, Advance], None]
) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    while len(outcomes) < len(futures):
        pending = [future for future, run_id in futures.items() if run_id not in outcomes]
        done, running = wait(pending, timeout=REFRESH, return_when=FIRST_COMPLETED)
        for future in done:
            outcome = future.result()
            outcomes[futures[future]] = outcome
            show(futures[future], Advance(step=outcome.steps, outcome=outcome))
        for future in running:
            advance = _progress(folders[futures[future]]) if future.running() else None
            if advance is not None:
                show(futures[future], advance)
    return outcomes


def _progress(folder: Path) -> Advance | None:
    try:
        told = json.loads((folder / "progress.json").read_text())
    except FileNotFoundError:
        return None
    return Advance(step=told["step"], steps_per_second=told["steps_per_second"])
