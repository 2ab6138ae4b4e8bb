"""Whether a candidate may be put in the place of a baseline: everything that is measured of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mdsuite.dynamics import Dynamics
from mdsuite.errors import InputError
from mdsuite.linear.data import Labelled
from mdsuite.linear.design import ENERGY, FORCES, VIRIAL, asked
from mdsuite.linear.errors import KINDS, MEV
from mdsuite.replacement.audit import Audit, audit
from mdsuite.replacement.cost import N_PROCESSES, Cost, cost
from mdsuite.replacement.evaluators import Evaluator, evaluators
from mdsuite.replacement.found import ALL, Difference, Question, Replacement
from mdsuite.replacement.held_out import Rows, groups_of, measured, paired, read_for, thresholds
from mdsuite.replacement.sides import Side, require_comparable, side
from mdsuite.replacement.soundness import Soundness, soundness
from mdsuite.replacement.thresholds import read_limits

NOT_ASKED = "was not asked for"
QUICK = "left out by --quick"


def compare(
    baseline: str,
    candidate: str,
    question: Question,
    output: Path,
    told: Callable[[str], None],
    *,
    trust: bool,
    trajectories: Callable[[], Dynamics | None] | None = None,
) -> Replacement | None:
    """Measure both; `trajectories` are made last, where there are to be any, and None is returned where they stopped.

    Raises InputError for models that cannot be compared and data that cannot be read or have too little in them.
    """
    sides = (
        side(baseline, question.also[0], trust=trust),
        side(candidate, question.also[1], trust=trust),
    )
    require_comparable(*sides)
    labelled = read_for(question.data, sides, question.keys)
    if not any(each.n_atoms > 1 for each in labelled):
        raise InputError("wanted structures of more than one atom, got lone atoms alone")
    groups = groups_of(labelled)
    limits = {} if question.thresholds is None else read_limits(question.thresholds, [ALL, *groups])
    told(f"{len(labelled)} structures; {sides[0].name} is the baseline, {sides[1].name} the candidate")
    errors = measured(sides, labelled, question, told)
    largest = max(labelled, key=lambda each: each.n_atoms)
    evaluated: tuple[tuple[Evaluator, ...], tuple[Evaluator, ...]] | str = QUICK
    sound: Soundness | str = QUICK
    costs: Cost | str = QUICK
    if not question.quick:
        evaluated = (tuple(evaluators(sides[0], labelled, told)), tuple(evaluators(sides[1], labelled, told)))
        sound = soundness(sides, labelled, output / "static", trust=trust, told=told)
        told("timing both in turn")
        costs = cost(*sides, largest, processes=N_PROCESSES, trust=trust)
    moved = NOT_ASKED if trajectories is None else trajectories()
    if moved is None:
        return None
    return Replacement(
        question=question,
        baseline=sides[0],
        candidate=sides[1],
        n_structures=len(labelled),
        protocol=errors.protocol,
        deficient=errors.deficient,
        paired=tuple(paired(labelled, *errors.squared, question)),
        thresholds=tuple(thresholds(labelled, errors.squared, limits, question.seed)),
        differences=tuple(_differences(*sides, labelled)),
        audit=_audited(*sides, errors.rows),
        evaluators=evaluated,
        soundness=sound,
        cost=costs,
        dynamics=moved,
    )


def _audited(baseline: Side, candidate: Side, rows: Rows | None) -> Audit | str:
    """What was found, or why nothing was."""
    if rows is None or baseline.linear is None or candidate.linear is None:
        return "a basis can be taken apart where both models are linear and hold the recipe that they were fitted by"
    try:
        return audit(baseline.linear, candidate.linear, rows)
    except InputError as error:
        return str(error)


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
