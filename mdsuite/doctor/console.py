"""Findings as they come, and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from mdsuite.doctor.finding import Finding, State, worst

COLOURS = {State.FINE: "green", State.MISSING: "yellow", State.WRONG: "red"}
ENDS = {
    State.FINE: "campaigns can run here",
    State.MISSING: "campaigns can run here; what is missing is needed by some of them",
    State.WRONG: "campaigns cannot run here as it is",
}


def print_findings(console: Console, findings: Iterable[Finding]) -> list[Finding]:
    """Show each as soon as it is known; returns them."""
    found = []
    for each in findings:
        found.append(each)
        line = Text(f"{each.state:<8}", style=COLOURS[each.state]).append(f"{each.name}: {each.found}", style="default")
        console.print(line, soft_wrap=True)
        if each.remedy and each.state is not State.FINE:
            console.print(Text(f"{'':8}-> {each.remedy}"), soft_wrap=True)
    console.print(f"\n{ENDS[worst(found)]}")
    return found
