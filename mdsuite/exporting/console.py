"""What a person sees of an export."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from mdsuite.dynamics import Pair
from mdsuite.exporting.export import Export
from mdsuite.exporting.report import Checked, Moved, label, of_what, outcome
from mdsuite.report.words import drift, quantity


def print_export(console: Console, export: Export, checked: Checked, moved: Moved, report: Path) -> None:
    """What was written, how near its answers are, and which verdicts change."""
    console.print(f"{export.file}: {export.sizes[1]:,} bytes, {export.sizes[1] / export.sizes[0]:.2f} of the model's")
    for each in export.measurements:
        of = "the network that was written" if each.name.startswith("export_") else "the model"
        what = each.name.split("_")[1]
        console.print(f"{what}: {quantity(each)} at most from {of}", highlight=False)
    if checked.reason:
        console.print(f"static checks: not run, {checked.reason}")
    for static in checked.changed:
        _print_change(console, static, "static checks")
    if not checked.reason and not checked.changed:
        console.print("static checks: no verdict changes")
    for side, model in moved.sides:
        for group in model.replicas:
            told = f"{side}, {group.name}: {group.verdict}, drift {drift(group)}"
            console.print(told, highlight=False, markup=False, soft_wrap=True)
    for pair in moved.changed:
        _print_change(console, pair, of_what(pair))
    if moved.dynamics is not None and not moved.changed:
        console.print("trajectories: no verdict changes")
    console.print(f"report:  {report}", soft_wrap=True, highlight=False)


def _print_change(console: Console, pair: Pair, where: str) -> None:
    ours, theirs = map(outcome, pair)
    words = f"CHANGED: {label(pair)} ({where}): {ours} becomes {theirs}"
    console.print(words, style="bold red", highlight=False, markup=False, soft_wrap=True)
