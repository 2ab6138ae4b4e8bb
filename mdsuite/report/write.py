"""Writes report.md, results.json and the figures of an assessment."""

from __future__ import annotations

from pathlib import Path

from mdsuite.assessment import Assessment
from mdsuite.files import whole, write_json
from mdsuite.report.figures import draw, draw_divergence
from mdsuite.report.markdown import markdown
from mdsuite.report.results import results

RUN, AGREE = "report.md.j2", "agree.md.j2"


def write_report(assessment: Assessment, output: Path, template: str = RUN) -> Path:
    """Write everything that is read of an assessment, by one of the templates; returns the path of report.md."""
    if template == RUN:
        for model in assessment.models:
            draw(model, output / "figures")
    for comparison in assessment.plan.comparisons:
        draw_divergence(assessment.plan, comparison, output)
    write_json(output / "results.json", results(assessment, output))
    report = output / "report.md"
    with whole(report) as temporary:
        temporary.write_text(markdown(assessment, output, template))
    return report
