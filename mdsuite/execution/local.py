"""Runs on this machine, several at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from queue import Empty, SimpleQueue

from mdsuite.engines.recording import recorded_steps
from mdsuite.execution.drivers import Drivers
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import REQUESTED, Outcome, Status, supervise

VISIBLE = "CUDA_VISIBLE_DEVICES"
NVIDIA = Path("/proc/driver/nvidia/gpus")


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


@contextmanager
def on_this_machine(jobs: int) -> Iterator[Execute]:
    """As `run_all`, with drivers that are kept from one call to the next."""
    with Drivers(keep=jobs) as drivers:
        yield partial(_run_all, jobs=jobs, drivers=drivers)


def run_all(folders: Mapping[str, Path], jobs: int, stop: Stop, show: Show) -> dict[str, Outcome]:
    """The outcome of every run, by its id; a run that fails does not keep the others from running.

    `show` is told of progress and of every end, from several threads. When a stop is requested, running runs are
    stopped and others not begun. GPUs are divided: each run sees one of them, for as long as it lasts. Drivers go from
    one run of their model to the next.
    """
    with on_this_machine(jobs) as execute:
        return execute(folders, stop, show)


def _run_all(folders: Mapping[str, Path], stop: Stop, show: Show, *, jobs: int, drivers: Drivers) -> dict[str, Outcome]:
    gpus: SimpleQueue[str] = SimpleQueue()
    for gpu in islice(cycle(visible_gpus()), jobs):
        gpus.put(gpu)
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = {
            pool.submit(_attempt, run_id, folder, stop, show, gpus, drivers): run_id
            for run_id, folder in folders.items()
        }
        for future in as_completed(futures):
            run_id, outcome = futures[future], future.result()
            outcomes[run_id] = outcome
            show(run_id, Advance(step=outcome.steps, outcome=outcome))
    return outcomes


def visible_gpus(environment: Mapping[str, str] = os.environ, driver: Path = NVIDIA) -> list[str]:
    """GPUs that this process may use, as CUDA names them; none where there are none."""
    told = environment.get(VISIBLE)
    if told is None:
        return [str(k) for k, _ in enumerate(driver.glob("*"))]
    return [each.strip() for each in told.split(",") if each.strip() not in ("", "-1")]


@contextmanager
def _one_of(gpus: SimpleQueue[str]) -> Iterator[dict[str, str]]:
    """What makes a process see one of them alone; nothing where there are none."""
    try:
        gpu = gpus.get_nowait()
    except Empty:
        yield {}
        return
    try:
        yield {VISIBLE: gpu}
    finally:
        gpus.put(gpu)


def _attempt(run_id: str, folder: Path, stop: Stop, show: Show, gpus: SimpleQueue[str], drivers: Drivers) -> Outcome:
    if stop.requested:
        return Outcome(status=Status.STOPPED, steps=recorded_steps(folder), reason=REQUESTED)

    def advanced(step: int, rate: float) -> None:
        show(run_id, Advance(step=step, steps_per_second=rate))

    def waiting(address: str) -> None:
        show(run_id, Advance(step=0, waiting=address))

    try:
        with _one_of(gpus) as environment:
            return supervise(folder, stop, advanced, waiting, environment, drivers)
    except Exception as error:
        return Outcome(status=Status.FAILED, steps=0, reason=f"{type(error).__name__}: {error}")
