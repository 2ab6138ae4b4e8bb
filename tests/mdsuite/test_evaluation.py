"""Compiled models: made once, the same as the model, kept by a run, refused where they differ."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import factories
import numpy as np
import pytest
import torch
from campaigns import BRIEF, command, results

from mdsuite import evaluation
from mdsuite.campaign import read_campaign
from mdsuite.plan import make_plan, served_source
from mdsuite.structures import configuration, read_structure
from mdsuite_driver.contract import ModelContract
from mdsuite_driver.models.batch import OneByOne
from mdsuite_driver.models.compiled import CompiledModel, cache_folder, load_compiled, package_of
from mdsuite_driver.models.load import in_double, load
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model, ModelCard, ModelError
from mdsuite_driver.models.sameness import require_same
from mdsuite_driver.threads import on_threads

STUDENT = "painn-ultra-tiny"
CAMPAIGN = f"""
models = ["{STUDENT}"]
structures = ["ethanol"]
check = false
follow_up = false
[dynamics]
replicas = 1
chunk_steps = 100
"""


@pytest.fixture(scope="module", autouse=True)
def students(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of these tests alone; the student is compiled into it once."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch, on_threads(1):
        patch.setenv("MDSUITE_CACHE", str(folder))
        load_compiled(STUDENT, trust=False)
        yield folder


class TestCompiled(ModelContract):
    """What holds for every model holds for a compiled one."""

    source = f"compiled:{STUDENT}"
    structure = str(Path(__file__).parents[2] / "inputs" / "structures" / "ethanol.extxyz")


@pytest.mark.parametrize("structure", ["ethanol", "uracil", "aspirin"])
def test_it_answers_as_its_model_whatever_the_size(structure: str):
    require_same_answers(STUDENT, structure, 1e-9)


def test_a_loaded_model_leaves_no_file_that_a_killed_process_could_not_remove(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    compiled = load(f"compiled:{STUDENT}")
    assert (list(tmp_path.iterdir()), os.environ["TMPDIR"]) == ([], str(tmp_path))
    assert np.isfinite(compiled.evaluate(configuration(read_structure("ethanol"))).energy)


def require_same_answers(source: str, structure: str, within: float) -> None:
    of = configuration(read_structure(structure))
    asked = Configuration(numbers=of.numbers, positions=of.positions, cell=of.cell, pbc=of.pbc)
    compiled, model = load(f"compiled:{source}"), load(source)
    ours, theirs = compiled.evaluate(asked), model.evaluate(asked)
    assert isinstance(compiled, CompiledModel)
    assert compiled.card == model.card
    assert ours.energy == pytest.approx(theirs.energy, abs=within)
    assert ours.forces == pytest.approx(theirs.forces, abs=within)


@pytest.fixture(scope="module")
def seed_student(students: Path) -> str:
    """A small seed student with random weights; it is compiled into the cache once."""
    return factories.seed_student(students)


@pytest.mark.parametrize("structure", ["ethanol", "uracil", "aspirin"])
def test_a_seed_student_answers_compiled_as_it_does_whatever_the_size(seed_student: str, structure: str):
    require_same_answers(seed_student, structure, 1e-4)


def test_a_compiled_seed_student_keeps_its_jump_at_the_cut_off(seed_student: str):
    compiled, model = load(f"compiled:{seed_student}"), load(seed_student)
    ours, theirs = ([energy(of, 5.0 + side) for side in (-1e-5, 1e-5)] for of in (compiled, model))
    assert abs(theirs[0] - theirs[1]) > 1e-3
    assert ours[0] - ours[1] == pytest.approx(theirs[0] - theirs[1], abs=1e-5)


def energy(model: Model, distance: float) -> float:
    """eV, of three carbon atoms in a line, the last at a distance (Å) from the second."""
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.4], [0.0, 0.0, 1.4 + distance]])
    asked = Configuration(numbers=np.full(3, 6), positions=positions, cell=np.zeros((3, 3)), pbc=(False,) * 3)
    return model.evaluate(asked).energy


def test_a_compiled_seed_student_in_double_precision_is_the_student_in_it(seed_student: str):
    compiled = in_double(load(f"compiled:{seed_student}"))
    assert compiled.card.dtype == "float64"
    assert energy(compiled, 1.4) == energy(in_double(load(seed_student)), 1.4)


def test_what_is_compiled_of_a_run_of_a_seed_student_is_told(seed_student: str, short: Path, tmp_path: Path):
    flags = ["--model", seed_student, "--compile", "always", "--time-ps", "0.05", "--output", tmp_path / "o"]
    command("run", short, *flags)
    assert evaluated(tmp_path / "o") == "student: compiled"


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A campaign of one run in chunks of 0.05 ps."""
    file = tmp_path / "campaign.toml"
    file.write_text(CAMPAIGN)
    return file


