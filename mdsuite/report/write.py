"""Writes report.md, report.html, results.json and the figures of an assessment."""

from __future__ import annotations

from pathlib import Path

from mdsuite.analysis import Analysis
from mdsuite.assessed import Assessment
from mdsuite.examination import Examination
from mdsuite.files import write_json, write_text
from mdsuite.report.figures import draw, draw_divergence
from mdsuite.report.markdown import check_markdown, markdown, series_markdown
from mdsuite.report.page.readable import write_readable
from mdsuite.report.results import check_results, results, series_results


def write_series_report(analysis: Analysis, output: Path) -> Path:
    """Write report.md, report.html and results.json of a bare series; returns the path of report.md."""
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "results.json", series_results(analysis))
    return write_readable(output, series_markdown(analysis), analysis.verdict)


def write_check_report(examination: Examination, output: Path) -> Path:
    """Write report.md, report.html and results.json of static checks; returns the path of report.md."""
    write_json(output / "results.json", check_results(examination))
    return write_readable(output, check_markdown(examination), examination.verdict)


RUN, AGREE = "report.md.j2", "agree.md.j2"


def write_report(assessment: Assessment, output: Path, template: str = RUN) -> Path:
    """Write everything that is read of an assessment, by one of the templates; returns the path of report.md."""
    if template == RUN:
        for model in assessment.models:
            draw(model, output / "figures")
    for comparison in assessment.plan.comparisons:
        draw_divergence(assessment.plan, comparison, output)
    write_json(output / "results.json", results(assessment, output))
    text = markdown(assessment, output, template)
    if template != RUN:
        return write_readable(output, text, assessment.verdict)
    from mdsuite.report.page.build import page  # noqa: PLC0415  plotly takes time

    write_text(output / "report.md", text)
    write_text(output / "report.html", page(assessment, text, output))
    return output / "report.md"
