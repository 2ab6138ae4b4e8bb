"""The engine process: ``python -m mdsuite.engines FOLDER --listen-fd N`` integrates the run in FOLDER.

It listens on an inherited socket, so that the driver can be started at the same time. What went wrong, if anything,
it leaves in FOLDER/failure.json.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
import traceback
from pathlib import Path

from mdsuite.engines.lammps import LammpsEngine
from mdsuite.engines.recording import last_step, n_segments, segment_path, write_segment
from mdsuite.engines.server import accept
from mdsuite.files import whole, write_json
from mdsuite.run import Run, read_run

CONNECT = 180.0  # s; importing torch from a cold network disk takes its time
PROGRESS = 0.5  # s


class Progress:
    """Tells whoever looks at progress.json how far the run is."""

    def __init__(self, path: Path, first: int) -> None:
        self._path = path
        self._first = first
        self._began = self._told = time.monotonic()

    def __call__(self, step: int) -> None:
        """Note the step; written at most every `PROGRESS` seconds."""
        now = time.monotonic()
        if now - self._told < PROGRESS:
            return
        self._told = now
        rate = (step - self._first) / (now - self._began)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"step": step, "steps_per_second": rate}))
        temporary.replace(self._path)


def restart_path(folder: Path, index: int) -> Path:
    """LAMMPS' state at the end of a segment."""
    return folder / "restarts" / f"{index:06d}.restart"


def integrate(run: Run, folder: Path, listener: socket.socket) -> None:
    """Bring a run to its last step, from the last whole segment on."""
    (folder / "restarts").mkdir(exist_ok=True)
    index, step = n_segments(folder), last_step(folder) or 0
    server = accept(listener, run.start, patience=CONNECT)
    engine = LammpsEngine(run, server, folder / "log.lammps")
    write_json(folder / "engine.json", {"engine": "LAMMPS", "build": engine.build})
    progress = Progress(folder / "progress.json", step)
    while step < run.n_steps:
        if index == 0:
            engine.begin()
        else:
            engine.resume(restart_path(folder, index - 1))
        end = min(step - step % run.chunk_steps + run.chunk_steps, run.n_steps)
        segment = engine.integrate(step, end, progress)
        with whole(restart_path(folder, index)) as temporary:
            engine.write_restart(temporary)
        write_segment(segment_path(folder, index), run, segment)
        restart_path(folder, index - 2).unlink(missing_ok=True)  # the one before is needed if this segment is lost
        index, step = index + 1, end
    server.close()
    engine.close()


def main() -> int:
    """Integrate the run in a folder; 0 when it is done, 1 when it failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--listen-fd", type=int, required=True)
    arguments = parser.parse_args()
    os.chdir(arguments.folder)  # LAMMPS does not take every path, with quotes or accents say
    folder = Path()
    try:
        integrate(read_run(folder), folder, socket.socket(fileno=arguments.listen_fd))
    except Exception as error:
        traceback.print_exc()
        lost_driver = isinstance(error.__cause__ or error, ConnectionError)
        write_json(folder / "failure.json", {"reason": str(error), "lost_driver": lost_driver})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
