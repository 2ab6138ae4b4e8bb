"""A model examined without a trajectory: the static checks, over the same wire as a run, judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.execution.session import Session
from mdsuite.judgement.causes import Cause
from mdsuite.judgement.criteria import Criterion, Profile
from mdsuite.judgement.judge import Judged, Outcome, Verdict, judge, verdict
from mdsuite.judgement.static_causes import static_causes
from mdsuite.kept import Key, keep, read_kept
from mdsuite.plan import Structure
from mdsuite.runs import ANY_ANSWER
from mdsuite.structures import configuration, question
from mdsuite_analysis.measurement import NOT_RUN, Measurement, about
from mdsuite_analysis.potential import Configuration
from mdsuite_analysis.statics.every import AT_EDGE, CHECKS, Check
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import WAYS, ModelCard, way_of
from mdsuite_driver.threads import on_threads

PARITY = "driver_parity"
UNREPEATED = ("unrepeated_failures", "1")
BEYOND_ROUNDING = 2.0
"""Times by which two values of one measurement differ that are not the same up to rounding."""

VERSION = 5  # of what the checks measure, so that what an older mdsuite has kept is measured again

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
    unrepeated : those that failed and passed when the same was asked again, which shows chance and nothing else
    """

    structure: str
    n_atoms: int
    measurements: tuple[Measurement, ...]
    judged: tuple[Judged, ...]
    unasked: tuple[Criterion, ...]
    unrepeated: tuple[Measurement, ...]
    n_evaluations: int

    @property
    def verdict(self) -> Verdict:
        """The verdict on the model, as far as this structure shows."""
        return verdict(self.judged)

    @property
    def telling(self) -> list[Judged]:
        """Verdicts that a cause may be read from."""
        return [each for each in self.judged if each.measurement not in self.unrepeated]


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


def beside(first: Examination, second: Examination) -> Iterator[tuple[Judged, Judged]]:
    """Each verdict on one model with the same on another."""
    theirs = {_asked_of(each): each for each in second.judged}
    for each in first.judged:
        if (other := theirs.get(_asked_of(each))) is not None:
            yield each, other


def _asked_of(judged: Judged) -> tuple[str, tuple[tuple[str, str], ...]]:
    subject = {key: value for key, value in judged.subject.items() if key != "model"}
    return judged.criterion.label, tuple(sorted(subject.items()))


