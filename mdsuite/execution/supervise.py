"""One run, supervised: an engine process and a driver process that live and end together."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import select
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mdsuite import link
from mdsuite.engines.failure import DISK, DRIVER, ENGINE, OVERTAKEN, Failure
from mdsuite.engines.kinds import DRIVER as DRIVER_PROCESS
from mdsuite.engines.kinds import engine_kind
from mdsuite.engines.library import library_environment
from mdsuite.engines.recording import last_step, recorded_steps, removed_steps
from mdsuite.execution.child import Child
from mdsuite.execution.door import Door, DoorError
from mdsuite.execution.drivers import FOLLOW, Driver, Drivers, Service
from mdsuite.execution.stop import Stop
from mdsuite.files import write_json
from mdsuite.runs import Run, read_run
from mdsuite_driver.soundness import HugeForceError, NotFiniteError

TICK = 0.02  # s, while somebody may knock
WATCH = 0.2  # s, otherwise
STOPPED = 75  # the exit code of an engine that ended at a chunk
GRACE = 3.0  # s, for the next chunk to come after a stop was asked for
SILENCE = 120.0  # s, that an engine may be silent beyond the time of one evaluation
LOCK = 5.0  # s, for the processes of an earlier attempt to go
REQUESTED = "stopped on request"
STATUS = "status.json"
UNSTABLE = {NotFiniteError.kind, HugeForceError.kind}
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}

Advanced = Callable[[int, float], None]
Waiting = Callable[[str], None]


def _nobody(*_told: object) -> None:
    """Tell nobody."""


class Status(StrEnum):
    """How a run ended.

    `unstable` where the model's answer was not finite or beyond all forces, `failed` for any technical cause,
    `stopped` where nothing is wrong with the run and the same command goes on with it.
    """

    DONE = "done"
    UNSTABLE = "unstable"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: its status, the last recorded step, the reason where it is not done, and what happened.

    events : drivers that were lost and replaced, each with its step and cause
    traceback : of the model or the engine, where one of them raised
    """

    status: Status
    steps: int
    reason: str = ""
    events: tuple[str, ...] = ()
    traceback: str = ""


def supervise(
    folder: Path,
    stop: Stop | None = None,
    advanced: Advanced = _nobody,
    waiting: Waiting = _nobody,
    environment: Mapping[str, str] = MappingProxyType({}),
    drivers: Drivers | None = None,
) -> Outcome:
    """Bring the run in a folder to its end, or to a stop; does nothing for a finished run.

    `advanced` is told of steps and steps per second, `waiting` of the address where a foreign driver is waited for;
    `environment` is added to that of engine and driver. The driver is one of `drivers`, or ends with the run.
    What happens to the processes, their sockets and the disk is in the outcome; raises FileNotFoundError if there is
    no run.
    """
    run = read_run(folder)
    try:
        if run.n_steps in (last_step(folder), removed_steps(folder)):
            return _finished(run, folder)
        with contextlib.nullcontext(drivers) if drivers is not None else Drivers(keep=0) as at_hand:
            return _attempt(run, folder, stop or Stop(), advanced, waiting, environment, at_hand)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        return Outcome(status=Status.STOPPED, steps=recorded_steps(folder), reason=f"the disk: {error}")


def noted_outcome(noted: Mapping[str, Any]) -> Outcome:
    """What an attempt has noted in status.json."""
    return Outcome(**{**noted, "status": Status(noted["status"]), "events": tuple(noted["events"])})


def _finished(run: Run, folder: Path) -> Outcome:
    """What an earlier attempt has noted, if it came to that."""
    status = folder / STATUS
    if not status.exists():
        note(Outcome(status=Status.DONE, steps=run.n_steps), folder)
    noted = json.loads(status.read_text())
    return Outcome(status=Status.DONE, steps=run.n_steps, events=tuple(noted["events"]))


def note(outcome: Outcome, folder: Path) -> None:
    """Write status.json."""
    write_json(folder / STATUS, dataclasses.asdict(outcome))


