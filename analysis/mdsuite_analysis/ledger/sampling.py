r"""Which steps are kept for re-evaluation.

Priority sampling [1]_ keeps k of the steps of a chunk, those of the largest priority w/u with a weight w that says how
much a step may matter and a uniform random u. With τ the largest priority among the rest, the sum over the kept steps
of x max(1, τ/w) is an unbiased estimate of the sum of x over all steps, for every x, as long as w does not know u.

The weight is the mean of three: the size of the residual over its running mean, the size of its second difference over
its running mean, and 1, so that no step is out of reach.

References
----------
.. [1] N. Duffield, C. Lund, M. Thorup, J. ACM 54, 32 (2007), doi:10.1145/1314690.1314696

"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mdsuite_analysis.ledger.residual import Box, Instant, Residuals, added, step_residual
from mdsuite_analysis.series import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampledStep:
    """A step that was kept: the instants at both ends, its residual (eV), and its weight."""

    before: Instant
    after: Instant
    residual: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The steps kept of a chunk, and what is known of the chunk exactly.

    Attributes
    ----------
    steps : tuple of SampledStep
        In the order of the run.
    threshold : float
        τ; 0 where every step was kept.
    n_steps : int
        Of the chunk.
    residual_sum, size_sum, curvature_sum : float, eV
        Sums over the chunk of r, of |r| and of the size of r's second difference.
    potential_change : float, eV
        U at the end of the chunk less U at its start.

    """

    steps: tuple[SampledStep, ...]
    threshold: float
    n_steps: int
    residual_sum: float
    size_sum: float
    curvature_sum: float
    potential_change: float

    def inclusion(self) -> Floats:
        """(n_kept,) min(1, w/τ): one over what each kept step counts for."""
        weights = np.array([step.weight for step in self.steps])
        return np.minimum(1.0, weights / self.threshold) if self.threshold > 0.0 else np.ones_like(weights)

    def to_arrays(self) -> dict[str, npt.NDArray[np.float64 | np.int64]]:
        """As arrays, those of the steps stacked along the first axis."""
        before, after = [s.before for s in self.steps], [s.after for s in self.steps]
        ends = {
            f"{name}_{side}": np.array([getattr(instant, name) for instant in instants])
            for side, instants in (("before", before), ("after", after))
            for name in ("positions", "energy", "forces")
        }
        return {
            "step": np.array([instant.step for instant in before], dtype=np.int64),
            "residual": np.array([step.residual for step in self.steps]),
            "weight": np.array([step.weight for step in self.steps]),
            **ends,
            "threshold": np.array(self.threshold),
            "n_steps": np.array(self.n_steps, dtype=np.int64),
            "residual_sum": np.array(self.residual_sum),
            "size_sum": np.array(self.size_sum),
            "curvature_sum": np.array(self.curvature_sum),
            "potential_change": np.array(self.potential_change),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64 | np.int64]]) -> Sample:
        """From what `to_arrays` gave."""
        steps = tuple(
            SampledStep(
                before=_instant(arrays, "before", i, int(step)),
                after=_instant(arrays, "after", i, int(step) + 1),
                residual=float(arrays["residual"][i]),
                weight=float(arrays["weight"][i]),
            )
            for i, step in enumerate(arrays["step"])
        )
        return cls(
            steps=steps,
            threshold=float(arrays["threshold"]),
            n_steps=int(arrays["n_steps"]),
            residual_sum=float(arrays["residual_sum"]),
            size_sum=float(arrays["size_sum"]),
            curvature_sum=float(arrays["curvature_sum"]),
            potential_change=float(arrays["potential_change"]),
        )


def importance(residuals: Residuals, now: Residuals, residual: float) -> float:
    """The weight of a step with this residual after those before it; `now` are all of them."""
    parts = (_relative(abs(residual), now.mean_size), _relative(residuals.curvature(residual), now.mean_curvature), 1.0)
    return math.fsum(parts) / 3.0


def uniform(seed: int, step: int) -> float:
    """The u of a step, in (0, 1]: the same however the run is cut into chunks.

    Parameters
    ----------
    seed : int
        Of the run, not negative.
    step : int
        Number of the step, not negative.

    """
    digest = hashlib.blake2b(step.to_bytes(8, "little"), key=seed.to_bytes(16, "little"), digest_size=8).digest()
    return 1.0 - (int.from_bytes(digest, "little") >> 11) * 2.0**-53