def recorded(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("runs/*/segments/*.h5md"))]


def evaluated(folder: Path) -> str:
    return str(results(folder)["provenance"]["evaluation"])


def test_a_run_that_is_extended_is_the_whole_one_to_the_byte(short: Path, tmp_path: Path):
    for name, picoseconds in (("whole", 0.1), ("parts", 0.05), ("parts", 0.1)):
        command("run", short, "--compile", "always", "--time-ps", picoseconds, "--output", tmp_path / name)
    assert evaluated(tmp_path / "whole") == f"{STUDENT}: compiled"
    assert recorded(tmp_path / "parts") == recorded(tmp_path / "whole")


def test_a_run_keeps_the_evaluation_that_it_was_begun_with(short: Path, tmp_path: Path):
    for how, picoseconds in (("never", 0.05), ("always", 0.1)):
        command("run", short, "--compile", how, "--time-ps", picoseconds, "--output", tmp_path / "o")
    command("run", short, "--compile", "never", "--time-ps", 0.1, "--output", tmp_path / "whole")
    assert evaluated(tmp_path / "o") == f"{STUDENT}: as it is"
    assert recorded(tmp_path / "o") == recorded(tmp_path / "whole")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: needs a GPU that torch can use")
@pytest.mark.parametrize("pack", ["never", "2"])
def test_a_run_on_a_gpu_that_is_extended_is_the_whole_one_to_the_byte(short: Path, tmp_path: Path, pack: str):
    for name, picoseconds in (("whole", 0.1), ("parts", 0.05), ("parts", 0.1)):
        options = ("--model", f"cuda:{STUDENT}", "--replicas", 2, "--pack", pack, "--time-ps", picoseconds)
        command("run", short, *options, "--output", tmp_path / name)
    assert evaluated(tmp_path / "whole").startswith(f"{STUDENT}: on a GPU")
    assert recorded(tmp_path / "parts") == recorded(tmp_path / "whole")


def test_a_run_keeps_it_whatever_way_is_named_later(short: Path, tmp_path: Path):
    for model, picoseconds in ((STUDENT, 0.05), (f"compiled:{STUDENT}", 0.1)):
        options = ("--model", model, "--compile", "never", "--time-ps", picoseconds)
        command("run", short, *options, "--output", tmp_path / "o")
    assert evaluated(tmp_path / "o") == f"{STUDENT}: as it is"


class Off:
    """A model that is off by a little."""

    def __init__(self, model: Model, force: float) -> None:
        self._model, self._force = model, force

    @property
    def card(self) -> ModelCard:
        return self._model.card

    def evaluate(self, asked: Configuration) -> Evaluation:
        answer = self._model.evaluate(asked)
        return dataclasses.replace(answer, forces=answer.forces + self._force)


def test_what_answers_otherwise_is_refused_and_its_clean_twin_is_not():
    model = load(STUDENT)
    require_same(OneByOne(Off(model, 0.0)), model, how="compiled", instead="--compile never")
    for off in (1e-6, float("nan")):
        with pytest.raises(ModelError, match=r"compiled, answers otherwise than the model: forces of 2 atoms"):
            require_same(OneByOne(Off(model, off)), model, how="compiled", instead="--compile never")


def test_a_package_of_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    made = package_of(load(STUDENT))
    monkeypatch.setenv("MDSUITE_CACHE", str(tmp_path))
    theirs = package_of(load("painn-tiny"))
    theirs.parent.mkdir(mode=0o700, parents=True)
    theirs.write_bytes(made.read_bytes())
    with pytest.raises(ModelError, match="answers otherwise than the model"):
        load("compiled:painn-tiny")


