"""Whether forces are a gradient of anything, whatever the energy says."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.potential import Configuration, Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.deformation import displaced, one_atom_direction, random_direction, thermal
from mdsuite_analysis.statics.inquiry import answered, ask, unanswered
from mdsuite_analysis.statics.mean_square import relative_root_mean_square
from mdsuite_analysis.statics.path import straight
from mdsuite_analysis.statics.stencil import Responses, responses

N_FRAMES = 2
N_PROBES = 12  # of each frame
LOOPS = ((0.05, False), (0.1, False), (0.1, False), (0.1, True), (0.2, True), (0.2, True))
"""Radius, Å, and whether a single atom moves."""
N_POINTS = 64

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
        probes = np.concatenate([part[0] for part in parts])
        if min(len(part[0]) for part in parts) < 4:
            return unanswered([ASYMMETRY], "the forces are discontinuous along most directions at every scale")
        n_left_out = N_FRAMES * N_PROBES - len(probes)
        note = f"{n_left_out} of {N_FRAMES * N_PROBES} probes cross a discontinuity of the forces" if n_left_out else ""
        value, ci = _jackknife([part[1] for part in parts], [part[0] for part in parts], confidence)
        name, unit = ASYMMETRY
        return [Measurement(name=name, value=value, unit=unit, ci=ci, confidence=confidence, note=note)]

    return answered([ASYMMETRY], measure)[0]


def _probe(potential: Potential, frame: Configuration, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Unbiased estimates of ‖J‖² by each probe (n,) and of ‖(J - Jᵀ)/2‖² by each pair (n, n)."""
    directions = np.array([random_direction(rng, len(frame.numbers)) for _ in range(N_PROBES)])
    found: Responses = responses(potential, [straight(frame, direction) for direction in directions])
    smooth = np.flatnonzero(found.smooth)
    # directions of unit variance: u → √3 u
    derivative, noise = np.sqrt(3.0) * found.derivative[smooth], np.sqrt(3.0) * found.noise[smooth]
    u = np.sqrt(3.0) * directions[smooth].reshape(len(smooth), -1)
    products = u @ derivative.T
    lengths = (u**2).sum(axis=1)
    noisy = lengths[:, None] * noise[None, :] ** 2
    antisymmetric = 0.25 * ((products - products.T) ** 2 - noisy - noisy.T)
    return (derivative**2).sum(axis=1) - u.shape[1] * noise**2, antisymmetric


def _jackknife(
    pairs: Sequence[Floats], probes: Sequence[Floats], confidence: float
) -> tuple[float, tuple[float, float]]:
    whole = _ratio(pairs, probes)
    without = []
    for k, (matrix, norms) in enumerate(zip(pairs, probes, strict=True)):
        for i in range(len(norms)):
            fewer = np.delete(np.delete(matrix, i, 0), i, 1), np.delete(norms, i)
            replaced = [fewer if k == m else (pairs[m], probes[m]) for m in range(len(pairs))]
            without.append(_ratio([each[0] for each in replaced], [each[1] for each in replaced]))
    n = len(without)
    half = t.ppf(0.5 + confidence / 2, n - 1) * np.sqrt(
        (n - 1) / n * ((np.array(without) - np.mean(without)) ** 2).sum()
    )
    low, high = max(whole - half, 0.0) ** 0.5, max(whole + half, 0.0) ** 0.5
    return max(whole, 0.0) ** 0.5, (float(low), float(high))


def _ratio(pairs: Sequence[Floats], probes: Sequence[Floats]) -> float:
    sums = sum(float(matrix.sum() - np.trace(matrix)) for matrix in pairs)
    counts = sum(len(matrix) * (len(matrix) - 1) for matrix in pairs)
    norm = float(np.concatenate(list(probes)).mean())
    return sums / counts / norm if norm > 0.0 else float("nan")


def loop_work(
    potential: Potential, configuration: Configuration, *, seed: int = 0, confidence: float = 0.95
) -> Measurement:
    """Work ∮F·dx around closed loops over their length, root mean square over loops, eV/Å; zero for any gradient.

    The loops are ellipses in random planes of configuration space about thermal frames, three of all atoms and three
    of one. Equally spaced points converge exponentially where the forces are smooth; what halving the points changes
    is taken for the error.
    """

    def measure() -> list[Measurement]:
        rng = np.random.default_rng(seed)
        loops = [_loop(potential, thermal(configuration, rng), radius, single, rng) for radius, single in LOOPS]
        work, error, length = np.array(loops).T
        value, ci = relative_root_mean_square(work / length, (error / length) ** 2, np.ones(len(loops)), confidence)
        name, unit = LOOP
        return [
            Measurement(name=name, value=value, unit=unit, ci=ci, confidence=confidence, note=f"{len(loops)} loops")
        ]

    return answered([LOOP], measure)[0]


def _loop(
    potential: Potential, frame: Configuration, radius: float, single: bool, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Work, its error by halving the points, and length of one loop."""
    n_atoms = len(frame.numbers)
    atom = int(rng.integers(n_atoms)) if single else None
    p, q = (one_atom_direction(rng, n_atoms, atom) if single else random_direction(rng, n_atoms) for _ in range(2))
    angles = 2.0 * np.pi * np.arange(N_POINTS) / N_POINTS
    tangents = radius * (np.cos(angles)[:, None, None] * q - np.sin(angles)[:, None, None] * p)
    places = radius * (np.cos(angles)[:, None, None] * p + np.sin(angles)[:, None, None] * q)
    forces = np.array([ask(potential, displaced(frame, place)).forces for place in places])
    power = (forces * tangents).sum(axis=(1, 2)) * 2.0 * np.pi
    length = 2.0 * np.pi * float(np.linalg.norm(tangents, axis=(1, 2)).mean())
    return float(power.mean()), float(power.mean() - power[::2].mean()), length
