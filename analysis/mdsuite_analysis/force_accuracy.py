"""How far predicted forces lie from a reference's, with bootstrap intervals over structures.

Every number is said of components (each of the 3 n_atoms numbers by itself) or of magnitudes (the lengths of the
vectors); the two differ, and one must not be taken for the other. Intervals are percentile intervals of a bootstrap
[1]_ that draws whole structures where there are enough of them, and frames otherwise: the frames of one molecule are no
independent sample of molecules.

.. [1] A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application (1997), section 3.8 (clusters)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mdsuite_analysis.drift import MEV_PER_EV
from mdsuite_analysis.elements import symbol
from mdsuite_analysis.measurement import NOT_KNOWN, Interval, Measurement, about, undefined
from mdsuite_analysis.series import Floats, Integers

SMALL_FORCE = 0.1
"""eV/Å of the reference, below which the direction of a force is not asked for: there it turns at a touch."""

ENOUGH_STRUCTURES = 8
"""From which whole structures are drawn, and not their frames."""

N_DRAWN = 1000
QUANTILES = (0.90, 0.95)

Bools = NDArray[np.bool_]
Sums = Floats
Statistic = Callable[[Sums], Floats]
"""From sums (..., n_sums) to numbers (...)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A frame with both answers.

    structure : what the frame is one of
    numbers : (n_atoms,) int, atomic numbers
    reference, predicted : (n_atoms, 3) float, eV/Å
    reference_energy, predicted_energy : float, eV; the first is None where it is not known
    """

    structure: str
    numbers: Integers
    reference: Floats
    predicted: Floats
    reference_energy: float | None
    predicted_energy: float


def force_accuracy(frames: Sequence[Compared], *, seed: int = 0, confidence: float = 0.95) -> list[Measurement]:
    """Errors of forces over all frames, by element and by structure, and of energies where the reference has them.

    Of all: `force_r2`, `force_rmse`, `force_mae` (meV/Å) of components and of magnitudes (`..._component`,
    `..._magnitude`), `force_angle_mean` (degrees, of forces above 0.1 eV/Å), `force_error_p90`, `force_error_p95`,
    `force_error_max` (meV/Å, of the length of the difference), `energy_mae`, `energy_mae_shifted` (meV/atom). Of each
    element and each structure: `force_rmse_component`, `force_mae_component` and `force_r2_component`.

    Raises ValueError where there is no frame, or the arrays of one do not go together or are not finite.
    """
    _check(frames)
    structures = list(dict.fromkeys(each.structure for each in frames))
    clustered = len(structures) >= ENOUGH_STRUCTURES
    units = np.array([structures.index(each.structure) if clustered else k for k, each in enumerate(frames)])
    note = f"{len(structures)} structures" if clustered else _counted(len(frames), "frame")
    bootstrap = _Bootstrap.of(units, seed, confidence)
    return [
        *_overall(_Forces.of(frames), bootstrap.spread(frames, note)),
        *_energies(frames, bootstrap, note),
        *_by_element(frames, bootstrap, note),
        *_by_structure(frames, structures, seed, confidence),
    ]


def _check(frames: Sequence[Compared]) -> None:
    if not frames:
        raise ValueError("wanted frames with forces of a reference, got none")
    for each in frames:
        shape = (len(each.numbers), 3)
        if each.reference.shape != shape or each.predicted.shape != shape:
            raise ValueError(
                f"wanted forces of the shape {shape} for {each.structure}, got {each.reference.shape} of the reference "
                f"and {each.predicted.shape} predicted"
            )
        if not (np.isfinite(each.reference).all() and np.isfinite(each.predicted).all()):
            raise ValueError(f"wanted finite forces for {each.structure}; leave out frames that have none")


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Forces:
    """Of atoms: reference and predicted (n, 3), eV/Å."""

    reference: Floats
    predicted: Floats

    @classmethod
    def of(cls, frames: Sequence[Compared]) -> _Forces:
        return cls(
            reference=np.concatenate([each.reference for each in frames]),
            predicted=np.concatenate([each.predicted for each in frames]),
        )

    def only(self, chosen: Bools) -> _Forces:
        return _Forces(reference=self.reference[chosen], predicted=self.predicted[chosen])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bootstrap:
    """Draws units with all that belongs to them.

    unit : (n,) int, of each row
    drawings : (n_drawn, n_units) float, how often each unit is drawn
    """

    unit: Integers
    drawings: Floats
    confidence: float
    note: str = ""

    @classmethod
    def of(cls, units: Integers, seed: int, confidence: float) -> _Bootstrap:
        """With a row for each frame, whose units are given."""
        n = int(units.max()) + 1
        drawings = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=N_DRAWN).astype(float)
        return cls(unit=units, drawings=drawings, confidence=confidence)

    def spread(self, frames: Sequence[Compared], note: str) -> _Bootstrap:
        """With a row for each atom of the frames."""
        return replace(self, unit=np.repeat(self.unit, [len(each.numbers) for each in frames]), note=note)

    def only(self, chosen: Bools, note: str) -> _Bootstrap:
        """With some of its rows."""
        return replace(self, unit=self.unit[chosen], note=note)

    def estimated(self, name: str, unit: str, rows: Floats, statistic: Statistic) -> Measurement:
        """A number from the sums of what each row has (n, n_sums)."""
        n_units = self.drawings.shape[1]
        sums = np.stack([np.bincount(self.unit, column, minlength=n_units) for column in rows.T], axis=1)
        return self._measurement(name, unit, float(statistic(sums.sum(axis=0))), statistic(self.drawings @ sums))

    def quantile(self, name: str, unit: str, rows: Floats, q: float) -> Measurement:
        """A quantile of what each row has (n,)."""
        order = np.argsort(rows)
        ordered, units = rows[order], self.unit[order]
        drawn = np.array([_weighted_quantile(ordered, weights[units], q) for weights in self.drawings])
        return self._measurement(name, unit, float(np.quantile(rows, q)), drawn)

    def _measurement(self, name: str, unit: str, value: float, drawn: Floats) -> Measurement:
        return Measurement(
            name=name, value=value, unit=unit, ci=self._interval(drawn), confidence=self.confidence, note=self.note
        )

    def _interval(self, drawn: Floats) -> Interval | None:
        """Between the quantiles of what was drawn; None where there is but one unit to draw."""
        known = drawn[np.isfinite(drawn)]
        if self.drawings.shape[1] == 1 or len(known) == 0:
            return None
        tail = 0.5 * (1.0 - self.confidence)
        low, high = np.quantile(known, [tail, 1.0 - tail])
        return float(low), float(high)


def _weighted_quantile(ordered: Floats, weights: Floats, q: float) -> float:
    reached = np.cumsum(weights)
    if reached[-1] == 0.0:
        return float("nan")
    return float(ordered[np.searchsorted(reached, q * reached[-1])])


def _overall(forces: _Forces, bootstrap: _Bootstrap) -> Iterator[Measurement]:
    yield from _errors("component", forces.reference, forces.predicted, bootstrap)
    r, p = (np.linalg.norm(each, axis=1)[:, None] for each in (forces.reference, forces.predicted))
    yield from _errors("magnitude", r, p, bootstrap)
    yield _angle(forces, bootstrap)
    apart = MEV_PER_EV * np.linalg.norm(forces.predicted - forces.reference, axis=1)
    for q in QUANTILES:
        yield bootstrap.quantile(f"force_error_p{100 * q:.0f}", "meV/Å", apart, q)
    yield Measurement(name="force_error_max", value=float(apart.max()), unit="meV/Å", note=bootstrap.note)


def _errors(of: str, reference: Floats, predicted: Floats, bootstrap: _Bootstrap) -> Iterator[Measurement]:
    """R², root mean square and mean absolute error of numbers (n, n_each)."""
    error = predicted - reference
    n = np.full(len(error), float(error.shape[1]))
    squares, sizes = (error**2).sum(axis=1), np.abs(error).sum(axis=1)
    moments = np.stack([n, reference.sum(axis=1), (reference**2).sum(axis=1), squares], axis=1)
    yield bootstrap.estimated(f"force_r2_{of}", "1", moments, _determination)
    yield bootstrap.estimated(
        f"force_rmse_{of}", "meV/Å", np.stack([n, squares], axis=1), lambda sums: MEV_PER_EV * np.sqrt(_mean(sums))
    )
    yield bootstrap.estimated(
        f"force_mae_{of}", "meV/Å", np.stack([n, sizes], axis=1), lambda sums: MEV_PER_EV * _mean(sums)
    )


def _mean(sums: Sums) -> Floats:
    """From n and a sum; nan of nothing."""
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[..., 1] / sums[..., 0])


def _determination(sums: Sums) -> Floats:
    """1 - Σ(p - r)² / Σ(r - <r>)², from n, Σr, Σr² and Σ(p - r)²; nan where the reference does not vary."""
    n, total, squares, errors = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        varied = squares - total**2 / n
        return np.where(varied > 0.0, 1.0 - errors / varied, np.nan)


def _angle(forces: _Forces, bootstrap: _Bootstrap) -> Measurement:
    """Mean angle between the forces; that to a predicted force of zero is a right one."""
    r, p = (np.linalg.norm(each, axis=1) for each in (forces.reference, forces.predicted))
    large = r > SMALL_FORCE
    named = ("force_angle_mean", "°")
    if not large.any():
        return undefined(*named, f"{NOT_KNOWN}no force of the reference is above {SMALL_FORCE:g} eV/Å")
    product = (forces.reference * forces.predicted).sum(axis=1)[large]
    cosine = np.divide(product, (r * p)[large], out=np.zeros_like(product), where=p[large] > 0.0)
    angles = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    note = f"of the {100 * large.mean():.0f} % of the forces above {SMALL_FORCE:g} eV/Å; {bootstrap.note}"
    return bootstrap.only(large, note).estimated(*named, np.stack([np.ones_like(angles), angles], axis=1), _mean)


def _by_element(frames: Sequence[Compared], bootstrap: _Bootstrap, note: str) -> Iterator[Measurement]:
    numbers = np.concatenate([each.numbers for each in frames])
    forces, atoms = _Forces.of(frames), bootstrap.spread(frames, note)
    for z in np.unique(numbers):
        own = forces.only(numbers == z)
        for each in _errors("component", own.reference, own.predicted, atoms.only(numbers == z, note)):
            yield about(each, element=symbol(int(z)))


def _by_structure(
    frames: Sequence[Compared], structures: Sequence[str], seed: int, confidence: float
) -> Iterator[Measurement]:
    for structure in structures:
        own = [each for each in frames if each.structure == structure]
        bootstrap = _Bootstrap.of(np.arange(len(own)), seed, confidence).spread(own, _counted(len(own), "frame"))
        forces = _Forces.of(own)
        for each in _errors("component", forces.reference, forces.predicted, bootstrap):
            yield about(each, structure=structure)


def _energies(frames: Sequence[Compared], bootstrap: _Bootstrap, note: str) -> Iterator[Measurement]:
    known = np.array([each.reference_energy is not None for each in frames])
    if not known.any():
        return
    of = [each for each in frames if each.reference_energy is not None]
    n_atoms = np.array([len(each.numbers) for each in of])
    wrong = np.array([each.predicted_energy - float(each.reference_energy or 0.0) for each in of])
    counts = _compositions(of)
    shifted = wrong - counts @ np.linalg.lstsq(counts, wrong, rcond=None)[0]
    for name, errors, how in (
        ("energy_mae", wrong, ""),
        ("energy_mae_shifted", shifted, "; beside an energy for each element, fitted, for its zero means nothing"),
    ):
        sizes = MEV_PER_EV * np.abs(errors) / n_atoms
        rows = np.stack([np.ones_like(sizes), sizes], axis=1)
        yield bootstrap.only(known, note + how).estimated(name, "meV/atom", rows, _mean)


def _compositions(frames: Sequence[Compared]) -> Floats:
    """How many atoms of each element (n_frames, n_elements)."""
    elements = np.unique(np.concatenate([each.numbers for each in frames]))
    return np.array([[(each.numbers == z).sum() for z in elements] for each in frames], dtype=float)
