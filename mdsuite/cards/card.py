"""A model card, and for several models the table by which one is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdsuite.cards.evidence import CHECK, FORCES, RUN, Evidence, Json, Result
from mdsuite.cards.speed import Speed
from mdsuite.files import write_text
from mdsuite.judgement.judge import Outcome, Verdict, verdict_of
from mdsuite.report import words
from mdsuite.report.markdown import rendered
from mdsuite.report.provenance import PACKAGES, here
from mdsuite_analysis.elements import symbol

FORCE_NUMBERS = {
    "force_r2_component": "R², by component",
    "force_rmse_component": "RMSE, by component",
    "force_mae_component": "MAE, by component",
    "force_angle_mean": "mean angular error",
    "force_error_p95": "95th percentile of the length of the error",
    "force_error_max": "largest error",
}
NOT_MEASURED = "not measured"
CONDITIONS = ("engine", "structure", "temperature_K", "timestep_fs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """A verdict on replicas under one set of conditions."""

    engine: str
    structure: str
    temperature: str
    timestep: str
    verdict: str
    drift: str
    horizon: str
    folder: str

    @property
    def use(self) -> str:
        """What it was a trial of."""
        return f"{self.structure} in {self.engine}, {self.temperature} K, {self.timestep} fs"


@dataclass(frozen=True, slots=True)
class Carded:
    """A model with all that is known of it; `speed` is None where there was nothing to ask it about."""

    evidence: Evidence
    speed: Speed | None

    @property
    def dynamics(self) -> list[Dynamics]:
        """Every trial by trajectories."""
        return [each for result in self.evidence.of(RUN) for each in _dynamics(result, self)]

    @property
    def name(self) -> str:
        """What a reader calls it."""
        return self.evidence.card.name


def write_cards(carded: Sequence[Carded], output: Path) -> Path:
    """Write NAME.md for every model, and for several decision.md; returns the last one written."""
    output.mkdir(parents=True, exist_ok=True)
    written = output
    for each in carded:
        written = output / f"{_file_name(each.name)}.md"
        write_text(written, rendered("card.md.j2", _vocabulary(each)))
    if len(carded) > 1:
        written = output / "decision.md"
        uses = list(dict.fromkeys(trial.use for each in carded for trial in each.dynamics))
        vocabulary = {
            "models": carded,
            "uses": uses,
            "verdict": _verdict_for,
            "force": _force,
            "checked": _checked,
            "file": _file_name,
            "provenance": here(PACKAGES),
        }
        write_text(written, rendered("decision.md.j2", vocabulary))
    return written


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def _vocabulary(of: Carded) -> dict[str, Any]:
    card = of.evidence.card
    return {
        "of": of,
        "card": card,
        "elements": ", ".join(symbol(z) for z in card.species) if card.species and len(card.species) < 40 else None,
        "many_elements": len(card.species) if card.species else None,
        "forces": [(result, list(_forces(result, of))) for result in of.evidence.of(FORCES)],
        "checks": [(result, _failed(result, of)) for result in of.evidence.of(CHECK)],
        "causes": list(_causes(of)),
        "envelopes": [(result, each) for result in of.evidence.of(RUN) for each in result.content["envelopes"]],
        "limits": list(_limits(of)),
        "provenance": here(PACKAGES),
    }


def _dynamics(result: Result, of: Carded) -> Iterator[Dynamics]:
    """From the means over replicas, or from single runs where there are none."""
    card = of.evidence.card
    means = list(result.named("mean_drift", card)) or list(result.named("energy_drift", card))
    horizons = {_conditions(each): each for each in result.named("safe_horizon", card)}
    for each in {_conditions(each): each for each in means}.values():
        engine, structure, temperature, timestep = _conditions(each)
        horizon = horizons.get((engine, structure, temperature, timestep))
        yield Dynamics(
            engine=engine,
            structure=structure,
            temperature=temperature,
            timestep=timestep,
            verdict=_verdict_under(_conditions(each), result.judged(card)),
            drift=_said(each),
            horizon=NOT_MEASURED if horizon is None else f"at least {words.number(horizon['ci'][0])} {horizon['unit']}",
            folder=str(result.folder),
        )


def _conditions(each: Json) -> tuple[str, str, str, str]:
    subject = each["subject"]
    return tuple(str(subject.get(key, "?")) for key in CONDITIONS)  # type: ignore[return-value]  # four


def _verdict_under(conditions: tuple[str, str, str, str], judged: Sequence[Json]) -> Verdict:
    """From the verdicts under these conditions, and those that hold under any: static checks name no engine."""
    wanted = dict(zip(CONDITIONS, conditions, strict=True))

    def holds(subject: Json) -> bool:
        return "engine" not in subject or all(subject.get(key, value) == value for key, value in wanted.items())

    return verdict_of(Outcome(each["outcome"]) for each in judged if holds(each["subject"]))


def _said(each: Json) -> str:
    low, high = each["ci"]
    digits = 5 if "_r2_" in each["name"] else 3
    unit = "" if each["unit"] == "1" else f" {each['unit']}"
    if each["value"] is None:
        return NOT_MEASURED
    if low == high:
        return f"{words.number(each['value'], digits)}{unit}"
    return f"{words.number(each['value'], digits)} [{words.number(low, digits)}, {words.number(high, digits)}]{unit}"


def _forces(result: Result, of: Carded) -> Iterator[tuple[str, str]]:
    for name, label in FORCE_NUMBERS.items():
        for each in result.named(name, of.evidence.card):
            if not each["subject"]:
                yield label, _said(each)


def _failed(result: Result, of: Carded) -> list[str]:
    judged = result.judged(of.evidence.card)
    return [f"{each['criterion']} ({each['outcome']})" for each in judged if each["outcome"] != "pass"]


def _causes(of: Carded) -> Iterator[tuple[str, str]]:
    for result in of.evidence.results:
        for each in result.content["causes"]:
            if each["model"] == of.name:
                yield each["name"], each["remedy"]


def _limits(of: Carded) -> Iterator[str]:
    """What the model must not be used for, as far as was measured; what was not is said too."""
    card, evidence = of.evidence.card, of.evidence
    if not card.forces:
        yield "dynamics of any kind: it gives no forces"
    if card.species is not None:
        yield "elements that it was not made for"
    if not card.periodic:
        yield "periodic systems: it takes no lattice vectors"
    if card.conservative is False:
        yield "NVE dynamics: its forces are no derivative of its energy"
    for each in of.dynamics:
        if each.verdict == Verdict.NOT_RECOMMENDED:
            yield f"{each.use}: {each.verdict}"
    for kind, said in (
        (RUN, "any dynamics without a trial: no trajectories were given"),
        (CHECK, "any production: no static checks were given"),
        (FORCES, "claims of accuracy: its forces were compared with no reference"),
    ):
        if not evidence.of(kind):
            yield said
    tried = sorted({f"{each.temperature} K" for each in of.dynamics})
    if tried:
        yield f"temperatures, timesteps, molecules and phases other than those below (tried: {', '.join(tried)})"


def _verdict_for(of: Carded, use: str) -> str:
    found = [each.verdict for each in of.dynamics if each.use == use]
    return found[-1] if found else NOT_MEASURED


def _force(of: Carded) -> str:
    found = [said for result in of.evidence.of(FORCES) for label, said in _forces(result, of) if label.startswith("R²")]
    return found[-1] if found else NOT_MEASURED


def _checked(of: Carded) -> str:
    results = of.evidence.of(CHECK)
    if not results:
        return NOT_MEASURED
    entry = results[-1].entry(of.evidence.card)
    return str(entry["verdict"]) if entry else NOT_MEASURED