ALL = tuple(each.name for each in CHECKS)
GATES = ("precision", "repetition", "gradient", "symmetry", "locality", AT_EDGE.name)
"""Checks of a few seconds, before every run; the others take most of a minute."""


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

    A check that fails is carried out once more, with the same questions, and what passes then is chance. What a check
    has measured is kept in the folder, and taken from there as long as model and structure are the same.
    """
    examined = []
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "driver.log"
    with Session(subject.source, log, trust=subject.trust, threads=subject.threads, coupling=ANY_ANSWER) as session:
        for structure in structures:
            of = _Examiner(subject, structure, session, folder, seed, names, told)
            examined.append(of.examined(profile))
    causes = static_causes([each for of in examined for each in of.telling])
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
        criteria = [each for each in profile.criteria if each.declared in ("", self._subject.card.dtype)]
        measured: list[Measurement] = []
        unrepeated: list[Measurement] = []
        for check in (each for each in (*CHECKS, AT_EDGE) if each.name in self._names):
            first = self._measured(check)
            measured += first
            if _failed(first, criteria):
                unrepeated += _unrepeated(first, self._measured(check, again=True), criteria)
        self._told(f"{self._structure.name}: the driver against the model in this process")
        parity = _parity(self._subject, self._configuration, self._session)
        measured += [self._about(each) for each in (parity, _counted(unrepeated))]
        names = {each.name for each in measured}
        return Examined(
            structure=self._structure.name,
            n_atoms=len(self._configuration.numbers),
            measurements=tuple(measured),
            judged=tuple(_judged(measured, criteria)),
            unasked=tuple(each for each in criteria if each.measurement not in names),
            unrepeated=tuple(unrepeated),
            n_evaluations=self._session.n_evaluations - before,
        )

    def _measured(self, check: Check, *, again: bool = False) -> list[Measurement]:
        self._told(f"{self._structure.name}: {check.label}{', again' if again else ''}")
        way = WAYS.index(way_of(self._subject.source))
        key: Key = [VERSION, self._subject.card.sha256, self._seed, way]
        about_what = f"{self._subject.card.sha256[:16]}-{self._digest}-{check.name}"
        kept = self._folder / f"{about_what}{'-again' if again else ''}.json"
        known = read_kept(kept, key)
        if known is None:
            known = list(check.measure(self._session, self._configuration, self._subject.card.cutoff, self._seed))
            keep(kept, key, known)
        return [self._about(each) for each in known]

    def _about(self, measurement: Measurement) -> Measurement:
        return about(measurement, model=self._subject.card.name, structure=self._structure.name)

    @property
    def _digest(self) -> str:
        of = self._configuration
        arrays = (of.numbers, of.positions, of.cell, np.array(of.pbc))
        return hashlib.sha256(b"".join(np.asarray(each, float).tobytes() for each in arrays)).hexdigest()[:16]


def _judged(measured: Sequence[Measurement], criteria: Sequence[Criterion]) -> list[Judged]:
    """Every measurement by every criterion that is for it, in the order of the criteria."""
    return [
        judge(criterion, each, each.subject)
        for criterion in criteria
        for each in measured
        if each.name == criterion.measurement
    ]


def _failed(measured: Sequence[Measurement], criteria: Sequence[Criterion]) -> list[Measurement]:
    failed = [each.measurement for each in _judged(measured, criteria) if each.outcome is Outcome.FAIL]
    return [each for each in measured if each in failed]


def _unrepeated(
    first: Sequence[Measurement], second: Sequence[Measurement], criteria: Sequence[Criterion]
) -> Iterator[Measurement]:
    """What failed at first and not when the same was asked again, and by more than rounding."""
    again = {_identity(each): each for each in second}
    failing = {_identity(each) for each in _failed(second, criteria)}
    for each in _failed(first, criteria):
        other = again.get(_identity(each))
        if other is not None and _identity(each) not in failing and not _alike(each.value, other.value):
            yield each


def _identity(measurement: Measurement) -> tuple[str, frozenset[tuple[str, str]]]:
    return measurement.name, frozenset(measurement.subject.items())


def _alike(first: float, second: float) -> bool:
    """Whether two finite values are the same within a factor."""
    low, high = sorted((abs(first), abs(second)))
    return high <= BEYOND_ROUNDING * low


def _counted(unrepeated: Sequence[Measurement]) -> Measurement:
    """How many failures passed when the same was asked again, and which."""
    name, unit = UNREPEATED
    note = ", ".join(dict.fromkeys(each.name for each in unrepeated))
    return Measurement(name=name, value=float(len(unrepeated)), unit=unit, note=note)


def _parity(subject: Subject, asked: Configuration, session: Session) -> Measurement:
    """How far what a driver serves is from what the model answers in this process, relative.

    Of the forces to the largest; of the energy to itself, or to an Å of the largest force where that is more.
    """
    try:
        served = session(asked)
        with on_threads(subject.threads):
            local = load(subject.source, trust=subject.trust).evaluate(question(asked))
    except Exception as error:  # whatever a model raises
        note = f"{NOT_RUN}{type(error).__name__}: {error}"
        return Measurement(name=PARITY, value=float("nan"), unit="1", note=note)
    size = max(float(np.abs(local.forces).max()), 1e-300)
    apart = float(np.abs(served.forces - local.forces).max()) / size
    energies = abs(served.energy - local.energy) / max(abs(local.energy), size)
    return Measurement(name=PARITY, value=max(apart, energies), unit="1")
