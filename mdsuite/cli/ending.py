"""How a command ends: its exit code, signals, deadlines, and the scheduler's clock."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from mdsuite.errors import InputError
from mdsuite.execution.stop import Stop

STOPPED = 75
BAD_INPUT = 2
NOT_RUN = 3
ECHO = 2.0  # s, between a signal and the same one passed on by a script
SCHEDULED_MARGIN = 60.0  # s, before the end of a job
MARGIN = 10.0  # s, before a deadline: for the next chunk, and for everybody to go


def finish_or_stop(work: Callable[[Stop], int], deadline: float | None = None, *, scheduled: bool = False) -> NoReturn:
    """Exit with the code that the work returns, which is told by its stop when to end so that it can go on later."""
    with stoppable(deadline, scheduled=scheduled) as stop:
        try:
            code = work(stop)
        except (InputError, OSError) as error:
            code = refused(error)
    sys.exit(code)


def finish(work: Callable[[], int]) -> NoReturn:
    """Exit with the code that the work returns, or with that of what kept it from returning."""
    with stoppable(None):
        try:
            code = work()
        except (InputError, OSError) as error:
            code = refused(error)
        except KeyboardInterrupt:
            code = STOPPED
    sys.exit(code)


def refused(error: Exception) -> int:
    """The exit code of bad input, once it is said what is wrong with it."""
    click.echo(f"mdsuite: {error}", err=True)
    return BAD_INPUT


@contextlib.contextmanager
def stoppable(deadline: float | None, *, scheduled: bool = False) -> Iterator[Stop]:
    """A stop that SIGINT, SIGTERM and the deadline (s, from now) request, or that of the scheduler.

    While nobody listens to it, because nothing runs, a signal ends this command at once. A SIGTERM soon after another
    is the same one: schedulers send it to every process, and scripts pass it on.
    """
    stop = Stop()
    heard = -ECHO
    margin = MARGIN
    if deadline is None and scheduled:
        deadline, margin = _left_by_scheduler(), SCHEDULED_MARGIN

    def request(number: int, _frame: FrameType | None) -> None:
        nonlocal heard
        echo = number == signal.SIGTERM and time.monotonic() - heard < ECHO
        heard = time.monotonic()
        if echo:
            return
        stop.request()
        if not stop.heard:
            raise KeyboardInterrupt

    timer = None if deadline is None else stop.request_after(deadline - min(margin, deadline / 2))
    try:
        with _signals(request):
            yield stop
    except KeyboardInterrupt:
        click.echo("mdsuite: stopped; the same command goes on from here", err=True)
        sys.exit(STOPPED)
    finally:
        if timer is not None:
            timer.cancel()


def _left_by_scheduler() -> float | None:
    """Seconds until the scheduler ends this job, and a word on it; None outside of one."""
    from mdsuite.batch.walltime import seconds_left  # noqa: PLC0415

    left, said = seconds_left()
    if left is None:
        if said:
            click.echo(f"mdsuite: when this job will end is not known ({said}); trajectories stop on signals", err=True)
        return None
    click.echo(f"mdsuite: this job ends in {left:.0f} s ({said})", err=True)
    return max(left, 0.0)


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def formatted(code: int, output: Path, formats: Sequence[str]) -> int:
    """The exit code of a command, once its results are there in other formats too."""
    if formats and code not in (BAD_INPUT, STOPPED):
        from mdsuite.report.formats import write_formats  # noqa: PLC0415  pandas takes time

        for path in write_formats(output, formats):
            click.echo(f"also:    {path}")
    return code


def tell_verdict(verdict: str, report: Path) -> None:
    """The last lines of a command that judges."""
    from mdsuite.report.words import where  # noqa: PLC0415  takes time

    click.echo(f"\nverdict: {verdict}\n{where(report)}")


def warn(told: str) -> None:
    """Say what should be known and keeps nothing from going on, if anything."""
    if told:
        click.echo(f"mdsuite: {told}", err=True)
