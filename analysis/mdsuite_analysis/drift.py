"""How well a run conserves its energy."""

from collections.abc import Callable

import numpy as np
from MDAnalysis.analysis.base import AnalysisBase
from MDAnalysis.core.groups import AtomGroup

from mdsuite_analysis.measurement import NOT_KNOWN, Measurement, undefined
from mdsuite_analysis.series import EnergySeries, Floats
from mdsuite_analysis.statistics import SHORTEST, trend
from mdsuite_analysis.transient import transient_end

MEV_PER_EV = 1000.0
ENERGY_ZERO = "depends on the energy zero"


def energy_drift(series: EnergySeries, *, confidence: float = 0.95) -> Measurement:
    """The slope of the total energy per atom after the start transient, in meV/atom/ps, signed.

    Neither the zero of energy, nor the origin of time, nor the size of the system changes it. It is nan where a
    recorded number is not finite or the run is too short for a slope.
    """
    return _slope("energy_drift", series, series.total_energy, confidence)


def conserved_drift(series: EnergySeries, *, confidence: float = 0.95) -> Measurement | None:
    """The same of what the integrator conserves, or None where that was not recorded; a thermostat changes the total.

    Without a thermostat it is `energy_drift`.
    """
    if series.conserved_energy is None:
        return None
    return _slope("conserved_drift", series, series.conserved_energy, confidence)


def _slope(name: str, series: EnergySeries, energy: Floats, confidence: float) -> Measurement:
    start = transient_end(series) if series.finite else None
    reason = _not_finite(series) if start is None else _too_short(len(series.step) - start.end)
    if start is None or reason:
        return undefined(name, "meV/atom/ps", reason, confidence)
    line = trend(series.time[start.end :], energy[start.end :], confidence=confidence)
    per_atom = MEV_PER_EV / series.n_atoms
    return Measurement(
        name=name,
        value=line.slope * per_atom,
        unit="meV/atom/ps",
        ci=(line.ci[0] * per_atom, line.ci[1] * per_atom),
        confidence=confidence,
        note=start.note,
    )


def total_drift_percent(series: EnergySeries) -> Measurement:
    """End-to-end change of the total energy, 100 (E_f - E_i) / |E_i|, signed."""
    return _percentage("total_drift_percent", series, lambda e: float(e[-1] - e[0]))


def max_drift_percent(series: EnergySeries) -> Measurement:
    """Largest excursion of the total energy, 100 max|E - E_i| / |E_i|."""
    return _percentage("max_drift_percent", series, lambda e: float(np.abs(e - e[0]).max()))


def drift_rate_percent_per_ps(series: EnergySeries) -> Measurement:
    """End-to-end change of the total energy over the elapsed time, 100 (E_f - E_i) / (|E_i| t), signed."""
    elapsed = float(series.time[-1] - series.time[0])
    if not elapsed > 0.0:
        return _undefined("drift_rate_percent_per_ps", "%/ps", f"{NOT_KNOWN}no time has elapsed")
    return _percentage("drift_rate_percent_per_ps", series, lambda e: float(e[-1] - e[0]) / elapsed, unit="%/ps")


def steps_completed(series: EnergySeries) -> Measurement:
    """How many steps were recorded after the first."""
    return Measurement(name="steps_completed", value=float(series.step[-1] - series.step[0]), unit="steps")


def numerical_stability(series: EnergySeries) -> Measurement:
    """1 if every recorded number is finite, else 0."""
    return Measurement(
        name="numerical_stability",
        value=float(series.finite),
        unit="1",
        note="" if series.finite else _not_finite(series),
    )


class EnergyDrift(AnalysisBase):  # type: ignore[misc]  # MDAnalysis ships no types
    """`energy_drift` of any MDAnalysis trajectory whose frames carry energies.

    Parameters
    ----------
    atoms : AtomGroup
        All atoms that the energy belongs to.
    energy : str
        Key of the total energy (eV) in ``ts.data``.
    temperature : str or None
        Key of the kinetic temperature (K) in ``ts.data``; without it the first tenth is left out.
    confidence : float
        Confidence of the interval.

    Attributes
    ----------
    results.series : EnergySeries
    results.drift : Measurement

    """

    def __init__(
        self,
        atoms: AtomGroup,
        *,
        energy: str = "trajectory/total_energy",
        temperature: str | None = None,
        confidence: float = 0.95,
    ) -> None:
        super().__init__(atoms.universe.trajectory)
        self._n_atoms = atoms.n_atoms
        self._keys = [key for key in (energy, temperature) if key is not None]
        self._confidence = confidence

    def _prepare(self) -> None:
        self._values = np.full((len(self._keys), self.n_frames), np.nan)

    def _single_frame(self) -> None:
        self._values[:, self._frame_index] = [self._ts.data[key] for key in self._keys]

    def _conclude(self) -> None:
        self.results.series = EnergySeries(
            step=np.arange(self.n_frames),
            time=self.times,
            total_energy=self._values[0],
            temperature=self._values[1] if len(self._keys) > 1 else None,
            n_atoms=self._n_atoms,
        )
        self.results.drift = energy_drift(self.results.series, confidence=self._confidence)


def _percentage(name: str, series: EnergySeries, change: Callable[[Floats], float], unit: str = "%") -> Measurement:
    if not series.finite:
        return _undefined(name, unit, _not_finite(series))
    reference = abs(float(series.total_energy[0]))
    if reference == 0.0:
        return _undefined(name, unit, "undefined, for the initial energy is zero")
    return Measurement(name=name, value=100.0 * change(series.total_energy) / reference, unit=unit, note=ENERGY_ZERO)


def _undefined(name: str, unit: str, reason: str) -> Measurement:
    return Measurement(name=name, value=float("nan"), unit=unit, note=f"{reason}; {ENERGY_ZERO}")


def _not_finite(series: EnergySeries) -> str:
    counts = {name: int((~np.isfinite(column)).sum()) for name, column in series.columns().items()}
    return "not finite: " + ", ".join(f"{count} of {name}" for name, count in counts.items() if count)


def _too_short(n_left: int) -> str:
    return "" if n_left >= SHORTEST else f"{NOT_KNOWN}{n_left} samples after the transient; a slope needs {SHORTEST}"
