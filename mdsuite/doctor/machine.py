"""Processors, memory, disk, sockets and clock, each by using it."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mdsuite.doctor.finding import Finding, State
from mdsuite.execution.door import Door, DoorError
from mdsuite.files import write_text
from mdsuite.runs import Coupling

FREE = 1.0  # GiB, below which a campaign of some molecules may fill the disk
SKEW = 5.0  # s, between the clocks of this machine and of the file system
GIB = 2**30


def processors() -> Finding:
    """Those that this process may use, which a batch system may have made fewer than there are."""
    usable, there = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS")
    told = f"{usable} of {there} usable" + ("" if threads is None else f"; OMP_NUM_THREADS={threads}")
    return Finding(name="processors", state=State.FINE, found=told)


def memory() -> Finding:
    """What is free, or what the control group still allows if that is less."""
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(told["MemAvailable"].split()[0]) * 1024
    limit = _group_limit()
    found = f"{free / GIB:.1f} GiB free" + ("" if limit is None else f"; this job may use {limit / GIB:.1f} GiB")
    if min(free, limit or free) < FREE * GIB:
        remedy = "ask the batch system for more memory, or run fewer trajectories at a time (--jobs)"
        return Finding(name="memory", state=State.WRONG, found=found, remedy=remedy)
    return Finding(name="memory", state=State.FINE, found=found)


def _group_limit() -> int | None:
    """Bytes, of the second version of control groups, for this process; None where there is none."""
    try:
        own = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        text = (Path("/sys/fs/cgroup") / own[3:].lstrip("/") / "memory.max").read_text().strip()
    except (OSError, StopIteration):
        return None
    return None if text == "max" else int(text)


def folder(output: Path) -> Iterator[Finding]:
    """Whether campaigns can live where they are to be written: room, locks, whole files, the clock."""
    name = f"folder {output}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        begun = time.time()
        with tempfile.TemporaryDirectory(prefix=".mdsuite-doctor-", dir=output) as made:
            write_text(Path(made) / "whole", "x")
            written = (Path(made) / "whole").stat().st_mtime
            locked, linked = _locks(Path(made)), _links(Path(made))
    except OSError as error:
        remedy = "choose a folder that you may write to with --output"
        yield Finding(name=name, state=State.WRONG, found=f"cannot be written: {error}", remedy=remedy)
        return
    free = shutil.disk_usage(output).free / GIB
    state = State.FINE if free >= FREE else State.WRONG
    yield Finding(
        name=name, state=state, found=f"{free:.1f} GiB free", remedy="" if state is State.FINE else "make room"
    )
    yield Finding(
        name=f"locks in {output}",
        state=State.FINE if locked else State.WRONG,
        found="kept" if locked else "not kept: two processes can work on one run",
        remedy="" if locked else "choose a file system with flock (a local disk, or Lustre mounted with -o flock)",
    )
    yield Finding(
        name=f"hard links in {output}",
        state=State.FINE if linked else State.MISSING,
        found="kept" if linked else "none: where locks fail too, two attempts at one run can mix",
        remedy="" if linked else "keep to one mdsuite at a time, or choose a file system of this kind",
    )
    skew = written - begun
    skewed = not -SKEW <= skew <= SKEW
    remedy = "have the administrators set the clocks: deadlines and attempts are told apart by them"
    yield Finding(
        name=f"clock of {output}",
        state=State.WRONG if skewed else State.FINE,
        found=f"{skew:+.1f} s from this machine's",
        remedy=remedy if skewed else "",
    )


def _locks(made: Path) -> bool:
    """Whether a second descriptor is kept from a lock that a first one holds."""
    first, second = (os.open(made, os.O_RDONLY | os.O_DIRECTORY) for _ in range(2))
    try:
        return _locked(first) and not _locked(second)
    finally:
        os.close(first)
        os.close(second)


def _links(made: Path) -> bool:
    """Whether a file can have a second name, and the same name not twice."""
    try:
        os.link(made / "whole", made / "second")
        os.link(made / "whole", made / "second")
    except FileExistsError:
        return True
    except OSError:  # the file system has none
        return False
    return False


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by somebody, or not to be had on this file system
        return False
    return True


def sockets() -> Iterator[Finding]:
    """A door of each kind, opened and knocked at."""
    for transport, remedy in (
        ("unix", "set XDG_RUNTIME_DIR to a short path on a local disk, or use --transport tcp"),
        ("tcp", "allow connections on the loopback, or use --transport unix"),
    ):
        try:
            door = Door(Coupling(transport=transport))
        except (DoorError, OSError) as error:
            yield Finding(name=f"{transport} sockets", state=State.WRONG, found=str(error), remedy=remedy)
            continue
        try:
            _knock(door)
            found, state = door.address, State.FINE
        except OSError as error:
            found, state = f"{door.address}: {error}", State.WRONG
        finally:
            door.close()
        yield Finding(
            name=f"{transport} sockets", state=state, found=found, remedy="" if state is State.FINE else remedy
        )


def _knock(door: Door) -> None:
    flags = dict(zip(door.flags[::2], door.flags[1::2], strict=True))
    if "--unix" in flags:
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.connect(flags["--unix"])
    else:
        socket.create_connection((flags["--host"], int(flags["--port"])), timeout=5.0).close()
