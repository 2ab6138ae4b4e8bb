"""A model is checked without a trajectory, over the wire."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mdsuite.cli import main
from mdsuite.examination import Examination, Subject, examine
from mdsuite.judgement.criteria import read_profile
from mdsuite.judgement.judge import Verdict
from mdsuite.plan import Structure
from mdsuite.structures import read_structure
from mdsuite_driver.models.load import load

NARROW = """
title = "the gradient alone"
[[criteria]]
measurement = "force_energy_consistency"
label = "Forces are the derivative of the energy"
high = 3e-4
unit = "1"
source = "test"
remedy = "take the gradient"
"""

REFUSES = """
from ase.calculators.calculator import Calculator

class Refuses(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, *args, **kwargs):
        raise RuntimeError("not today")
"""


PARTIAL = """
import sys

from ase.calculators.lj import LennardJones

class Elsewhere(LennardJones):
    def __init__(self, factor):
        super().__init__(sigma=3.4, epsilon=0.01, rc=6.0, smooth=True)
        self.factor = factor if any("mdsuite_driver" in word for word in sys.orig_argv) else 1.0

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        for name in ("energy", "forces", "stress"):
            self.results[name] = self.factor * self.results[name]
"""


def check(output: Path, *arguments: object) -> Result:
    flags = [*map(str, arguments), "--output", str(output)]
    return CliRunner().invoke(main, ["check", *flags], catch_exceptions=False)


def results(output: Path) -> dict[str, Any]:
    return json.loads((output / "results.json").read_text())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    output = tmp_path_factory.mktemp("sound") / "o"
    return check(output, "argon-lj", "--structure", "argon"), output


def test_a_sound_model_is_approved(sound):
    result, output = sound
    assert (result.exit_code, results(output)["causes"]) == (0, []), result.output


def test_everything_that_the_checks_promise_is_measured(sound):
    names = {each["name"] for each in results(sound[1])["measurements"]}
    assert {
        "force_energy_consistency",
        "virial_consistency",
        "jacobian_asymmetry",
        "loop_work",
        "cutoff_energy_jump",
        "rotation_energy_spread",
        "permutation_energy_spread",
        "net_force",
        "extensivity_error",
        "repeatability_force",
        "history_force",
        "effective_digits",
        "driver_parity",
    } <= names


def test_the_driver_answers_as_the_model_in_this_process(sound):
    (parity,) = [each for each in results(sound[1])["measurements"] if each["name"] == "driver_parity"]
    assert parity["value"] < 1e-12


@pytest.mark.parametrize(("factor", "causes"), [(1.001, ["engine_mismatch"]), (1.0, [])])
def test_a_model_that_answers_otherwise_in_a_driver_is_told(factor: float, causes: list[str], tmp_path: Path):
    (tmp_path / "partial.py").write_text(PARTIAL)
    found = examined(tmp_path, f"ase:{tmp_path / 'partial.py'}:Elsewhere?factor={factor}", "repetition")
    assert [each.name for each in found.causes] == causes
    assert found.verdict is (Verdict.NOT_RECOMMENDED if causes else Verdict.APPROVED)


def test_a_second_time_nothing_is_asked_again_but_the_parity(sound):
    check(sound[1], "argon-lj", "--structure", "argon")
    assert "\n1 evaluations." in (sound[1] / "report.md").read_text()


def examined(folder: Path, source: str, *names: str) -> Examination:
    """Argon by some of the checks."""
    subject = Subject(source=source, card=load(source, trust=True).card, trust=True, threads=1)
    structure = Structure("argon", "argon", read_structure("argon"))
    return examine(subject, [structure], read_profile("static"), folder / "o", names=names)


def test_a_truncated_potential_is_named_as_one(tmp_path: Path):
    found = examined(tmp_path, "ase:mdsuite_driver.zoo:truncated?strength=1", "vacuum", "gradient")
    assert found.verdict is Verdict.NOT_RECOMMENDED
    (cause,) = found.causes
    assert (cause.name, "cutoff_energy_jump" in cause.evidence) == ("cutoff_discontinuity", True)


@pytest.mark.parametrize(("strength", "causes"), [(1e-3, ["non_conservative_forces"]), (0.0, [])])
def test_forces_that_are_a_thousandth_too_large_are_found(strength: float, causes: list[str], tmp_path: Path):
    found = examined(tmp_path, f"ase:mdsuite_driver.zoo:scaled?strength={strength}&host=argon", "gradient")
    assert [each.name for each in found.causes] == causes


@pytest.mark.parametrize(("model", "causes"), [("arithmetic?dtype=float32", ["precision"]), ("clean?", [])])
def test_a_model_is_held_to_the_precision_that_it_is_said_to_have(model: str, causes: list[str], tmp_path: Path):
    source = f"ase:mdsuite_driver.zoo:{model}&host=argon"
    card = dataclasses.replace(load(source).card, dtype="float64")
    subject = Subject(source=source, card=card, trust=False, threads=1)
    structure = Structure("argon", "argon", read_structure("argon"))
    found = examine(subject, [structure], read_profile("static"), tmp_path / "o", names=("precision",))
    assert [each.name for each in found.causes] == causes
    assert not examined(tmp_path, source, "precision").causes


@pytest.mark.parametrize(("strength", "causes"), [(1.0, ["nondeterminism"]), (0.0, [])])
def test_a_wrong_answer_in_a_hundred_is_chance_and_no_broken_symmetry(
    strength: float, causes: list[str], tmp_path: Path
):
    source = f"ase:mdsuite_driver.zoo:rare_outlier?strength={strength}&host=argon&every=100&seed=0"
    found = examined(tmp_path, source, "symmetry")
    assert [each.name for each in found.causes] == causes


@pytest.mark.parametrize(("strength", "verdict"), [(1, Verdict.NOT_RECOMMENDED), (0, Verdict.APPROVED)])
def test_an_answer_that_is_no_number_is_a_failure_and_no_refusal(strength: int, verdict: Verdict, tmp_path: Path):
    found = examined(tmp_path, f"ase:mdsuite_driver.zoo:nan_gap?strength={strength}&host=argon", "vacuum")
    assert found.verdict is verdict


def test_a_model_that_gives_no_answer_is_not_run_and_not_approved(tmp_path: Path):
    (tmp_path / "refuses.py").write_text(REFUSES)
    (tmp_path / "narrow.toml").write_text(NARROW)
    model = f"ase:{tmp_path / 'refuses.py'}:Refuses"
    flags = ["--trust", "--structure", "ethanol", "--profile", tmp_path / "narrow.toml"]
    assert check(tmp_path / "o", model, *flags).exit_code == 3
    (judged,) = results(tmp_path / "o")["verdicts"]
    assert judged["outcome"] == "not run"


def test_code_that_is_not_trusted_is_not_run(tmp_path: Path):
    (tmp_path / "refuses.py").write_text(REFUSES)
    assert check(tmp_path / "o", f"ase:{tmp_path / 'refuses.py'}:Refuses", "--structure", "ethanol").exit_code == 2
