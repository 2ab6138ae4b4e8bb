"""Causes: what the evidence attributes a failure to, by the names that other programs rely on."""

from __future__ import annotations

from dataclasses import dataclass

ENGINE_MISMATCH = "engine_mismatch"
UNIT_MISMATCH = "unit_mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A cause with its evidence.

    share : of the drift, or None where it is not one of a drift
    evidence : names of the measurements that show it
    sentence : the same with the numbers
    """

    name: str
    share: float | None
    evidence: tuple[str, ...]
    remedy: str
    sentence: str
