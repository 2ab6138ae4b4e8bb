"""report.md: the assessment for a person."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ase.formula import Formula
from ase.symbols import Symbols
from jinja2 import Environment, PackageLoader, StrictUndefined

from mdsuite.agreement import Agreement
from mdsuite.analysis import Analysis
from mdsuite.assessed import AssessedModel, AssessedRun, Assessment, outcomes_of
from mdsuite.examination import Examination
from mdsuite.execution.supervise import Status
from mdsuite.judgement.judge import Judged, Outcome, Verdict
from mdsuite.judgement.judge import verdict as judged_together
from mdsuite.judgement.trajectories import POOLED
from mdsuite.report import words
from mdsuite.report.figures import divergence_name, energies_drawn, figure_name
from mdsuite.report.provenance import PACKAGES, here, provenance
from mdsuite_analysis.measurement import Measurement

LABELS = MappingProxyType(
    {
        "total_drift_percent": "total drift, % of the initial energy",
        "max_drift_percent": "maximum drift, % of the initial energy",
        "drift_rate_percent_per_ps": "drift rate, % of the initial energy",
        "temperature_mean": "mean temperature",
        "mean_drift": "energy drift, mean over the replicas",
        "energy_diffusion": "diffusion of the energy per atom about its line",
        "diffusive_drift": "slope that the diffusion alone gives such a run, one sigma",
        "drift_heterogeneity": "scatter of the replicas' true drifts, one sigma",
        "drift_temperature_rate": "heating by it, at 3 k_B per atom",
        "drift_kT_per_ns_per_dof": "the same in kT per ns and degree of freedom",
        "drift_percent_of_kinetic": "the same in % of the kinetic energy",
        "safe_horizon": "until it has changed the temperature by 10 K; the low end is guaranteed",
        "thermostat_bias": "excess temperature that the same power makes under a Langevin thermostat",
        "survival_probability": "survival of the planned length (Kaplan-Meier)",
        "lyapunov_rate": "rate at which rounding errors grow",
        "kinetic_distribution_distance": "distance of the distributions of the kinetic energy, in standard deviations",
    }
)
COLUMNS = MappingProxyType(
    {
        "energy_parity": "Energy",
        "force_parity": "Forces",
        "virial_parity": "Virial",
        "divergence_ratio": "Trajectory",
    }
)
CELLS = MappingProxyType(
    {"stable": "passes", "unstable": "fails", "mixed": "fails in some replicas", "not run": "not decided or not run"}
)
LEDGER = ("ledger_", "jump_steps", "crossing_")
ENTRIES = ("jump", "work", "quadrature", "precision", "engine", "unexplained")
COUNTED = ("bonds", "fragments", "Å", "ps")  # of one analysis, whose note is printed once


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One criterion over all runs of a model."""

    label: str
    limit: str
    passed: int
    n: int
    status: str


def markdown(assessment: Assessment, output: Path, template: str) -> str:
    """The text of report.md by one of the templates."""
    return rendered(template, _vocabulary(assessment, output))


def series_markdown(analysis: Analysis) -> str:
    """The text of report.md for what has been integrated already."""
    vocabulary = {
        "analysis": analysis,
        "provenance": here(("mdsuite", "MDAnalysis", "numpy", "scipy")),
        "label": _label,
        "quantity": words.quantity,
        "note": words.note,
        "limit_of": lambda judged, measurement: _judged_as(judged, measurement, words.limit),
        "outcome_of": lambda judged, measurement: _judged_as(judged, measurement, lambda each: each.outcome.upper()),
        "against": lambda measurement: [
            each for each in (analysis.compared.judged if analysis.compared else ()) if each.measurement is measurement
        ],
        "more_time": lambda: words.more_time(analysis.judged, analysis.duration),
    }
    return rendered("analyze.md.j2", vocabulary)


