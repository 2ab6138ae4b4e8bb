"""The samples of a run's chunks as one, of fewer steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mdsuite_analysis.ledger.sampling import Sample, uniform


def merged(samples: Sequence[Sample], n_kept: int, *, seed: int) -> Sample:
    """A priority sample of the whole run: at most `n_kept` of the steps that its chunks have kept.

    The largest priority of a step that was not kept is the largest among the chunks' thresholds and the priorities of
    those left out here.

    Parameters
    ----------
    samples : sequence of Sample
        Of all chunks of the run, in its order.
    n_kept : int
    seed : int
        Of the run, with which the samples were taken.

    """
    ranked = sorted(
        ((step.weight / uniform(seed, step.before.step), step) for sample in samples for step in sample.steps),
        key=lambda entry: -entry[0],
    )
    left_out = [priority for priority, _ in ranked[n_kept : n_kept + 1]]
    threshold = max([*left_out, *(sample.threshold for sample in samples)])
    kept = [step for priority, step in ranked[:n_kept] if priority > threshold]
    return Sample(
        steps=tuple(sorted(kept, key=lambda step: step.before.step)),
        threshold=threshold,
        n_steps=sum(sample.n_steps for sample in samples),
        residual_sum=math.fsum(sample.residual_sum for sample in samples),
        size_sum=math.fsum(sample.size_sum for sample in samples),
        curvature_sum=math.fsum(sample.curvature_sum for sample in samples),
        potential_change=math.fsum(sample.potential_change for sample in samples),
    )
