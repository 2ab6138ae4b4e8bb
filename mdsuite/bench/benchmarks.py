"""What is measured beside what: the coupling, a model, whole runs, and cost against the number of atoms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mdsuite.bench.interleaved import CONFIDENCE, Task, Timed, measured
from mdsuite.errors import InputError
from mdsuite.plan import bundled_structure_for
from mdsuite.structures import read_structure
from mdsuite_analysis.mean import students_mean
from mdsuite_analysis.measurement import Measurement
from mdsuite_driver.models.compiled import network_of
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import COMPILED, CUDA, NOTHING, ModelError, of_itself, way_of

COUPLING = (
    "LAMMPS with a driver, not recorded (mdsuite)",  # as the peers, which are asked for no output
    "LAMMPS with a driver (mdsuite)",
    "LAMMPS, callback in its process",
    "ASE in its process",
    "ASE SocketIOCalculator",
    "i-PI as a library with a driver (mdsuite)",
    "i-PI with mdsuite-driver",
    "i-PI with its own driver",
)
OF_NETWORKS = (
    "compiled",
    "compiled (mdsuite)",
    "packs (mdsuite)",
    "TorchScript",
    "TorchSim",
    "float32",
    "a batch",
)
"""Ends of the names of contenders that need a model's network, as the project's own models have one."""
OF_CPU = ("compiled", "compiled (mdsuite)", "TorchScript", "float32")
"""Ends of the names of those that have no GPU."""

LEAST = 2
"""Rounds, for an interval."""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What was measured in one go.

    title : what is compared
    unit : what is timed, in words
    timed : in groups of one structure, the first of each being what the others are compared with
    slopes : exponents of cost against atoms or runs, by contender
    against : which of them
    """

    title: str
    unit: str
    timed: tuple[tuple[Timed, ...], ...]
    slopes: tuple[Measurement, ...] = ()
    against: str = ""

    @property
    def one(self) -> str:
        """The unit with its article."""
        return f"{'an' if self.unit[0] in 'aeiou' else 'a'} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfModel:
    """What is measured of a model.

    title : what it is, behind the name of the model
    unit : what is timed, in words
    contenders : the first of which the others are compared with
    """

    title: str
    unit: str
    contenders: tuple[str, ...]


EVALUATION = OfModel(
    title="one evaluation",
    unit="evaluation",
    contenders=("model alone", "model alone, compiled", "model alone, TorchScript", "model alone, float32"),
)
AT_ONCE = OfModel(
    title="cost against runs",
    unit="step of all runs",
    contenders=(
        "runs at once (mdsuite)",
        "runs at once, compiled (mdsuite)",
        "runs in packs (mdsuite)",
        "runs in packs, compiled (mdsuite)",
        "TorchSim",
    ),
)
BATCHES = OfModel(
    title="evaluations of batches",
    unit="evaluation of all",
    contenders=(
        "one after the other",
        "one after the other, compiled",
        "as a batch",
        "as a batch, compiled",
    ),
)
BEADS = OfModel(
    title="a step of a ring polymer in i-PI, with mdsuite-driver",
    unit="step of all beads",
    contenders=(
        "beads one after the other",
        "beads on a driver for each processor",
        "beads over connections of a driver",
        "beads in batches",
        "beads one after the other, compiled",
        "beads on a driver for each processor, compiled",
        "beads over connections of a driver, compiled",
        "beads in batches, compiled",
    ),
)
SIZES = replace(EVALUATION, title="cost against atoms", contenders=("model alone", "model alone, compiled"))
STEP = OfModel(
    title="a step of NVE",
    unit="step",
    contenders=(
        "LAMMPS with a driver, compiled (mdsuite)",
        "LAMMPS with a driver (mdsuite)",
        "ASE in its process",
        "TorchSim",
        "model alone, compiled",
        "model alone",
    ),
)


def coupling(sizes: Sequence[int], steps: int, rounds: int, told: Told) -> Benchmark:
    """Whole steps with a model that costs nothing."""
    _require(rounds)
    groups = [
        [Task(contender=name, model=f"{NOTHING}:", structure="", n_atoms=n, steps=steps) for name in COUPLING]
        for n in sizes
    ]
    return _benchmark("The coupling: a step with a model that costs nothing", "step", groups, rounds, told)


