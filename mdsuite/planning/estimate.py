"""What is left of a campaign, and what that will take."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.engines.recording import recorded_steps
from mdsuite.plan import PREPARATION, Plan
from mdsuite.planning.pilot import Pilot, kind_of
from mdsuite.runs import Run

OF_STEP: tuple[Callable[[Pilot], float], ...] = (
    lambda pilot: pilot.spread[0],
    lambda pilot: pilot.step,
    lambda pilot: pilot.spread[1],
)
"""Seconds of a step: the fastest that was seen, the median, the slowest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The runs of one model in one engine.

    atoms : fewest and most
    steps : of all, and of those that are done
    seconds : of what is left, one run after the other, with the fastest and the slowest that the pilots saw; None where
        none was timed
    size : bytes of the recordings of all when they are done; None likewise
    why : why nothing was timed
    """

    model: str
    engine: str
    n_runs: int
    n_done: int
    atoms: tuple[int, int]
    steps: tuple[int, int]
    seconds: tuple[float, float, float] | None
    size: float | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Of a campaign.

    axes : how many there are of everything that makes the grid
    preparing : steps before the runs, in words, or ""
    on_disk : bytes that are there already
    """

    axes: Mapping[str, int]
    shares: tuple[Share, ...]
    preparing: str
    on_disk: int
    threads: int

    @property
    def seconds(self) -> tuple[float, float, float] | None:
        """Of everything that was timed; None where nothing was."""
        known = [each.seconds for each in self.shares if each.seconds is not None]
        if not known:
            return None
        low, middle, high = (sum(of) for of in zip(*known, strict=True))
        return low, middle, high

    @property
    def untimed(self) -> list[Share]:
        """What the sum leaves out."""
        return [each for each in self.shares if each.seconds is None]


def estimate(plan: Plan, output: Path, timed: Sequence[Pilot]) -> Estimate:
    """Of the runs of a plan, as far as they are recorded in a folder; controls of engines are among them."""
    groups: dict[str, list[Run]] = {}
    for run in plan.all_runs:
        groups.setdefault(kind_of(run), []).append(run)
    campaign = plan.campaign
    dynamics = campaign.dynamics
    return Estimate(
        axes={
            "engines": len(campaign.engine),
            "models": len(campaign.models),
            "structures": len(campaign.structures),
            "temperatures": len(dynamics.temperature_K),
            "timesteps": len(dynamics.timestep_fs),
            "replicas": dynamics.replicas,
        },
        shares=tuple(_share(runs, plan, output, timed) for runs in groups.values()),
        preparing=_preparing(plan, output),
        on_disk=sum(file.stat().st_size for file in output.rglob("*") if file.is_file()) if output.exists() else 0,
        threads=campaign.threads,
    )


def _share(runs: Sequence[Run], plan: Plan, output: Path, timed: Sequence[Pilot]) -> Share:
    first = runs[0]
    done = [recorded_steps(plan.folder(output, run)) for run in runs]
    known = [each for each in timed if each.kind == kind_of(first)]
    usable = sorted((each for each in known if not each.reason), key=lambda each: each.n_atoms)
    left = [(run, max(run.n_steps - steps, 0)) for run, steps in zip(runs, done, strict=True)]
    sizes = [run.start.n_atoms for run in runs]
    return Share(
        model=first.model_name,
        engine=first.engine,
        n_runs=len(runs),
        n_done=sum(steps >= run.n_steps for run, steps in zip(runs, done, strict=True)),
        atoms=(min(sizes), max(sizes)),
        steps=(sum(run.n_steps for run in runs), sum(min(s, run.n_steps) for run, s in zip(runs, done, strict=True))),
        seconds=_seconds(left, usable) if usable else None,
        size=sum(run.n_steps * _at(run.start.n_atoms, usable, lambda pilot: pilot.of_step) for run in runs)
        if usable
        else None,
        why="; ".join(dict.fromkeys(each.reason for each in known if each.reason)) or ("" if usable else "stopped"),
    )


def _seconds(left: Iterable[tuple[Run, int]], timed: Sequence[Pilot]) -> tuple[float, float, float]:
    totals = np.zeros(3)
    for run, steps in left:
        if steps:
            n = run.start.n_atoms
            totals += _at(n, timed, lambda pilot: pilot.start)
            totals += steps * np.array([_at(n, timed, of) for of in OF_STEP])
    low, middle, high = (float(each) for each in totals)
    return low, middle, high


def _at(n_atoms: int, timed: Sequence[Pilot], of: Callable[[Pilot], float]) -> float:
    """Something of the pilots, by number of atoms; between their sizes by a power law."""
    sizes = [math.log(each.n_atoms) for each in timed]
    floor = 1e-9  # of seconds and bytes, so that there is a logarithm
    return float(np.exp(np.interp(math.log(n_atoms), sizes, [math.log(max(of(each), floor)) for each in timed])))


def _preparing(plan: Plan, output: Path) -> str:
    asked = plan.campaign.preparation
    words = ["relaxation of every structure"] if asked.relax else []
    if asked.equilibrate_ps:
        words.append(f"{asked.equilibrate_ps:g} ps of equilibration before each of {len(plan.runs)} runs")
    there = (output / PREPARATION).exists()
    return f"{' and '.join(words)}{', begun' if there else ''}" if words else ""
