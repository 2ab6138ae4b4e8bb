r"""Drift over replicas: its mean, what of it is a random walk, and whether the replicas agree.

The interval of the mean drift is Student's t over the slopes of the replicas, with R - 1 degrees of freedom. It holds
for any noise within a run, stationary or not, and for replicas whose true drifts differ; the intervals of the single
runs do not enter it. For replicas of one length it is Hartung and Knapp's random-effects interval too. DerSimonian and
Laird's and the fixed-effect one use a normal quantile and the errors within the runs: they are narrower at four
replicas, and do not cover what they say where energies walk or true drifts differ
(``python benchmarks/decision_rates.py coverage``).

What the energy does about its line is read from its cosine components of even order [1]_. A straight line has none of
them, so neither the drift nor its scatter over replicas enters. A random walk with ``Var[ΔE(t)] = 2 D t`` gives the
component of order k in a run of length T the variance ``2 D (T/πk)²``, independently of the others; stationary noise of
variance σ² and autocorrelation time τ gives it ``2 σ² τ / (1 + (πkτ/T)²)``. The two are fitted by maximum likelihood:
the fit of ``Var[ΔE(t)] = 2 D t + σ²`` with the weights that its correlated points need.

Assumption: stationary noise has forgotten itself after a twentieth of the run, τ ≤ T/20. What takes longer to come back
counts as a walk, for the run is too short to see it come back.

References
----------
.. [1] P. Whittle, Ark. Mat. 2, 423 (1953), doi:10.1007/BF02590998 (likelihood by frequencies)
.. [2] W. Viechtbauer, Stat. Med. 26, 37 (2007), doi:10.1002/sim.2514 (interval of the scatter over studies)

"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
from scipy import fft
from scipy.stats import chi2, f

from mdsuite_analysis.drift import MEV_PER_EV, energy_drift
from mdsuite_analysis.mean import students_mean
from mdsuite_analysis.measurement import NOT_KNOWN, Interval, Measurement, undefined
from mdsuite_analysis.series import EnergySeries, Floats
from mdsuite_analysis.transient import transient_end

RECOMMENDED = 4
"""Replicas below which a measurement says that there are few."""

_MOST_COMPONENTS = 16
_SAMPLES_PER_COMPONENT = 16  # keeps the components slow compared with the sampling
_DIFFUSIONS = np.concatenate([[0.0], np.geomspace(1e-4, 1e2, 121)])  # candidate D, in units of a walk without noise
_FORGETTING = np.concatenate([[0.0], np.geomspace(0.003, 0.05, 7)])  # candidate τ, in lengths of the run
_FORGOTTEN = np.zeros(1)
_SCORING_STEPS = 25


class Character(StrEnum):
    """What kind of drift the replicas show."""

    NONE = "none"
    SYSTEMATIC = "systematic"
    DIFFUSIVE = "diffusive"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What the energy per atom does about its line.

    Attributes
    ----------
    diffusion : float, (meV/atom)²/ps
        D of the random walk, Var[ΔE(t)] = 2 D t.
    fluctuation : float, (meV/atom)² ps
        Variance times integrated autocorrelation time, σ² τ, of the stationary part.

    """

    diffusion: float
    fluctuation: float

    def slope_variance(self, length: float) -> float:
        """Variance of the slope of one run of this length (ps), 12 D / (5 T) + 24 σ² τ / T³, (meV/atom/ps)²."""
        return 2.4 * self.diffusion / length + 24.0 * self.fluctuation / length**3


def replica_drift(series: Sequence[EnergySeries], *, confidence: float = 0.95) -> list[Measurement]:
    """All that replicas tell of a drift: `mean_drift`, `energy_diffusion`, `diffusive_drift`, `drift_heterogeneity`.

    Parameters
    ----------
    series : sequence of EnergySeries
        Of one system under the same conditions with independent velocities; at least two, four or more recommended.
    confidence : float
        Confidence of every interval.

    """
    return [
        measure(series, confidence=confidence)
        for measure in (mean_drift, energy_diffusion, diffusive_drift, drift_heterogeneity)
    ]


def mean_drift(series: Sequence[EnergySeries], *, confidence: float = 0.95) -> Measurement:
    """The mean over replicas of the slope of the total energy after the transient, meV/atom/ps, signed.

    Its interval is Student's t over the replicas. It is nan where one replica has no slope: a run that failed is not
    left out.
    """
    slopes, reason = _slopes(series)
    if reason:
        return undefined("mean_drift", "meV/atom/ps", reason, confidence)
    return mean_of_slopes(slopes, confidence=confidence, note=_note(series))


def mean_of_slopes(slopes: Sequence[float] | Floats, *, confidence: float = 0.95, note: str = "") -> Measurement:
    """As `mean_drift`, from slopes (n_replicas,) that were measured before, meV/atom/ps; at least two."""
    mean, interval = students_mean(np.asarray(slopes, dtype=np.float64), confidence)
    return _measured("mean_drift", "meV/atom/ps", mean, interval, confidence, note)


