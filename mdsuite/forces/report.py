"""report.md, results.json and the figure of a comparison of forces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mdsuite.files import write_json
from mdsuite.forces.evaluate import ForceReport
from mdsuite.forces.figure import draw_forces
from mdsuite.judgement.judge import Verdict
from mdsuite.report import words
from mdsuite.report.markdown import rendered
from mdsuite.report.page.readable import write_readable
from mdsuite.report.provenance import PACKAGES, here
from mdsuite.report.results import SCHEMA, measurement_entry, model_entry
from mdsuite_analysis.measurement import Measurement

LABELS = {
    "force_r2_component": "R², by component",
    "force_rmse_component": "RMSE, by component",
    "force_mae_component": "MAE, by component",
    "force_r2_magnitude": "R², by magnitude",
    "force_rmse_magnitude": "RMSE, by magnitude",
    "force_mae_magnitude": "MAE, by magnitude",
    "force_angle_mean": "mean angular error",
    "force_error_p90": "90th percentile of the length of the error",
    "force_error_p95": "95th percentile of the length of the error",
    "force_error_max": "largest error",
    "energy_mae": "energy, MAE",
    "energy_mae_shifted": "energy, MAE beside an energy for each element",
}
IN_TABLES = ("force_r2_component", "force_rmse_component", "force_mae_component")


def write_forces_report(report: ForceReport, output: Path) -> Path:
    """Write report.md, report.html, results.json and figures; returns the path of report.md."""
    draw_forces(report, output / "figures")
    write_json(output / "results.json", forces_results(report))
    vocabulary = {
        "report": report,
        "provenance": here(PACKAGES),
        "labels": LABELS,
        "overall": [each for each in report.measurements if not each.subject],
        "rows": lambda key: list(_rows(report, key)),
        "quantity": force_quantity,
        "note": words.note,
        "reasons": sorted({each.reason for each in report.unanswered}),
    }
    return write_readable(output, rendered("forces.md.j2", vocabulary))


def forces_results(report: ForceReport) -> dict[str, Any]:
    """The content of results.json; forces alone approve nothing, so that the verdict is open."""
    return {
        "schema": SCHEMA,
        "verdict": Verdict.INCONCLUSIVE,
        "model": report.card.name,
        "models": [model_entry(report.card, Verdict.INCONCLUSIVE)],
        "engine": None,
        "provenance": here(PACKAGES),
        "reference": report.references.origin,
        "frames": {
            "compared": len(report.compared),
            "without_finite_reference": report.references.n_dropped,
            "without_answer": len(report.unanswered),
        },
        "measurements": [measurement_entry(each) for each in report.measurements],
        "verdicts": [],
        "causes": [],
        "runs": [],
    }


def force_quantity(measurement: Measurement) -> str:
    """With the digits that tell one R² near one from another."""
    return words.quantity(measurement, digits=5 if "_r2_" in measurement.name else 3)


def _rows(report: ForceReport, key: str) -> Iterator[tuple[str, list[Measurement]]]:
    """Each element or structure with what is tabulated of it."""
    for name in dict.fromkeys(each.subject[key] for each in report.measurements if key in each.subject):
        own = {each.name: each for each in report.measurements if each.subject.get(key) == name}
        yield name, [own[each] for each in IN_TABLES]
