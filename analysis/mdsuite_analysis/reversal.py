r"""Whether a trajectory, its velocities turned round, runs back to where it began.

Velocity Verlet is reversible in time step by step, so a forward run and a backward one that begins at its end with
negated velocities pass through the same configurations, but for rounding, which chaos lets grow as exp(λ t) [1]_.
Whatever remembers does not: a thermostat, a neighbour list kept too long, forces of an earlier step, random numbers.

So the error of return is counted in what rounding makes of the same path. How fast chaos lets it grow there, *controls*
tell, backward runs whose start was moved by a rounding error. Where it begins, the precision of the forces tells: they
are rounded anew on every frame. What is random spoils the controls too, but shows in their first frame, which growth is
counted from, and, where it is the forces, at the turn, where the model is asked twice about one configuration.

Assumption: no thermostat, and a frame lasts far less than 1/λ.

References
----------
.. [1] D. Levesque, L. Verlet, J. Stat. Phys. 72, 519 (1993), doi:10.1007/BF01048022

"""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.constants import angstrom, atomic_mass, e, pico

from mdsuite_analysis.agreement import SATURATED, distances
from mdsuite_analysis.measurement import NOT_KNOWN, Measurement
from mdsuite_analysis.series import Floats, Frames
from mdsuite_analysis.statistics import SHORTEST, trend

SINGLE = float(np.finfo(np.float32).eps)
"""Relative rounding error of forces in single precision."""

POSITION_ROUNDING = 0.25
"""Rms error of coordinates that are rounded to the nearest number, in relative rounding errors of their size."""

ACCELERATION = e / angstrom / atomic_mass * pico**2 / angstrom
"""1 eV/Å over 1 amu, Å/ps²."""

_DOUBLE = float(np.finfo(np.float64).eps)


def reversed_in_time(frames: Frames) -> Frames:
    """The same path run backwards, time counted from its end."""
    return replace(
        frames,
        time=frames.time[-1] - frames.time[::-1],
        positions=frames.positions[::-1],
        velocities=-frames.velocities[::-1],
        forces=frames.forces[::-1],
        virial=frames.virial[::-1],
    )


def time_reversal_error(
    forward: Frames,
    backward: Frames,
    controls: Sequence[Frames],
    masses: Floats,
    *,
    rounding: float = SINGLE,
    confidence: float = 0.95,
) -> list[Measurement]:
    """How far a run that was turned round is from where it began, and how much of that rounding explains.

    ``time_reversal_error`` and ``time_reversal_velocity_error`` are root mean square distances over the atoms at the
    end of the way back. ``time_reversal_growth`` is the rate at which the error grows on the way, as long as it is
    below `SATURATED`. ``time_reversal_excess`` is how many times larger it is than rounding makes it, where it or a
    control first reaches `SATURATED`, or else at the end; or by how much more than rounding the forces at the turn
    differ, if that is more. Its interval is that of the single controls. One or less is rounding.

    Parameters
    ----------
    forward : Frames
        The first begins the path, the last ends it.
    backward : Frames
        Of a run from the last frame of `forward` with negated velocities, over the same number of frames, as far apart.
    controls : sequence of Frames
        Of runs begun as `backward` was, every coordinate moved by about a relative `rounding`; one or more.
    masses : (n_atoms,) float, amu
    rounding : float
        Relative rounding error of the model's forces: 2⁻²³ in single precision, 2⁻⁵² in double.
    confidence : float
        Confidence of the interval of the growth.

    """
    _check(forward, backward, controls)
    there = reversed_in_time(forward)
    reason = _unusable((there, backward, *controls))
    if reason:
        return _all_undefined(reason, confidence)
    error = distances(backward, there)
    apart = backward.velocities[-1] - there.velocities[-1]
    velocity_error = math.sqrt((apart**2).sum(axis=1).mean())
    note = f"after {there.time[-1]:.4g} ps and back"
    return [
        Measurement(name="time_reversal_error", value=float(error[-1]), unit="Å", note=note),
        Measurement(name="time_reversal_velocity_error", value=velocity_error, unit="Å/ps", note=note),
        _growth(there.time, error, confidence),
        _excess(there, backward, controls, masses, rounding),
    ]


def _check(forward: Frames, backward: Frames, controls: Sequence[Frames]) -> None:
    counts = [len(forward.time), len(backward.time), *(len(control.time) for control in controls)]
    if not controls or len(set(counts)) > 1 or counts[0] < 2:
        raise ValueError(
            f"a way there, a way back and one control or more are wanted, each of the same frames, but there are "
            f"{len(controls)} controls, and the numbers of frames are {', '.join(map(str, counts))}"
        )


def _unusable(paths: Sequence[Frames]) -> str:
    recorded = (path.positions for path in paths), (path.velocities for path in paths), (path.forces for path in paths)
    if not all(bool(np.isfinite(values).all()) for kind in recorded for values in kind):
        return "not every recorded number is finite"
    there, backward = paths[:2]
    at_turn = float(np.abs(backward.positions[0] - there.positions[0]).max())
    turned = float(np.abs(backward.velocities[0] - there.velocities[0]).max())
    if at_turn < 1e-6 and turned < 1e-6:
        return ""
    return (
        f"the way back begins {at_turn:.2g} Å and {turned:.2g} Å/ps from the end of the way there, velocities negated"
    )


def _of_positions(path: Frames) -> float:
    """Rounding error of positions in double precision, Å."""
    return 4.0 * _DOUBLE * max(1.0, float(np.abs(path.positions).max()))


