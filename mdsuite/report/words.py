"""Numbers and findings as words; every sentence states what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from mdsuite.assessed import AssessedModel, AssessedReplicas, AssessedRun, Assessment, outcomes_of
from mdsuite.constants import BOLTZMANN
from mdsuite.engines.kinds import engine_kind
from mdsuite.execution.supervise import Status
from mdsuite.judgement.criteria import HORIZON, Criterion
from mdsuite.judgement.judge import Judged, Outcome, Verdict, verdict
from mdsuite.judgement.power import time_to_decide
from mdsuite_analysis.measurement import NOT_KNOWN, Measurement, named
from mdsuite_analysis.transient import FRACTION

KELVIN_PER_MEV = 1e-3 / (3.0 * BOLTZMANN)  # by a heat capacity of 3 k_B per atom
COOLED, HEATED = 0.75, 1.5  # of the target temperature, beyond which the report says where kinetic energy went


def number(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, without an exponent where that is readable."""
    if not math.isfinite(value):
        return str(value)
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{places}f}"


def quantity(measurement: Measurement | None, *, sign: bool = False, unit: bool = True, digits: int = 3) -> str:
    """A measurement with its interval and unit."""
    if measurement is None:
        return "not measured"
    if math.isnan(measurement.value):
        return "not known" if measurement.note.startswith(NOT_KNOWN) else "nan"
    name = f" {measurement.unit}" if unit and measurement.unit != "1" else ""
    plus = "+" if sign and measurement.value >= 0 else ""
    if measurement.ci is None:
        return f"{_exact(measurement.value)}{name}"
    low, high = measurement.ci
    return f"{plus}{number(measurement.value, digits)} [{number(low, digits)}, {number(high, digits)}]{name}"


def drift(group: AssessedReplicas) -> str:
    """The mean drift of replicas with its interval, or that of a single one."""
    alone = group.runs[0].drift if len(group.runs) == 1 else None
    return quantity(named(group.measurements, "mean_drift") or alone, sign=True)


def temperatures(group: AssessedReplicas) -> str:
    """The mean temperatures of replicas, from the lowest to the highest."""
    found = [each.value for run in group.runs if (each := run.measured("temperature_mean")) is not None]
    if not found:
        return "not measured"
    if len(found) == 1:
        return f"{found[0]:.0f} K"
    return f"{min(found):.0f} to {max(found):.0f} K over {len(found)} replicas"


def note(measurement: Measurement) -> str:
    """What a reader must know of a measurement, beside its value."""
    return measurement.note.removeprefix(NOT_KNOWN)


def _exact(value: float) -> str:
    """A count as a whole number, any other number to three digits."""
    return f"{value:.0f}" if math.isfinite(value) and value == round(value) else number(value)


def limit(judged: Judged) -> str:
    """A criterion's range with its unit."""
    return _range_of(*judged.limit, judged.criterion.unit)


def span_of(criterion: Criterion) -> str:
    """The same of a criterion that nothing was judged by."""
    if criterion.relative_to is None:
        return _range_of(criterion.low, criterion.high, criterion.unit)
    return f"{_range_of(criterion.low, criterion.high, '1')} of the {criterion.relative_to}"


def _range_of(low: float | None, high: float | None, of: str) -> str:
    unit = "" if of == "1" else f" {of}"
    if low is None:
        return f"at most {_exact(high or 0.0)}{unit}"
    if high is None:
        return f"at least {_exact(low)}{unit}"
    return f"{_exact(low)} to {_exact(high)}{unit}"


def where(report: Path) -> str:
    """Where the files that a person reads are, a line each; `report` is that of report.md."""
    return f"report:  {report}\npage:    {report.with_suffix('.html')}"


def name_of(run: AssessedRun) -> str:
    """A run as a reader calls it."""
    return ", ".join([run.run.structure, f"replica {run.run.replica}", *filter(None, (run.engine, run.rung))])


