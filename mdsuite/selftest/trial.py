"""Trials: a defect, or its clean twin, put before the instruments that should tell one from the other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from mdsuite.errors import InputError
from mdsuite.judgement.causes import Cause
from mdsuite.judgement.judge import Judged, Outcome
from mdsuite_driver.zoo import ANIMALS, Animal

CLEAN = "clean"
STATIC, RUN, LEDGER, AGREE, REVERSE = "static", "run", "ledger", "agree", "reversal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a host is put: a bundled structure, and how it is integrated (K, fs, ps)."""

    structure: str
    temperature: float
    timestep_fs: float
    time_ps: float


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "argon": Stage(structure="argon", temperature=60.0, timestep_fs=4.0, time_ps=8.0),
        "student": Stage(structure="ethanol", temperature=300.0, timestep_fs=0.5, time_ps=1.0),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What an instrument is given.

    source : of the model, as a driver takes it
    timestep_fs : float, fs
    mass_factor : by which the engine under test has every mass wrong
    seed : of velocities and of the directions of static checks
    """

    source: str
    host: str
    timestep_fs: float
    mass_factor: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An animal on a host; of the strength 0 it is the clean twin."""

    animal: Animal
    host: str
    strength: float

    @property
    def twin(self) -> bool:
        """Whether nothing is wrong."""
        return self.strength == 0.0

    @property
    def name(self) -> str:
        """What a reader calls it, and its folder is called."""
        twin = self.twin and self.animal.name != CLEAN
        return f"{self.animal.name}-{self.host}{'-twin' if twin else ''}"

    @property
    def setup(self) -> Setup:
        """The model, and how the engine is set up where that is what is wrong."""
        stage, name = STAGES[self.host], self.animal.name
        model = ANIMALS[CLEAN].source(self.host) if self.animal.factory is None else _source(self)
        return Setup(
            source=model,
            host=self.host,
            timestep_fs=stage.timestep_fs + (self.strength if name == "large_timestep" else 0.0),
            mass_factor=1.0 + (self.strength if name == "wrong_mass" else 0.0),
        )

    @property
    def instruments(self) -> tuple[str, ...]:
        """Those that can show it; trajectories where static checks are not enough."""
        if self.animal.factory is None:
            return (RUN, AGREE) if self.animal.name == "wrong_mass" else (RUN,)
        first = (STATIC,) if "static" in self.animal.found_by or not self.animal.found_by else (STATIC, RUN)
        return (*first, REVERSE) if REVERSE in self.animal.found_by else first


def _source(case: Case) -> str:
    return case.animal.source(case.host, strength=case.strength)


class Sign(StrEnum):
    """What an instrument says; undecided where an interval lies across its limit."""

    FLAGGED = "flagged"
    SILENT = "silent"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


def sign_of(judged: Iterable[Judged]) -> Sign:
    """One sign for many verdicts; nothing judged is nothing known."""
    outcomes = {each.outcome for each in judged}
    if Outcome.FAIL in outcomes:
        return Sign.FLAGGED
    if not outcomes or Outcome.NOT_RUN in outcomes:
        return Sign.NOT_RUN
    return Sign.UNDECIDED if Outcome.INCONCLUSIVE in outcomes else Sign.SILENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of an instrument.

    signs : by column; what was not asked is not there
    causes : that it names
    reason : why something was not run
    """

    signs: Mapping[str, Sign]
    judged: tuple[Judged, ...] = ()
    causes: tuple[Cause, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A case with all that its instruments found.

    examined : the case itself; for a twin that answers to the bit as its host does, the host
    """

    case: Case
    examined: Case
    findings: tuple[Finding, ...]

    @property
    def signs(self) -> Mapping[str, Sign]:
        """By column; what was not asked is not there."""
        return {column: sign for each in self.findings for column, sign in each.signs.items()}

    @property
    def flagged(self) -> tuple[str, ...]:
        """The columns that suspect it."""
        return tuple(column for column, sign in self.signs.items() if sign is Sign.FLAGGED)

    @property
    def not_run(self) -> bool:
        """Whether something was asked that gave no answer and could have changed the result.

        An instrument that did not work counts always; a check that the model itself refused, or that a discontinuity
        made impossible, does where nothing else flagged.
        """
        silent = [each for each in self.findings if Sign.NOT_RUN in each.signs.values()]
        return any(not each.judged or not self.flagged for each in silent)

    @property
    def reason(self) -> str:
        """Why something was not run."""
        return "; ".join(dict.fromkeys(each.reason for each in self.findings if each.reason))

    @property
    def failures(self) -> tuple[Judged, ...]:
        """The verdicts that suspect it."""
        return tuple(each for of in self.findings for each in of.judged if each.outcome is Outcome.FAIL)

    @property
    def causes(self) -> tuple[str, ...]:
        """Names, each once."""
        return tuple(dict.fromkeys(cause.name for each in self.findings for cause in each.causes))

    @property
    def wrong_causes(self) -> tuple[str, ...]:
        """Those that a correct diagnosis does not name."""
        allowed = () if self.case.twin else self.case.animal.causes
        return tuple(name for name in self.causes if name not in allowed)


def choose(names: Sequence[str], *, all_hosts: bool) -> Iterator[Case]:
    """Every animal asked for, or all, each on the host that shows it best or on all; raises InputError.

    A defect is followed by its twin; `clean` is a twin alone.
    """
    known = [name for name in ANIMALS if name != CLEAN]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
            raise InputError(f"the zoo has no defect {name}; {hint}")
    for name in dict.fromkeys(names or known):
        animal = ANIMALS[name]
        for host in animal.hosts if all_hosts else animal.hosts[:1]:
            yield Case(animal=animal, host=host, strength=animal.default_strength[host])
            yield Case(animal=animal, host=host, strength=0.0)
