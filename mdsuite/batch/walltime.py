"""When the scheduler will end this job."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from mdsuite.processes import heard

DEADLINE = "MDSUITE_DEADLINE"
"""Environment variable: seconds since the epoch, for schedulers that do not say it themselves."""

PATIENCE = 30.0  # s, for the scheduler to answer


def seconds_left(
    environment: Mapping[str, str] = os.environ, now: Callable[[], float] = time.time
) -> tuple[float | None, str]:
    """Until this job ends, and who says so; None outside of a job, and where nobody says it, with the reason.

    Slurm before 23.02 does not tell in the environment, and is asked. The number of an array's element alone is that of
    the whole array in places, so it is asked for by both of its numbers.
    """
    for name in (DEADLINE, "SLURM_JOB_END_TIME"):
        if told := environment.get(name):
            try:
                return float(told) - now(), name
            except ValueError:
                return None, f"{name} is {told!r}, not seconds since the epoch"
    if "SLURM_JOB_ID" not in environment:
        return None, f"PBS does not say it; set {DEADLINE}" if "PBS_JOBID" in environment else ""
    return _asked(job_of(environment), now)


def job_of(environment: Mapping[str, str]) -> str:
    """What Slurm calls this job, or this element of an array."""
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def _asked(job: str, now: Callable[[], float]) -> tuple[float | None, str]:
    squeue = shutil.which("squeue")
    if squeue is None:
        return None, "squeue is not there to be asked"
    ended = heard([squeue, "-h", "-j", job, "-o", "%e"], patience=PATIENCE)
    if ended is None:
        return None, f"squeue has not answered within {PATIENCE:g} s"
    said = (ended.stdout.strip() or ended.stderr.strip()).splitlines()
    try:
        return datetime.fromisoformat(said[0]).timestamp() - now(), f"squeue, of job {job}"
    except (IndexError, ValueError):
        return None, f"squeue said of job {job}: {' / '.join(said) or 'nothing'}"
