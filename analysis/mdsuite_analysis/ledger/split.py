r"""What a step's residual is made of.

With E and F of a clean re-evaluation, x(s) = x_n + s Δx, G(s) = F(x(s))·Δx and D(s) = dE(x(s))/ds, the residual is

.. math:: r = X + P + J + W + Q

exactly, with

- X, engine: r of what the engine had, less r of the re-evaluation (stale neighbour list, lagged forces, wrong units);
- P, precision: r of the re-evaluation less r of its float64 twin, where there is one; E and F are then the twin's;
- W, work: ∫ (D + G) ds, the work of the forces that are not the gradient of E;
- Q, quadrature: ½ (G(0) + G(1)) - ∫ G ds, the integrator's error, which falls with Δt², or slower where F has steps;
- J, jump: E(1) - E(0) - ∫ D ds, by which E is not the integral of its own derivative.

The energies in X and P enter as differences of an offset (U_engine - U, U_working - U_twin) between the ends of the
step. They cancel over a run but for its ends, while the forces in X and P do work that accumulates; so both parts are
kept apart.

∫ G is the seven-point Kronrod extension of the four-point Lobatto rule [1]_, exact to degree 9, on points that include
the ends of the step. Where G has a step (a pair crosses a cut-off that the forces do not vanish at) it errs; the error
is bounded through the part of the seven values that no quartic follows: for a single step anywhere between the points
it is at most 0.65 of that part.

D + G comes from the residual of a stretch [s, s + h], taken at each inner point, where E(s + h) - E(s) and the
trapezoid of G cancel but for the work: its truncation is h² G''/12, its rounding that of two energies over h, and h
balances them. A stretch that straddles a jump stands out from a parabola through the five and is measured on the other
side instead; where they still disagree, shorter ones are tried.

J is what remains. Where it is beyond five errors, it is looked for by bisection: the residual of an ever shorter
interval keeps a step of E and loses a step of F.

No energy is known better than the noise of its arithmetic, and in single precision that noise is the larger part of
a residual. It lands in J, as the difference of two noises, with mean zero. It is part of `Split.jump_error`; a jump
is one only beyond five of these, so rounding and random energies are never taken for a cut-off.

References
----------
.. [1] W. Gander, W. Gautschi, BIT 40, 84 (2000), doi:10.1023/A:1022318402393

"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise

import numpy as np
from numpy.polynomial.legendre import legder, legvander

from mdsuite_analysis.ledger.residual import Box
from mdsuite_analysis.ledger.sampling import SampledStep
from mdsuite_analysis.potential import Configuration, Evaluation, Potential
from mdsuite_analysis.series import Floats

_NODES = 0.5 + 0.5 * np.array(
    [-1.0, -math.sqrt(2 / 3), -math.sqrt(1 / 5), 0.0, math.sqrt(1 / 5), math.sqrt(2 / 3), 1.0]
)
_WEIGHTS = np.array([77.0, 432.0, 625.0, 672.0, 625.0, 432.0, 77.0]) / 2940.0
_QUARTIC = np.linalg.pinv(legvander(2.0 * _NODES - 1.0, 4))
_UNFOLLOWED = np.eye(7) - legvander(2.0 * _NODES - 1.0, 4) @ _QUARTIC
_CURVATURE = 4.0 * legvander(2.0 * _NODES - 1.0, 2) @ legder(np.eye(5), 2) @ _QUARTIC
_WORST_STEP = 0.65  # the error of ∫G over the largest part of G that no quartic follows, for one step of G anywhere

_INNER = _NODES[1:-1]
_SIDES = np.where(_INNER > 0.5, -1.0, 1.0)  # inwards
_SHORTEST, _LONGEST = 1e-4, 1.0  # stretches, in steps
_WITHIN = 0.09  # up to here they end before the next point; longer ones reach out of the step, on both sides
_BRIEF = 0.01  # shorter ones do not straddle five jumps of one size, and so agree on work that is none
_MOST_REPEATS, _MOST_SHORTENED = 2, 2
_BISECTIONS = 6
_SMALLEST_PART = 0.02  # of a jump made of many, sits at one point

SIGNIFICANT = 5.0
"""A share of a single step counts from this many of its errors on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The shares of the potential in a step's residual, eV; see the module for their definitions.

    Attributes
    ----------
    jump, work, quadrature : float
        J, W, Q.
    jump_error, work_error, quadrature_error : float
        Their numerical uncertainties, one standard deviation, from rounding and truncation.
    force_step : float
        The largest part of G that no quartic follows: beyond rounding where the forces have a step.

    """

    jump: float
    work: float
    quadrature: float
    jump_error: float
    work_error: float
    quadrature_error: float
    force_step: float

    @property
    def jumps(self) -> bool:
        """Whether the energy jumps in this step beyond what rounding and truncation explain."""
        return abs(self.jump) > SIGNIFICANT * self.jump_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Shares):
    """All shares of a step's residual, eV.

    Attributes
    ----------
    step : int
        Number of the step's first instant.
    residual : float
        r, the sum of `engine`, `precision` (where known), `jump`, `work` and `quadrature`.
    engine_work, engine_offsets : float, (float, float)
        The forces' part of X, and U_engine - U at both ends of the step.
    engine_differs : (bool, bool)
        Whether the engine had another energy or other forces at the ends than the re-evaluation gives, beyond rounding.
    precision_work, precision_offsets : float, (float, float)
        The same of P; nan without a twin.

    """

    step: int
    residual: float
    engine_work: float
    engine_offsets: tuple[float, float]
    engine_differs: tuple[bool, bool]
    precision_work: float
    precision_offsets: tuple[float, float]

    @property
    def engine(self) -> float:
        """X."""
        return self.engine_work + self.engine_offsets[1] - self.engine_offsets[0]

    @property
    def precision(self) -> float:
        """P; nan without a twin."""
        return self.precision_work + self.precision_offsets[1] - self.precision_offsets[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """A point of a step: s, E and G."""

    s: float
    energy: float
    power: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Path:
    """A potential along the straight line of a step."""

    potential: Potential
    start: Configuration
    moved: Floats

    def evaluation(self, s: float) -> Evaluation:
        return self.potential(replace(self.start, positions=self.start.positions + s * self.moved))

    def point(self, s: float, evaluation: Evaluation | None = None) -> _Point:
        """What the potential says at s, or said."""
        there = self.evaluation(s) if evaluation is None else evaluation
        power = float(np.vdot(np.asarray(there.forces, dtype=np.float64), self.moved))
        return _Point(s=s, energy=float(there.energy), power=power)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stretches:
    """D + G, averaged over stretches from the inner points on, and a smooth curve through these averages.

    The curve is a parabola; a constant where the stretches reach beyond the step, for a jump there that several of
    them have in common would be a slope.

    Attributes
    ----------
    lengths : (5,) float
        In steps; negative where a stretch lies before its point.
    powers : (5,) float, eV

    """

    lengths: Floats
    powers: Floats

    def replaced(self, i: int, length: float, power: float) -> _Stretches:
        this = np.arange(len(self.lengths)) == i
        return _Stretches(lengths=np.where(this, length, self.lengths), powers=np.where(this, power, self.powers))

    @property
    def _basis(self) -> Floats:
        degree = 2 if np.abs(self.lengths).max() <= _WITHIN else 0
        return np.asarray(legvander(2.0 * (_INNER + 0.5 * self.lengths) - 1.0, degree), dtype=np.float64)

    @property
    def _coefficients(self) -> Floats:
        return np.asarray(np.linalg.pinv(self._basis) @ self.powers, dtype=np.float64)

    @property
    def mean(self) -> float:
        """Of the curve over the step, eV: its first Legendre coefficient."""
        return float(self._coefficients[0])

    @property
    def misfit(self) -> Floats:
        """(5,) what the curve leaves."""
        return np.asarray(self.powers - self._basis @ self._coefficients, dtype=np.float64)

    def agree(self, tolerance: float) -> bool:
        """Whether the curve leaves no more than rounding, truncation and a slow change explain."""
        return bool(np.abs(self.misfit).max() <= tolerance + 1e-3 * abs(float(np.median(self.powers))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """W, its error, and whether the stretches agree on it."""

    value: float
    error: float
    settled: bool


def split(
    step: SampledStep,
    potential: Potential,
    like: Configuration,
    *,
    twin: Potential | None = None,
    energy_noise: float = 0.0,
) -> Split:
    """The shares of a step's residual, from 12 evaluations; 19 where the energy jumps, at most 35.

    Parameters
    ----------
    step : SampledStep
    potential : Potential
        The clean re-evaluation: the model in its working precision, without neighbour list or history of a run.
    like : Configuration
        Elements, cell and periodicity of the run.
    twin : Potential or None
        The same model in float64; two evaluations more.
    energy_noise : float, eV
        Standard deviation of the energies' rounding, of the twin where there is one; from `energy_noise`. Rounding
        to float64 is taken into account without it.

    """
    start = replace(like, positions=step.before.positions)
    moved = Box(cell=like.cell, pbc=like.pbc).displacement(step.before.positions, step.after.positions)
    path = _Path(potential=potential, start=start, moved=moved)
    ends = path.evaluation(0.0), path.evaluation(1.0)
    working = path.point(0.0, ends[0]), path.point(1.0, ends[1])
    recorded = _recorded(step, moved)
    engine_work, engine_offsets = _difference(recorded, working)
    digits = 0.0 if twin is None else max(float(np.spacing(np.float32(abs(point.energy)))) for point in working)
    if twin is None:
        precision_work, precision_offsets = math.nan, (math.nan, math.nan)
    else:
        path = replace(path, potential=twin)
        ends = path.evaluation(0.0), path.evaluation(1.0)
        exact = path.point(0.0, ends[0]), path.point(1.0, ends[1])
        precision_work, precision_offsets = _difference(working, exact)
    noise = max(energy_noise, _rounding(start, *ends))
    return Split(
        step=step.before.step,
        residual=step.residual,
        engine_work=engine_work,
        engine_offsets=engine_offsets,
        engine_differs=_differs(recorded, working, SIGNIFICANT * max(noise, digits)),
        precision_work=precision_work,
        precision_offsets=precision_offsets,
        **asdict(_shares(path, ends, noise)),
    )


def energy_noise(potential: Potential, configurations: Sequence[Configuration], *, seed: int = 0) -> float:
    """Standard deviation of a potential's energies about a smooth function of the positions, eV.

    Of each configuration E(x+δ) + E(x-δ) - 2 E(x) + ½ (F(x+δ) - F(x-δ))·δ is taken for a random δ of 1e-5 Å per
    coordinate: the rounding of four energies remains, whatever force is missing or in excess, for its work cancels.
    The median over the configurations passes over those where an energy jumps. It is at least the spacing of the
    energies where all of them are numbers of single precision.

    Parameters
    ----------
    potential : Potential
    configurations : sequence of Configuration
        Five or more, for example of the steps kept; each takes three evaluations.
    seed : int
        Of the displacements.

    """
    rng = np.random.default_rng(seed)
    defects, energies = [], []
    for configuration in configurations:
        moved = 1e-5 * rng.standard_normal(configuration.positions.shape)
        path = _Path(potential=potential, start=configuration, moved=moved)
        back, here, on = (path.point(s) for s in (-1.0, 0.0, 1.0))
        defect = on.energy + back.energy - 2.0 * here.energy + 0.5 * (on.power - back.power)
        defects.append(abs(defect) / math.sqrt(6.0))
        energies += [back.energy, here.energy, on.energy]
    if not np.isfinite(defects).all():
        return math.nan
    single = np.asarray(energies, dtype=np.float32)
    spacing = float(np.spacing(np.abs(single)).max()) if (single == np.asarray(energies)).all() else 0.0
    return max(float(np.median(defects)) / 0.6745, spacing / math.sqrt(12.0))


def _recorded(step: SampledStep, moved: Floats) -> tuple[_Point, _Point]:
    """The ends of a step as the engine had them."""
    before, after = (float(np.vdot(instant.forces, moved)) for instant in (step.before, step.after))
    return _Point(s=0.0, energy=step.before.energy, power=before), _Point(s=1.0, energy=step.after.energy, power=after)


def _difference(these: tuple[_Point, _Point], those: tuple[_Point, _Point]) -> tuple[float, tuple[float, float]]:
    """Work of the difference of the forces over a step, and the differences of the energies at its ends."""
    work = 0.5 * math.fsum(this.power - that.power for this, that in zip(these, those, strict=True))
    before, after = (this.energy - that.energy for this, that in zip(these, those, strict=True))
    return work, (before, after)


def _differs(these: tuple[_Point, _Point], those: tuple[_Point, _Point], tolerance: float) -> tuple[bool, bool]:
    """Whether energy or power are apart by more than the tolerance (eV), or not finite, at both ends."""
    before, after = (
        not max(abs(this.energy - that.energy), abs(this.power - that.power)) <= tolerance
        for this, that in zip(these, those, strict=True)
    )
    return before, after


def _rounding(start: Configuration, *ends: Evaluation) -> float:
    """Standard deviation of an energy from float64 arithmetic: of its own digits, and of the positions'."""
    energy = max(abs(float(end.energy)) for end in ends)
    positions = max(float(np.linalg.norm(np.asarray(end.forces) * start.positions)) for end in ends)
    double = np.finfo(np.float64)
    return float(double.eps * (8.0 * energy + positions) + double.tiny)


