"""Ends this process when the supervisor that started it ends, in whatever way, and for nothing that is sent to all."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

SUPERVISOR = "MDSUITE_SUPERVISOR"  # environment variable: the process that must be the parent
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SENT_TO_ALL = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)  # by schedulers, before a job ends


def die_with_supervisor() -> None:
    """Ask the kernel for SIGKILL at the supervisor's death; does nothing for a process that nobody supervises.

    What a scheduler sends to every process of a job is left to the supervisor, who ends the others at a chunk.
    """
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is None:
        return
    end_with("supervisor", int(supervisor), signal.SIGKILL)
    for number in _SENT_TO_ALL:
        signal.signal(number, signal.SIG_IGN)


def end_with(what: str, parent: int, number: signal.Signals) -> None:
    """Ask the kernel for a signal at the death of the process that must be the parent; end now where it is not.

    what : the parent is to this process
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"the kernel refused to end this process with its {what}")
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(f"the {what} {parent} has gone")
