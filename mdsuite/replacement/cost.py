"""What two models cost, measured in turn: evaluations in this process, and processes that load and evaluate."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdsuite.errors import InputError
from mdsuite.linear.data import Labelled
from mdsuite.linear.design import asked
from mdsuite.processes import PYTHON, heard
from mdsuite.replacement.sides import Side
from mdsuite.runs import FloatArray
from mdsuite_analysis.mean import students_mean
from mdsuite_driver.models.load import resolve
from mdsuite_driver.models.protocol import Configuration

N_TURNS = 21
N_PROCESSES = 5
N_DRAWS = 2000
PATIENCE = 600.0  # s, for a process


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something that both use; medians, and the ratio of candidate by baseline with a 95 % interval.

    ratio, ci : None where one of them uses nothing of it
    """

    name: str
    unit: str
    baseline: float
    candidate: float
    ratio: float | None
    ci: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Evaluations of one structure by one thread.

    resources : time of an evaluation for each atom first
    processes : of each model, that the others were measured in; 0 where they were not
    sizes : bytes of the files, or None where a model is no file
    """

    n_atoms: int
    resources: tuple[Resource, ...]
    processes: int
    sizes: tuple[int, int] | None


OF_PROCESSES = (
    ("process, from its start to its end", "s", "wall"),
    ("loading the model", "s", "load"),
    ("largest resident memory", "MB", "memory"),
    ("page faults without file input", "1", "minor_faults"),
    ("page faults with file input", "1", "major_faults"),
    ("read from files", "MB", "read"),
)
"""What a process of `_CHILD` tells of itself: in words, unit, key."""

_CHILD = """
import json, resource, sys, time
given = json.load(sys.stdin)
import numpy as np
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration
start = time.perf_counter()
model = load(given["source"], trust=given["trust"])
loaded = time.perf_counter() - start
asked = Configuration(numbers=np.array(given["numbers"]), positions=np.array(given["positions"]),
                      cell=np.array(given["cell"]), pbc=tuple(given["pbc"]))
for _ in range(given["n"]):
    model.evaluate(asked)
used = resource.getrusage(resource.RUSAGE_SELF)
io = dict(line.split(": ") for line in open("/proc/self/io").read().splitlines())
print(json.dumps({"load": loaded, "memory": used.ru_maxrss / 1024, "minor_faults": used.ru_minflt,
                  "major_faults": used.ru_majflt, "read": int(io["rchar"]) / 2**20}))
"""
"""Loads a model, evaluates, and says what that took."""

N_EVALUATIONS = 10


def cost(baseline: Side, candidate: Side, on: Labelled, *, processes: int, trust: bool) -> Cost:
    """Interleaved, so that what else the machine does falls on both.

    Raises InputError for a model that cannot be loaded by a process of its own.
    """
    there = asked(on)
    times = np.array([[_timed(side, there) for side in (baseline, candidate)] for _ in range(N_TURNS + 1)])
    by_atom = _evaluation(1e6 / on.n_atoms * times[1:])  # the first turn warms up
    used = [[_process(side, there, trust=trust) for side in (baseline, candidate)] for _ in range(processes)]
    return Cost(
        n_atoms=on.n_atoms,
        resources=(by_atom, *(_resource(name, unit, _column(used, key)) for name, unit, key in OF_PROCESSES if used)),
        processes=processes,
        sizes=_sizes(baseline, candidate),
    )


def _timed(side: Side, there: Configuration) -> float:
    start = time.perf_counter()
    side.model.evaluate(there)
    return time.perf_counter() - start


def _evaluation(times: FloatArray) -> Resource:
    """From times (n_turns, 2); the interval is that of a bootstrap over turns, whose times are no normal numbers."""
    chosen = np.random.default_rng(0).integers(len(times), size=(N_DRAWS, len(times)))
    ratios = times[:, 1] / times[:, 0]
    low, high = np.percentile(np.median(ratios[chosen], axis=1), [2.5, 97.5])
    first, second = np.median(times, axis=0)
    return Resource(
        name="evaluation, for each atom",
        unit="µs",
        baseline=float(first),
        candidate=float(second),
        ratio=float(np.median(ratios)),
        ci=(float(low), float(high)),
    )


def _process(side: Side, there: Configuration, *, trust: bool) -> dict[str, float]:
    given = {
        "source": side.source,
        "trust": trust,
        "numbers": there.numbers.tolist(),
        "positions": there.positions.tolist(),
        "cell": there.cell.tolist(),
        "pbc": [bool(each) for each in there.pbc],
        "n": N_EVALUATIONS,
    }
    start = time.perf_counter()
    ended = heard([*PYTHON, "-c", _CHILD], patience=PATIENCE, given=json.dumps(given))
    wall = time.perf_counter() - start
    if ended is None:
        raise InputError(f"{side.name} has not evaluated {N_EVALUATIONS} times within {PATIENCE:g} s")
    if ended.returncode != 0:
        said = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        raise InputError(f"a process that loads {side.name} ended with: {said}")
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return {"wall": wall, **{key: float(value) for key, value in told.items()}}


def _column(used: Sequence[Sequence[dict[str, float]]], key: str) -> FloatArray:
    return np.array([[each[key] for each in turn] for turn in used])


def _resource(name: str, unit: str, of: FloatArray) -> Resource:
    """From values (n_processes, 2); the interval is Student's, of the logarithm of the ratio of each turn."""
    first, second = (float(each) for each in np.median(of, axis=0))
    ratio, ci = None, None
    if (of > 0.0).all():
        logs = np.log(of[:, 1] / of[:, 0])
        ratio = math.exp(float(np.mean(logs)))
        if len(logs) > 1:
            _, (low, high) = students_mean(logs)
            ci = (math.exp(low), math.exp(high))
    return Resource(name=name, unit=unit, baseline=first, candidate=second, ratio=ratio, ci=ci)


def _sizes(baseline: Side, candidate: Side) -> tuple[int, int] | None:
    if any(":" in each.source for each in (baseline, candidate)):
        return None
    return resolve(baseline.source).stat().st_size, resolve(candidate.source).stat().st_size
