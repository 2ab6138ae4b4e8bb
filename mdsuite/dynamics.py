"""Trajectories of two models from the same starts, and how far apart they are in structure and vibrations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.assessed import AssessedModel, AssessedRun, Assessment
from mdsuite.campaign import Campaign
from mdsuite.execution.supervise import Status
from mdsuite.judgement.judge import Judged, Outcome, Verdict
from mdsuite.plan import MANIFEST, runs_in
from mdsuite.reference import Compared
from mdsuite.reference import compare as compare_with
from mdsuite.report.write import write_report
from mdsuite.runs import read_run
from mdsuite_analysis.measurement import Measurement

FOLDER = "trajectories"

Pair = tuple[Judged | None, Judged | None]
"""The same verdict on two models; None for one that it was not given on, as on a run that broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """Of baseline and candidate.

    distances : of the candidate's trajectories from the baseline's, by structure
    """

    baseline: AssessedModel
    candidate: AssessedModel
    distances: tuple[tuple[str, Compared], ...]

    @property
    def verdicts(self) -> tuple[Verdict, Verdict]:
        """Of both."""
        return self.baseline.verdict, self.candidate.verdict

    @property
    def pairs(self) -> list[Pair]:
        """Every verdict on one beside the same on the other."""
        return paired(self.baseline.judged, self.candidate.judged)

    @property
    def changed(self) -> list[Pair]:
        """Those that are not the same."""
        return changed(self.pairs)

    @property
    def apart(self) -> list[Judged]:
        """Distances that are beyond their limits."""
        return [each for _, of in self.distances for each in of.judged if each.outcome is Outcome.FAIL]

    @property
    def measurements(self) -> list[tuple[str, Measurement]]:
        """Every distance, with the structure that it is of."""
        return [(name, each) for name, of in self.distances for each in of.measurements]


def dynamics(
    campaign: Campaign, folder: Path, assessed: Callable[[Campaign, Path], Assessment | None]
) -> Dynamics | None:
    """Carry out a campaign of two models, baseline first, in a folder; None where it was stopped.

    Raises ValueError where the models did not begin alike, which is a defect of mdsuite.
    """
    assessment = assessed(campaign, folder)
    if assessment is None:
        return None
    write_report(assessment, folder)
    baseline, candidate = assessment.models
    _require_alike(baseline, candidate)
    plan = assessment.plan
    names = list(dict.fromkeys(each.run.structure for each in baseline.runs))
    distances = []
    for name in names:
        ours, theirs = (
            [plan.folder(folder, each.run) for each in of.runs if each.run.structure == name and _done(each)]
            for of in (candidate, baseline)
        )
        if ours and theirs:
            distances.append((name, compare_with(ours, theirs)))
    return Dynamics(baseline=baseline, candidate=candidate, distances=tuple(distances))


def paired(baseline: Iterable[Judged], candidate: Iterable[Judged]) -> list[Pair]:
    """Verdicts on two models beside each other, by criterion and by all that they are of but model and run."""
    ours, theirs = ({_asked_of(each): each for each in of} for of in (baseline, candidate))
    return [(ours.get(key), theirs.get(key)) for key in dict.fromkeys([*ours, *theirs])]


def changed(pairs: Iterable[Pair]) -> list[Pair]:
    """Those whose outcomes are not the same; a verdict that only one of them has is one."""
    return [(a, b) for a, b in pairs if a is None or b is None or a.outcome is not b.outcome]


def begun_with(folder: Path) -> frozenset[str]:
    """What the weights hash to (sha256) of the models whose trajectories a folder holds; none where it holds none."""
    if not (folder / MANIFEST).exists():
        return frozenset()
    runs = (each for each in runs_in(folder).values() if (each / "run.json").exists())
    return frozenset(read_run(each).model_sha256 for each in runs)


def _asked_of(judged: Judged) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    subject = {key: value for key, value in judged.subject.items() if key not in ("model", "run")}
    return judged.criterion.measurement, judged.criterion.label, tuple(sorted(subject.items()))


def _done(each: AssessedRun) -> bool:
    return each.ending.status is Status.DONE


def _require_alike(baseline: AssessedModel, candidate: AssessedModel) -> None:
    for ours, theirs in zip(baseline.runs, candidate.runs, strict=True):
        a, b = ours.run.start, theirs.run.start
        if not (np.array_equal(a.positions, b.positions) and np.array_equal(a.velocities, b.velocities)):
            raise ValueError(f"{ours.run.id} and {theirs.run.id} do not begin alike")
