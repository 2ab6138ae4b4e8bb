"""One run, supervised: an engine process and a driver process that live and end together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mdsuite.engines.recording import last_step
from mdsuite.files import write_json
from mdsuite.run import Run, read_run
from mdsuite_driver.client import NOT_FINITE

POLL = 0.05  # s
STOPPED = "stopped on request"
UNSTABLE = "the driver found the model's answer not finite"
GRACE = 5.0  # s, for the one process to follow the other, and for an end on request


class Status(StrEnum):
    """How a run ended: `unstable` where the model's answer was not finite, `failed` for any technical cause."""

    DONE = "done"
    UNSTABLE = "unstable"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: its status, the last recorded step, and the reason of a failure."""

    status: Status
    steps: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Processes:
    engine: subprocess.Popen[bytes]
    driver: subprocess.Popen[bytes]


def supervise(folder: Path, stop: threading.Event | None = None) -> Outcome:
    """Bring the run in a folder to its end, or to a stop when `stop` is set; does nothing for a finished run."""
    run = read_run(folder)
    outcome = Outcome(status=Status.DONE, steps=run.n_steps)
    if last_step(folder) != run.n_steps:
        (folder / "failure.json").unlink(missing_ok=True)
        with _private_folder() as private, _started(run, folder, private / "driver") as processes:
            reason = _wait(processes, folder, stop or threading.Event())
        outcome = _outcome(run, folder, reason)
    write_json(folder / "status.json", {"status": outcome.status, "steps": outcome.steps, "reason": outcome.reason})
    return outcome


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    # Not the run's own folder: the path of a UNIX socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="mdsuite-", dir=os.environ.get("XDG_RUNTIME_DIR") or None) as name:
        yield Path(name)


@contextlib.contextmanager
def _started(run: Run, folder: Path, address: Path) -> Iterator[_Processes]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(address))
        listener.listen(1)
        engine = _spawn(
            ["mdsuite.engines", str(folder), "--listen-fd", str(listener.fileno())],
            folder / "engine.log",
            1,
            (listener.fileno(),),
        )
    driver = _spawn(_driver_command(run, address), folder / "driver.log", run.threads)
    try:
        yield _Processes(engine, driver)
    finally:
        for process in (engine, driver):
            _end(process)


def _driver_command(run: Run, address: Path) -> list[str]:
    command = ["mdsuite_driver.cli", "--model", run.model, "--unix", str(address), "--threads", str(run.threads)]
    return [*command, "--trust"] if run.trust else command


def _spawn(module: list[str], log: Path, threads: int, descriptors: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", *module],  # -P: nothing is imported from where the user happens to be
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=descriptors,
            start_new_session=True,  # a Ctrl-C in the terminal is for the supervisor
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started; waits for a natural end first."""
    try:
        process.wait(GRACE if process.poll() is None else 0)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):  # gone in the meantime
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(processes: _Processes, folder: Path, stop: threading.Event) -> str:
    """Wait for the end of both; the reason, if it is not that the run is done."""
    engine, driver = processes.engine, processes.driver
    while engine.poll() is None and driver.poll() is None:
        if stop.wait(POLL):
            engine.kill()  # what it has not committed is integrated again by the next attempt
            driver.kill()
            return STOPPED
    driver_first = engine.poll() is None
    for process in (engine, driver):
        _end(process)
    if engine.returncode == 0:
        return ""
    if driver.returncode != 0 and (driver_first or _failure(folder).get("lost_driver")):
        return UNSTABLE if driver.returncode == NOT_FINITE else f"the driver ended with {_described(driver.returncode)}"
    return f"the engine ended with {_described(engine.returncode)}"


def _failure(folder: Path) -> dict[str, Any]:
    """What the engine said of its failure, if it could."""
    file = folder / "failure.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _described(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _outcome(run: Run, folder: Path, reason: str) -> Outcome:
    steps = last_step(folder) or 0
    if steps == run.n_steps:
        return Outcome(status=Status.DONE, steps=steps)
    if reason == STOPPED:
        return Outcome(status=Status.STOPPED, steps=steps, reason=reason)
    status = Status.UNSTABLE if reason == UNSTABLE else Status.FAILED
    return Outcome(status=status, steps=steps, reason=_explained(folder, reason))


def _explained(folder: Path, reason: str) -> str:
    """The reason, what the engine says of it, and the last line of the guilty log."""
    parts = [reason, _failure(folder).get("reason", "")]
    guilty = folder / ("driver.log" if "driver" in reason else "engine.log")
    lines = guilty.read_text(errors="replace").strip().splitlines()
    if lines:
        parts.append(f"last line of {guilty.name}: {lines[-1]}")
    return "; ".join(part for part in parts if part)
