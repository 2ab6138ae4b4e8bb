"""report.md and results.json of a comparison, and its end on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mdsuite.dynamics import FOLDER, Dynamics
from mdsuite.files import write_json, write_text
from mdsuite.judgement.judge import Judged
from mdsuite.replacement.audit import Audit
from mdsuite.replacement.compare import NOT_ASKED
from mdsuite.replacement.cost import N_EVALUATIONS, Resource
from mdsuite.replacement.evaluators import N_STRUCTURES
from mdsuite.replacement.found import ALL, UNITS, Paired, Replacement
from mdsuite.replacement.soundness import Soundness
from mdsuite.replacement.thresholds import Threshold, as_toml
from mdsuite.report import words
from mdsuite.report.markdown import rendered
from mdsuite.report.page.readable import write_readable
from mdsuite.report.provenance import here
from mdsuite.report.results import SCHEMA, measurement_entry
from mdsuite_analysis.measurement import Measurement, about
from mdsuite_analysis.paired import Standing
from mdsuite_analysis.span import REDUNDANT

PACKAGES = ("mdsuite", "torch", "scipy", "numpy", "ase", "vesin")
EXIT_CODES = {Standing.EQUIVALENT: 0, Standing.BETTER: 0, Standing.WORSE: 1, Standing.INCONCLUSIVE: 3}


def write_report(found: Replacement, output: Path) -> Path:
    """Write both; returns the path of report.md."""
    output.mkdir(parents=True, exist_ok=True)
    audit = found.audit if isinstance(found.audit, Audit) else None
    sides = found.baseline, found.candidate
    vocabulary = {
        "audit": audit,
        "unaudited": "" if audit else found.audit,
        "found": found,
        "data": ", ".join(each.name for each in found.question.data),
        "refitted": all(each.linear for each in sides),
        "scatter": any(each.ratio.trainings_scatter for each in found.paired if each.group == ALL),
        "deficient": [(of.name, each) for of, each in zip(sides, found.deficient, strict=True) if each],
        "refused": [_refusal(each) for each in found.thresholds if each.kept and not each.met],
        "evaluators": []
        if isinstance(found.evaluators, str)
        else [(of.name, ways) for of, ways in zip(sides, found.evaluators, strict=True)],
        "kinds": {each.name: each.card.kind for each in sides},
        "examined": None if isinstance(found.soundness, str) else found.soundness.baseline.examined[0],
        "distances": [] if isinstance(found.dynamics, str) else list(_distances(found.dynamics)),
        "unmeasured": [] if isinstance(found.dynamics, str) else _unmeasured(found.dynamics),
        "drift": words.drift,
        "temperatures": words.temperatures,
        "folder": FOLDER,
        "not_asked": NOT_ASKED,
        "n_evaluated": N_STRUCTURES,
        "n_evaluations": N_EVALUATIONS,
        "units": UNITS,
        "redundant": REDUNDANT,
        "number": words.number,
        "bound": lambda value: words.number(value) if math.isfinite(value) else "not known",
        "quantity": words.quantity,
        "limit": words.limit,
        "provenance": here(PACKAGES),
    }
    report = write_readable(output, rendered("compare.md.j2", vocabulary), found.standing)
    write_json(output / "results.json", _results(found))
    if found.accepted and found.thresholds:
        title = f"errors of {found.candidate.name} on structures of {vocabulary['data']}"
        write_text(output / "thresholds.toml", as_toml(found.thresholds, title))
    return report


def print_end(found: Replacement, report: Path) -> None:
    """The errors on all structures, what was lost, and the outcome."""
    console = Console()
    names = found.baseline.name, found.candidate.name
    table = Table("not fitted", *names, "ratio [95 % interval]", "", box=None)
    for each in found.paired:
        interval = f" [{each.ratio.ci[0]:.3g}, {each.ratio.ci[1]:.3g}]" if each.ratio.ci else ""
        errors = (f"{error:.3g} {UNITS[each.kind]}" for error in each.errors)
        table.add_row(f"{each.kind}, {each.group}", *errors, f"{each.ratio.value:.3g}{interval}", each.ratio.says)
    console.print(table)
    if isinstance(found.audit, Audit) and found.audit.missing:
        lost = "; ".join(each.name for each in found.audit.missing)
        words_of = f"\n{len(found.audit.missing)} functions of {names[0]} are out of the span of {names[1]}: {lost}"
        console.print(words_of, markup=False, highlight=False, soft_wrap=True)
    for reason in found.reasons:
        if reason.says not in (Standing.EQUIVALENT, Standing.BETTER):
            console.print(f"{reason.what}: {reason.says}", markup=False, highlight=False, soft_wrap=True)
    if found.wanted:
        console.print(f"about {found.wanted} structures would decide", highlight=False)
    console.print(f"\noutcome: {found.standing}\n{words.where(report)}", soft_wrap=True, highlight=False)


def _refusal(each: Threshold) -> str:
    return f"{each.kind} of {each.group} ({words.number(each.limit or math.nan)} {UNITS[each.kind]})"


def _distances(of: Dynamics) -> Iterator[tuple[str, Measurement, Judged | None]]:
    """Each with the structure that it is of, and what a criterion says of it, where there is one."""
    for name, compared in of.distances:
        judged = {each.measurement.name: each for each in compared.judged if each.measurement is not None}
        for each in compared.measurements:
            yield name, each, judged.get(each.name)


def _unmeasured(of: Dynamics) -> list[str]:
    """Why distances are not there, each reason once."""
    return list(dict.fromkeys(words.note(each) for _, compared in of.distances for each in compared.unmeasured))


def _results(found: Replacement) -> dict[str, Any]:
    audit = found.audit if isinstance(found.audit, Audit) else None
    return {
        "schema": SCHEMA,
        "verdict": found.standing,
        "model": found.candidate.name,
        "baseline": {"name": found.baseline.name, "sha256": found.baseline.card.sha256},
        "candidate": {"name": found.candidate.name, "sha256": found.candidate.card.sha256},
        "engine": None,
        "provenance": here(PACKAGES),
        "margin": found.question.margin,
        "structures": found.n_structures,
        "reasons": [{"what": each.what, "says": each.says} for each in found.reasons],
        "measurements": [
            *(_measurement(each) for each in found.paired),
            *(measurement_entry(each) for each in _of_trajectories(found)),
        ],
        "thresholds": [_threshold(each) for each in found.thresholds],
        "evaluators": _evaluators(found),
        "static": {} if isinstance(found.soundness, str) else _static(found.soundness),
        "undetermined": [list(each.functions) if each else [] for each in found.deficient],
        "missing": [] if audit is None else [{"name": each.name, "share": each.share} for each in audit.missing],
        "gained": [] if audit is None else [{"name": each.name, "share": each.share} for each in audit.gained],
        "cost": [] if isinstance(found.cost, str) else [_resource(each) for each in found.cost.resources],
        "verdicts": [],
        "causes": [],
        "runs": [],
    }


def _of_trajectories(found: Replacement) -> list[Measurement]:
    if isinstance(found.dynamics, str):
        return []
    return [about(each, structure=name) for name, each in found.dynamics.measurements]


def _threshold(each: Threshold) -> dict[str, Any]:
    return {
        "group": each.group,
        "kind": each.kind,
        "limit": each.limit,
        "baseline": each.baseline.value,
        "candidate": each.candidate.value,
        "kept": each.kept,
        "says": each.says,
    }


def _evaluators(found: Replacement) -> list[dict[str, Any]]:
    if isinstance(found.evaluators, str):
        return []
    return [
        {"model": side.name, "name": each.name, "largest": dict(each.largest) or None, "agrees": each.agrees}
        for side, ways in zip((found.baseline, found.candidate), found.evaluators, strict=True)
        for each in ways
    ]


def _static(of: Soundness) -> dict[str, str]:
    return {"baseline": of.baseline.verdict, "candidate": of.candidate.verdict}


def _resource(each: Resource) -> dict[str, Any]:
    return {
        "name": each.name,
        "unit": each.unit,
        "baseline": each.baseline,
        "candidate": each.candidate,
        "ratio": each.ratio,
        "ci": None if each.ci is None else list(each.ci),
    }


def _measurement(each: Paired) -> dict[str, Any]:
    ratio = each.ratio
    return {
        "name": f"{each.kind}_error_ratio",
        "value": ratio.value if math.isfinite(ratio.value) else None,
        "ci": None if ratio.ci is None else [bound if math.isfinite(bound) else None for bound in ratio.ci],
        "unit": "1",
        "subject": {"group": each.group},
        "errors": list(each.errors),
        "says": ratio.says,
        "wanted": ratio.wanted,
    }
