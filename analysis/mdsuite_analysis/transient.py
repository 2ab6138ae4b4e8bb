"""Where the start of a run ends and its stationary part begins."""

import math
from dataclasses import dataclass

import numpy as np

from mdsuite_analysis.series import EnergySeries, Floats
from mdsuite_analysis.statistics import autocorrelation_time

FRACTION = 0.1
AUTOCORRELATION_TIMES = 5.0
SETTLED_FRACTION = 0.25  # five autocorrelation times of twenty


@dataclass(frozen=True, slots=True, kw_only=True)
class Transient:
    """The start of a run that measurements leave out.

    Attributes
    ----------
    end : int
        Index of the first sample that counts.
    settled : bool
        Whether the run is long enough to show that it has settled. If not, half of it is left out, and whoever
        measures says so.

    """

    end: int
    settled: bool

    @property
    def note(self) -> str:
        """What a reader must know about it."""
        return "" if self.settled else "the run is too short to show that its temperature had settled"


def start_transient(temperature: Floats) -> Transient:
    """The larger of a tenth of the run and five autocorrelation times of its temperature, or half of an unsettled run.

    The autocorrelation time is taken about the straight line through the temperature: a run that heats steadily is
    stationary but for its slope, not one long transient. A run shorter than twenty of them cannot tell what its
    autocorrelation time is, nor that it has settled: half of it is left out.

    Parameters
    ----------
    temperature : (n,) float, K
        Finite, evenly sampled.

    """
    n = len(temperature)
    x = np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1)
    slope = float(x @ temperature) / max(float(x @ x), 1.0)
    wanted = max(FRACTION * n, AUTOCORRELATION_TIMES * autocorrelation_time(temperature - slope * x))
    settled = wanted <= SETTLED_FRACTION * n
    return Transient(end=math.ceil(wanted) if settled else n // 2, settled=settled)


def transient_end(series: EnergySeries) -> Transient:
    """The transient of a series; a tenth of the run where no temperature was recorded."""
    if series.temperature is None:
        return Transient(end=int(FRACTION * len(series.step)), settled=True)
    return start_transient(series.temperature)
