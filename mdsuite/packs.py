"""Packs: runs of one kind that are integrated side by side, as one system whose members do not see each other.

A pack is a run of all their atoms in a folder of its own, which names its members; what is recorded of a member is in
the member's folder, as if it had been integrated alone. Which runs share a pack decides the last digits of their
answers, so that a run keeps the pack in which it was begun.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.errors import InputError
from mdsuite.files import write_json
from mdsuite.runs import Run, facts_of, read_run, write_run

AUTO, NEVER = "auto", "never"
"""What a campaign says that leaves the number of members to time, or wants no packs."""

FOLDER = "packs"
NAME = "pack.json"
FAILURES = "failures.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A run of a pack, and its folder."""

    run: Run
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """Why a member was taken out of a pack: its step, and what an engine's `Failure` says."""

    step: int
    cause: str
    reason: str
    traceback: str = ""


def require_number(pack: str | int) -> None:
    """Raise InputError where how many runs share a pack is left to time."""
    if pack == AUTO:
        raise InputError(
            "how many runs share a pack is timed where they are integrated, and this machine is not the one; say how "
            "many, as --pack 64"
        )


def packable(run: Run) -> bool:
    """Whether an engine can integrate a run beside others of its kind."""
    return run.engine == "lammps" and run.native is None and not run.thermostat and not run.coupling.accept_foreign


def alike(run: Run) -> tuple[object, ...]:
    """What the members of a pack have in common."""
    facts = {key: value for key, value in facts_of(run).items() if key not in ("velocity_seed", "replica")}
    start = run.start
    arrays = tuple(each.tobytes() for each in (start.numbers, start.masses, start.cell))
    return (json.dumps(facts, sort_keys=True), start.pbc, *arrays)


def together(runs: Sequence[Run]) -> Run:
    """The run of all atoms of its members."""
    first = runs[0]
    start = replace(
        first.start,
        numbers=np.concatenate([run.start.numbers for run in runs]),
        masses=np.concatenate([run.start.masses for run in runs]),
        positions=np.concatenate([run.start.positions for run in runs]),
        velocities=np.concatenate([run.start.velocities for run in runs]),
    )
    return replace(first, start=start, velocity_seed=None, replica=0)


def write_pack(members: Sequence[Member], beside: Path) -> Path:
    """The folder of a pack in that of a campaign; each member says from now on which pack it belongs to."""
    run = together([member.run for member in members])
    folder = beside / FOLDER / run.id
    write_run(run, folder)
    write_json(folder / NAME, {"members": [member.run.id for member in members]})
    for member in members:
        write_json(member.folder / NAME, {"pack": run.id, "n_members": len(members)})
    return folder


def members_of(folder: Path) -> list[Member]:
    """The members of the pack in a folder; none where it is not one."""
    folders = [folder.resolve().parent.parent / "runs" / each for each in _told(folder / NAME).get("members", ())]
    return [Member(run=read_run(each), folder=each) for each in folders]


def pack_of(folder: Path) -> str | None:
    """The id of the pack in which the run in a folder was begun; None where it is alone."""
    return _told(folder / NAME).get("pack")


def pack_size(folder: Path) -> int:
    """How many runs are integrated beside the run in a folder, with it; 1 where it is alone."""
    return int(_told(folder / NAME).get("n_members", 1))


def read_fallen(folder: Path) -> dict[str, Fallen]:
    """The members that were taken out of the pack in a folder, by their ids."""
    return {run_id: Fallen(**each) for run_id, each in _told(folder / FAILURES).items()}


def _told(file: Path) -> Mapping[str, Any]:
    """What a file says; nothing where there is none."""
    try:
        told: Mapping[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    return told
