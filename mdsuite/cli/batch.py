"""Commands for campaigns on many machines: shards, Slurm, and what has come of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdsuite.cli.ending import NOT_RUN, STOPPED, finish, finish_or_stop, tell_verdict, warn
from mdsuite.cli.flags import as_given, campaign_of, of_campaign, require_lammps
from mdsuite.cli.options import DEADLINE, FOLDER, PATH, jobs, n_cpus, output, profile
from mdsuite.coordination import coordinating
from mdsuite.errors import InputError
from mdsuite.execution.stop import Stop

if TYPE_CHECKING:
    from mdsuite.campaign import Campaign
    from mdsuite.plan import Plan

MOST_IN_FULL = 2000
"""Runs of a submitted campaign that are reported on one by one; more are told of by their tables."""


@click.command()
@of_campaign
@output("mdsuite-out", "Folder of the campaign.")
@click.option("--scheduler", type=click.Choice(["slurm", "pbs"]), default="slurm", help="PBS: scripts alone.")
@click.option("--shards", type=click.IntRange(1), required=True, help="Elements of the array.")
@click.option("--time", default="1:00:00", metavar="TIME", help="Of each element, as Slurm writes it.")
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
    again = ["run", *([str(campaign)] if campaign else []), *as_given(), "--output", str(output)]
    finish(lambda: _submit(campaign, output, flags, again))


def _submit(file: Path | None, output: Path, flags: dict[str, Any], again: Sequence[str]) -> int:
    from mdsuite.batch.scripts import Asked, write_scripts  # noqa: PLC0415
    from mdsuite.batch.slurm import require_none, submit  # noqa: PLC0415

    dry_run = flags.pop("dry_run")
    told = {name: flags.pop(name) for name in ("scheduler", "shards", "time", "cpus", "gpus", "restarts", "extra")}
    if told["scheduler"] != "slurm" and not dry_run:
        raise InputError("mdsuite writes scripts for PBS and does not submit them; ask for them by --dry-run")
    campaign = campaign_of(file, flags)
    asked = Asked(jobs=max(told["cpus"] // campaign.threads, 1), **told)
    _require_divisible(campaign)
    require_lammps(campaign.engine, campaign.lammps_library)
    from mdsuite.plan import make_plan, require_accepted  # noqa: PLC0415  what follows takes torch with it

    require_none(output)
    planned = make_plan(campaign)
    require_accepted(planned)
    if (n_runs := len(planned.all_runs)) < asked.shards:
        raise InputError(f"wanted at most as many shards as runs, which are {n_runs}, got {asked.shards}")
    _claim_in_shards(planned, output, asked.shards)
    scripts = write_scripts(output, asked, again if n_runs <= MOST_IN_FULL else ["gather", str(output)])
    if dry_run:
        click.echo(f"{scripts.array}\n{scripts.gather}")
        return 0
    jobs = submit(output, scripts, asked)
    arrays = f"array {jobs.arrays[0]}"
    if len(jobs.arrays) > 1:
        arrays = f"{len(jobs.arrays)} arrays, for one may not have as many elements: {', '.join(jobs.arrays)}"
    click.echo(f"{n_runs} runs in {asked.shards} shards: {arrays}, report {jobs.gather}")
    return 0


def _claim_in_shards(planned: Plan, output: Path, n_shards: int) -> None:
    """Write every run of a plan as its shard will integrate it: how it is evaluated, and in which pack."""
    from mdsuite.batch.shard import packs_for  # noqa: PLC0415
    from mdsuite.evaluation import with_evaluators  # noqa: PLC0415
    from mdsuite.packing import Packer  # noqa: PLC0415
    from mdsuite.packs import write_pack  # noqa: PLC0415
    from mdsuite.plan import claim  # noqa: PLC0415

    planned = with_evaluators(planned, output, click.echo)
    with coordinating(output, "mdsuite submit") as unseen:
        warn(unseen)
        packs = packs_for(n_shards, planned, output, Packer(planned.campaign.pack, n_shards, click.echo))
        claim(planned, output)
        for pack in packs:
            write_pack(pack, output)


def _require_divisible(campaign: Campaign) -> None:
    """Raise InputError for a campaign whose runs depend on each other."""
    from mdsuite.packs import require_number  # noqa: PLC0415

    require_number(campaign.pack)
    if campaign.preparation.asked or campaign.early:
        raise InputError(
            "starts that are prepared and runs that end early are decided on while a campaign goes on; shards do not "
            "know each other. Run such a campaign in one job: mdsuite run"
        )


@click.command("run-shard")
@FOLDER
@click.option("--shard", "text", required=True, metavar="K/N", help="Which share, from 0.")
@jobs()
@DEADLINE
def run_shard(campaign: Path, text: str, jobs: int | None, deadline: float | None) -> None:
    """Bring one share of the runs of the campaign in DIR to their ends; several shares may run at once.

    \b
    mdsuite run-shard DIR --shard 3/20

    Exit codes: 0 done, 1 some have failed, 2 no campaign there, 75 stopped and resumable.
    """  # noqa: D301  \b is click's
    finish_or_stop(lambda stop: _run_shard(campaign, text, jobs or n_cpus(), stop), deadline, scheduled=True)


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
        warn(unseen)
        found = {each.status for each in carry_out(shard, campaign, jobs, stop, show).values()}
        if Status.STOPPED not in found:
            collect(campaign, shard.runs(campaign), click.echo)
    if Status.STOPPED in found:
        if state_of(shard.runs(campaign).values()).kept > before.kept:
            return STOPPED
        click.echo("no chunk came to its end: ask for more time, or for fewer chunk_steps in the campaign", err=True)
        return 1
    return 1 if Status.FAILED in found else 0


@click.command()
@click.argument("campaign", type=PATH)
@click.option("--every", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="One look.")
def watch(campaign: Path, every: float, once: bool) -> None:
    """Show how runs in the folder CAMPAIGN go on, their drifts and verdicts so far, until all have ended.

    \b
    mdsuite watch DIR

    Nothing is changed; runs may go on anywhere. Exit codes: 0 all runs have ended, 2 bad input, 3 some have not.
    """  # noqa: D301  \b is click's
    finish(lambda: _watch(campaign, every, once=once))


def _watch(campaign: Path, every: float, *, once: bool) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.watching import watch  # noqa: PLC0415  takes time

    return 0 if watch(campaign, Console(), every, once=once) else NOT_RUN


@click.command()
@FOLDER
def status(campaign: Path) -> None:
    """Say how far the runs of the campaign in DIR are, and its jobs.

    \b
    mdsuite status mdsuite-out

    Exit codes: 0 all runs are done, 2 no campaign there, 3 some are not.
    """  # noqa: D301  \b is click's
    finish(lambda: _status(campaign))


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


@click.command()
@FOLDER
def cancel(campaign: Path) -> None:
    """End the jobs of the campaign in DIR; its runs can be gone on with.

    \b
    mdsuite cancel DIR

    Exit codes: 0 ended, 2 none were submitted.
    """  # noqa: D301  \b is click's
    finish(lambda: _cancel(campaign))


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


@click.command()
@FOLDER
@profile("the campaign's")
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
    finish(lambda: _gather(campaign, profile, keep))


def _gather(campaign: Path, profile: str | None, keep: str) -> int:
    from mdsuite.gathering.gather import Keep, gather  # noqa: PLC0415  pyarrow and MDAnalysis take time
    from mdsuite.gathering.page import write_page  # noqa: PLC0415
    from mdsuite.judgement.judge import exit_code  # noqa: PLC0415

    removing = Keep(keep) is not Keep.ALL  # nobody may be at work then
    with coordinating(campaign, "mdsuite gather") if removing else contextlib.nullcontext("") as unseen:
        warn(unseen)
        found = gather(campaign, profile, Keep(keep), click.echo)
        report = write_page(found)
    for model in found.models:
        told = ", ".join(f"{n} {status}" for status, n in sorted(model.statuses.items()))
        click.echo(f"{model.name}: {model.verdict} ({told})")
    if (left := found.n_planned - found.n_ended) > 0:
        click.echo(f"{left} of {found.n_planned} runs have not ended")
    tell_verdict(found.verdict, report)
    return exit_code(found.verdict)
