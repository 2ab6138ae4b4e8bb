"""Whether two engines integrate the same model alike, told from what rounding alone makes of it.

Two correct engines differ by rounding, and chaos lets that grow as exp(λ t). So no fixed tolerance tells an error from
chaos, but a *control* does: the same engine, its start moved by a rounding error. What differs a thousand times more
than the controls is no rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wasserstein_distance

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.series import EnergySeries, Floats, Frames
from mdsuite_analysis.statistics import SHORTEST, mean_with_interval, trend

SATURATED = 0.05
"""Distance, Å, beyond which trajectories of a control no longer part exponentially."""

SMALLEST = float(np.finfo(np.float64).eps)
BLOCKS = 10
"""Into which a series is cut to be resampled."""

MEV = 1e3
RESAMPLES = 400
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What was recorded of one run."""

    energies: EnergySeries
    frames: Frames


def resolved(fine: Recorded, coarse: Recorded, reference: Recorded, ratio: float) -> bool:
    """Whether a model computes finely enough for the smaller of two displacements of its start to show.

    The forces of a model in double precision respond to a displacement that is `ratio` times as small by that much
    less; in single precision the smaller one is lost, or shows as the rounding of the larger.
    """
    small = np.abs(fine.frames.forces[0] - reference.frames.forces[0]).max()
    large = np.abs(coarse.frames.forces[0] - reference.frames.forces[0]).max()
    return bool(large > 0.0 and ratio / 30.0 < large / max(small, 1e-300) < ratio * 30.0)


def parity(run: Recorded, reference: Recorded, controls: Sequence[Recorded]) -> list[Measurement]:
    """Energy, forces and virial of the first frame: the largest difference, in multiples of the largest by rounding."""
    every = (run, reference, *controls)
    return [
        _parity("energy_parity", "eV", [_potential_energy(each)[:1] for each in every]),
        _parity("force_parity", "eV/Å", [each.frames.forces[0] for each in every]),
        _parity("virial_parity", "eV", [each.frames.virial[0] for each in every]),
    ]


def _parity(name: str, unit: str, values: list[Floats]) -> Measurement:
    ours, theirs, *controls = values
    difference = float(np.abs(ours - theirs).max())
    size = float(np.abs(theirs).max())
    rounding = max([4.0 * SMALLEST * size, *(float(np.abs(each - theirs).max()) for each in controls)])
    note = f"{difference:.2g} {unit}, where rounding makes {rounding:.2g} {unit} and the largest is {size:.4g} {unit}"
    counted = difference / rounding if rounding else float(np.inf if difference else 0.0)
    return Measurement(name=name, value=counted, unit="roundings", note=note)


def force_scale(run: Recorded, reference: Recorded) -> tuple[float, float]:
    """The factor between the forces of the first frames, and what it leaves unexplained, relative to their size."""
    ours, theirs = run.frames.forces[0].ravel(), reference.frames.forces[0].ravel()
    norm = float(theirs @ theirs)
    if not norm > 0.0:
        return float("nan"), float("nan")
    factor = float(ours @ theirs) / norm
    left = float(np.linalg.norm(ours - factor * theirs)) / max(float(np.linalg.norm(ours)), 1e-300)
    return factor, left


def distances(run: Frames, reference: Frames) -> Floats:
    """Root mean square distance (n,) of the atoms of two trajectories, Å, of the frames that both have."""
    n = min(len(run.time), len(reference.time))
    apart = run.positions[:n] - reference.positions[:n]
    return np.asarray(np.sqrt((apart**2).sum(axis=2).mean(axis=1)))


def divergence(run: Recorded, reference: Recorded, controls: Sequence[Recorded]) -> Measurement | None:
    """How much farther two engines part than the controls do, as long as these part exponentially; None if never.

    The geometric mean over frames of the ratio of distances; the interval is that of the single controls.
    """
    apart = np.array([distances(each.frames, reference.frames) for each in controls])
    ours = distances(run.frames, reference.frames)
    n = min(apart.shape[1], len(ours))
    apart, ours = np.maximum(apart[:, 1:n], 1e-17), np.maximum(ours[1:n], 1e-17)
    counted = (apart < SATURATED).all(axis=0)
    if not counted.any():
        return None
    ratios = np.exp(np.log(ours[counted] / apart[:, counted]).mean(axis=1))
    time = reference.frames.time[1:n][counted]
    note = (
        f"{ours[counted][-1]:.2g} Å after {time[-1]:.3g} ps, where rounding makes "
        f"{np.exp(np.log(apart[:, counted][:, -1]).mean()):.2g} Å"
    )
    value = float(np.exp(np.log(ratios).mean()))
    interval = (float(ratios.min()), float(ratios.max()))
    return Measurement(name="divergence_ratio", value=value, ci=interval, unit="roundings", note=note)


