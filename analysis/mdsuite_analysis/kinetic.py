r"""How the kinetic energy of a thermostatted run is distributed, and shared out within molecules.

At constant temperature the kinetic energy of f degrees of freedom has a Gamma distribution of shape f/2 and scale
k_B T, whatever the potential: mean f k_B T / 2, variance f (k_B T)² / 2 [1]_. A thermostat that holds the mean but not
the width (Berendsen's), a wrong number of degrees of freedom, or a model that feeds energy, is told by it. At constant
energy the kinetic energy fluctuates less, by an amount that the heat capacity decides, and nothing is said.

Successive kinetic energies are correlated, and a test that takes them for independent raises false alarms. The means
here have the intervals of `statistics`; the test of the distribution is given samples that lie `APART` autocorrelation
times from each other.

References
----------
.. [1] P. T. Merz, M. R. Shirts, PLoS ONE 13, e0202764 (2018), doi:10.1371/journal.pone.0202764

"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import gamma, kstest

from mdsuite_analysis.measurement import NOT_KNOWN, Interval, Measurement, undefined
from mdsuite_analysis.series import EnergySeries, Floats, Frames, Integers
from mdsuite_analysis.statistics import SHORTEST, autocorrelation_time, mean_with_interval
from mdsuite_analysis.temperature import BOLTZMANN, KELVIN
from mdsuite_analysis.transient import start_transient

APART = 6.0
"""Distance of samples taken for independent; at two, 9 to 11 % of correct runs fail a test meant for 5 %."""

_FLAT = 1e-8  # a moment of inertia below this part of the largest is that of a line


def kinetic_distribution(
    series: EnergySeries, *, temperature: float, dof: int, canonical: bool, confidence: float = 0.95
) -> list[Measurement]:
    r"""Whether the kinetic energy K of a run has the distribution of its temperature.

    ``kinetic_temperature_by_mean`` is 2 <K> / (f k_B), ``kinetic_temperature_by_width`` \sqrt{2 Var K / f} / k_B; both
    are the temperature of the thermostat where it is right. ``kinetic_distribution_p`` is the p-value of
    Kolmogorov's and Smirnov's test of K against the Gamma distribution: below 0.01 in one of a hundred correct runs.

    The interval of the width is too narrow for short runs: one of fifty autocorrelation times covers about 88 %, one of
    twenty about 85 %.

    Parameters
    ----------
    series : EnergySeries
        With kinetic energies.
    temperature : float, K
        Of the thermostat.
    dof : int
        Degrees of freedom f that carry kinetic energy.
    canonical : bool
        Whether a thermostat makes the distribution a canonical one; of other runs nothing is measured.
    confidence : float
        Confidence of the intervals.

    """
    if not canonical:
        return _undefined(f"{NOT_KNOWN}at constant energy the kinetic energy fluctuates less", confidence)
    if series.kinetic_energy is None:
        return _undefined(f"{NOT_KNOWN}no kinetic energy was recorded", confidence)
    n_bad = int((~np.isfinite(series.kinetic_energy)).sum())
    if n_bad:
        return _undefined(f"{n_bad} of {len(series.kinetic_energy)} kinetic energies are not finite", confidence)
    start = start_transient(series.kinetic_energy)
    settled = series.kinetic_energy[start.end :]
    if len(settled) < SHORTEST:
        return _undefined(f"{NOT_KNOWN}{len(settled)} samples after the transient; {SHORTEST} are needed", confidence)
    return [
        _by_mean(settled, dof, confidence, start.note),
        _by_width(settled, dof, confidence, start.note),
        _p_value(settled, temperature, dof, confidence, start.note),
    ]


def _by_mean(kinetic: Floats, dof: int, confidence: float, note: str) -> Measurement:
    mean = mean_with_interval(kinetic, confidence=confidence)
    low, high = (2.0 * end / (dof * BOLTZMANN) for end in mean.ci)
    value = 2.0 * mean.value / (dof * BOLTZMANN)
    return _measured("kinetic_temperature_by_mean", "K", value, (max(low, 0.0), high), confidence, note)


def _by_width(kinetic: Floats, dof: int, confidence: float, note: str) -> Measurement:
    """From the variance, what the mean takes from it given back; its interval is made on the logarithm."""
    mean = mean_with_interval((kinetic - kinetic.mean()) ** 2, confidence=confidence)
    taken = min(0.5, 2.0 * autocorrelation_time(kinetic) / len(kinetic))
    value = math.sqrt(2.0 * mean.value / (1.0 - taken) / dof) / BOLTZMANN
    factor = math.exp(0.5 * (mean.ci[1] - mean.value) / mean.value) if mean.value > 0.0 else 1.0
    interval = (value / factor, value * factor)
    return _measured("kinetic_temperature_by_width", "K", value, interval, confidence, note)


def _p_value(kinetic: Floats, temperature: float, dof: int, confidence: float, note: str) -> Measurement:
    name = "kinetic_distribution_p"
    apart = math.ceil(APART * autocorrelation_time(kinetic))
    samples = kinetic[::apart]
    told = f"{len(samples)} samples, {apart} steps apart{note and '; '}{note}"
    if len(samples) < SHORTEST:
        return Measurement(name=name, value=math.nan, unit="1", confidence=confidence, note=f"{NOT_KNOWN}only {told}")
    p = float(kstest(samples, gamma(0.5 * dof, scale=BOLTZMANN * temperature).cdf).pvalue)
    return Measurement(name=name, value=p, unit="1", confidence=confidence, note=told)


def molecular_temperatures(
    frames: Frames, masses: Floats, molecules: Sequence[Integers], *, at_rest: bool, confidence: float = 0.95
) -> list[Measurement]:
    """The temperatures of translation, rotation and internal motion of molecules, and how far apart they are.

    Rotation is the rigid part L · I⁻¹ L / 2 of the motion about the centre of mass. Whatever carries no degree of
    freedom is left out. ``molecular_temperature_spread`` is the largest deviation of one from the mean of all,
    relative to that mean; its interval is that of the widest, each at a confidence that holds for all of them together.

    Assumption: molecules are whole, nothing is constrained.

    Parameters
    ----------
    frames : Frames
    masses : (n_atoms,) float, amu
    molecules : sequence of (n,) int
        The atoms of each molecule.
    at_rest : bool
        Whether the centre of mass of all is.
    confidence : float
        Confidence of the intervals.

    """
    finite = bool(np.isfinite(frames.velocities).all() and np.isfinite(frames.positions).all())
    parts = _parts(frames, masses, molecules, at_rest) if finite else {}
    begin = start_transient(sum((twice for twice, _ in parts.values()), np.zeros(len(frames.time)))) if parts else None
    n_left = len(frames.time) - begin.end if begin else 0
    if begin is None or n_left < SHORTEST:
        few = f"{NOT_KNOWN}{n_left} frames after the transient; a mean needs {SHORTEST}"
        note = few if finite else "not every position and velocity is finite"
        return [undefined("molecular_temperature_spread", "1", note, confidence)]
    settled = {name: twice[begin.end :] * KELVIN / dof for name, (twice, dof) in parts.items()}
    return [
        *(_mean_temperature(name, series, confidence) for name, series in settled.items()),
        _spread(settled, [dof for _, dof in parts.values()], confidence, begin.note),
    ]


def _parts(
    frames: Frames, masses: Floats, molecules: Sequence[Integers], at_rest: bool
) -> dict[str, tuple[Floats, int]]:
    """Twice the kinetic energy (n_frames,), amu Å²/ps², and the degrees of freedom, of every kind of motion."""
    each = [_molecule(frames.positions[:, atoms], frames.velocities[:, atoms], masses[atoms]) for atoms in molecules]
    translation, rotation, total = (np.sum([parts[i] for parts, _ in each], axis=0) for i in range(3))
    turning = sum(dof for _, dof in each)
    moving = 3 * len(molecules)
    internal = 3 * sum(len(atoms) for atoms in molecules) - moving - turning
    found = {
        "translational_temperature": (translation, moving - (3 if at_rest else 0)),
        "rotational_temperature": (rotation, turning),
        "internal_temperature": (total - translation - rotation, internal),
    }
    return {name: (twice, dof) for name, (twice, dof) in found.items() if dof > 0}


def _molecule(positions: Floats, velocities: Floats, masses: Floats) -> tuple[tuple[Floats, Floats, Floats], int]:
    """Twice the kinetic energy of translation, of rotation, and of all motion, and the degrees of freedom that turn."""
    mass = masses.sum()
    centre = masses @ velocities / mass
    r = positions - (masses @ positions / mass)[:, None]
    v = velocities - centre[:, None]
    inertia = np.einsum("a,nab,nac->nbc", masses, r, r)
    inertia = np.trace(inertia, axis1=1, axis2=2)[:, None, None] * np.eye(3) - inertia
    momentum = np.einsum("a,nab->nb", masses, np.cross(r, v))
    inverse = np.linalg.pinv(inertia, rcond=_FLAT, hermitian=True)
    turning = np.einsum("nb,nbc,nc->n", momentum, inverse, momentum)
    total = np.einsum("a,nab,nab->n", masses, velocities, velocities)
    dof = int(np.linalg.matrix_rank(inertia[0], rtol=_FLAT, hermitian=True)) if len(masses) > 1 else 0
    return (mass * (centre**2).sum(axis=1), turning, total), dof


def _mean_temperature(name: str, series: Floats, confidence: float) -> Measurement:
    mean = mean_with_interval(series, confidence=confidence)
    return _measured(name, "K", mean.value, (max(0.0, mean.ci[0]), mean.ci[1]), confidence, "")


def _spread(settled: dict[str, Floats], dofs: Sequence[int], confidence: float, note: str) -> Measurement:
    together = 1.0 - (1.0 - confidence) / len(settled)
    overall = float(np.average([series.mean() for series in settled.values()], weights=dofs))
    means = [mean_with_interval(series / overall - 1.0, confidence=together) for series in settled.values()]
    ends = [(abs(mean.value), mean.ci[1] - mean.value) for mean in means]
    low = max(0.0, *(value - half for value, half in ends))
    high = max(value + half for value, half in ends)
    value = max(value for value, _ in ends)
    return _measured("molecular_temperature_spread", "1", value, (low, high), confidence, note)


def _undefined(reason: str, confidence: float) -> list[Measurement]:
    temperatures = ("kinetic_temperature_by_mean", "kinetic_temperature_by_width")
    return [
        *(undefined(name, "K", reason, confidence) for name in temperatures),
        Measurement(name="kinetic_distribution_p", value=math.nan, unit="1", confidence=confidence, note=reason),
    ]


def _measured(name: str, unit: str, value: float, interval: Interval, confidence: float, note: str) -> Measurement:
    return Measurement(name=name, value=value, unit=unit, ci=interval, confidence=confidence, note=note)
