"""A campaign as an array of Slurm: its submission, its state, and its end."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mdsuite.batch.scripts import FIRST, FOLDER, Asked, Scripts
from mdsuite.errors import InputError
from mdsuite.files import write_json
from mdsuite.processes import heard

SUBMITTED = "submitted.json"
PATIENCE = 120.0  # s, for a command of Slurm


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Jobs that were submitted: an array, or several where one would be too large, and what gathers their results."""

    arrays: tuple[str, ...]
    gather: str

    @property
    def jobs(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.arrays, self.gather)


def submit(output: Path, scripts: Scripts, asked: Asked) -> Submitted:
    """Submit both, the second to begin when the first has ended; raises InputError where Slurm refuses.

    More shares than an array may have are several arrays.
    """
    require_none(output)
    largest = _largest_array() or asked.shards
    arrays: list[str] = []
    try:
        for first in range(0, asked.shards, largest):
            last = min(largest, asked.shards - first) - 1
            arrays.append(_submitted(f"--array=0-{last}", f"--export=ALL,{FIRST}={first}", str(scripts.array)))
        gather = _submitted(f"--dependency=afterany:{':'.join(arrays)}", str(scripts.gather))
    except InputError:
        if arrays:  # nobody would know of them
            cancel(arrays)
        raise
    submitted = Submitted(arrays=tuple(arrays), gather=gather)
    write_json(output / FOLDER / SUBMITTED, asdict(submitted))
    return submitted


def submitted(output: Path) -> Submitted | None:
    """What was submitted for a campaign, if anything was."""
    try:
        told = json.loads((output / FOLDER / SUBMITTED).read_text())
    except FileNotFoundError:
        return None
    return Submitted(arrays=tuple(told["arrays"]), gather=told["gather"])


def require_none(output: Path) -> None:
    """Raise InputError where jobs of the campaign are still in the queue: two of them would work on one run."""
    known = submitted(output)
    if known is not None and (states := queue(known)):
        jobs = ", ".join(f"{job} {state.lower()}" for job, state in states.items())
        raise InputError(
            f"{output} has jobs in the queue ({jobs}); wait for them, or end them by `mdsuite cancel {output}`"
        )


def queue(of: Submitted) -> Mapping[str, str]:
    """States of those jobs and elements that are in the queue, by what Slurm calls them."""
    said = _said("squeue", "-h", "-r", "-j", ",".join(of.jobs), "-o", "%i %T", missing="Invalid job id")
    return dict(line.split(maxsplit=1) for line in said.splitlines() if line)


def cancel(jobs: Sequence[str]) -> None:
    """End jobs by their numbers; elements that are cancelled are not queued again."""
    _said("scancel", *jobs, missing="Invalid job id")


def _submitted(*arguments: str) -> str:
    """The number of a new job."""
    return _said("sbatch", "--parsable", *arguments).split(";")[0]


def _largest_array() -> int | None:
    """How many elements an array may have; its numbers are less than MaxArraySize, and it begins with 0."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", _said("scontrol", "show", "config"))
    return int(found[1]) if found else None


def _said(command: str, *arguments: str, missing: str = "") -> str:
    """What a command of Slurm answers; "" where it complains of something that is `missing`."""
    path = shutil.which(command)
    if path is None:
        raise InputError(f"wanted Slurm, but there is no {command} here; submit from a machine that has it")
    ended = heard([path, *arguments], patience=PATIENCE)
    if ended is None:
        raise InputError(f"Slurm has not answered {command} within {PATIENCE:g} s")
    if ended.returncode != 0:
        if missing and missing in ended.stderr:
            return ""
        raise InputError(f"Slurm refused {shlex.join([command, *arguments])}: {ended.stderr.strip()}")
    return ended.stdout.strip()