def of_model(
    what: OfModel,
    source: str,
    structures: Sequence[str],
    steps: int,
    rounds: int,
    told: Told,
    *,
    threads: int,
    trust: bool,
    numbers: Sequence[int] = (1,),
) -> Benchmark:
    """An evaluation or a step, on each structure, of each number of runs at once."""
    _require(rounds)
    of_one = _groups(what.contenders, source, structures, steps, threads=threads, trust=trust)
    groups = [[replace(task, n_runs=n) for task in group] for group in of_one for n in numbers]
    return _benchmark(f"{source}: {what.title}", what.unit, groups, rounds, told)


def scaling(
    source: str, structures: Sequence[str], steps: int, rounds: int, told: Told, *, threads: int, trust: bool
) -> Benchmark:
    """One evaluation of several sizes, and the exponent of its cost."""
    sizes = {len(read_structure(each)) for each in structures}
    if len(sizes) < LEAST:
        raise InputError(f"wanted structures of several numbers of atoms, got {sorted(sizes)}")
    found = of_model(SIZES, source, structures, steps, rounds, told, threads=threads, trust=trust)
    return replace(found, slopes=_slopes(found, lambda task: task.n_atoms), against="atoms")


def runs_at_once(
    source: str,
    structures: Sequence[str],
    steps: int,
    rounds: int,
    told: Told,
    *,
    threads: int,
    trust: bool,
    numbers: Sequence[int],
) -> Benchmark:
    """A step of several runs on this machine, and the exponent of its cost against their number."""
    wanted = sorted(set(numbers))
    if len(wanted) < LEAST:
        raise InputError(f"wanted several numbers of runs, got {wanted}")
    if len(structures) > 1:
        raise InputError(f"wanted one structure for several numbers of runs, got {len(structures)}")
    found = of_model(AT_ONCE, source, structures, steps, rounds, told, threads=threads, trust=trust, numbers=wanted)
    return replace(found, slopes=_slopes(found, lambda task: task.n_runs), against="runs")


def _slopes(found: Benchmark, size: Callable[[Task], int]) -> tuple[Measurement, ...]:
    by_contender = zip(*found.timed, strict=True)
    return tuple(_slope(of, size) for of in by_contender if not any(each.reason for each in of))


def _slope(of: Sequence[Timed], size: Callable[[Task], int]) -> Measurement:
    """Of log cost against log size: the mean over rounds, with Student's interval."""
    sizes = np.log([size(each.task) for each in of])
    slopes = np.array(
        [np.polyfit(sizes, np.log(seconds), 1)[0] for seconds in zip(*[t.seconds for t in of], strict=True)]
    )
    mean, interval = students_mean(slopes, CONFIDENCE)
    return Measurement(
        name="cost_exponent",
        value=mean,
        unit="1",
        ci=interval,
        confidence=CONFIDENCE,
        subject={"contender": of[0].task.contender, "model": of[0].task.model},
    )


def _require(rounds: int) -> None:
    if rounds < LEAST:
        raise InputError(f"wanted at least {LEAST} rounds, for an interval, got {rounds}")


def _groups(
    names: Sequence[str], source: str, structures: Sequence[str], steps: int, *, threads: int, trust: bool
) -> list[list[Task]]:
    if way_of(source) == COMPILED:
        raise InputError(f"{source} is compared with itself compiled anyway; leave {COMPILED}: out")
    given = structures or (bundled_structure_for(source, trust=trust),)
    without_network = () if _is_network(source, trust=trust) else OF_NETWORKS
    left_out = (*without_network, *(OF_CPU if way_of(source) == CUDA else ()))
    able = [name for name in names if not name.endswith(left_out)]
    return [
        [
            Task(
                contender=name,
                model=source,
                structure=structure,
                n_atoms=len(read_structure(structure)),
                steps=steps,
                threads=threads,
                trust=trust,
            )
            for name in able
        ]
        for structure in given
    ]


def _is_network(source: str, *, trust: bool) -> bool:
    try:
        network_of(load(of_itself(source), trust=trust))
    except ModelError:
        return False
    return True


def _benchmark(title: str, unit: str, groups: Sequence[Sequence[Task]], rounds: int, told: Told) -> Benchmark:
    timed = tuple(tuple(measured(group, rounds, told)) for group in groups)
    return Benchmark(title=title, unit=unit, timed=timed)
