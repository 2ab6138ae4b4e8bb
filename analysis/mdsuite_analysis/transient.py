"""Where the start of a run ends and its stationary part begins."""

import math
from dataclasses import dataclass

import numpy as np

from mdsuite_analysis.series import EnergySeries, Floats
from mdsuite_analysis.statistics import autocorrelation_time

FRACTION = 0.1
AUTOCORRELATION_TIMES = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transient:
    """The start of a run that measurements leave out.

    Attributes
    ----------
    end : int
        Index of the first sample that counts.
    capped : bool
        Whether the rule asked for more than half of the run. The run is then too short to show that it has settled;
        half of it is left out, and whoever measures says so.

    """

    end: int
    capped: bool

    @property
    def note(self) -> str:
        """What a reader must know about it."""
        return "the temperature had not settled within half of the run" if self.capped else ""


def start_transient(temperature: Floats) -> Transient:
    """The larger of a tenth of the run and five autocorrelation times of its temperature, at most half of the run.

    The autocorrelation time is taken about the straight line through the temperature: a run that heats steadily is
    stationary but for its slope, not one long transient.

    Parameters
    ----------
    temperature : (n,) float, K
        Finite, evenly sampled.

    """
    n = len(temperature)
    x = np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1)
    slope = float(x @ temperature) / max(float(x @ x), 1.0)
    wanted = max(FRACTION * n, AUTOCORRELATION_TIMES * autocorrelation_time(temperature - slope * x))
    return Transient(end=min(math.ceil(wanted), n // 2), capped=math.ceil(wanted) > n // 2)


def transient_end(series: EnergySeries) -> Transient:
    """The transient of a series; a tenth of the run where no temperature was recorded."""
    if series.temperature is None:
        return Transient(end=math.ceil(FRACTION * len(series.step)) if len(series.step) > 1 else 0, capped=False)
    return start_transient(series.temperature)
