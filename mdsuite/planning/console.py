"""A plan on the terminal."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from mdsuite.planning.estimate import Estimate, Share

UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
SIZES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))


def print_plan(console: Console, estimate: Estimate, jobs: int) -> None:
    """The grid, what each model takes, and what is done."""
    grid = " × ".join(f"{n} {name if n != 1 else name.removesuffix('s')}" for name, n in estimate.axes.items())
    console.print(f"{grid} = {sum(each.n_runs for each in estimate.shares)} runs", highlight=False)
    table = Table("model", "engine", "atoms", "runs", "done", "steps left", "each step", "time", "recording", box=None)
    for each in estimate.shares:
        table.add_row(*_row(each))
    console.print(table)
    if estimate.preparing:
        console.print(f"not in these times: {estimate.preparing}", highlight=False)
    for each in estimate.untimed:
        console.print(f"not timed: {each.model} in {each.engine}, {each.why}", highlight=False)
    if estimate.seconds is not None:
        low, middle, high = estimate.seconds
        of = f"core-hours of {estimate.threads} thread{'s' if estimate.threads > 1 else ''} each"
        hours = f"{middle / 3600.0:.3g} [{low / 3600.0:.3g}, {high / 3600.0:.3g}]"
        together = f"with --jobs {jobs} about {duration(middle / jobs)} if they do not hinder each other"
        console.print(f"\nto do: {hours} {of}; {together}", highlight=False)
    console.print(f"on disk already: {size(float(estimate.on_disk))}", highlight=False)


def as_json(estimate: Estimate) -> dict[str, Any]:
    """For programs."""
    return {
        "schema": "mdsuite-plan/1",
        "axes": dict(estimate.axes),
        "on_disk_bytes": estimate.on_disk,
        "models": [
            {
                "model": each.model,
                "engine": each.engine,
                "runs": each.n_runs,
                "done": each.n_done,
                "steps": each.steps[0],
                "steps_done": each.steps[1],
                "seconds": None if each.seconds is None else each.seconds[1],
                "seconds_range": None if each.seconds is None else [each.seconds[0], each.seconds[2]],
                "bytes": each.size,
                "reason": each.why,
            }
            for each in estimate.shares
        ],
    }


def _row(each: Share) -> list[str]:
    low, high = each.atoms
    left = each.steps[0] - each.steps[1]
    timed = each.seconds is not None and left > 0
    of_step = f"{1e3 * each.seconds[1] / left:.3g} ms" if timed and each.seconds else "–"
    return [
        each.model,
        each.engine,
        f"{low}" if low == high else f"{low} to {high}",
        f"{each.n_runs}",
        f"{each.n_done}",
        f"{left}",
        of_step,
        duration(each.seconds[1]) if each.seconds else "not timed",
        "–" if each.size is None else size(each.size),
    ]


def duration(seconds: float) -> str:
    """In the largest unit of which there is one."""
    if not math.isfinite(seconds):
        return "not known"
    scale, unit = next(((scale, unit) for scale, unit in UNITS if seconds >= scale), UNITS[-1])
    return f"{seconds / scale:.3g} {unit}"


def size(n_bytes: float) -> str:
    """The same of bytes."""
    scale, unit = next(((scale, unit) for scale, unit in SIZES if n_bytes >= scale), (1.0, "B"))
    return f"{n_bytes / scale:.3g} {unit}"
