"""What a linear model has lost of another, function by function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdsuite.errors import InputError
from mdsuite.linear.design import Block
from mdsuite.linear.fit import names
from mdsuite.replacement.sides import Linear
from mdsuite.runs import FloatArray
from mdsuite_analysis.span import REDUNDANT, Span, out_of_reach, span


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the baseline, and the share of it that the candidate's functions cannot express."""

    name: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Of two linear models on the same rows.

    missing : functions of the baseline that are out of the candidate's span, the largest share first
    gained : functions of the candidate that are out of the baseline's
    redundant : how many functions of the baseline the candidate does not name and yet spans
    """

    baseline: Span
    candidate: Span
    missing: tuple[Function, ...]
    gained: tuple[Function, ...]
    redundant: int


def audit(baseline: Linear, candidate: Linear, rows: tuple[Sequence[Block], Sequence[Block]]) -> Audit:
    """On the rows of both, weighted as in a fit of the baseline; raises InputError for too few structures."""
    matrices = [
        np.concatenate(
            [of_baseline.weight[:, None] * each.matrix for of_baseline, each in zip(rows[0], of, strict=True)]
        )
        for of in rows
    ]
    named = [names(each.model.network.basis) for each in (baseline, candidate)]
    try:
        missing = _outside(named[0], matrices[0], matrices[1])
        gained = _outside(named[1], matrices[1], matrices[0])
    except ValueError as error:
        raise InputError(f"the basis cannot be audited: {error}") from error
    lost = {each.name for each in missing}
    unnamed = [each for each in named[0] if each not in set(named[1])]
    return Audit(
        baseline=span(matrices[0]),
        candidate=span(matrices[1]),
        missing=missing,
        gained=gained,
        redundant=sum(each not in lost for each in unnamed),
    )


def _outside(named: Sequence[str], of: FloatArray, by: FloatArray) -> tuple[Function, ...]:
    shares = out_of_reach(of, by)
    found = [Function(name=name, share=float(share)) for name, share in zip(named, shares, strict=True)]
    return tuple(sorted((each for each in found if each.share > REDUNDANT), key=lambda each: -each.share))
