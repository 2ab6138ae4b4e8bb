"""A bare series is judged by its slope, whoever has written it."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from mdsuite.analysis import Source
from mdsuite.analysis import analyze as analysis_of
from mdsuite.cli import main
from mdsuite.judgement.criteria import read_profile
from mdsuite.judgement.judge import Verdict
from mdsuite.report.markdown import series_markdown
from mdsuite.series import read_csv
from mdsuite.structures import read_structure
from mdsuite_analysis.drift import energy_drift

TIME = np.arange(0.0, 10.0, 0.005)


def write(file: Path, slope: float, *, n_atoms: int = 12, noise: float = 1e-4, offset: float = -4000.0, **columns: Any):
    """Energies that rise by `slope` meV/atom/ps, with the fast error of velocity Verlet on top."""
    energy = offset + slope * 1e-3 * n_atoms * TIME + noise * np.cos(300.0 * TIME)
    table = {"time_ps": TIME, "total_energy_eV": energy, **columns}
    rows = np.array([*table.values()]).T.tolist()
    file.write_text("\n".join([",".join(table), *(",".join(map(repr, row)) for row in rows)]) + "\n")
    return file


def analyze(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["analyze", *map(str, arguments)], catch_exceptions=False)


def drift(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "results.json").read_text())
    return next(each for each in content["measurements"] if each["name"] == "energy_drift")


@pytest.mark.parametrize("slope", [0.05, -0.3, 0.9, 1.5, -5.0, 300.0])
def test_the_slope_of_a_line_is_found_as_it_is(slope: float, tmp_path: Path):
    analyze(write(tmp_path / "e.csv", slope), "--n-atoms", 12, "--output", tmp_path / "o")
    measured = drift(tmp_path / "o")
    assert measured["value"] / slope == pytest.approx(1.0, abs=5e-3)
    assert measured["ci"][0] <= slope <= measured["ci"][1]


@pytest.mark.parametrize(
    ("slope", "code", "said"),
    [(0.1, 0, "APPROVED"), (-0.5, 0, "APPROVED"), (2.0, 1, "NOT RECOMMENDED"), (-3.0, 1, "NOT RECOMMENDED")],
)
def test_the_verdict_is_that_of_the_slope(slope: float, code: int, said: str, tmp_path: Path):
    result = analyze(write(tmp_path / "e.csv", slope), "--n-atoms", 12, "--output", tmp_path / "o")
    assert (result.exit_code, f"verdict: {said}" in result.output) == (code, True)
    assert f"## STATUS: {said}" in (tmp_path / "o" / "report.md").read_text()


def test_a_series_that_wanders_is_inconclusive_and_says_how_much_longer(tmp_path: Path):
    energy = 0.05 * np.sin(0.5 * TIME)
    file = write(tmp_path / "e.csv", 0.0, total_energy_eV=energy)
    assert analyze(file, "--n-atoms", 12, "--output", tmp_path / "o").exit_code == 3
    assert "ps more would take the interval off" in (tmp_path / "o" / "report.md").read_text()


def test_a_number_that_is_none_is_not_approved(tmp_path: Path):
    energy = -10.0 + 0.0 * TIME
    energy[700] = np.nan
    file = write(tmp_path / "e.csv", 0.0, total_energy_eV=energy)
    assert analyze(file, "--n-atoms", 12, "--output", tmp_path / "o").exit_code == 1


def test_too_few_samples_are_no_fault_of_the_model(tmp_path: Path):
    file = write(tmp_path / "e.csv", 0.1)
    source = read_csv(file, 12)
    short = dataclasses.replace(
        source, **{name: getattr(source, name)[:9] for name in ("step", "time", "total_energy")}
    )
    found = analysis_of(
        [Source(name="short", series=short, atoms=None, temperature=None)], read_profile("production-nve")
    )
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "a slope needs 16" in series_markdown(found)


def test_a_temperature_is_judged_where_its_target_is_known(tmp_path: Path):
    file = write(tmp_path / "e.csv", 0.0, temperature_K=6000.0 + 50.0 * np.sin(40.0 * TIME))
    assert analyze(file, "--n-atoms", 12, "--output", tmp_path / "o").exit_code == 0
    assert analyze(file, "--n-atoms", 12, "--temperature-K", 300, "--output", tmp_path / "p").exit_code == 1


def test_what_energies_cannot_show_is_named(tmp_path: Path):
    analyze(write(tmp_path / "e.csv", 0.0), "--n-atoms", 12, "--output", tmp_path / "o")
    unasked = (tmp_path / "o" / "report.md").read_text().partition("## Not asked")[2]
    assert "Bonds of the start structure intact" in unasked and "Temperature within" in unasked


@given(offset=st.floats(-1e5, 1e5), n_atoms=st.integers(1, 1000))
def test_neither_the_zero_of_energy_nor_the_size_changes_the_slope(offset: float, n_atoms: int):
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder) / "e.csv", 0.7, offset=offset, n_atoms=n_atoms, noise=0.0)
        assert energy_drift(read_csv(file, n_atoms)).value == pytest.approx(0.7, rel=1e-3)


def rows(*lines: str) -> str:
    return "\n".join(["time_ps,total_energy_eV", *lines]) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_ps,energy\n0,1\n", "lacks total_energy_eV; wanted the columns"),
        ("", "is not readable CSV"),
        (rows(*["0,1"] * 20), "must rise in even steps"),
        (rows(*(f"{k},1" for k in (*range(19), 40))), "must rise in even steps"),
        (rows(*(f"{20 - k},1" for k in range(20))), "must rise in even steps"),
        (rows(*(f"{k},1" for k in range(9))), "has 9 rows"),
        (rows(*(f"{k},one" for k in range(20))), "must hold numbers"),
    ],
)
def test_a_file_that_is_no_series_is_refused(text: str, said: str, tmp_path: Path):
    (tmp_path / "e.csv").write_text(text)
    result = analyze(tmp_path / "e.csv", "--n-atoms", 2, "--output", tmp_path / "o")
    assert result.exit_code == 2 and said in result.output
    assert not (tmp_path / "o").exists()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    result = analyze(tmp_path / "none.csv", "--n-atoms", 2)
    assert result.exit_code == 2 and "there is no file" in result.output


def test_tables_of_several_replicas_are_judged_by_their_mean(tmp_path: Path):
    files = [write(tmp_path / f"{k}.csv", slope) for k, slope in enumerate([0.5, 0.52, 0.48, 0.51])]
    result = analyze(*files, "--n-atoms", 12, "--output", tmp_path / "o")
    content = json.loads((tmp_path / "o" / "results.json").read_text())
    (mean,) = [each for each in content["measurements"] if each["name"] == "mean_drift"]
    assert result.exit_code == 0
    assert mean["value"] == pytest.approx(0.5025, abs=0.01)
    assert mean["ci"][0] < 0.5 < mean["ci"][1]


def test_replicas_that_scatter_across_the_limit_are_not_decided_by_their_number(tmp_path: Path):
    files = [write(tmp_path / f"{k}.csv", slope) for k, slope in enumerate([-0.9, 0.9, 0.6, 0.8])]
    assert analyze(*files, "--n-atoms", 12, "--output", tmp_path / "o").exit_code == 3


def test_a_trajectory_of_another_engine_is_judged_by_its_bonds_too(tmp_path: Path):
    atoms = read_structure("ethanol")
    frames = [atoms.copy() for _ in range(20)]
    for k, frame in enumerate(frames):
        frame.positions[-1] += [0.1 * k, 0.0, 0.0]
    ase.io.write(tmp_path / "flies.xyz", frames, format="xyz")
    file = write(tmp_path / "e.csv", 0.0, n_atoms=9)
    flags = ["--topology", tmp_path / "flies.xyz", "--output", tmp_path / "o"]
    assert analyze(file, *flags).exit_code == 1
    content = json.loads((tmp_path / "o" / "results.json").read_text())
    failed = {each["measurement"] for each in content["verdicts"] if each["outcome"] == "fail"}
    assert failed == {"broken_bonds", "fragments_lost"}


def test_a_table_without_a_number_of_atoms_is_refused(tmp_path: Path):
    result = analyze(write(tmp_path / "e.csv", 0.0), "--output", tmp_path / "o")
    assert result.exit_code == 2
    assert "give --n-atoms N" in result.output


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path):
    result = analyze(tmp_path, "--output", tmp_path / "o")
    assert result.exit_code == 2
    assert "neither the folder of a run nor the output of a campaign" in result.output
