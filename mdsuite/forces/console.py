"""What a person sees of a comparison of forces."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mdsuite.forces.evaluate import ForceReport
from mdsuite.forces.report import LABELS, force_quantity
from mdsuite.report.words import where


def print_forces(console: Console, forces: ForceReport, report: Path) -> None:
    """What was measured over all frames, in numbers and in words, and where the report is."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("over all frames", "value [95 % interval]"):
        table.add_column(column)
    for each in forces.measurements:
        if not each.subject:
            table.add_row(Text(LABELS[each.name]), Text(force_quantity(each)))
    console.print(f"{len(forces.compared)} frames compared", highlight=False)
    console.print(table)
    for reading in forces.readings:
        words = f"{LABELS[reading.measurement.name]}: {reading.band.says}"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
    if forces.unanswered:
        console.print(f"{len(forces.unanswered)} frames not answered by the model: {forces.unanswered[0].reason}")
    console.print("\nno approval for dynamics follows from forces alone")
    console.print(where(report), soft_wrap=True)
