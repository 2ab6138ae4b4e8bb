"""Commands that measure speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mdsuite.cli.ending import NOT_RUN, finish
from mdsuite.cli.options import FIRST_BUNDLED, MODEL, Option, output, structures, threads, told_by, trust
from mdsuite.errors import InputError
from mdsuite.waits import waiting


@click.group()
def bench() -> None:
    """Measure speed beside peers: in one run, interleaved, as ratios with intervals.

    \b
    mdsuite bench coupling
    mdsuite bench md student.pt --structure start.extxyz
    """  # noqa: D301  \b is click's


ROUNDS = click.option("--rounds", type=click.IntRange(2), default=5, help="Of which intervals are made.")
OUTPUT = output("mdsuite-bench", "Folder.")


def steps(default: int) -> Option:
    """How many are timed."""
    return click.option("--steps", type=click.IntRange(20), default=default, help="Asked for in every round.")


of_bench = told_by(MODEL, structures(FIRST_BUNDLED), steps(2000), ROUNDS, threads(), trust(), OUTPUT)
"""A benchmark of a model."""


@bench.command("coupling")
@click.option("--atoms", type=click.IntRange(2), multiple=True, default=(30, 300, 3000), help="Of argon.")
@steps(8000)
@ROUNDS
@OUTPUT
def bench_coupling(atoms: tuple[int, ...], steps: int, rounds: int, output: Path) -> None:
    """Measure a step with a model that costs nothing: LAMMPS with a driver, LAMMPS alone, ASE, i-PI.

    \b
    mdsuite bench coupling --atoms 30

    Exit codes: 0 measured, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's
    finish(lambda: _bench(output, lambda of, told: of.coupling(atoms, steps, rounds, told)))


@bench.command("model")
@of_bench
@click.option("--batch", "numbers", type=click.IntRange(1), multiple=True, help="Of so many configurations, each.")
def bench_model(model: str, structures: tuple[str, ...], output: Path, numbers: tuple[int, ...], **flags: Any) -> None:
    """Measure an evaluation of MODEL, as it is and compiled, or of several configurations at once.

    \b
    mdsuite bench model painn-tiny --structure ethanol --structure aspirin
    mdsuite bench model painn-tiny --structure ethanol --batch 1 --batch 8

    Exit codes: 0 measured, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's

    def measure(of: Any, told: Callable[[str], None]) -> Any:
        what = of.BATCHES if numbers else of.EVALUATION
        return of.of_model(what, model, structures, told=told, numbers=numbers or (1,), **flags)

    finish(lambda: _bench(output, measure))


@bench.command("md")
@of_bench
@click.option("--beads", "numbers", type=click.IntRange(1), multiple=True, help="Ring polymers of so many, in i-PI.")
def bench_md(model: str, structures: tuple[str, ...], output: Path, numbers: tuple[int, ...], **flags: Any) -> None:
    """Measure a step of whole NVE runs of MODEL, beside ASE with the same model and beside the model alone.

    \b
    mdsuite bench md painn-original --structure ethanol
    mdsuite bench md painn-tiny --structure ethanol --beads 8

    Exit codes: 0 measured, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's

    def measure(of: Any, told: Callable[[str], None]) -> Any:
        what = of.BEADS if numbers else of.STEP
        return of.of_model(what, model, structures, told=told, numbers=numbers or (1,), **flags)

    finish(lambda: _bench(output, measure))


@bench.command("scaling")
@of_bench
@click.option(
    "--runs", "numbers", type=click.IntRange(1), multiple=True, help="At once, each number; of one structure."
)
def bench_scaling(
    model: str, structures: tuple[str, ...], output: Path, numbers: tuple[int, ...], **flags: Any
) -> None:
    """Measure how the cost of MODEL grows with the number of atoms of several structures, or with that of runs.

    \b
    mdsuite bench scaling si-ace --structure si64.extxyz --structure si512.extxyz --structure si4096.extxyz
    mdsuite bench scaling painn-tiny --structure ethanol --runs 1 --runs 2 --runs 4

    Exit codes: 0 measured, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's

    def measure(of: Any, told: Callable[[str], None]) -> Any:
        if numbers:
            return of.runs_at_once(model, structures, told=told, numbers=numbers, **flags)
        return of.scaling(model, structures, told=told, **flags)

    finish(lambda: _bench(output, measure))


def _bench(output: Path, measure: Callable[[Any, Callable[[str], None]], Any]) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.bench import benchmarks  # noqa: PLC0415  torch takes seconds
    from mdsuite.bench.report import print_benchmark, write_benchmark  # noqa: PLC0415
    from mdsuite_driver.models.protocol import ModelError  # noqa: PLC0415

    console = Console()
    try:
        with waiting(console, "measuring") as told:
            found = measure(benchmarks, told)
    except ModelError as error:
        raise InputError(str(error)) from error
    print_benchmark(console, found, write_benchmark(found, output))
    return NOT_RUN if any(each.reason for group in found.timed for each in group) else 0
