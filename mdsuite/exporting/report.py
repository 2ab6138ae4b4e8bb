"""report.md and results.json of an export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdsuite.assessed import AssessedModel, AssessedReplicas, AssessedRun
from mdsuite.dynamics import Dynamics, Pair
from mdsuite.examination import Examination, beside
from mdsuite.exporting.export import Export
from mdsuite.files import write_json
from mdsuite.judgement.judge import Judged, Verdict, worst
from mdsuite.report import words
from mdsuite.report.markdown import rendered
from mdsuite.report.page.readable import write_readable
from mdsuite.report.provenance import PACKAGES, here
from mdsuite.report.results import SCHEMA, measurement_entry, verdict_entry
from mdsuite_analysis.measurement import Measurement, about


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


@dataclass(frozen=True, slots=True)
class Moved:
    """Trajectories of a model and of its export; `reason` says why there are none.

    folder : where their own report is
    """

    dynamics: Dynamics | None = None
    folder: Path | None = None
    reason: str = "none were asked for (`--structure`)"

    @property
    def pairs(self) -> list[Pair]:
        """Each verdict on the model with that on the export."""
        return [] if self.dynamics is None else self.dynamics.pairs

    @property
    def changed(self) -> list[Pair]:
        """Those that are not the same."""
        return [] if self.dynamics is None else self.dynamics.changed

    @property
    def sides(self) -> list[tuple[str, AssessedModel]]:
        """Model and export, by these names."""
        of = self.dynamics
        return [] if of is None else [("model", of.baseline), ("export", of.candidate)]


def outcome(judged: Judged | None) -> str:
    """What a criterion says, or that it was not asked."""
    return "no verdict" if judged is None else judged.outcome


def of_what(pair: Pair) -> str:
    """Of which trajectories a verdict is, in words."""
    subject = next(each.subject for each in pair if each is not None)
    told = subject.get("replica", "")
    replica = [f"{told} replicas" if told.startswith("all") else f"replica {told}"] if told else []
    return ", ".join([*(subject[key] for key in ("structure", "engine") if key in subject), *replica])


def label(pair: Pair) -> str:
    """What a verdict is called."""
    return next(each.criterion.label for each in pair if each is not None)


def write_export_report(export: Export, checked: Checked, moved: Moved, output: Path) -> Path:
    """Write report.md, report.html and results.json; returns the path of report.md."""
    write_json(output / "results.json", export_results(export, checked, moved))
    vocabulary = {
        "export": export,
        "checked": checked,
        "pairs": list(checked.pairs),
        "moved": moved,
        "folder": None if moved.folder is None else moved.folder.relative_to(output),
        "label": label,
        "of_what": of_what,
        "outcome": outcome,
        "drift": words.drift,
        "temperatures": words.temperatures,
        "provenance": here((*PACKAGES, *(("onnx", "onnxruntime") if export.target == "onnx" else ()))),
        "quantity": words.quantity,
        "limit": words.limit,
        "of": lambda kind: [each for each in export.measurements if each.name.startswith(f"{kind}_")],
    }
    return write_readable(output, rendered("export.md.j2", vocabulary))


def export_results(export: Export, checked: Checked, moved: Moved) -> dict[str, Any]:
    """The content of results.json."""
    judged = () if checked.export is None else checked.export.judged
    of = moved.dynamics
    return {
        "schema": SCHEMA,
        "verdict": worst([checked.verdict, *([] if of is None else [of.candidate.verdict])]),
        "model": export.card.name,
        "engine": _engine(moved),
        "provenance": here(PACKAGES),
        "file": export.file.name,
        "target": export.target,
        "weights": export.weights or export.card.dtype,
        "bytes": {"model": export.sizes[0], "export": export.sizes[1]},
        "atoms": sorted(set(export.n_atoms)),
        "measurements": [
            *(measurement_entry(each) for each in export.measurements),
            *(measurement_entry(each) for each in _of_trajectories(moved)),
        ],
        "verdicts": [verdict_entry(each) for each in (*judged, *(() if of is None else of.candidate.judged))],
        "trajectories": {side: model.verdict for side, model in moved.sides},
        "changed_verdicts": [_change(each) for each in (*checked.changed, *moved.changed)],
        "causes": [],
        "runs": [] if of is None else [_run(each) for model in (of.baseline, of.candidate) for each in model.runs],
    }


def _engine(moved: Moved) -> str | list[str] | None:
    """Who integrated, as the results of a campaign have it."""
    names = list(dict.fromkeys(each.run.engine for _, model in moved.sides for each in model.runs))
    return names[0] if len(names) == 1 else names or None


def _of_trajectories(moved: Moved) -> Iterator[Measurement]:
    for side, model in moved.sides:
        measured: list[AssessedRun | AssessedReplicas] = [*model.runs, *model.replicas]
        yield from (about(each, of=side) for of in measured for each in of.measurements)


def _change(pair: Pair) -> dict[str, Any]:
    ours, theirs = pair
    subject = next(dict(each.subject) for each in pair if each is not None)
    return {"criterion": label(pair), "subject": subject, "model": outcome(ours), "export": outcome(theirs)}


def _run(each: AssessedRun) -> dict[str, Any]:
    ending = each.ending
    return {"id": each.run.id, "status": ending.status, "steps": ending.steps, "reason": ending.reason}
