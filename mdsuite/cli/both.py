"""Trajectories of two models from the same starts: their flags, and how they come about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdsuite.cli.ending import warn
from mdsuite.cli.flags import TEMPERATURE, TIMESTEP, campaign_of, require_lammps
from mdsuite.cli.options import engines, jobs, structures, told_by
from mdsuite.coordination import coordinating
from mdsuite.errors import InputError
from mdsuite.execution.stop import Stop

if TYPE_CHECKING:
    from mdsuite.campaign import Campaign
    from mdsuite.dynamics import Dynamics

OF_RUNS = ("structures", "engine", "time_ps", "timestep_fs", "temperature_K", "replicas")

of_both = told_by(
    structures("Trajectories of both from here, too."),
    engines("Who integrates them.  [default: lammps]"),
    click.option("--time-ps", type=float, help="Length of each trajectory, ps.  [default: 10]"),
    TIMESTEP,
    TEMPERATURE,
    click.option("--replicas", type=int, help="Velocity seeds for each structure.  [default: 4]"),
    jobs(),
)
"""A command that is told of trajectories of two models."""


def campaign_of_both(models: tuple[str, str], of_runs: Mapping[str, Any], flags: Mapping[str, Any]) -> Campaign | None:
    """Of both models from the same starts, or None where no structure is given."""
    given = {key: value for key, value in of_runs.items() if value not in (None, ())}
    if "structures" not in given:
        if given:
            raise InputError(f"{', '.join(sorted(given))} are for trajectories; name where they start with --structure")
        return None
    asked = {"models": models, "trust": flags["trust"], "check": False, "follow_up": False, "seed": flags["seed"]}
    campaign = campaign_of(None, {**asked, **given})
    require_lammps(campaign.engine, campaign.lammps_library)
    return campaign


def trajectories(campaign: Campaign, folder: Path, jobs: int, stop: Stop, command: str) -> Dynamics | None:
    """Of both, in a folder, where the command does so; None where they were stopped."""
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.conduct import Conductor  # noqa: PLC0415
    from mdsuite.dynamics import dynamics  # noqa: PLC0415
    from mdsuite.execution.local import on_this_machine  # noqa: PLC0415
    from mdsuite.judgement.criteria import read_profile  # noqa: PLC0415

    with coordinating(folder, command) as unseen, on_this_machine(jobs) as execute:
        warn(unseen)
        conductor = Conductor(Console(), read_profile(campaign.criteria), execute, stop, jobs)
        return dynamics(campaign, folder, conductor.assessed)
