"""report.md and results.json of an export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdsuite.examination import Examination, beside
from mdsuite.exporting.export import Export
from mdsuite.files import write_json
from mdsuite.judgement.judge import Judged, Verdict
from mdsuite.report import words
from mdsuite.report.markdown import rendered
from mdsuite.report.page.readable import write_readable
from mdsuite.report.provenance import PACKAGES, here
from mdsuite.report.results import SCHEMA, measurement_entry, verdict_entry


@dataclass(frozen=True, slots=True)
class Checked:
    """The static checks of a model and of its export; `reason` says why there are none."""

    model: Examination | None = None
    export: Examination | None = None
    reason: str = ""

    @property
    def pairs(self) -> Iterator[tuple[Judged, Judged]]:
        """Each verdict on the model with that on the export."""
        if self.model is None or self.export is None:
            return
        yield from beside(self.model, self.export)

    @property
    def changed(self) -> list[tuple[Judged, Judged]]:
        """Those that are not the same."""
        return [(ours, theirs) for ours, theirs in self.pairs if ours.outcome != theirs.outcome]

    @property
    def verdict(self) -> Verdict:
        """On the export; what was not checked is not approved."""
        return Verdict.INCONCLUSIVE if self.export is None else self.export.verdict


def write_export_report(export: Export, checked: Checked, output: Path) -> Path:
    """Write report.md, report.html and results.json; returns the path of report.md."""
    write_json(output / "results.json", export_results(export, checked))
    vocabulary = {
        "export": export,
        "checked": checked,
        "pairs": list(checked.pairs),
        "provenance": here((*PACKAGES, *(("onnx", "onnxruntime") if export.target == "onnx" else ()))),
        "quantity": words.quantity,
        "limit": words.limit,
        "of": lambda kind: [each for each in export.measurements if each.name.startswith(f"{kind}_")],
    }
    return write_readable(output, rendered("export.md.j2", vocabulary))


def export_results(export: Export, checked: Checked) -> dict[str, Any]:
    """The content of results.json."""
    judged = () if checked.export is None else checked.export.judged
    return {
        "schema": SCHEMA,
        "verdict": checked.verdict,
        "model": export.card.name,
        "engine": None,
        "provenance": here(PACKAGES),
        "file": export.file.name,
        "target": export.target,
        "weights": export.weights or export.card.dtype,
        "bytes": {"model": export.sizes[0], "export": export.sizes[1]},
        "atoms": sorted(set(export.n_atoms)),
        "measurements": [measurement_entry(each) for each in export.measurements],
        "verdicts": [verdict_entry(each) for each in judged],
        "changed_verdicts": [
            {"criterion": ours.criterion.label, "model": ours.outcome, "export": theirs.outcome}
            for ours, theirs in checked.changed
        ],
        "causes": [],
        "runs": [],
    }