def _shares(path: _Path, ends: tuple[Evaluation, Evaluation], noise: float) -> Shares:
    """J, W and Q of a path, with their errors; nan where the potential or the path is not finite."""
    points = [path.point(0.0, ends[0]), *(path.point(s) for s in _INNER), path.point(1.0, ends[1])]
    power = np.array([point.power for point in points])
    if not np.isfinite([noise, *power, *(point.energy for point in points)]).all():
        return _unknown()
    quadrature = 0.5 * float(power[0] + power[-1]) - float(_WEIGHTS @ power)
    force_step = float(np.abs(_UNFOLLOWED @ power).max())
    quadrature_error = _WORST_STEP * force_step + float(np.finfo(np.float64).eps) * float(np.abs(power).max())
    work, work_error = _work(path, points[1:-1], noise, _curvature(power))
    jump = _residual(points[0], points[-1]) - work - quadrature
    jump_error = math.hypot(math.sqrt(2.0) * noise, work_error, quadrature_error)
    if abs(jump) > SIGNIFICANT * jump_error and not _sits_at_a_point(jump, path, points, work):
        jump_error = abs(jump)
    return Shares(
        jump=jump,
        work=work,
        quadrature=quadrature,
        jump_error=jump_error,
        work_error=work_error,
        quadrature_error=quadrature_error,
        force_step=force_step,
    )


