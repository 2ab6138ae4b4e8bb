"""The engine process: ``python -m mdsuite.engines FOLDER --link-fd N`` integrates the run in FOLDER.

The supervisor at the other end of the link sends drivers, hears of every failure, and may ask for an end at the next
chunk.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import socket
import sys
import traceback
from pathlib import Path

from mdsuite import link
from mdsuite.engines.engine import Engine, StepError
from mdsuite.engines.failure import failure_of
from mdsuite.engines.forces import DriverForces, LocalForces, NoForces, Supervisor
from mdsuite.engines.kinds import DRIVER, LOCAL, EngineKind, engine_kind
from mdsuite.engines.recorder import OfRun, Recorder, clear_tails
from mdsuite.engines.recording import (
    begin_anew,
    last_conserved,
    last_step,
    n_segments,
    restart_of,
    segment_path,
)
from mdsuite.engines.witness import Witness, Witnessed
from mdsuite.files import beside, move_whole, on_disk
from mdsuite.packs import members_of
from mdsuite.runs import Run, read_run
from mdsuite_driver.parent import die_with_supervisor

STOPPED = 75
RESTARTS = "restarts"


class DamagedStateError(RuntimeError):
    """An engine's state on the disk that is not the one that was written."""


def state_at(folder: Path, index: int) -> Path:
    """The engine's state at the end of a segment; raises DamagedStateError where it is not the one that it left."""
    segment = segment_path(folder, index)
    if not (name := restart_of(segment)):
        raise DamagedStateError(
            f"{segment} names no state of its engine, as another mdsuite wrote it; begin the run anew"
        )
    path = folder / RESTARTS / name
    with on_disk():
        content = path.read_bytes()
    if path.name != _named(content, index):
        raise DamagedStateError(f"{path} is not what the engine wrote; remove this run's folder and begin it again")
    return path


def keep_state(folder: Path, index: int, engine: Engine) -> str:
    """Write the engine's state, and return what it is called, which tells states apart that are not the same."""
    temporary = beside(folder / RESTARTS / "state")
    try:
        engine.write_restart(temporary)
        name = _named(temporary.read_bytes(), index)
        move_whole(temporary, temporary.with_name(name))
    finally:
        temporary.unlink(missing_ok=True)
    return name


def _named(content: bytes, index: int) -> str:
    return f"{index:06d}-{hashlib.sha256(content).hexdigest()[:16]}.restart"


def integrate(run: Run, folder: Path, supervisor: Supervisor) -> bool:
    """Bring a run on from its last whole segment; whether it is at its last step, and not stopped before."""
    with on_disk():
        begin_anew(folder)
        (folder / RESTARTS).mkdir(exist_ok=True)
        clear_tails(folder)
    index, step = n_segments(folder), last_step(folder) or 0
    kind = engine_kind(run.engine)
    opened = _open_pack if members_of(folder) else _open
    forces, engine, recorder = opened(run, folder, kind, supervisor)
    with on_disk():
        recorder.write_about({"engine": kind.title, "build": engine.build})
    while step < run.n_steps and not supervisor.stop_requested():
        recorder.begin(step)
        if index == 0:
            engine.begin()
        else:
            engine.resume(state_at(folder, index - 1), last_conserved(folder))
        end = min(step - step % run.chunk_steps + run.chunk_steps, run.n_steps)
        _advance(folder, engine, recorder, index, step, end)
        index, step = index + 1, end
    forces.close()
    engine.close()
    return step == run.n_steps


AnyForces = DriverForces | LocalForces | NoForces


def _open(run: Run, folder: Path, kind: EngineKind, supervisor: Supervisor) -> tuple[AnyForces, Engine, Recorder]:
    forces = _forces(kind, run, supervisor)
    witness = Witness(run)
    engine = kind.open(run, Witnessed(forces, witness), folder / f"log.{kind.name}")
    return forces, engine, OfRun(run, folder, witness)


def _open_pack(run: Run, folder: Path, kind: EngineKind, supervisor: Supervisor) -> tuple[AnyForces, Engine, Recorder]:
    from mdsuite.engines.packed import OfPack, packed  # noqa: PLC0415  LAMMPS, which other engines do without

    forces = DriverForces(run, supervisor, n_members=len(members_of(folder)))
    recorder = OfPack(run, folder, forces)
    return forces, packed(run, recorder.members, folder / f"log.{kind.name}"), recorder


def _forces(kind: EngineKind, run: Run, supervisor: Supervisor) -> AnyForces:
    if kind.forces == DRIVER:
        return DriverForces(run, supervisor)
    return LocalForces(run, supervisor) if kind.forces == LOCAL else NoForces(supervisor.advanced)


def _advance(folder: Path, engine: Engine, recorder: Recorder, index: int, first: int, last: int) -> None:
    """One chunk: the engine's state first, then its segment, which names it and makes both count.

    A second process at work on this run may write states, which nobody reads whose segment has not become the one.
    """
    try:
        segment = engine.integrate(first, last)
    except StepError as error:
        if error.recorded is not None:
            with on_disk():
                recorder.write_tail(index, error.recorded)
        raise
    with on_disk():
        state = keep_state(folder, index, engine)
        recorder.write(index, segment, state)
        for old in (folder / RESTARTS).glob(f"{index - 2:06d}-*"):  # the one before is needed if this segment is lost
            old.unlink(missing_ok=True)


def main() -> int:
    """Integrate the run in a folder; 0 when it is done, 75 when it was stopped at a chunk, 1 when it failed."""
    die_with_supervisor()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--link-fd", type=int, required=True)
    arguments = parser.parse_args()
    os.chdir(arguments.folder)  # LAMMPS does not take every path, with quotes or accents say
    channel = link.Link(socket.socket(fileno=arguments.link_fd))
    try:
        done = integrate(read_run(Path()), Path(), Supervisor(channel))
    except Exception as error:
        traceback.print_exc()
        channel.send(link.FAILED, **dataclasses.asdict(failure_of(error)))
        return 1
    return 0 if done else STOPPED


if __name__ == "__main__":
    sys.exit(main())
