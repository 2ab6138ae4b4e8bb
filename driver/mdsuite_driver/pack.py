"""A pack: configurations of equally many atoms that travel as one, and whose answers are told apart in the extras.

The message itself is i-PI's: energy and virial are the sums over the members, forces are those of all atoms. Each
member's energy and virial, as numbers to the bit, and why a member has none, are in the extras of FORCEREADY.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mdsuite_driver.dialect import Failure, failure_from, failure_of, read_ours
from mdsuite_driver.models.batch import Evaluator, answers_of
from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray
from mdsuite_driver.soundness import UnsoundError, require_sound
from mdsuite_driver.wire import WireError

Answer = Evaluation | Failure
"""Of one member."""


def evaluate(batch: Evaluator, members: Sequence[Configuration], max_force: float | None) -> list[Answer]:
    """The answer of every member; one that cannot be evaluated, or must not be integrated, is told as that."""
    told = answers_of(batch, [[member] for member in members])
    found = [failure_of(each) if isinstance(each, Exception) else each[0] for each in told]
    return [sound(answer, len(of.numbers), max_force) for answer, of in zip(found, members, strict=True)]


def members(pack: Configuration, n_members: int) -> list[Configuration]:
    """What travels in a pack."""
    shares = zip(np.split(pack.numbers, n_members), np.split(pack.positions, n_members), strict=True)
    return [
        Configuration(numbers=numbers, positions=positions, cell=pack.cell, pbc=pack.pbc)
        for numbers, positions in shares
    ]


def sound(answer: Answer, n_atoms: int, max_force: float | None) -> Answer:
    """The same, or why it must not be integrated."""
    if isinstance(answer, Failure):
        return answer
    try:
        require_sound(answer, n_atoms, max_force)
    except UnsoundError as error:
        return failure_of(error)
    return answer


def encode(answers: Sequence[Answer], n_atoms: int) -> tuple[Evaluation, str]:
    """The sum over all members of `n_atoms` atoms, and the extras that tell them apart.

    A member without an answer has no forces; it must be held by who integrates.
    """
    nothing = Evaluation(energy=0.0, forces=np.zeros((n_atoms, 3)), virial=np.zeros((3, 3)))
    told = [nothing if isinstance(answer, Failure) else answer for answer in answers]
    energies = np.array([each.energy for each in told])
    virials = np.array([each.virial for each in told])
    failures = {str(k): asdict(answer) for k, answer in enumerate(answers) if isinstance(answer, Failure)}
    members = {"energies": _text(energies), "virials": _text(virials), "failures": failures}
    whole = Evaluation(
        energy=float(energies.sum()), forces=np.concatenate([each.forces for each in told]), virial=virials.sum(axis=0)
    )
    return whole, json.dumps({"mdsuite": 1, "members": members})


def decode(whole: Evaluation, extras: str, n_members: int) -> list[Answer]:
    """The answer of every member; raises WireError for extras that do not tell so many apart."""
    told: Any = read_ours(extras).get("members")
    try:
        energies = _numbers(told["energies"], (n_members,))
        virials = _numbers(told["virials"], (n_members, 3, 3))
        failures = {int(k): failure_from(each) for k, each in told["failures"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WireError(f"expected the answers of {n_members} members in the extras, got {extras[:80]!r}") from error
    shares = enumerate(np.split(whole.forces, n_members))
    return [
        failures[k] if k in failures else Evaluation(energy=float(energies[k]), forces=forces, virial=virials[k])
        for k, forces in shares
    ]


def _text(numbers: FloatArray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, dtype="<f8").tobytes()).decode()


def _numbers(text: str, shape: tuple[int, ...]) -> FloatArray:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8").reshape(shape)
