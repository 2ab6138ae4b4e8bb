"""The kinetic temperature of a run."""

import numpy as np
from MDAnalysis.analysis.base import AnalysisBase
from MDAnalysis.core.groups import AtomGroup
from scipy.constants import angstrom, atomic_mass, k, pico

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statistics import SHORTEST, mean_with_interval
from mdsuite_analysis.transient import start_transient

KELVIN = atomic_mass * (angstrom / pico) ** 2 / k
"""1 amu Å²/ps² over the Boltzmann constant, K."""


def kinetic_temperature(masses: Floats, velocities: Floats, *, dof: int) -> float:
    """The kinetic temperature Σ m v² / (dof k_B), K.

    Parameters
    ----------
    masses : (n_atoms,) float, amu
        Of every atom.
    velocities : (n_atoms, 3) float, Å/ps
        Of every atom.
    dof : int
        Degrees of freedom that carry kinetic energy: 3 n_atoms less the conserved ones.

    """
    return float(np.einsum("i,ij,ij->", masses, velocities, velocities)) * KELVIN / dof


def temperature_mean(temperature: Floats, *, confidence: float = 0.95) -> Measurement:
    """The mean kinetic temperature after the start transient, K.

    Parameters
    ----------
    temperature : (n,) float, K
        Evenly sampled.
    confidence : float
        Confidence of the interval.

    """
    n_bad = int((~np.isfinite(temperature)).sum())
    if n_bad:
        return _undefined(f"{n_bad} of {len(temperature)} temperatures are not finite", confidence)
    start = start_transient(temperature)
    settled = temperature[start.end :]
    if len(settled) < SHORTEST:
        return _undefined(f"{len(settled)} samples after the transient; a mean needs {SHORTEST}", confidence)
    mean = mean_with_interval(settled, confidence=confidence)
    interval = (max(mean.ci[0], 0.0), mean.ci[1])  # no kinetic energy is negative
    return Measurement(
        name="temperature_mean", value=mean.value, unit="K", ci=interval, confidence=confidence, note=start.note
    )


class KineticTemperature(AnalysisBase):  # type: ignore[misc]  # MDAnalysis ships no types
    """`kinetic_temperature` of the frames of any MDAnalysis trajectory with velocities, and its mean.

    Parameters
    ----------
    atoms : AtomGroup
        The atoms, with masses.
    dof : int
        Degrees of freedom that carry kinetic energy.
    confidence : float
        Confidence of the interval.

    Attributes
    ----------
    results.temperature : (n_frames,) float, K
    results.mean : Measurement

    """

    def __init__(self, atoms: AtomGroup, *, dof: int, confidence: float = 0.95) -> None:
        super().__init__(atoms.universe.trajectory)
        self._atoms = atoms
        self._dof = dof
        self._confidence = confidence

    def _prepare(self) -> None:
        self.results.temperature = np.full(self.n_frames, np.nan)

    def _single_frame(self) -> None:
        velocities = self._atoms.velocities.astype(np.float64)  # MDAnalysis holds them in single precision
        self.results.temperature[self._frame_index] = kinetic_temperature(self._atoms.masses, velocities, dof=self._dof)

    def _conclude(self) -> None:
        self.results.mean = temperature_mean(self.results.temperature, confidence=self._confidence)


def _undefined(reason: str, confidence: float) -> Measurement:
    nan = float("nan")
    return Measurement(name="temperature_mean", value=nan, unit="K", ci=(nan, nan), confidence=confidence, note=reason)
