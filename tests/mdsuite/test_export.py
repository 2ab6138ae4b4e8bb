"""An export is kept only if it answers as its model does, whatever the number of atoms."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import factories
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from scipy.spatial.distance import pdist

from mdsuite.cli import main
from mdsuite.errors import InputError
from mdsuite.execution.session import Session
from mdsuite.exporting import make
from mdsuite.exporting.export import ExportError, export, in_another_process
from mdsuite.exporting.make import Example
from mdsuite.exporting.probes import probes
from mdsuite.runs import ANY_ANSWER
from mdsuite_driver.models.exported import EnergyModel
from mdsuite_driver.models.graph import Energy, EnergyAndGradient
from mdsuite_driver.models.load import load
from mdsuite_driver.models.painn import PaiNN, PaiNNConfig, checkpoint
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model, ModelCard, ModelError

ORGANIC = (1, 6, 7, 8)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small PaiNN with random weights."""
    torch.manual_seed(0)
    network = PaiNN(PaiNNConfig(species=ORGANIC, hidden=8, n_interactions=2, n_rbf=6, cutoff=4.0))
    network.reference.copy_(torch.tensor([-13.0, -1000.0, -1500.0, -2000.0]))
    file = tmp_path_factory.mktemp("model") / "small.pt"
    torch.save(checkpoint(network, {}), file)
    return str(file)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small seed student with random weights."""
    return factories.seed_student(tmp_path_factory.mktemp("model"))


def exported(source: str, output: Path, target: str, *flags: str) -> Result:
    arguments = ["export", source, "--to", target, "--output", str(output), "--no-check", *flags]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def worst(output: Path, of: str) -> float:
    content = json.loads((output / "results.json").read_text())
    return max(each["value"] for each in content["measurements"] if each["name"].startswith(f"{of}_"))


@pytest.fixture(scope="module")
def written(source: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with an export of each kind that needs no compiler."""
    folders = {target: tmp_path_factory.mktemp(target) for target in ("torchscript", "onnx")}
    for target, folder in folders.items():
        result = exported(source, folder, target)
        assert result.exit_code == 0, result.output
    return folders


@pytest.mark.parametrize("target", ["torchscript", "onnx"])
def test_an_export_answers_as_its_model(written: dict[str, Path], target: str):
    assert worst(written[target], "export") < 1e-5
    assert len(json.loads((written[target] / "results.json").read_text())["atoms"]) > 5


@pytest.mark.slow
def test_a_package_answers_as_its_model_and_is_served(source: str, tmp_path: Path):
    result = exported(source, tmp_path, "pt2")
    assert result.exit_code == 0, result.output
    assert worst(tmp_path, "export") < 1e-5
    with Session(str(tmp_path / "small.pt2"), tmp_path / "log", trust=True, threads=1, coupling=ANY_ANSWER) as served:
        asked = probes(load(source).card)[0]
        assert served(asked).energy == pytest.approx(load(source).evaluate(asked).energy, abs=1e-9)


ENDINGS = {"torchscript": ".torchscript.pt", "pt2": ".pt2", "onnx": ".onnx"}
OF_STUDENTS = [pytest.param("pt2", marks=pytest.mark.slow), "torchscript", "onnx"]


def dimer(model: Model, distance: float) -> float:
    """eV, of two carbon atoms."""
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]])
    asked = Configuration(numbers=np.array([6, 6]), positions=positions, cell=np.zeros((3, 3)), pbc=(False,) * 3)
    return model.energy(asked) if isinstance(model, EnergyModel) else model.evaluate(asked).energy


def jump(model: Model) -> float:
    """eV, by which the energy of a dimer falls where it leaves the cut-off."""
    cutoff = model.card.cutoff or 0.0
    return dimer(model, cutoff - 1e-5) - dimer(model, cutoff + 1e-5)


