r"""How the energy error falls with the timestep: what a smaller timestep cures, and what it does not.

Velocity Verlet follows a shadow Hamiltonian that differs from the true one by O(dt²), so the total energy fluctuates
with an amplitude that falls as dt², by a factor of four at every halving [1]_. That holds where the potential is
smooth. Where its force jumps, as a shifted but truncated potential's does, the factor falls below four as the timestep
falls; where its energy jumps the factor is about one. A drift is taken out first: it is the same at every timestep
where its cause is not the timestep, and would hide the fall.

Each replica is compared with itself at the other timesteps, and from `REPLICAS` on the interval is Student's t over
them. With fewer it is a jackknife's over blocks of the series, which knows nothing of what differs between replicas
and is too narrow where energies wander as slowly as the series is long: for a random walk it covers about 72 %.

References
----------
.. [1] P. T. Merz, M. R. Shirts, PLoS ONE 13, e0202764 (2018), doi:10.1371/journal.pone.0202764
.. [2] E. C. Fieller, J. R. Stat. Soc. B 16, 175 (1954), doi:10.1111/j.2517-6161.1954.tb00159.x

"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from mdsuite_analysis.drift import MEV_PER_EV
from mdsuite_analysis.measurement import NOT_KNOWN, Interval, Measurement, undefined
from mdsuite_analysis.series import EnergySeries, Floats
from mdsuite_analysis.statistics import SHORTEST, Trend, trend
from mdsuite_analysis.transient import transient_end

REPLICAS = 3
"""From how many on their scatter makes the interval."""

BLOCKS = 12
"""Into which a series is cut where there are fewer."""

_FS = 1e3  # in a ps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Estimate:
    """One number for every timestep, (k,), their covariance (k, k), and the degrees of freedom behind it."""

    value: Floats
    covariance: Floats
    dof: int

    def quantile(self, confidence: float) -> float:
        """Of Student's t, two-sided."""
        return float(stdtrit(self.dof, 0.5 + confidence / 2))

    def combined(self, weights: Floats, confidence: float) -> tuple[float, Interval]:
        """Σ weights · value, and its interval."""
        value = float(weights @ self.value)
        half = self.quantile(confidence) * math.sqrt(max(0.0, float(weights @ self.covariance @ weights)))
        return value, (value - half, value + half)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Settled:
    """The part of a run that counts: its line, and the mean squares (`BLOCKS`,) of what the energy does about it."""

    line: Trend
    squares: Floats


def timestep_order(
    series_by_timestep: Mapping[float, Sequence[EnergySeries]], *, confidence: float = 0.95
) -> list[Measurement]:
    """What one start integrated with several timesteps tells of energy error and drift.

    ``timestep_order`` is the exponent p in rms ~ dt^p of the total energy about its line, by least squares over all
    timesteps: 2 for a smooth potential, 0 for one whose energy jumps, in between, with ratios that fall as the timestep
    does, for one whose force jumps. ``timestep_ratio_1``, ``_2``, … is the factor by which the rms falls from the
    largest timestep to the next, and so on; where that is not a half but a 1/f, the factor is raised to log 2 / log f.

    ``drift_reduction_by_halving`` is the part of the drift at the largest timestep that is gone at half of it, 0 where
    halving does not help, 3/4 where drift ~ dt², with Fieller's interval [2]_; nan where the former cannot be told from
    zero. ``drift_at_zero_timestep`` is a in drift = a + b dt²: what no timestep removes.

    Neither the zero of energy nor the origin of time changes any of them.

    Assumption: no thermostat, and rounding far below the fluctuation; single precision may be what ends its fall.

    Parameters
    ----------
    series_by_timestep : mapping of float, ps, to EnergySeries
        For each timestep the replicas, the i-th of each begun at one and the same configuration.
    confidence : float
        Confidence of the intervals.

    """
    ladder = dict(sorted(series_by_timestep.items(), reverse=True))
    _check(ladder)
    reason = _unusable(ladder)
    if reason:
        return _all_undefined(len(ladder), reason, confidence)
    settled = _settled(ladder, confidence)
    timesteps = np.array(list(ladder))
    return [*_orders(timesteps, settled, confidence), *_drifts(timesteps, settled, confidence)]


