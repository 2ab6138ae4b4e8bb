"""One self-contained file: the text of report.md, tables that sort, figures that can be asked."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from mdsuite.assessed import AssessedRun, Assessment
from mdsuite.judgement.judge import Outcome, Verdict
from mdsuite.report import words
from mdsuite.report.figures import figure_name
from mdsuite.report.page.plots import Panel, energy_panels, envelope_panels, failure_panels, ledger_panel
from mdsuite_analysis.measurement import Measurement

SIGNS = {
    Verdict.APPROVED: ("good", "✓"),
    Verdict.CONDITIONAL: ("open", "◐"),
    Verdict.NOT_RECOMMENDED: ("bad", "✗"),
    Verdict.INCONCLUSIVE: ("open", "?"),
    Outcome.PASS.upper(): ("good", "✓"),
    Outcome.FAIL.upper(): ("bad", "✗"),
    Outcome.NOT_RUN.upper(): ("open", "–"),
}
"""How a verdict looks, so that no one has to tell it by its colour."""

CLOSED = ("Detailed results", "Replicas together", "Criteria and their sources", "Provenance")
"""Sections that a reader of two minutes does not ask for."""

TRAJECTORIES = "Trajectories"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page, its content already HTML."""

    title: str
    content: Markup
    panels: tuple[Panel, ...] = ()
    rows: tuple[Row, ...] = ()
    closed: bool = False

    @property
    def anchor(self) -> str:
        """For a link."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is read, and by what a column is sorted."""

    text: str
    key: float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A run in the table of runs."""

    cells: tuple[Cell, ...]
    verdict: str


def page(assessment: Assessment, text: str, output: Path) -> str:
    """The content of report.html, from that of report.md and what it was made from."""
    for model in assessment.models:
        text = _without_figure(text, f"figures/{figure_name(model)}.png")
    sections = list(_sections(re.sub(r"\*\*Holds for\*\*.*\n", "", text), output))  # it stands above
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
    return _rendered(
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


def _sections(text: str, output: Path) -> Iterator[Section]:
    """The parts of a text in Markdown, the first one beginning at its title."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    titles = re.split(r"^## (.+)$", text.replace("<br>\n", "  \n"), flags=re.MULTILINE)
    for title, content in zip(titles[1::2], titles[2::2], strict=True):
        made = parser.render(content.strip().removesuffix("---"))
        yield Section(title, Markup(_dressed(made, output)), closed=title.startswith(CLOSED))


def _dressed(html: str, output: Path) -> str:
    """With pictures inside, tables that may be wider than the page, and verdicts that show."""
    html = re.sub(r'src="(figures/[^"]+\.png)"', lambda found: f'src="{_inside(output / found[1])}"', html)
    html = html.replace("<table>", '<div class="wide"><table class="sortable">').replace("</table>", "</table></div>")
    return re.sub(r"<td>(?:<strong>)?([A-Z ]+)(?:</strong>)?</td>", _marked_cell, html)


def _inside(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def _marked_cell(found: re.Match[str]) -> str:
    return f"<td>{marked(found[1])}</td>" if found[1] in SIGNS or found[1] == "INCONCLUSIVE" else found[0]


def marked(verdict: str) -> Markup:
    """A verdict as a word, with its sign."""
    kind, sign = SIGNS.get(verdict, ("open", "?"))
    return Markup(f'<span class="mark {kind}"><span aria-hidden="true">{sign}</span> {escape(verdict)}</span>')


def _rendered(**vocabulary: object) -> str:
    environment = Environment(
        loader=PackageLoader("mdsuite.report"), undefined=StrictUndefined, autoescape=True, trim_blocks=True
    )
    environment.filters |= {"marked": marked, "drawn": _drawn, "finite": _finite}
    files = resources.files("mdsuite.report.page")
    return environment.get_template("report.html.j2").render(
        style=Markup((files / "page.css").read_text()),
        script=Markup((files / "page.js").read_text()),
        plotly=Markup(get_plotlyjs()),
        kind_of=lambda verdict: SIGNS.get(verdict, ("open", "?")),
        **vocabulary,
    )


def _drawn(panel: Panel) -> Markup:
    """A figure for a script element: nothing in it can end that element."""
    figure = json.loads(panel.figure.to_json())
    figure["layout"].pop("template", None)
    return Markup(json.dumps(figure).replace("<", "\\u003c"))


def _finite(key: float | str) -> str:
    """What a browser sorts by; what is not a number comes last."""
    return str(key) if isinstance(key, str) or math.isfinite(key) else ""
