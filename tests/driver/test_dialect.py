"""What mdsuite's two ends say beyond i-PI: read when whole, refused by name when malformed, ignored when another's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mdsuite_driver import dialect
from mdsuite_driver.soundness import HugeForceError, NotFiniteError, require_sound
from mdsuite_driver.wire import WireError

WATER = dialect.Species(np.array([8, 1, 1]), (True, True, False))


def announced(**changes: object) -> str:
    return json.dumps({**json.loads(dialect.announce(WATER, 50.0)), **changes})


def test_an_announcement_comes_back():
    read = dialect.read_announcement(dialect.announce(WATER, 50.0))
    assert read is not None
    assert (read.species.numbers.tolist(), read.species.pbc, read.max_force) == ([8, 1, 1], (True, True, False), 50.0)


def test_a_limit_may_be_left_out():
    read = dialect.read_announcement(dialect.announce(WATER, None))
    assert read is not None and read.max_force is None


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("numbers", [], "atomic numbers from 1 to 118"),
        ("numbers", [0], "atomic numbers"),
        ("numbers", [119], "atomic numbers"),
        ("numbers", [1.0], "atomic numbers"),
        ("numbers", [True], "atomic numbers"),
        ("numbers", "OHH", "atomic numbers"),
        ("numbers", {"8": 1}, "atomic numbers"),
        ("pbc", [True, True], "three directions"),
        ("pbc", [1, 1, 1], "three directions"),
        ("pbc", None, "three directions"),
        ("max_force", -1, "positive number or null"),
        ("max_force", float("nan"), "positive number or null"),
        ("max_force", "50", "positive number or null"),
        ("max_force", True, "positive number or null"),
        ("members", 2, "divide 3 atoms"),
        ("members", 0, "divide 3 atoms"),
        ("members", True, "divide 3 atoms"),
    ],
)
def test_a_malformed_announcement_is_refused_by_name(key: str, value: object, complaint: str):
    with pytest.raises(WireError, match=complaint):
        dialect.read_announcement(announced(**{key: value}))


@pytest.mark.parametrize(
    "text", ["", "driver", "{", "[1]", '{"mdsuite": 2}', "{}", "null", "[" * 100_000, "{" * 100_000, "9" * 10_000]
)
def test_somebody_elses_text_says_nothing(text: str):
    assert dialect.read_announcement(text) is None
    assert dialect.read_challenge(text) is None
    assert dialect.read_failure(text) is None


def test_a_challenge_is_not_an_announcement():
    text = dialect.challenge("n")
    assert (dialect.read_challenge(text), dialect.read_announcement(text)) == ("n", None)
    assert dialect.read_challenge('{"mdsuite": 1, "challenge": 3}') is None


def test_a_proof_is_of_its_token_and_of_its_nonce():
    assert len({dialect.proof(token, nonce) for token in "ab" for nonce in "ab"}) == 4


def test_a_failure_cannot_be_taken_for_an_evaluation():
    with pytest.raises(ValueError, match="no such element") as raised:
        raise ValueError("no such element")
    evaluation, extras = dialect.failed(raised.value, 3)
    with pytest.raises(NotFiniteError):
        require_sound(evaluation, 3)
    failure = dialect.read_failure(extras)
    assert failure is not None
    assert (failure.kind, failure.message) == (dialect.MODEL_ERROR, "ValueError: no such element")
    assert 'raise ValueError("no such element")' in failure.traceback


def test_a_failure_of_soundness_keeps_its_kind():
    failure = dialect.read_failure(dialect.failed(HugeForceError("too much"), 1)[1])
    assert failure is not None
    assert (failure.kind, failure.message) == ("huge_force", "too much")


def test_a_long_traceback_keeps_its_end():
    failure = dialect.read_failure(dialect.failed(RuntimeError("x" * 100_000 + "the end"), 1)[1])
    assert failure is not None
    assert len(failure.traceback) == dialect.LONGEST_TRACEBACK
    assert failure.traceback.rstrip().endswith("the end")
