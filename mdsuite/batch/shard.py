"""A share of a campaign's runs, brought to their ends by one job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mdsuite.errors import InputError
from mdsuite.execution.local import Show, run_all
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import Outcome
from mdsuite.plan import runs_in
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
        """Folders of its runs, by their ids; raises InputError for a folder that holds no campaign.

        Ids are hashes, so that their order is one of chance and shares are alike.
        """
        return dict(list(runs_in(campaign).items())[self.k :: self.n])


def carry_out(shard: Shard, campaign: Path, jobs: int, stop: Stop, show: Show) -> dict[str, Outcome]:
    """The outcome of every run of a shard; runs that are done are left as they are."""
    with stop.listening():
        runs = shard.runs(campaign)
        by_model = sorted(runs, key=lambda run_id: read_run(runs[run_id]).model_sha256)  # drivers go from run to run
        return run_all({run_id: runs[run_id] for run_id in by_model}, jobs, stop, show)
