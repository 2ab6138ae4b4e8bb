"""A share of a campaign's runs, brought to their ends by one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mdsuite.errors import InputError
from mdsuite.execution.local import Show, on_this_machine
from mdsuite.execution.packs import SizeOf, in_packs, new_packs
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import Outcome
from mdsuite.packs import FOLDER, Member, pack_of
from mdsuite.plan import Plan, runs_in
from mdsuite.runs import read_run


@dataclass(frozen=True, slots=True)
class Shard:
    """The k-th of n shares, from 0."""

    k: int
    n: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """From ``k/n``; raises InputError for what is none."""
        k, slash, n = text.partition("/")
        if not (slash and k.isdigit() and n.isdigit() and int(k) < int(n)):
            raise InputError(f"wanted a shard as k/n with k from 0 to n - 1, got {text!r}")
        return cls(int(k), int(n))

    def runs(self, campaign: Path) -> dict[str, Path]:
        """Folders of its runs, by their ids; raises InputError for a folder that holds no campaign."""
        return {run_id: folder for each in _parts(campaign)[self.k :: self.n] for run_id, folder in each.items()}


def _parts(campaign: Path) -> list[dict[str, Path]]:
    """Folders of runs, by their ids, that stay together: those of a pack, and each run that is in none.

    Ids are hashes, so that their order is one of chance and shares are alike.
    """
    parts: dict[str, dict[str, Path]] = {}
    packed = (campaign / FOLDER).is_dir()  # or every shard would look into every folder of a large campaign
    for run_id, folder in runs_in(campaign).items():
        parts.setdefault((packed and pack_of(folder)) or run_id, {})[run_id] = folder
    return list(parts.values())


def packs_for(n_shards: int, plan: Plan, output: Path, size_of: SizeOf) -> list[Sequence[Member]]:
    """Which runs of a plan are to share a pack from now on; raises InputError where a shard would have no run."""
    runs = [Member(run=run, folder=plan.folder(output, run)) for run in plan.all_runs]
    packs = new_packs(runs, size_of)
    n_parts = len({pack_of(each.folder) or each.run.id for each in runs}) - sum(len(pack) - 1 for pack in packs)
    if n_parts < n_shards:
        raise InputError(f"wanted at most as many shards as packs, which are {n_parts}, got {n_shards}")
    return packs


def carry_out(shard: Shard, campaign: Path, jobs: int, stop: Stop, show: Show) -> dict[str, Outcome]:
    """The outcome of every run of a shard; runs that are done are left as they are."""
    with stop.listening(), on_this_machine(jobs) as execute:
        runs = shard.runs(campaign)
        by_model = sorted(runs, key=lambda run_id: read_run(runs[run_id]).model_sha256)  # drivers go from run to run
        executed = in_packs(execute, campaign, lambda _alike: 1)  # others than were made at first would not be whole
        return executed({run_id: runs[run_id] for run_id in by_model}, stop, show)
