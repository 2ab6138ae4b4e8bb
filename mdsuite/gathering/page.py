"""A campaign of any size for a person, and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdsuite.execution.supervise import Status
from mdsuite.files import write_json
from mdsuite.gathering.gather import Summary
from mdsuite.gathering.kinds import JudgedKind
from mdsuite.gathering.record import UNREADABLE
from mdsuite.gathering.store import FOLDER, write_kinds
from mdsuite.judgement.judge import Verdict
from mdsuite.report import words
from mdsuite.report.markdown import rendered
from mdsuite.report.page.readable import write_readable
from mdsuite.report.provenance import PACKAGES, here
from mdsuite.report.results import SCHEMA, json_number

KINDS_FILE = "kinds.parquet"
MOST_KINDS, MOST_REASONS = 20, 10


def write_page(of: Summary) -> Path:
    """Write report.md, report.html, results.json and a table of kinds; returns the path of report.md."""
    folder = of.output / FOLDER
    provenance = here((*PACKAGES, "pyarrow"))
    write_kinds(folder / KINDS_FILE, [_row(each) for each in of.kinds])
    write_json(folder / "results.json", _results(of, provenance))
    return write_readable(folder, _page(of, provenance), of.verdict)


def _page(of: Summary, provenance: Mapping[str, str]) -> str:
    flagged = sorted(
        (each for each in of.kinds if each.verdict is not Verdict.APPROVED),
        key=lambda each: (each.verdict is not Verdict.NOT_RECOMMENDED, -each.size),
    )
    met = {status for model in of.models for status in model.statuses}
    vocabulary = {
        "of": of,
        "statuses": [each for each in (*map(str, Status), UNREADABLE) if each in met],
        "flagged": flagged,
        "shown": flagged[:MOST_KINDS],
        "reasons": of.reasons[:MOST_REASONS],
        "folder": FOLDER,
        "kinds_file": KINDS_FILE,
        "provenance": provenance,
        "number": words.number,
        "quantity": lambda each: "not measured" if each is None else words.quantity(each, sign=True),
    }
    return rendered("campaign.md.j2", vocabulary)


def _row(kind: JudgedKind) -> dict[str, Any]:
    first, drift = kind.first, kind.drift
    low, high = (None, None) if drift is None or drift.ci is None else drift.ci
    return {
        "model": first.model,
        "model_sha256": first.model_sha256,
        "structure": first.structure,
        "n_atoms": first.n_atoms,
        "engine": first.engine,
        "temperature_K": first.temperature_K,
        "timestep_fs": first.timestep_fs,
        "runs": kind.n_runs,
        "done": kind.statuses[Status.DONE],
        "verdict": str(kind.verdict),
        "drift_meV_per_atom_per_ps": None if drift is None else drift.value,
        "drift_low": low,
        "drift_high": high,
        "unmet": "; ".join(kind.unmet),
    }


def _results(of: Summary, provenance: Mapping[str, str]) -> dict[str, Any]:
    """As the contract of results.json; runs and kinds are in the tables, of which it names the files."""
    names = [model.name for model in of.models]
    return {
        "schema": SCHEMA,
        "verdict": of.verdict,
        "model": names[0] if len(names) == 1 else names,
        "models": [
            {
                "name": model.name,
                "sha256": model.sha256,
                "verdict": model.verdict,
                "runs": dict(model.statuses),
                "kinds": dict(model.verdicts),
            }
            for model in of.models
        ],
        "engine": sorted({kind.first.engine for kind in of.kinds}),
        "provenance": dict(provenance),
        "measurements": [
            {
                "name": "mean_drift_median",
                "value": json_number(model.drifts[1]),
                "ci": [json_number(model.drifts[0]), json_number(model.drifts[2])],
                "confidence": 0.9,
                "unit": "meV/atom/ps",
                "subject": {"model": model.name},
                "note": "median over kinds, and the 5th and 95th percentile of them",
            }
            for model in of.models
            if model.drifts is not None
        ],
        "verdicts": [],
        "causes": [],
        "runs": [],
        "planned": of.n_planned,
        "ended": of.n_ended,
        "tables": ["runs-*.parquet", "measurements-*.parquet", KINDS_FILE],
    }