def energy_diffusion(series: Sequence[EnergySeries], *, confidence: float = 0.95) -> Measurement:
    """The diffusion constant D of the energy per atom about its line, Var[ΔE(t)] = 2 D t, (meV/atom)²/ps.

    Its interval is that of the profile likelihood; it begins at zero where stationary noise explains the energies.
    """
    reason = _slopes(series)[1]
    if reason:
        return undefined("energy_diffusion", "(meV/atom)²/ps", reason, confidence)
    likelihood = _likelihood(series, _FORGETTING)
    value, interval = likelihood.best.diffusion, likelihood.interval(confidence)
    return _measured("energy_diffusion", "(meV/atom)²/ps", value, interval, confidence, _note(series))


def diffusive_drift(series: Sequence[EnergySeries], *, confidence: float = 0.95) -> Measurement:
    """The slope that the random walk alone gives to a run of this length, √(12 D / (5 T)), meV/atom/ps: one sigma."""
    diffusion = energy_diffusion(series, confidence=confidence)
    if diffusion.ci is None or not math.isfinite(diffusion.value):
        return undefined("diffusive_drift", "meV/atom/ps", diffusion.note, confidence)
    value, low, high = (math.sqrt(2.4 * each / _length(series)) for each in (diffusion.value, *diffusion.ci))
    return _measured("diffusive_drift", "meV/atom/ps", value, (low, high), confidence, diffusion.note)


def drift_heterogeneity(series: Sequence[EnergySeries], *, confidence: float = 0.95) -> Measurement:
    """How far the true drifts of the replicas scatter, meV/atom/ps: one sigma, beyond what noise explains.

    With s² the variance of the slopes and w² that of one slope by its noise, learnt from ν components, it is
    √max(0, s² - w²). The interval inverts s² / (h² + w²) ~ F with R - 1 and ν - 2 degrees of freedom, after [2]_. All
    noise that is not white counts as a walk for w², which errs to the safe side. It lies above zero where one replica
    does not stand for another.
    """
    slopes, reason = _slopes(series)
    if reason:
        return undefined("drift_heterogeneity", "meV/atom/ps", reason, confidence)
    variance = float(slopes.var(ddof=1))
    within = _likelihood(series, _FORGOTTEN).best.slope_variance(_length(series))
    ratio = f(len(slopes) - 1, max(1, sum(len(_components(each)[0]) for each in series) - 2))
    divisors = (1.0, float(ratio.ppf(0.5 + confidence / 2)), float(ratio.ppf(0.5 - confidence / 2)))
    value, low, high = (math.sqrt(max(0.0, variance / divisor - within)) for divisor in divisors)
    return _measured("drift_heterogeneity", "meV/atom/ps", value, (low, high), confidence, _note(series))


def character(mean: Measurement, diffusion: Measurement) -> Character:
    """Whether a drift is systematic (`mean_drift` told from zero), diffusive (`energy_diffusion` is), both or neither.

    Raises ValueError for one that was not measured.
    """
    intervals = [each.ci or (math.nan, math.nan) for each in (mean, diffusion)]
    if not np.isfinite(intervals).all():
        raise ValueError(f"a drift that was not measured has no character: {mean.note or diffusion.note}")
    systematic, diffusive = (not low <= 0.0 <= high for low, high in intervals)
    if systematic:
        return Character.BOTH if diffusive else Character.SYSTEMATIC
    return Character.DIFFUSIVE if diffusive else Character.NONE


def energy_noise(series: Sequence[EnergySeries]) -> Noise:
    """The noise of one run or several, pooled, to plan longer runs by; no walk where none is told from zero.

    A walk that a short run cannot rule out would make every plan long. Raises ValueError where a run has no slope.
    """
    for each in series:
        drift = energy_drift(each)
        if not math.isfinite(drift.value):
            raise ValueError(f"no noise can be learnt: {drift.note}")
    likelihood = _likelihood(series, _FORGETTING)
    return likelihood.best if likelihood.interval(0.95)[0] > 0.0 else likelihood.stationary


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Likelihood:
    """What goes best with every candidate D.

    diffusion : (n,) float, (meV/atom)²/ps
    fluctuation : (n,) float, (meV/atom)² ps
    cost : (n,) float
        -2 log likelihood.
    """

    diffusion: Floats
    fluctuation: Floats
    cost: Floats

    @property
    def best(self) -> Noise:
        """The likeliest noise."""
        i = int(self.cost.argmin())
        return Noise(diffusion=float(self.diffusion[i]), fluctuation=float(self.fluctuation[i]))

    @property
    def stationary(self) -> Noise:
        """The likeliest noise without a walk."""
        return Noise(diffusion=0.0, fluctuation=float(self.fluctuation[0]))

    def interval(self, confidence: float) -> Interval:
        """Where the cost is within a quantile of χ² of its minimum."""
        excess = self.cost - self.cost.min() - chi2.ppf(confidence, 1)
        inside = np.flatnonzero(excess <= 0.0)
        first, last = int(inside[0]), int(inside[-1])
        low = self._crossing(excess, first, first - 1) if first > 1 else 0.0
        return low, self._crossing(excess, last, min(last + 1, len(excess) - 1))

    def _crossing(self, excess: Floats, inside: int, outside: int) -> float:
        pair = [inside, outside]
        return float(np.interp(0.0, excess[pair], self.diffusion[pair]))


