"""What an energy drift means: heating, the units of the field, how long a run may be, how far a thermostat is off.

Every function takes a drift in meV/atom/ps, of one run or the mean of replicas, with its interval. Where the energy
goes is assumed: all of it becomes heat, of which an atom takes up its heat capacity, 3 k_B as in a classical harmonic
solid unless a measured one is given.
"""

import math
from dataclasses import replace

from scipy.constants import e, k

from mdsuite_analysis.drift import MEV_PER_EV
from mdsuite_analysis.measurement import Interval, Measurement

BOLTZMANN = MEV_PER_EV * k / e
"""meV/K"""

HARMONIC = 3.0
"""Heat capacity of an atom in a classical harmonic solid, k_B."""

TOLERATED_HEATING = 10.0
"""K"""

_PS_PER_NS = 1000.0


def drift_temperature_rate(drift: Measurement, *, heat_capacity: float = HARMONIC) -> Measurement:
    """How fast the drift heats, d / c_v, K/ps, signed; 1 meV/atom/ps is 3.87 K/ps at 3 k_B.

    Parameters
    ----------
    drift : Measurement
        meV/atom/ps.
    heat_capacity : float, k_B
        Of one atom.

    """
    return _scaled(drift, "drift_temperature_rate", "K/ps", 1.0 / (_positive(heat_capacity) * BOLTZMANN))


def drift_kT_per_ns_per_dof(drift: Measurement, *, temperature: float, dof: float = 3.0) -> Measurement:
    """The drift in kT/ns/dof, signed, as OpenMM's documentation states it.

    Parameters
    ----------
    drift : Measurement
        meV/atom/ps.
    temperature : float, K
    dof : float
        Degrees of freedom of one atom; below 3 where constraints or a resting centre of mass take some.

    """
    factor = _PS_PER_NS / (BOLTZMANN * _positive(temperature) * _positive(dof))
    return _scaled(drift, "drift_kT_per_ns_per_dof", "kT/ns/dof", factor)


def drift_percent_of_kinetic(drift: Measurement, *, temperature: float, dof: float = 3.0) -> Measurement:
    """The drift in percent of the kinetic energy, 100 d / (dof k_B T / 2), %/ps, signed; free of the energy zero.

    Parameters
    ----------
    drift : Measurement
        meV/atom/ps.
    temperature : float, K
    dof : float
        Degrees of freedom of one atom.

    """
    factor = 100.0 / (0.5 * _positive(dof) * BOLTZMANN * _positive(temperature))
    return _scaled(drift, "drift_percent_of_kinetic", "%/ps", factor)


def thermostat_bias(drift: Measurement, *, friction: float) -> Measurement:
    """How far a thermostat ends from its target when the drift feeds it, ΔT = d / (3 γ k_B), K, signed.

    Langevin friction takes 2 γ times the excess kinetic energy, 3 γ k_B ΔT for an atom. A thermostat that lets the
    kinetic energy relax with a time τ (velocity rescaling) has γ = 1 / (2 τ). 1 meV/atom/ps is 3.9 K at 1/ps and 39 K
    at 0.1/ps. Assumption: all species are heated alike and feel one friction.

    Parameters
    ----------
    drift : Measurement
        meV/atom/ps: the power that the forces put in, as NVE or the conserved energy of the thermostatted run shows it.
    friction : float, 1/ps

    """
    return _scaled(drift, "thermostat_bias", "K", 1.0 / (3.0 * _positive(friction) * BOLTZMANN))


def safe_horizon(
    drift: Measurement, *, tolerance: float = TOLERATED_HEATING, heat_capacity: float = HARMONIC
) -> Measurement:
    """How long a run may be before the drift has changed its temperature by the tolerance, c_v ΔT / |d|, ps.

    The low end of the interval belongs to the drift that is worst by the drift's interval: that is the guaranteed
    horizon, and what a run's length is compared with. The high end is infinite where the drift is not told from zero.

    Parameters
    ----------
    drift : Measurement
        meV/atom/ps.
    tolerance : float, K
    heat_capacity : float, k_B
        Of one atom.

    """
    heat = _positive(heat_capacity) * BOLTZMANN * _positive(tolerance)
    low, high = drift.ci or (drift.value, drift.value)
    slowest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    fastest = max(abs(low), abs(high)) if math.isfinite(low) and math.isfinite(high) else math.nan
    return _converted(
        drift, "safe_horizon", "ps", _over(heat, abs(drift.value)), (_over(heat, fastest), _over(heat, slowest))
    )


def _over(heat: float, drift: float) -> float:
    return heat / drift if drift != 0.0 else math.inf


def _scaled(drift: Measurement, name: str, unit: str, factor: float) -> Measurement:
    interval = None if drift.ci is None else (drift.ci[0] * factor, drift.ci[1] * factor)
    return _converted(drift, name, unit, drift.value * factor, interval)


def _converted(drift: Measurement, name: str, unit: str, value: float, interval: Interval | None) -> Measurement:
    if drift.unit != "meV/atom/ps":
        raise ValueError(f"{name} is made of a drift in meV/atom/ps, but {drift.name} is in {drift.unit}")
    return replace(drift, name=name, unit=unit, value=value, ci=interval)


def _positive(number: float) -> float:
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f"wanted a positive number, but got {number}")
    return number
