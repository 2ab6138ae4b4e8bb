"""Whether energy is conserved on the wrong surface."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mdsuite.judgement.causes import REMEDIES, WRONG_POTENTIAL, Cause
from mdsuite.judgement.judge import Judged, Outcome
from mdsuite_analysis.measurement import Measurement

MELTED = 0.25
"""Of the target temperature, that must have come out of the potential energy below that of the relaxed start."""

STRUCTURE = ("broken_bonds", "fragments_lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A run whose drift has passed: its name, its target temperature (K), verdicts, and measurements."""

    name: str
    temperature: float
    judged: Sequence[Judged]
    measurements: Sequence[Measurement]


def wrong_potential(runs: Sequence[Evidence]) -> Cause | None:
    """The cause of runs that conserve energy, and yet melt or fall apart, though their start was not strained."""
    found = [(run, told) for run in runs if (told := _told(run))]
    if not found:
        return None
    names = dict.fromkeys(name for _, told in found for name in told)
    run, told = found[0]
    return Cause(
        name=WRONG_POTENTIAL,
        share=None,
        evidence=tuple(names),
        remedy=REMEDIES[WRONG_POTENTIAL],
        sentence=f"{len(found)} trajectories conserve their energy, and yet are not what they should be; "
        f"{run.name}: {'; '.join(told.values())}",
    )


def _told(run: Evidence) -> dict[str, str]:
    """What shows it, by the names of the measurements."""
    values = {each.name: each for each in run.measurements}
    strain, melted = (values.get(f"heat_from_{kind}") for kind in ("strain", "structure"))
    told = {}
    low = melted.ci[0] if melted is not None and melted.ci is not None else math.nan
    if melted is not None and low > MELTED * run.temperature:
        told[melted.name] = f"{melted.value:.3g} K came out of potential energy below that of the relaxed start"
    strained = strain is not None and strain.value > MELTED * run.temperature
    broken = [each for each in run.judged if each.criterion.measurement in STRUCTURE and each.outcome is Outcome.FAIL]
    if told or not strained:
        for each in broken:
            if each.measurement is not None:
                told[each.measurement.name] = f"{each.measurement.value:.0f} {each.measurement.name.replace('_', ' ')}"
    return told
