"""Verdicts on two models are beside each other, and one that is not the same is never left out."""

from __future__ import annotations

import pytest

from mdsuite.dynamics import changed, paired
from mdsuite.judgement.criteria import read_profile
from mdsuite.judgement.judge import Judged, Outcome

DRIFT = next(each for each in read_profile("production-nve").criteria if each.measurement == "energy_drift")


def judged(outcome: Outcome, model: str, **subject: str) -> Judged:
    of = {"structure": "ethanol", "run": f"run of {model}", "model": model, **subject}
    return Judged(criterion=DRIFT, measurement=None, limit=(-1.0, 1.0), outcome=outcome, subject=of)


def test_the_same_verdicts_on_two_models_are_no_change():
    pairs = paired([judged(Outcome.PASS, "a")], [judged(Outcome.PASS, "b")])
    assert (len(pairs), changed(pairs)) == (1, [])


@pytest.mark.parametrize("theirs", [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.NOT_RUN])
def test_another_outcome_is_a_change(theirs: Outcome):
    ours, other = judged(Outcome.PASS, "a"), judged(theirs, "b")
    assert changed(paired([ours], [other])) == [(ours, other)]


def test_verdicts_on_other_replicas_are_not_beside_each_other():
    first, second = (judged(Outcome.PASS, "a", replica=k) for k in "01")
    failed = judged(Outcome.FAIL, "b", replica="1")
    kept = judged(Outcome.PASS, "b", replica="0")
    assert changed(paired([first, second], [failed, kept])) == [(second, failed)]


@pytest.mark.parametrize("turned", [False, True])
def test_a_verdict_that_only_one_model_has_is_a_change(turned: bool):
    alone = judged(Outcome.FAIL, "b", replica="3")
    both = ([alone], []) if turned else ([], [alone])
    assert changed(paired(*both)) == [(alone, None) if turned else (None, alone)]
