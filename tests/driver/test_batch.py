"""Several configurations at once: each is answered as it is alone, and what a pack says is read when whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mdsuite.structures import configuration, read_structure
from mdsuite_driver import pack
from mdsuite_driver.dialect import Failure
from mdsuite_driver.models.batch import Batch, batch_of
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration, Evaluation, ModelError
from mdsuite_driver.wire import WireError

STUDENT = "painn-ultra-tiny"


def structure(name: str) -> Configuration:
    of = configuration(read_structure(name))
    return Configuration(numbers=of.numbers, positions=of.positions, cell=of.cell, pbc=of.pbc)


def moved(of: Configuration, seed: int) -> Configuration:
    random = np.random.default_rng(seed)
    return replace(of, positions=of.positions + random.normal(scale=0.05, size=of.positions.shape))


@pytest.mark.parametrize(
    ("source", "names"), [(STUDENT, ("ethanol", "aspirin", "ethanol")), ("si-ace", ("silicon", "silicon"))]
)
def test_each_is_answered_as_it_is_alone(source: str, names: Sequence[str]):
    model = load(source)
    asked = [moved(structure(name), k) for k, name in enumerate(names)]
    for one, answer in zip(asked, batch_of(model).evaluate(asked), strict=True):
        alone = model.evaluate(one)
        assert answer.energy == pytest.approx(alone.energy, abs=1e-10)
        assert answer.forces == pytest.approx(alone.forces, abs=1e-11)
        assert answer.virial == pytest.approx(alone.virial, abs=1e-10)


def test_the_same_beside_the_same_is_the_same_to_the_bit():
    asked = [moved(structure("ethanol"), k) for k in range(3)]
    one, other = (batch_of(load(STUDENT)).evaluate(asked) for _ in range(2))
    assert [each.energy for each in one] == [each.energy for each in other]
    assert all(np.array_equal(a.forces, b.forces) for a, b in zip(one, other, strict=True))


def test_atoms_without_neighbours_have_the_energies_of_lone_atoms():
    far = Configuration(
        numbers=np.array([1, 8]), positions=np.diag([0.0, 40.0, 0.0])[:2], cell=np.zeros((3, 3)), pbc=(False,) * 3
    )
    model = load(STUDENT)
    for answer in batch_of(model).evaluate([far, far]):
        assert answer.energy == pytest.approx(model.evaluate(far).energy, abs=1e-12)
        assert not answer.forces.any()


def test_an_element_that_the_model_does_not_know_is_refused():
    gold = replace(structure("ethanol"), numbers=np.full(9, 79))
    with pytest.raises(ModelError, match="79"):
        batch_of(load(STUDENT)).evaluate([structure("ethanol"), gold])


def test_a_model_that_takes_one_at_a_time_says_so():
    with pytest.raises(ModelError, match="one structure at a time"):
        batch_of(load("argon-lj"))


class OneFails(Batch):
    """Energy 1 eV for each, but for those whose first atom is beyond 5 Å, which end the whole batch."""

    def __init__(self) -> None:
        """Of nothing."""

    def evaluate(self, configurations: Sequence[Configuration]) -> list[Evaluation]:
        """Raises RuntimeError for the far ones."""
        if any(each.positions[0, 0] > 5.0 for each in configurations):
            raise RuntimeError("too far")
        return [
            Evaluation(energy=1.0, forces=np.ones((len(each.numbers), 3)), virial=np.eye(3)) for each in configurations
        ]


def three(*places: float) -> Configuration:
    positions = np.zeros((6, 3))
    positions[::2, 0] = places
    return Configuration(numbers=np.ones(6, dtype=np.int64), positions=positions, cell=np.eye(3), pbc=(False,) * 3)


def test_the_member_that_ends_a_batch_is_found_and_the_others_are_answered():
    answers = pack.evaluate(OneFails(), pack.members(three(0.0, 6.0, 1.0), 3), max_force=None)
    assert [isinstance(each, Failure) for each in answers] == [False, True, False]
    failure = answers[1]
    assert isinstance(failure, Failure) and failure.message == "RuntimeError: too far"


def test_a_force_beyond_the_limit_is_that_of_its_member():
    answers = pack.evaluate(OneFails(), pack.members(three(0.0, 1.0, 2.0), 3), max_force=1.0)
    assert all(isinstance(each, Failure) and each.kind == "huge_force" for each in answers)


def test_what_members_are_answered_comes_back_to_the_bit():
    random = np.random.default_rng(0)
    answers: list[pack.Answer] = [
        Evaluation(energy=random.normal(), forces=random.normal(size=(2, 3)), virial=random.normal(size=(3, 3))),
        Failure("not_finite", "it is not", "there"),
        Evaluation(energy=random.normal(), forces=random.normal(size=(2, 3)), virial=random.normal(size=(3, 3))),
    ]
    whole, extras = pack.encode(answers, 2)
    back = pack.decode(whole, extras, 3)
    assert back[1] == answers[1]
    for one, other in ((answers[0], back[0]), (answers[2], back[2])):
        assert isinstance(one, Evaluation) and isinstance(other, Evaluation)
        assert one.energy == other.energy
        assert np.array_equal(one.forces, other.forces) and np.array_equal(one.virial, other.virial)
    assert not whole.forces[2:4].any()


@pytest.mark.parametrize(
    "members",
    [
        None,
        [],
        {},
        {"energies": "AAAA", "virials": "", "failures": {}},
        {"energies": "!", "virials": "!", "failures": {}},
        {"energies": 3, "virials": 3, "failures": {}},
        {"failures": {"x": {}}},
    ],
)
def test_extras_that_do_not_tell_members_apart_are_refused(members: object):
    whole = Evaluation(energy=0.0, forces=np.zeros((4, 3)), virial=np.zeros((3, 3)))
    with pytest.raises(WireError, match="2 members"):
        pack.decode(whole, json.dumps({"mdsuite": 1, "members": members}), 2)
