"""A campaign as an array of Slurm: its script, its submission, its state, and its end."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mdsuite.errors import InputError
from mdsuite.files import write_json, write_text
from mdsuite.processes import heard
from mdsuite.report.markdown import rendered

FOLDER = "batch"
SUBMITTED = "submitted.json"
SIGNAL = 120  # s
PATIENCE = 120.0  # s, for a command of Slurm


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a job asks the scheduler for.

    time : as Slurm writes it
    cpus : of each element of the array; jobs : trajectories at a time in each
    restarts : how often an element that ran out of time is queued again
    extra : further lines of the script, as "partition=main"
    """

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
    def signal(self) -> int:
        """Seconds before the end at which Slurm sends a signal, if the clock has not been heeded by then."""
        return min(SIGNAL, self.seconds // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Jobs that were submitted: an array, and what gathers its results."""

    array: str
    gather: str


def write_scripts(output: Path, asked: Asked, again: Sequence[str]) -> tuple[Path, Path]:
    """The scripts of the array and of the gathering job, which is the command `again`; returns their paths."""
    folder = output.resolve() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {
        "asked": asked,
        "name": output.resolve().name,
        "folder": str(folder),
        "quoted_folder": shlex.quote(str(output.resolve())),
        "python": shlex.quote(sys.executable),
        "again": shlex.join([sys.executable, "-m", "mdsuite", *again]),
        "threads": max(asked.cpus // asked.jobs, 1),
    }
    paths = folder / "array.sh", folder / "gather.sh"
    for path, template in zip(paths, ("slurm_array.sh.j2", "slurm_gather.sh.j2"), strict=True):
        write_text(path, rendered(template, vocabulary))
    return paths


def submit(output: Path, array: Path, gather: Path, asked: Asked) -> Submitted:
    """Submit both, the second to begin when the first has ended; raises InputError where Slurm refuses."""
    require_none(output)
    largest = _largest_array()
    if largest is not None and asked.shards >= largest:
        raise InputError(
            f"this Slurm takes arrays of {largest - 1} elements at most, got {asked.shards}; use fewer shards"
        )
    first = _said("sbatch", "--parsable", str(array)).split(";")[0]
    second = _said("sbatch", "--parsable", f"--dependency=afterany:{first}", str(gather)).split(";")[0]
    submitted = Submitted(array=first, gather=second)
    write_json(output / FOLDER / SUBMITTED, asdict(submitted))
    return submitted


def submitted(output: Path) -> Submitted | None:
    """What was submitted for a campaign, if anything was."""
    try:
        told = json.loads((output / FOLDER / SUBMITTED).read_text())
    except FileNotFoundError:
        return None
    return Submitted(**told)


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
    said = _said("squeue", "-h", "-r", "-j", f"{of.array},{of.gather}", "-o", "%i %T", missing="Invalid job id")
    return dict(line.split(maxsplit=1) for line in said.splitlines() if line)


def cancel(of: Submitted) -> None:
    """End both jobs; elements that are cancelled are not queued again."""
    _said("scancel", of.array, of.gather, missing="Invalid job id")


def _largest_array() -> int | None:
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
