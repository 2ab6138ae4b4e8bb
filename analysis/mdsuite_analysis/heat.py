r"""Where a run is hot: the energies that made its temperature what it is.

Let f degrees of freedom carry kinetic energy and s of them be bound by springs, as those of a molecule are about its
relaxed geometry of energy U_r. By equipartition the energy E - U_r belongs to the temperature

    T_E = 2 (E - U_r) / ((f + s) k_B),

so with the total energy E(t) = E(0) + ΔE(t) the kinetic temperature T(t) of a run whose target is T₀ is

    T(t) - T₀ = [T_E(0) - T₀]  +  2 ΔE(t) / ((f + s) k_B)  +  rest,
                 strain            drift                       structure

and the three add up by construction. The first is positive where the start frame is strained, and about -T₀/2 where it
was relaxed and given the kinetic energy of T₀, half of which its springs take. The last is what the potential energy
lies below that of springs about the relaxed geometry, so positive where bonds break or the molecule melts into what the
potential holds for deeper: heat at conserved energy that no relaxed start explains. Anharmonicity belongs to it too, a
few per cent of T for molecules at 300 K, and so does what velocity Verlet makes the kinetic energy lack, (ω Δt)²/8 of
the share of each vibration. In a liquid it means nothing.

Where the energy of the relaxed start is not known, strain is told by its time: it is released within the first
vibrations, so of T(t) less drift a straight line through the settled run gives strain at its start and structure by
its slope. Fast melting then counts as strain.
"""

import numpy as np
from scipy.signal import detrend

from mdsuite_analysis.measurement import Interval, Measurement, undefined
from mdsuite_analysis.series import EnergySeries, Floats
from mdsuite_analysis.statistics import SHORTEST, mean_with_interval, trend
from mdsuite_analysis.temperature import BOLTZMANN
from mdsuite_analysis.transient import Transient, start_transient

NAMES = ("heat_from_strain", "heat_from_drift", "heat_from_structure")

EXCHANGED = 1e-3
"""Of the target, in K, that a thermostat may have given before a run is no longer taken for one without."""

Part = tuple[float, Interval | None]


def heat(
    energies: EnergySeries,
    *,
    temperature: float,
    dof: int,
    springs: int | None = None,
    relaxed_energy: float | None = None,
    confidence: float = 0.95,
) -> list[Measurement]:
    """What strain, drift and structure add to the temperature of a run without a thermostat, K.

    They add up to the mean temperature after the start transient less the target. Neither the zero of energy nor the
    origin of time changes them. The notes give the energies.

    Parameters
    ----------
    energies : EnergySeries
        Every step, from the start frame on, with kinetic energies.
    temperature : float, K
        The target T₀, to which the velocities of the start were drawn.
    dof : int
        Degrees of freedom f that carry kinetic energy.
    springs : int or None
        Degrees of freedom s that springs bind, 3 n_atoms - 6 in a molecule; as many as `dof` unless given.
    relaxed_energy : float, eV, or None
        The potential energy U_r of the start frame, relaxed with the model.
    confidence : float
        Confidence of the intervals; that of strain is None where `relaxed_energy` makes it exact.

    """
    reason = _flaw(energies, temperature)
    kinetic = energies.kinetic_energy
    if reason or kinetic is None:
        return _undefined(reason, confidence)
    kelvin = 2.0 / ((dof + (dof if springs is None else springs)) * BOLTZMANN)
    observed = 2.0 * kinetic / (dof * BOLTZMANN)
    start = start_transient(observed)
    settled = slice(start.end, None)
    if len(observed[settled]) < SHORTEST:
        return _undefined(f"{len(observed[settled])} samples after the transient; {SHORTEST} are needed", confidence)
    strain: Part
    structure: Part
    drift = kelvin * (energies.total_energy - energies.total_energy[0])[settled]
    rest = observed[settled] - drift
    if relaxed_energy is None:
        strain, structure = _by_time(energies.time[settled] - energies.time[0], rest, temperature, confidence)
    else:
        thermal = kelvin * (float(energies.total_energy[0]) - relaxed_energy)
        strain = thermal - temperature, None
        structure = _mean(rest - thermal, confidence)
    parts = (strain, _mean(drift, confidence), structure)
    return [_part(name, part, kelvin, start, confidence) for name, part in zip(NAMES, parts, strict=True)]


def _by_time(time: Floats, rest: Floats, temperature: float, confidence: float) -> tuple[Part, Part]:
    line = trend(time, rest, confidence=confidence)
    middle = float(time.mean())
    mean, (low, high) = _mean(rest, confidence)
    half = np.hypot((high - low) / 2, (line.ci[1] - line.ci[0]) / 2 * middle)  # mean and slope err independently
    strain = mean - line.slope * middle - temperature
    structure = line.slope * middle
    return (
        (strain, (float(strain - half), float(strain + half))),
        (structure, (line.ci[0] * middle, line.ci[1] * middle)),
    )


def _mean(series: Floats, confidence: float) -> tuple[float, Interval]:
    """The mean over this run; what rises steadily through it did so, and is no uncertainty of the mean."""
    value = float(series.mean())
    low, high = mean_with_interval(detrend(series), confidence=confidence).ci
    return value, (value + low, value + high)


def _part(name: str, part: Part, kelvin: float, start: Transient, confidence: float) -> Measurement:
    value, interval = part
    note = "; ".join(filter(None, [f"{value / kelvin:+.3g} eV", start.note]))
    return Measurement(name=name, value=value, unit="K", ci=interval, confidence=confidence, note=note)


def _flaw(energies: EnergySeries, temperature: float) -> str:
    if energies.kinetic_energy is None:
        return "the kinetic energy was not recorded"
    if not energies.finite:
        return "some energies are not finite"
    if energies.conserved_energy is None:
        return ""
    given = np.ptp(energies.total_energy - energies.conserved_energy) / (energies.n_atoms * BOLTZMANN)
    return "a thermostat exchanged heat with this run" if given > EXCHANGED * temperature else ""


def _undefined(reason: str, confidence: float) -> list[Measurement]:
    return [undefined(name, "K", reason, confidence) for name in NAMES]
