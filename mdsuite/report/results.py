"""results.json: the assessment for programs."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mdsuite.agreement import Agreement
from mdsuite.analysis import Analysis
from mdsuite.assessed import AssessedLadder, AssessedReplicas, AssessedRun, Assessment
from mdsuite.examination import Examination, Examined
from mdsuite.judgement.causes import Cause
from mdsuite.judgement.judge import Judged, Verdict
from mdsuite.preparation import Prepared
from mdsuite.report.provenance import PACKAGES, here, provenance
from mdsuite.reversal import Reversed
from mdsuite_analysis.measurement import Measurement
from mdsuite_driver.models.protocol import ModelCard

SCHEMA = "mdsuite-results/1"
Json = dict[str, Any]  # whatever json can hold


def results(assessment: Assessment, output: Path) -> Json:
    """The content of results.json; what is no number is null, and infinity the largest number there is."""
    names = [model.card.name for model in assessment.models]
    engines = assessment.plan.campaign.engine
    return {
        "schema": SCHEMA,
        "verdict": assessment.verdict,
        "model": names[0] if len(names) == 1 else names,
        "models": [
            model_entry(model.card, model.verdict if model.judged else assessment.verdict)
            for model in assessment.models
        ],
        "engine": engines[0] if len(engines) == 1 else list(engines),
        "provenance": provenance(assessment, output),
        "measurements": [
            *(measurement_entry(each) for of in _measured(assessment) for each in of.measurements),
            *(measurement_entry(each) for each in _of_ladders(assessment)),
        ],
        "envelopes": [_envelope(ladder) for model in assessment.models for ladder in model.ladders],
        "verdicts": [verdict_entry(each) for of in _measured(assessment) for each in of.judged],
        "causes": [{**cause_entry(cause), "model": model} for model, cause in _causes(assessment)],
        "preparation": _preparation(assessment.prepared),
        "prepared_twin": _twin(assessment.twin),
        "runs": [
            {
                "id": each.run.id,
                "status": each.ending.status,
                "steps": each.ending.steps,
                "reason": each.ending.reason,
                "events": list(each.ending.events),
                "traceback": each.ending.traceback,
                "verdict": each.verdict,
                "subject": {
                    "model": each.run.model_name,
                    "structure": each.run.structure,
                    "replica": str(each.run.replica),
                    "engine": each.run.engine,
                },
            }
            for each in assessment.runs
        ],
    }


def _twin(twin: Assessment | None) -> Json | None:
    if twin is None:
        return None
    return {
        "verdict": twin.verdict,
        "preparation": _preparation(twin.prepared),
        "runs": [{"id": each.run.id, "structure": each.run.structure, "verdict": each.verdict} for each in twin.runs],
    }


def _preparation(prepared: Prepared) -> Json:
    equilibration = prepared.equilibration
    runs = () if equilibration is None else equilibration.runs
    return {
        "relaxations": [asdict(each) for each in prepared.relaxations],
        "equilibrations": [{"id": run.id, "status": prepared.endings[run.id].status} for run in runs],
    }


def series_results(analysis: Analysis) -> Json:
    """The content of results.json for a bare series of energies."""
    return {
        "schema": SCHEMA,
        "verdict": analysis.verdict,
        "model": None,
        "engine": None,
        "provenance": here(("mdsuite", "MDAnalysis", "numpy", "scipy")),
        "measurements": [measurement_entry(each) for each in analysis.measurements],
        "verdicts": [verdict_entry(each) for each in analysis.judged],
        "causes": [],
        "runs": [],
    }


def check_results(examination: Examination) -> Json:
    """The content of results.json for static checks."""
    card = examination.card
    return {
        "schema": SCHEMA,
        "verdict": examination.verdict,
        "model": card.name,
        "models": [model_entry(card, examination.verdict)],
        "engine": None,
        "provenance": here(PACKAGES),
        "measurements": [measurement_entry(each) for each in examination.measurements],
        "verdicts": [verdict_entry(each) for each in examination.judged],
        "causes": [{**cause_entry(each), "model": card.name} for each in examination.causes],
        "runs": [],
    }


def model_entry(card: ModelCard, verdict: Verdict) -> Json:
    """A model, as results.json has it."""
    return {
        "name": card.name,
        "kind": card.kind,
        "n_parameters": card.n_parameters,
        "dtype": card.dtype,
        "cutoff": card.cutoff,
        "sha256": card.sha256,
        "verdict": verdict,
    }


def _measured(assessment: Assessment) -> Iterator[Examined | AssessedRun | AssessedReplicas | Reversed | Agreement]:
    for model in assessment.models:
        yield from () if model.examination is None else model.examination.examined
        yield from model.runs
        yield from model.replicas
        yield from model.reversals
    yield from assessment.agreements


def _of_ladders(assessment: Assessment) -> Iterator[Measurement]:
    for model in assessment.models:
        for ladder in model.ladders:
            yield from ladder.measurements


def _envelope(ladder: AssessedLadder) -> Json:
    of = ladder.envelope
    return {
        "start": ladder.name,
        "temperatures_K": list(of.temperatures),
        "timesteps_fs": [1e3 * timestep for timestep in of.timesteps],
        "outcomes": [list(row) for row in of.words],
        "safe": None if of.safe is None else [of.safe[0], 1e3 * of.safe[1]],
    }


def _causes(assessment: Assessment) -> Iterator[tuple[str, Cause]]:
    """Each with the name of the model that it is a cause in."""
    for model in assessment.models:
        yield from ((model.card.name, each) for each in model.causes)
    for agreement in assessment.agreements:
        if agreement.cause is not None:
            yield agreement.run.model_name, agreement.cause


def cause_entry(cause: Cause) -> Json:
    """A cause for programs."""
    return {
        "name": cause.name,
        "share": cause.share,
        "evidence": list(cause.evidence),
        "remedy": cause.remedy,
        "finding": cause.sentence,
    }


def measurement_entry(measurement: Measurement) -> Json:
    """A measurement for programs."""
    exact = (measurement.value, measurement.value)  # a count, or a property of the recorded series itself
    interval = measurement.ci or exact
    return {
        "name": measurement.name,
        "value": json_number(measurement.value),
        "ci": [json_number(bound) for bound in interval],
        "confidence": measurement.confidence if measurement.ci else 1.0,
        "unit": measurement.unit,
        "subject": dict(measurement.subject),
        "note": measurement.note,
    }


def verdict_entry(judged: Judged) -> Json:
    """A verdict for programs."""
    criterion = judged.criterion
    return {
        "measurement": criterion.measurement,
        "criterion": criterion.label,
        "limit": list(judged.limit),
        "unit": criterion.unit,
        "source": criterion.source,
        "outcome": judged.outcome,
        "subject": dict(judged.subject),
    }


def json_number(value: float) -> float | None:
    """As JSON takes it: infinity is the largest number there is, and what is no number is null."""
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else math.copysign(sys.float_info.max, value)
