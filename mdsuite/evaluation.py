"""Which models of a campaign are evaluated compiled: those for which it pays, or all that can be.

A run keeps the way in which it was begun, for another would change its last digits.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from mdsuite.engines.recording import recorded_steps
from mdsuite.errors import InputError
from mdsuite.plan import FOREIGN, Plan
from mdsuite.runs import Run
from mdsuite_driver.models.compiled import load_compiled, package_of
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import (
    COMPILED,
    CUDA,
    WAYS,
    Configuration,
    Model,
    ModelError,
    in_way,
    of_itself,
    way_of,
)
from mdsuite_driver.threads import on_threads

ALWAYS, NEVER = "always", "never"
PAYS = 120.0  # s of evaluations that are left to every processor; compiling takes about half a minute
TIMED = 4
"""Evaluations, of which the fastest tells."""

Told = Callable[[str], None]


def with_evaluators(plan: Plan, output: Path, told: Told) -> Plan:
    """The same plan, its models compiled where its campaign wants that.

    Raises InputError where a model is to be compiled always, and cannot be.
    """
    wanted = plan.campaign.compile
    models = {run.model: None for run in plan.all_runs if run.native is None and not run.model.startswith(FOREIGN)}
    plain = [model for model in models if not way_of(model)]
    begun = {run.id: _begun_with(output, plan, run) for run in plan.all_runs}
    with on_threads(plan.campaign.threads):
        compiled = {model for model in plain if wanted != NEVER and _compile(model, plan, output, told)}

    def chosen(run: Run) -> Run:
        way = begun[run.id]
        if way is None:
            way = COMPILED if run.model in compiled else way_of(run.model)
        return dataclasses.replace(run, model=in_way(way, of_itself(run.model)))

    doubles = {in_way(way, of_itself(model)): double for model, double in plan.doubles.items() for way in WAYS}
    return dataclasses.replace(
        plan,
        runs=tuple(map(chosen, plan.runs)),
        comparisons=tuple(
            dataclasses.replace(
                each,
                reference=chosen(each.reference),
                others=tuple(map(chosen, each.others)),
                fine=tuple(map(chosen, each.fine)),
                coarse=tuple(map(chosen, each.coarse)),
            )
            for each in plan.comparisons
        ),
        doubles=doubles,
    )


def require_gpus(plan: Plan) -> None:
    """Raise InputError where models are to be evaluated on a GPU and cannot be in this process."""
    for source in dict.fromkeys(run.model for run in plan.all_runs):
        if way_of(source) == CUDA:
            try:
                load(source, trust=plan.campaign.trust)
            except ModelError as error:
                raise InputError(str(error)) from error


def _begun_with(output: Path, plan: Plan, run: Run) -> str | None:
    """The way in which what a run has recorded was evaluated; None where it has recorded nothing."""
    folder = plan.folder(output, run)
    if not (folder / "run.json").exists() or not recorded_steps(folder):
        return None
    told: Mapping[str, str] = json.loads((folder / "run.json").read_text())
    return way_of(told["model"])


def _compile(source: str, plan: Plan, output: Path, told: Told) -> bool:
    """Whether a model is there compiled, having been made where it pays."""
    trust, always = plan.campaign.trust, plan.campaign.compile == ALWAYS
    model = load(source, trust=trust)
    try:
        package = package_of(model)
    except ModelError as error:
        if always:
            raise InputError(f"{error}; leave --compile always out") from error
        return False
    left = _left(source, plan, output)
    if not (always or package.exists() or _seconds(model, left) > PAYS):
        return False
    why = _unfit(source, trust=trust) if package.exists() else unmade(source, package, told, trust=trust)
    if not why:
        return True
    if always:
        raise InputError(f"{model.card.name} cannot be compiled: {why}")
    told(f"{model.card.name} is evaluated as it is, for it could not be compiled: {why}")
    return False


def _unfit(source: str, *, trust: bool) -> str:
    """Why a model that was compiled before cannot be used; nothing where it can."""
    try:
        load_compiled(source, trust)
    except ModelError as error:
        return str(error)
    return ""


def unmade(source: str, package: Path, told: Told, *, trust: bool, batch: bool = False) -> str:
    """Why a model could not be compiled, for a `batch` or for one configuration; nothing where it was.

    In a process of its own, which it may end, for as many threads as PyTorch has here.
    """
    told(f"compiling {package.name.rpartition('-')[0]}, about half a minute, once")
    flags = [*(["--trust"] if trust else []), *(["--batch"] if batch else [])]
    command = [sys.executable, "-m", "mdsuite_driver.models.compiled", source, *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == 0:
        return ""
    package.unlink(missing_ok=True)
    return (done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"])[-1]


def _left(source: str, plan: Plan, output: Path) -> list[tuple[Run, int]]:
    """The runs of a model, each with the steps that it has still to take."""
    runs = [run for run in plan.all_runs if run.model == source]
    left = [(run, run.n_steps - recorded_steps(plan.folder(output, run))) for run in runs]
    return [(run, steps) for run, steps in left if steps > 0]


def _seconds(model: Model, left: list[tuple[Run, int]]) -> float:
    """How long every processor is busy with evaluations of the model as it is."""
    cost: dict[str, float] = {}
    for run, _ in left:
        if run.structure not in cost:
            cost[run.structure] = cost_of(run, model.evaluate) or 0.0
    processors = len(os.sched_getaffinity(0))
    at_a_time = max(1, min(len(left), processors // max((run.threads for run, _ in left), default=1)))
    return sum(steps * cost[run.structure] for run, steps in left) / at_a_time


def cost_of(run: Run, ask: Callable[[Configuration], object]) -> float | None:
    """Of one question about the start of a run, s, on as many threads as its driver will have.

    None where the model raises, whatever that is: its run will say why.
    """
    start = run.start
    question = Configuration(numbers=start.numbers, positions=start.positions, cell=start.cell, pbc=start.pbc)
    times = []
    with on_threads(run.threads):
        try:
            for _ in range(TIMED):
                begun = time.perf_counter()
                ask(question)
                times.append(time.perf_counter() - begun)
        except Exception:
            return None
    return min(times)
