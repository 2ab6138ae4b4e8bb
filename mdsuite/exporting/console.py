"""What a person sees of an export."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from mdsuite.exporting.export import Export
from mdsuite.exporting.report import Checked
from mdsuite.report.words import quantity


def print_export(console: Console, export: Export, checked: Checked, report: Path) -> None:
    """What was written, how near its answers are, and which verdicts change."""
    console.print(f"{export.file}: {export.sizes[1]:,} bytes, {export.sizes[1] / export.sizes[0]:.2f} of the model's")
    for each in export.measurements:
        of = "the network that was written" if each.name.startswith("export_") else "the model"
        what = each.name.split("_")[1]
        console.print(f"{what}: {quantity(each)} at most from {of}", highlight=False)
    if checked.reason:
        console.print(f"static checks: not run, {checked.reason}")
    for ours, theirs in checked.changed:
        console.print(f"{ours.criterion.label}: {ours.outcome} becomes {theirs.outcome}", highlight=False)
    if not checked.reason and not checked.changed:
        console.print("static checks: no verdict changes")
    console.print(f"report:  {report}", soft_wrap=True, highlight=False)
