"""Whether a model that is evaluated in another way gives the same answers: asked at random atoms, but for rounding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdsuite_driver.models.batch import Evaluator
from mdsuite_driver.models.protocol import (
    DOUBLE,
    Configuration,
    Evaluation,
    FloatArray,
    Model,
    ModelCard,
    ModelError,
)

TOLERANCE = {DOUBLE: 1e-9}
"""By which an answer may differ, relative to the largest energy per atom or force, or to 1 eV or 1 eV/Å."""

COARSE = 1e-4  # in single precision

SIZES = (2, 3, 8, 24)
SPACE = 14.0  # Å³ for each atom of a question
CLOSEST = 0.9  # Å


def require_same(made: Evaluator, model: Model, *, how: str, instead: str) -> None:
    """Raise ModelError unless both give the same answers to random atoms of several numbers, but for rounding.

    how : what was made of the model, for the message; instead : what to do where it answers otherwise
    """
    asked = list(questions(model.card))
    for question, answer in zip(asked, made.evaluate(asked), strict=True):
        _require_same_answer(answer, model.evaluate(question), model.card, how, instead)


def questions(card: ModelCard) -> Iterator[Configuration]:
    """Random atoms in the open, and in a cell where the model has cells."""
    random = np.random.default_rng(0)
    for n_atoms in SIZES:
        yield _question(random, card, n_atoms, width=0.0)
        if card.periodic:
            yield _question(random, card, n_atoms, width=1.2 * max(card.minimum_width, card.cutoff or 0.0))


def _require_same_answer(ours: Evaluation, theirs: Evaluation, card: ModelCard, how: str, instead: str) -> None:
    tolerance, n = TOLERANCE.get(card.dtype, COARSE), len(theirs.forces)
    for what, a, b in (
        ("energy per atom", np.array(ours.energy / n), np.array(theirs.energy / n)),
        ("forces", ours.forces, theirs.forces),
        ("virial per atom", ours.virial / n, theirs.virial / n),
    ):
        apart = _apart(a, b)
        if not apart <= tolerance:  # also reached for NaN
            raise ModelError(
                f"{card.name}, {how}, answers otherwise than the model: {what} of {n} atoms differs by "
                f"{apart:.2g}, where {tolerance:.0e} is rounding; evaluate it as it is ({instead})"
            )


def _apart(ours: FloatArray, theirs: FloatArray) -> float:
    scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
    return float(np.abs(ours - theirs).max(initial=0.0)) / scale


def _question(random: np.random.Generator, card: ModelCard, n_atoms: int, width: float) -> Configuration:
    edge = width or (SPACE * n_atoms) ** (1.0 / 3.0)
    positions = [edge * random.random(3)]
    while len(positions) < n_atoms:
        candidate = edge * random.random(3)
        if min(float(np.linalg.norm(candidate - each)) for each in positions) > CLOSEST:
            positions.append(candidate)
    periodic = width > 0.0
    return Configuration(
        numbers=random.choice(np.array(card.species or (6,), dtype=np.int64), n_atoms),
        positions=np.array(positions),
        cell=edge * np.eye(3) if periodic else np.zeros((3, 3)),
        pbc=(periodic, periodic, periodic),
    )
