r"""Sums over all steps of a run, and fractions of them, from the steps that were kept.

A kept step with inclusion π = min(1, w/τ) counts for 1/π steps. The sums of r, of the change of U and of 1 over all
steps are known without sampling, so the part of a quantity x that follows them is not left to the sample [1]_:

.. math:: \hat X = \sum_{kept} x/π + (T - \sum_{kept} t/π) \cdot β, \quad
   \widehat{Var} = \sum_{kept} \frac{1-π}{π^2} (x - t \cdot β)^2

with t the known quantities, T their sums, and β the least-squares fit of x by t with the weights of that variance. β is
linear in x: estimates of shares that add up to r in every step add up to the sum of r. The variance is that of priority
sampling, in which the estimates of two steps are uncorrelated [2]_. Student's t, with as many degrees of freedom as
there are terms of that sum, the unequal ones counted as fewer, allows for its own error.

References
----------
.. [1] J.-C. Deville, C.-E. Särndal, J. Am. Stat. Assoc. 87, 376 (1992), doi:10.1080/01621459.1992.10475217
.. [2] N. Duffield, C. Lund, M. Thorup, J. ACM 54, 32 (2007), doi:10.1145/1314690.1314696

"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from mdsuite_analysis.measurement import Interval
from mdsuite_analysis.series import Floats

_FEWEST_FOR_FIT = 20  # steps that stand for others, below which β is left at zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate with its standard error and the degrees of freedom behind that."""

    value: float
    stderr: float
    dof: float

    def interval(self, confidence: float) -> Interval:
        """The confidence interval."""
        half = float(stdtrit(self.dof, 0.5 + confidence / 2.0)) * self.stderr
        return self.value - half, self.value + half


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """How the steps were kept, and what is known of all of them.

    Attributes
    ----------
    inclusion : (n_kept,) float
        π.
    known : (n_kept, n_known) float
        Quantities of each kept step of which the sums are known.
    totals : (n_known,) float
        Those sums.
    totals_stderr : (n_known,) float
        Their standard errors; zero where they are exact.

    """

    inclusion: Floats
    known: Floats
    totals: Floats
    totals_stderr: Floats

    def total(self, x: Floats, noise: Floats) -> Estimate:
        """The sum of x over all steps.

        Parameters
        ----------
        x : (n_kept,) float
        noise : (n_kept,) float
            Numerical uncertainty of each, independent from step to step.

        """
        share = 1.0 / self.inclusion
        beta = self._coefficients(x)
        value = share @ x + (self.totals - share @ self.known) @ beta
        terms = (1.0 - self.inclusion) * share**2 * (x - self.known @ beta) ** 2
        lost = np.count_nonzero(beta)
        dof = max(1.0, _effective(terms) - lost)
        variance = terms.sum() * (1.0 + lost / dof)
        variance += share @ noise**2 + (self.totals_stderr * beta) @ (self.totals_stderr * beta)
        return Estimate(value=float(value), stderr=math.sqrt(variance), dof=dof)

    def fraction(self, part: Floats, whole: Floats, *, confidence: float) -> tuple[float, Interval]:
        """The sum of `part` over all steps, relative to that of `whole`; each between 0 and `whole`.

        The interval is Wilson's [1]_, with the number of independent steps that would have the same variance; where
        the kept steps agree and show none, the number that their unequal weights leave.

        References
        ----------
        .. [1] E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927), doi:10.1080/01621459.1927.10502953

        """
        share = 1.0 / self.inclusion
        weight = share * whole
        value = min(1.0, float(share @ part / weight.sum()))
        if (self.inclusion >= 1.0).all():
            return value, (value, value)
        terms = (1.0 - self.inclusion) * (share * (part - value * whole)) ** 2
        variance, spread = float(terms.sum()) / weight.sum() ** 2, value * (1.0 - value)
        if not (variance > 0.0 and spread > 1e-12):
            return value, _wilson(value, _effective(weight), float(ndtri(0.5 + confidence / 2.0)))
        quantile = float(stdtrit(max(1.0, _effective(terms) - 1.0), 0.5 + confidence / 2.0))
        return value, _wilson(value, spread / variance, quantile)

    def _coefficients(self, x: Floats) -> Floats:
        weights = (1.0 - self.inclusion) / self.inclusion**2
        if np.count_nonzero(weights) < _FEWEST_FOR_FIT:
            return np.zeros(self.known.shape[1])
        root = np.sqrt(weights)[:, None]
        scale = np.linalg.norm(root * self.known, axis=0)
        scale[scale == 0.0] = 1.0
        beta = np.linalg.lstsq(root * self.known / scale, root[:, 0] * x, rcond=1e-10)[0]
        return np.asarray(beta / scale, dtype=np.float64)


def _effective(terms: Floats) -> float:
    """How many equal terms make a sum as even as this one (Kish)."""
    squares = float(terms @ terms)
    return float(terms.sum()) ** 2 / squares if squares > 0.0 else float(len(terms))


def _wilson(value: float, n: float, quantile: float) -> Interval:
    z2 = quantile**2
    centre = (value + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = math.sqrt(z2 * (value * (1.0 - value) / n + z2 / (4.0 * n**2))) / (1.0 + z2 / n)
    return max(0.0, float(min(value, centre - half))), min(1.0, float(max(value, centre + half)))