def scope(assessment: Assessment) -> str:
    """What the verdict holds for."""
    campaign = assessment.plan.campaign
    dynamics = campaign.dynamics
    ensemble = dynamics.ensemble.upper()
    if dynamics.ensemble == "nvt":
        ensemble += f" ({dynamics.thermostat}, {dynamics.relaxation_ps:g} ps)"
    return (
        f"{ensemble} at {_listed(dynamics.temperature_K)} K, {_listed(dynamics.timestep_fs)} fs steps, "
        f"{dynamics.time_ps:g} ps, in {' and '.join(engine_kind(name).title for name in campaign.engine)}"
    )


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def summary(model: AssessedModel) -> list[str]:
    """What came out, in one sentence for each criterion that did not pass everywhere."""
    n = len(model.runs)
    passed = sum(run.verdict is Verdict.APPROVED for run in model.runs)
    sentences = [f"{passed} of {n} trajectories of {model.card.name} meet every criterion."]
    for criterion in criteria_of(model):
        judged = [each for each in model.judged if each.criterion is criterion]
        sentences.extend(_shortfalls(criterion, judged))
    return sentences


def engines_summary(assessment: Assessment) -> Iterator[str]:
    """Whether the engines agree, in one sentence, and one for each that does not."""
    agreements = assessment.agreements
    alike = sum(verdict(each.judged) is Verdict.APPROVED for each in agreements)
    yield f"{alike} of {len(agreements)} comparisons of engines show no difference beyond rounding."
    yield from (f"{each.cause.sentence} (`{each.cause.name}`)." for each in agreements if each.cause is not None)
    yield from (f"{each.title}: not compared, see below." for each in agreements if each.unmeasured)


def criteria_of(model: AssessedModel) -> list[Criterion]:
    """The criteria that judged a model."""
    return list(dict.fromkeys(each.criterion for each in model.judged))


def _shortfalls(criterion: Criterion, judged: Sequence[Judged]) -> Iterator[str]:
    for outcome, verb in (
        (Outcome.FAIL, "failed"),
        (Outcome.INCONCLUSIVE, "could not be decided"),
        (Outcome.NOT_RUN, "was not judged"),
    ):
        some = outcomes_of(judged, outcome)
        if some:
            yield f"'{criterion.label}' {verb} in {len(some)} of {len(judged)}{_range(some)} (limit {limit(some[0])})."


def _range(judged: Sequence[Judged]) -> str:
    values = [each.measurement.value for each in judged if each.measurement is not None]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    unit = judged[0].criterion.unit
    text = span(finite)
    return f": measured {text}" + ("" if unit == "1" else f" {unit}")


def span(values: Sequence[float]) -> str:
    """The range of some numbers."""
    low, high = _exact(min(values)), _exact(max(values))
    return low if low == high else f"{low} to {high}"


def findings(model: AssessedModel) -> Iterator[str]:
    """What was measured beyond the verdicts, a sentence each."""
    for run in model.runs:
        yield from _run_findings(run)


def _run_findings(run: AssessedRun) -> Iterator[str]:
    who = f"{name_of(run)}:"
    yield from (f"{who} {event}; the next one evaluated that step again." for event in run.ending.events)
    if run.failure is not None:
        yield f"{who} failed first at {number(run.failure.time)} ps (`{run.failure.kind}`): {run.failure.what}."
    if run.ending.status is not Status.DONE:
        yield f"{who} {run.ending.status} after {run.ending.steps} of {run.run.n_steps} steps (see its details)."
        return
    if run.unmeasured:
        yield f"{who} {run.unmeasured}."
    yield from (f"{who} {sentence}" for sentence in (*_drift(run), *_temperature(run), *_breaking(run)))


def _drift(run: AssessedRun) -> Iterator[str]:
    drift = run.drift
    if drift is not None and math.isfinite(drift.value):
        heats = "heat" if drift.value > 0 else "cool"
        what = "conserved" if run.run.thermostat else "total"
        yield (
            f"{what} energy drifts by {quantity(drift, sign=True)}, which would {heats} a harmonic system by "
            f"{number(abs(drift.value) * KELVIN_PER_MEV)} K/ps."
        )


