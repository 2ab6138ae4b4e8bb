"""Contenders measured in turns, so that what a machine does meanwhile meets all of them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mdsuite.processes import PYTHON
from mdsuite_analysis.mean import students_mean
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.series import Floats
from mdsuite_driver.heap import in_large_pages

CONFIDENCE = 0.95
PATIENCE = 900.0  # s, for one contender in one round


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a contender is asked to do.

    contender : its name in `contenders.CONTENDERS`
    model : source of a model
    structure : source of a structure, or "" for so many atoms of argon on a grid
    steps : that are timed
    n_runs : that go on at once, where a contender takes several
    """

    contender: str
    model: str
    structure: str
    n_atoms: int
    steps: int
    threads: int = 1
    trust: bool = False
    n_runs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of a step: seconds, and the largest memory (MiB) of one of the processes."""

    seconds: float
    memory: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A task with what a step cost in every round, or why it was not timed."""

    task: Task
    costs: tuple[Cost, ...] = ()
    reason: str = ""

    @property
    def seconds(self) -> Floats:
        """(n_rounds,) float, s."""
        return np.array([each.seconds for each in self.costs])

    @property
    def step(self) -> Measurement:
        """The geometric mean over rounds, µs, with Student's interval of its logarithm."""
        return _of_logarithms("step_time", np.log(1e6 * self.seconds), "µs", self.task)

    @property
    def memory(self) -> Measurement:
        """The same of the largest memory, MiB."""
        return _of_logarithms("peak_memory", np.log([each.memory for each in self.costs]), "MiB", self.task)

    def slower_than(self, other: Timed) -> Measurement:
        """How many times as long it takes as another, from the ratios of the rounds."""
        return _of_logarithms("step_time_ratio", np.log(self.seconds) - np.log(other.seconds), "1", self.task)


def _of_logarithms(name: str, values: Floats, unit: str, of: Task) -> Measurement:
    subject = {"contender": of.contender, "n_atoms": str(of.n_atoms), "model": of.model}
    if of.n_runs > 1:
        subject["n_runs"] = str(of.n_runs)
    mean, interval = students_mean(values, CONFIDENCE)
    value, low, high = (float(np.exp(each)) for each in (mean, *interval))
    return Measurement(name=name, value=value, unit=unit, ci=(low, high), confidence=CONFIDENCE, subject=subject)


def measured(tasks: Sequence[Task], rounds: int, told: Callable[[str], None]) -> list[Timed]:
    """Every task once in every round, each in a process of its own; one that fails is not tried again."""
    costs: Mapping[int, list[Cost]] = {place: [] for place in range(len(tasks))}
    reasons: dict[int, str] = {}
    for number in range(rounds):
        for place, task in enumerate(tasks):
            if place in reasons:
                continue
            runs = f", {task.n_runs} runs" if task.n_runs > 1 else ""
            told(f"round {number + 1} of {rounds}: {task.contender}, {task.n_atoms} atoms{runs}")
            found = _once(task)
            if isinstance(found, str):
                reasons[place] = found
            else:
                costs[place].append(found)
    return [
        Timed(task=task, costs=tuple(costs[place]), reason=reasons.get(place, "")) for place, task in enumerate(tasks)
    ]


def _once(task: Task) -> Cost | str:
    """What a step cost, or why that is not known."""
    command = [*PYTHON, "-m", "mdsuite.bench.contenders", json.dumps(asdict(task))]
    try:
        environment = in_large_pages(os.environ)  # as mdsuite's drivers have it
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, env=environment)
    except subprocess.TimeoutExpired:
        return f"it took more than {PATIENCE:g} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    return Cost(**json.loads(done.stdout.strip().splitlines()[-1]))