def lyapunov_rate(reference: Recorded, controls: Sequence[Recorded]) -> Measurement:
    """The rate λ at which trajectories part that began within rounding, 1/ps: what chaos does to any two engines."""
    logs = [np.log(np.maximum(distances(each.frames, reference.frames)[1:], 1e-17)) for each in controls]
    mean = np.mean(logs, axis=0)
    time = reference.frames.time[1 : len(mean) + 1]
    early = mean < np.log(SATURATED)
    if early.sum() < 16:
        nan = float("nan")
        return Measurement(name="lyapunov_rate", value=nan, unit="1/ps", ci=(nan, nan), note="too few frames")
    line = trend(time[early], mean[early], confidence=CONFIDENCE)
    return Measurement(name="lyapunov_rate", value=line.slope, unit="1/ps", ci=line.ci, confidence=CONFIDENCE)


def paired_differences(run: Recorded, reference: Recorded) -> list[Measurement]:
    """Drift, temperature and distribution of the kinetic energy, of one run less the other, step by step.

    As long as trajectories have not parted their differences are far smaller than their fluctuations, and known as
    much better. Of fewer than `SHORTEST` steps nothing is said.
    """
    n = min(len(run.energies.step), len(reference.energies.step))
    if n < SHORTEST:
        return []
    time = reference.energies.time[:n]
    total = (run.energies.total_energy[:n] - reference.energies.total_energy[:n]) * MEV / reference.energies.n_atoms
    drift = trend(time, total, confidence=CONFIDENCE)
    ours, theirs = (_temperature(each)[:n] for each in (run, reference))
    mean = mean_with_interval(ours - theirs, confidence=CONFIDENCE)
    return [
        Measurement(name="drift_difference", value=drift.slope, unit="meV/atom/ps", ci=drift.ci, confidence=CONFIDENCE),
        Measurement(name="temperature_difference", value=mean.value, unit="K", ci=mean.ci, confidence=CONFIDENCE),
        *([fluctuation_difference(ours, theirs), kinetic_distance(ours, theirs)] if theirs.std() > 0.0 else []),
    ]


def fluctuation_difference(ours: Floats, theirs: Floats) -> Measurement:
    """By how much the variance of one kinetic energy exceeds that of another, relative to the second."""
    squares, others = (ours - ours.mean()) ** 2, (theirs - theirs.mean()) ** 2
    size = float(others.mean())
    name = "kinetic_fluctuation_difference"
    mean = mean_with_interval(squares - others, confidence=CONFIDENCE)
    interval = (mean.ci[0] / size, mean.ci[1] / size)
    return Measurement(name=name, value=mean.value / size, unit="1", ci=interval, confidence=CONFIDENCE)


def kinetic_distance(ours: Floats, theirs: Floats) -> Measurement:
    """Wasserstein-1 distance between the distributions of two kinetic energies, in standard deviations of the second.

    The interval is the basic one of a bootstrap of tenths of both series together: a distance between samples is too
    large, that between their resamples once more, and the interval allows for it. It is too narrow where the series
    change as slowly as they are long, which `fluctuation_difference` allows for.
    """
    spread = float(theirs.std())
    name = "kinetic_distribution_distance"
    n = len(theirs)
    block = max(1, n // BLOCKS)
    begins = np.random.default_rng(0).integers(0, n, (RESAMPLES, -(-n // block)))
    drawn = [((begin[:, None] + np.arange(block)) % n).ravel()[:n] for begin in begins]
    resampled = [wasserstein_distance(ours[rows], theirs[rows]) / spread for rows in drawn]
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100.0 - tail])
    value = wasserstein_distance(ours, theirs) / spread
    interval = (max(0.0, float(2.0 * value - high)), float(max(2.0 * value - low, value)))
    return Measurement(name=name, value=value, unit="1", ci=interval, confidence=CONFIDENCE)


def _temperature(of: Recorded) -> Floats:
    return _recorded(of.energies.temperature, "temperatures")


def _potential_energy(of: Recorded) -> Floats:
    return _recorded(of.energies.potential_energy, "potential energies")


def _recorded(values: Floats | None, what: str) -> Floats:
    if values is None:
        raise ValueError(f"a comparison of engines needs {what}, this run has recorded none")
    return values