def _check(ladder: Mapping[float, Sequence[EnergySeries]]) -> None:
    counts = {len(replicas) for replicas in ladder.values()}
    if len(ladder) < 2 or len(counts) != 1 or 0 in counts:
        told = ", ".join(f"{len(replicas)} at {timestep * _FS:g} fs" for timestep, replicas in ladder.items())
        raise ValueError(f"an order needs two timesteps or more with the same replicas each, but there are {told or 0}")


def _unusable(ladder: Mapping[float, Sequence[EnergySeries]]) -> str:
    bad = [
        f"replica {number} at {timestep * _FS:g} fs"
        for timestep, replicas in ladder.items()
        for number, series in enumerate(replicas, 1)
        if not series.finite
    ]
    if bad:
        return f"not every recorded number is finite: {', '.join(bad)}"
    begin, end = _window(ladder)
    fewest = min(int(_within(series, begin, end).sum()) for replicas in ladder.values() for series in replicas)
    wanted = max(SHORTEST, 2 * BLOCKS)
    return "" if fewest >= wanted else f"{NOT_KNOWN}{fewest} samples after the transient; an order needs {wanted}"


def _window(ladder: Mapping[float, Sequence[EnergySeries]]) -> Interval:
    """From the longest transient to the end of the shortest run, ps since the start."""
    every = [series for replicas in ladder.values() for series in replicas]
    ends = [min(transient_end(series).end, len(series.time) - 1) for series in every]
    begin = max(float(series.time[end] - series.time[0]) for series, end in zip(every, ends, strict=True))
    return begin, min(series.duration for series in every)


def _within(series: EnergySeries, begin: float, end: float) -> npt.NDArray[np.bool_]:
    elapsed = series.time - series.time[0]
    slack = 1e-6 * end
    inside: npt.NDArray[np.bool_] = (elapsed >= begin - slack) & (elapsed <= end + slack)
    return inside


def _settled(ladder: Mapping[float, Sequence[EnergySeries]], confidence: float) -> list[list[_Settled]]:
    begin, end = _window(ladder)
    return [[_about_its_line(each, _within(each, begin, end), confidence) for each in row] for row in ladder.values()]


def _about_its_line(series: EnergySeries, kept: npt.NDArray[np.bool_], confidence: float) -> _Settled:
    time = series.time[kept] - series.time[0]
    energy = (series.total_energy[kept] - series.total_energy[0]) * MEV_PER_EV / series.n_atoms
    line = trend(time, energy, confidence=confidence)
    residual = energy - line.intercept - line.slope * time
    blocks = np.array_split(residual**2, BLOCKS)
    return _Settled(line=line, squares=np.array([block.mean() for block in blocks]))


def _orders(timesteps: Floats, settled: list[list[_Settled]], confidence: float) -> list[Measurement]:
    squares = np.array([[each.squares for each in row] for row in settled])
    if not (squares.mean(axis=2) > 0.0).all():
        return _orders_undefined(len(timesteps), "a total energy does not change at all", confidence)
    logs = _log_amplitudes(squares)
    halvings = np.log(timesteps) / math.log(2.0)
    note = _note(timesteps, "rms meV/atom", 2.0**logs.value, squares.shape[1])
    drops = np.eye(len(timesteps))[:-1] - np.eye(len(timesteps))[1:]
    ratios = []
    for number, drop in enumerate(drops, 1):
        power, ends = logs.combined(drop / (drop @ halvings), confidence)
        ratio = (2.0**power, (2.0 ** ends[0], 2.0 ** ends[1]))
        ratios.append(_measured(f"timestep_ratio_{number}", "1", *ratio, confidence, note))
    centred = halvings - halvings.mean()
    order = logs.combined(centred / (centred @ centred), confidence)
    return [_measured("timestep_order", "1", *order, confidence, note), *ratios]


def _log_amplitudes(squares: Floats) -> _Estimate:
    """The base-2 logarithm of the rms of the energy at each timestep, from mean squares (k, replicas, blocks)."""
    logs = 0.5 * np.log2(squares.mean(axis=2))
    n_replicas, n_blocks = squares.shape[1:]
    if n_replicas >= REPLICAS:
        return _over_replicas(logs)
    without = 0.5 * np.log2((squares.sum(axis=2, keepdims=True) - squares) / (n_blocks - 1))
    deviation = (without - without.mean(axis=2, keepdims=True)).reshape(len(squares), -1)
    covariance = (n_blocks - 1) / n_blocks * (deviation @ deviation.T) / n_replicas**2
    return _Estimate(value=logs.mean(axis=1), covariance=covariance, dof=n_replicas * (n_blocks - 1))


