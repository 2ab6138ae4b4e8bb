"""What a person sees while runs go on and when they have ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mdsuite.assessed import AssessedRun, Assessment
from mdsuite.examination import Examination
from mdsuite.execution.local import Advance, Show
from mdsuite.execution.supervise import Outcome, Status
from mdsuite.judgement.causes import Cause
from mdsuite.judgement.judge import Outcome as Judgement
from mdsuite.judgement.judge import Verdict, verdict
from mdsuite.plan import Plan
from mdsuite.report.words import limit, quantity, where

IN_VIEW = 24
"""Runs, each with a bar of its own."""

COLOURS = {"APPROVED": "green", "NOT RECOMMENDED": "red", "CONDITIONAL": "yellow", "INCONCLUSIVE": "yellow"}


class Rate(ProgressColumn):
    """Steps per second, as the engine reports them."""

    def render(self, task: Task) -> Text:
        """The cell of one run."""
        rate = task.fields.get("rate")
        return Text(f"{rate:6.0f} steps/s" if rate else "")


class LiveRuns:
    """A progress bar for each run; of many runs, for those that go on, and one for all of them."""

    def __init__(self, progress: Progress, plan: Plan) -> None:
        self._progress = progress
        self._runs = {run.id: run for run in plan.all_runs}
        self._many = len(self._runs) > IN_VIEW
        self._tasks: dict[str, TaskID] = {}
        self._ended: set[str] = set()
        if self._many:
            self._all = progress.add_task("all runs", total=len(self._runs), note="ended")
        else:
            for run in plan.all_runs:
                self._shown(run.id)

    def __call__(self, run_id: str, advance: Advance) -> None:
        """Show how far a run is."""
        if advance.waiting:
            self._progress.console.print(waiting_line(run_id, advance.waiting), markup=False)
            return
        picoseconds = f"{advance.step * self._runs[run_id].timestep:.2f} ps"
        note = picoseconds if advance.outcome is None else f"{picoseconds} {advance.outcome.status}"
        task = self._shown(run_id)
        self._progress.update(task, completed=advance.step, note=note, rate=advance.steps_per_second)
        if self._many and advance.outcome is not None:
            self._progress.remove_task(self._tasks.pop(run_id))
            self._ended.add(run_id)
            self._progress.update(self._all, completed=len(self._ended))

    def _shown(self, run_id: str) -> TaskID:
        if run_id not in self._tasks:
            run = self._runs[run_id]
            name = f"{run.model_name} {run.structure} {run.replica} {run.engine}"
            self._tasks[run_id] = self._progress.add_task(name, total=run.n_steps, note="waiting")
        return self._tasks[run_id]


def waiting_line(run_id: str, address: str) -> str:
    """What somebody must know who starts a driver for a run."""
    return f"run {run_id} waits for an i-PI client: {address}"


@contextmanager
def plain(plan: Plan) -> Iterator[Show]:
    """Where the output is not a terminal: a line for every run that ends, and for what somebody has to act upon."""
    names = {run.id: f"{run.model_name} {run.structure} #{run.replica} {run.engine}" for run in plan.all_runs}
    ended: set[str] = set()

    def show(run_id: str, advance: Advance) -> None:
        if advance.waiting:
            click.echo(waiting_line(run_id, advance.waiting))
        if (outcome := advance.outcome) is not None:
            ended.add(run_id)
            why = f": {outcome.reason.splitlines()[0]}" if outcome.reason else ""
            count = f"[{len(ended)} of {len(names)}]"
            click.echo(f"{count} {names[run_id]}: {outcome.status} after {outcome.steps} steps{why}")

    yield show


@contextmanager
def live(console: Console, plan: Plan) -> Iterator[LiveRuns]:
    """Progress bars for as long as the context lasts."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[note]}"),
        Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield LiveRuns(progress, plan)


def print_stopped(console: Console, plan: Plan, endings: Mapping[str, Outcome]) -> None:
    """How far every run is, and that nothing is lost."""
    for run in plan.all_runs:
        ending = endings[run.id]
        why = f": {ending.reason}" if ending.reason else ""
        name = f"{run.model_name} {run.structure} #{run.replica} {run.engine}"
        line = f"{name} {ending.status} after {ending.steps} steps{why}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print("\nstopped; the same command goes on from here")


def print_agreements(console: Console, assessment: Assessment, report: Path) -> None:
    """A table of the engines compared, the verdict, and where the report is."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("engines", "energy", "forces", "virial", "trajectory", "verdict"):
        table.add_column(column)
    names = ("energy_parity", "force_parity", "virial_parity", "divergence_ratio")
    for agreement in assessment.agreements:
        found = {each.name: each for each in agreement.measurements}
        cells = [f"{found[name].value:.2g} roundings" if name in found else "not measured" for name in names]
        judged = verdict(agreement.judged)
        table.add_row(agreement.title, *cells, Text(judged, style=COLOURS[judged]))
    console.print(table)
    _print_verdict(console, assessment, report)


def print_summary(console: Console, assessment: Assessment, report: Path) -> None:
    """A table of the runs, the verdict, and where the report is."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    unfinished = any(run.ending.status is not Status.DONE for run in assessment.runs)
    for column in ("trajectory", *(["ended"] if unfinished else [])):
        table.add_column(column, no_wrap=True)
    for column in ("drift\n(meV/atom/ps)", "temperature\n(K)", "broken\nbonds", "verdict"):
        table.add_column(column)
    for run in assessment.runs:
        table.add_row(*_row(run, named=len(assessment.models) > 1, ended=unfinished))
    console.print(table)
    _print_verdict(console, assessment, report)


def print_examination(console: Console, examination: Examination, report: Path) -> None:
    """What did not pass, the causes, the verdict, and where the report is."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("check", "measured", "limit", "verdict"):
        table.add_column(column)
    passed = 0
    for each in examination.judged:
        if each.outcome is Judgement.PASS:
            passed += 1
            continue
        where = ", ".join(value for key, value in each.subject.items() if key != "model")
        row = (f"{each.criterion.label} ({where})", quantity(each.measurement, digits=2), limit(each), each.outcome)
        table.add_row(*map(Text, row))
    console.print(f"{passed} of {len(examination.judged)} checks passed", highlight=False)
    if table.row_count:
        console.print(table)
    _print_end(console, examination.causes, examination.verdict, report)


def _print_verdict(console: Console, assessment: Assessment, report: Path) -> None:
    of_models = [cause for model in assessment.models for cause in model.causes]
    of_engines = [each.cause for each in assessment.agreements if each.cause is not None]
    _print_end(console, [*of_models, *of_engines], assessment.verdict, report)


def _print_end(console: Console, causes: Iterable[Cause], verdict: Verdict, report: Path) -> None:
    for cause in causes:
        console.print(f"\n{cause.name}: {cause.sentence}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\nverdict: [bold {COLOURS[verdict]}]{verdict}[/]")
    console.print(where(report), soft_wrap=True, highlight=False)


def _row(run: AssessedRun, *, named: bool, ended: bool) -> list[Text]:
    who = " ".join([run.run.structure, f"#{run.run.replica}", *filter(None, (run.engine, run.rung))])
    cells = [f"{run.run.model_name}: {who}" if named else who, *([run.ending.status] if ended else [])]
    cells.append(quantity(run.drift, unit=False, digits=2))
    cells += [quantity(run.measured(name), unit=False) for name in ("temperature_mean", "broken_bonds")]
    return [*map(Text, cells), Text(run.verdict, style=COLOURS[run.verdict])]
