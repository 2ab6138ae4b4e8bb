"""The page of an assessment: verdict, runs, curves, ledger, how far it holds, and all of report.md."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from mdsuite.assessed import AssessedRun, Assessment
from mdsuite.report import words
from mdsuite.report.figures import figure_name
from mdsuite.report.page.document import Cell, Row, Section, rendered, sections_of
from mdsuite.report.page.plots import Panel, energy_panels, envelope_panels, failure_panels, ledger_panel
from mdsuite_analysis.measurement import Measurement

TRAJECTORIES = "Trajectories"


def page(assessment: Assessment, text: str, output: Path) -> str:
    """The content of report.html, from that of report.md and what it was made from."""
    for model in assessment.models:
        text = _without_figure(text, f"figures/{figure_name(model)}.png")
    sections = list(sections_of(re.sub(r"\*\*Holds for\*\*.*\n", "", text), output))  # it stands above
    several = len(assessment.models) > 1
    panels = {"Causes": [each for each in [ledger_panel(assessment)] if each is not None]}
    for model in assessment.models:
        title = f"How far it holds: {model.card.name}" if several else "How far it holds"
        panels[title] = list(envelope_panels(model))
    ours = Section(
        TRAJECTORIES,
        Markup(""),
        (*failure_panels(assessment, output), *energy_panels(assessment)),
        tuple(_row(run, several=several) for run in assessment.runs),
    )
    summary, *others = sections[1:]
    return rendered(
        title=" and ".join(model.card.name for model in assessment.models),
        verdict=assessment.verdict,
        holds_for=words.scope(assessment),
        why=[(model.card.name if several else "", model.verdict, words.summary(model)) for model in assessment.models],
        about=sections[0].content,
        sections=[summary, ours, *_with_panels(others, panels)],
        columns=[each for each in COLUMNS if several or each != MODEL],
    )


def _without_figure(text: str, file: str) -> str:
    """Without a still picture and its caption, where the page draws one that can be asked."""
    return re.sub(rf"!\[[^\]]*\]\({re.escape(file)}\)\n\n\*[^\n]*\*\n", "", text)


def _with_panels(sections: Sequence[Section], panels: Mapping[str, list[Panel]]) -> Iterator[Section]:
    for section in sections:
        yield replace(section, panels=tuple(panels.get(section.title, ())))


MODEL = "Model"
COLUMNS = (
    "Verdict",
    "Trajectory",
    MODEL,
    "Ended",
    "Drift (meV/atom/ps)",
    "Temperature (K)",
    "Broken bonds",
    "Failed first",
)


def _row(run: AssessedRun, *, several: bool) -> Row:
    status = f"{run.ending.status} after {run.ending.steps} steps"
    failure = run.failure
    return Row(
        cells=(
            Cell(text=words.name_of(run), key=words.name_of(run)),
            *([Cell(text=run.run.model_name, key=run.run.model_name)] if several else []),
            Cell(text=status, key=run.ending.steps),
            _measured(run.drift),
            _measured(run.measured("temperature_mean")),
            _measured(run.measured("broken_bonds")),
            Cell(text="–", key=math.inf)
            if failure is None
            else Cell(text=f"{failure.kind} at {words.number(failure.time)} ps", key=failure.time),
        ),
        verdict=run.verdict,
    )


def _measured(measurement: Measurement | None) -> Cell:
    key = math.nan if measurement is None else measurement.value
    return Cell(text=words.quantity(measurement, unit=False), key=key)
