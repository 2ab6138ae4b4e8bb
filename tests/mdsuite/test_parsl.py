"""Campaigns through Parsl: the same tables, and nothing lost with a worker, a job or the coordinator."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from campaigns import BRIEF, FLAGS, command, table, until
from processes import contents
from slurm import real, said

from mdsuite.execution.stop import Stop
from mdsuite.execution.through_parsl import VAIN, ThroughParsl
from mdsuite.execution.worker import gpu_of
from mdsuite_driver.bundled import inputs_folder

LONG = [*FLAGS, "--replicas", "2", "--time-ps", "10", "--no-follow-up"]


def begun(folder: Path, configuration: Path, *flags: object, environment: dict[str, str] | None = None) -> Any:
    """In a folder of its own, for Parsl writes where it is."""
    folder.mkdir(exist_ok=True)
    line = [sys.executable, "-m", "mdsuite", "run", *map(str, flags), "--executor", f"parsl:{configuration}"]
    return subprocess.Popen(
        [*line, "--output", str(folder / "o")],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_campaign_through_parsl_is_the_one_of_this_machine(tmp_path: Path):
    through = begun(tmp_path / "parsl", inputs_folder() / "executors" / "local.py", *BRIEF)
    output, _ = through.communicate(timeout=180)
    assert through.returncode in (0, 3), output
    command("run", *BRIEF, "--output", tmp_path / "here")
    assert table(tmp_path / "parsl" / "o") == table(tmp_path / "here")
    for run in (tmp_path / "here" / "runs").iterdir():
        assert contents(tmp_path / "parsl" / "o" / "runs" / run.name) == contents(run)
    assert not (tmp_path / "parsl" / "o" / "batch" / "parsl.json").exists()


@pytest.mark.parametrize(
    ("given", "rank", "gpu"),
    [("1", "0", "1"), ("2,3", "0", "2"), ("2,3", "1", "3"), ("2,3", "2", "2"), ("", "0", None)],
)
def test_a_worker_takes_a_gpu_that_the_scheduler_gave(given: str, rank: str, gpu: str | None):
    """Parsl has set CUDA_VISIBLE_DEVICES to its own number, which may be somebody else's GPU."""
    environment = {"MDSUITE_GPUS": given, "PARSL_WORKER_RANK": rank, "CUDA_VISIBLE_DEVICES": "0"}
    assert gpu_of(environment).get("CUDA_VISIBLE_DEVICES") == gpu


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("config = 3", "wanted a parsl.Config called config, or from a function"),
        ("import nowhere", "ModuleNotFoundError"),
        (None, "parsl:"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, content: str | None, told: str):
    file = tmp_path / "config.py"
    if content is not None:
        file.write_text(content)
    refused = command("run", *BRIEF, "--executor", f"parsl:{file}", "--output", tmp_path / "o")
    assert (refused.exit_code, told in refused.output) == (2, True), refused.output


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("slurm?partition=main&job=3", "wanted settings among partition, account, qos, walltime"),
        ("slurm?jobs=many", "is no configuration of Parsl: ValueError"),
        ("slurm?walltime=2h", "is no configuration of Parsl: ValueError"),
        ("sge", "wanted an executor as parsl:CONFIG.py"),
    ],
)
def test_what_slurm_is_not_asked_for_is_refused(tmp_path: Path, told: str, wanted: str):
    refused = command("run", *BRIEF, "--executor", told, "--output", tmp_path / "o")
    assert (refused.exit_code, wanted in refused.output) == (2, True), refused.output


class Workers:
    """In place of Parsl's: each attempt ends as the story of its run says, with what Parsl raises for lost ones."""

    def __init__(self, stories: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = {run: list(story) for run, story in stories.items()}
        monkeypatch.setattr("mdsuite.execution.through_parsl.attempt", self.attempt)
        monkeypatch.setattr("mdsuite.execution.through_parsl.POLL", 0.01)
        monkeypatch.setattr("mdsuite.execution.through_parsl.PAUSES", (0.0,) * VAIN)
        monkeypatch.setattr("mdsuite.execution.through_parsl.last_step", lambda folder: self.steps(folder.name))
        monkeypatch.setattr("mdsuite.execution.through_parsl.recorded_steps", lambda folder: self.steps(folder.name))
        monkeypatch.setattr("parsl.concurrent.ParslPoolExecutor", lambda dfk: dfk)
        self.done = dict.fromkeys(stories, 0)

    def steps(self, run: str) -> int:
        return self.done[run]

    def attempt(self, folder: str) -> dict[str, Any]:
        run = Path(folder).name
        word = self.left[run].pop(0)
        self.done[run] += 10 * word.endswith("further")
        if word.startswith("lost"):
            raise ConnectionError("manager lost")
        status = {"status": word.split()[0], "steps": self.done[run], "reason": "", "events": [], "traceback": ""}
        return {"code": 0, "said": "", "status": status}


@pytest.mark.parametrize(
    ("story", "status", "left"),
    [
        (["done"], "done", 0),
        (["stopped further", "stopped", "stopped", "done further"], "done", 0),
        (["lost", "lost", "stopped further", "lost", "lost", "done further"], "done", 0),
        (["lost", "lost", "lost", "done"], "failed", 1),
        (["stopped"] * (VAIN - 1) + ["done"], "done", 0),
        (["stopped"] * VAIN + ["done"], "failed", 1),
        (["unstable", "done"], "unstable", 1),
    ],
)
def test_runs_are_given_again_as_long_as_they_come_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: list[str], status: str, left: int
):
    workers = Workers({"a": story, "b": ["done further"]}, monkeypatch)
    shown = []
    with ThreadPoolExecutor(2) as pool:
        pool.executors = {}  # type: ignore[attr-defined]
        through = ThroughParsl(tmp_path / "c.py", tmp_path / "record.json")
        monkeypatch.setattr(ThroughParsl, "_kernel", lambda _self: contextlib.nullcontext(pool))
        folders = {run: tmp_path / run for run in "ab"}
        found = through(folders, Stop(), lambda run, _advance: shown.append(run))
    assert (found["a"].status, found["b"].status, len(workers.left["a"])) == (status, "done", left)
    assert sorted(shown) == ["a", "b"]


