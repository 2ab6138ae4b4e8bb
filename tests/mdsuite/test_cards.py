"""A card says what was measured of these very weights, and what was not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mdsuite.cards.card import Carded, write_cards
from mdsuite.cards.evidence import evidence_of, read_results
from mdsuite.cli import main
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import ModelCard

CARD = load("argon-lj").card
CONDITIONS = {"model": CARD.name, "structure": "argon", "engine": "lammps", "temperature_K": "60", "timestep_fs": "4"}


def card(output: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["card", *map(str, arguments), "--output", str(output)], catch_exceptions=False)


def folder(path: Path, **changes: Any) -> Path:
    """A folder with results as of a run of the bundled argon."""
    content = {
        "schema": "mdsuite-results/1",
        "verdict": "APPROVED",
        "models": [{"name": CARD.name, "sha256": CARD.sha256, "verdict": "APPROVED"}],
        "provenance": {"date": "2026-01-01"},
        "measurements": [
            {"name": "mean_drift", "value": 0.2, "ci": [0.1, 0.3], "unit": "meV/atom/ps", "subject": CONDITIONS},
            {"name": "safe_horizon", "value": 50.0, "ci": [20.0, 90.0], "unit": "ps", "subject": CONDITIONS},
        ],
        "verdicts": [{"criterion": "Energy drift", "outcome": "pass", "subject": CONDITIONS}],
        "causes": [],
        "envelopes": [],
        "runs": [{"id": "1"}],
    }
    path.mkdir()
    (path / "results.json").write_text(json.dumps({**content, **changes}))
    return path


def written(tmp_path: Path, *folders: Path, of: ModelCard = CARD) -> str:
    carded = Carded(evidence_of(of, read_results(folders)), None)
    return write_cards([carded], tmp_path / "cards").read_text()


def test_a_model_without_results_is_not_approved_of_anything(tmp_path: Path):
    result = card(tmp_path / "o", "argon-lj")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "o" / "argon-lj.md").read_text()
    assert "any dynamics without a trial" in text
    assert "Not measured: `mdsuite run`" in text
    assert " ms for argon (108 atoms)" in text
    assert "APPROVED" not in text


def test_results_of_these_weights_are_told_with_their_conditions(tmp_path: Path):
    text = written(tmp_path, folder(tmp_path / "run"))
    assert "| lammps | argon | 60 | 4 | APPROVED | 0.200 [0.100, 0.300] meV/atom/ps | at least 20.0 ps |" in text


def test_results_of_other_weights_are_not_used(tmp_path: Path):
    text = written(tmp_path, folder(tmp_path / "run"), of=dataclasses.replace(CARD, sha256="0" * 64))
    assert "of other weights of the same name" in text
    assert "APPROVED" not in text


def test_what_failed_is_what_a_model_must_not_be_used_for(tmp_path: Path):
    verdicts = [{"criterion": "Energy drift", "outcome": "fail", "subject": CONDITIONS}]
    cause = {"name": "cutoff_discontinuity", "remedy": "make it smooth", "share": 1.0, "evidence": []}
    other = {"name": "precision", "remedy": "compute in float64", "share": 1.0, "evidence": [], "model": "another"}
    causes = [{**cause, "model": CARD.name}, other]
    text = written(tmp_path, folder(tmp_path / "run", verdicts=verdicts, causes=causes))
    limits = text[text.index("must not be used for") : text.index("## Forces")]
    assert "argon in lammps, 60 K, 4 fs: NOT RECOMMENDED" in limits
    assert "`cutoff_discontinuity`: make it smooth" in text
    assert "compute in float64" not in text


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"timestep_fs": "8"}, "APPROVED"),
        ({"temperature_K": "90"}, "APPROVED"),
        ({"engine": "ase"}, "APPROVED"),
        ({"structure": "ethanol"}, "APPROVED"),
        ({}, "NOT RECOMMENDED"),
    ],
)
def test_a_failure_counts_under_the_conditions_where_it_happened(tmp_path: Path, changed: dict[str, str], verdict: str):
    verdicts = [
        {"criterion": "Energy drift", "outcome": "pass", "subject": CONDITIONS},
        {"criterion": "Energy drift", "outcome": "fail", "subject": {**CONDITIONS, **changed}},
    ]
    text = written(tmp_path, folder(tmp_path / "run", verdicts=verdicts))
    assert f"| lammps | argon | 60 | 4 | {verdict} |" in text


def test_a_static_check_that_fails_counts_under_all_conditions(tmp_path: Path):
    static = {"model": CARD.name, "structure": "silicon"}
    verdicts = [
        {"criterion": "Energy drift", "outcome": "pass", "subject": CONDITIONS},
        {"criterion": "Forces", "outcome": "fail", "subject": static},
    ]
    assert "| 60 | 4 | NOT RECOMMENDED |" in written(tmp_path, folder(tmp_path / "run", verdicts=verdicts))


def test_several_models_make_a_table_to_choose_by(tmp_path: Path):
    results = read_results([folder(tmp_path / "run")])
    other = dataclasses.replace(CARD, name="other", sha256="1" * 64)
    table = write_cards([Carded(evidence_of(each, results), None) for each in (CARD, other)], tmp_path / "cards")
    assert table.name == "decision.md"
    assert "| argon in lammps, 60 K, 4 fs | APPROVED | not measured |" in table.read_text()


def test_forces_of_a_reference_are_told(tmp_path: Path):
    arguments = ["forces", "argon-lj", "--teacher", "ase:mdsuite_driver.zoo:clean?host=argon", "--structure", "argon"]
    CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "f")], catch_exceptions=False)
    assert "Against ase:mdsuite_driver.zoo:clean?host=argon, 1 frame (" in written(tmp_path, tmp_path / "f")


@pytest.mark.parametrize(("content", "said"), [(None, "no results.json"), ("{}", "not what mdsuite writes")])
def test_a_folder_without_results_is_refused(tmp_path: Path, content: str | None, said: str):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    result = card(tmp_path / "o", "argon-lj", "--from", tmp_path)
    assert (result.exit_code, said in result.output) == (2, True), result.output
