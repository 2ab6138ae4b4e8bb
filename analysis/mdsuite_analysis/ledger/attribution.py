"""What the change of the total energy of a run is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdsuite_analysis.drift import MEV_PER_EV
from mdsuite_analysis.elements import symbol
from mdsuite_analysis.ledger.crossing import pairs_crossing
from mdsuite_analysis.ledger.estimation import Design, Estimate
from mdsuite_analysis.ledger.residual import Box
from mdsuite_analysis.ledger.sampling import Sample
from mdsuite_analysis.ledger.split import SIGNIFICANT, Split
from mdsuite_analysis.measurement import NOT_KNOWN, Measurement, undefined
from mdsuite_analysis.series import Floats, Integers

SHARES = ("jump", "work", "quadrature", "engine", "precision")
_SWING = 40.0  # ends of a bounded integrator error differ by less than this many mean |Q|, about one over ω Δt

Bar = tuple[Estimate, float]
"""A sum (eV), and what its interval is widened by on both sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of a run beside its steps.

    Attributes
    ----------
    n_atoms : int
    duration : float, ps
        From the first instant to the last.
    energy_change : float, eV, or None
        Of the total energy, from the first instant to the last; None where a thermostat changed it.
    telescoping_change : float, eV
        `telescoping_energy` of the last instant less that of the first.

    """

    n_atoms: int
    duration: float
    energy_change: float | None = None
    telescoping_change: float = 0.0

    def __post_init__(self) -> None:
        if self.n_atoms < 1 or not self.duration > 0.0:
            raise ValueError(f"{self.n_atoms} atoms over {self.duration} ps; a drift needs atoms and time")


def attribute(
    samples: Sequence[Sample], splits: Sequence[Split], account: Account, *, confidence: float = 0.95
) -> list[Measurement]:
    """The shares of a run's energy change.

    ``ledger_jump``, ``ledger_work``, ``ledger_quadrature``, ``ledger_engine`` and ``ledger_precision`` are the sums of
    the shares over all steps of the run, per atom and time, in meV/atom/ps, signed; they add up to the sum of the
    residuals. ``ledger_unexplained`` is what the recorded change of the total energy has beyond the residuals and the
    telescoping term, exact: zero under velocity Verlet. ``ledger_jump_share`` and so on are relative to the change of
    the total energy (of the residuals' sum where a thermostat changed the total), undefined where that is no larger
    than the swing of a bounded integrator error. ``jump_steps`` is the fraction of steps on which the energy jumps,
    ``engine_steps`` that on which the engine had other energies or forces than the re-evaluation gives, and
    ``engine_steps_alone`` the fraction of these on which it had them at one end only: of an answer that is wrong by
    itself, between right ones, and not for a while.

    The parts of X and P that telescope are taken from the first and the last kept step, with the scatter of the
    offsets for an error. Where no kept step jumps, the interval of ``ledger_jump`` is widened by what rare jumps may
    have added unseen: kept with probability π, they escape with exp(-Σπ), and none is larger than three mean second
    differences of r times its weight.

    Parameters
    ----------
    samples : sequence of Sample
        Of all chunks of the run, in its order.
    splits : sequence of Split
        Of all steps of the samples, in the same order.
    account : Account
    confidence : float
        Confidence of the intervals.

    """
    _check(samples, splits)
    reason = _not_finite(samples, splits)
    if reason:
        return _nothing(reason, confidence)
    bars = _bars(samples, splits, confidence)
    change = _residual_sum(samples) if account.energy_change is None else account.energy_change
    unshared = _no_share(_design(samples, splits), splits, change)
    per_atom = MEV_PER_EV / (account.n_atoms * account.duration)
    absent = f"{NOT_KNOWN}no float64 twin was given"
    rates = [_scaled(f"ledger_{n}", b, per_atom, "meV/atom/ps", confidence, absent) for n, b in bars.items()]
    of = math.nan if unshared else 1.0 / change
    shares = [_scaled(f"ledger_{n}_share", b, of, "1", confidence, unshared or absent) for n, b in bars.items()]
    return [*rates, _unexplained(samples, account), *shares, *_steps(samples, splits, confidence)]


def crossings(
    samples: Sequence[Sample], splits: Sequence[Split], box: Box, cutoff: float, *, confidence: float = 0.95
) -> list[Measurement]:
    """Whether the energy jumps where pairs cross the cut-off.

    ``crossing_share`` is the part of Σ|J|, over the steps on which the energy jumps, that sits on steps on which a
    pair crosses; ``crossing_steps`` the fraction of all steps on which one does. The first says something as far as it
    exceeds the second.

    Parameters
    ----------
    samples, splits
        As in `attribute`.
    box : Box
    cutoff : float, Å
    confidence : float
        Confidence of the intervals.

    """
    _check(samples, splits)
    reason = _not_finite(samples, splits)
    if reason:
        return [undefined(name, "1", reason, confidence) for name in ("crossing_share", "crossing_steps")]
    design = _design(samples, splits)
    steps = [step for sample in samples for step in sample.steps]
    cross = np.array([float(bool(pairs_crossing(step, box, cutoff))) for step in steps])
    size = np.array([abs(split.jump) if split.jumps else 0.0 for split in splits])
    return [
        _fraction(
            "crossing_share", design, cross * size, size, confidence, "the energy jumps on none of the kept steps"
        ),
        _fraction("crossing_steps", design, cross, np.ones_like(cross), confidence, "no step was kept"),
    ]


def largest_jumps(
    samples: Sequence[Sample],
    splits: Sequence[Split],
    box: Box,
    cutoff: float | None,
    *,
    numbers: Integers,
    timestep: float,
    most: int = 3,
) -> list[Measurement]:
    """`ledger_jump_at`, eV, signed: the largest steps of the energy among the kept steps, when, and who came or went.

    The subject names the time (ps) at which the step of the run begins, and the pairs that cross the cut-off in it,
    by their elements and numbers from 0.

    Parameters
    ----------
    samples, splits
        As in `attribute`.
    box : Box
    cutoff : float, Å, or None
        None where it is not known.
    numbers : (n_atoms,) int
        Atomic numbers.
    timestep : float, ps
    most : int
        How many.

    """
    steps = [step for sample in samples for step in sample.steps]
    jumping = [(step, split) for step, split in zip(steps, splits, strict=True) if split.jumps]
    ranked = sorted(jumping, key=lambda each: -abs(each[1].jump))[:most]
    return [
        Measurement(
            name="ledger_jump_at",
            value=split.jump,
            unit="eV",
            subject={
                "time_ps": f"{step.before.step * timestep:.6g}",
                "pairs": "not known" if cutoff is None else _told(pairs_crossing(step, box, cutoff), numbers),
            },
            note="of the steps that were kept",
        )
        for step, split in ranked
    ]


def _told(pairs: Sequence[tuple[int, int]], numbers: Integers) -> str:
    named = dict.fromkeys("-".join(f"{symbol(int(numbers[atom]))}{atom}" for atom in pair) for pair in pairs)
    return ", ".join(list(named)[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "") if named else "none"


def _bars(samples: Sequence[Sample], splits: Sequence[Split], confidence: float) -> dict[str, Bar]:
    """The sum of each share over all steps."""
    design = _design(samples, splits)
    zero = np.zeros(len(splits))
    columns = {name: _column(splits, name) for name in ("jump", "work", "quadrature")}
    sums = {name: design.total(x, _column(splits, f"{name}_error")) for name, x in columns.items()}
    sums["engine"] = _with_ends(design.total(_column(splits, "engine_work"), zero), _offsets(splits, "engine_offsets"))
    sums["precision"] = _precision(design, splits)
    unseen = {"jump": _unseen_jumps(samples, splits, confidence)}
    return {name: (sums[name], unseen.get(name, 0.0)) for name in SHARES}


def _precision(design: Design, splits: Sequence[Split]) -> Estimate:
    work, offsets = _column(splits, "precision_work"), _offsets(splits, "precision_offsets")
    if not (np.isfinite(work).all() and _known(offsets)):
        return Estimate(value=math.nan, stderr=math.nan, dof=1.0)
    return _with_ends(design.total(work, np.zeros_like(work)), offsets)


def _design(samples: Sequence[Sample], splits: Sequence[Split]) -> Design:
    """R without the telescoping offsets, the change of U, and 1."""
    offsets = [o for o in (_offsets(splits, "engine_offsets"), _offsets(splits, "precision_offsets")) if _known(o)]
    residual = _column(splits, "residual") - sum(o[:, 1] - o[:, 0] for o in offsets)
    potential = [step.after.energy - step.before.energy for sample in samples for step in sample.steps]
    ends = [_ends(o) for o in offsets]
    totals = [
        _residual_sum(samples) - math.fsum(value for value, _ in ends),
        math.fsum(sample.potential_change for sample in samples),
        float(sum(sample.n_steps for sample in samples)),
    ]
    return Design(
        inclusion=np.concatenate([sample.inclusion() for sample in samples]),
        known=np.stack([residual, np.array(potential), np.ones(len(splits))], axis=1),
        totals=np.array(totals),
        totals_stderr=np.array([math.hypot(*(error for _, error in ends)), 0.0, 0.0]),
    )


def _column(splits: Sequence[Split], name: str) -> Floats:
    return np.array([getattr(split, name) for split in splits], dtype=np.float64)


def _offsets(splits: Sequence[Split], name: str) -> Floats:
    """(n_kept, 2) offsets before and after each kept step, eV."""
    return np.array([getattr(split, name) for split in splits], dtype=np.float64).reshape(-1, 2)


def _known(offsets: Floats) -> bool:
    return bool(np.isfinite(offsets).all())


def _ends(offsets: Floats) -> tuple[float, float]:
    """The change of an offset over the run, and its standard error."""
    return float(offsets[-1, 1] - offsets[0, 0]), math.sqrt(2.0) * float(offsets.std())


def _with_ends(work: Estimate, offsets: Floats) -> Estimate:
    value, error = _ends(offsets)
    return Estimate(value=work.value + value, stderr=math.hypot(work.stderr, error), dof=work.dof)


def _unseen_jumps(samples: Sequence[Sample], splits: Sequence[Split], confidence: float) -> float:
    """What rare jumps may have added without one of them being kept, eV."""
    if any(split.jumps for split in splits):
        return 0.0
    largest = max(3.0 * sample.threshold * sample.curvature_sum / sample.n_steps for sample in samples)
    return -math.log(1.0 - confidence) * largest


def _residual_sum(samples: Sequence[Sample]) -> float:
    return math.fsum(sample.residual_sum for sample in samples)


def _scaled(name: str, bar: Bar, factor: float, unit: str, confidence: float, why: str) -> Measurement:
    estimate, widened = bar
    if not (math.isfinite(estimate.value) and math.isfinite(estimate.stderr) and math.isfinite(factor)):
        return undefined(name, unit, why, confidence)
    low, high = estimate.interval(confidence)
    ends = sorted([(low - widened) * factor, (high + widened) * factor])
    return Measurement(
        name=name,
        value=estimate.value * factor,
        unit=unit,
        ci=(ends[0], ends[1]),
        confidence=confidence,
        note="no kept step jumps; the interval allows for rare jumps that were not kept" if widened else "",
    )


def _unexplained(samples: Sequence[Sample], account: Account) -> Measurement:
    name, unit = "ledger_unexplained", "meV/atom/ps"
    if account.energy_change is None:
        note = "the change of the total energy was not given; under a thermostat the residuals do not make it up"
        return Measurement(name=name, value=math.nan, unit=unit, note=note)
    value = account.energy_change - account.telescoping_change - _residual_sum(samples)
    return Measurement(name=name, value=value * MEV_PER_EV / (account.n_atoms * account.duration), unit=unit)


def _steps(samples: Sequence[Sample], splits: Sequence[Split], confidence: float) -> list[Measurement]:
    design, every = _design(samples, splits), np.ones(len(splits))
    jumps = np.array([split.jumps for split in splits], dtype=np.float64)
    ends = np.array([sum(split.engine_differs) for split in splits])
    differs, alone = (ends > 0).astype(np.float64), (ends == 1).astype(np.float64)
    nowhere = "the engine had what the re-evaluation gives on all of the kept steps"
    return [
        _fraction("jump_steps", design, jumps, every, confidence, "no step was kept"),
        _fraction("engine_steps", design, differs, every, confidence, "no step was kept"),
        _fraction("engine_steps_alone", design, alone, differs, confidence, nowhere),
    ]


def _fraction(name: str, design: Design, part: Floats, whole: Floats, confidence: float, why: str) -> Measurement:
    if not whole.sum() > 0.0:
        return undefined(name, "1", why, confidence)
    value, interval = design.fraction(part, whole, confidence=confidence)
    return Measurement(name=name, value=value, unit="1", ci=interval, confidence=confidence)


def _no_share(design: Design, splits: Sequence[Split], change: float) -> str:
    """Why there is nothing to take shares of; empty where there is."""
    size = _SWING * np.abs(_column(splits, "quadrature")) + SIGNIFICANT * _column(splits, "jump_error")
    swing = float(np.average(size, weights=1.0 / design.inclusion))
    if abs(change) > swing:
        return ""
    return f"the energy changed by {change:.3g} eV, no more than a bounded error of {swing:.3g} eV swings"


def _check(samples: Sequence[Sample], splits: Sequence[Split]) -> None:
    kept = [step.before.step for sample in samples for step in sample.steps]
    if not kept or kept != [split.step for split in splits]:
        raise ValueError(
            f"{len(splits)} splits do not belong to the {len(kept)} kept steps; "
            "split every step of every sample, in order"
        )


def _not_finite(samples: Sequence[Sample], splits: Sequence[Split]) -> str:
    """Which numbers are not finite; empty where all are."""
    names = ("residual", "jump", "work", "quadrature", "engine_work", "jump_error", "work_error", "quadrature_error")
    columns = {name: _column(splits, name) for name in names}
    counts = {name: int((~np.isfinite(column)).sum()) for name, column in columns.items()}
    sums = np.array([[s.residual_sum, s.size_sum, s.curvature_sum, s.potential_change, s.threshold] for s in samples])
    counts["sums over chunks"] = int((~np.isfinite(sums)).sum())
    bad = ", ".join(f"{count} of {name}" for name, count in counts.items() if count)
    return f"not finite: {bad}" if bad else ""


def _nothing(reason: str, confidence: float) -> list[Measurement]:
    rates = [f"ledger_{name}" for name in (*SHARES, "unexplained")]
    fractions = [*(f"ledger_{name}_share" for name in SHARES), "jump_steps", "engine_steps", "engine_steps_alone"]
    units = {**dict.fromkeys(rates, "meV/atom/ps"), **dict.fromkeys(fractions, "1")}
    return [undefined(name, unit, reason, confidence) for name, unit in units.items()]
