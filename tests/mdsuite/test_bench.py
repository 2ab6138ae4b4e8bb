"""Benchmarks: contenders in turns, ratios with intervals, and what did not run told as such."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from campaigns import command

from mdsuite.bench import benchmarks, interleaved
from mdsuite.bench.contenders import CONTENDERS, lammps_in_process
from mdsuite.bench.interleaved import Task, Timed, measured


def task(contender: str = "model alone", n_atoms: int = 30, steps: int = 100) -> Task:
    return Task(contender=contender, model="nothing:", structure="", n_atoms=n_atoms, steps=steps)


def quietly(_what: str) -> None:
    """Hear nothing."""


def test_a_ratio_knows_what_the_machine_did_to_both():
    """A machine that is four times as slow in every other round changes times, and not their ratio."""
    slow = np.array([1.0, 4.0, 1.0, 4.0])
    ours, theirs = (Timed(task=task(), seconds=tuple(factor * slow)) for factor in (1e-3, 3e-3))
    ratio = theirs.slower_than(ours)
    assert (ratio.value, ratio.ci) == (pytest.approx(3.0), pytest.approx((3.0, 3.0)))
    assert ours.step.ci is not None
    low, high = ours.step.ci
    assert low < 1000.0
    assert high > 4000.0


def test_contenders_take_turns_and_one_that_fails_is_told(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def once(of: Task) -> float | str:
        asked.append(of.contender)
        return "it has no legs" if of.contender == "lame" else 1e-3

    monkeypatch.setattr(interleaved, "_once", once)
    found = measured([task("a"), task("lame"), task("b")], 3, quietly)
    assert asked == ["a", "lame", "b", "a", "b", "a", "b"]
    assert [(each.seconds, each.reason) for each in found] == [
        ((1e-3,) * 3, ""),
        ((), "it has no legs"),
        ((1e-3,) * 3, ""),
    ]


def test_the_exponent_of_a_known_cost_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    random = np.random.default_rng(0)
    monkeypatch.setattr(interleaved, "_once", lambda of: 1e-6 * of.n_atoms**1.5 * random.lognormal(0.0, 0.02))
    structures = ("ethanol", "uracil", "aspirin")
    found = benchmarks.scaling("painn-tiny", structures, 20, 5, quietly, threads=1, trust=False)
    assert len(found.slopes) == 2  # as it is, and compiled
    for slope in found.slopes:
        assert slope.ci is not None
        assert slope.ci[0] < 1.5 < slope.ci[1]


@pytest.mark.parametrize("contender", ["model alone", "ASE in its process", "ASE (mdsuite)"])
def test_contenders_are_timed(contender: str):
    assert 0.0 < CONTENDERS[contender](task(contender, steps=3000)) < 1.0


def test_lammps_calls_a_model_in_its_process():
    assert 0.0 < lammps_in_process(task("LAMMPS, callback in its process")) < 1.0


def test_a_report_has_what_was_measured_and_what_was_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(interleaved, "_once", lambda of: "no i-PI" if "i-PI" in of.contender else 1e-4)
    done = command("bench", "coupling", "--atoms", 30, "--rounds", 2, "--output", tmp_path)
    assert done.exit_code == 3
    content = json.loads((tmp_path / "results.json").read_text())
    assert {each["reason"] for each in content["not_run"]} == {"no i-PI"}
    assert {each["name"] for each in content["measurements"]} == {"step_time", "step_time_ratio"}
    assert "not run: no i-PI" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "report.html").exists()


def test_too_few_sizes_and_models_that_are_not_there_are_refused(tmp_path: Path):
    for arguments, said in (
        (["scaling", "painn-tiny", "--structure", "ethanol"], "several numbers of atoms"),
        (["model", "painn-tony"], "did you mean painn-tiny"),
        (["model", "compiled:painn-tiny"], "leave compiled: out"),
    ):
        done = command("bench", *arguments, "--steps", 20, "--rounds", 2, "--output", tmp_path)
        assert (done.exit_code, said in done.output) == (2, True), done.output


@pytest.mark.slow
def test_every_contender_of_the_coupling_is_timed(tmp_path: Path):
    done = command("bench", "coupling", "--atoms", 30, "--steps", 2000, "--rounds", 2, "--output", tmp_path)
    assert done.exit_code == 0, done.output