def _temperature(run: AssessedRun) -> Iterator[str]:
    """Where kinetic energy came from or went to, when the temperature is not the one asked for."""
    temperature, energies = run.measured("temperature_mean"), run.energies
    if temperature is None or energies is None or energies.temperature is None or energies.kinetic_energy is None:
        return
    began = number(float(energies.temperature[0]))
    kinetic = float(energies.kinetic_energy[-1] - energies.kinetic_energy[0])
    total = float(energies.total_energy[-1] - energies.total_energy[0])
    if temperature.value < COOLED * run.run.temperature:
        yield (
            f"the temperature began at {began} K and its mean is {number(temperature.value)} K; kinetic energy changed "
            f"by {number(kinetic)} eV, total energy by {number(total)} eV. A start below thermal equilibrium, such as "
            "a relaxed structure, gives this: start from a thermal structure to test the target temperature."
        )
    elif temperature.value > HEATED * run.run.temperature and run.measured("heat_from_strain") is not None:
        yield _heat(run, temperature)
    elif temperature.value > HEATED * run.run.temperature:
        yield (
            f"the temperature began at {began} K and its mean is {number(temperature.value)} K; kinetic energy changed "
            f"by {number(kinetic)} eV from the first to the last step, of which {number(total)} eV are change of the "
            f"total energy and {number(kinetic - total)} eV came out of the potential energy."
        )


def _heat(run: AssessedRun, temperature: Measurement) -> str:
    """Where a run that is hot has its heat from."""
    parts = [
        f"{quantity(run.measured(name), sign=True)} {words}"
        for name, words in (
            ("heat_from_strain", "from the strain of the start frame"),
            ("heat_from_drift", "from the drift of the total energy"),
            ("heat_from_structure", "from potential energy below that of the relaxed start: it melts or reacts"),
        )
    ]
    return (
        f"the mean temperature is {number(temperature.value)} K where {run.run.temperature:g} K were asked for: "
        f"{'; '.join(parts)}."
    )


def _breaking(run: AssessedRun) -> Iterator[str]:
    broken = run.measured("broken_bonds")
    if broken is None or not broken.value > 0:
        return
    when, fragments = run.measured("first_break_time"), run.measured("fragments_lost")
    yield (
        f"{_exact(broken.value)} bonds of the start structure were broken at once at most, the first at "
        f"{quantity(when)} ({broken.note}); {quantity(fragments)} lost."
    )


def recommendations(model: AssessedModel, assessment: Assessment) -> Iterator[str]:
    """What to do, from the criteria that did not pass."""
    if model.verdict is Verdict.CONDITIONAL:
        yield from (f"Only as far as it holds: {each}." for each in conditions(model))
    if model.verdict is Verdict.APPROVED:
        yield f"May be used for {scope(assessment)}, for molecules like those tested; anything else is untested."
    for criterion in criteria_of(model):
        judged = [each for each in model.judged if each.criterion is criterion]
        if outcomes_of(judged, Outcome.FAIL):
            yield f"{criterion.label}: {criterion.remedy}."
        if model.verdict is Verdict.INCONCLUSIVE:
            yield from _more_time(model, outcomes_of(judged, Outcome.INCONCLUSIVE))
    if assessment.twin is not None:
        yield from _prepared(model, assessment.twin)
    yield from _rerun(model)


def _prepared(model: AssessedModel, twin: Assessment) -> Iterator[str]:
    """What a prepared start has shown."""
    for run in twin.runs:
        if run.run.model_sha256 != model.card.sha256:
            continue
        who = f"{run.run.structure} from a prepared start"
        if run.verdict is Verdict.APPROVED:
            yield f"{who}: every criterion is met; prepare it (--relax --equilibrate-ps 1)."
        else:
            yield f"{who}: {run.verdict}, so the strain of the start frame was not all of it."


def more_time(judged: Sequence[Judged], duration: float) -> Iterator[str]:
    """How much longer a series would have to be, for each criterion that it does not decide."""
    undecided = [each for each in judged if each.outcome is Outcome.INCONCLUSIVE]
    yield from _unknown(undecided)
    for each in undecided:
        if not _why_unknown(each):
            total = time_to_decide(each, duration)
            yield (
                f"{each.criterion.label}: the value lies on the limit; no length decides it."
                if total is None
                else f"{each.criterion.label}: about {number(total - duration, 2)} ps more would take the interval off "
                "the limit."
            )


