"""What a worker of somebody else's engine does with one run: ``mdsuite run-one`` in a process of its own."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GPUS = "MDSUITE_GPUS"
"""Environment variable: the GPUs that the scheduler gave, set before the engine of the workers divides them anew."""

RANK = "PARSL_WORKER_RANK"
WORKER = "MDSUITE_WORKER"
"""Environment variable: the process whose death is the end of ``run-one``."""

LONGEST = 2000  # characters of what it said
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def attempt(folder: str) -> dict[str, Any]:
    """Its exit code, what it said last, and the status of the run; called in the worker, which may be anywhere."""
    environment = {**os.environ, **gpu_of(os.environ), WORKER: str(os.getpid())}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "mdsuite", "run-one", folder],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    noted = Path(folder) / "status.json"
    status = json.loads(noted.read_text()) if noted.exists() else None
    return {"code": ended.returncode, "said": ended.stdout[-LONGEST:], "status": status}


def gpu_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The GPU of this worker among those that the scheduler gave; nothing where it gave none.

    Parsl numbers GPUs from 0 in every job, whatever numbers the scheduler gave to it.
    """
    given = [each for each in environment.get(GPUS, "").split(",") if each]
    return {"CUDA_VISIBLE_DEVICES": given[int(environment.get(RANK, "0")) % len(given)]} if given else {}


def stop_with_worker() -> None:
    """Ask the kernel for a SIGTERM at the worker's death, if there is one: the run stops at its next chunk."""
    worker = os.environ.pop(WORKER, None)
    if worker is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel refused to end this process with its worker")
    if os.getppid() != int(worker):  # it died before the kernel was asked
        sys.exit(f"the worker {worker} has gone")
