"""Runs on many machines, by the workers of Parsl (doi:10.1145/3307681.3325400).

Parsl carries out ``mdsuite run-one`` and keeps nothing that matters: a run that lost its worker, or was stopped because
its job came to its end, is given to another, which goes on from the last whole chunk.
"""

from __future__ import annotations

import inspect
import json
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from mdsuite.engines.recording import last_step, recorded_steps
from mdsuite.errors import InputError
from mdsuite.execution.local import Advance, Show
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import REQUESTED, STOPPED, Outcome, Status, noted_outcome
from mdsuite.execution.worker import attempt
from mdsuite.files import write_json
from mdsuite_driver.bundled import inputs_folder

PREFIX, SLURM = "parsl:", "slurm"
RECORD = "parsl.json"
WORKER_LOST = "its worker was lost"
POLL = 2.0  # s
LOST, VAIN = 3, 12
"""How often in a row a run may lose its worker, or be stopped, without coming further."""

PAUSES = tuple(min(2.0**k, 60.0) for k in range(1, VAIN))
"""s, until a run is given again that has been had in vain: a job that comes to its end takes runs and stops them."""


Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Given:
    """A run that a worker has: from which step, and how often in a row one has had it in vain, or was lost with it."""

    run: str
    step: int
    vain: int = 0
    lost: int = 0
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class ThroughParsl:
    """Carries out runs by the workers of a Parsl configuration.

    configuration : a Python file that defines it as `config`, or a function `configured` that returns it
    values : given to that function by their names
    record : a file that names the jobs for as long as there are any, so that they can be ended without this process
    """

    configuration: Path
    record: Path
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, told: str, record: Path) -> ThroughParsl:
        """From ``parsl:CONFIG.py``, or ``slurm?key=value&…`` of the bundled one; InputError for neither."""
        name, _, query = told.partition("?")
        file = inputs_folder() / "executors" / "slurm.py" if name == SLURM else Path(told.removeprefix(PREFIX))
        if name != SLURM and not (told.startswith(PREFIX) and file.is_file()):
            raise InputError(
                f"wanted an executor as parsl:CONFIG.py with a file that is there, or slurm?partition=…, got {told!r}"
            )
        return cls(file, record, dict(parse_qsl(query)) if name == SLURM else {})

    def __call__(self, folders: Mapping[str, Path], stop: Stop, show: Show) -> dict[str, Outcome]:
        """As `mdsuite.execution.local.run_all`; raises InputError for what is no configuration."""
        with self._kernel() as kernel:
            return self._carry_out(kernel, folders, stop, show)

    @contextmanager
    def _kernel(self) -> Iterator[Any]:
        try:
            import parsl  # noqa: PLC0415  an extra
        except ImportError as error:
            raise InputError(f"wanted Parsl ({error}); install it: pip install 'mdsuite[parsl]'") from error
        # Parsl begins programs of its own by their names, which are beside this Python, whether or not they are known
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        kernel = parsl.load(_configuration(self.configuration, self.values))
        try:
            yield kernel
        finally:
            kernel.cleanup()
            parsl.clear()
            self.record.unlink(missing_ok=True)

    def _carry_out(self, kernel: Any, folders: Mapping[str, Path], stop: Stop, show: Show) -> dict[str, Outcome]:
        from parsl.concurrent import ParslPoolExecutor  # noqa: PLC0415  an extra

        pool = ParslPoolExecutor(dfk=kernel)
        outcomes: dict[str, Outcome] = {}
        at_work: dict[Future[Any], _Given] = {}
        noted: Told | None = None
        waiting = [_Given(run, last_step(folder) or 0) for run, folder in folders.items()]
        while (at_work or waiting) and not stop.requested:
            for given in [each for each in waiting if each.due <= time.monotonic()]:
                waiting.remove(given)
                at_work[pool.submit(attempt, str(folders[given.run].resolve()))] = given
            if not at_work:
                time.sleep(POLL)
            done, _ = wait(at_work, timeout=POLL, return_when=FIRST_COMPLETED)
            if (now := _to_note(kernel)) != noted:
                self.record.parent.mkdir(parents=True, exist_ok=True)
                write_json(self.record, noted := now)
            for future in done:
                given = at_work.pop(future)
                outcome = _outcome(future, folders[given.run])
                if outcome.status is Status.STOPPED and (again := _again(given, folders[given.run], outcome)):
                    waiting.append(again)
                    continue
                outcomes[given.run] = outcome = _given_up(outcome)
                show(given.run, Advance(step=outcome.steps, outcome=outcome))
        for given in (*at_work.values(), *waiting):
            steps = recorded_steps(folders[given.run])
            outcomes[given.run] = Outcome(status=Status.STOPPED, steps=steps, reason=REQUESTED)
        return outcomes


