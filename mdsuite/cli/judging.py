"""Commands that judge: a model by itself, by its forces, beside another, and what was integrated elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from mdsuite import completion
from mdsuite.cli.both import OF_RUNS, campaign_of_both, of_both, trajectories
from mdsuite.cli.ending import NOT_RUN, STOPPED, finish, finish_or_stop, formatted, refused, tell_verdict
from mdsuite.cli.options import (
    DEADLINE,
    FIRST_BUNDLED,
    FORMAT,
    MODEL,
    PATH,
    jobs,
    n_cpus,
    output,
    profile,
    structures,
    threads,
    trust,
)
from mdsuite.errors import InputError
from mdsuite.execution.stop import Stop
from mdsuite.waits import waiting


@click.command()
@MODEL
@structures(FIRST_BUNDLED)
@profile(default="static")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), help="What it is said to compute in.")
@click.option("--seed", type=int, default=0, help="Of directions and displacements.")
@threads()
@trust()
@output("mdsuite-check", "Folder for everything.")
@FORMAT
def check(model: str, structures: tuple[str, ...], output: Path, formats: tuple[str, ...], **flags: Any) -> None:
    """Check MODEL without a trajectory: forces, cut-off, symmetry, repeatability, and more.

    \b
    mdsuite check student.pt --structure start.extxyz

    Exit codes: 0 approved, 1 not recommended, 2 bad input, 3 inconclusive or not run.
    """  # noqa: D301  \b is click's
    finish(lambda: formatted(_check(model, structures, output, **flags), output, formats))


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
    from mdsuite.plan import bundled_structure_for, read_structures, require_supported, served_sources  # noqa: PLC0415
    from mdsuite.progress import print_examination  # noqa: PLC0415
    from mdsuite.report.write import write_check_report  # noqa: PLC0415

    console = Console()
    named = list(structures) or [bundled_structure_for(model, trust=trust)]
    campaign = read_campaign(None, {"models": [model], "structures": named, "trust": trust, "threads": threads})
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


@click.command("analyze")
@click.argument("sources", type=PATH, nargs=-1, required=True, metavar="SOURCE...")
@click.option("--n-atoms", type=click.IntRange(1), help="Atoms that a table of energies belongs to.")
@click.option("--topology", type=PATH, help="Of the trajectory: any file that MDAnalysis reads.")
@click.option("--trajectory", type=PATH, help="The same; the energies' own frames or fewer.")
@click.option("--reference", multiple=True, type=PATH, help="Runs, or a file of frames, to compare with.")
@click.option("--reference-spacing-fs", type=click.FloatRange(0, min_open=True), help="Between its frames, in a file.")
@click.option("--temperature-K", "temperature_K", type=click.FloatRange(0, min_open=True), help="The target, K.")
@profile(default="production-nve")
@output("mdsuite-analysis", "For the report.")
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
        sys.exit(refused(error))
    for each in analysis.judged:
        where = f" ({each.subject['source']})" if len(analysis.analyzed) > 1 and "source" in each.subject else ""
        click.echo(f"{each.criterion.label}{where}: {each.outcome}")
    tell_verdict(analysis.verdict, report)
    sys.exit(exit_code(analysis.verdict))


@click.command()
@MODEL
@click.option("--reference", "references", multiple=True, type=PATH, metavar="FILE", help="Frames.")
@click.option("--teacher", metavar="CALC", help="Who labels the structures: gfn2-xtb or ase:MODULE_OR_FILE.py:FACTORY.")
@structures("Frames that the teacher labels.")
@click.option("--seed", type=int, default=0, help="Of the bootstrap.")
@threads()
@trust()
@output("mdsuite-forces", "Folder for everything.")
def forces(
    model: str, references: Sequence[Path], teacher: str | None, structures: Sequence[str], output: Path, **flags: Any
) -> None:
    """Compare MODEL's forces with those of a reference; no approval for dynamics follows from it.

    \b
    mdsuite forces student.pt --reference held-out.extxyz
    mdsuite forces student.pt --teacher gfn2-xtb --structure frames.extxyz

    Exit codes: 0 compared, 2 bad input, 3 some frames have no answer.
    """  # noqa: D301  \b is click's
    finish(lambda: _forces(model, references, teacher, structures, output, **flags))


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
    source, card = served_source(model, trust=trust, threads=threads)
    output.mkdir(parents=True, exist_ok=True)
    with waiting(console, "reading the reference" if references else f"labelling with {teacher}") as told:
        known = read_references(references) if references else labelled_by(str(teacher), structures)
        log = output / "driver.log"
        report = evaluate(source, card, known, log, trust=trust, threads=threads, seed=seed, told=told)
    print_forces(console, report, write_forces_report(report, output))
    return NOT_RUN if report.unanswered else 0


@click.command()
@click.argument("baseline", shell_complete=completion.models)
@click.argument("candidate", shell_complete=completion.models)
@click.option("--data", multiple=True, required=True, type=PATH, metavar="FILE", help="Labels.")
@click.option(
    "--train",
    multiple=True,
    type=PATH,
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
@click.option("--thresholds", type=PATH, metavar="FILE.toml", help="Present ones, on errors.")
@click.option("--quick", is_flag=True, help="Errors and bases alone: no other evaluators, static checks or cost.")
@of_both
@click.option("--seed", type=click.IntRange(0), default=0, help="Of parts, bootstrap and velocities.")
@trust("a model's file")
@DEADLINE
@output("mdsuite-compare", "For the report.")
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
    finish_or_stop(
        lambda stop: _compare((baseline, candidate), output, jobs or n_cpus(), stop, flags), deadline, scheduled=True
    )


def _compare(models: tuple[str, str], output: Path, jobs: int, stop: Stop, flags: dict[str, Any]) -> int:
    from mdsuite.dynamics import FOLDER  # noqa: PLC0415  what follows takes torch with it
    from mdsuite.linear.data import keys_of  # noqa: PLC0415
    from mdsuite.replacement.compare import compare as carry_out  # noqa: PLC0415
    from mdsuite.replacement.found import Question  # noqa: PLC0415
    from mdsuite.replacement.report import EXIT_CODES, print_end, write_report  # noqa: PLC0415

    of_runs = {key: flags.pop(key) for key in OF_RUNS}
    question = Question(
        keys=keys_of(flags.pop("labels")),
        also=(flags.pop("baseline_also"), flags.pop("candidate_also")),
        **{key: value for key, value in flags.items() if key != "trust"},
    )
    campaign = campaign_of_both(models, of_runs, flags)
    asked = None
    if campaign:
        asked = partial(trajectories, campaign, output / FOLDER, jobs, stop, "mdsuite compare")
    found = carry_out(*models, question, output, click.echo, trust=flags["trust"], trajectories=asked)
    if found is None:
        return STOPPED
    print_end(found, write_report(found, output))
    return EXIT_CODES[found.standing]


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help="Animals of the zoo.  [default: all]")
@click.option("--all-hosts", is_flag=True, help="Each on every system that it can live on, not on the best alone.")
@click.option("--without-runs", is_flag=True, help="Static checks alone; what takes trajectories is not run.")
@jobs("Trials")
@output("mdsuite-selftest", "For the report.")
def selftest(only: tuple[str, ...], all_hosts: bool, without_runs: bool, jobs: int | None, output: Path) -> None:
    """Try every check on defective models and on their clean twins, and write the confusion matrix.

    \b
    mdsuite selftest --only truncated --only curl --without-runs

    Exit codes: 0 all defects found and no twin suspected, 1 not so, 2 bad input, 3 something was not run.
    """  # noqa: D301  \b is click's
    finish_or_stop(
        lambda stop: _selftest(only, output, jobs or n_cpus(), stop, all_hosts=all_hosts, runs=not without_runs)
    )


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
    tell_verdict(confusion.verdict, report)
    return STOPPED if stop.requested else exit_code(confusion.verdict)
