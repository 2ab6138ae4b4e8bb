"""report.md and results.json of a comparison, and its end on the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mdsuite.files import write_json, write_text
from mdsuite.replacement.audit import Audit
from mdsuite.replacement.compare import UNITS, Paired, Replacement
from mdsuite.report import words
from mdsuite.report.markdown import rendered
from mdsuite.report.provenance import here
from mdsuite.report.results import SCHEMA
from mdsuite_analysis.paired import Standing
from mdsuite_analysis.span import REDUNDANT

PACKAGES = ("mdsuite", "torch", "scipy", "numpy", "ase", "vesin")
EXIT_CODES = {Standing.EQUIVALENT: 0, Standing.BETTER: 0, Standing.WORSE: 1, Standing.INCONCLUSIVE: 3}


def write_report(found: Replacement, output: Path) -> Path:
    """Write both; returns the path of report.md."""
    output.mkdir(parents=True, exist_ok=True)
    audit = found.audit if isinstance(found.audit, Audit) else None
    vocabulary = {
        "audit": audit,
        "unaudited": "" if audit else found.audit,
        "found": found,
        "data": ", ".join(each.name for each in found.question.data),
        "units": UNITS,
        "redundant": REDUNDANT,
        "number": words.number,
        "provenance": here(PACKAGES),
    }
    write_text(output / "report.md", rendered("compare.md.j2", vocabulary))
    write_json(output / "results.json", _results(found))
    return output / "report.md"


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
    if found.wanted:
        console.print(f"about {found.wanted} structures would decide", highlight=False)
    console.print(f"\noutcome: {found.standing}\nreport:  {report}", soft_wrap=True, highlight=False)


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
        "measurements": [_measurement(each) for each in found.paired],
        "missing": [] if audit is None else [{"name": each.name, "share": each.share} for each in audit.missing],
        "gained": [] if audit is None else [{"name": each.name, "share": each.share} for each in audit.gained],
        "cost": {"ratio": found.cost.ratio, "ci": list(found.cost.ci)},
        "verdicts": [],
        "causes": [],
        "runs": [],
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
