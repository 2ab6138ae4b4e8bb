"""Whether a candidate may be put in the place of a baseline: agreement, span, errors on structures not fitted, cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.errors import InputError
from mdsuite.linear.data import Keys, Labelled, read_labelled, require_elements
from mdsuite.linear.design import ENERGY, FORCES, VIRIAL, Block, asked
from mdsuite.linear.errors import KINDS
from mdsuite.replacement.audit import Audit, audit
from mdsuite.replacement.cost import Cost, cost
from mdsuite.replacement.residuals import Squared, as_it_is, cross_validated, design, fitted_to, folds_of
from mdsuite.replacement.sides import Side, require_comparable, side
from mdsuite_analysis.paired import Ratio, Standing, error_ratio, together

MEV = 1e3
UNITS = {ENERGY: "meV/atom", FORCES: "meV/Å", VIRIAL: "meV/atom"}
ALL = "all"

Rows = tuple[list[Block], list[Block]]
"""Of baseline and candidate, of every structure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of two models.

    train : files that linear models are fitted to anew; none, and they are fitted to parts of `data`
    margin : share by which errors may differ and count as equivalent
    """

    data: tuple[Path, ...]
    keys: Keys
    train: tuple[Path, ...] = ()
    margin: float = 0.05
    folds: int = 5
    repeats: int = 5
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Errors of both models on one kind of label of one type of configuration, or of all.

    errors : root mean squares of baseline and candidate, in the unit of `UNITS`
    """

    group: str
    kind: str
    errors: tuple[float, float]
    ratio: Ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far the answers of both models, as they are, lie apart: root mean square and largest, as `UNITS`."""

    kind: str
    root_mean_square: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What was found.

    protocol : how errors were come by, in words
    audit : what was found of the bases, or why nothing was
    """

    question: Question
    baseline: Side
    candidate: Side
    n_structures: int
    protocol: str
    paired: tuple[Paired, ...]
    differences: tuple[Difference, ...]
    audit: Audit | str
    cost: Cost

    @property
    def standing(self) -> Standing:
        """From the errors of every kind on all structures."""
        return together([each.ratio.says for each in self.paired if each.group == ALL])

    @property
    def wanted(self) -> int | None:
        """How many structures would decide, where these do not and it can be told."""
        known = [each.ratio.wanted for each in self.paired if each.group == ALL and each.ratio.wanted]
        return max(known, default=None) if self.standing is Standing.INCONCLUSIVE else None


def compare(
    baseline: str, candidate: str, question: Question, told: Callable[[str], None], *, trust: bool
) -> Replacement:
    """Raises InputError for models that cannot be compared and data that cannot be read or have too little in them."""
    sides = side(baseline, trust=trust), side(candidate, trust=trust)
    require_comparable(*sides)
    labelled = _read(question.data, sides, question.keys)
    if not any(each.n_atoms > 1 for each in labelled):
        raise InputError("wanted structures of more than one atom, got lone atoms alone")
    told(f"{len(labelled)} structures; {sides[0].name} is the baseline, {sides[1].name} the candidate")
    protocol, squared, rows = _measured(sides, labelled, question, told)
    told("timing both in turn")
    return Replacement(
        question=question,
        baseline=sides[0],
        candidate=sides[1],
        n_structures=len(labelled),
        protocol=protocol,
        paired=tuple(_paired(labelled, *squared, question)),
        differences=tuple(_differences(*sides, labelled)),
        audit=_audited(*sides, rows),
        cost=cost(*sides, max(labelled, key=lambda each: each.n_atoms)),
    )


def _read(files: Sequence[Path], sides: tuple[Side, Side], keys: Keys) -> list[Labelled]:
    labelled = read_labelled(files, keys)
    for each in sides:
        if each.card.species is not None:
            require_elements(labelled, each.card.species, each.name)
    return labelled


def _audited(baseline: Side, candidate: Side, rows: Rows | None) -> Audit | str:
    """What was found, or why nothing was."""
    if rows is None or baseline.linear is None or candidate.linear is None:
        return "a basis can be taken apart where both models are linear and hold the recipe that they were fitted by"
    try:
        return audit(baseline.linear, candidate.linear, rows)
    except InputError as error:
        return str(error)


def _measured(
    sides: tuple[Side, Side], labelled: Sequence[Labelled], question: Question, told: Callable[[str], None]
) -> tuple[str, tuple[Squared, Squared], Rows | None]:
    baseline, candidate = sides[0].linear, sides[1].linear
    if baseline is None or candidate is None:
        words = "Both models were asked as they are. Whether they were fitted to these structures is not known here."
        return words, (as_it_is(sides[0], labelled), as_it_is(sides[1], labelled)), None
    told("taking both bases apart")
    rows = design(baseline, labelled), design(candidate, labelled)
    if question.train:
        train = _read(question.train, sides, question.keys)
        to = design(baseline, train), design(candidate, train)
        words = (
            f"Both models were fitted anew, each by its own recipe, to {len(train)} structures, and asked about others."
        )
        return words, (fitted_to(baseline, to[0], rows[0]), fitted_to(candidate, to[1], rows[1])), to
    if sum(each.n_atoms > 1 for each in labelled) < question.folds:
        raise InputError(f"wanted at least {question.folds} structures for as many parts, got {len(labelled)}")
    folds = folds_of(labelled, question.folds, question.repeats, question.seed)
    told(f"fitting each {question.folds * question.repeats} times")
    words = (
        f"Both models were fitted anew, each by its own recipe, {question.repeats} times to every "
        f"{question.folds - 1} of {question.folds} parts of the structures, and asked about the part that was left "
        "out; parts were the same for both. Errors of a structure are means over the fits that did not know it."
    )
    return words, (cross_validated(baseline, rows[0], folds), cross_validated(candidate, rows[1], folds)), rows


def _paired(
    labelled: Sequence[Labelled], baseline: Squared, candidate: Squared, question: Question
) -> Iterator[Paired]:
    groups = list(dict.fromkeys(each.group for each in labelled))
    of = np.array([each.group for each in labelled])
    for group in [ALL, *(each for each in groups if len(groups) > 1)]:
        for kind in KINDS:
            pair = baseline.sums[kind], candidate.sums[kind]
            kept = np.isfinite(pair[0]) & np.isfinite(pair[1]) & ((of == group) | (group == ALL))
            if kept.any():
                n = int(baseline.counts[kind][kept].sum())
                first, second = (MEV * float(np.sqrt(each[kept].sum() / n)) for each in pair)
                ratio = error_ratio(pair[0][kept], pair[1][kept], margin=question.margin, seed=question.seed)
                yield Paired(group=group, kind=kind, errors=(first, second), ratio=ratio)


def _differences(baseline: Side, candidate: Side, labelled: Sequence[Labelled]) -> Iterator[Difference]:
    apart: dict[str, list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = {kind: [] for kind in KINDS}
    for each in labelled:
        a, b = (of.model.evaluate(asked(each)) for of in (baseline, candidate))
        apart[ENERGY].append(np.array([(b.energy - a.energy) / each.n_atoms]))
        apart[FORCES].append((b.forces - a.forces).ravel())
        apart[VIRIAL].append((b.virial - a.virial).ravel() / each.n_atoms)
    for kind, values in apart.items():
        every = MEV * np.concatenate(values)
        yield Difference(
            kind=kind, root_mean_square=float(np.sqrt(np.mean(every**2))), largest=float(np.abs(every).max())
        )
