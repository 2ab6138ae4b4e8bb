"""Writes report.md, results.json and the figures of an assessment."""

from __future__ import annotations

from pathlib import Path

from mdsuite.assessment import Assessment
from mdsuite.files import whole, write_json
from mdsuite.report.figures import draw
from mdsuite.report.markdown import markdown
from mdsuite.report.results import results


def write_report(assessment: Assessment, output: Path) -> Path:
    """Write everything that is read of an assessment; returns the path of report.md."""
    for model in assessment.models:
        draw(model, output / "figures")
    write_json(output / "results.json", results(assessment, output))
    report = output / "report.md"
    with whole(report) as temporary:
        temporary.write_text(markdown(assessment, output))
    return report
