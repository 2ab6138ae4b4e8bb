"""What one set of functions can express of another."""

from __future__ import annotations

import numpy as np
import pytest

from mdsuite_analysis.span import REDUNDANT, out_of_reach, span

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((60, 8)) * 10.0 ** np.arange(-4, 4)


def test_a_full_matrix_has_the_rank_of_its_columns_whatever_their_size():
    found = span(MATRIX)
    assert (found.rank, found.n_functions) == (8, 8)
    assert found.condition < 10.0


def test_a_combination_of_others_adds_no_rank():
    found = span(np.hstack([MATRIX, MATRIX @ np.ones((8, 1))]))
    assert (found.rank, found.condition) == (8, float("inf"))


def test_what_is_in_a_span_is_in_reach():
    assert out_of_reach(MATRIX @ RNG.standard_normal((8, 3)), MATRIX).max() < 1e-3 * REDUNDANT


def test_what_has_nothing_in_common_with_a_span_is_out_of_reach():
    q, _ = np.linalg.qr(RNG.standard_normal((60, 9)))
    assert out_of_reach(7.0 * q[:, 8:], q[:, :8])[0] == pytest.approx(1.0)


@pytest.mark.parametrize("share", [1e-4, 0.1, 0.7])
def test_the_share_out_of_reach_is_told(share: float):
    q, _ = np.linalg.qr(RNG.standard_normal((60, 9)))
    mixed = np.sqrt(1.0 - share**2) * q[:, :1] + share * q[:, 8:]
    assert out_of_reach(mixed, q[:, :8])[0] == pytest.approx(share, rel=1e-6)


def test_columns_that_hardly_differ_still_span_both():
    near = np.hstack([MATRIX[:, :1], MATRIX[:, :1] * (1.0 + 1e-9 * RNG.standard_normal((60, 1)))])
    assert out_of_reach(near, near).max() < REDUNDANT


def test_a_function_that_is_zero_everywhere_is_in_every_span():
    assert out_of_reach(np.zeros((60, 1)), MATRIX)[0] == 0.0


def test_too_few_rows_to_tell_are_refused():
    with pytest.raises(ValueError, match="more structures"):
        out_of_reach(MATRIX[:8], MATRIX[:8])
