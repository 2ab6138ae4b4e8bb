"""Runs in packs: several of one kind as one run, whose outcome is told of each of its members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from mdsuite.engines.recording import recorded_steps
from mdsuite.execution.local import Advance, Execute, Show
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import UNSTABLE, Outcome, Status, note
from mdsuite.packs import FOLDER, Fallen, Member, alike, members_of, pack_of, packable, read_fallen, write_pack
from mdsuite.runs import read_run

SizeOf = Callable[[Sequence[Member]], int]
"""How many of these runs, which are alike and have not begun, are to share a pack."""


def in_packs(execute: Execute, output: Path, size_of: SizeOf) -> Execute:
    """As `execute`, with the runs of the campaign in `output` in packs where that is wanted, or was begun."""

    def executed(folders: Mapping[str, Path], stop: Stop, show: Show) -> dict[str, Outcome]:
        packs = _arranged(folders, output, size_of)
        members = {pack.name: members_of(pack) for pack in packs}
        packed = {member.run.id for each in members.values() for member in each}
        alone = {run_id: folder for run_id, folder in folders.items() if run_id not in packed}
        outcomes = execute(
            {**alone, **{pack.name: pack for pack in packs}},
            stop,
            lambda run_id, how: _show(show, members, run_id, how),
        )
        ended = {run_id: outcomes[run_id] for run_id in alone}
        for pack in packs:
            for run_id, outcome in note_members(pack, outcomes[pack.name]).items():
                ended[run_id] = outcome
                show(run_id, Advance(step=outcome.steps, outcome=outcome))
        return ended

    return executed


def note_members(folder: Path, ended: Outcome) -> dict[str, Outcome]:
    """The outcome of each member of the pack in a folder, by its id, noted in its own; none where it is not a pack."""
    fallen = read_fallen(folder)
    outcomes = {}
    for member in members_of(folder):
        outcomes[member.run.id] = _outcome(member, ended, fallen.get(member.run.id))
        note(outcomes[member.run.id], member.folder)
    return outcomes


def new_packs(runs: Iterable[Member], size_of: SizeOf) -> list[Sequence[Member]]:
    """Which of these runs are to share a pack, of those that are in none and have not begun."""
    groups: dict[object, list[Member]] = {}
    for each in runs:
        if pack_of(each.folder) is None and packable(each.run) and not recorded_steps(each.folder):
            groups.setdefault(alike(each.run), []).append(each)
    packs: list[Sequence[Member]] = []
    for group in groups.values():
        size = min(size_of(group), len(group)) if len(group) > 1 else 1
        if size > 1:
            packs += [share for share in _shares(group, size) if len(share) > 1]
    return packs


def _arranged(folders: Mapping[str, Path], output: Path, size_of: SizeOf) -> list[Path]:
    """Folders of packs: those that runs are in already, with the lengths that the runs have now, and new ones."""
    begun = {pack: None for folder in folders.values() if (pack := pack_of(folder)) is not None}
    packs = [members_of(output / FOLDER / pack) for pack in begun]
    runs = (Member(run=read_run(folder), folder=folder) for folder in folders.values())
    return [write_pack(pack, output) for pack in (*packs, *new_packs(runs, size_of))]


def _shares(group: Sequence[Member], size: int) -> list[Sequence[Member]]:
    """As few as may be of at most `size`, as equal as may be."""
    n_shares = -(-len(group) // size)
    ends = [round(k * len(group) / n_shares) for k in range(n_shares + 1)]
    return [group[first:last] for first, last in pairwise(ends)]


def _show(show: Show, members: Mapping[str, Sequence[Member]], run_id: str, how: Advance) -> None:
    """Progress of a pack is that of its members; their ends are told when they are known."""
    if run_id not in members:
        show(run_id, how)
    elif how.outcome is None:
        for member in members[run_id]:
            show(member.run.id, how)


def _outcome(member: Member, of_pack: Outcome, fallen: Fallen | None) -> Outcome:
    steps = recorded_steps(member.folder)
    if fallen is None:
        return replace(of_pack, steps=steps)
    status = Status.UNSTABLE if fallen.cause in UNSTABLE else Status.FAILED
    return replace(of_pack, status=status, steps=steps, reason=fallen.reason, traceback=fallen.traceback)
