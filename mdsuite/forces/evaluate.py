"""A model asked for the forces of a reference's frames, over the same wire as in a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.errors import InputError
from mdsuite.execution.session import NoEvaluationError, Session
from mdsuite.forces.bands import Reading, readings
from mdsuite.forces.reference import Reference, References
from mdsuite.judgement.units import unit_of_forces
from mdsuite.runs import ANY_ANSWER
from mdsuite_analysis.force_accuracy import Compared, force_accuracy
from mdsuite_analysis.measurement import Measurement
from mdsuite_driver.models.protocol import ModelCard

ALIKE = 0.9
"""Cosine of the angle between all forces and all of the reference's, from which one may be the other in other units."""

EVERY = 20  # frames between two things that are said


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """A frame that the model gave no answer for, and why."""

    structure: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceReport:
    """A model's forces beside a reference's.

    compared : frames with both answers
    unanswered : those that the model gave none for
    """

    card: ModelCard
    references: References
    compared: tuple[Compared, ...]
    unanswered: tuple[Unanswered, ...]
    measurements: tuple[Measurement, ...]
    readings: tuple[Reading, ...]


def evaluate(
    source: str,
    card: ModelCard,
    references: References,
    log: Path,
    *,
    trust: bool,
    threads: int,
    seed: int = 0,
    told: Callable[[str], None],
) -> ForceReport:
    """Ask for every frame and measure how far the answers are.

    Raises InputError where the model answers for no frame, and where its forces and the reference's are in other units.
    """
    compared: list[Compared] = []
    unanswered: list[Unanswered] = []
    with Session(source, log, trust=trust, threads=threads, coupling=ANY_ANSWER) as session:
        for k, each in enumerate(references.frames):
            if k % EVERY == 0:
                told(f"frame {k} of {len(references.frames)}")
            try:
                compared.append(_compared(each, session))
            except NoEvaluationError as error:
                unanswered.append(Unanswered(structure=each.structure, reason=str(error)))
    if not compared:
        reason = unanswered[0].reason if unanswered else "there is none"
        raise InputError(f"{card.name} answers for no frame of {references.origin}: {reason}")
    _require_same_units(compared, card, references)
    measured = force_accuracy(compared, seed=seed)
    return ForceReport(
        card=card,
        references=references,
        compared=tuple(compared),
        unanswered=tuple(unanswered),
        measurements=tuple(measured),
        readings=tuple(readings(measured)),
    )


def _compared(each: Reference, session: Session) -> Compared:
    said = session(each.configuration)
    return Compared(
        structure=each.structure,
        numbers=each.configuration.numbers,
        reference=each.forces,
        predicted=said.forces,
        reference_energy=each.energy,
        predicted_energy=said.energy,
    )


def _require_same_units(compared: Sequence[Compared], card: ModelCard, references: References) -> None:
    """Raise InputError where one set of forces is the other times a ratio of units, and alike otherwise."""
    reference = np.concatenate([each.reference.ravel() for each in compared])
    predicted = np.concatenate([each.predicted.ravel() for each in compared])
    size = float(np.linalg.norm(reference) * np.linalg.norm(predicted))
    if size == 0.0 or float(predicted @ reference) < ALIKE * size:
        return
    ratio = float(np.linalg.norm(reference) / np.linalg.norm(predicted))
    unit = unit_of_forces(ratio)
    if unit is not None:
        raise InputError(
            f"the forces of {references.origin} are {ratio:.4g} times those of {card.name}, as in {unit}; mdsuite's "
            "unit is eV/Å: convert the file"
        )
