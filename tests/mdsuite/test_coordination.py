"""One coordinator at a time, and campaigns whose coordinators are killed at random moments end as if none had been."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from processes import children, contents

from mdsuite.coordination import LOCK, coordinating
from mdsuite.engines.recording import last_step
from mdsuite.errors import InputError

N_STEPS, RUNS = 600, 4
CAMPAIGN = """
engine = "lammps"
models = ["argon-lj"]
structures = ["argon"]
check = false
follow_up = false
[dynamics]
time_ps = 2.4
timestep_fs = 4
temperature_K = 60
chunk_steps = 200
frame_steps = 50
replicas = 4
"""


def test_the_second_is_refused_and_told_of_the_first(tmp_path: Path):
    with coordinating(tmp_path / "out", "mdsuite run") as unseen:
        assert unseen == ""
        with pytest.raises(InputError, match=rf"mdsuite run \(process {os.getpid()} on .*\) is at work on .*out"):
            coordinating(tmp_path / "out", "mdsuite run").__enter__()
        with pytest.raises(InputError, match="mdsuite run"):
            coordinating(tmp_path / "out", "mdsuite run-shard 0/2", share=True).__enter__()
    with coordinating(tmp_path / "out", "mdsuite run") as unseen:
        assert unseen == ""


def test_shares_are_at_work_at_once_and_keep_a_coordinator_out(tmp_path: Path):
    with (
        coordinating(tmp_path, "mdsuite run-shard 0/2", share=True),
        coordinating(tmp_path, "mdsuite run-shard 1/2", share=True),
        pytest.raises(InputError, match="1/2"),
    ):
        coordinating(tmp_path, "mdsuite run").__enter__()


def test_a_folder_in_which_nothing_was_put_is_not_left(tmp_path: Path):
    with pytest.raises(InputError, match="no such model"), coordinating(tmp_path / "out", "mdsuite run"):
        raise InputError("no such model")
    assert not (tmp_path / "out").exists()


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with coordinating(tmp_path, "mdsuite run") as unseen:
        assert "without locks" in unseen


def begun(campaign: Path, output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mdsuite", "run", str(campaign), "--output", str(output), "--jobs", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def table(output: Path) -> list[dict[str, Any]]:
    """Every measurement that is no time."""
    told = json.loads((output / "results.json").read_text())
    return [each for each in told["measurements"] if "second" not in each["unit"]]


def done(output: Path) -> dict[str, tuple[int, int]]:
    """What tells the last segments of finished runs from such as were written anew."""
    found = {}
    for folder in (output / "runs").glob("*"):
        if last_step(folder) == N_STEPS:
            told = max((folder / "segments").glob("*.h5md")).stat()
            found[folder.name] = told.st_ino, told.st_mtime_ns
    return found


def require_nothing_lost(kills: int, folder: Path, seed: int) -> None:
    """Kill coordinators, each some time after it has begun; the last is left in peace."""
    random = Random(seed)
    campaign = folder / "campaign.toml"
    campaign.write_text(CAMPAIGN)
    undisturbed, output = folder / "undisturbed", folder / "out-0"
    first = time.monotonic()
    begun(campaign, undisturbed).communicate(timeout=300)
    lasts = time.monotonic() - first
    struck = ended = 0
    while struck < kills:
        before = done(output) if (output / "runs").exists() else {}
        if len(before) == RUNS:  # another one of the same kind
            require_the_same(begun(campaign, output), output, undisturbed)
            ended += 1
            output = folder / f"out-{ended}"
            continue
        process = begun(campaign, output)
        time.sleep(random.uniform(0.0, lasts))
        struck += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        end = time.monotonic() + 2.0
        while children(process.pid):
            assert time.monotonic() < end, "something outlives its coordinator"
            time.sleep(0.02)
        now = done(output) if (output / "runs").exists() else {}
        assert {key: now[key] for key in before} == before, "a run that was done was integrated again"
    require_the_same(begun(campaign, output), output, undisturbed)


def require_the_same(process: subprocess.Popen[str], output: Path, undisturbed: Path) -> None:
    said, _ = process.communicate(timeout=300)
    assert process.returncode in (0, 3), said
    assert table(output) == table(undisturbed)
    assert len(done(output)) == RUNS
    for run in (undisturbed / "runs").iterdir():
        assert contents(output / "runs" / run.name) == contents(run)


def test_a_coordinator_that_is_killed_loses_nothing(tmp_path: Path):
    require_nothing_lost(2, tmp_path, seed=1)


@pytest.mark.slow
def test_twenty_coordinators_that_are_killed_lose_nothing(tmp_path: Path):
    require_nothing_lost(20, tmp_path, seed=2)


def test_a_coordinator_is_refused_while_another_is_at_work(tmp_path: Path):
    campaign = tmp_path / "campaign.toml"
    campaign.write_text(CAMPAIGN.replace("time_ps = 2.4", "time_ps = 240"))
    first = begun(campaign, tmp_path / "out")
    end = time.monotonic() + 60.0
    while not (tmp_path / "out" / LOCK).exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    second = begun(campaign, tmp_path / "out")
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"mdsuite run (process {first.pid} on" in said
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode == 75


def test_a_folder_that_cannot_be_written_is_refused():
    with pytest.raises(InputError, match="cannot be written"):
        coordinating(Path("/proc/campaign"), "mdsuite run-shard 0/2", share=True).__enter__()
