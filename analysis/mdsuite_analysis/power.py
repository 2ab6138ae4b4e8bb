r"""How long replicas must run, and how many there must be, to decide on a drift.

A limit of ±L is decided by Student's t interval of `replicas.mean_drift`: within where all of it lies within, beyond
where all of it lies beyond. How often a true drift d is decided rightly depends on d / L, on the number of replicas R
and on L √R / w alone, with w² the variance of one replica's slope, ``12 D / (5 T) + 24 σ² τ / T³`` (put the covariance
``2 D min(t, t')`` of a random walk, or white noise of density 2 σ² τ, into the least-squares slope). Unless a drift is
named, a plan must do for a true drift of zero to be found within and for one of twice the limit to be found beyond.

Assumption: the noise of the pilot goes on as it was, and the true drifts of the replicas are equal. A pilot much
shorter than the run knows nothing of slow noise: plan again when the run has been made.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import chi2, t

from mdsuite_analysis.drift import MEV_PER_EV
from mdsuite_analysis.replicas import Noise
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statistics import Trend
from mdsuite_analysis.transient import FRACTION

POWER = 0.8

REPLICAS = tuple(range(4, 17))
"""Numbers of replicas among which a plan chooses."""

_LEVELS = (np.arange(2000) + 0.5) / 2000  # at which the distribution of a variance is integrated
_STRONGEST = 20.0  # logarithm of a limit in standard errors of the mean, beyond any that is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """How often a drift is decided which way; the rest is undecided."""

    within: float
    beyond: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many replicas, and how long.

    Attributes
    ----------
    n_replicas : int
    length : float, ps
        Of each replica after its transient; infinite for a drift on the limit.

    """

    n_replicas: int
    length: float

    @property
    def run_length(self) -> float:
        """Of each replica with the usual transient, a tenth, ps."""
        return self.length / (1.0 - FRACTION)

    @property
    def total_length(self) -> float:
        """Of all replicas together with their transients, ps."""
        return self.n_replicas * self.run_length


def plan(
    noise: Noise,
    *,
    limit: float,
    drift: float | None = None,
    n_replicas: int | Sequence[int] = REPLICAS,
    power: float = POWER,
    confidence: float = 0.95,
) -> Plan:
    """The plan that decides with this power and takes the least total length.

    Parameters
    ----------
    noise : Noise
        Of a pilot: `replicas.energy_noise` of its runs, or `pilot_noise` of its trend.
    limit : float, meV/atom/ps
        The drift that is tolerated in either direction.
    drift : float or None, meV/atom/ps
        The true drift to decide on; None asks for both zero and twice the limit.
    n_replicas : int or sequence of int
        The number, or those to choose from; at least two.
    power : float
        How often it is decided rightly.
    confidence : float
        Of the interval; that of the last look where runs may stop early (`sequential.Looks`).

    """
    numbers = [n_replicas] if isinstance(n_replicas, int) else n_replicas
    drifts = (0.0, 2.0) if drift is None else (drift / limit,)
    plans = [
        Plan(n_replicas=n, length=_length(noise, limit * math.sqrt(n) / _resolution(drifts, n, power, confidence)))
        for n in numbers
    ]
    return min(plans, key=lambda each: each.total_length)


def missing_length(
    noise: Noise,
    *,
    limit: float,
    n_replicas: int,
    length: float,
    drift: float | None = None,
    power: float = POWER,
    confidence: float = 0.95,
) -> float:
    """How many ps more each of the replicas at hand must run; zero where they are long enough.

    Parameters
    ----------
    length : float, ps
        What each has after its transient.
    noise, limit, n_replicas, drift, power, confidence
        As of `plan`.

    """
    wanted = plan(noise, limit=limit, drift=drift, n_replicas=n_replicas, power=power, confidence=confidence)
    return max(0.0, wanted.length - length)


def decisions(noise: Noise, to: Plan, *, drift: float, limit: float, confidence: float = 0.95) -> Decisions:
    """How often this plan finds a true drift (meV/atom/ps) within and beyond the limit."""
    width = math.sqrt(noise.slope_variance(to.length) / to.n_replicas)
    if width == 0.0:
        return Decisions(within=float(abs(drift) <= limit), beyond=float(abs(drift) > limit))
    return _decisions(drift / limit, limit / width, to.n_replicas, confidence)


def pilot_noise(pilot: Trend, *, n_atoms: int, diffusion: float = 0.0) -> Noise:
    """The noise of a single pilot that is known by its trend.

    Parameters
    ----------
    pilot : Trend
        `statistics.trend` of the total energy, eV, over time, ps.
    n_atoms : int
    diffusion : float, (meV/atom)²/ps
        A trend does not tell it.

    """
    deviation = pilot.residual_std * MEV_PER_EV / n_atoms
    return Noise(diffusion=diffusion, fluctuation=deviation**2 * pilot.autocorrelation_time)


def _decisions(drift: float, limit: float, n_replicas: int, confidence: float) -> Decisions:
    """For a drift in units of the limit, and a limit in units of the standard error of the mean."""
    half = _half_widths(n_replicas, confidence)
    room = limit - half
    within = np.where(room > 0.0, ndtr(room - drift * limit) - ndtr(-room - drift * limit), 0.0)
    edge = limit + half
    beyond = ndtr(drift * limit - edge) + ndtr(-drift * limit - edge)
    return Decisions(within=float(within.mean()), beyond=float(beyond.mean()))


@lru_cache
def _half_widths(n_replicas: int, confidence: float) -> Floats:
    """Equally likely half-widths of the interval, in standard errors of the mean."""
    dof = n_replicas - 1
    widths: Floats = t.ppf(0.5 + confidence / 2, dof) * np.sqrt(chi2.ppf(_LEVELS, dof) / dof)
    return widths


def _resolution(drifts: Sequence[float], n_replicas: int, power: float, confidence: float) -> float:
    """The limit, in standard errors of the mean, from which on all these drifts are decided rightly."""
    if n_replicas < 2:
        raise ValueError(f"a scatter over replicas needs two of them, but n_replicas is {n_replicas}")

    def excess(log_limit: float) -> float:
        found = [(abs(drift), _decisions(drift, math.exp(log_limit), n_replicas, confidence)) for drift in drifts]
        return min(rates.within if drift < 1.0 else rates.beyond for drift, rates in found) - power

    if excess(_STRONGEST) < 0.0:  # a drift on the limit
        return math.inf
    return math.exp(brentq(excess, -_STRONGEST, _STRONGEST, xtol=1e-6))


def _length(noise: Noise, deviation: float) -> float:
    """The length at which the slope of one run has this standard deviation."""
    if deviation == 0.0:
        return math.inf
    walk = 2.4 * noise.diffusion / deviation**2
    fluctuation = float(np.cbrt(24.0 * noise.fluctuation / deviation**2))
    if walk == 0.0 or fluctuation == 0.0:
        return walk + fluctuation
    longest = 2.0 * (walk + fluctuation)
    return float(brentq(lambda length: noise.slope_variance(length) - deviation**2, longest / 4.0, longest))
