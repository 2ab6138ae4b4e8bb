"""A model examined without a trajectory: the static checks, over the same wire as a run, judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.execution.session import Session
from mdsuite.judgement.causes import Cause
from mdsuite.judgement.criteria import Criterion, Profile
from mdsuite.judgement.judge import Judged, Verdict, judge, verdict
from mdsuite.judgement.static_causes import static_causes
from mdsuite.kept import Key, keep, read_kept
from mdsuite.plan import Structure
from mdsuite.run import ANY_ANSWER
from mdsuite.structures import configuration
from mdsuite_analysis.measurement import NOT_RUN, Measurement, about
from mdsuite_analysis.potential import Configuration
from mdsuite_analysis.statics.every import CHECKS, Check
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration as Question
from mdsuite_driver.models.protocol import Evaluation, Model, ModelCard

PARITY = "driver_parity"

VERSION = 4  # of what the checks measure, so that what an older mdsuite has kept is measured again

Told = Callable[[str], None]


def _nobody(_told: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is examined: a model's source as its driver is given it, its card, and how it is served."""

    source: str
    card: ModelCard
    trust: bool
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A model examined on one structure.

    judged : one for every measurement that a criterion is for
    unasked : criteria that nothing was measured for, since they do not apply to such a structure
    """

    structure: str
    n_atoms: int
    measurements: tuple[Measurement, ...]
    judged: tuple[Judged, ...]
    unasked: tuple[Criterion, ...]
    n_evaluations: int

    @property
    def verdict(self) -> Verdict:
        """The verdict on the model, as far as this structure shows."""
        return verdict(self.judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A model examined on some structures."""

    card: ModelCard
    profile: Profile
    examined: tuple[Examined, ...]
    causes: tuple[Cause, ...]

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Every verdict on every structure."""
        return tuple(each for of in self.examined for each in of.judged)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Everything that was measured."""
        return tuple(each for of in self.examined for each in of.measurements)

    @property
    def verdict(self) -> Verdict:
        """The verdict on the model."""
        return verdict(self.judged)

    @property
    def cutoff(self) -> float | None:
        """The model's cut-off, Å, declared or found, if it is known."""
        found = [each.value for each in self.measurements if each.name == "cutoff_found" and np.isfinite(each.value)]
        return self.card.cutoff or (max(found) if found else None)


ALL = tuple(each.name for each in CHECKS)
GATES = ("precision", "repetition", "gradient", "symmetry", "locality")
"""Checks of a few seconds, before every run; those of the cut-off and of the curl take most of a minute."""


def examine(
    subject: Subject,
    structures: Sequence[Structure],
    profile: Profile,
    folder: Path,
    *,
    seed: int = 0,
    names: Collection[str] = ALL,
    told: Told = _nobody,
) -> Examination:
    """Carry out static checks on every structure; `told` hears what is being done.

    What a check has measured is kept in the folder, and taken from there as long as model and structure are the same.
    """
    examined = []
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "driver.log"
    with Session(subject.source, log, trust=subject.trust, threads=subject.threads, coupling=ANY_ANSWER) as session:
        for structure in structures:
            of = _Examiner(subject, structure, session, folder, seed, names, told)
            examined.append(of.examined(profile))
    causes = static_causes([each for of in examined for each in of.judged])
    return Examination(card=subject.card, profile=profile, examined=tuple(examined), causes=tuple(causes))


class _Examiner:
    """The static checks of a model on one structure."""

    def __init__(
        self,
        subject: Subject,
        structure: Structure,
        session: Session,
        folder: Path,
        seed: int,
        names: Collection[str],
        told: Told,
    ) -> None:
        self._subject = subject
        self._structure = structure
        self._configuration = configuration(structure.atoms)
        self._session = session
        self._folder = folder
        self._seed = seed
        self._names = names
        self._told = told

    def examined(self, profile: Profile) -> Examined:
        """Carry them out, and judge them."""
        before = self._session.n_evaluations
        named = {"model": self._subject.card.name, "structure": self._structure.name}
        measurements = [each for check in CHECKS if check.name in self._names for each in self._measured(check)]
        self._told(f"{self._structure.name}: the driver against the model in this process")
        measurements.append(_parity(self._subject, self._configuration, self._session))
        measured = tuple(about(each, **named) for each in measurements)
        judged, unasked = _judge(measured, profile, self._subject.card.dtype)
        return Examined(
            structure=self._structure.name,
            n_atoms=len(self._configuration.numbers),
            measurements=measured,
            judged=tuple(judged),
            unasked=tuple(unasked),
            n_evaluations=self._session.n_evaluations - before,
        )

    def _measured(self, check: Check) -> list[Measurement]:
        self._told(f"{self._structure.name}: {check.label}")
        key: Key = [VERSION, self._subject.card.sha256, self._seed]
        kept = self._folder / f"{self._digest}-{check.name}.json"
        known = read_kept(kept, key)
        if known is not None:
            return known
        made = list(check.measure(self._session, self._configuration, self._subject.card.cutoff, self._seed))
        keep(kept, key, made)
        return made

    @property
    def _digest(self) -> str:
        of = self._configuration
        arrays = (of.numbers, of.positions, of.cell, np.array(of.pbc))
        return hashlib.sha256(b"".join(np.asarray(each, float).tobytes() for each in arrays)).hexdigest()[:16]


def _judge(measured: Sequence[Measurement], profile: Profile, dtype: str) -> tuple[list[Judged], list[Criterion]]:
    judged, unasked = [], []
    for criterion in (each for each in profile.criteria if each.declared in ("", dtype)):
        found = [each for each in measured if each.name == criterion.measurement]
        judged += [judge(criterion, each, each.subject) for each in found]
        if not found:
            unasked.append(criterion)
    return judged, unasked


def _parity(subject: Subject, asked: Configuration, session: Session) -> Measurement:
    """How far what a driver serves is from what the model answers in this process, relative.

    Of the forces to the largest; of the energy to itself, or to an Å of the largest force where that is more.
    """
    try:
        served = session(asked)
        local = _local(load(subject.source, trust=subject.trust), asked)
    except Exception as error:  # whatever a model raises
        note = f"{NOT_RUN}{type(error).__name__}: {error}"
        return Measurement(name=PARITY, value=float("nan"), unit="1", note=note)
    size = max(float(np.abs(local.forces).max()), 1e-300)
    apart = float(np.abs(served.forces - local.forces).max()) / size
    energies = abs(served.energy - local.energy) / max(abs(local.energy), size)
    return Measurement(name=PARITY, value=max(apart, energies), unit="1")


def _local(model: Model, asked: Configuration) -> Evaluation:
    return model.evaluate(
        Question(
            numbers=asked.numbers,
            positions=asked.positions.copy(),
            cell=asked.cell,
            pbc=asked.pbc,
        )
    )