def _likelihood(series: Sequence[EnergySeries], forgetting: Floats) -> _Likelihood:
    """The likelihood of the components of all runs; `forgetting` holds the candidate τ in lengths of the run."""
    power, walk, phase, count = _pooled([_components(each) for each in series])
    size = float(np.average(power, weights=count)) or 1.0  # an exact line has no components at all
    diffusion = _DIFFUSIONS * float(np.average(power / walk, weights=count))
    stationary = 1.0 / (1.0 + (forgetting[:, None] * phase) ** 2)
    cost, height = _best_heights(power / size, (diffusion / size)[:, None, None] * walk, stationary, count)
    best = np.arange(len(diffusion)), cost.argmin(axis=1)
    return _Likelihood(diffusion=diffusion, fluctuation=0.5 * size * height[best], cost=cost[best])


def _best_heights(power: Floats, walk: Floats, stationary: Floats, count: Floats) -> tuple[Floats, Floats]:
    """-2 log likelihood and height of the stationary part for every D and τ, by Fisher scoring in its logarithm.

    The components are Gaussian with variance walk + height × stationary.
    """
    height = np.ones((walk.shape[0], stationary.shape[0], 1))
    for _ in range(_SCORING_STEPS):
        variance = walk + height * stationary
        share = height * stationary / variance
        step = (share * (power / variance - 1.0)) @ count / (share**2 @ count)
        height = height * np.exp(np.clip(step, -1.0, 1.0))[:, :, None]
    variance = walk + height * stationary
    return (np.log(variance) + power / variance) @ count, height[:, :, 0]


def _pooled(parts: Sequence[tuple[Floats, Floats, Floats]]) -> tuple[Floats, Floats, Floats, Floats]:
    """Components of the same order in runs of the same length are one, their mean, with its count."""
    power, walk, phase = (np.concatenate([part[i] for part in parts]) for i in range(3))
    walk, first, index, count = np.unique(walk, return_index=True, return_inverse=True, return_counts=True)
    return np.bincount(index, power) / count, walk, phase[first], count.astype(np.float64)


def _components(series: EnergySeries) -> tuple[Floats, Floats, Floats]:
    """Squares of the even cosine components, (meV/atom)² ps; the share in them of a walk of D = 1, ps²; π k."""
    start = transient_end(series).end
    energy = series.total_energy[start:] * (MEV_PER_EV / series.n_atoms)
    order = 2 * np.arange(1, 1 + min(_MOST_COMPONENTS, len(energy) // _SAMPLES_PER_COMPONENT))
    spacing = float(series.time[-1] - series.time[start]) / (len(energy) - 1)
    cosines = fft.dct(energy - energy.mean(), norm="ortho")[order]
    phase = np.asarray(np.pi * order, dtype=np.float64)
    return spacing * cosines**2, 2.0 * (spacing * len(energy) / phase) ** 2, phase


def _slopes(series: Sequence[EnergySeries]) -> tuple[Floats, str]:
    """The slope of every replica, meV/atom/ps, or why there is nothing to measure."""
    drifts = [energy_drift(each) for each in series]
    notes = {i: drift.note for i, drift in enumerate(drifts, 1) if not math.isfinite(drift.value)}
    begin = NOT_KNOWN if all(note.startswith(NOT_KNOWN) for note in notes.values()) else ""
    reasons = [
        f"replica {', '.join(str(i) for i in notes if notes[i] == note)}: {note.removeprefix(NOT_KNOWN)}"
        for note in dict.fromkeys(notes.values())
    ]
    if len(series) < 2:
        reasons.append(f"replicas: {len(series)}; a scatter needs two, {RECOMMENDED} are recommended")
    for (i, one), (j, other) in combinations(enumerate(series, 1), 2):
        if np.array_equal(one.total_energy, other.total_energy):  # their scatter would say that all is certain
            reasons.append(f"replicas {i} and {j} have identical energies; give each velocities of its own")
    return np.array([drift.value for drift in drifts]), begin + "; ".join(reasons) if reasons else ""


def _length(series: Sequence[EnergySeries]) -> float:
    """The mean length after the transient, ps."""
    return float(np.mean([each.time[-1] - each.time[transient_end(each).end] for each in series]))


def _note(series: Sequence[EnergySeries]) -> str:
    few = f"{len(series)} replicas; {RECOMMENDED} are recommended" if len(series) < RECOMMENDED else ""
    uneven = "the replicas differ in length" if len({len(each.step) for each in series}) > 1 else ""
    unsettled = {transient_end(each).note for each in series} - {""}
    return "; ".join(part for part in (few, uneven, *unsettled) if part)


def _measured(name: str, unit: str, value: float, interval: Interval, confidence: float, note: str) -> Measurement:
    return Measurement(name=name, value=value, unit=unit, ci=interval, confidence=confidence, note=note)
