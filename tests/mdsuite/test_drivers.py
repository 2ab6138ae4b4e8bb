"""A driver goes from one run to the next, and no run can tell it from one of its own."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import pytest
from factories import LJ, argon, run
from processes import contents, faulty_run

from mdsuite.execution.drivers import Driver, Drivers, Service
from mdsuite.execution.local import Advance, on_this_machine, run_all
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import Status, supervise
from mdsuite.runs import Coupling, read_run, write_run
from mdsuite_driver.heap import LARGE_PAGES, TUNABLES

ZOO = "ase:mdsuite_driver.zoo:{}?host=argon&strength={}"


def quiet(*_told: object) -> None:
    """Nobody looks."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes of all drivers, as they are started."""
    pids: list[int] = []
    start = Drivers.start

    def counted(self: Drivers, service: Service, log: Path) -> Driver:
        driver = start(self, service, log)
        pids.append(driver.process.pid)
        return driver

    monkeypatch.setattr(Drivers, "start", counted)
    return pids


def replicas(folder: Path, n: int = 3, **changes: object) -> dict[str, Path]:
    """Folders of runs that differ in their velocities."""
    folders = {}
    for k in range(n):
        one = run(argon(2), velocity_seed=k, **changes)
        drawn = dataclasses.replace(one.start, velocities=one.start.velocities * (1.0 + 0.1 * k))
        one = dataclasses.replace(one, start=drawn)
        folders[one.id] = folder / one.id
        write_run(one, folders[one.id])
    return folders


def alone(folders: dict[str, Path], folder: Path) -> dict[str, Path]:
    """The same runs, each with a driver of its own."""
    again = {run_id: folder / run_id for run_id in folders}
    for run_id, path in folders.items():
        write_run(read_run(path), again[run_id])
        assert supervise(again[run_id]).status is Status.DONE
    return again


@pytest.mark.parametrize("engine", ["lammps", pytest.param("ipi", marks=pytest.mark.slow)])
def test_runs_of_a_model_have_one_driver_and_are_those_of_their_own(tmp_path: Path, started: list[int], engine: str):
    folders = replicas(tmp_path / "warm", engine=engine, model=LJ)
    outcomes = run_all(folders, 1, Stop(), quiet)
    assert [(each.status, each.events) for each in outcomes.values()] == [(Status.DONE, ())] * 3
    assert len(started) == 1
    for run_id, folder in alone(folders, tmp_path / "alone").items():
        assert contents(folders[run_id]) == contents(folder)
        assert (folder / "driver.log").read_text() == (folders[run_id] / "driver.log").read_text()
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def test_a_driver_asks_for_large_pages(tmp_path: Path):
    driver = Driver(Service.of(run(argon()), {}), tmp_path / "driver.log")
    environment = Path(f"/proc/{driver.process.pid}/environ").read_bytes().split(b"\0")
    driver.kill()
    assert f"{TUNABLES}={LARGE_PAGES}=1".encode() in environment


@pytest.mark.parametrize(
    ("defect", "strength"), [("ageing", 1e-5), pytest.param("lagged", 1.0, marks=pytest.mark.slow)]
)
def test_a_model_that_remembers_has_a_driver_for_every_run(
    tmp_path: Path, started: list[int], defect: str, strength: float
):
    folders = replicas(tmp_path / "warm", model=ZOO.format(defect, strength), trust=True)
    outcomes = run_all(folders, 1, Stop(), quiet)
    assert [(each.status, each.events) for each in outcomes.values()] == [(Status.DONE, ())] * 3
    assert len(started) == 3
    said = [(folder / "driver.log").read_text() for folder in folders.values()]
    assert ["every run needs a driver of its own" in each for each in said] == [False, True, True]
    for run_id, folder in alone(folders, tmp_path / "alone").items():
        assert contents(folders[run_id]) == contents(folder)


@pytest.mark.parametrize("struck", [signal.SIGKILL, signal.SIGSTOP])
def test_a_driver_that_is_lost_while_it_waits_costs_no_run_anything(
    tmp_path: Path, started: list[int], struck: signal.Signals
):
    folders = replicas(tmp_path, 2, coupling=Coupling(start_s=8.0))
    first, second = ({run_id: folder} for run_id, folder in folders.items())
    with on_this_machine(1) as execute:
        execute(first, Stop(), quiet)
        os.kill(started[0], struck)
        (outcome,) = execute(second, Stop(), quiet).values()
    assert (outcome.status, outcome.events, len(started)) == (Status.DONE, (), 2)
    assert not Path(f"/proc/{started[0]}").exists()


def test_a_lost_driver_is_followed_by_a_new_one_that_is_kept(tmp_path: Path, started: list[int]):
    mark = tmp_path / "mark"
    folders = {}
    for k in range(3):
        asked = faulty_run("kill", at=30, mark=mark)
        folders[str(k)] = tmp_path / str(k)
        write_run(asked, folders[str(k)])
    outcomes = run_all(folders, 1, Stop(), quiet)
    assert [each.status for each in outcomes.values()] == [Status.DONE] * 3
    assert sorted(len(each.events) for each in outcomes.values()) == [0, 0, 1]
    assert len(started) == 2


def test_no_more_drivers_are_kept_than_runs_go_on_at_a_time(tmp_path: Path, started: list[int]):
    folders = {}
    for k in range(3):
        folders |= replicas(tmp_path, 1, model_sha256=str(k))
    alive: list[int] = []

    def look(_run: str, _advance: object) -> None:
        alive.append(sum(Path(f"/proc/{pid}").exists() for pid in started))

    outcomes = run_all(folders, 1, Stop(), look)
    assert [each.status for each in outcomes.values()] == [Status.DONE] * 3
    assert (len(started), max(alive)) == (3, 1)


def test_a_stopped_run_leaves_its_driver_to_the_next(tmp_path: Path, started: list[int]):
    stop, folders = Stop(), replicas(tmp_path, 2, n_steps=600, chunk_steps=20)
    first, second = ({run_id: folder} for run_id, folder in folders.items())

    def enough(_run: str, advance: Advance) -> None:
        if advance.step > 100:
            stop.request()

    with on_this_machine(1) as execute:
        (stopped,) = execute(first, stop, enough).values()
        assert stopped.status is Status.STOPPED
        (done,) = execute(second, Stop(), quiet).values()
        (resumed,) = execute(first, Stop(), quiet).values()
    assert (done.status, resumed.status, len(started)) == (Status.DONE, Status.DONE, 1)
    for run_id, folder in alone(folders, tmp_path / "alone").items():
        assert contents(folders[run_id]) == contents(folder)
