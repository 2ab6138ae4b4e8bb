"""Options that several commands have, each made in one place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mdsuite import completion

Option = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What gives an option or an argument to a function that is to be a command, whatever it takes."""

PATH = click.Path(path_type=Path)
FIRST_BUNDLED = "[default: the first bundled one]"


def told_by(*options: Option) -> Option:
    """All of these, as their order is in the help of a command."""

    def told(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return told


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
FORMAT = click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["junit", "csv", "parquet"]),
    help="Results for other programs too: a CI gate, a spreadsheet, a table.",
)
MODEL = click.argument("model", shell_complete=completion.models)
FOLDER = click.argument("campaign", type=PATH, metavar="DIR")


def models(help: str) -> Option:
    """Models by their sources, any number of them."""
    return click.option("--model", "models", multiple=True, metavar="M", shell_complete=completion.models, help=help)


def structures(help: str) -> Option:
    """Structures by their sources, any number of them."""
    return click.option(
        "--structure", "structures", multiple=True, metavar="S", shell_complete=completion.structures, help=help
    )


def engines(help: str, **more: Any) -> Option:
    """Engines by their names, any number of them; `more` is what else click is told."""
    return click.option("--engine", multiple=True, metavar="E", shell_complete=completion.engines, help=help, **more)


def profile(otherwise: str = "", **more: Any) -> Option:
    """Criteria; `otherwise` says which they are where none are named, `more` is what else click is told."""
    help = "Criteria: a bundled name or a TOML file." + (f"  [default: {otherwise}]" if otherwise else "")
    return click.option("--profile", metavar="P", shell_complete=completion.profile, help=help, **more)


def threads(of: str = "the model") -> Option:
    """How many a model computes with."""
    return click.option("--threads", type=click.IntRange(1), default=1, help=f"CPU threads of {of}.")


def trust(of: str = "the model's file", **more: Any) -> Option:
    """Whether foreign code may run; `more` is what else click is told."""
    return click.option("--trust", is_flag=True, help=f"Run code and pickles stored in {of}.", **more)


def output(folder: str, help: str) -> Option:
    """Where the command writes, which is `folder` unless it is told."""
    return click.option("--output", type=PATH, default=Path(folder), help=help)


def required_output(help: str) -> Option:
    """Where the command writes, which it must be told."""
    return click.option("--output", type=PATH, required=True, help=help)


def jobs(of: str = "Trajectories") -> Option:
    """How much goes on at a time."""
    return click.option("--jobs", type=click.IntRange(1), help=f"{of} at a time.  [default: one for each CPU]")


def n_cpus() -> int:
    """Of this machine, those that this process may use."""
    return len(os.sched_getaffinity(0))
