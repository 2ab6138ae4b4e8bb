"""The kinetic temperature of a run."""

import numpy as np
from MDAnalysis.analysis.base import AnalysisBase
from MDAnalysis.core.groups import AtomGroup
from scipy.constants import angstrom, atomic_mass, e, k, pico

from mdsuite_analysis.elements import symbol
from mdsuite_analysis.measurement import NOT_KNOWN, Measurement, undefined
from mdsuite_analysis.series import Floats, Integers
from mdsuite_analysis.statistics import SHORTEST, mean_with_interval
from mdsuite_analysis.transient import start_transient

BOLTZMANN = k / e
"""eV/K."""

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


def species_temperatures(
    velocities: Floats, masses: Floats, numbers: Integers, *, at_rest: bool, confidence: float = 0.95
) -> list[Measurement]:
    """The mean kinetic temperature of each element, and how far apart they are: equipartition.

    Of an element with the atoms s, 3 Σ_s (1 - m / M) degrees of freedom carry kinetic energy where the centre of mass
    of all is at rest, 3 n_s where it is not. ``species_temperature_spread`` is the largest deviation of an element
    from the mean of all, relative to that mean; its interval is that of the widest, each at a confidence that holds
    for all of them together.

    Parameters
    ----------
    velocities : (n_frames, n_atoms, 3) float, Å/ps
    masses : (n_atoms,) float, amu
    numbers : (n_atoms,) int
        Atomic numbers.
    at_rest : bool
        Whether the centre of mass is.
    confidence : float
        Confidence of the intervals.

    """
    twice = masses * (velocities**2).sum(axis=2)
    carried = 3.0 * (1.0 - masses / masses.sum()) if at_rest else np.full(len(masses), 3.0)
    start = start_transient(twice.sum(axis=1) * KELVIN / carried.sum())
    settled = twice[start.end :] * KELVIN
    n_bad = int((~np.isfinite(settled)).any(axis=1).sum())
    if n_bad or len(settled) < SHORTEST:
        few = f"{NOT_KNOWN}{len(settled)} frames after the transient; a mean needs {SHORTEST}"
        note = f"{n_bad} of {len(settled)} frames are not finite" if n_bad else few
        return [undefined("species_temperature_spread", "1", note, confidence)]
    elements = np.unique(numbers)
    together = 1.0 - (1.0 - confidence) / len(elements)
    overall = settled.sum(axis=1).mean() / carried.sum()
    measurements, spreads = [], []
    for number in elements:
        of = numbers == number
        series = settled[:, of].sum(axis=1) / carried[of].sum()
        mean = mean_with_interval(series, confidence=confidence)
        name = f"temperature_of_{symbol(int(number))}"
        measurements.append(Measurement(name=name, value=mean.value, unit="K", ci=mean.ci, confidence=confidence))
        apart = mean_with_interval(series / overall - 1.0, confidence=together)
        spreads.append((abs(apart.value), apart.ci[1] - apart.value))
    low = max(0.0, *(value - half for value, half in spreads))
    high = max(value + half for value, half in spreads)
    spread = Measurement(
        name="species_temperature_spread",
        value=max(value for value, _ in spreads),
        unit="1",
        ci=(low, high),
        confidence=confidence,
        note=start.note,
    )
    return [*measurements, spread]


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
        return _undefined(f"{NOT_KNOWN}{len(settled)} samples after the transient; a mean needs {SHORTEST}", confidence)
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
    return undefined("temperature_mean", "K", reason, confidence)
