"""How long runs last: survival of replicas, the rate of failure, and the envelope of what was stable.

A replica is a pair (duration, failed): how long it ran, in ps, and whether it ended by failing. One that did not fail
is censored: it would have lasted longer, nobody knows how much.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import CensoredData, beta, chi2, ecdf

from mdsuite_analysis.measurement import NOT_KNOWN, Interval, Measurement, undefined

Replica = tuple[float, bool]

PS_PER_NS = 1e3

Word = Literal["stable", "unstable", "mixed", "not run"]


def survival_probability(replicas: Sequence[Replica], planned: float, *, confidence: float = 0.95) -> Measurement:
    """The probability that a run survives its planned length, by Kaplan and Meier.

    The interval is the beta product confidence procedure of Fay, Brittain and Proschan,
    doi:10.1093/biostatistics/kxt016: of replicas of equal length it is that of Clopper and Pearson. The log-log
    interval of the estimator does not exist where no replica failed, or all did, which is what few replicas do.

    Parameters
    ----------
    replicas : sequence of (duration, failed)
        Durations in ps. A run that was stopped early without failing counts for as long as it ran.
    planned : float, ps
    confidence : float
        Confidence of the interval, which holds for any number of replicas.

    """
    name = "survival_probability"
    reason = _flaw(replicas)
    if reason:
        return undefined(name, "1", reason, confidence)
    data = _rounded(replicas)
    t = _round(planned)
    return Measurement(
        name=name,
        value=_survival(data, t),
        unit="1",
        ci=_survival_interval(data, t, confidence),
        confidence=confidence,
        note=f"{_count(replicas)} within {planned:g} ps",
    )


def failure_rate(replicas: Sequence[Replica], *, confidence: float = 0.95) -> Measurement:
    """The number of failures per time run, 1/ns, with the exact interval of Garwood, doi:10.1093/biomet/28.3-4.437.

    Where no replica failed there is only an upper bound, 3.0 / (time run) at 95 %: all of the error goes to it.

    Assumption: failures come at a constant rate, so that a long run and many short ones say the same.

    Parameters
    ----------
    replicas : sequence of (duration, failed)
        Durations in ps.
    confidence : float
        Confidence of the interval.

    """
    reason = _flaw(replicas)
    exposure = math.fsum(duration for duration, _ in replicas) / PS_PER_NS
    if reason or not exposure > 0.0:
        return undefined("failure_rate", "1/ns", reason or f"{NOT_KNOWN}no time was run", confidence)
    n = sum(failed for _, failed in replicas)
    tail = (1.0 - confidence) / 2 if n else 1.0 - confidence
    low = float(chi2.ppf(tail, 2 * n)) / 2 if n else 0.0
    high = float(chi2.isf(tail, 2 * n + 2)) / 2
    return Measurement(
        name="failure_rate",
        value=n / exposure,
        unit="1/ns",
        ci=(low / exposure, high / exposure),
        confidence=confidence,
        note=f"{_count(replicas)} in {exposure:.4g} ns",
    )


def time_to_failure(replicas: Sequence[Replica], *, confidence: float = 0.95) -> Measurement:
    """The median time to failure by Kaplan and Meier, ps; nan where fewer than half fail.

    The interval holds the times at which that of the survival probability holds one half; it is open above, up to
    infinity, where that never falls below.

    Parameters
    ----------
    replicas : sequence of (duration, failed)
        Durations in ps.
    confidence : float
        Confidence of the interval.

    """
    name = "time_to_failure"
    data = _rounded(replicas)
    reason = _flaw(replicas)
    median = float("nan") if reason else _first(data, lambda t: _survival(data, t) <= 0.5)
    if not math.isfinite(median):
        return undefined(name, "ps", reason or f"{_count(replicas)}; a median takes half of them", confidence)
    intervals = {t: _survival_interval(data, math.nextafter(t, math.inf), confidence) for t in _times(data)}
    interval = (_first(data, lambda t: intervals[t][0] <= 0.5), _first(data, lambda t: intervals[t][1] < 0.5))
    return Measurement(name=name, value=median, unit="ps", ci=interval, confidence=confidence, note=_count(replicas))


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What was stable, by temperature and timestep.

    Attributes
    ----------
    temperatures : tuple of float, K
        Rising.
    timesteps : tuple of float, ps
        Rising.
    survived, replicas : tuple of tuple of int
        How many replicas survived and how many were run; a row for every temperature, a column for every timestep.

    """

    temperatures: tuple[float, ...]
    timesteps: tuple[float, ...]
    survived: tuple[tuple[int, ...], ...]
    replicas: tuple[tuple[int, ...], ...]

    @property
    def words(self) -> tuple[tuple[Word, ...], ...]:
        """The outcome of every cell: stable, unstable, mixed or not run."""
        return tuple(
            tuple(_word(alive, n) for alive, n in zip(*rows, strict=True))
            for rows in zip(self.survived, self.replicas, strict=True)
        )

    @property
    def safe(self) -> tuple[float, float] | None:
        """Temperature (K) and timestep (ps) up to which every cell was run and stable; None where there is no such.

        Of several such pairs it is the one with most cells below it, then the one with the highest temperature.
        """
        stable = np.array(self.words) == "stable"
        filled = np.logical_and.accumulate(np.logical_and.accumulate(stable, axis=0), axis=1)
        corners = [((i + 1) * (j + 1), i, j) for i, j in np.argwhere(filled).tolist()]
        if not corners:
            return None
        _, i, j = max(corners)
        return self.temperatures[i], self.timesteps[j]

    @property
    def sentence(self) -> str:
        """The safe rectangle in words."""
        if self.safe is None:
            return "not stable even at the lowest temperature and the smallest timestep that were run"
        temperature, timestep = self.safe
        return f"stable up to {temperature:g} K with timesteps up to {timestep * 1e3:g} fs"


