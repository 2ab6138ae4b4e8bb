"""report.md and results.json of a selftest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mdsuite.files import write_json
from mdsuite.judgement.judge import Judged
from mdsuite.report import words
from mdsuite.report.markdown import rendered
from mdsuite.report.page.readable import write_readable
from mdsuite.report.provenance import PACKAGES, here
from mdsuite.report.results import SCHEMA, cause_entry, measurement_entry, verdict_entry
from mdsuite.selftest.confusion import Confusion
from mdsuite.selftest.instruments import COLUMNS
from mdsuite.selftest.trial import Trial

Json = dict[str, Any]  # whatever json can hold


def write_selftest_report(confusion: Confusion, output: Path) -> Path:
    """Write report.md, report.html and results.json; returns the path of report.md."""
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "results.json", selftest_results(confusion))
    return write_readable(output, selftest_markdown(confusion), confusion.verdict)


def selftest_results(confusion: Confusion) -> Json:
    """The content of results.json; `trials` holds what is not in those of other commands."""
    return {
        "schema": SCHEMA,
        "verdict": confusion.verdict,
        "model": None,
        "engine": None,
        "provenance": here(PACKAGES),
        "measurements": [measurement_entry(each) for each in confusion.measurements],
        "verdicts": [verdict_entry(each) for each in confusion.judged],
        "causes": [],
        "runs": [],
        "trials": [_trial(each) for each in (*confusion.defects, *confusion.hosts)],
    }


def _trial(trial: Trial) -> Json:
    case = trial.case
    judged = [each for of in trial.findings for each in of.judged]
    return {
        "name": case.name,
        "defect": None if case.twin else case.animal.name,
        "host": case.host,
        "strength": case.strength,
        "unit_of_strength": case.animal.unit_of_strength,
        "signs": dict(trial.signs),
        "reason": trial.reason,
        "causes": [cause_entry(cause) for of in trial.findings for cause in of.causes],
        "allowed_causes": [] if case.twin else list(case.animal.causes),
        "wrong_causes": list(trial.wrong_causes),
        "measurements": [measurement_entry(each.measurement) for each in judged if each.measurement is not None],
        "verdicts": [verdict_entry(each) for each in judged],
    }


def selftest_markdown(confusion: Confusion) -> str:
    """The text of report.md."""
    seen = [column for column in COLUMNS if any(column in each.signs for each in confusion.trials)]
    vocabulary = {
        "confusion": confusion,
        "columns": seen,
        "cells": lambda trial: [str(trial.signs.get(column, "")) for column in seen],
        "share": _share,
        "finding": _finding,
        "number": words.number,
        "provenance": here(PACKAGES),
    }
    return rendered("selftest.md.j2", vocabulary)


def _share(part: tuple[Trial, ...], whole: tuple[Trial, ...]) -> str:
    return f"{len(part)} of {len(whole)}"


def _finding(judged: Judged) -> str:
    """A failed criterion with its number and its limit."""
    measured = words.quantity(judged.measurement, digits=2)
    return f"{judged.criterion.label}{_where(judged)}: {measured}, accepted {words.limit(judged)}"


def _where(judged: Judged) -> str:
    parts = [judged.subject[key] for key in ("pair", "replica", "engine") if key in judged.subject]
    return f" ({', '.join(parts)})" if parts else ""