def _curvature(power: Floats) -> float:
    """The largest of G, eV; not less than a ten-thousandth of G, which no step of a real potential is below."""
    return max(float(np.abs(_CURVATURE @ power).max()), 1e-4 * float(np.abs(power).max()))


def _unknown() -> Shares:
    return Shares(**dict.fromkeys((field.name for field in fields(Shares)), math.nan))


def _residual(a: _Point, b: _Point) -> float:
    """The residual of the part of a step between two of its points."""
    return b.energy - a.energy + 0.5 * (b.s - a.s) * (a.power + b.power)


def _work(path: _Path, inner: list[_Point], noise: float, curvature: float) -> tuple[float, float]:
    """W and its error; `curvature` is the largest of G, `noise` that of an energy."""
    h = _clipped(float(np.cbrt(12.0 * noise / max(curvature, noise))))
    best = _work_by(path, inner, h, noise, curvature)
    for _ in range(_MOST_SHORTENED):
        if best.settled and (h < _BRIEF or abs(best.value) < SIGNIFICANT * best.error):
            break
        as_rough = math.sqrt(2.0) * noise / best.error  # so short that rounding is as large as what was seen
        h = _clipped(min(h / 5.0, math.sqrt(h * as_rough)))
        shorter = _work_by(path, inner, h, noise, curvature)
        apart = abs(shorter.value - best.value) > SIGNIFICANT * math.hypot(shorter.error, best.error)
        best = shorter if apart or shorter.error < best.error else best
    return best.value, best.error


