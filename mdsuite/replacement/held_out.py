"""Errors of two models on structures that they were not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdsuite.errors import InputError
from mdsuite.linear.data import Keys, Labelled, read_labelled, require_elements
from mdsuite.linear.design import Block
from mdsuite.linear.errors import KINDS, MEV
from mdsuite.replacement.found import ALL, Paired, Question
from mdsuite.replacement.residuals import Deficient, Squared, as_it_is, cross_validated, design, fitted_to, folds_of
from mdsuite.replacement.sides import Side
from mdsuite.replacement.thresholds import Error, Limits, Threshold
from mdsuite.runs import FloatArray
from mdsuite_analysis.calibration import calibrated
from mdsuite_analysis.paired import error_interval, error_ratio

Rows = tuple[list[Block], list[Block]]
"""Of baseline and candidate, of every structure."""


def read_for(files: Sequence[Path], sides: tuple[Side, Side], keys: Keys) -> list[Labelled]:
    """Structures of files; raises InputError for what cannot be read, and elements that a model does not know."""
    labelled = read_labelled(files, keys)
    for each in sides:
        if each.card.species is not None:
            require_elements(labelled, each.card.species, each.name)
    return labelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How errors were come by, in words, the errors of both models, and what their fits were made of.

    deficient : of each, fits whose rows did not determine all coefficients
    rows : that both were fitted to, where they were
    """

    protocol: str
    squared: tuple[Squared, Squared]
    deficient: tuple[Deficient | None, Deficient | None] = (None, None)
    rows: Rows | None = None


def measured(
    sides: tuple[Side, Side], labelled: Sequence[Labelled], question: Question, told: Callable[[str], None]
) -> Measured:
    """Fit both anew where they are linear, and ask them as they are where they are not.

    Raises InputError for too few structures, and for such as a model has no answer for.
    """
    baseline, candidate = sides[0].linear, sides[1].linear
    if baseline is None or candidate is None:
        return Measured(
            protocol=f"Both models were asked as they are{_trainings(sides)}. Whether they were fitted to these "
            "structures is not known here.",
            squared=(as_it_is(sides[0], labelled), as_it_is(sides[1], labelled)),
        )
    told("taking both bases apart")
    rows = design(baseline, labelled), design(candidate, labelled)
    if question.train:
        train = read_for(question.train, sides, question.keys)
        rows_of_train = design(baseline, train), design(candidate, train)
        found = [
            fitted_to(each, to, on) for each, to, on in zip((baseline, candidate), rows_of_train, rows, strict=True)
        ]
        words = (
            f"Both models were fitted anew, each by its own recipe, to {len(train)} structures, and asked about others."
        )
    else:
        if sum(each.n_atoms > 1 for each in labelled) < question.folds:
            raise InputError(f"wanted at least {question.folds} structures for as many parts, got {len(labelled)}")
        folds = folds_of(labelled, question.folds, question.repeats, question.seed)
        told(f"fitting each {question.folds * question.repeats} times")
        found = [cross_validated(each, of, folds) for each, of in zip((baseline, candidate), rows, strict=True)]
        rows_of_train = rows
        words = (
            f"Both models were fitted anew, each by its own recipe, {question.repeats} times to every "
            f"{question.folds - 1} of {question.folds} parts of the structures, and asked about the part that was left "
            "out; parts were the same for both. Errors of a structure are means over the fits that did not know it."
        )
    (ours, of_ours), (theirs, of_theirs) = found
    return Measured(protocol=words, squared=(ours, theirs), deficient=(of_ours, of_theirs), rows=rows_of_train)


def _trainings(sides: tuple[Side, Side]) -> str:
    n = [len(each.trainings) for each in sides]
    if n == [1, 1]:
        return ", one training of each; how much another one would differ is not in the intervals"
    return f", {n[0]} and {n[1]} trainings of them, whose scatter is in the intervals"


def groups_of(labelled: Sequence[Labelled]) -> list[str]:
    """Types of configuration that are told apart: none, where there is one."""
    found = list(dict.fromkeys(each.group for each in labelled))
    return found if len(found) > 1 else []


def _labels(
    labelled: Sequence[Labelled], baseline: Squared, candidate: Squared
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Type of configuration, or all, and kind of label, with the structures (n_structures,) that have such labels."""
    of = np.array([each.group for each in labelled])
    for group in [ALL, *groups_of(labelled)]:
        for kind in KINDS:
            finite = np.isfinite(baseline.sums[kind]).all(axis=0) & np.isfinite(candidate.sums[kind]).all(axis=0)
            kept = finite & ((of == group) | (group == ALL))
            if kept.any():
                yield group, kind, kept


def paired(labelled: Sequence[Labelled], baseline: Squared, candidate: Squared, question: Question) -> Iterator[Paired]:
    """Errors of both on every kind of label of all structures, and of every type of configuration."""
    for group, kind, kept in _labels(labelled, baseline, candidate):
        errors = [_errors(each, kind, kept) for each in (baseline, candidate)]
        pair = [
            each.sums[kind][:, kept] if each.independent else each.sums[kind][:, kept].mean(axis=0)
            for each in (baseline, candidate)
        ]
        ratio = error_ratio(*pair, margin=question.margin, seed=question.seed)
        pooled = [float(np.sqrt(np.mean(each**2))) for each in errors]
        yield Paired(group=group, kind=kind, errors=(pooled[0], pooled[1]), ratio=ratio)


def _errors(of: Squared, kind: str, kept: NDArray[np.bool_]) -> FloatArray:
    """Root mean square (n_runs,) of every run, in the unit of `UNITS`."""
    errors: FloatArray = MEV * np.sqrt(of.sums[kind][:, kept].sum(axis=1) / of.counts[kind][kept].sum())
    return errors


def thresholds(
    labelled: Sequence[Labelled], squared: tuple[Squared, Squared], limits: Limits, seed: int
) -> Iterator[Threshold]:
    """Of every label that has a threshold, or that repeated runs make one for."""
    for group, kind, kept in _labels(labelled, *squared):
        baseline, candidate = (_error(each, kind, kept, seed) for each in squared)
        limit = limits.get(group, {}).get(kind)
        if limit is not None or baseline.calibrated or candidate.calibrated:
            yield Threshold(group=group, kind=kind, limit=limit, baseline=baseline, candidate=candidate)


def _error(of: Squared, kind: str, kept: NDArray[np.bool_], seed: int) -> Error:
    runs = _errors(of, kind, kept)
    low, high = error_interval(of.sums[kind][:, kept].mean(axis=0), of.counts[kind][kept].astype(float), seed=seed)
    return Error(
        value=float(np.sqrt(np.mean(runs**2))),
        ci=(MEV * low, MEV * high),
        calibrated=calibrated(runs) if len(runs) > 1 else None,
    )
