"""Commands that make models, and what is handed on with them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mdsuite import completion
from mdsuite.cli.both import OF_RUNS, campaign_of_both, of_both, trajectories
from mdsuite.cli.ending import STOPPED, finish, finish_or_stop, refused
from mdsuite.cli.options import DEADLINE, MODEL, PATH, n_cpus, output, required_output, threads, trust
from mdsuite.errors import InputError
from mdsuite.execution.stop import Stop
from mdsuite.waits import waiting


@click.command()
@click.argument("recipe", type=PATH, metavar="RECIPE.toml")
@required_output("For labels, weights and errors.")
@click.option("--student", "students", multiple=True, metavar="NAME", help="One of the recipe's; may be repeated.")
@click.option("--workers", type=click.IntRange(1), help="Processes that label.  [default: CPUs]")
@click.option("--device", default="cpu", help="Where students are fitted, as torch names it (cuda).")
def distill(recipe: Path, output: Path, students: Sequence[str], workers: int | None, device: str) -> None:
    """Train PaiNN students on a teacher's labels or on labelled files, as a recipe says.

    Stopped at any moment, it goes on where it was.

    \b
    mdsuite distill inputs/recipes/painn.toml --output students
    """  # noqa: D301  \b is click's
    from mdsuite.fitting.distill import distill as carry_out  # noqa: PLC0415

    try:
        for weights in carry_out(recipe, output, workers or n_cpus(), click.echo, names=students, device=device):
            click.echo(weights)
    except InputError as error:
        sys.exit(refused(error))


@click.command()
@click.argument("recipe", type=PATH, metavar="RECIPE.toml")
@required_output("For the model and its errors.")
def fit(recipe: Path, output: Path) -> None:
    """Fit a linear ACE to labelled structures, as a recipe says.

    \b
    mdsuite fit inputs/recipes/si-ace.toml --output fitted
    mdsuite run --model fitted/si-ace.pt --structure silicon --engine lammps

    Exit codes: 0 written, 2 bad input.
    """  # noqa: D301  \b is click's
    finish(lambda: _fit(recipe, output))


def _fit(recipe: Path, output: Path) -> int:
    from mdsuite.linear.console import print_fit  # noqa: PLC0415  torch takes seconds
    from mdsuite.linear.fit import fit as carry_out  # noqa: PLC0415

    print_fit(carry_out(recipe, output, click.echo))
    return 0


@click.command()
@MODEL
@click.option(
    "--to", "target", type=click.Choice(["torchscript", "pt2", "onnx"]), required=True, help="onnx: energies."
)
@click.option("--weights", type=click.Choice(["float16", "bfloat16", "int8"]), help="What they are stored in.")
@click.option("--check/--no-check", default=True, help="Static checks of model and export beside each other.")
@of_both
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the velocities.")
@trust()
@DEADLINE
@output("mdsuite-export", "Folder for everything.")
def export(
    model: str, target: str, weights: str | None, output: Path, jobs: int | None, deadline: float | None, **flags: Any
) -> None:
    """Write MODEL as one file without its Python code, kept only if it answers as the model does.

    TorchScript and .pt2 give energies, forces and virials; ONNX gives energies. With --structure, trajectories of both
    are made and judged; a verdict that changes is told, and the file is kept.

    \b
    mdsuite export painn-tiny --to pt2 --output deployed
    mdsuite export painn-tiny --to pt2 --weights int8 --structure ethanol --time-ps 5 --output deployed
    mdsuite run --model deployed/painn-tiny.pt2 --trust --structure start.extxyz

    Exit codes: 0 written, 1 its answers are not the model's, 2 bad input, 75 stopped and resumable.
    """  # noqa: D301  \b is click's
    finish_or_stop(
        lambda stop: _export(model, target, weights or "", output, jobs or n_cpus(), stop, flags),
        deadline,
        scheduled=True,
    )


def _export(
    model: str, target: str, weights: str, output: Path, jobs: int, stop: Stop, flags: Mapping[str, Any]
) -> int:
    from rich.console import Console  # noqa: PLC0415

    from mdsuite.dynamics import FOLDER, begun_with  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.exporting.checks import checked_beside, require_served  # noqa: PLC0415
    from mdsuite.exporting.console import print_export  # noqa: PLC0415
    from mdsuite.exporting.export import ExportError, export, file_of  # noqa: PLC0415
    from mdsuite.exporting.report import Checked, Moved, write_export_report  # noqa: PLC0415
    from mdsuite.plan import served_source  # noqa: PLC0415

    console = Console()
    trust = flags["trust"]
    source, card = served_source(model, trust=trust)
    file = file_of(card, target, weights, output)
    folder = output / FOLDER / file.name
    of_runs = {key: flags[key] for key in OF_RUNS}
    campaign = campaign_of_both((source, str(file)), of_runs, {**flags, "trust": True})  # the export holds code
    if campaign:
        require_served(campaign, card, target)
    with waiting(console, "loading") as told:
        try:
            begun = begun_with(folder)
            exported = export(source, target, weights, output, trust=trust, begun_with=begun, told=told)
        except ExportError as error:
            click.echo(f"mdsuite: {error}", err=True)
            return 1
        checked = Checked(reason="as was asked for")
        if flags["check"]:
            checked = checked_beside(source, exported, output / "static", trust=trust, told=told)
    moved = Moved()
    if campaign:
        dynamics = trajectories(campaign, folder, jobs, stop, "mdsuite export")
        if dynamics is None:
            return STOPPED
        moved = Moved(dynamics, folder)
    print_export(console, exported, checked, moved, write_export_report(exported, checked, moved, output))
    return 0


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=completion.models)
@click.option("--from", "folders", multiple=True, type=PATH, metavar="DIR", help="What a command has written.")
@threads("each model")
@trust()
@output("mdsuite-card", "For the cards.")
def card(models: Sequence[str], folders: Sequence[Path], output: Path, *, threads: int, trust: bool) -> None:
    """Write a model card of each MODEL from what was measured, and for several a table to choose by.

    \b
    mdsuite card student.pt --from mdsuite-out --from mdsuite-forces --from mdsuite-check

    Exit codes: 0 written, 2 bad input.
    """  # noqa: D301  \b is click's
    finish(lambda: _card(models, folders, output, threads=threads, trust=trust))


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
