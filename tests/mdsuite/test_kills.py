"""Random kills of random processes: the same command again, and the trajectory is byte for byte the undisturbed one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import h5py
import pytest
from processes import children, contents, faulty_run, prepared, process_of, run_one, status

from mdsuite.execution.supervise import Status, supervise
from mdsuite.runs import Coupling, Run, write_run

VICTIMS = ("mdsuite.engines", "mdsuite_driver", "supervisor")
LONGEST = 4.0  # s, about as long as an undisturbed run takes


def the_run() -> Run:
    return faulty_run(n_steps=2_000, coupling=Coupling(replacements=5))


def strike(process: subprocess.Popen[bytes], victim: str, after: float) -> bool:
    """Kill somebody after a time, or as soon as there is somebody; whether that was before the end."""
    time.sleep(after)
    while process.poll() is None:
        pid = process.pid if victim == "supervisor" else process_of(process.pid, victim)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended in this moment
                os.kill(pid, signal.SIGKILL)
                return True
        time.sleep(0.002)
    return False


def one_trial(seed: int, folder: Path) -> Counter[str]:
    """A run that is struck, and begun again until it is done; who was struck how often."""
    random, struck = Random(seed), Counter[str]()
    wanted = random.choice([1, 1, 2, 3])
    with prepared(the_run(), folder):
        for _ in range(wanted + 5):
            process = run_one(folder)
            while struck.total() < wanted and process.poll() is None:
                victim = random.choice(VICTIMS)
                struck[victim] += strike(process, victim, random.uniform(0.0, LONGEST))
            said, _ = process.communicate(timeout=60)
            end = time.monotonic() + 2.0
            while children(process.pid):
                assert time.monotonic() < end, "something outlives its supervisor"
                time.sleep(0.02)
            if process.returncode == 0:
                return struck
    raise AssertionError(f"trial {seed} is never done: {said.decode()}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    write_run(the_run(), folder)
    assert supervise(folder).status is Status.DONE
    return contents(folder)


def require_the_same(undisturbed: dict[str, bytes], folder: Path, least_kills: int) -> None:
    struck, different, seed = Counter[str](), [], 0
    with ThreadPoolExecutor(2) as pool:
        while struck.total() < least_kills:
            seeds = range(seed, seed + 2)
            seed += len(seeds)
            for n, hits in zip(seeds, pool.map(lambda n: one_trial(n, folder / str(n)), seeds), strict=True):
                struck += hits
                if contents(folder / str(n)) != undisturbed:
                    different.append(n)
    told = ", ".join(f"{n} of {victim}" for victim, n in struck.items())
    print(f"{struck.total()} kills in {seed} runs ({told}): {len(different)} differ")
    assert different == []


def test_a_few_random_kills_change_nothing(undisturbed: dict[str, bytes], tmp_path: Path):
    require_the_same(undisturbed, tmp_path, 2)


@pytest.mark.slow
def test_a_hundred_random_kills_change_nothing(undisturbed: dict[str, bytes], tmp_path: Path):
    require_the_same(undisturbed, tmp_path, 100)


def test_two_attempts_that_do_not_see_each_other_do_not_mix(
    undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mdsuite.execution.supervise._locked", lambda _: True)  # as where a file system has no locks
    folder = tmp_path / "run"
    write_run(the_run(), folder)
    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(supervise, [folder, folder]), key=lambda each: each.status)
    assert [each.status for each in outcomes] == [Status.DONE, Status.STOPPED], outcomes
    assert "another process is working on this run" in outcomes[1].reason
    assert contents(folder) == undisturbed
    assert status(folder)["status"] == Status.DONE


def test_a_state_that_is_not_what_the_engine_wrote_is_not_taken_up(tmp_path: Path):
    folder = tmp_path / "run"
    write_run(replace(the_run(), n_steps=1_000), folder)
    assert supervise(folder).status is Status.DONE
    write_run(the_run(), folder)
    state = max((folder / "restarts").iterdir())  # of the last chunk
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    outcome = supervise(folder)
    assert outcome.status is Status.FAILED
    assert "is not what the engine wrote" in outcome.reason
    with h5py.File(max((folder / "segments").iterdir()), "a") as segment:
        del segment["parameters/restart"]
    assert "names no state of its engine" in supervise(folder).reason