def _to_note(kernel: Any) -> Told:
    """Numbers of jobs, and those of processes here, for whoever has to end them without this process."""
    executors = [each for each in kernel.executors.values() if getattr(each, "provider", None) is not None]
    return {
        "host": socket.gethostname(),
        "processes": [each.interchange_proc.pid for each in executors if getattr(each, "interchange_proc", None)],
        "jobs": {each.label: [type(each.provider).__name__, *each.blocks_to_job_id.values()] for each in executors},
    }


def end_left_behind(record: Path, end_jobs: Callable[[Sequence[str]], None]) -> list[str]:
    """End what a coordinator has left that was killed: its jobs, and its processes on this machine; says which.

    end_jobs : ends jobs of Slurm by their numbers
    """
    try:
        told = json.loads(record.read_text())
    except FileNotFoundError:
        return []
    ended = []
    for kind, *jobs in told["jobs"].values():
        if kind == "SlurmProvider" and jobs:
            end_jobs(jobs)
            ended += jobs
        elif kind == "LocalProvider":
            ended += _ended(jobs, told["host"])
        elif jobs:
            raise InputError(f"end these jobs of {kind} yourself, mdsuite does not know how: {', '.join(jobs)}")
    ended += _ended(told["processes"], told["host"])
    record.unlink()
    return ended


def _ended(processes: Iterable[int | str], host: str) -> list[str]:
    """Processes on this machine that were there, with their groups unless those are this one's too."""
    found = []
    for process in map(int, processes):
        if host != socket.gethostname():
            raise InputError(f"process {process} was begun on {host}; cancel there")
        with suppress(ProcessLookupError):
            group = os.getpgid(process)  # that of a job begins with a shell which has ended since
            os.kill(process, signal.SIGTERM) if group == os.getpgrp() else os.killpg(group, signal.SIGTERM)
            found.append(f"process {process}")
    return found


def _configuration(file: Path, values: Mapping[str, str]) -> Any:
    try:
        found = runpy.run_path(str(file))
        make = found.get("configured")
        config = found.get("config") if make is None else _configured(make, values)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{file} is no configuration of Parsl: {type(error).__name__}: {error}") from error
    if type(config).__name__ != "Config":
        wanted = f"wanted a parsl.Config called config, or from a function configured, in {file}"
        raise InputError(f"{wanted}, got {type(config).__name__}")
    return config


def _configured(make: Callable[..., Any], values: Mapping[str, str]) -> Any:
    """With values as the defaults of a function are; raises InputError for a name that it does not have."""
    known = inspect.signature(make).parameters
    if unknown := sorted(values.keys() - known.keys()):
        raise InputError(f"wanted settings among {', '.join(known)}, got {', '.join(unknown)}")
    return make(**{name: type(known[name].default)(value) for name, value in values.items()})


def _outcome(future: Future[Any], folder: Path) -> Outcome:
    """As the run's own note has it; a lost worker has stopped it."""
    try:
        told = future.result()
    except Exception as error:  # of Parsl, whatever has become of the worker
        return Outcome(
            status=Status.STOPPED,
            steps=recorded_steps(folder),
            reason=f"{WORKER_LOST}: {type(error).__name__}: {error}",
        )
    noted = told["status"]
    if noted is None:
        status = Status.STOPPED if told["code"] in (STOPPED, -signal.SIGTERM, -signal.SIGKILL) else Status.FAILED
        return Outcome(status=status, steps=recorded_steps(folder), reason=f"run-one: {told['said'].strip()}")
    return noted_outcome(noted)


def _again(given: _Given, folder: Path, outcome: Outcome) -> _Given | None:
    """What to give to another worker, and when; None where several have had it in vain."""
    step = last_step(folder) or 0
    if step > given.step:
        return _Given(given.run, step)
    lost = given.lost + 1 if outcome.reason.startswith(WORKER_LOST) else 0
    if lost == LOST or given.vain + 1 == VAIN:
        return None
    return _Given(given.run, step, given.vain + 1, lost, time.monotonic() + PAUSES[given.vain])


def _given_up(outcome: Outcome) -> Outcome:
    """A run that was stopped again and again has failed."""
    if outcome.status is not Status.STOPPED:
        return outcome
    reason = f"no chunk came to its end in several attempts, the last of which: {outcome.reason}"
    return replace(outcome, status=Status.FAILED, reason=reason)
