"""Scripts of a campaign for a scheduler: an array of shares, and what reports on them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mdsuite.errors import InputError
from mdsuite.files import write_text
from mdsuite.report.markdown import rendered

FOLDER = "batch"
SIGNAL = 120  # s
FIRST = "MDSUITE_FIRST"
"""Environment variable: the share of an array's element 0, where a campaign is more than one array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a job asks the scheduler for.

    scheduler : "slurm" or "pbs"
    time : as Slurm writes it
    cpus : of each element of the array; jobs : trajectories at a time in each
    restarts : how often an element that ran out of time is queued again
    extra : further lines of the script, as "partition=main"
    """

    scheduler: str = "slurm"
    shards: int
    time: str
    cpus: int
    jobs: int
    gpus: int = 0
    restarts: int = 100
    extra: tuple[str, ...] = ()

    @property
    def seconds(self) -> int:
        """Of each element; raises InputError for a time that Slurm does not read."""
        match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", self.time)
        if match is None:
            raise InputError(
                f"wanted a time as Slurm writes it, such as 90, 30:00, 2:00:00 or 1-12:00:00, got {self.time!r}"
            )
        days, *given = (None if each is None else int(each) for each in match.groups())
        told = [each for each in given if each is not None]
        if days is not None or len(told) == 3:  # from hours on
            hours, minutes, seconds = (*told, 0, 0)[:3]
        else:  # from minutes on
            hours, (minutes, seconds) = 0, (*told, 0)[:2]
        return ((24 * (days or 0) + hours) * 60 + minutes) * 60 + seconds

    @property
    def clock(self) -> str:
        """The same as hours, minutes and seconds."""
        hours, rest = divmod(self.seconds, 3600)
        return f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"

    @property
    def signal(self) -> int:
        """Seconds before the end at which Slurm sends a signal, if the clock has not been heeded by then."""
        return min(SIGNAL, self.seconds // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripts:
    """Their paths."""

    array: Path
    gather: Path


def write_scripts(output: Path, asked: Asked, again: Sequence[str]) -> Scripts:
    """Write both; the gathering job is the command `again`, with as many GPUs where that may evaluate models."""
    folder = output.resolve() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    scripts = Scripts(array=folder / "array.sh", gather=folder / "gather.sh")
    vocabulary = {
        "asked": asked,
        "name": output.resolve().name,
        "short_name": re.sub(r"\W", "-", output.resolve().name)[:13],
        "first": FIRST,
        "script": shlex.quote(str(scripts.array)),
        "gather_script": shlex.quote(str(scripts.gather)),
        "folder": str(folder),
        "quoted_folder": shlex.quote(str(output.resolve())),
        "python": shlex.quote(sys.executable),
        "gpus_again": asked.gpus if again[0] == "run" else 0,
        "again": shlex.join([sys.executable, "-m", "mdsuite", *again]),
        "threads": max(asked.cpus // asked.jobs, 1),
    }
    write_text(scripts.array, rendered(f"{asked.scheduler}_array.sh.j2", vocabulary))
    write_text(scripts.gather, rendered(f"{asked.scheduler}_gather.sh.j2", vocabulary))
    return scripts