class StepSampler:
    """Takes the instants of a chunk one by one, adds up the residuals and keeps the steps that matter.

    Parameters
    ----------
    start : Instant
        The last instant of the chunk before, or the first of the run.
    box : Box
    n_kept : int
        How many steps to keep, at least 2.
    seed : int
        Of the run.
    residuals : Residuals
        Of the run up to `start`.
    copy : bool
        Whether to copy what is given, for an engine may reuse its arrays.

    Attributes
    ----------
    residuals : Residuals
        Of the run up to the last instant.

    """

    def __init__(
        self,
        start: Instant,
        box: Box,
        *,
        n_kept: int,
        seed: int,
        residuals: Residuals | None = None,
        copy: bool = True,
    ) -> None:
        if n_kept < 2:
            raise ValueError(f"{n_kept} steps to keep; an error bar needs at least 2")
        self.residuals = Residuals() if residuals is None else residuals
        self._box = box
        self._n_kept = n_kept
        self._seed = seed
        self._copy = copy
        self._latest = _copied(start) if copy else start
        self._first_energy = float(start.energy)
        self._n_steps = 0
        self._residual_sum = (0.0, 0.0)
        self._size_sum = 0.0
        self._curvature_sum = 0.0
        self._kept: list[tuple[float, int, SampledStep]] = []

    def add(self, instant: Instant) -> float:
        """The residual of the step that led here, eV."""
        before, after = self._latest, _copied(instant) if self._copy else instant
        if after.step != before.step + 1:
            raise ValueError(f"step {after.step} follows step {before.step}; the ledger needs every step")
        residual = step_residual(before, after, self._box)
        now = self.residuals.plus(residual)
        self._keep(before, after, residual, importance(self.residuals, now, residual))
        self._size_sum += abs(residual)
        self._curvature_sum += self.residuals.curvature(residual)
        self._n_steps += 1
        self._residual_sum = added(*self._residual_sum, residual)
        self.residuals = now
        self._latest = after
        return residual

    def _keep(self, before: Instant, after: Instant, residual: float, weight: float) -> None:
        """If its priority is among the largest, one more of which is kept than there will be in the sample."""
        rank = weight / uniform(self._seed, before.step), before.step
        full = len(self._kept) > self._n_kept
        if full and rank < self._kept[0][:2]:
            return
        step = SampledStep(before=before, after=after, residual=residual, weight=weight)
        (heapq.heapreplace if full else heapq.heappush)(self._kept, (*rank, step))

    def sample(self) -> Sample:
        """The steps kept up to now."""
        full = len(self._kept) > self._n_kept
        kept = heapq.nlargest(self._n_kept, self._kept)
        plain, lost = self._residual_sum
        return Sample(
            steps=tuple(step for _, _, step in sorted(kept, key=lambda entry: entry[1])),
            threshold=self._kept[0][0] if full else 0.0,
            n_steps=self._n_steps,
            residual_sum=plain + lost,
            size_sum=self._size_sum,
            curvature_sum=self._curvature_sum,
            potential_change=self._latest.energy - self._first_energy,
        )


def _relative(value: float, mean: float) -> float:
    """`value` over its mean; 1, the usual, where that says nothing."""
    ratio = value / mean if mean > 0.0 else 1.0
    return ratio if math.isfinite(ratio) else 1.0


def _copied(instant: Instant) -> Instant:
    """An engine may reuse its arrays."""
    return Instant(
        step=instant.step,
        positions=np.array(instant.positions, dtype=np.float64),
        energy=float(instant.energy),
        forces=np.array(instant.forces, dtype=np.float64),
    )


def _instant(arrays: Mapping[str, npt.NDArray[np.float64 | np.int64]], side: str, i: int, step: int) -> Instant:
    return Instant(
        step=step,
        positions=np.asarray(arrays[f"positions_{side}"][i], dtype=np.float64),
        energy=float(arrays[f"energy_{side}"][i]),
        forces=np.asarray(arrays[f"forces_{side}"][i], dtype=np.float64),
    )
