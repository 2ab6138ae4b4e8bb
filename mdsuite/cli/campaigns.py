"""Commands that carry out campaigns here, or a run of one."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdsuite.cli.ending import BAD_INPUT, NOT_RUN, STOPPED, finish_or_stop, formatted, stoppable, warn
from mdsuite.cli.flags import (
    LAMMPS_LIBRARY,
    SEED,
    TEMPERATURE,
    THREADS,
    TIMESTEP,
    TRUST,
    VELOCITIES,
    campaign_of,
    of_campaign,
    require_lammps,
)
from mdsuite.cli.options import DEADLINE, FIRST_BUNDLED, FORMAT, MODEL, PATH, engines, jobs, n_cpus, output, structures
from mdsuite.coordination import coordinating
from mdsuite.execution.stop import Stop
from mdsuite.waits import waiting

if TYPE_CHECKING:
    from mdsuite.execution.local import Execute

AGREE_FRAME_STEPS = 10


@click.command()
@of_campaign
@DEADLINE
@output("mdsuite-out", "Folder for everything.")
@jobs()
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
        return formatted(_run(campaign, output, jobs, stop, flags, executor=executor), output, formats)

    finish_or_stop(work, deadline, scheduled=True)


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
    campaign = campaign_of(file, flags)
    profile = read_profile("agreement" if agreement else campaign.criteria)
    require_lammps(campaign.engine, campaign.lammps_library)
    from mdsuite.conduct import Conductor  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.judgement.judge import exit_code  # noqa: PLC0415
    from mdsuite.packs import require_number  # noqa: PLC0415
    from mdsuite.progress import print_agreements, print_summary  # noqa: PLC0415
    from mdsuite.report.write import AGREE, RUN, write_report  # noqa: PLC0415

    if executor:
        require_number(campaign.pack)
    at_once = jobs or n_cpus() // campaign.threads or 1
    executing = _executor(executor, output, at_once)
    with coordinating(output, f"mdsuite {'agree' if agreement else 'run'}") as unseen, executing as execute:
        warn(unseen)
        assessment = Conductor(console, profile, execute, stop, at_once, agreement).assessed(campaign, output)
        if assessment is None:
            return STOPPED
        with waiting(console, "writing"):
            report = write_report(assessment, output, AGREE if agreement else RUN)
    (print_agreements if agreement else print_summary)(console, assessment, report)
    return exit_code(assessment.verdict)


def _executor(told: str | None, output: Path, jobs: int) -> contextlib.AbstractContextManager[Execute]:
    """Who integrates; raises InputError for what is no executor."""
    from mdsuite.batch.scripts import FOLDER  # noqa: PLC0415
    from mdsuite.execution.local import on_this_machine  # noqa: PLC0415
    from mdsuite.execution.through_parsl import RECORD, ThroughParsl  # noqa: PLC0415

    if told is None:
        return on_this_machine(jobs)
    return contextlib.nullcontext(ThroughParsl.read(told, output / FOLDER / RECORD))


@click.command()
@MODEL
@click.option("--native", "natives", multiple=True, metavar="N", help="The same as LAMMPS' own: FILE.toml, or bundled.")
@structures(FIRST_BUNDLED)
@engines("[default: lammps, ipi and ase]")
@click.option("--time-ps", type=float, default=1.0, help="Length of each trajectory, ps.")
@TIMESTEP
@TEMPERATURE
@VELOCITIES
@SEED
@THREADS
@TRUST
@LAMMPS_LIBRARY
@DEADLINE
@output("mdsuite-agree", "Folder for everything.")
@jobs()
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
            from mdsuite.plan import bundled_structure_for  # noqa: PLC0415  takes torch with it

            flags["structures"] = (bundled_structure_for(model, trust=bool(flags["trust"])),)
        return _run(None, output, jobs, stop, flags, agreement=True)

    finish_or_stop(work, deadline, scheduled=True)


@click.command()
@of_campaign
@output("mdsuite-out", "Folder of the campaign.")
@jobs()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def plan(campaign: Path | None, output: Path, jobs: int | None, *, as_json: bool, **flags: Any) -> None:
    """Say what a campaign will take, from short runs of it, and how much of it is done; nothing else is begun.

    \b
    mdsuite plan CAMPAIGN.toml --output DIR

    Exit codes: 0 planned, 2 bad input, 3 something could not be timed, 75 stopped.
    """  # noqa: D301  \b is click's
    finish_or_stop(lambda stop: _plan(campaign, output, jobs, stop, flags, as_json=as_json))


def _plan(
    file: Path | None, output: Path, jobs: int | None, stop: Stop, flags: Mapping[str, Any], *, as_json: bool
) -> int:
    from rich.console import Console  # noqa: PLC0415

    campaign = campaign_of(file, flags)
    require_lammps(campaign.engine, campaign.lammps_library)
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
        shown.print_plan(console, found, jobs or n_cpus() // campaign.threads or 1)
    if stop.requested:
        return STOPPED
    return NOT_RUN if found.untimed else 0


@click.command("run-one")
@click.argument("folder", type=PATH)
@DEADLINE
def run_one(folder: Path, deadline: float | None) -> None:
    """Bring the run in FOLDER to its end, or all of a pack; does nothing if it is there.

    \b
    mdsuite run-one mdsuite-out/runs/8f67e0848680e098

    Exit codes: 0 done, 1 failed, 2 no run there, 75 stopped and resumable.
    """  # noqa: D301  \b is click's
    from mdsuite.execution.packs import note_members  # noqa: PLC0415
    from mdsuite.execution.supervise import Status, supervise  # noqa: PLC0415
    from mdsuite.execution.worker import stop_with_worker  # noqa: PLC0415
    from mdsuite.packs import FOLDER as PACKS  # noqa: PLC0415
    from mdsuite.packs import members_of, pack_of  # noqa: PLC0415

    if not (folder / "run.json").is_file():
        click.echo(f"mdsuite: wanted the folder of a run, but {folder} has no run.json", err=True)
        sys.exit(BAD_INPUT)
    if (pack := pack_of(folder)) is not None:
        whole = folder.resolve().parent.parent / PACKS / pack
        click.echo(f"mdsuite: {folder} is one of a pack; all of it: mdsuite run-one {whole}", err=True)
        sys.exit(BAD_INPUT)
    stop_with_worker()
    with stoppable(deadline, scheduled=True) as stop, stop.listening():
        outcome = supervise(folder, stop, waiting=lambda address: click.echo(f"waiting for an i-PI client: {address}"))
    members = note_members(folder, outcome)
    if outcome.status is not Status.STOPPED:
        for each in [member.folder for member in members_of(folder)] or [folder]:
            _record(each)
    for event in outcome.events:
        click.echo(event)
    for who, ended in ([(f"{run_id}: ", each) for run_id, each in members.items()]) or [("", outcome)]:
        click.echo(f"{who}{ended.status} after {ended.steps} steps{': ' + ended.reason if ended.reason else ''}")
    codes = {Status.DONE: 0, Status.STOPPED: STOPPED}
    sys.exit(max(codes.get(each.status, 1) for each in (outcome, *members.values())))


def _record(folder: Path) -> None:
    """Measure a run that has ended, unless its recording was removed."""
    from mdsuite.engines.recording import removed_steps  # noqa: PLC0415
    from mdsuite.files import DiskError  # noqa: PLC0415
    from mdsuite.gathering.record import record_of  # noqa: PLC0415  it takes MDAnalysis with it

    if removed_steps(folder) is not None:
        return
    try:
        record_of(folder)
    except DiskError as error:  # after the last step; the same command writes it
        click.echo(f"mdsuite: {error}", err=True)
        sys.exit(STOPPED)