def _over_replicas(values: Floats) -> _Estimate:
    """Mean and covariance of values (k, replicas)."""
    n_replicas = values.shape[1]
    return _Estimate(value=values.mean(axis=1), covariance=np.cov(values) / n_replicas, dof=n_replicas - 1)


def _drifts(timesteps: Floats, settled: list[list[_Settled]], confidence: float) -> list[Measurement]:
    slopes = _slopes([[each.line for each in row] for row in settled], confidence)
    note = _note(timesteps, "drift meV/atom/ps", slopes.value, len(settled[0]))
    design = np.stack([np.ones(len(timesteps)), timesteps**2], axis=1)
    at_zero = slopes.combined(np.linalg.pinv(design)[0], confidence)
    return [
        _reduction(timesteps, slopes, confidence, note),
        _measured("drift_at_zero_timestep", "meV/atom/ps", *at_zero, confidence, note),
    ]


def _slopes(lines: list[list[Trend]], confidence: float) -> _Estimate:
    values = np.array([[line.slope for line in row] for row in lines])
    n_replicas = values.shape[1]
    if n_replicas >= REPLICAS:
        return _over_replicas(values)
    dof = min(line.dof for row in lines for line in row)
    half = np.array([[0.5 * (line.ci[1] - line.ci[0]) for line in row] for row in lines])
    variance = ((half / stdtrit(dof, 0.5 + confidence / 2)) ** 2).sum(axis=1) / n_replicas**2
    return _Estimate(value=values.mean(axis=1), covariance=np.diag(variance), dof=dof)


def _reduction(timesteps: Floats, slopes: _Estimate, confidence: float, note: str) -> Measurement:
    name = "drift_reduction_by_halving"
    halves = np.flatnonzero(np.isclose(timesteps, timesteps[0] / 2, rtol=1e-3))
    if not len(halves):
        return undefined(name, "1", f"no run at half of {timesteps[0] * _FS:g} fs", confidence)
    pair = np.array([halves[0], 0])
    scaled = slopes.quantile(confidence) ** 2 * slopes.covariance[np.ix_(pair, pair)]
    half, full = slopes.value[pair]
    if not full**2 > scaled[1, 1]:
        return undefined(name, "1", f"the drift cannot be told from zero; {note}", confidence)
    low, high = _fieller(half, full, scaled)
    return _measured(name, "1", 1.0 - half / full, (1.0 - high, 1.0 - low), confidence, note)


def _fieller(above: float, below: float, scaled: Floats) -> Interval:
    """Fieller's interval of above / below, from their covariance times t²; `below` is told from zero."""
    a, b, c = below**2 - scaled[1, 1], above * below - scaled[0, 1], above**2 - scaled[0, 0]
    root = math.sqrt(max(0.0, b * b - a * c))
    return (b - root) / a, (b + root) / a


def _note(timesteps: Floats, what: str, values: Floats, n_replicas: int) -> str:
    told = ", ".join(f"{v:.3g} at {dt * _FS:g} fs" for dt, v in zip(timesteps, values, strict=True))
    few = "" if n_replicas >= REPLICAS else f"; replicas: {n_replicas}, too few for their scatter"
    return f"{what}: {told}{few}"


def _all_undefined(n_timesteps: int, reason: str, confidence: float) -> list[Measurement]:
    return [
        *_orders_undefined(n_timesteps, reason, confidence),
        undefined("drift_reduction_by_halving", "1", reason, confidence),
        undefined("drift_at_zero_timestep", "meV/atom/ps", reason, confidence),
    ]


def _orders_undefined(n_timesteps: int, reason: str, confidence: float) -> list[Measurement]:
    names = ["timestep_order", *(f"timestep_ratio_{number}" for number in range(1, n_timesteps))]
    return [undefined(name, "1", reason, confidence) for name in names]


def _measured(name: str, unit: str, value: float, interval: Interval, confidence: float, note: str) -> Measurement:
    return Measurement(name=name, value=value, unit=unit, ci=interval, confidence=confidence, note=note)
