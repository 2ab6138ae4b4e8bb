"""Runs in processes of their own: begun, looked at, struck."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from factories import argon, run

from mdsuite.runs import Coupling, Run, write_run
from mdsuite_driver.parent import SUPERVISOR

FAULTY = Path(__file__).with_name("faulty.py")
N_STEPS = 100


def cluster() -> Any:
    atoms = argon(1)
    atoms.pbc = False
    return atoms


def faulty_run(fault: str = "none", *, n_steps: int = N_STEPS, coupling: Coupling | None = None, **how: object) -> Run:
    """A run whose model does as `faulty.py` says."""
    query = "&".join(f"{key}={value}" for key, value in how.items())
    coupling = coupling or Coupling(evaluation_s=1.0, first_evaluation_s=5.0)
    model = f"ase:{FAULTY}:make?fault={fault}&{query}"
    return run(cluster(), model=model, trust=True, n_steps=n_steps, coupling=coupling)


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every segment."""
    return {path.name: path.read_bytes() for path in sorted((folder / "segments").glob("*.h5md"))}


def run_one(folder: Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mdsuite", "run-one", str(folder), *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_RUNTIME_DIR": str(doors(folder))}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def doors(folder: Path) -> Path:
    """Where this run's sockets are; with a short path."""
    return Path(tempfile.gettempdir()) / f"mdt-{os.getpid()}-{abs(hash(folder)) % 10**8}"


@contextlib.contextmanager
def prepared(of: Run, folder: Path) -> Iterator[Path]:
    doors(folder).mkdir()
    write_run(of, folder)
    yield folder
    shutil.rmtree(doors(folder))


def children(supervisor: int) -> list[int]:
    """Processes, dead or alive, that a supervisor has started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has gone
            if f"{SUPERVISOR}={supervisor}\0".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def status(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "status.json").read_text())


def process_of(supervisor: int, module: str) -> int | None:
    for pid in children(supervisor):
        with contextlib.suppress(OSError):
            if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return None


def when_recorded(folder: Path, n_segments: int) -> None:
    end = time.monotonic() + 60
    while len(list(folder.glob("segments/*.h5md"))) < n_segments:
        assert time.monotonic() < end
        time.sleep(0.01)


def when_stopped(pid: int) -> None:
    """By a signal: the state T of proc(5)."""
    end = time.monotonic() + 60
    while " T " not in Path(f"/proc/{pid}/stat").read_text()[:40]:
        assert time.monotonic() < end
        time.sleep(0.01)