def _label_together(measurement: Measurement) -> str:
    """With the note where it says something of this number alone, not of all replicas."""
    named = LABELS.get(measurement.name, measurement.name.replace("_", " "))
    noted = measurement.note and measurement.name in ("mean_drift", "survival_probability", "failure_rate")
    return f"{named} ({words.note(measurement)})" if noted else named


def _judged_as(judged: Sequence[Judged], measurement: Measurement, describe: Callable[[Judged], str]) -> str:
    """What is said of the verdict on a measurement, if there is one."""
    names = {measurement.name, *(name for name, pooled in POOLED.items() if pooled == measurement.name)}
    of_it = (each for each in judged if each.measurement is measurement or each.criterion.measurement in names)
    found = next(of_it, None)
    return "" if found is None else describe(found)


def check_markdown(examination: Examination) -> str:
    """The text of report.md for static checks."""
    judged = {id(each.measurement) for each in examination.judged}
    vocabulary = {
        "examination": examination,
        "provenance": here(PACKAGES),
        "quantity": words.quantity,
        "note": words.note,
        "limit": words.limit,
        "named": lambda each: _subject(each.measurement),
        "about": _subject,
        "unjudged": lambda of: [each for each in of.measurements if id(each) not in judged],
    }
    return rendered("check.md.j2", vocabulary)


def _subject(measurement: Measurement) -> str:
    """What a measurement is of, beyond model and structure."""
    parts = [value for key, value in measurement.subject.items() if key not in ("model", "structure")]
    return f" ({', '.join(parts)})" if parts else ""


