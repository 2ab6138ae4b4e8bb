"""The confusion matrix of all trials, and the verdict on the instruments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mdsuite.judgement.criteria import Criterion, Profile
from mdsuite.judgement.judge import Judged, Verdict, judge, verdict
from mdsuite.selftest.trial import Trial
from mdsuite_analysis.measurement import Measurement

SOURCE = "project default: a check earns its place by failing, and loses it by a false alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """All trials, in the order of the zoo, and the criteria of the static checks."""

    trials: tuple[Trial, ...]
    profile: Profile

    @property
    def defects(self) -> tuple[Trial, ...]:
        """Trials of defects."""
        return tuple(each for each in self.trials if not each.case.twin)

    @property
    def twins(self) -> tuple[Trial, ...]:
        """Trials of clean twins."""
        return tuple(each for each in self.trials if each.case.twin)

    @property
    def hosts(self) -> tuple[Trial, ...]:
        """Twins, one for each that was examined, with the findings of all that share its examination."""
        groups: dict[str, list[Trial]] = {}
        for each in self.twins:
            groups.setdefault(each.examined.name, []).append(each)
        return tuple(_merged(of) for of in groups.values())

    @property
    def found(self) -> tuple[Trial, ...]:
        """Defects that some instrument flagged."""
        return tuple(each for each in self.defects if each.flagged)

    @property
    def missed(self) -> tuple[Trial, ...]:
        """Defects that every instrument was asked about, and none flagged."""
        return tuple(each for each in self.defects if not each.flagged and not each.not_run)

    @property
    def alarms(self) -> tuple[Trial, ...]:
        """Twins that some instrument flagged, one for each that was examined."""
        return tuple(each for each in self.hosts if each.flagged)

    @property
    def unfinished(self) -> tuple[Trial, ...]:
        """Trials of which something was not run."""
        return tuple(each for each in (*self.defects, *self.hosts) if each.not_run)

    @property
    def misnamed(self) -> tuple[Trial, ...]:
        """Defects of which a cause was named that is not theirs."""
        return tuple(each for each in self.found if each.wrong_causes)

    @property
    def unnamed(self) -> tuple[Trial, ...]:
        """Defects that have a cause, of which none was named."""
        named = (each for each in self.found if each.case.animal.causes)
        return tuple(each for each in named if not set(each.causes) & set(each.case.animal.causes))

    @property
    def judged(self) -> tuple[Judged, ...]:
        """What is asked of the instruments, and what is so."""
        asked = (
            ("defects_missed", "Every defect is found", "defects", self.missed),
            ("false_alarms", "No clean twin is suspected", "twins", self.alarms),
        )
        return (*(_judged(*each) for each in asked), self._completeness())

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Counts of what is judged, and of causes that are not the defect's."""
        counted = [each.measurement for each in self.judged if each.measurement is not None]
        return (*counted, _count("causes_misnamed", "defects", self.misnamed))

    @property
    def verdict(self) -> Verdict:
        """The verdict on the instruments."""
        return verdict(self.judged)

    def _completeness(self) -> Judged:
        criterion = _criterion("trials_not_run", "Everything was run", "trials")
        return judge(criterion, None if self.unfinished else _count("trials_not_run", "trials", ()), {})


def _merged(trials: Sequence[Trial]) -> Trial:
    case = trials[0].examined
    findings = {id(finding): finding for each in trials for finding in each.findings}
    return Trial(case=case, examined=case, findings=tuple(findings.values()))


def _judged(name: str, label: str, unit: str, trials: Sequence[Trial]) -> Judged:
    return judge(_criterion(name, label, unit), _count(name, unit, trials), {})


def _criterion(name: str, label: str, unit: str) -> Criterion:
    return Criterion(measurement=name, label=label, unit=unit, source=SOURCE, remedy="see the trials", high=0.0)


def _count(name: str, unit: str, trials: Sequence[Trial]) -> Measurement:
    note = ", ".join(each.case.name for each in trials)
    return Measurement(name=name, value=float(len(trials)), unit=unit, note=note)
