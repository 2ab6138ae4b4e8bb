r"""Whether a run keeps its momentum and its angular momentum.

Without an outer field the forces on all atoms sum to zero, and in open boundaries so do their torques. Velocity Verlet
then keeps both exactly, whatever the timestep, and only rounding is left. Forces that are not the gradient of an
invariant energy do not keep them, and those of single precision keep them to single precision.
"""

import math

import numpy as np

from mdsuite_analysis.measurement import NOT_KNOWN, Measurement, undefined
from mdsuite_analysis.series import Floats, Frames
from mdsuite_analysis.statistics import SHORTEST, trend


def momentum_drift(frames: Frames, masses: Floats) -> Measurement:
    """How far the total momentum moves from where it began: max |P(t) - P(0)| / <Σ m |v|>.

    A centre of mass that moves steadily is no drift. Whoever lets the engine take the motion of the centre of mass out
    measures nothing by it.

    Parameters
    ----------
    frames : Frames
        Of a run without a thermostat.
    masses : (n_atoms,) float, amu

    """
    momenta = masses[:, None] * frames.velocities
    return _largest_change("momentum_drift", momenta.sum(axis=1), momenta)


def angular_momentum_drift(frames: Frames, masses: Floats) -> Measurement:
    """How far the angular momentum L about the centre of mass moves: max |L(t) - L(0)| / <Σ m |r × v|>.

    Assumption: open boundaries; a periodic cell does not keep it.

    Parameters
    ----------
    frames : Frames
        Of a run without a thermostat.
    masses : (n_atoms,) float, amu

    """
    weights = (masses / masses.sum())[:, None]
    r = frames.positions - (weights * frames.positions).sum(axis=1, keepdims=True)
    v = frames.velocities - (weights * frames.velocities).sum(axis=1, keepdims=True)
    momenta = masses[:, None] * np.cross(r, v)
    return _largest_change("angular_momentum_drift", momenta.sum(axis=1), momenta)


def centre_acceleration(frames: Frames, masses: Floats, *, confidence: float = 0.95) -> Measurement:
    """The steady acceleration of the centre of mass, |dV/dt|, Å/ps²: a net force that keeps its direction.

    Each component is a slope with an interval that holds for all three together; that of the length is at most as
    wide as the diagonal of the three.

    Parameters
    ----------
    frames : Frames
        Evenly spaced, of a run without a thermostat.
    masses : (n_atoms,) float, amu
    confidence : float
        Confidence of the interval.

    """
    name, unit = "centre_acceleration", "Å/ps²"
    velocity = (masses[:, None] * frames.velocities).sum(axis=1) / masses.sum()
    n_bad = int((~np.isfinite(velocity)).any(axis=1).sum())
    if n_bad or len(velocity) < SHORTEST:
        few = f"{NOT_KNOWN}{len(velocity)} frames; a slope needs {SHORTEST}"
        note = f"{n_bad} of {len(velocity)} frames are not finite" if n_bad else few
        return undefined(name, unit, note, confidence)
    together = 1.0 - (1.0 - confidence) / 3.0
    lines = [trend(frames.time, component, confidence=together) for component in velocity.T]
    value = math.hypot(*(line.slope for line in lines))
    reach = math.hypot(*(0.5 * (line.ci[1] - line.ci[0]) for line in lines))
    interval = (max(0.0, value - reach), value + reach)
    return Measurement(name=name, value=value, unit=unit, ci=interval, confidence=confidence)


def _largest_change(name: str, total: Floats, single: Floats) -> Measurement:
    """Of a total (n_frames, 3) since the first frame, over the mean sum of the lengths of its terms."""
    if not np.isfinite(single).all():
        note = f"{int((~np.isfinite(single)).any(axis=(1, 2)).sum())} of {len(single)} frames are not finite"
        return Measurement(name=name, value=math.nan, unit="1", note=note)
    scale = float(np.linalg.norm(single, axis=2).sum(axis=1).mean())
    change = np.linalg.norm(total - total[0], axis=1)
    if len(total) < 2 or not scale > 0.0:
        return Measurement(
            name=name, value=math.nan, unit="1", note=f"{NOT_KNOWN}fewer than two frames, or nothing moves"
        )
    at = int(change.argmax())
    note = f"largest of {len(total)} frames, number {at + 1}"
    return Measurement(name=name, value=float(change[at]) / scale, unit="1", note=note)
