"""A machine that lacks something is told so, with the remedy; one that does not is not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mdsuite.doctor import machine, programs
from mdsuite.doctor.finding import Finding, State, worst


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {each.name.split(" ")[0]: each for each in findings}


def test_this_machine_can_run_campaigns(tmp_path: Path):
    command = [sys.executable, "-m", "mdsuite", "doctor", "--output", str(tmp_path / "new")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "LAMMPS: version" in ended.stdout
    assert "campaigns can run here" in ended.stdout
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_can_be_written_keeps_locks_and_has_the_clock(tmp_path: Path):
    found = by_name(list(machine.folder(tmp_path)))
    assert {each.state for each in found.values()} == {State.FINE}, found
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_wrong(tmp_path: Path):
    (tmp_path / "file").write_text("")
    (found,) = machine.folder(tmp_path / "file")
    assert (found.state, "--output" in found.remedy) == (State.WRONG, True)


def test_a_full_disk_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    assert by_name(list(machine.folder(tmp_path)))["folder"].state is State.WRONG


def test_locks_that_are_not_kept_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fcntl.flock", lambda _descriptor, _how: None)
    found = by_name(list(machine.folder(tmp_path)))["locks"]
    assert (found.state, "flock" in found.remedy) == (State.WRONG, True)


def test_a_file_system_without_hard_links_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def none(*_: object) -> None:
        raise PermissionError("operation not permitted")

    monkeypatch.setattr("os.link", none)
    found = by_name(list(machine.folder(tmp_path)))["hard"]
    assert (found.state, "two attempts" in found.found) == (State.MISSING, True)


def test_a_clock_that_is_off_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mdsuite.doctor.machine.time.time", lambda now=time.time: now() - 3600.0)
    found = by_name(list(machine.folder(tmp_path)))["clock"]
    assert (found.state, found.found.startswith("+3600")) == (State.WRONG, True)


def test_paths_that_are_too_long_for_a_socket_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("mdsuite.execution.door.LONGEST_PATH", 10)
    unix, tcp = machine.sockets()
    assert (unix.state, tcp.state) == (State.WRONG, State.FINE)
    assert "--transport tcp" in unix.remedy


def test_little_memory_is_wrong(monkeypatch: pytest.MonkeyPatch):
    assert machine.memory().state is State.FINE
    monkeypatch.setattr("mdsuite.doctor.machine._group_limit", lambda: 2**28)
    assert machine.memory().state is State.WRONG


@pytest.mark.parametrize(("check", "module"), [("lammps", "lammps"), ("torch", "torch"), ("ipi", "ipi")])
def test_a_package_that_cannot_be_imported_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str, module: str
):
    (tmp_path / f"{module}.py").write_text("raise ImportError('a broken installation')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = getattr(programs, check)()
    assert found.state in (State.WRONG, State.MISSING)
    assert "a broken installation" in found.found
    assert found.remedy


def test_a_compiler_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", executable(tmp_path / "c++", "echo broken >&2; exit 1"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    found = programs.compiler()
    assert (found.state, "pt2" in found.remedy) == (State.MISSING, True), found


@pytest.mark.parametrize(
    ("script", "state", "said"),
    [
        ("echo 'Slurmctld(primary) at here is UP'", State.FINE, "is UP"),
        ("echo 'Slurmctld(primary) at here is DOWN'", State.MISSING, "DOWN"),
        ("echo 'slurm_load: no configuration' >&2; exit 1", State.MISSING, "no configuration"),
    ],
)
def test_a_scheduler_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, state: State, said: str):
    executable(tmp_path / "scontrol", script)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name in ("SLURM_JOB_ID", "PBS_JOBID"):
        monkeypatch.delenv(name, raising=False)
    found = programs.scheduler()
    assert (found.state, said in found.found) == (state, True), found


def executable(file: Path, script: str) -> str:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


def test_what_is_wrong_outweighs_what_is_missing():
    fine, missing, wrong = (Finding(name="x", state=state, found="") for state in State)
    assert worst([fine]) is State.FINE
    assert worst([fine, missing]) is State.MISSING
    assert worst([missing, wrong, fine]) is State.WRONG
