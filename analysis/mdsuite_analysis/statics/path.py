"""Curves through configuration space, and what a potential says along them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mdsuite_analysis.potential import Configuration, Evaluation, Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.deformation import displaced, strained
from mdsuite_analysis.statics.inquiry import NotFiniteError, ask

STRAIN_LENGTH = 5.0
"""A strain of 1/STRAIN_LENGTH is counted as a displacement of 1 Å."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A curve with parameter s, Å.

    Attributes
    ----------
    at : callable
        The configuration at s.
    force : callable
        -dE/ds at s as the potential's forces or virial say it, eV/Å.

    """

    at: Callable[[float], Configuration]
    force: Callable[[float, Evaluation], float]


class Samples(NamedTuple):
    """A path sampled: s (n,), Å; energy (n,), eV; force (n,) along the path and forces (n, n_atoms, 3), eV/Å."""

    s: Floats
    energy: Floats
    force: Floats
    forces: Floats


def straight(configuration: Configuration, direction: Floats) -> Path:
    """Atoms moved along `direction` (n_atoms, 3)."""
    return Path(
        at=lambda s: displaced(configuration, s * direction),
        force=lambda _, evaluation: float((evaluation.forces * direction).sum()),
    )


def straining(configuration: Configuration, strain: Floats) -> Path:
    """Positions and cell under a growing symmetric strain; -dE/ds is the virial's share along it."""
    rate = strain / STRAIN_LENGTH

    def force(s: float, evaluation: Evaluation) -> float:
        if not np.isfinite(evaluation.virial).all():
            raise NotFiniteError(f"the model's virial is {evaluation.virial.tolist()}")
        return float(np.trace(evaluation.virial @ rate @ np.linalg.inv(np.eye(3) + s * rate)))

    return Path(at=lambda s: strained(configuration, s * rate), force=force)


def sample(potential: Potential, path: Path, s: Floats) -> Samples:
    """What the potential says at every s (n,), in this order."""
    evaluations = [ask(potential, path.at(float(each))) for each in s]
    return Samples(
        s=s,
        energy=np.array([each.energy for each in evaluations]),
        force=np.array([path.force(float(at), each) for at, each in zip(s, evaluations, strict=True)]),
        forces=np.array([each.forces for each in evaluations]),
    )
