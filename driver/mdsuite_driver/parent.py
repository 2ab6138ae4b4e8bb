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
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel refused to end this process with its supervisor")
    if os.getppid() != int(supervisor):  # it died before the kernel was asked
        sys.exit(f"the supervisor {supervisor} has gone")
    for number in _SENT_TO_ALL:
        signal.signal(number, signal.SIG_IGN)
