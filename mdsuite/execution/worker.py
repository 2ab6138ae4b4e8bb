"""What a worker of somebody else's engine does with one run: ``mdsuite run-one`` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdsuite.execution.local import VISIBLE, visible_gpus
from mdsuite.execution.supervise import STATUS
from mdsuite_driver.parent import end_with

GPUS = "MDSUITE_GPUS"
"""Environment variable: the GPUs that the scheduler gave, set before the engine of the workers divides them anew."""

RANK = "PARSL_WORKER_RANK"
WORKER = "MDSUITE_WORKER"
"""Environment variable: the process whose death is the end of ``run-one``."""

LONGEST = 2000  # characters of what it said


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
    noted = Path(folder) / STATUS
    status = json.loads(noted.read_text()) if noted.exists() else None
    return {"code": ended.returncode, "said": ended.stdout[-LONGEST:], "status": status}


def gpu_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The GPU of this worker among those that the scheduler gave; nothing where it gave none.

    Parsl numbers GPUs from 0 in every job, whatever numbers the scheduler gave to it.
    """
    given = visible_gpus({VISIBLE: environment.get(GPUS, "")})
    return {VISIBLE: given[int(environment.get(RANK, "0")) % len(given)]} if given else {}


def stop_with_worker() -> None:
    """Ask the kernel for a SIGTERM at the worker's death, if there is one: the run stops at its next chunk."""
    worker = os.environ.pop(WORKER, None)
    if worker is not None:
        end_with("worker", int(worker), signal.SIGTERM)