@pytest.mark.parametrize("target", OF_STUDENTS)
def test_an_export_of_a_seed_student_answers_as_it_and_keeps_its_jump_at_the_cut_off(student, tmp_path, target):
    result = exported(student, tmp_path, target)
    assert result.exit_code == 0, result.output
    model, made = load(student), load(str(tmp_path / f"student{ENDINGS[target]}"), trust=True)
    atoms = json.loads((tmp_path / "results.json").read_text())["atoms"]
    assert (len(probes(model.card)) >= 20, len(atoms) > 5) == (True, True)
    assert max(worst(tmp_path, "export"), worst(tmp_path, "weights")) < 0.1  # meV/atom, meV/Å and meV, of float32
    assert abs(jump(model)) > 1e-3
    assert jump(made) == pytest.approx(jump(model), abs=1e-5)


def test_the_export_of_a_model_without_a_jump_has_none(source: str, written: dict[str, Path]):
    made = load(str(written["torchscript"] / "small.torchscript.pt"), trust=True)
    assert (abs(jump(load(source))) < 1e-9, abs(jump(made)) < 1e-9) == (True, True)


def test_stored_weights_of_a_seed_student_are_told_beside_its_own(student: str, tmp_path: Path):
    exported(student, tmp_path, "torchscript", "--weights", "int8")
    assert worst(tmp_path, "export") < 0.1
    assert worst(tmp_path, "weights") > 1.0


def test_a_network_that_does_not_answer_as_its_model_is_refused(source: str, tmp_path: Path, monkeypatch):
    class Apart:
        """Serves more than its network says."""

        def __init__(self, model: Model) -> None:
            self.card, self.network, self._model = model.card, model.network, model  # type: ignore[attr-defined]

        def evaluate(self, asked: Configuration) -> Evaluation:
            answer = self._model.evaluate(asked)
            return replace(answer, forces=answer.forces + 1e-6)

    served = Apart(load(source))
    monkeypatch.setattr("mdsuite.exporting.export.load", lambda _source, trust: served)
    with pytest.raises(ExportError, match=r"does not answer as its model .* weights force error"):
        export(source, "torchscript", "", tmp_path, told=lambda _: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "weights",
    [pytest.param("float16", marks=pytest.mark.slow), pytest.param("bfloat16", marks=pytest.mark.slow), "int8"],
)
def test_stored_weights_make_a_smaller_file_whose_difference_is_told(source: str, tmp_path: Path, weights: str):
    exported(source, tmp_path / weights, "torchscript", "--weights", weights)
    assert worst(tmp_path / weights, "export") < 1e-5
    assert worst(tmp_path / weights, "weights") > 1e-2
    assert weights in (tmp_path / weights / "report.md").read_text()


def test_forces_of_stored_weights_are_derivatives_of_their_energy(source: str, tmp_path: Path):
    exported(source, tmp_path, "torchscript", "--weights", "int8")
    model = load(str(tmp_path / "small-int8.torchscript.pt"), trust=True)
    asked = probes(model.card)[0]
    step = 1e-4
    energies = []
    for sign in (-1.0, 1.0):
        positions = asked.positions.copy()
        positions[1, 2] += sign * step
        moved = type(asked)(numbers=asked.numbers, positions=positions, cell=asked.cell, pbc=asked.pbc)
        energies.append(model.evaluate(moved).energy)
    assert -(energies[1] - energies[0]) / (2 * step) == pytest.approx(model.evaluate(asked).forces[1, 2], rel=1e-5)


def last_one_wins(network: torch.nn.Module, _card: ModelCard, example: Example, path: Path) -> None:
    """Operator set 14 of ONNX has no scattered sums: index_add becomes a scatter that overwrites."""
    names = ["numbers", "i", "j", "vectors"]
    torch.onnx.export(
        Energy(network).eval(),
        example,
        str(path),
        dynamo=False,
        opset_version=14,
        input_names=names,
        dynamic_axes={name: {0: "n" if name == "numbers" else "p"} for name in names},
    )
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {make.METADATA: make.told(_card)})
    onnx.save(model, str(path))


