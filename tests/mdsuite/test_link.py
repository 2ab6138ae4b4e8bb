"""The channel between supervisor and engine, and what a stop is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import click
import pytest

from mdsuite import link
from mdsuite.cli import duration
from mdsuite.execution.stop import Stop
from mdsuite_driver.parent import SUPERVISOR


@pytest.fixture
def ends():
    ours, theirs = (link.Link(end) for end in link.pair())
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_stay_apart_and_in_order(ends):
    ours, theirs = ends
    ours.send(link.STEP, step=1)
    ours.send(link.LOST, step=2, reason="Å", introduced=False)
    assert theirs.receive(1.0) == link.Message(link.STEP, {"step": 1})
    assert theirs.receive(1.0) == link.Message(link.LOST, {"step": 2, "reason": "Å", "introduced": False})
    assert theirs.receive(0.0) is None


def test_a_connection_travels_with_its_message(ends):
    ours, theirs = ends
    near, far = socket.socketpair()
    with near, far:
        ours.send(link.DRIVER, far)
        message = theirs.receive(1.0)
        assert message is not None and message.connection is not None
        with message.connection:
            near.sendall(b"hello")
            assert message.connection.recv(5) == b"hello"


def test_the_end_of_the_other_process_is_an_error(ends):
    ours, theirs = ends
    theirs.close()
    with pytest.raises(link.LinkClosedError):
        ours.receive(1.0)
    with pytest.raises(link.LinkClosedError):
        ours.send(link.STOP)


def test_patience_ends(ends):
    began = time.monotonic()
    assert ends[0].receive(0.05) is None
    assert time.monotonic() - began >= 0.05


def test_a_second_request_is_for_an_end_at_once():
    stop = Stop()
    assert (stop.requested, stop.at_once) == (False, False)
    stop.request()
    assert (stop.requested, stop.at_once) == (True, False)
    stop.request()
    assert (stop.requested, stop.at_once) == (True, True)


def test_a_deadline_and_then_a_signal_end_at_once_and_a_deadline_alone_does_not():
    stop = Stop()
    for _ in range(2):
        stop.request_after(0.0).join()
    assert (stop.requested, stop.at_once) == (True, False)
    stop.request()
    assert stop.at_once


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("90s", 90), ("30m", 1800), ("2h", 7200), ("45:00", 2700), ("1:30:00", 5400)],
)
def test_durations(text: str, seconds: float):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "5 s", "1:2:3:4", "1e3", "nan", "1d"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(click.BadParameter, match="wanted a duration such as"):
        duration(text)


def test_a_child_whose_supervisor_has_gone_before_it_looked_ends():
    script = "from mdsuite_driver.parent import die_with_supervisor; die_with_supervisor(); print('alive')"
    alive, gone = (
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, SUPERVISOR: str(supervisor)},
            check=False,
            capture_output=True,
            text=True,
        )
        for supervisor in (os.getpid(), 1)
    )
    assert (alive.returncode, alive.stdout) == (0, "alive\n")
    assert gone.returncode == 1
    assert "the supervisor 1 has gone" in gone.stderr
