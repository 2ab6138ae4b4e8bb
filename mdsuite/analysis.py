"""Energies and trajectories judged by themselves, whoever has integrated them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from MDAnalysis.core.groups import AtomGroup

from mdsuite.judgement.criteria import Criterion, Profile
from mdsuite.judgement.judge import Judged, Verdict, decided_alone, judge, verdict
from mdsuite.judgement.trajectories import POOLED
from mdsuite.measuring import conserving, of_bonds, of_energies
from mdsuite.reference import Compared
from mdsuite_analysis.measurement import Measurement, about, named
from mdsuite_analysis.replicas import replica_drift
from mdsuite_analysis.series import EnergySeries


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is analyzed.

    name : what a reader calls it
    series : its energies
    atoms : of its trajectory, where there is one
    temperature : float, K, the target, where it is known
    thermostatted : whether a thermostat changed the total energy
    """

    name: str
    series: EnergySeries
    atoms: AtomGroup | None = None
    temperature: float | None = None
    thermostatted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyzed:
    """A source, what was measured of it, and what the criteria say.

    unmeasured : why some measurement could not be made
    """

    source: Source
    measurements: tuple[Measurement, ...]
    judged: tuple[Judged, ...]
    unmeasured: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Sources that are replicas of each other, each by itself and all together.

    unasked : criteria of the profile that take more than what the sources hold
    """

    profile: Profile
    analyzed: tuple[Analyzed, ...]
    together: tuple[Measurement, ...]
    judged_together: tuple[Judged, ...]
    unasked: tuple[Criterion, ...]
    compared: Compared | None = None

    @property
    def name(self) -> str:
        """What a reader calls them."""
        first = self.analyzed[0].source.name
        return first if len(self.analyzed) == 1 else f"{first} and {len(self.analyzed) - 1} more"

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Everything that was measured."""
        compared = () if self.compared is None else self.compared.measurements
        return (*(each for of in self.analyzed for each in of.measurements), *self.together, *compared)

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Every verdict."""
        compared = () if self.compared is None else self.compared.judged
        return (*(each for of in self.analyzed for each in of.judged), *self.judged_together, *compared)

    @property
    def verdict(self) -> Verdict:
        """The verdict on all of them."""
        return verdict(self.judged)

    @property
    def duration(self) -> float:
        """Of the first, ps."""
        return self.analyzed[0].source.series.duration


def analyze(sources: Sequence[Source], profile: Profile, compared: Compared | None = None) -> Analysis:
    """Measure and judge sources, one or several replicas; a temperature is judged where its target is known."""
    analyzed = [_analyze(source, profile) for source in sources]
    subject = {"source": f"all {len(sources)}"}
    together = _together(sources)
    pooled = [criterion for criterion in profile.criteria if criterion.measurement in POOLED and together]
    judged = [judge(each, named(together, POOLED[each.measurement]), subject) for each in pooled]
    kept = [replace(each, judged=decided_alone(each.judged, pooled)) for each in analyzed]
    asked = {id(each.criterion) for of in analyzed for each in of.judged}
    return Analysis(
        profile=profile,
        analyzed=tuple(kept),
        together=tuple(about(each, **subject) for each in together),
        judged_together=tuple(judged),
        unasked=tuple(each for each in profile.criteria if id(each) not in asked),
        compared=compared,
    )


def _analyze(source: Source, profile: Profile) -> Analyzed:
    subject = {"source": source.name}
    bonds, unmeasured = ((), "") if source.atoms is None else of_bonds(source.atoms)
    found = (*of_energies(source.series, thermostatted=source.thermostatted), *bonds)
    measured = tuple(about(each, **subject) for each in found)
    asked = [each for each in profile.criteria if _asked(each, source, measured)]
    return Analyzed(
        source=source,
        measurements=measured,
        judged=tuple(
            judge(each, named(measured, each.measurement), subject, scale=source.temperature or 1.0) for each in asked
        ),
        unmeasured=unmeasured,
    )


def _asked(criterion: Criterion, source: Source, measured: Sequence[Measurement]) -> bool:
    if criterion.relative_to is not None and source.temperature is None:
        return False
    return named(measured, criterion.measurement) is not None


def _together(sources: Sequence[Source]) -> list[Measurement]:
    series = [conserving(each.series, thermostatted=each.thermostatted) for each in sources]
    known = [each for each in series if each is not None]
    return replica_drift(known) if len(known) == len(sources) > 1 else []