@pytest.mark.slow
def test_on_several_threads_it_answers_with_the_same_bits_every_time():
    """As where every thread adds to the same sums whenever it comes to them it does not."""
    of = configuration(read_structure("aspirin"))
    with on_threads(2):
        compiled = load_compiled(STUDENT, trust=False)
        answers = {compiled.evaluate(of).forces.tobytes() for _ in range(50)}
    assert len(answers) == 1


def test_one_thread_has_a_package_of_its_own():
    model, made = load(STUDENT), {}
    for n in (1, 2, 4):
        with on_threads(n):
            made[n] = package_of(model)
    assert made[2] == made[4] != made[1]


def test_a_compiled_model_is_looked_at_as_its_driver_will_load_it(students: Path):
    there = set(students.rglob("*.pt2"))
    with on_threads(2):
        _, card = served_source(f"compiled:{STUDENT}", trust=False)
    assert card.name == STUDENT
    assert set(students.rglob("*.pt2")) == there


def test_a_campaign_is_compiled_for_the_threads_of_its_models(short: Path, tmp_path: Path):
    plan, told = make_plan(read_campaign(short, {"compile": "always"})), list[str]()
    with on_threads(2):
        chosen = evaluation.with_evaluators(plan, tmp_path, told.append)
    assert {run.model.partition(":")[0] for run in chosen.runs} == {"compiled"}
    assert told == []  # that for one thread is there


def test_a_package_that_is_damaged_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MDSUITE_CACHE", str(tmp_path))
    path = package_of(load(STUDENT))
    path.parent.mkdir(mode=0o700, parents=True)
    path.write_bytes(b"no package")
    with pytest.raises(ModelError, match=r"cannot be loaded; remove it, and it is made anew"):
        load(f"compiled:{STUDENT}")


def test_a_folder_that_others_may_write_to_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MDSUITE_CACHE", str(tmp_path))
    folder = cache_folder()
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(ModelError, match="others may write to"):
        load(f"compiled:{STUDENT}")
    assert list(folder.iterdir()) == []


def test_without_a_compiler_a_model_is_evaluated_as_it_is_and_that_is_said(
    short: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("MDSUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    monkeypatch.setattr(evaluation, "PAYS", 0.0)
    arguments = [short, "--time-ps", "0.05", "--output", tmp_path / "o"]
    said = command("run", *arguments)
    assert f"{STUDENT} is evaluated as it is, for it could not be compiled" in said.output.replace("\n", " ")
    assert evaluated(tmp_path / "o") == f"{STUDENT}: as it is"
    refused = command("run", *arguments[:-1], tmp_path / "p", "--compile", "always")
    assert (refused.exit_code, "cannot be compiled" in refused.output) == (2, True)
    assert not list(cache_folder().glob("*.pt2"))


@pytest.mark.parametrize(("how", "code", "way"), [("auto", 3, "argon-lj: as it is"), ("always", 2, None)])
def test_what_cannot_be_compiled_is_not_unless_it_is_insisted_on(how: str, code: int, way: str | None, tmp_path: Path):
    done = command("run", *BRIEF, "--time-ps", "0.01", "--compile", how, "--output", tmp_path / "o")
    if way is None:
        assert done.exit_code == code
        assert "argon-lj (Lennard-Jones) cannot be compiled" in done.output
    else:
        assert evaluated(tmp_path / "o") == way


@pytest.mark.parametrize(("picoseconds", "wanted"), [(0.1, False), (1e5, True)])
def test_what_is_compiled_is_what_it_pays_for(
    picoseconds: float, wanted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    asked: list[list[str]] = []

    def made(words: list[str], **_options: object) -> object:
        asked.append(words)
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setenv("MDSUITE_CACHE", str(tmp_path))
    monkeypatch.setattr(evaluation.subprocess, "run", made)
    named = {"models": [STUDENT], "structures": ["ethanol"], "engine": ["lammps"]}
    plan = make_plan(read_campaign(None, named, dynamics={"time_ps": picoseconds, "replicas": 1}))
    found = evaluation.with_evaluators(plan, tmp_path / "o", print)
    assert bool(asked) is wanted
    assert [run.model for run in found.runs] == [f"compiled:{run.model}" if wanted else run.model for run in plan.runs]
    assert [run.id for run in found.runs] == [run.id for run in plan.runs]
    assert json.dumps(found.doubles) == "{}"