def _why_unknown(judged: Judged) -> str:
    """Why there is no number, where there is none."""
    measurement = judged.measurement
    return "" if measurement is None or math.isfinite(measurement.value) else note(measurement)


def _unknown(judged: Sequence[Judged]) -> Iterator[str]:
    """Why there are no numbers, each reason once."""
    for label, why in dict.fromkeys((each.criterion.label, _why_unknown(each)) for each in judged):
        if why:
            yield f"{label}: not known, for {why}."


def _more_time(model: AssessedModel, undecided: Sequence[Judged]) -> Iterator[str]:
    if not undecided:
        return
    duration = model.runs[0].run.duration
    yield from _more_time_together(model, undecided)
    together = [each for group in model.replicas for each in group.judged]
    undecided = [each for each in undecided if each not in together]
    if not undecided:
        return
    yield from _unknown(undecided)
    undecided = [each for each in undecided if not _why_unknown(each)]
    times = [time_to_decide(each, duration) for each in undecided]
    known = [time for time in times if time is not None]
    if known:
        label, total = undecided[0].criterion.label, max(known)
        yield (
            f"{label}: {len(undecided)} of {len(model.runs)} trajectories are undecided; about "
            f"{number(total - duration, 2)} ps more ({number(total, 2)} ps in all) would take the interval off the "
            "limit. Ask for a longer --time-ps with the same --output; what is recorded is kept."
        )
    if len(known) < len(times):
        label = undecided[0].criterion.label
        yield f"{label}: {len(times) - len(known)} of {len(model.runs)} lie on the limit; no length decides them."


def _more_time_together(model: AssessedModel, undecided: Sequence[Judged]) -> Iterator[str]:
    """What replicas lack to decide on their mean drift, by the noise that they show."""
    for group in model.replicas:
        mine = [each for each in group.judged if each in undecided]
        if not mine:
            continue
        label, length = mine[0].criterion.label, group.runs[0].run.duration
        if _why_unknown(mine[0]):
            yield from _unknown(mine)
        elif mine[0].criterion.relative_to == HORIZON:
            yield f"{label}, {group.name}: the drift is not known well enough; {mine[0].criterion.remedy}."
        elif group.missing is None:
            yield f"{label}, {group.name}: the replicas do not tell how much longer they would have to be."
        elif group.missing == 0.0:
            yield f"{label}, {group.name}: the mean lies near the limit; more replicas, or longer ones, decide."
        else:
            total = length + group.missing / (1.0 - FRACTION)
            yield (
                f"{label}, {group.name}: about {number(group.missing, 2)} ps more for each of the {len(group.runs)} "
                f"replicas would decide in four cases of five, by the noise that they show; ask for --time-ps "
                f"{number(total, 3)} with the same --output, what is recorded is kept."
            )


def _rerun(model: AssessedModel) -> Iterator[str]:
    unfinished = [run for run in model.runs if run.ending.status in (Status.FAILED, Status.STOPPED)]
    if unfinished:
        yield f"{len(unfinished)} of {len(model.runs)} did not end; the same command takes them up where they stand."


def conditions(model: AssessedModel) -> Iterator[str]:
    """How far a conditional verdict holds."""
    yield from (f"{ladder.name}: {ladder.envelope.sentence}" for ladder in model.ladders)


def conclusion(model: AssessedModel, assessment: Assessment) -> str:
    """One sentence."""
    what = f"{model.card.name} for {scope(assessment)}"
    return {
        Verdict.APPROVED: f"{what}: approved by every criterion of '{assessment.profile.title}' in every trajectory.",
        Verdict.CONDITIONAL: f"{what}: approved under a condition: {'; '.join(conditions(model))}.",
        Verdict.NOT_RECOMMENDED: f"{what}: not recommended, because of {_culprits(model)}.",
        Verdict.INCONCLUSIVE: f"{what}: not decided by these trajectories; see the recommendations.",
    }[model.verdict]


def _culprits(model: AssessedModel) -> str:
    labels = dict.fromkeys(each.criterion.label for each in outcomes_of(model.judged, Outcome.FAIL))
    return " and ".join(f"'{label}'" for label in labels)
