"""What is asked of two models, what was found, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mdsuite.dynamics import Dynamics
from mdsuite.judgement.judge import Verdict
from mdsuite.linear.data import Keys
from mdsuite.linear.design import ENERGY, FORCES, VIRIAL
from mdsuite.replacement.audit import Audit
from mdsuite.replacement.cost import Cost
from mdsuite.replacement.evaluators import Evaluator
from mdsuite.replacement.residuals import Deficient
from mdsuite.replacement.sides import Side
from mdsuite.replacement.soundness import Soundness
from mdsuite.replacement.thresholds import Threshold
from mdsuite_analysis.paired import Ratio, Standing, together

UNITS = {ENERGY: "meV/atom", FORCES: "meV/Å", VIRIAL: "meV/atom"}
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of two models.

    train : files that linear models are fitted to anew; none, and they are fitted to parts of `data`
    also : further trainings of baseline and candidate
    thresholds : present ones, if there are any
    margin : share by which errors may differ and count as equivalent
    quick : errors, differences and bases alone
    """

    data: tuple[Path, ...]
    keys: Keys
    train: tuple[Path, ...] = ()
    also: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    thresholds: Path | None = None
    margin: float = 0.05
    folds: int = 5
    repeats: int = 5
    seed: int = 0
    quick: bool = False


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
class Reason:
    """What something that was measured says of the candidate, in words."""

    what: str
    says: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What was found.

    protocol : how errors were come by, in words
    deficient : of each model, fits whose rows did not determine all coefficients
    audit : what was found of the bases, or why nothing was
    evaluators : of each model
    soundness, cost, dynamics : what was found, or why nothing was
    """

    question: Question
    baseline: Side
    candidate: Side
    n_structures: int
    protocol: str
    deficient: tuple[Deficient | None, Deficient | None]
    paired: tuple[Paired, ...]
    thresholds: tuple[Threshold, ...]
    differences: tuple[Difference, ...]
    audit: Audit | str
    evaluators: tuple[tuple[Evaluator, ...], tuple[Evaluator, ...]] | str
    soundness: Soundness | str
    cost: Cost | str
    dynamics: Dynamics | str

    @property
    def reasons(self) -> list[Reason]:
        """Everything that the standing rests on."""
        return [*self._of_errors(), *self._of_answers(), *self._of_trajectories()]

    @property
    def standing(self) -> Standing:
        """What is worse in one respect is worse; equivalence needs all of them."""
        return together([each.says for each in self.reasons])

    @property
    def errors_say(self) -> Standing:
        """From the errors of every kind on all structures."""
        return together([each.ratio.says for each in self.paired if each.group == ALL])

    @property
    def accepted(self) -> bool:
        """Whether the candidate may take the baseline's place."""
        return self.standing in (Standing.EQUIVALENT, Standing.BETTER)

    @property
    def wanted(self) -> int | None:
        """How many structures would decide, where these do not and it can be told."""
        known = [each.ratio.wanted for each in self.paired if each.group == ALL and each.ratio.wanted]
        return max(known, default=None) if self.standing is Standing.INCONCLUSIVE else None

    def _of_errors(self) -> Iterator[Reason]:
        for each in self.paired:
            if each.group == ALL:
                yield Reason(what=f"held-out errors of the {each.kind}", says=each.ratio.says)
        for threshold in self.thresholds:
            if threshold.says is not Standing.EQUIVALENT:
                what = f"the threshold on the {threshold.kind} of {threshold.group}, which the baseline meets"
                yield Reason(what=what, says=threshold.says)

    def _of_answers(self) -> Iterator[Reason]:
        if not isinstance(self.evaluators, str):
            differ = [[each.name for each in of if each.agrees is False] for of in self.evaluators]
            if new := [each for each in differ[1] if each not in differ[0]]:
                yield Reason(what=f"its own evaluators differ: {', '.join(new)}", says=Standing.WORSE)
        if not isinstance(self.soundness, str):
            for of, says in ((self.soundness.lost, Standing.WORSE), (self.soundness.open, Standing.INCONCLUSIVE)):
                for each in of:
                    yield Reason(what=f"static check: {each.criterion.label}", says=says)

    def _of_trajectories(self) -> Iterator[Reason]:
        if isinstance(self.dynamics, str):
            return
        yield Reason(what="verdicts on trajectories", says=_ranked(*self.dynamics.verdicts))
        if self.dynamics.apart and self.errors_say is not Standing.BETTER:
            names = ", ".join(dict.fromkeys(each.criterion.label for each in self.dynamics.apart))
            yield Reason(what=f"trajectories are not those of the baseline: {names}", says=Standing.INCONCLUSIVE)


def _ranked(baseline: Verdict, candidate: Verdict) -> Standing:
    """What was condemned is worse than what was not; what is open is not known to be as good as what was approved."""
    rank = {Verdict.APPROVED: 0, Verdict.NOT_RECOMMENDED: 2}
    ours, theirs = rank.get(baseline, 1), rank.get(candidate, 1)
    if theirs <= ours:
        return Standing.BETTER if ours == 2 and theirs == 0 else Standing.EQUIVALENT
    return Standing.WORSE if theirs == 2 else Standing.INCONCLUSIVE