def envelope(outcomes: Mapping[tuple[float, float], Sequence[Replica]]) -> Envelope:
    """What was stable of the replicas run at each temperature (K) and timestep (ps)."""
    temperatures = tuple(sorted({temperature for temperature, _ in outcomes}))
    timesteps = tuple(sorted({timestep for _, timestep in outcomes}))
    cells = [[outcomes.get((temperature, timestep), ()) for timestep in timesteps] for temperature in temperatures]
    return Envelope(
        temperatures=temperatures,
        timesteps=timesteps,
        survived=tuple(tuple(sum(not failed for _, failed in cell) for cell in row) for row in cells),
        replicas=tuple(tuple(len(cell) for cell in row) for row in cells),
    )


def _word(survived: int, n: int) -> Word:
    if n == 0:
        return "not run"
    if survived == n:
        return "stable"
    return "mixed" if survived else "unstable"


def _survival(replicas: Sequence[Replica], t: float) -> float:
    durations, failed = zip(*replicas, strict=True)
    data = CensoredData.right_censored(durations, np.logical_not(failed))
    return float(ecdf(data).sf.evaluate(np.array([t]))[0])


def _survival_interval(replicas: Sequence[Replica], t: float, confidence: float) -> Interval:
    """Every failure takes a factor Beta(number at risk, 1) off the survival, and the next one would take another."""
    ordered = sorted(replicas, key=lambda each: (each[0], not each[1]))
    at_risk = [len(ordered) - i for i, (duration, failed) in enumerate(ordered) if failed and duration <= t]
    alive = sum(duration > t or (duration == t and not failed) for duration, failed in ordered)
    tail = (1.0 - confidence) / 2
    low = _product_quantile([*at_risk, alive], tail) if alive else 0.0
    high = _product_quantile(at_risk, 1.0 - tail) if at_risk else 1.0
    return low, high


def _product_quantile(counts: Sequence[int], probability: float) -> float:
    """Quantile of a product of Beta(n, 1): exact for consecutive n, by a beta of the same two moments otherwise."""
    n = np.array(counts, dtype=np.float64)
    mean, square = np.prod(n / (n + 1)), np.prod(n / (n + 2))
    size = (mean - square) / (square - mean**2)
    return float(beta.ppf(probability, mean * size, (1.0 - mean) * size))


def _times(replicas: Sequence[Replica]) -> list[float]:
    return [0.0, *sorted({duration for duration, _ in replicas})]


def _first(replicas: Sequence[Replica], holds: Callable[[float], bool]) -> float:
    return next((t for t in _times(replicas) if holds(t)), math.inf)


def _rounded(replicas: Sequence[Replica]) -> list[Replica]:
    return [(_round(duration), bool(failed)) for duration, failed in replicas]


def _round(duration: float) -> float:
    return float(f"{duration:.9g}")  # a run of the planned length must reach it, whatever the sum of its steps is


def _flaw(replicas: Sequence[Replica]) -> str:
    if not replicas:
        return f"{NOT_KNOWN}no replica was run"
    bad = [duration for duration, _ in replicas if not (math.isfinite(duration) and duration >= 0.0)]
    return f"durations must be finite and not negative, but some are {bad[:3]}" if bad else ""


def _count(replicas: Sequence[Replica]) -> str:
    return f"{sum(failed for _, failed in replicas)} of {len(replicas)} replicas failed"
