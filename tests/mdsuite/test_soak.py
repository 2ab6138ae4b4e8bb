"""A long run leaves everything as it found it: open files, memory, threads, and the time that a step takes."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from processes import faulty_run, process_of

from mdsuite.execution.supervise import Status, supervise
from mdsuite.runs import Coupling, write_run

PROCESSES = {"engine": "mdsuite.engines", "driver": "mdsuite_driver"}
GROWTH = 2.0  # MiB between the second tenth of a run and its end; allocators wander by less
DRAWN_OUT = 1.15  # time per step at the end, of that at the start; other loads of the machine make for less


@dataclass(frozen=True)
class Look:
    """At a process: open files, threads, resident memory in MiB, and processor time in s, at a step."""

    step: int
    files: int
    threads: int
    memory: float
    busy: float


@dataclass
class Watch:
    """Looks at every process of a run, each time that it has come on by so many steps."""

    every: int
    looks: dict[str, list[Look]] = field(default_factory=lambda: {"supervisor": [], "engine": [], "driver": []})
    _next: int = 0

    def __call__(self, step: int, _rate: float) -> None:
        if step < self._next:
            return
        self._next = step + self.every
        for name, module in PROCESSES.items():
            pid = process_of(os.getpid(), module)
            with contextlib.suppress(OSError):  # the run is over in this moment
                self.looks[name].append(look(Path(f"/proc/{pid}"), step))
        self.looks["supervisor"].append(look(Path("/proc/self"), step))


def look(process: Path, step: int) -> Look:
    after_name = (process / "stat").read_text().rpartition(")")[2].split()
    ticks = int(after_name[11]) + int(after_name[12])  # user and system, proc_pid_stat(5)
    pages = int((process / "statm").read_text().split()[1])
    return Look(
        step=step,
        files=len(list((process / "fd").iterdir())),
        threads=len(list((process / "task").iterdir())),
        memory=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        busy=ticks / os.sysconf("SC_CLK_TCK"),
    )


def soaked(n_steps: int, chunk_steps: int, folder: Path) -> dict[str, list[Look]]:
    """Looks at each process from the second tenth of a run to its end, none of which has more than the first."""
    of = replace(faulty_run(n_steps=n_steps, coupling=Coupling()), chunk_steps=chunk_steps, frame_steps=chunk_steps)
    write_run(of, folder)
    watch = Watch(every=n_steps // 50)
    began = time.monotonic()
    outcome = supervise(folder, advanced=watch)
    seconds = time.monotonic() - began
    assert outcome.status is Status.DONE, outcome.reason
    print(f"\n{n_steps} steps in {seconds:.0f} s, {1e6 * seconds / n_steps:.0f} µs a step")
    settled = {name: [each for each in looks if each.step > n_steps // 10] for name, looks in watch.looks.items()}
    for name, looks in settled.items():
        first, last = looks[0], looks[-1]
        print(f"{name}: {first}\n  to {last}")
        assert (last.files, last.threads) == (first.files, first.threads)
        assert last.memory - first.memory < GROWTH
    return settled


def cost(looks: list[Look]) -> float:
    """Processor time per step, µs."""
    return 1e6 * (looks[-1].busy - looks[0].busy) / (looks[-1].step - looks[0].step)


def test_ten_thousand_steps_leave_nothing_behind(tmp_path: Path):
    soaked(10_000, 500, tmp_path / "run")


@pytest.mark.slow
def test_a_million_steps_leave_nothing_behind_and_take_no_longer_at_the_end(tmp_path: Path):
    looks = soaked(1_000_000, 10_000, tmp_path / "run")
    for name in PROCESSES:
        fifth = len(looks[name]) // 5
        at_start, at_end = cost(looks[name][:fifth]), cost(looks[name][-fifth:])
        print(f"{name}: {at_start:.1f} µs of processor a step at the start, {at_end:.1f} at the end")
        assert at_end < DRAWN_OUT * at_start