def frozen(network: torch.nn.Module, card: ModelCard, example: Example, path: Path) -> None:
    """A trace holds the number of atoms that it was made with."""

    class Frozen(EnergyAndGradient):
        def forward(self, numbers, i, j, vectors):  # type: ignore[no-untyped-def]
            n = len(example[0])
            assert torch.jit.is_tracing() or len(numbers) == n
            energy = network(numbers[:n], i, j, vectors)[:n].sum()
            return energy, vectors

    traced = torch.jit.trace(Frozen(network), example, check_trace=False)
    torch.jit.save(traced, str(path), _extra_files={make.METADATA: make.told(card)})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("target", "ending", "wrong"),
    [("onnx", ".onnx", last_one_wins), ("torchscript", ".torchscript.pt", frozen)],
)
@pytest.mark.parametrize("of", ["source", "student"])
def test_an_export_that_answers_otherwise_is_refused_and_not_kept(
    request, tmp_path, monkeypatch, of, target, ending, wrong
):
    monkeypatch.setattr("mdsuite.exporting.export.TARGETS", {target: (ending, wrong)})
    with pytest.raises(ExportError):
        export(request.getfixturevalue(of), target, "", tmp_path, told=lambda _: None)
    assert not list(tmp_path.iterdir())


def test_a_file_that_ends_the_process_that_asks_it_is_refused():
    with pytest.raises(ExportError, match="ends the process"):
        in_another_process(os.abort)


def test_what_is_refused_ends_with_one(source, tmp_path, monkeypatch):
    def shifted(network: torch.nn.Module, card: ModelCard, example: Example, path: Path) -> None:
        network.reference[0] += 1e-6
        make.write_torchscript(network, card, example, path)
        network.reference[0] -= 1e-6

    monkeypatch.setattr("mdsuite.exporting.export.TARGETS", {"torchscript": (".torchscript.pt", shifted)})
    result = exported(source, tmp_path, "torchscript")
    assert result.exit_code == 1
    assert "does not answer as its model over 24 configurations" in result.output


def test_probes_have_many_sizes_and_both_boundaries(source: str):
    asked = probes(load(source).card)
    assert len(asked) >= 20
    assert len({len(each.numbers) for each in asked}) > 5
    assert {each.pbc for each in asked} == {(True,) * 3, (False,) * 3}


def test_probes_of_elements_that_no_structure_has_are_random_atoms():
    sizes = {"n_parameters": 1, "species": (79,), "cutoff": 5.0, "sha256": ""}
    asked = probes(ModelCard(name="x", kind="x", dtype="float64", conservative=True, periodic=False, **sizes))
    closest = [float(pdist(each.positions).min()) for each in asked]
    assert min(closest) > 1.5
    assert {z for of in asked for z in of.numbers} == {79}


def test_code_in_a_file_is_run_only_with_trust(written: dict[str, Path]):
    with pytest.raises(ModelError, match="--trust"):
        load(str(written["torchscript"] / "small.torchscript.pt"))


BRIEF = ["--structure", "ethanol", "--time-ps", "0.2", "--replicas", "1"]
"""Trajectories of a minute or less."""


