"""`mdsuite explain` knows every name that a report can hold."""

from __future__ import annotations

import pytest
from campaigns import command

from mdsuite.explanation import explain, known_names, lines
from mdsuite.judgement.causes import REMEDIES


@pytest.mark.parametrize("name", known_names())
def test_every_criterion_and_cause_is_explained(name: str):
    found = explain(name)
    assert found.remedy if name in REMEDIES else found.definition and found.criteria
    said = "\n".join(lines(found))
    assert all(criterion.source in said and criterion.remedy in said for _, criterion in found.criteria)


def test_a_formula_is_that_of_the_function_that_measures():
    said = command("explain", "Forces sum to zero").output
    assert "|ΣF| / (√N rms F)" in said
    assert "mdsuite_analysis.statics.symmetry.net_force" in said


def test_a_name_that_is_not_known_is_refused_with_its_neighbours():
    refused = command("explain", "cutof_energy_jmp")
    assert (refused.exit_code, "did you mean cutoff_energy_jump" in refused.output) == (2, True)
    listed = command("explain")
    assert (listed.exit_code, "energy_drift" in listed.output.splitlines()) == (0, True)
