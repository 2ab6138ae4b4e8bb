"""Trajectories of two models from the same starts, and how far apart they are in structure and vibrations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.assessed import AssessedModel, AssessedRun, Assessment
from mdsuite.campaign import Campaign
from mdsuite.execution.supervise import Status
from mdsuite.judgement.judge import Judged, Outcome, Verdict
from mdsuite.reference import Compared
from mdsuite.reference import compare as compare_with
from mdsuite.report.write import write_report
from mdsuite_analysis.measurement import Measurement

FOLDER = "trajectories"


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


def _done(each: AssessedRun) -> bool:
    return each.ending.status is Status.DONE


def _require_alike(baseline: AssessedModel, candidate: AssessedModel) -> None:
    for ours, theirs in zip(baseline.runs, candidate.runs, strict=True):
        a, b = ours.run.start, theirs.run.start
        if not (np.array_equal(a.positions, b.positions) and np.array_equal(a.velocities, b.velocities)):
            raise ValueError(f"{ours.run.id} and {theirs.run.id} do not begin alike")