def _attempt(
    run: Run,
    folder: Path,
    stop: Stop,
    advanced: Advanced,
    waiting: Waiting,
    environment: Mapping[str, str],
    drivers: Drivers,
) -> Outcome:
    with _held(folder) as lock:
        if lock is None:
            reason = "another process is working on this run; wait for it, or end it"
            return Outcome(status=Status.FAILED, steps=recorded_steps(folder), reason=reason)
        (folder / STATUS).unlink(missing_ok=True)
        for name in ("engine.log", "driver.log"):
            (folder / name).write_bytes(b"")
        attempt = _Attempt(run, folder, stop, advanced, waiting, environment, drivers, lock)
        try:
            outcome = attempt.carry_out()
        finally:
            attempt.end()
        if not attempt.overtaken:
            note(outcome, folder)
        return outcome


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[int | None]:
    """A lock on the run that lasts until the last of its processes has gone, or None if somebody else has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor if _locked(descriptor) else None
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    end = time.monotonic() + LOCK
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        else:
            return True


class _Attempt:
    """Two processes, the door through which one reaches the other, and everything that may become of them."""

    def __init__(
        self,
        run: Run,
        folder: Path,
        stop: Stop,
        advanced: Advanced,
        waiting: Waiting,
        environment: Mapping[str, str],
        drivers: Drivers,
        lock: int,
    ) -> None:
        self._run = run
        self._folder = folder
        self._stop = stop
        self._advanced = advanced
        self._waiting = waiting
        self._service = Service.of(run, environment)
        self._drivers = drivers
        self._events: list[str] = []
        self._failure: Failure | None = None
        self._step, self._began = last_step(folder) or 0, time.monotonic()
        self._first = self._step
        self._heard = self._began
        self._asked: float | None = None
        self._fresh = True
        self._door: Door | None = None
        self._driver: Driver | None = None
        ours, theirs = link.pair()
        self._link = link.Link(ours)
        with theirs:
            self._engine = Child(
                ["mdsuite.engines", str(folder), "--link-fd", str(theirs.fileno())],
                folder / "engine.log",
                threads=1,
                environment={**environment, **library_environment(run, folder)},
                descriptors=(theirs.fileno(), lock),
            )

    def carry_out(self) -> Outcome:
        """Watch until the engine has ended."""
        if engine_kind(self._run.engine).forces == DRIVER_PROCESS:
            self._invite()
        while True:
            self._hear()
            if self._engine.ended is not None:
                self._hear(patience=0.0)
                return self._outcome()
            self._attend()
            if self._stop_is_due():
                return self._stopped()
            if time.monotonic() - self._heard > self._silence:
                self._engine.kill()
                return self._ended(Status.FAILED, f"the engine was silent for {self._silence:g} s")

    @property
    def overtaken(self) -> bool:
        """Whether another attempt, whose lock nobody saw, is ahead; what is noted of the run is its."""
        return self._failure is not None and self._failure.cause == OVERTAKEN

    def end(self) -> None:
        """Leave no process and no socket."""
        self._link.close()
        self._close_door()
        if self._driver is not None:
            self._drivers.put_away(self._driver, whole=self._engine.ended in (0, STOPPED))
        self._engine.kill()

    @property
    def _silence(self) -> float:
        coupling = self._run.coupling
        return SILENCE + (coupling.first_evaluation_s if self._fresh else coupling.evaluation_s)

    def _hear(self, patience: float | None = None) -> None:
        """Take in what the engine says; waits for it a moment."""
        if patience is None:
            patience = TICK if self._door is not None else WATCH
        ready, _, _ = select.select([self._link], [], [], patience)
        while ready:
            try:
                message = self._link.receive(0.0)
            except link.LinkClosedError:
                if not self._engine.wait(FOLLOW):
                    self._engine.kill()
                return
            if message is None:
                return
            self._heard = time.monotonic()
            self._take(message.kind, message.content)

    def _take(self, kind: str, content: dict[str, Any]) -> None:
        if kind == link.STEP:
            self._step, self._fresh = content["step"], False
            self._advanced(self._step, (self._step - self._first) / (time.monotonic() - self._began))
        elif kind == link.LOST:
            self._step = content["step"]
            if content["introduced"] or self._driver is not None:
                self._replace(content["reason"])
            else:
                self._invite()  # whoever came does not speak i-PI
        elif kind == link.FAILED:
            self._failure = Failure(**content)

    def _invite(self) -> None:
        """Open the door, and start a driver that knows the way."""
        coupling = self._run.coupling
        try:
            self._door = Door(coupling)
        except DoorError as error:
            self._refuse(str(error))
            return
        self._opened = self._heard = time.monotonic()
        self._fresh = True
        if coupling.accept_foreign:
            self._waiting(self._door.address)
        else:
            find = self._drivers.take if self._driver is None else self._drivers.start
            self._driver = find(self._service, self._driver_log)
            self._driver.send_to(self._door, self._driver_log)

    def _attend(self) -> None:
        """Let the driver in, or see that none will come."""
        if self._door is None:
            return
        self._heard = time.monotonic()
        connection = self._door.attend()
        if connection is not None:
            self._close_door()
            with connection, contextlib.suppress(link.LinkClosedError):  # the engine's end is seen by the next look
                self._link.send(link.DRIVER, connection)
            return
        driver, start_s = self._driver, self._run.coupling.start_s
        if driver is None:
            return
        ended, late = driver.process.ended is not None, time.monotonic() - self._opened > start_s
        if (ended or late) and driver.has_served:  # what it has served may have spoilt it, so that this says nothing
            driver.kill()
            self._driver = self._drivers.start(self._service, self._driver_log)
            self._driver.send_to(self._door, self._driver_log)
            self._opened = time.monotonic()
        elif ended:
            self._driver_ended_outside(driver.process)
        elif late:
            driver.kill()
            self._refuse(f"the driver did not connect within {start_s:g} s; {driver.process.last_lines()}")

    @property
    def _driver_log(self) -> Path:
        return self._folder / "driver.log"

    def _driver_ended_outside(self, driver: Child) -> None:
        if driver.ended is not None and driver.ended < 0:  # by a signal, which says nothing of the next one
            self._replace("it ended before it connected")
        else:
            self._refuse(f"the driver ended with {driver.how} before it connected; {driver.last_lines()}")

    def _replace(self, reason: str) -> None:
        """Start another driver for one that was lost, if that has not happened too often."""
        self._close_door()
        what = self._became_of_driver(reason)
        n = len(self._events)
        if n >= self._run.coupling.replacements:
            self._refuse(f"{what}, after {n} replacement{'' if n == 1 else 's'}{self._said_by_driver()}")
            return
        self._events.append(f"step {self._step}: {what}, and was replaced")
        self._invite()

    def _became_of_driver(self, reason: str) -> str:
        if self._driver is None:
            return f"the driver was lost: {reason}"
        gone = self._driver.process.wait(0.0 if "TimeoutError" in reason else FOLLOW)
        what = f"the driver ended with {self._driver.process.how}" if gone else f"the driver was ended: {reason}"
        self._driver.kill()
        return what

    def _said_by_driver(self) -> str:
        return f"; {self._driver.process.last_lines()}" if self._driver is not None else ""

    def _refuse(self, reason: str) -> None:
        self._close_door()
        with contextlib.suppress(link.LinkClosedError):  # the engine's end is seen by the next look
            self._link.send(link.REFUSED, reason=reason)

    def _close_door(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None

    def _stop_is_due(self) -> bool:
        """Whether the end is to come now; the engine is asked to end at its next chunk before."""
        if not self._stop.requested:
            return False
        if self._asked is None:
            self._asked = time.monotonic()
            with contextlib.suppress(link.LinkClosedError):  # the engine's end is seen by the next look
                self._link.send(link.STOP)
        return self._stop.at_once or time.monotonic() - self._asked > GRACE

    def _stopped(self) -> Outcome:
        self._engine.kill()  # what it has not committed is integrated again by the next attempt
        return self._ended(Status.STOPPED, REQUESTED)

    def _outcome(self) -> Outcome:
        """What became of the run, the engine having ended."""
        steps = last_step(self._folder) or 0
        if steps == self._run.n_steps:
            return self._ended(Status.DONE, "")
        if self._failure is not None:
            return self._failed(self._failure)
        if self._engine.ended == STOPPED:
            return self._ended(Status.STOPPED, REQUESTED)
        lines = self._engine.last_lines()
        return self._ended(Status.FAILED, f"the engine ended with {self._engine.how} after step {self._step}; {lines}")

    def _failed(self, failure: Failure) -> Outcome:
        if failure.cause == DISK:
            return self._ended(Status.STOPPED, f"the disk: {failure.reason}")
        if failure.cause == OVERTAKEN:
            return self._ended(Status.STOPPED, failure.reason)
        status = Status.UNSTABLE if failure.cause in UNSTABLE else Status.FAILED
        reason = f"{failure.reason}{self._said_by_guilty(failure.cause)}"
        return self._ended(status, reason, traceback=failure.traceback)

    def _said_by_guilty(self, cause: str) -> str:
        if cause == ENGINE:
            return f"; {self._engine.last_lines()}"
        if cause == DRIVER or self._driver is None:  # the reason has them already
            return ""
        self._driver.process.wait(FOLLOW)
        return self._said_by_driver()

    def _ended(self, status: Status, reason: str, traceback: str = "") -> Outcome:
        steps = recorded_steps(self._folder)
        return Outcome(status=status, steps=steps, reason=reason, events=tuple(self._events), traceback=traceback)
