"""A page of one self-contained file: the parts of a text in Markdown, tables that sort, figures that can be asked."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from mdsuite.judgement.judge import Outcome, Verdict
from mdsuite_analysis.paired import Standing

if TYPE_CHECKING:
    from mdsuite.report.page.plots import Panel

SIGNS = {
    Verdict.APPROVED: ("good", "✓"),
    Verdict.CONDITIONAL: ("open", "◐"),
    Verdict.NOT_RECOMMENDED: ("bad", "✗"),
    Verdict.INCONCLUSIVE: ("open", "?"),
    Standing.EQUIVALENT: ("good", "✓"),
    Standing.BETTER: ("good", "✓"),
    Standing.WORSE: ("bad", "✗"),
    Standing.INCONCLUSIVE: ("open", "?"),
    Outcome.PASS.upper(): ("good", "✓"),
    Outcome.FAIL.upper(): ("bad", "✗"),
    Outcome.NOT_RUN.upper(): ("open", "–"),
}
"""How a verdict looks, so that no one has to tell it by its colour."""

CLOSED = ("Detailed results", "Replicas together", "Criteria and their sources", "Provenance")
"""Sections that a reader of two minutes does not ask for."""

STATUS = "STATUS: "


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


def sections_of(text: str, output: Path) -> Iterator[Section]:
    """The parts of a text in Markdown, the first one beginning at its title."""
    titles = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    for title, content in zip(titles[1::2], titles[2::2], strict=True):
        yield Section(title, html_of(content, output), closed=title.startswith(CLOSED))


def html_of(text: str, output: Path) -> Markup:
    """A text in Markdown without headings of its own level, with pictures inside."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    made = parser.render(text.replace("<br>\n", "  \n").strip().removesuffix("---"))
    return Markup(_dressed(made, output))


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


def text_page(text: str, output: Path, verdict: str = "") -> str:
    """The page of any report in Markdown, its pictures inside; one without a verdict is headed by none."""
    title, _, content = text.partition("\n")
    preface, *_ = re.split(r"^## ", content, maxsplit=1, flags=re.MULTILINE)
    sections = list(sections_of(content, output))
    about, scope = html_of(preface, output), ""
    if sections and sections[0].title.startswith(STATUS):
        status, *sections = sections
        about, scope = about + status.content, status.title.removeprefix(f"{STATUS}{verdict}").removeprefix(" for ")
    return rendered(
        title=title.removeprefix("# "), verdict=verdict, holds_for=scope, why=[], about=about, sections=sections
    )


def rendered(*, sections: Sequence[Section], **vocabulary: object) -> str:
    """By the template; the library that draws is inside where something is drawn."""
    drawn = any(section.panels for section in sections)
    environment = Environment(
        loader=PackageLoader("mdsuite.report"), undefined=StrictUndefined, autoescape=True, trim_blocks=True
    )
    environment.filters |= {"marked": marked, "drawn": _drawn, "finite": _finite}
    files = resources.files("mdsuite.report.page")
    return environment.get_template("report.html.j2").render(
        style=Markup((files / "page.css").read_text()),
        script=Markup((files / "page.js").read_text()),
        plotly=Markup(_plotly()) if drawn else "",
        sections=sections,
        kind_of=lambda verdict: SIGNS.get(verdict, ("open", "?")),
        **vocabulary,
    )


def _plotly() -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415  takes time

    return str(get_plotlyjs())


def _drawn(panel: Panel) -> Markup:
    """A figure for a script element: nothing in it can end that element."""
    figure = json.loads(panel.figure.to_json())
    figure["layout"].pop("template", None)
    return Markup(json.dumps(figure).replace("<", "\\u003c"))


def _finite(key: float | str) -> str:
    """What a browser sorts by; what is not a number comes last."""
    return str(key) if isinstance(key, str) or math.isfinite(key) else ""