def _growth(time: Floats, error: Floats, confidence: float) -> Measurement:
    """The rate of growth, 1/ps, of the error while it is neither zero nor saturated."""
    name, unit, nan = "time_reversal_growth", "1/ps", math.nan
    end = int(np.argmax(np.append(error >= SATURATED, True)))
    zeros = np.flatnonzero(error[:end] == 0.0)
    counted = slice(int(zeros[-1]) + 1 if len(zeros) else 0, end)
    n_counted = len(error[counted])
    if n_counted < SHORTEST:
        note = (
            f"{NOT_KNOWN}{n_counted} frames with an error between nothing and {SATURATED:g} Å; a rate needs {SHORTEST}"
        )
        return Measurement(name=name, value=nan, unit=unit, ci=(nan, nan), confidence=confidence, note=note)
    line = trend(time[counted], np.log(error[counted]), confidence=confidence)
    decades = np.log10(error[counted][-1] / error[counted][0])
    note = f"{decades:.1f} decades in {time[counted][-1] - time[counted][0]:.3g} ps"
    return Measurement(name=name, value=line.slope, unit=unit, ci=line.ci, confidence=confidence, note=note)


def _excess(
    there: Frames, backward: Frames, controls: Sequence[Frames], masses: Floats, rounding: float
) -> Measurement:
    """The larger of what the path and what the forces at the turn tell."""
    apart = np.array([distances(control, backward) for control in controls])
    if not (apart[:, 0] > 0.0).all() or (apart[:, 1] >= SATURATED).any():
        note = "a control is the way back itself, or parts from it within one frame; move its start by a rounding error"
        return Measurement(name="time_reversal_excess", value=math.nan, unit="roundings", note=note)
    error = np.maximum(distances(backward, there), _of_positions(there))
    saturated = (apart >= SATURATED).any(axis=0) | (error >= SATURATED)
    at = int(np.argmax(np.append(saturated[1:-1], True))) + 1
    growth = np.maximum(1.0, apart[:, at] / [_begun(control, backward) for control in controls])
    by_forces = _rounded_forces(there, rounding) * _acceleration(there, masses) * _lever(there.time[: at + 1], growth)
    expected = _of_positions(there) * growth + by_forces
    path = error[at] / expected
    turn = _at_turn(there, backward, rounding)
    note = (
        f"{error[at]:.2g} Å after {there.time[at]:.3g} ps back, where rounding makes "
        f"{math.exp(np.log(expected).mean()):.2g} Å; forces at the turn are {turn:.2g} roundings apart"
    )
    value = max(turn, math.exp(np.log(path).mean()))
    interval = (max(turn, float(path.min())), max(turn, float(path.max())))
    return Measurement(name="time_reversal_excess", value=value, unit="roundings", ci=interval, note=note)


def _begun(control: Frames, backward: Frames) -> float:
    """How far a control is after one frame, Å; its velocity, which random kicks show in first, as far as it carries."""
    spacing = float(backward.time[1] - backward.time[0])
    by_velocity = math.sqrt(((control.velocities[1] - backward.velocities[1]) ** 2).sum(axis=1).mean()) * spacing
    return max(float(distances(control, backward)[:2].max()), by_velocity)


def _rounded_forces(path: Frames, rounding: float) -> float:
    """How far the forces of the first frame, all together, are off by rounding of themselves and of positions, eV/Å."""
    of_positions = POSITION_ROUNDING * float(np.linalg.norm(path.positions[0]))
    return rounding * (float(np.linalg.norm(path.forces[0])) + _stiffness(path) * of_positions)


def _stiffness(path: Frames) -> float:
    """How much the forces change with the positions from frame to frame, eV/Å²."""
    moved = float(np.linalg.norm(np.diff(path.positions, axis=0)))
    return float(np.linalg.norm(np.diff(path.forces, axis=0))) / moved if moved > 0.0 else 0.0


def _acceleration(path: Frames, masses: Floats) -> float:
    """The rms acceleration of an atom, Å/ps², that forces of 1 eV/Å, all together, make; shared out as they are."""
    size = float(np.linalg.norm(path.forces[0]))
    shared = float(np.linalg.norm(path.forces[0] / masses[:, None])) / size if size > 0.0 else 1.0 / float(masses.min())
    return ACCELERATION * shared / math.sqrt(len(masses))


def _lever(time: Floats, growth: Floats) -> Floats:
    """The displacement at the end, Å, that an error of the acceleration by 1 Å/ps² makes, drawn anew on every frame.

    Errors add up at random for the time τ in which one grows by e, to τ^(3/2) δt^(1/2), and grow from then on.
    """
    tau = time[-1] / np.maximum(1.0, np.log(growth))
    return np.asarray(np.sqrt(tau**3 * (time[1] - time[0])) * growth)


def _at_turn(there: Frames, backward: Frames, rounding: float) -> float:
    """By how many roundings the forces on one configuration differ between the two runs."""
    apart = float(np.linalg.norm(backward.forces[0] - there.forces[0]))
    moved = float(np.linalg.norm(backward.positions[0] - there.positions[0]))
    return apart / max(_rounded_forces(there, rounding) + _stiffness(there) * moved, sys.float_info.min)


def _all_undefined(reason: str, confidence: float) -> list[Measurement]:
    units = {
        "time_reversal_error": "Å",
        "time_reversal_velocity_error": "Å/ps",
        "time_reversal_growth": "1/ps",
        "time_reversal_excess": "roundings",
    }
    return [
        Measurement(name=name, value=math.nan, unit=unit, confidence=confidence, note=reason)
        for name, unit in units.items()
    ]