def rendered(template: str, vocabulary: Mapping[str, object], **filters: Callable[[str], str]) -> str:
    """A template filled with words, no line left empty twice."""
    environment = Environment(
        loader=PackageLoader("mdsuite.report"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"zip": zip, "jumps": jumps, **filters}
    environment.globals.update(vocabulary)
    text = environment.get_template(template).render()
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _vocabulary(assessment: Assessment, output: Path) -> dict[str, object]:
    return {
        **_of_campaign(assessment, output),
        **_of_preparation(assessment),
        **_of_runs(assessment),
        **_of_replicas(),
        **_of_engines(assessment, output),
    }


def _of_campaign(assessment: Assessment, output: Path) -> dict[str, object]:
    """What every section asks of a campaign."""
    models = assessment.models
    return {
        "title": " and ".join(model.card.name for model in models),
        "status": f"{assessment.verdict} for {words.scope(assessment)}",
        "models": models,
        "scope": words.scope(assessment),
        "profile": assessment.profile,
        "provenance": provenance(assessment, output),
        "figures": {model.card.name: _figure(model, output) for model in models},
        "band": any(criterion.measurement == "temperature_mean" for criterion in assessment.profile.criteria),
        "summary": words.summary,
        "number": words.number,
        "quantity": words.quantity,
        "note": words.note,
        "limit": words.limit,
        "name_of": words.name_of,
        "findings": words.findings,
        "recommendations": lambda model: words.recommendations(model, assessment),
        "conclusion": lambda model: words.conclusion(model, assessment),
        "verdict": assessment.verdict,
        "dynamics": assessment.plan.campaign.dynamics,
    }


def _of_preparation(assessment: Assessment) -> dict[str, object]:
    """Prepared starts, and what is hot again from one."""
    return {
        "prepared": assessment.prepared,
        "preparation": assessment.plan.campaign.preparation,
        "released_per_atom": lambda relaxation: 1e3 * relaxation.released / _n_atoms(assessment, relaxation.structure),
        "twin": assessment.twin,
        "released": lambda run: _released(assessment, run),
    }


def _of_runs(assessment: Assessment) -> dict[str, object]:
    """Single runs, with their ledgers and the static gates of their models."""
    models = assessment.models
    return {
        "energies_drawn": energies_drawn,
        "completed": lambda model: sum(run.ending.status is Status.DONE for run in model.runs),
        "passed": lambda model: sum(run.verdict is Verdict.APPROVED for run in model.runs),
        "rows": rows,
        "formula": _formula,
        "ending": _ending,
        "shown": _shown,
        "label": _label,
        "limit_of": lambda run, measurement: _judged_as(run.judged, measurement, words.limit),
        "outcome_of": lambda run, measurement: _judged_as(run.judged, measurement, lambda each: each.outcome.upper()),
        "caused": lambda models: any(model.causes for model in models),
        "audited": lambda models: [run for model in models for run in model.runs if run.ledger is not None],
        "ledger_cells": _ledger_cells,
        "passed_gates": lambda model: len(outcomes_of(model.gates, Outcome.PASS)),
        "failed_gates": lambda model: [each for each in model.gates if each.outcome is not Outcome.PASS],
        "named": lambda each: _subject(each.measurement),
        "ungated": _ungated(assessment),
        "reversals": [each for model in models for each in model.reversals],
        "reversal": lambda of, name: next(
            (words.quantity(each, digits=2) for each in of.measurements if each.name == name), ""
        ),
    }


def _of_replicas() -> dict[str, object]:
    """Runs together, and ladders of them."""
    return {
        "replicated": lambda models: any(group.measurements for model in models for group in model.replicas),
        "measured": lambda ladder: [each for each in ladder.measurements if math.isfinite(each.value)],
        "cell": lambda word: CELLS[word],
        "label_together": _label_together,
        "shown_together": lambda group: [each for each in group.measurements if not math.isnan(each.value)],
        "limit_together": lambda group, measurement: _judged_as(group.judged, measurement, words.limit),
        "outcome_together": lambda group, measurement: _judged_as(
            group.judged, measurement, lambda each: each.outcome.upper()
        ),
        "span": _span,
    }


def _of_engines(assessment: Assessment, output: Path) -> dict[str, object]:
    """Engines beside each other."""
    return {
        "agreements": assessment.agreements,
        "engines_summary": " ".join(words.engines_summary(assessment)),
        "agreement_rows": _agreement_rows,
        "agreement_verdict": lambda agreement: judged_together(agreement.judged),
        "agreement_remedies": _agreement_remedies,
        "agreement_columns": list(COLUMNS.values()),
        "agreement_cells": _agreement_cells,
        "divergence_figures": [
            f"figures/{name}.png"
            for comparison in assessment.plan.comparisons
            if (output / f"figures/{(name := divergence_name(comparison))}.png").exists()
        ],
    }


def _released(assessment: Assessment, run: AssessedRun) -> float:
    """The potential energy (eV) that the start of a prepared run lost when it was relaxed."""
    relaxations = () if assessment.twin is None else assessment.twin.prepared.relaxations
    found = (each for each in relaxations if (each.model, each.structure) == (run.run.model_name, run.run.structure))
    return next((each.released for each in found), math.nan)


def _ungated(assessment: Assessment) -> str:
    """Why a model was not checked statically."""
    if not assessment.profile.gates:
        return f"the criteria '{assessment.profile.title}' do not ask for them"
    if not assessment.plan.campaign.check:
        return "--no-check was asked for"
    return "the model cannot be asked outside its engine"


def _n_atoms(assessment: Assessment, structure: str) -> int:
    return next(run.start.n_atoms for run in assessment.plan.runs if run.structure == structure)


def rows(model: AssessedModel) -> Iterator[Row]:
    """The validation results table of a model."""
    for criterion in words.criteria_of(model):
        judged = [each for each in model.judged if each.criterion is criterion]
        if judged[0] in model.gates:
            continue
        yield Row(
            label=criterion.label,
            limit=words.limit(judged[0]),
            passed=len(outcomes_of(judged, Outcome.PASS)),
            n=len(judged),
            status=_status(judged),
        )


def _agreement_cells(agreement: Agreement) -> list[str]:
    found = {each.name: each for each in agreement.measurements}
    return [words.number(found[name].value, 2) if name in found else "not measured" for name in COLUMNS]


def _agreement_rows(agreement: Agreement) -> Iterator[dict[str, str]]:
    """What was measured of two engines, with the limit where there is one."""
    judged = {each.criterion.measurement: each for each in agreement.judged}
    for measurement in agreement.measurements:
        of = judged.get(measurement.name)
        yield {
            "label": of.criterion.label if of else LABELS.get(measurement.name, measurement.name.replace("_", " ")),
            "value": words.quantity(measurement, digits=2),
            "limit": words.limit(of) if of else "",
            "outcome": of.outcome.upper() if of else "",
            "note": words.note(measurement),
        }


def _agreement_remedies(agreements: Sequence[Agreement]) -> list[str]:
    """What to do, once for each criterion that failed anywhere."""
    failed = [each.criterion for of in agreements for each in outcomes_of(of.judged, Outcome.FAIL)]
    return [f"{criterion.label}: {criterion.remedy}." for criterion in dict.fromkeys(failed)]


def _status(judged: list[Judged]) -> str:
    for outcome in (Outcome.FAIL, Outcome.NOT_RUN, Outcome.INCONCLUSIVE):
        if outcomes_of(judged, outcome):
            return outcome.upper()
    return Outcome.PASS.upper()


def _figure(model: AssessedModel, output: Path) -> str | None:
    relative = f"figures/{figure_name(model)}.png"
    return relative if (output / relative).exists() else None


def _formula(run: AssessedRun) -> str:
    return str(Formula(str(Symbols(run.run.start.numbers))).format("hill"))


def _ending(run: AssessedRun) -> str:
    if run.ending.status is Status.DONE:
        return f"Completed {run.ending.steps} steps"
    reason = run.ending.reason.replace("`", "'").replace("\n", " ")  # what a program said is shown as it is
    return f"{run.ending.status.capitalize()} after {run.ending.steps} of {run.run.n_steps} steps: `{reason}`"


def _shown(run: AssessedRun) -> list[Measurement]:
    """All but the ledger, which has a table of its own, and the time of the first break where nothing broke."""
    kept = [each for each in run.measurements if not each.name.startswith(LEDGER)]
    return [each for each in kept if each.name != "first_break_time" or math.isfinite(each.value)]


def _label(measurement: Measurement) -> str:
    name = LABELS.get(measurement.name, measurement.name.replace("_", " "))
    noted = measurement.note and (measurement.unit not in COUNTED or measurement.name == "broken_bonds")
    return f"{name} ({words.note(measurement)})" if noted else name


def _ledger_cells(run: AssessedRun) -> list[str]:
    """What the energy ledger says of a run, or why it says nothing."""
    if run.ledger is None or not run.ledger.measurements:
        return [f"not measured: {run.ledger.unmeasured}" if run.ledger else "", *[""] * len(ENTRIES)]
    found = {each.name: each for each in run.measurements}
    cells = [words.quantity(found.get(f"ledger_{entry}"), unit=False, sign=True) for entry in ENTRIES]
    return [words.number(_energy_change(run)), *cells]


def jumps(run: AssessedRun) -> list[Measurement]:
    """The largest steps of the energy that the ledger has kept."""
    return [each for each in run.measurements if each.name == "ledger_jump_at"]


def _energy_change(run: AssessedRun) -> float:
    energies = run.energies
    if energies is None or not energies.duration > 0.0:
        return math.nan
    change = float(energies.total_energy[-1] - energies.total_energy[0])
    return 1e3 * change / (energies.n_atoms * energies.duration)


def _span(model: AssessedModel, name: str) -> str:
    found = (run.drift if name == "drift" else run.measured(name) for run in model.runs)
    values = [each.value for each in found if each is not None]
    if not values:
        return "not measured"
    return words.span(values)
