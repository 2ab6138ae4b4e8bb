r"""Slopes and means of correlated series, with intervals that know about the correlation.

Successive energies of a trajectory are not independent, and the error bar of ordinary least squares is several times
too small for them. The intervals here follow Müller's construction for strongly autocorrelated series [1]_: what the
noise does to a slope is learnt from its slowest Fourier components alone, the only ones that can pass for a slope,
under noise whose correlation decays as exp(-t/τ) with an unknown τ. The unknown τ is averaged over, weighted by how
well it explains those components, so a series too short to tell its τ gets a wide interval. Fast oscillations, such as
the energy error of velocity Verlet, lie above those components and do not enter.

Assumption: the noise is stationary. Where it is not, or wanders as slowly as the run is long, one run cannot tell a
wander from a drift and a 95 % interval covers less, measured: about 78 % for a random walk (round-off of single
precision), about 82 % for weakly anharmonic chains under velocity Verlet, where intervals for independent samples
cover 3 % and 15 to 40 %. Several runs with independent velocities tell.

References
----------
.. [1] U. K. Müller, J. Bus. Econ. Stat. 32, 311 (2014), doi:10.1080/07350015.2014.931238
.. [2] E. Lazarus, D. J. Lewis, J. H. Stock, M. W. Watson, J. Bus. Econ. Stat. 36, 541 (2018),
   doi:10.1080/07350015.2018.1506926 (low-frequency cosines and Student's t)
.. [3] A. Sokal, in Functional Integration, NATO ASI B 361 (1997), doi:10.1007/978-1-4899-0319-8_6 (the window)

"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import fft
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from mdsuite_analysis.measurement import Interval
from mdsuite_analysis.series import Floats

SHORTEST = 16
"""Fewest samples from which an interval is made."""

_MOST_COMPONENTS = 32
_SAMPLES_PER_COMPONENT = 8  # keeps the components slow compared with the sampling
_TIMES = np.geomspace(2e-3, 3.0, 16)  # candidate τ, in lengths of the series
_PRIOR = _TIMES**-0.4  # by simulation: 94 to 97 % from white noise to τ = a twentieth of the series; see the tests
_GRID = 400  # points on which the candidate correlations are tabulated

Order = Literal[0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A straight line through a series.

    Attributes
    ----------
    slope : float
        Ordinary least squares, in units of y per unit of t.
    intercept : float
        The line at t = 0.
    stderr : float
        Standard error of the slope, correlation included.
    ci : (low, high)
        Confidence interval of the slope.
    dof : int
        Number of Fourier components behind `stderr`.
    autocorrelation_time : float
        Integrated autocorrelation time of the residuals, in units of t.
    residual_std : float
        Standard deviation of the residuals, in units of y.
    duration : float
        Length of the series, in units of t.

    """

    slope: float
    intercept: float
    stderr: float
    ci: Interval
    dof: int
    autocorrelation_time: float
    residual_std: float
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean of a series; `autocorrelation_time` counts samples, the rest is as in `Trend`."""

    value: float
    stderr: float
    ci: Interval
    dof: int
    autocorrelation_time: float


def trend(t: Floats, y: Floats, *, confidence: float = 0.95) -> Trend:
    """The slope of a series by ordinary least squares, with its interval.

    Adding a constant to `t` or `y` changes neither slope nor interval.

    Parameters
    ----------
    t : (n,) float
        Evenly spaced times.
    y : (n,) float
        Values.
    confidence : float
        Confidence of the interval.

    """
    _check(y)
    spacing = _spacing(t, y)
    x = t - t.mean()
    norm = math.sqrt(x @ x)
    slope = float(x @ (y - y.mean())) / norm**2
    residual = y - y.mean() - slope * x
    stderr, half_width, dof = _uncertainty(residual, 1, confidence)
    return Trend(
        slope=slope,
        intercept=float(y.mean() - slope * t.mean()),
        stderr=stderr / norm,
        ci=(slope - half_width / norm, slope + half_width / norm),
        dof=dof,
        autocorrelation_time=autocorrelation_time(residual) * spacing,
        residual_std=float(residual.std(ddof=2)),
        duration=spacing * len(t),
    )


def mean_with_interval(y: Floats, *, confidence: float = 0.95) -> Mean:
    """The mean of an evenly sampled series, with its interval.

    Parameters
    ----------
    y : (n,) float
        Values.
    confidence : float
        Confidence of the interval.

    """
    _check(y)
    value = float(y.mean())
    norm = math.sqrt(len(y))
    stderr, half_width, dof = _uncertainty(y - value, 0, confidence)
    return Mean(
        value=value,
        stderr=stderr / norm,
        ci=(value - half_width / norm, value + half_width / norm),
        dof=dof,
        autocorrelation_time=autocorrelation_time(y),
    )


def autocorrelation_time(y: Floats) -> float:
    """Integrated autocorrelation time 1/2 + Σ ρ(k), in samples; 1/2 for uncorrelated or alternating values.

    The sum ends at the first lag beyond five times itself [3]_.
    """
    deviation = y - y.mean()
    power = np.abs(fft.rfft(deviation, fft.next_fast_len(2 * len(y)))) ** 2
    covariance = fft.irfft(power)[: len(y)]
    if not covariance[0] > 0.0:
        return 0.5
    times = np.cumsum(covariance / covariance[0]) - 0.5
    beyond = np.arange(len(y)) >= 5.0 * times
    return max(0.5, float(times[int(np.argmax(beyond))] if beyond.any() else times[-1]))


def length_to_decide(*, slope: float, half_width: float, duration: float, limit: float) -> float:
    """The total length a run needs for the interval of its slope to leave the limit out, in units of `duration`.

    Assumption: the slope stays what it is now, and so do size and autocorrelation time of the noise; the half-width
    then falls as length^(-3/2). A run that has decided already gets a length below `duration`; a slope that sits on
    the limit gets infinity.

    Parameters
    ----------
    slope, half_width, limit : float
        The present estimate, half the width of its interval, and the limit, in one unit.
    duration : float
        The present length.

    """
    gap = abs(slope - limit)
    return duration * float((half_width / gap) ** (2 / 3)) if gap > 0.0 else float("inf")


def _check(y: Floats) -> None:
    if y.ndim != 1 or len(y) < SHORTEST:
        raise ValueError(f"an interval needs a series of at least {SHORTEST} samples, but it has shape {y.shape}")
    if not np.isfinite(y).all():
        raise ValueError(f"{int((~np.isfinite(y)).sum())} of {len(y)} samples are not finite; no interval exists")


def _spacing(t: Floats, y: Floats) -> float:
    if t.shape != y.shape:
        raise ValueError(f"{t.shape} times do not fit {y.shape} values")
    spacing = (t[-1] - t[0]) / (len(t) - 1)
    if not (spacing > 0.0 and np.allclose(np.diff(t), spacing, rtol=1e-3, atol=1e-9 * np.abs(t).max())):
        raise ValueError("times are not evenly spaced and rising; resample the series, or record every step")
    return float(spacing)


def _uncertainty(residual: Floats, order: Order, confidence: float) -> tuple[float, float, int]:
    """Standard error, half-width and degrees of freedom of the normalised polynomial coefficient of `order`.

    Given τ, the coefficient over the components' scale is Student-t distributed; the interval is that of the mixture
    of these over τ.
    """
    n_components = min(_MOST_COMPONENTS, len(residual) // _SAMPLES_PER_COMPONENT)
    components = fft.dct(residual, norm="ortho")[order + 1 : order + 1 + n_components]
    if not components.any():
        return 0.0, 0.0, n_components
    own, precision, log_determinant = _tables(order, n_components)
    size = np.abs(components).max()  # taken out and put back: the square of a tiny energy underflows
    misfit = np.einsum("i,gij,j->g", components / size, precision, components / size)
    evidence = np.log(_PRIOR) - 0.5 * log_determinant - 0.5 * n_components * np.log(misfit)
    weight = np.exp(evidence - evidence.max())
    weight /= weight.sum()
    scale = size * np.sqrt(own * misfit / n_components)
    return float(np.sqrt(weight @ scale**2)), _half_width(weight, scale, n_components, confidence), n_components


def _half_width(weight: Floats, scale: Floats, dof: int, confidence: float) -> float:
    """The symmetric quantile of a mixture of Student-t distributions with one `dof`."""
    quantile = stdtrit(dof, 0.5 + confidence / 2)
    low, high = quantile * scale.min(), quantile * scale.max()

    def excess(half_width: float) -> float:
        return float(weight @ stdtr(dof, half_width / scale)) - (0.5 + confidence / 2)

    return float(brentq(excess, 0.999 * low, 1.001 * high, xtol=1e-6 * low))


@lru_cache
def _tables(order: Order, n_components: int) -> tuple[Floats, Floats, Floats]:
    """Variance of the coefficient, and inverse and log-determinant of the components' covariance, for every τ."""
    x = np.linspace(-1.0, 1.0, _GRID)
    constant = np.full(_GRID, _GRID**-0.5)
    line = x / np.sqrt(x @ x)
    removed = np.stack([constant, line][: order + 1])
    cosines = fft.idct(np.eye(_GRID)[order + 1 : order + 1 + n_components], norm="ortho", axis=1)
    cosines = cosines - cosines @ removed.T @ removed
    lag = np.abs(np.subtract.outer(np.arange(_GRID), np.arange(_GRID))) / _GRID
    correlations = [np.exp(-lag / tau) for tau in _TIMES]
    covariance = np.stack([cosines @ correlation @ cosines.T for correlation in correlations])
    own = np.array([removed[order] @ correlation @ removed[order] for correlation in correlations])
    return own, np.linalg.inv(covariance), np.linalg.slogdet(covariance).logabsdet
