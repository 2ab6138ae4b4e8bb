"""Whatever happens to driver, engine, supervisor or disk: an end in time, the cause, whole data, nothing left over."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import (
    children,
    contents,
    doors,
    faulty_run,
    prepared,
    process_of,
    run_one,
    status,
    when_recorded,
    when_stopped,
)

from mdsuite.execution import supervise as supervision
from mdsuite.execution.supervise import Status, supervise
from mdsuite.runs import Coupling, Run, write_run
from mdsuite_analysis.read import read_energies

IN_TIME = 60.0  # s, for a run of a second or two with its imports; a hang is for ever


@dataclass(frozen=True)
class Ended:
    folder: Path
    code: int
    said: str
    seconds: float
    left: list[int]
    sockets: list[Path]


def carried_out(of: Run, folder: Path, meanwhile: Callable[[subprocess.Popen[bytes]], None] | None = None) -> Ended:
    with prepared(of, folder):
        process = run_one(folder)
        if meanwhile is not None:
            meanwhile(process)
        began = time.monotonic()
        said, _ = process.communicate(timeout=120)
        seconds = time.monotonic() - began
        left, sockets = children(process.pid), list(doors(folder).iterdir())
    return Ended(folder, process.returncode, said.decode(), seconds, left, sockets)


def require_nothing_left(ended: Ended) -> None:
    assert (ended.left, ended.sockets) == ([], [])
    assert ended.seconds < IN_TIME


def require_good_data(folder: Path, clean: Path) -> int:
    """Every recorded step is as in the undisturbed run; returns how many there are."""
    if not (folder / "segments").exists() and not list(folder.glob("tail-*.h5md")):
        return 0
    ours, theirs = read_energies(folder), read_energies(clean)
    n = len(ours.step)
    assert np.array_equal(ours.step, np.arange(n))
    assert np.array_equal(ours.total_energy, theirs.total_energy[:n])
    return n


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("clean") / "run"
    write_run(faulty_run(), folder)
    assert supervise(folder).status is Status.DONE
    return folder


# What a driver may do, how the run ends, and what is said.
AT = "step 2[79]: "  # that of reply 30, since LAMMPS asks for some steps twice, or of new positions 30
ONE = Coupling(evaluation_s=1.0, first_evaluation_s=5.0, replacements=1)
DEAD = {
    "kill": rf"{AT}the driver ended with signal SIGKILL",
    "segfault": rf"{AT}the driver ended with signal SIGSEGV",
    "exit": rf"{AT}the driver ended with exit code 0",
    "freeze": rf"{AT}the driver was ended: TimeoutError: .* within 1 s",
    "slow": rf"{AT}the driver was ended: TimeoutError: .* within 1 s",
    "kill-after-the-header": rf"{AT}the driver ended with signal SIGKILL",
    "kill-before-it-connects": r"step 0: the driver ended with signal SIGKILL",
    "kill-at-the-door": r"step 0: the driver ended with signal SIGKILL",
    "kill-in-the-handshake": r"step 0: the driver ended with signal SIGKILL",
}
LIES = {
    "raise": (
        "failed",
        rf"{AT}the driver reports: RuntimeError: out of luck.*last lines of driver\.log: .*out of luck",
    ),
    "memory": ("failed", rf"{AT}the driver reports: .*MemoryError: Unable to allocate"),
    "not-a-number": ("unstable", rf"{AT}the driver reports: the model's force on atom 1 is \[.*nan\]"),
    "infinite": ("unstable", rf"{AT}the driver reports: the model's force on atom 1 is \[.*inf\]"),
    "huge": ("unstable", rf"{AT}the driver reports: the model's force on atom 1 is 1e\+05 eV/Å, beyond the limit"),
    "count": ("failed", rf"{AT}the driver does not speak i-PI as it should: FORCEREADY must carry 4 atoms, got 3"),
    "garbage": ("failed", rf"{AT}the driver does not speak i-PI as it should: expected a header"),
    "shear": ("failed", rf"{AT}the model's virial is not symmetric"),
    "exit-before-it-connects": ("failed", r"step 0: the driver ended with exit code 4 before it connected"),
}
TRANSPORTS = ("unix", "tcp")


def cases(faults: Iterable[str], first: str) -> list[Any]:
    """Every fault over every transport; one of the two, in turns, is left to the slow tests."""
    return [
        pytest.param(fault, transport, marks=[] if (k + (transport == first)) % 2 else pytest.mark.slow)
        for k, fault in enumerate(faults)
        for transport in TRANSPORTS
    ]


@pytest.fixture(scope="module")
def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str, str], Future[Ended]]]:
    """Every fault of a driver that a selected test asks for, two runs at a time."""
    root = tmp_path_factory.mktemp("matrix")
    asked = [item for item in request.session.items if "matrix" in getattr(item, "fixturenames", ())]
    keys = [
        (params["fault"], params["transport"], "once" if "replaced" in each.name else "always")
        for each in asked
        for params in [each.callspec.params]
    ]
    with ThreadPoolExecutor(2) as pool:
        yield {key: pool.submit(_with_fault, root, *key) for key in keys}


def _with_fault(root: Path, fault: str, transport: str, how: str) -> Ended:
    folder = root / f"{fault}-{transport}-{how}"
    mark = {"mark": root / f"{folder.name}.mark"} if how == "once" else {"once": False}
    return carried_out(faulty_run(fault, coupling=replace(ONE, transport=transport), **mark), folder)


@pytest.mark.parametrize(("fault", "transport"), cases(DEAD, "unix"))
def test_a_driver_that_dies_is_replaced_and_the_trajectory_is_the_same(fault, transport, matrix, clean: Path):
    ended = matrix[fault, transport, "once"].result()
    assert (ended.code, status(ended.folder)["status"]) == (0, "done"), ended.said
    assert re.search(DEAD[fault] + ".*, and was replaced", status(ended.folder)["events"][0])
    assert contents(ended.folder) == contents(clean)
    require_nothing_left(ended)


@pytest.mark.parametrize(("fault", "transport"), cases(DEAD, "tcp"))
def test_a_driver_that_dies_again_and_again_ends_the_run(fault, transport, matrix, clean: Path):
    ended = matrix[fault, transport, "always"].result()
    found = status(ended.folder)
    assert (ended.code, found["status"], len(found["events"])) == (1, "failed", 1), ended.said
    assert re.search(DEAD[fault].partition(": ")[2] + ".*after 1 replacement", found["reason"])
    step = int(found["reason"].split(":")[0].removeprefix("step "))
    assert require_good_data(ended.folder, clean) == step
    require_nothing_left(ended)


@pytest.mark.parametrize(("fault", "transport"), cases(LIES, "unix"))
def test_what_a_driver_says_of_itself_or_says_wrongly_ends_the_run(fault, transport, matrix, clean: Path):
    ended = matrix[fault, transport, "always"].result()
    outcome, said = LIES[fault]
    found = status(ended.folder)
    assert (ended.code, found["status"], found["events"]) == (1, outcome, []), ended.said
    assert re.search(said, found["reason"])
    n_recorded = require_good_data(ended.folder, clean)
    step = int(found["reason"].split(":")[0].removeprefix("step "))
    assert n_recorded == step  # those before it, and nothing of the one that failed
    require_nothing_left(ended)


def test_a_slow_first_evaluation_is_waited_for(tmp_path: Path, clean: Path):
    ended = carried_out(faulty_run("slow", at=1), tmp_path / "run")
    assert (ended.code, status(ended.folder)["events"]) == (0, [])
    assert contents(ended.folder) == contents(clean)


LONG = 2_000
LONG_COUPLING = Coupling()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A longer run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("long") / "run"
    write_run(faulty_run(n_steps=LONG, coupling=LONG_COUPLING), folder)
    assert supervise(folder).status is Status.DONE
    return folder


def require_resumed(folder: Path, long: Path) -> None:
    assert supervise(folder).status is Status.DONE
    assert contents(folder) == contents(long)


RARER = [pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGABRT, signal.SIGSEGV)]


@pytest.mark.parametrize("number", [signal.SIGKILL, *RARER])
def test_an_engine_that_dies_is_named_and_the_run_is_resumed(number: signal.Signals, tmp_path: Path, long: Path):
    folder = tmp_path / "run"

    def strike(process: subprocess.Popen[bytes]) -> None:
        when_recorded(folder, 5)
        os.kill(process_of(process.pid, "mdsuite.engines"), number)

    ended = carried_out(faulty_run(n_steps=LONG, coupling=LONG_COUPLING), folder, strike)
    assert (ended.code, status(folder)["status"]) == (1, "failed")
    assert re.match(rf"the engine ended with signal {number.name} after step \d+", status(folder)["reason"])
    assert ended.seconds < 5
    require_nothing_left(ended)
    require_resumed(folder, long)


def test_an_engine_that_freezes_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervision, "SILENCE", 1.0)
    folder = tmp_path / "run"
    write_run(faulty_run(n_steps=10**6, coupling=Coupling(evaluation_s=0.5)), folder)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(supervise, folder)
        when_recorded(folder, 3)
        os.kill(process_of(os.getpid(), "mdsuite.engines"), signal.SIGSTOP)
        outcome = future.result(timeout=30)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "the engine was silent for 1.5 s")
    assert children(os.getpid()) == []


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_to_the_supervisor_stops_it_in_time(number: signal.Signals, tmp_path: Path, long: Path):
    folder = tmp_path / "run"

    def strike(process: subprocess.Popen[bytes]) -> None:
        when_recorded(folder, 5)
        process.send_signal(number)

    ended = carried_out(faulty_run(n_steps=LONG, coupling=LONG_COUPLING), folder, strike)
    assert (ended.code, status(folder)["status"]) == (75, "stopped")
    assert ended.seconds < 5
    require_nothing_left(ended)
    require_resumed(folder, long)


def test_a_second_signal_ends_at_once_what_would_not_come_to_its_chunk(tmp_path: Path, long: Path):
    folder = tmp_path / "run"
    slow = faulty_run("slow", n_steps=LONG, at=50, once=False, coupling=LONG_COUPLING)

    def strike(process: subprocess.Popen[bytes]) -> None:
        when_recorded(folder, 2)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)

    ended = carried_out(slow, folder, strike)
    assert ended.code == 75
    assert ended.seconds < 1.5
    require_nothing_left(ended)
    write_run(faulty_run(n_steps=LONG, coupling=LONG_COUPLING), tmp_path / "other")
    shutil.copy(tmp_path / "other" / "run.json", folder)  # the same run with a model that is not slow
    require_resumed(folder, long)


@pytest.mark.parametrize("moment", ["loading", "integrating"])
def test_nothing_outlives_a_supervisor_that_is_killed(moment: str, tmp_path: Path, long: Path):
    folder = tmp_path / "run"
    with prepared(faulty_run(n_steps=LONG, coupling=LONG_COUPLING), folder):
        process = run_one(folder)
        if moment == "integrating":
            when_recorded(folder, 5)
        else:
            while len(children(process.pid)) < 2:
                time.sleep(0.005)
        process.kill()
        process.communicate()
        end = time.monotonic() + 2
        while children(process.pid) and time.monotonic() < end:
            time.sleep(0.05)
        assert children(process.pid) == []
        if moment == "integrating":
            assert list(doors(folder).iterdir()) == []
        require_resumed(folder, long)


def test_a_deadline_is_kept(tmp_path: Path, long: Path):
    folder = tmp_path / "run"
    of = replace(long_run := faulty_run(n_steps=LONG, coupling=LONG_COUPLING), n_steps=10**7)
    with prepared(of, folder):
        began = time.monotonic()
        process = run_one(folder, "--deadline", "12s")
        process.communicate(timeout=60)
        assert process.returncode == 75
        assert time.monotonic() - began < 12.5
    assert status(folder)["steps"] > 0
    assert long_run.id == of.id


def test_two_supervisors_do_not_work_on_one_run(tmp_path: Path):
    folder = tmp_path / "run"
    with prepared(faulty_run(n_steps=10**7, coupling=LONG_COUPLING), folder):
        first = run_one(folder)
        when_recorded(folder, 2)
        assert supervise(folder).reason.startswith("another process is working on this run")
        first.terminate()
        first.communicate(timeout=20)
        assert first.returncode == 75


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"not run: a small disk cannot be mounted here ({mounted.stderr.decode().strip()})")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_a_stop_that_can_be_resumed(small_disk: Path, long: Path):
    folder = small_disk / "run"
    ended = carried_out(faulty_run(n_steps=LONG, coupling=LONG_COUPLING), folder)
    assert ended.code == 75, ended.said
    assert "No space left on device" in ended.said
    require_nothing_left(ended)
    assert LONG > require_good_data(folder, long) > 60
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    require_resumed(folder, long)


def test_a_disk_that_becomes_read_only_is_a_stop_that_can_be_resumed(small_disk: Path, tmp_path: Path, long: Path):
    folder = small_disk / "run"
    waiting = faulty_run("freeze", n_steps=LONG, at=LONG // 2, once=False, coupling=LONG_COUPLING)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)

    def freeze(process: subprocess.Popen[bytes]) -> None:
        """While all wait for the model, lay the same disk, read-only, over what open logs keep from being so."""
        when_recorded(folder, 1)
        driver = process_of(process.pid, "mdsuite_driver")
        assert driver is not None
        when_stopped(driver)
        subprocess.run(["mount", "--bind", small_disk, small_disk], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", small_disk], check=True)
        os.kill(driver, signal.SIGCONT)

    ended = carried_out(waiting, folder, freeze)
    assert ended.code == 75, ended.said
    assert "Read-only file system" in ended.said
    require_nothing_left(ended)
    subprocess.run(["umount", small_disk], check=True)
    write_run(faulty_run(n_steps=LONG, coupling=LONG_COUPLING), tmp_path / "other")
    shutil.copy(tmp_path / "other" / "run.json", folder)  # the same run with a model that does not wait
    require_resumed(folder, long)
