"""Commands for those who begin: a campaign, an explanation, a look at the machine, a shell that completes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mdsuite import completion
from mdsuite.cli.ending import finish
from mdsuite.cli.options import PATH, engines, models, output, structures, trust
from mdsuite.errors import InputError


@click.command()
@click.argument("file", type=PATH, default=Path("campaign.toml"))
@models("Path, bundled name, or ase:FILE.py:FACTORY.")
@structures("Path or bundled name.")
@engines("Who integrates.", default=("lammps",), show_default=True)
@click.option("--temperature-K", "temperature_K", type=float, default=300.0, show_default=True, help="K.")
@click.option("--timestep-fs", type=float, default=0.5, show_default=True, help="fs.")
@click.option("--time-ps", type=float, default=10.0, show_default=True, help="Length of each trajectory, ps.")
@click.option("--horizon-ps", type=float, default=0.0, help="Length of the production runs to be judged for, ps.")
@trust()
def init(file: Path, **told: Any) -> None:
    """Write FILE, a commented campaign for your own model and structures; asks for what it is not told.

    \b
    mdsuite init
    mdsuite init campaign.toml --model student.pt --structure start.extxyz --horizon-ps 1000

    Exit codes: 0 written, 2 bad input (nothing was written).
    """  # noqa: D301  \b is click's
    finish(lambda: _init(file, **told))


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


@click.command()
@click.argument("name", required=False, shell_complete=completion.names)
def explain(name: str | None) -> None:
    """Say what a measurement, a criterion or a cause is, where its limit comes from, and what to do.

    \b
    mdsuite explain cutoff_energy_jump
    mdsuite explain "Forces sum to zero"
    mdsuite explain non_conservative_forces

    Without NAME it lists every name. Exit codes: 0 explained, 2 no such name.
    """  # noqa: D301  \b is click's
    finish(lambda: _explain(name))


def _explain(name: str | None) -> int:
    from mdsuite.explanation import explain, known_names, lines  # noqa: PLC0415  takes time

    for line in lines(explain(name)) if name else known_names():
        click.echo(line)
    return 0


@click.command()
@output(".", "Where campaigns are to be written.  [default: .]")
def doctor(output: Path) -> None:
    """Say what this machine has for campaigns and what is wrong with it, each with its remedy.

    \b
    mdsuite doctor --output /scratch/me

    Exit codes: 0 campaigns can run here, 1 something keeps them from it.
    """  # noqa: D301  \b is click's
    finish(lambda: _doctor(output))


def _doctor(output: Path) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.doctor.console import print_findings  # noqa: PLC0415
    from mdsuite.doctor.examine import examine  # noqa: PLC0415
    from mdsuite.doctor.finding import State, worst  # noqa: PLC0415

    return 1 if worst(print_findings(Console(), examine(output))) is State.WRONG else 0


@click.command("completion")
@click.argument("shell", type=click.Choice(completion.SHELLS))
def print_completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options, bundled names and files.

    \b
    mdsuite completion bash >> ~/.bashrc
    mdsuite completion zsh >> ~/.zshrc
    mdsuite completion fish > ~/.config/fish/completions/mdsuite.fish
    """  # noqa: D301  \b is click's
    click.echo(completion.script(click.get_current_context().find_root().command, "mdsuite", shell))
