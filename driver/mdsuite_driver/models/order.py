"""Sums whose terms are added in one order, so that the same question has the same answer to the bit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def in_one_order(wanted: bool) -> Iterator[None]:
    """While this is entered, PyTorch makes sums over pairs such that several threads do not add to one number at will.

    Such sums differ in the last bits from one evaluation to the next. Raises RuntimeError, where it is used, for what
    PyTorch cannot do so.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(wanted)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