def unwritable(*_given: object) -> None:
    raise AssertionError("the file was written again")


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result, Result]:
    """An export with trajectories, stopped before their first step and taken up: its folder, and both ends."""
    folder = tmp_path_factory.mktemp("moved")
    flags = ["--weights", "int8", *BRIEF]
    stopped = exported("painn-ultra-tiny", folder, "torchscript", *flags, "--deadline", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mdsuite.exporting.export.TARGETS", {"torchscript": (".torchscript.pt", unwritable)})
        return folder, stopped, exported("painn-ultra-tiny", folder, "torchscript", *flags)


def test_an_export_that_is_stopped_goes_on_with_the_same_file(moved: tuple[Path, Result, Result]):
    _, stopped, ended = moved
    assert (stopped.exit_code, ended.exit_code) == (75, 0), stopped.output + ended.output


def test_verdicts_on_trajectories_of_model_and_export_stand_beside_each_other(moved: tuple[Path, Result, Result]):
    folder, _, ended = moved
    found = json.loads((folder / "results.json").read_text())
    assert set(found["trajectories"]) == {"model", "export"}
    assert ({each["status"] for each in found["runs"]}, found["engine"]) == ({"done"}, "lammps")
    drifts = {each["subject"]["of"]: each["ci"] for each in found["measurements"] if each["name"] == "energy_drift"}
    assert all(low < high for low, high in (drifts["model"], drifts["export"]))
    text = (folder / "report.md").read_text()
    for side in ("model", "export"):
        assert f"| {side} | {found['trajectories'][side]} | ethanol | " in text
    assert "| Energy drift | ethanol, lammps, replica 0 |" in text
    assert (found["changed_verdicts"], "trajectories: no verdict changes" in ended.output) == ([], True)


class Stepped(torch.nn.Module):
    """Energies with steps in every distance, of which the forces know nothing."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, numbers: torch.Tensor, i: torch.Tensor, j: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        energies = self.network(numbers, i, j, vectors)
        steps = 0.2 * torch.floor(8.0 * torch.linalg.vector_norm(vectors, dim=1))
        return energies.index_add(0, i, steps.to(energies.dtype))

    def reference_energies(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.network.reference_energies(numbers)  # type: ignore[operator]


def test_a_verdict_that_stored_weights_change_is_told_and_the_file_is_kept(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("mdsuite.exporting.export.with_stored_weights", lambda network, _kind: Stepped(network))
    result = exported("painn-ultra-tiny", tmp_path, "torchscript", "--weights", "int8", *BRIEF)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "results.json").read_text())
    (drift,) = (each for each in found["changed_verdicts"] if each["criterion"] == "Energy drift")
    assert drift["model"] == "pass" != drift["export"]
    told = f"Energy drift (ethanol, lammps, replica 0): pass becomes **{drift['export']}**"
    assert told in (tmp_path / "report.md").read_text()
    assert "CHANGED: Energy drift" in result.output
    assert (tmp_path / "painn-ultra-tiny-int8.torchscript.pt").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--to", "onnx", "--structure", "ethanol"], "ONNX gives no forces, so there are no trajectories of it"),
        (["--to", "torchscript", "--structure", "silicon"], "has never seen Si"),
        (["--to", "torchscript", "--time-ps", "1"], "name where they start with --structure"),
    ],
)
def test_trajectories_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path, flags, said: str):
    arguments = ["export", "painn-ultra-tiny", *flags, "--output", str(tmp_path / "o")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert not (tmp_path / "o").exists()


def test_energies_alone_drive_no_dynamics(written: dict[str, Path], tmp_path: Path):
    flags = ["--structure", "ethanol", "--output", str(tmp_path / "o"), "--time-ps", "0.01"]
    result = CliRunner().invoke(main, ["run", "--model", str(written["onnx"] / "small.onnx"), *flags])
    assert result.exit_code == 2
    assert "energies and no forces" in result.output


@pytest.mark.filterwarnings("ignore")
def test_a_graph_of_another_origin_is_refused(tmp_path: Path):
    scripted = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(scripted, str(tmp_path / "other.pt"))
    with pytest.raises(ModelError, match="does not say what its inputs are"):
        load(str(tmp_path / "other.pt"), trust=True)


@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
def test_a_broken_file_is_refused(tmp_path: Path, ending: str):
    (tmp_path / f"x{ending}").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be"):
        load(str(tmp_path / f"x{ending}"), trust=True)


def test_a_model_without_a_network_cannot_be_exported(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be exported"):
        export("argon-lj", "torchscript", "", tmp_path, told=lambda _: None)


def test_a_missing_package_is_named(source: str, tmp_path: Path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    result = exported(source, tmp_path, "onnx")
    assert (result.exit_code, "mdsuite[onnx]" in result.output) == (2, True), result.output


def test_a_linear_ace_is_not_taken_by_torchscript_and_that_is_said(tmp_path: Path):
    result = exported("si-ace", tmp_path, "torchscript")
    assert (result.exit_code, "does not take the code of si-ace; write it as .pt2" in result.output) == (2, True)


@pytest.mark.slow
def test_a_linear_ace_as_a_package_answers_as_its_model(tmp_path: Path):
    """Indices into columns make the compiler of torch 2.13 write beyond their end; the expansion has none."""
    result = exported("si-ace", tmp_path, "pt2", "--no-check")
    assert result.exit_code == 0, result.output
