"""Benchmarks: contenders in turns, ratios with intervals, and what did not run told as such."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from campaigns import command

from mdsuite.bench import benchmarks, contenders, interleaved
from mdsuite.bench.contenders import CONTENDERS, lammps_in_process
from mdsuite.bench.interleaved import Cost, Task, Timed, measured
from mdsuite.execution import supervise
from mdsuite.execution.supervise import Outcome
from mdsuite.runs import read_run
from mdsuite.structures import configuration, read_structure
from mdsuite_driver.models.compiled import network_of
from mdsuite_driver.models.load import load


def task(contender: str = "model alone", n_atoms: int = 30, steps: int = 100) -> Task:
    return Task(contender=contender, model="nothing:", structure="", n_atoms=n_atoms, steps=steps)


def cost(seconds: float) -> Cost:
    return Cost(seconds=seconds, memory=300.0)


def quietly(_what: str) -> None:
    """Hear nothing."""


def test_a_ratio_knows_what_the_machine_did_to_both():
    """A machine that is four times as slow in every other round changes times, and not their ratio."""
    slow = np.array([1.0, 4.0, 1.0, 4.0])
    ours, theirs = (Timed(task=task(), costs=tuple(map(cost, factor * slow))) for factor in (1e-3, 3e-3))
    ratio = theirs.slower_than(ours)
    assert (ratio.value, ratio.ci) == (pytest.approx(3.0), pytest.approx((3.0, 3.0)))
    assert ours.step.ci is not None
    low, high = ours.step.ci
    assert low < 1000.0
    assert high > 4000.0


def test_what_lies_where_it_is_asked_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "lammps.py").write_text("raise SystemExit('not of LAMMPS')")
    monkeypatch.chdir(tmp_path)
    (found,) = measured([task("LAMMPS, callback in its process")], 1, quietly)
    assert found.reason == ""


def test_contenders_take_turns_and_one_that_fails_is_told(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def once(of: Task) -> Cost | str:
        asked.append(of.contender)
        return "it has no legs" if of.contender == "lame" else cost(1e-3)

    monkeypatch.setattr(interleaved, "_once", once)
    found = measured([task("a"), task("lame"), task("b")], 3, quietly)
    assert asked == ["a", "lame", "b", "a", "b", "a", "b"]
    assert [(list(each.seconds), each.reason) for each in found] == [
        ([1e-3] * 3, ""),
        ([], "it has no legs"),
        ([1e-3] * 3, ""),
    ]


def test_the_exponent_of_a_known_cost_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    random = np.random.default_rng(0)
    monkeypatch.setattr(interleaved, "_once", lambda of: cost(1e-6 * of.n_atoms**1.5 * random.lognormal(0.0, 0.02)))
    structures = ("ethanol", "uracil", "aspirin")
    found = benchmarks.scaling("painn-tiny", structures, 20, 5, quietly, threads=1, trust=False)
    assert len(found.slopes) == 2  # as it is, and compiled
    for slope in found.slopes:
        assert slope.ci is not None
        assert slope.ci[0] < 1.5 < slope.ci[1]


@pytest.mark.parametrize(
    ("what", "able"),
    [
        (benchmarks.STEP, ["LAMMPS with a driver (mdsuite)", "ASE in its process", "TorchSim", "model alone"]),
        (benchmarks.AT_ONCE, ["runs at once (mdsuite)", "runs in packs (mdsuite)", "TorchSim"]),
        (benchmarks.BATCHES, ["one after the other", "as a batch"]),
    ],
)
def test_on_a_gpu_those_are_timed_who_can_be_there(
    monkeypatch: pytest.MonkeyPatch, what: benchmarks.OfModel, able: list[str]
):
    asked: list[Task] = []

    def once(of: Task) -> Cost | str:
        asked.append(of)
        return cost(1e-3)

    monkeypatch.setattr(interleaved, "_once", once)
    benchmarks.of_model(what, "cuda:painn-tiny", ["ethanol"], 20, 2, quietly, threads=1, trust=False)
    assert [each.contender for each in asked] == 2 * able
    assert {each.model for each in asked} == {"cuda:painn-tiny"}


@pytest.mark.parametrize(("unit", "one"), [("evaluation", "an evaluation"), ("step", "a step")])
def test_what_is_timed_has_its_article(unit: str, one: str):
    assert benchmarks.Benchmark(title="", unit=unit, timed=()).one == one


def test_the_exponent_against_runs_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Two at a time cost what one does."""
    monkeypatch.setattr(interleaved, "_once", lambda of: cost(1e-3 * -(-of.n_runs // 2)))
    flags = ["--runs", 4, "--runs", 8, "--runs", 2, "--rounds", 2, "--output", tmp_path]
    done = command("bench", "scaling", "painn-tiny", *flags)
    assert done.exit_code == 0, done.output
    measured = json.loads((tmp_path / "results.json").read_text())["measurements"]
    assert [each["value"] for each in measured if each["name"] == "cost_exponent"] == [pytest.approx(1.0)] * 5
    assert "8 at once" in done.output
    assert "runs^1" in done.output


def test_what_starting_takes_is_not_counted():
    assert contenders._of_a_step(lambda steps: 2.0 + 1e-3 * steps, 200) == pytest.approx(1e-3)


def test_a_start_that_hides_what_steps_take_is_told():
    with pytest.raises(RuntimeError, match=r"200 steps took 2 s and 50 took 3 s: .* give more --steps"):
        contenders._of_a_step(lambda steps: 2.0 if steps == 200 else 3.0, 200)


@pytest.fixture
def with_the_start(monkeypatch: pytest.MonkeyPatch):
    """Every step counts, and the start: what so few steps as those of a test take is hidden by it."""
    monkeypatch.setattr(contenders, "_of_a_step", lambda seconds, steps: seconds(steps))


@pytest.mark.usefixtures("with_the_start")
@pytest.mark.parametrize("how", ["at once", "in packs"])
def test_runs_at_once_are_timed(how: str):
    asked = replace(task(f"runs {how} (mdsuite)", steps=200), n_runs=2)
    assert CONTENDERS[asked.contender](asked) > 0.0


@pytest.mark.parametrize("contender", ["model alone", "ASE in its process", "ASE (mdsuite)"])
def test_contenders_are_timed(contender: str):
    assert CONTENDERS[contender](task(contender, steps=3000)) > 0.0


@pytest.mark.parametrize("how", ["TorchScript", "float32"])
def test_a_network_is_timed_in_other_forms(how: str):
    asked = replace(task(f"model alone, {how}", steps=20), model="painn-ultra-tiny", structure="ethanol")
    assert CONTENDERS[asked.contender](asked) > 0.0


@pytest.mark.parametrize("how", ["one after the other", "as a batch"])
def test_batches_are_timed(how: str):
    asked = replace(task(how, steps=20), model="painn-ultra-tiny", structure="ethanol", n_runs=3)
    assert CONTENDERS[asked.contender](asked) > 0.0


@pytest.mark.usefixtures("with_the_start")
@pytest.mark.parametrize("how", ["in batches", "over connections of a driver"])
def test_beads_are_timed(how: str):
    beads = replace(task(f"beads {how}", n_atoms=4, steps=20), n_runs=2)
    assert CONTENDERS[beads.contender](beads) > 0.0


def test_evaluations_that_take_long_are_fewer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(contenders, "ENOUGH", 0.0)
    assert contenders._repeated(lambda: None, 1000) == contenders.FEW


def test_a_contender_without_a_network_does_without_torch():
    """Or its memory would be that of torch."""
    code = "import sys, mdsuite.bench.contenders; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == "False"


def test_memory_is_that_of_the_process(tmp_path: Path):
    before = contenders.largest_memory()
    room = np.ones(2**25)  # 256 MiB
    assert contenders.largest_memory() >= before
    assert contenders.largest_memory() > room.nbytes / 2**20


def test_a_peer_that_is_not_installed_says_what_brings_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch_sim", None)
    monkeypatch.delitem(sys.modules, "mdsuite.bench.torchsim", raising=False)
    with pytest.raises(RuntimeError, match=r"mdsuite\[bench\]"):
        contenders.torchsim(task("TorchSim"))


def test_lammps_calls_a_model_in_its_process():
    assert lammps_in_process(task("LAMMPS, callback in its process")) > 0.0


def test_a_report_has_what_was_measured_and_what_was_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(interleaved, "_once", lambda of: "no i-PI" if "i-PI" in of.contender else cost(1e-4))
    done = command("bench", "coupling", "--atoms", 30, "--rounds", 2, "--output", tmp_path)
    assert done.exit_code == 3
    content = json.loads((tmp_path / "results.json").read_text())
    assert {each["reason"] for each in content["not_run"]} == {"no i-PI"}
    assert {each["name"] for each in content["measurements"]} == {
        *("step_time", "step_time_ratio", "peak_memory"),
    }
    assert "not run: no i-PI" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "report.html").exists()


def test_too_few_sizes_and_models_that_are_not_there_are_refused(tmp_path: Path):
    for arguments, said in (
        (["scaling", "painn-tiny", "--structure", "ethanol"], "several numbers of atoms"),
        (["scaling", "painn-tiny", "--runs", 2], "several numbers of runs"),
        (["model", "painn-tony"], "did you mean painn-tiny"),
        (["model", "compiled:painn-tiny"], "leave compiled: out"),
    ):
        done = command("bench", *arguments, "--steps", 20, "--rounds", 2, "--output", tmp_path)
        assert (done.exit_code, said in done.output) == (2, True), done.output


@pytest.mark.slow
def test_every_contender_of_the_coupling_is_timed(tmp_path: Path):
    done = command("bench", "coupling", "--atoms", 30, "--steps", 2000, "--rounds", 2, "--output", tmp_path)
    assert done.exit_code == 0, done.output


def test_a_run_that_is_over_too_soon_to_be_timed_is_made_longer(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def heard(_task: Task, _engine: str, steps: int, *, recorded: bool) -> list[tuple[float, int]]:
        assert recorded
        asked.append(steps)
        return [(2.0 * k, 10 * k) for k in range(4 if steps > 1000 else 3)]

    monkeypatch.setattr(contenders, "_heard_of", heard)
    assert CONTENDERS["LAMMPS with a driver (mdsuite)"](task(steps=100)) == pytest.approx(0.2)
    assert asked == [100, 400, 1600]


def test_what_is_not_recorded_is_one_chunk_whose_last_step_alone_is_a_frame(monkeypatch: pytest.MonkeyPatch):
    runs = []

    def supervised(folder: Path, **_told: object) -> Outcome:
        runs.append(read_run(folder))
        raise InterruptedError

    monkeypatch.setattr(supervise, "supervise", supervised)
    for contender in ("LAMMPS with a driver, not recorded (mdsuite)", "LAMMPS with a driver (mdsuite)"):
        with pytest.raises(InterruptedError):
            CONTENDERS[contender](task(steps=3000))
    assert [(each.n_steps, each.chunk_steps, each.frame_steps) for each in runs] == [
        (3000, 3000, 3000),
        (3000, 1000, 20),
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the package
def test_torchsim_with_our_network_answers_as_our_model():
    """Pip install 'mdsuite[bench]'."""
    import torch
    import torch_sim

    from mdsuite.bench.torchsim import Served

    model, atoms = load("painn-ultra-tiny"), read_structure("ethanol")
    wanted = model.evaluate(configuration(atoms))
    atoms.cell = [1000.0] * 3
    state = torch_sim.initialize_state(atoms, device=torch.device("cpu"), dtype=torch.float64)
    found = Served(network_of(model), 5.0, "cpu")(state)
    assert found["energy"].item() == pytest.approx(wanted.energy, abs=1e-12)
    np.testing.assert_allclose(found["forces"].numpy(), wanted.forces, atol=1e-12)
    asked = replace(task("TorchSim", steps=20), model="painn-ultra-tiny", structure="ethanol")
    assert CONTENDERS["TorchSim"](asked) > 0.0
