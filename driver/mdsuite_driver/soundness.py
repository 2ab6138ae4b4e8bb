"""What an evaluation must be before it may move atoms; both ends of the wire ask."""

from __future__ import annotations

import math
import sys

import numpy as np

from mdsuite_driver.models.protocol import Evaluation, FloatArray

ASYMMETRY = 1e-4  # of the largest component of the virial; sums in float32 reach 1e-6
ASYMMETRY_FLOOR = 1e-5  # eV


class UnsoundError(ArithmeticError):
    """An evaluation that must not be integrated; `kind` names the defect."""

    kind = "unsound"


class NotFiniteError(UnsoundError):
    """The model answered with NaN or infinity."""

    kind = "not_finite"


class HugeForceError(UnsoundError):
    """The model answered with a force beyond the limit."""

    kind = "huge_force"


class WrongShapeError(UnsoundError):
    """The model answered for another number of atoms."""

    kind = "wrong_shape"


class AsymmetricVirialError(UnsoundError):
    """The virial is not symmetric, as that of an energy which does not change under rotation must be."""

    kind = "asymmetric_virial"


def require_sound(evaluation: Evaluation, n_atoms: int, max_force: float | None = None) -> None:
    """Raise an UnsoundError that names the culprit, unless an evaluation of `n_atoms` atoms may be integrated.

    Energy, forces (n_atoms, 3; eV/Å) and virial (3, 3; eV) must be finite, no force longer than `max_force` (eV/Å),
    and the virial symmetric.
    """
    forces, virial = np.asarray(evaluation.forces), np.asarray(evaluation.virial)
    if forces.shape != (n_atoms, 3) or virial.shape != (3, 3):
        raise WrongShapeError(
            f"the model's forces have the shape {forces.shape}, its virial {virial.shape}; "
            f"wanted {(n_atoms, 3)} and (3, 3)"
        )
    square = float(np.vdot(forces, forces))  # without a warning where it overflows
    if not _is_plain(evaluation.energy, square, virial.ravel().tolist(), max_force):
        _require_finite(evaluation)
        _require_bounded(forces, max_force)
        _require_symmetric(virial)


def _is_plain(energy: float, square: float, virial: list[float], max_force: float | None) -> bool:
    """Whether nothing can be wrong, seen at little cost: what is not plain is looked at again, and may be sound.

    `square` is that of all forces together, so no force is longer than its root.
    """
    xx, xy, xz, yx, yy, yz, zx, zy, zz = virial
    limit = sys.float_info.max if max_force is None else 0.99 * max_force * max_force
    return (
        math.isfinite(energy)
        and square < limit  # not for NaN
        and math.isfinite(xx + yy + zz)
        and abs(xy - yx) + abs(xz - zx) + abs(yz - zy) < ASYMMETRY_FLOOR  # not for NaN
    )


def _require_finite(evaluation: Evaluation) -> None:
    if np.isfinite(evaluation.forces).all() and np.isfinite(evaluation.energy) and np.isfinite(evaluation.virial).all():
        return
    bad = np.flatnonzero(~np.isfinite(evaluation.forces).all(axis=1))
    if len(bad):
        raise NotFiniteError(f"the model's force on atom {bad[0]} is {evaluation.forces[bad[0]]}")
    raise NotFiniteError(f"the model's energy is {evaluation.energy}, its virial {evaluation.virial.tolist()}")


@np.errstate(over="ignore")  # what overflows is beyond every limit
def _require_bounded(forces: FloatArray, max_force: float | None) -> None:
    largest = int(np.argmax(np.einsum("ij,ij->i", forces, forces)))
    if max_force is not None and np.linalg.norm(forces[largest]) > max_force:
        raise HugeForceError(
            f"the model's force on atom {largest} is {np.linalg.norm(forces[largest]):.3g} eV/Å, "
            f"beyond the limit of {max_force:g} eV/Å"
        )


@np.errstate(over="ignore")
def _require_symmetric(virial: FloatArray) -> None:
    asymmetry = np.abs(virial - virial.T).max()
    if asymmetry > ASYMMETRY * np.abs(virial).max() + ASYMMETRY_FLOOR:
        raise AsymmetricVirialError(f"the model's virial is not symmetric, by {asymmetry:.3g} eV: {virial.tolist()}")
