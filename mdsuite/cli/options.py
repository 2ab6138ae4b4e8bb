"""Options that several commands have, each made in one place."""

from __future__ import annotations

import os
import re

import click


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


def n_cpus() -> int:
    """Of this machine, those that this process may use."""
    return len(os.sched_getaffinity(0))
