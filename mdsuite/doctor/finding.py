"""What was found of one thing that a campaign needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """`wrong` keeps campaigns from running, `missing` takes away what some of them need."""

    FINE = "fine"
    MISSING = "missing"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing: what was found, and what to do where it is not fine."""

    name: str
    state: State
    found: str
    remedy: str = ""


def worst(findings: Iterable[Finding]) -> State:
    """Of all."""
    states = {each.state for each in findings}
    return next((each for each in (State.WRONG, State.MISSING) if each in states), State.FINE)
