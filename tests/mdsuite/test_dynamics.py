"""Verdicts on two models are beside each other, and one that is not the same is never left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mdsuite.campaign import read_campaign
from mdsuite.dynamics import changed, paired
from mdsuite.exporting.report import of_what
from mdsuite.judgement.criteria import read_profile
from mdsuite.judgement.judge import Judged, Outcome
from mdsuite.plan import make_plan
from mdsuite_driver.models.painn import PaiNN, PaiNNConfig, checkpoint

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


@pytest.mark.parametrize(("replica", "said"), [("0", "ethanol, replica 0"), ("all 4", "ethanol, all 4 replicas")])
def test_it_is_said_of_which_replicas_a_verdict_is(replica: str, said: str):
    assert of_what((None, judged(Outcome.PASS, "b", replica=replica))) == said


def test_models_of_one_name_are_told_apart_by_their_weights(tmp_path: Path):
    for seed, folder in enumerate(("old", "new")):
        torch.manual_seed(seed)
        network = PaiNN(PaiNNConfig(species=(1, 6, 8), hidden=4, n_interactions=1, n_rbf=4, cutoff=4.0))
        (tmp_path / folder).mkdir()
        torch.save(checkpoint(network, {}), tmp_path / folder / "model.pt")
    sources = [str(tmp_path / folder / "model.pt") for folder in ("old", "new")]
    plan = make_plan(read_campaign(None, {"models": sources, "structures": ["ethanol"]}, dynamics={"replicas": 1}))
    assert [card.name for card in plan.cards] == [f"model-{card.sha256[:8]}" for card in plan.cards]
    assert [run.model_name for run in plan.runs] == [card.name for card in plan.cards]
    alone = make_plan(read_campaign(None, {"models": sources[:1], "structures": ["ethanol"]}))
    assert [card.name for card in alone.cards] == ["model"]