@pytest.mark.slow
def test_what_a_killed_coordinator_leaves_is_ended_by_cancel(tmp_path: Path):
    endless = [*FLAGS, "--replicas", "2", "--time-ps", "500", "--no-follow-up"]
    folder = tmp_path / "parsl"
    process = begun(folder, inputs_folder() / "executors" / "local.py", *endless)
    until(lambda: len(list(folder.glob("o/runs/*/segments/*"))) >= 4, 120)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()

    def left() -> list[str]:
        found = psutil.process_iter(["cmdline", "cwd", "status"])
        ours = (each.info for each in found if str(each.info["cwd"]).startswith(str(folder)))
        return [" ".join(each["cmdline"] or ()) for each in ours if each["status"] != psutil.STATUS_ZOMBIE]

    assert left(), "there was nothing to end"
    ended = command("cancel", folder / "o")
    assert (ended.exit_code, "process" in ended.output) == (0, True), ended.output
    until(lambda: not left(), 60)
    assert command("cancel", folder / "o").exit_code == 2


CONFIGURATION = """
from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import SlurmProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            label="slurm", address="127.0.0.1", max_workers_per_node=2, heartbeat_period=2, heartbeat_threshold=10,
            {drain}
            provider=SlurmProvider(
                partition="main", walltime="00:01:00", cores_per_node=2, init_blocks=1, min_blocks=0, max_blocks=1,
                worker_init="{worker_init}",
            ),
        )
    ],
    max_idletime=5.0,
    strategy_period=1,
)
"""


@real
@pytest.mark.slow
def test_slurm_needs_no_configuration(slurm: dict[str, str], tmp_path: Path):
    told = "slurm?partition=main&walltime=00:02:00&workers=2&cores=2&jobs=1&address=127.0.0.1"
    asked = [sys.executable, "-m", "mdsuite", "run", *BRIEF, "--executor", told, "--output", str(tmp_path / "there")]
    ended = subprocess.run(asked, env=slurm, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
    assert ended.returncode in (0, 1, 3), ended.stdout + ended.stderr
    command("run", *BRIEF, "--output", tmp_path / "here")
    assert table(tmp_path / "there") == table(tmp_path / "here")


@real
@pytest.mark.slow
@pytest.mark.parametrize("drain", ["drain_period=20,", ""])
def test_jobs_that_come_to_their_ends_lose_no_step(slurm: dict[str, str], tmp_path: Path, drain: str):
    """With a drain period jobs end by themselves; without it Slurm ends them, and chunks that were not whole go."""
    configuration = tmp_path / "config.py"
    path = Path(sys.executable).parent
    configuration.write_text(CONFIGURATION.format(drain=drain, worker_init=f"export PATH={path}:$PATH"))
    through = begun(tmp_path / "parsl", configuration, *LONG, environment=slurm)
    output, _ = through.communicate(timeout=900)
    assert through.returncode in (0, 1, 3), output
    noted = [json.loads(file.read_text())["status"] for file in tmp_path.glob("parsl/o/runs/*/status.json")]
    assert noted == ["done", "done"], output
    jobs = said("squeue", "-h", "-t", "all", "-o", "%j %T", environment=slurm).splitlines()
    ours = [each for each in jobs if each.startswith("parsl")]
    assert len(ours) >= 2, jobs
    if drain:
        assert not [each for each in ours if re.search("TIMEOUT|FAILED", each)], jobs
    command("run", *LONG, "--output", tmp_path / "here")
    assert table(tmp_path / "parsl" / "o") == table(tmp_path / "here")
