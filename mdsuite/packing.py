"""How many runs of a campaign share a pack: as many as were asked for, or as is fastest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, inf

import torch

from mdsuite.evaluation import Told, cost_of, unmade
from mdsuite.packs import AUTO, NEVER, Member
from mdsuite.runs import Run
from mdsuite_driver.models.batch import Evaluator, batch_of
from mdsuite_driver.models.compiled import package_of
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import COMPILED, CUDA, ModelError, of_itself, way_of
from mdsuite_driver.threads import on_threads

COUPLING, OF_MEMBER = 2e-4, 1e-4  # s, of a step beside the model, and for each member
PAYS = 0.8
"""Of the time that the runs would take alone; beside others, which are not there when it is timed, packs gain less."""


@dataclass(frozen=True, slots=True)
class Packer:
    """Decides for the runs of one command, of which `jobs` are integrated at a time."""

    wanted: str | int
    jobs: int
    told: Told
    _batches: dict[str, Evaluator | None] = field(default_factory=dict)

    def __call__(self, alike: Sequence[Member]) -> int:
        """How many of these runs are to share a pack; 1 where the model takes one configuration at a time."""
        if self.wanted == NEVER:
            return 1
        batch = self._batch(alike[0].run)
        if batch is None:
            return 1
        return _fastest(batch, alike[0].run, len(alike), self.jobs) if self.wanted == AUTO else int(self.wanted)

    def _batch(self, run: Run) -> Evaluator | None:
        if run.model not in self._batches:
            try:
                with on_threads(run.threads):
                    self._batches[run.model] = self._made(run)
            except ModelError as error:
                self.told(f"{run.model_name} is not packed: {error}")
                self._batches[run.model] = None
        return self._batches[run.model]

    def _made(self, run: Run) -> Evaluator:
        if way_of(run.model) == COMPILED:
            source = of_itself(run.model)
            package = package_of(load(source, trust=run.trust), batch=True)
            why = "" if package.exists() else unmade(source, package, self.told, trust=run.trust, batch=True)
            if why:
                raise ModelError(why)
        here = way_of(run.model) != CUDA or self.wanted == AUTO  # who times it needs the GPU, who is told does not
        return batch_of(load(run.model if here else of_itself(run.model), trust=run.trust))


def _fastest(batch: Evaluator, run: Run, n_runs: int, jobs: int) -> int:
    """The size with which all runs end first, by the time of a step; 1 where others gain little.

    A GPU takes one process at a time, however many ask it; what is around the model is done by all jobs at a time.
    """
    places = min(jobs, max(1, n_gpus())) if way_of(run.model) == CUDA else jobs
    most = ceil(n_runs / places)
    sizes = sorted({1, most, *(2**k for k in range(1, most.bit_length()))})
    seconds = {}
    for size in sizes:
        n_packs = ceil(n_runs / size)
        around = ceil(n_packs / jobs) * (COUPLING + size * OF_MEMBER)
        seconds[size] = ceil(n_packs / places) * _cost(batch, run, size) + around
    best = min(seconds, key=lambda size: seconds[size])
    return best if seconds[best] < PAYS * seconds[1] else 1


def n_gpus() -> int:
    """That PyTorch can use here."""
    return torch.cuda.device_count()


def _cost(batch: Evaluator, run: Run, size: int) -> float:
    """Of one evaluation of so many, s; infinite where that cannot be."""
    seconds = cost_of(run, lambda question: batch.evaluate([question] * size))
    return inf if seconds is None else seconds