def _clipped(h: float) -> float:
    return min(max(h, _SHORTEST), _LONGEST)


def _work_by(path: _Path, inner: list[_Point], h: float, noise: float, curvature: float) -> _Work:
    """W from stretches of length `h`."""
    truncation = h**2 * curvature / 12.0
    rounding = math.sqrt(2.0) * noise / h
    tolerance = SIGNIFICANT * rounding + truncation
    lengths = h * (_SIDES if h <= _WITHIN else -_SIDES)
    powers = np.array([_power(path, point, length) for point, length in zip(inner, lengths, strict=True)])
    stretches = _Stretches(lengths=lengths, powers=powers)
    if h <= _WITHIN:  # longer ones overlap, and a jump that most of them straddle would draw the others after it
        stretches = _without_jumps(path, inner, stretches, tolerance)
    scatter = float(np.linalg.norm(stretches.misfit)) / math.sqrt(2.0)  # five powers less three coefficients
    error = math.hypot(max(scatter, rounding) / math.sqrt(5.0), truncation)
    return _Work(value=stretches.mean, error=error, settled=stretches.agree(tolerance))


def _power(path: _Path, point: _Point, length: float) -> float:
    """D + G, averaged from a point to `length` beyond it."""
    return _residual(point, path.point(point.s + length)) / length


def _without_jumps(path: _Path, inner: list[_Point], stretches: _Stretches, tolerance: float) -> _Stretches:
    """With those that stand out measured on the other side of their point, where they stand out less."""
    left = set(range(len(inner)))
    for _ in range(_MOST_REPEATS):
        if stretches.agree(tolerance):
            break
        middle = float(np.median(stretches.powers))
        i = max(left, key=lambda i: abs(stretches.powers[i] - middle))
        left.remove(i)
        opposite = -float(stretches.lengths[i])
        power = _power(path, inner[i], opposite)
        if abs(power - middle) < abs(stretches.powers[i] - middle):
            stretches = stretches.replaced(i, opposite, power)
    return stretches


def _sits_at_a_point(jump: float, path: _Path, points: list[_Point], work: float) -> bool:
    """Whether what looks like a jump of E keeps its size in ever shorter intervals.

    What a step of F leaves in a residual shrinks with the interval, and is at most half the step times its length.
    """
    intervals = list(pairwise(points))
    for _ in range(_BISECTIONS + 1):
        a, b = max(intervals, key=lambda ab: abs(_residual(*ab) - work * (ab[1].s - ab[0].s)))
        middle = path.point(0.5 * (a.s + b.s))
        intervals = [(a, middle), (middle, b)]
    excess = abs(_residual(a, b) - work * (b.s - a.s))
    return excess > max(0.5 * abs(b.power - a.power) * (b.s - a.s), _SMALLEST_PART * abs(jump))
