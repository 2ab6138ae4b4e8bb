"""A series of energies judged by itself, whoever has integrated it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mdsuite.judgement.criteria import Criterion, Profile
from mdsuite.judgement.judge import Judged, Verdict, judge, verdict
from mdsuite_analysis.drift import (
    drift_rate_percent_per_ps,
    energy_drift,
    max_drift_percent,
    numerical_stability,
    total_drift_percent,
)
from mdsuite_analysis.measurement import Measurement, about
from mdsuite_analysis.series import EnergySeries
from mdsuite_analysis.temperature import temperature_mean

OF_ENERGIES = (
    "numerical_stability",
    "energy_drift",
    "total_drift_percent",
    "max_drift_percent",
    "drift_rate_percent_per_ps",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What was measured of a series, and what the criteria say that a bare series can meet.

    unasked : criteria of the profile that take more than energies
    """

    source: str
    series: EnergySeries
    profile: Profile
    measurements: tuple[Measurement, ...]
    judged: tuple[Judged, ...]
    unasked: tuple[Criterion, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict on the series."""
        return verdict(self.judged)


def analyze(source: str, series: EnergySeries, profile: Profile, temperature: float | None) -> Analysis:
    """Measure and judge a series; its temperature is judged where a target (K) is given."""
    subject = {"source": source}
    measured = tuple(about(each, **subject) for each in _measured(series))
    by_name = {each.name: each for each in measured}
    asked = [each for each in profile.criteria if _asked(each, series, temperature)]
    return Analysis(
        source=source,
        series=series,
        profile=profile,
        measurements=measured,
        judged=tuple(judge(each, by_name.get(each.measurement), subject, scale=temperature or 1.0) for each in asked),
        unasked=tuple(each for each in profile.criteria if each not in asked),
    )


def _asked(criterion: Criterion, series: EnergySeries, temperature: float | None) -> bool:
    if criterion.measurement == "temperature_mean":
        return series.temperature is not None and temperature is not None
    return criterion.measurement in OF_ENERGIES


def _measured(series: EnergySeries) -> Iterator[Measurement]:
    yield numerical_stability(series)
    yield energy_drift(series)
    if series.temperature is not None:
        yield temperature_mean(series.temperature)
    yield total_drift_percent(series)
    yield max_drift_percent(series)
    yield drift_rate_percent_per_ps(series)
