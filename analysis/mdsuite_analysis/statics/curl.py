"""Whether forces are a gradient of anything, whatever the energy says."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from mdsuite_analysis.measurement import NOT_RUN, Measurement
from mdsuite_analysis.potential import Configuration, Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.deformation import displaced, one_atom_direction, random_direction, thermal
from mdsuite_analysis.statics.inquiry import answered, ask, unanswered
from mdsuite_analysis.statics.mean_square import Estimate, interval, relative_root_mean_square
from mdsuite_analysis.statics.path import straight
from mdsuite_analysis.statics.stencil import OUTLYING, Responses, responses

N_FRAMES = 2
N_PROBES = 12  # of each frame
LOOPS = (
    (0.05, False),
    (0.1, False),
    (0.1, False),
    (0.05, True),
    (0.1, True),
    (0.1, True),
    (0.2, True),
    (0.2, True),
)
"""Radius, Å, and whether a single atom moves."""
N_POINTS = 64
STEP = 1e-3  # of the largest work between two points of a loop; less is no step of the energy

ASYMMETRY = ("jacobian_asymmetry", "1")
LOOP = ("loop_work", "eV/Å")


def jacobian_asymmetry(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> Measurement:
    r"""The antisymmetric share of J = dF/dx: ‖(J - Jᵀ)/2‖ / ‖J‖ in Frobenius norm, zero for any gradient.

    With independent normal u and v, ⟨(v·Ju - u·Jv)²⟩/4 = ‖(J - Jᵀ)/2‖² and ⟨\|Ju\|²⟩ = ‖J‖², both unbiased; every pair
    of twelve probes enters, on two thermal frames. The noise of J u is subtracted, and the interval is a jackknife's
    over probes. Bigi et al. 2024, arXiv:2412.11569, give 0.004 to 0.032 for models with direct forces.
    """

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        parts = [_probe(potential, thermal(configuration, rng), rng) for _ in range(N_FRAMES)]
        n_left_out = N_FRAMES * N_PROBES - sum(len(part.norms) for part in parts)
        if min(len(part.norms) for part in parts) < 4:
            return unanswered(
                [ASYMMETRY], f"{NOT_RUN}the forces are discontinuous along most directions at every scale"
            )
        note = f"{n_left_out} of {N_FRAMES * N_PROBES} probes cross a discontinuity of the forces" if n_left_out else ""
        value, ci = _asymmetry(parts, confidence)
        name, unit = ASYMMETRY
        return [Measurement(name=name, value=value, unit=unit, ci=ci, confidence=confidence, note=note)]

    return answered([ASYMMETRY], measure)[0]


class _Probes(NamedTuple):
    """Of n probes of one frame.

    Attributes
    ----------
    norms : (n,) float, (eV/Å²)²
        Unbiased estimates of ‖J‖².
    antisymmetric : (n, n) float, (eV/Å²)²
        By each pair, unbiased estimates of ‖(J - Jᵀ)/2‖².
    noise : (n, n) float, (eV/Å²)²
        What was subtracted from them.

    """

    norms: Floats
    antisymmetric: Floats
    noise: Floats


def _probe(potential: Potential, frame: Configuration, rng: np.random.Generator) -> _Probes:
    directions = np.array([random_direction(rng, len(frame.numbers)) for _ in range(N_PROBES)])
    found: Responses = responses(potential, [straight(frame, direction) for direction in directions])
    # directions have a variance of 1/3 per component, wanted is 1
    u = np.sqrt(3.0) * directions[found.smooth].reshape(-1, directions[0].size)
    derivative, noise = np.sqrt(3.0) * found.derivative[found.smooth], np.sqrt(3.0) * found.noise[found.smooth]
    products = u @ derivative.T
    noisy = (u**2).sum(axis=1)[:, None] * noise[None, :] ** 2
    subtracted = 0.25 * (noisy + noisy.T)
    return _Probes(
        norms=(derivative**2).sum(axis=1) - u.shape[1] * noise**2,
        antisymmetric=0.25 * (products - products.T) ** 2 - subtracted,
        noise=subtracted,
    )


def _asymmetry(parts: Sequence[_Probes], confidence: float) -> Estimate:
    """Jackknife over probes, and noise of the pairs."""
    norm = float(np.concatenate([part.norms for part in parts]).mean())
    if not norm > 0.0:
        return Estimate(float("nan"), (float("nan"), float("nan")))
    square = _ratio(parts)
    without = np.array([_ratio(_without(parts, k, i)) for k, part in enumerate(parts) for i in range(len(part.norms))])
    n = len(without)
    quantile = float(t.ppf(0.5 + confidence / 2, n - 1))
    spread = float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
    mean_noise = _mean_over_pairs([part.noise for part in parts]) / norm
    n_pairs = sum(len(part.norms) * (len(part.norms) - 1) / 2 for part in parts)
    noise = float(np.sqrt((2.0 * mean_noise**2 + 4.0 * mean_noise * max(square, 0.0)) / n_pairs))
    return interval(square, quantile * spread, quantile * noise)


def _without(parts: Sequence[_Probes], k: int, i: int) -> list[_Probes]:
    """All but the i-th probe of the k-th frame."""
    norms, antisymmetric, noise = parts[k]
    fewer = (np.delete(np.delete(each, i, 0), i, 1) for each in (antisymmetric, noise))
    return [_Probes(np.delete(norms, i), *fewer) if m == k else part for m, part in enumerate(parts)]


def _ratio(parts: Sequence[_Probes]) -> float:
    norm = float(np.concatenate([part.norms for part in parts]).mean())
    return _mean_over_pairs([part.antisymmetric for part in parts]) / norm


def _mean_over_pairs(matrices: Sequence[Floats]) -> float:
    sums = sum(float(matrix.sum() - np.trace(matrix)) for matrix in matrices)
    return sums / sum(len(matrix) * (len(matrix) - 1) for matrix in matrices)


def loop_work(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> Measurement:
    """Work ∮F·dx around closed loops over their length, root mean square over loops, eV/Å; zero for any gradient.

    The loops are ellipses in random planes of configuration space about thermal frames, three of all atoms and five
    of one. Equally spaced points converge exponentially where the forces are smooth; what halving the points changes
    is taken for the error. Loops on which the energy steps are left out: the forces of a gradient miss the step.
    """

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        loops = [_loop(potential, thermal(configuration, rng), radius, single, rng) for radius, single in LOOPS]
        smooth = [loop for loop in loops if not loop.broken]
        if len(smooth) < 3:
            return unanswered([LOOP], f"{NOT_RUN}the energy steps on {len(loops) - len(smooth)} of {len(loops)} loops")
        works, errors = (np.array([getattr(loop, name) for loop in smooth]) for name in ("work", "error"))
        value, ci = relative_root_mean_square(works, errors**2, np.ones(len(smooth)), confidence)
        name, unit = LOOP
        note = f"{len(smooth)} of {len(loops)} loops, the others cross a discontinuity"
        note = f"{len(loops)} loops" if len(smooth) == len(loops) else note
        return [Measurement(name=name, value=value, unit=unit, ci=ci, confidence=confidence, note=note)]

    return answered([LOOP], measure)[0]


class _Loop(NamedTuple):
    """A closed loop: work and its error by halving the points, over the length, eV/Å; and whether the energy steps."""

    work: float
    error: float
    broken: bool


def _loop(potential: Potential, frame: Configuration, radius: float, single: bool, rng: np.random.Generator) -> _Loop:
    n_atoms = len(frame.numbers)
    atom = int(rng.integers(n_atoms)) if single else None
    p, q = (one_atom_direction(rng, n_atoms, atom) if single else random_direction(rng, n_atoms) for _ in range(2))
    angles = 2.0 * np.pi * np.arange(N_POINTS) / N_POINTS
    cosine, sine = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    evaluations = [ask(potential, displaced(frame, place)) for place in radius * (cosine * p + sine * q)]
    tangents = 2.0 * np.pi * radius * (cosine * q - sine * p)
    power = (np.array([each.forces for each in evaluations]) * tangents).sum(axis=(1, 2))
    length = float(np.linalg.norm(tangents, axis=(1, 2)).mean())
    broken = _steps(np.array([each.energy for each in evaluations]), power / N_POINTS)
    return _Loop(float(power.mean()) / length, float(power.mean() - power[::2].mean()) / length, broken)


def _steps(energy: Floats, work: Floats) -> bool:
    """Whether the energy changes somewhere on a loop by what neither the work nor its surroundings explain."""
    after = [np.roll(work, -k) for k in (-1, 0, 1, 2)]
    between = (13.0 * (after[1] + after[2]) - after[0] - after[3]) / 24.0
    excess = np.roll(energy, -1) - energy + between
    unusual = np.abs(excess - np.median(excess))
    return bool(unusual.max() > OUTLYING * np.median(unusual) + STEP * np.abs(between).max())
