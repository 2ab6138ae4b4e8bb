"""Shards, deadlines and scripts, by themselves and in a real Slurm."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import torch
from campaigns import BRIEF, FLAGS, command, results, table, until
from slurm import private, real, said

from mdsuite.batch.scripts import Asked
from mdsuite.batch.shard import Shard
from mdsuite.batch.walltime import seconds_left
from mdsuite.errors import InputError
from mdsuite.execution.local import visible_gpus

STUDENT = "painn-ultra-tiny"
SHORT = [*FLAGS, "--replicas", "4", "--time-ps", "0.5", "--no-follow-up"]


@pytest.mark.parametrize("text", ["", "3", "2/2", "-1/2", "a/b", "1/0", "1/2/3"])
def test_what_is_no_shard_is_refused(text: str):
    with pytest.raises(InputError, match="k/n"):
        Shard.read(text)


def test_shards_are_a_partition(tmp_path: Path):
    ids = [f"{k:02x}" for k in range(23)]
    (tmp_path / "campaign.json").write_text(json.dumps({"runs": ids}))
    shares = [set(Shard(k, 5).runs(tmp_path)) for k in range(5)]
    assert sorted(each for share in shares for each in share) == ids
    assert {len(share) for share in shares} == {4, 5}


NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("environment", "left"),
    [
        ({}, None),
        ({"MDSUITE_DEADLINE": "1000300"}, 300.0),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": "1000060"}, 60.0),
        ({"MDSUITE_DEADLINE": "1000300", "SLURM_JOB_END_TIME": "1000060"}, 300.0),
        ({"MDSUITE_DEADLINE": "soon"}, None),
        ({"PBS_JOBID": "7.server"}, None),
    ],
)
def test_the_end_of_a_job_is_read_from_the_environment(environment: dict[str, str], left: float | None):
    found, why = seconds_left(environment, lambda: NOW)
    assert found == left
    assert bool(why) == bool(environment)


@pytest.mark.parametrize(
    ("answer", "left"),
    [("echo {end}", 3600.0), ("echo N/A", None), ("exit 1", None), ("echo slurm_load_jobs error >&2; exit 1", None)],
)
def test_an_older_slurm_is_asked_for_the_element_of_the_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, left: float | None
):
    end = (datetime.now() + timedelta(hours=1)).isoformat(timespec="seconds")
    script = f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{answer.format(end=end)}\n'
    (tmp_path / "squeue").write_text(script)
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    job = {"SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}
    found, why = seconds_left(job)
    assert found is left is None or found == pytest.approx(left, abs=5.0)
    assert "12_3" in why
    assert "-j 12_3" in (tmp_path / "asked").read_text()


def test_scripts_are_written_and_nothing_is_submitted(tmp_path: Path):
    output = tmp_path / "a folder"
    options = ["--shards", 2, "--time", "0:30:00", "--cpus", 4, "--gpus", 1, "--option", "partition=main", "--dry-run"]
    result = command("submit", *SHORT, *options, "--output", output)
    assert result.exit_code == 0, result.output
    array, gather = (Path(line) for line in result.output.splitlines())
    text = array.read_text()
    for line in ("--array=0-1", "--time=0:30:00", "--cpus-per-task=4", "--gres=gpu:1", "--partition=main"):
        assert line in text
    assert f"run-shard '{output}' --shard" in text
    assert subprocess.run(["bash", "-n", str(array)], check=False).returncode == 0
    assert "--gres=gpu:1" in gather.read_text()
    again = gather.read_text().splitlines()[-1]
    assert "--temperature-K 60.0" in again
    assert "--no-check --no-follow-up" in again.replace("--no-follow-up --no-check", "--no-check --no-follow-up")
    assert len(list((output / "runs").iterdir())) == 4
    assert not (output / "batch" / "submitted.json").exists()
    assert command("cancel", output).exit_code == 2


def test_a_campaign_for_gpus_is_submitted_from_where_there_is_none(tmp_path: Path):
    told = ["--structure", "ethanol", "--time-ps", "0.1", "--replicas", 4, "--no-follow-up"]
    options = ["--shards", 2, "--time", "10", "--gpus", 1, "--dry-run", "--pack", 2]
    done = command("submit", "--model", f"cuda:{STUDENT}", *told, *options, "--output", tmp_path / "o")
    assert done.exit_code == 0, done.output
    runs = [json.loads(path.read_text()) for path in (tmp_path / "o" / "runs").glob("*/run.json")]
    assert len(runs) == 4
    assert all(each["model"].startswith("cuda:") and each["model"].endswith(f"{STUDENT}.pt") for each in runs)
    assert len(list((tmp_path / "o" / "packs").iterdir())) == 2
    refused = command(
        "submit", "--model", "cuda:argon-lj", "--structure", "argon", *options, "--output", tmp_path / "a"
    )
    assert (refused.exit_code, "put on a GPU" in refused.output) == (2, True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="not run: there is a GPU")
@pytest.mark.parametrize("asked", [("run", "--model"), ("check",), ("agree", "--engine", "lammps", "--engine", "ase")])
def test_where_there_is_no_gpu_what_needs_one_is_refused(tmp_path: Path, asked: tuple[str, ...]):
    refused = command(*asked, f"cuda:{STUDENT}", "--structure", "ethanol", "--output", tmp_path / "o")
    assert (refused.exit_code, "finds none that it can use here" in refused.output) == (2, True), refused.output
    assert not list(tmp_path.glob("o/runs/*/segments"))


def test_scripts_for_pbs_are_written_and_read_by_a_shell(tmp_path: Path):
    options = ["--shards", 2, "--scheduler", "pbs", "--time", "90", "--gpus", 1, "--option", "q long"]
    refused = command("submit", *BRIEF, *options, "--output", tmp_path / "o")
    assert (refused.exit_code, "--dry-run" in refused.output) == (2, True)
    written = command("submit", *BRIEF, *options, "--dry-run", "--output", tmp_path / "o")
    array, gather = (Path(line) for line in written.output.splitlines())
    for line in ("walltime=01:30:00", "ncpus=1:ngpus=1", "#PBS -q long", "qsub -J 0-1 ", "afterany:NUMBER"):
        assert line in array.read_text()
    (tmp_path / "qsub").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/queued\n')
    (tmp_path / "qsub").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PBS_JOBID": "7", "PBS_ARRAY_INDEX": "1"}
    ended = subprocess.run(["bash", str(array)], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "done after" in ended.stdout
    assert command("status", tmp_path / "o").output.startswith("1 of 2 runs done")
    assert not (tmp_path / "queued").exists()
    assert "ncpus=1:ngpus=1" in gather.read_text()
    assert gather.read_text().splitlines()[-1].startswith("exec ")


def test_a_share_that_ran_out_of_time_in_pbs_is_submitted_again(tmp_path: Path):
    long = [*FLAGS, "--replicas", "1", "--time-ps", "60", "--no-follow-up"]
    options = ["--shards", 1, "--scheduler", "pbs", "--time", "0:00:20", "--dry-run"]
    array, _ = command("submit", *long, *options, "--output", tmp_path / "o").output.splitlines()
    (tmp_path / "qsub").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/queued\n')
    (tmp_path / "qsub").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PBS_JOBID": "7"}
    ended = subprocess.run(["bash", array], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 75, ended.stdout + ended.stderr
    assert "MDSUITE_SHARE=0,MDSUITE_RESTARTS=1" in (tmp_path / "queued").read_text()


@pytest.mark.parametrize(
    ("told", "there", "gpus"),
    [("2,3", 8, ["2", "3"]), ("", 8, []), ("-1", 8, []), (None, 2, ["0", "1"]), (None, 0, [])],
)
def test_gpus_are_those_that_this_process_may_use(tmp_path: Path, told: str | None, there: int, gpus: list[str]):
    for k in range(there):
        (tmp_path / f"0000:0{k}:00.0").mkdir()
    assert visible_gpus({} if told is None else {"CUDA_VISIBLE_DEVICES": told}, tmp_path) == gpus


SAYS = """
import os
def make(folder):
    from ase.calculators.lj import LennardJones
    with open(f"{folder}/{os.getpid()}", "w") as file:
        file.write(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    return LennardJones(sigma=3.4, epsilon=0.01, rc=6.0, smooth=True)
"""


def test_trajectories_have_a_gpu_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    (tmp_path / "says.py").write_text(SAYS)
    (tmp_path / "said").mkdir()
    model = [
        "--model",
        f"ase:{tmp_path / 'says.py'}:make?folder={tmp_path / 'said'}",
        "--structure",
        "argon",
        "--trust",
    ]
    short = ["--replicas", "4", "--time-ps", "0.02", "--no-check", "--no-follow-up", "--temperature-K", "60"]
    command("run", "--engine", "lammps", *model, *short, "--jobs", "2", "--output", tmp_path / "o")
    said = sorted(file.read_text() for file in (tmp_path / "said").iterdir() if file.name != str(os.getpid()))
    assert said == ["4", "6"]  # a driver for each GPU, kept from run to run


def test_shards_one_after_the_other_are_the_campaign(tmp_path: Path):
    command("submit", *BRIEF, "--shards", 2, "--dry-run", "--output", tmp_path / "shards")
    assert command("status", tmp_path / "shards").output.startswith("0 of 2 runs done, 2 not begun; 0.0 %")
    for k in range(2):
        assert command("run-shard", tmp_path / "shards", "--shard", f"{k}/2", "--jobs", 1).exit_code == 0
    assert command("status", tmp_path / "shards").output == "2 of 2 runs done; 100.0 % of 400 steps\n"
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "shards").glob("runs/*/segments/*")}
    for name in ("shards", "whole"):
        command("run", *BRIEF, "--output", tmp_path / name, "--jobs", 2)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert table(tmp_path / "shards") == table(tmp_path / "whole")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--shards", 9], "at most as many shards as runs, which are 4"),
        (["--shards", 2, "--equilibrate-ps", 1], "in one job: mdsuite run"),
        (["--shards", 2, "--early"], "in one job: mdsuite run"),
        (["--shards", 2, "--time", "an hour"], "as Slurm writes it"),
    ],
)
def test_what_cannot_be_submitted_is_refused(tmp_path: Path, flags: list[object], said: str):
    result = command("submit", *SHORT, *flags, "--dry-run", "--output", tmp_path / "o")
    assert (result.exit_code, said in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    ("text", "seconds", "signalled"),
    [("1", 60, 15), ("90", 5400, 120), ("30:00", 1800, 120), ("0:05:00", 300, 75), ("1-12", 129600, 120),
     ("1-00:30", 88200, 120), ("2-01:00:05", 176405, 120)],
)  # fmt: skip
def test_times_are_read_as_slurm_does(text: str, seconds: int, signalled: int):
    asked = Asked(shards=1, time=text, cpus=1, jobs=1)
    assert (asked.seconds, asked.signal) == (seconds, signalled)


def test_a_shard_that_gains_nothing_is_not_queued_again(tmp_path: Path):
    long = [*FLAGS, "--replicas", "1", "--time-ps", "60", "--no-follow-up"]
    command("submit", *long, "--shards", 1, "--dry-run", "--output", tmp_path / "o")
    result = command("run-shard", tmp_path / "o", "--shard", "0/1", "--deadline", "0.2")
    assert (result.exit_code, "no chunk came to its end" in result.output) == (1, True), result.output


def test_a_machine_without_slurm_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.which", lambda _name: None)
    result = command("submit", *SHORT, "--shards", 2, "--output", tmp_path / "o")
    assert (result.exit_code, "there is no scontrol here" in result.output) == (2, True), result.output


def test_a_signal_that_is_passed_on_is_the_same_one(tmp_path: Path):
    """A scheduler sends SIGTERM to every process, and the script sends it too: both ask for one end, at a chunk."""
    flags = [*FLAGS, "--replicas", "1", "--time-ps", "200", "--no-follow-up", "--output", str(tmp_path / "o")]
    begun = subprocess.Popen([sys.executable, "-m", "mdsuite", "run", *flags], stdout=subprocess.DEVNULL)
    until(lambda: len(list(tmp_path.glob("o/runs/*/segments/*"))) >= 2, 120)
    begun.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    begun.send_signal(signal.SIGTERM)
    assert begun.wait(timeout=20) == 75
    (noted,) = tmp_path.glob("o/runs/*/status.json")
    told = json.loads(noted.read_text())
    assert (told["status"], told["steps"] % 1000) == ("stopped", 0)


def submitted(slurm: dict[str, str], output: Path, *flags: object) -> dict[str, str]:
    """The first array, all jobs, and what was said."""
    ended = subprocess.run(
        [sys.executable, "-m", "mdsuite", "submit", *map(str, flags), "--output", str(output)],
        env={**os.environ, **slurm}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads((output / "batch" / "submitted.json").read_text())
    return {"array": told["arrays"][0], "all": ",".join([*told["arrays"], told["gather"]]), "said": ended.stdout}


def states(slurm: dict[str, str], job: str) -> list[str]:
    return said("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%T", environment=slurm).split()


def log(output: Path) -> str:
    return "\n".join(file.read_text(errors="replace") for file in sorted((output / "batch").glob("*.log")))


def hurry(slurm: dict[str, str], job: str) -> None:
    """A job that is queued again waits for two minutes, and in a laboratory until the node has forgotten it."""
    if "PENDING" not in states(slurm, job):
        return
    time.sleep(5.0)
    said("scontrol", "update", f"jobid={job}", "StartTime=now", environment=slurm)


@real
def test_an_array_of_shards_ends_with_the_report(slurm: dict[str, str], tmp_path: Path):
    jobs = submitted(slurm, tmp_path / "o", *BRIEF, "--shards", 2, "--time", "10", "--gpus", 1)
    until(lambda: not said("squeue", "-h", "-j", jobs["all"], environment=slurm), 300)
    assert states(slurm, jobs["array"]) == ["COMPLETED", "COMPLETED"], log(tmp_path / "o")
    command("run", *BRIEF, "--output", tmp_path / "whole", "--jobs", 2)
    assert table(tmp_path / "o") == table(tmp_path / "whole")
    assert sorted(re.findall(r"^GPU (\d+)$", log(tmp_path / "o"), re.MULTILINE)) == ["0", "1"]
    assert re.search(r"this job ends in \d+ s", log(tmp_path / "o"))


@real
@pytest.mark.slow
def test_more_shards_than_an_array_may_have_are_several_arrays(tmp_path: Path):
    with private(tmp_path / "slurm", largest_array=3) as small:
        jobs = submitted(small, tmp_path / "o", *SHORT, "--shards", 4, "--time", "10")
        assert re.search(r"2 arrays, for one may not have as many elements: \d+, \d+", jobs["said"])
        until(lambda: not said("squeue", "-h", "-j", jobs["all"], environment=small), 300)
        assert states(small, jobs["all"]) == ["COMPLETED"] * 5, log(tmp_path / "o")
    assert log(tmp_path / "o").count("done after") >= 4
    assert results(tmp_path / "o")["runs"][0]["status"] == "done"


@real
@pytest.mark.slow
def test_what_runs_out_of_time_is_queued_again_and_ends_the_same(slurm: dict[str, str], tmp_path: Path):
    long = [*FLAGS, "--replicas", "1", "--time-ps", "10", "--no-follow-up"]
    jobs = submitted(slurm, tmp_path / "o", *long, "--shards", 1, "--time", "1")
    until(lambda: stopped(tmp_path / "o") and "PENDING" in states(slurm, jobs["array"]), 120)

    def went_on() -> bool:
        hurry(slurm, f"{jobs['array']}_0")
        return not said("squeue", "-h", "-j", jobs["all"], environment=slurm)

    until(went_on, 500)
    assert log(tmp_path / "o").count("this job ends in") >= 2
    command("run", *long, "--output", tmp_path / "whole", "--jobs", 1)
    assert table(tmp_path / "o") == table(tmp_path / "whole")


def stopped(output: Path) -> bool:
    noted = list(output.glob("runs/*/status.json"))
    return any(json.loads(file.read_text())["status"] == "stopped" for file in noted)


@real
@pytest.mark.slow
def test_what_is_cancelled_stays_cancelled(slurm: dict[str, str], tmp_path: Path):
    long = [*FLAGS, "--replicas", "2", "--time-ps", "500", "--no-follow-up"]
    jobs = submitted(slurm, tmp_path / "o", *long, "--shards", 2, "--time", "30")
    until(lambda: len(list(tmp_path.glob("o/runs/*/segments/*"))) >= 4, 120)
    again = subprocess.run(
        [sys.executable, "-m", "mdsuite", "submit", *long, "--shards", "2", "--output", str(tmp_path / "o")],
        env={**os.environ, **slurm}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (again.returncode, "has jobs in the queue" in again.stderr) == (2, True)
    ended = subprocess.run(
        [sys.executable, "-m", "mdsuite", "cancel", str(tmp_path / "o")], env={**os.environ, **slurm}, check=False
    )
    assert ended.returncode == 0
    until(lambda: not said("squeue", "-h", "-j", jobs["all"], environment=slurm), 60)
    assert states(slurm, jobs["array"]) == ["CANCELLED", "CANCELLED"]
    assert stopped(tmp_path / "o"), log(tmp_path / "o")
    time.sleep(3.0)
    assert not said("squeue", "-h", environment=slurm)


@real
@pytest.mark.slow
def test_what_is_preempted_goes_on(slurm: dict[str, str], tmp_path: Path):
    long = [*FLAGS, "--replicas", "1", "--time-ps", "3", "--no-follow-up"]
    jobs = submitted(slurm, tmp_path / "o", *long, "--shards", 1, "--time", "30", "--cpus", 2)
    until(lambda: len(list(tmp_path.glob("o/runs/*/segments/*"))) >= 3, 120)
    urgent = ["sbatch", "--parsable", "-p", "hi", "-t", "1", "-c", "2", "--output=/dev/null", "--wrap", "sleep 3"]
    assert said(*urgent, environment=slurm).strip()
    until(lambda: "PENDING" in states(slurm, jobs["array"]), 60)

    def went_on() -> bool:
        hurry(slurm, f"{jobs['array']}_0")
        return not said("squeue", "-h", "-j", jobs["all"], environment=slurm)

    until(went_on, 300)
    command("run", *long, "--output", tmp_path / "whole", "--jobs", 1)
    assert table(tmp_path / "o") == table(tmp_path / "whole")
