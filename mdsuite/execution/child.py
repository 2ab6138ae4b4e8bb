"""A process that ends with its supervisor and says what it has to say in a log file."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from mdsuite_driver.heap import in_large_pages
from mdsuite_driver.parent import SUPERVISOR

LAST_LINES = 5
LONGEST_LINE = 500  # characters


class Child:
    """A Python module run as a process of its own session: a Ctrl-C in the terminal is for the supervisor alone."""

    def __init__(
        self,
        module: Iterable[str],
        log: Path,
        *,
        threads: int,
        environment: Mapping[str, str] | None = None,
        descriptors: tuple[int, ...] = (),
    ) -> None:
        self.said_in(log)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                # -P: nothing is imported from where the user happens to be
                [sys.executable, "-P", "-m", *module],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=in_large_pages(
                    {
                        **os.environ,
                        "OMP_NUM_THREADS": str(threads),
                        "PYTHONUNBUFFERED": "1",
                        SUPERVISOR: str(os.getpid()),
                        **(environment or {}),
                    }
                ),
                pass_fds=descriptors,
                start_new_session=True,
            )

    def said_in(self, log: Path) -> None:
        """What it has to say from now on is at the end of this file."""
        self._log, self._begin = log, log.stat().st_size if log.exists() else 0

    @property
    def ended(self) -> int | None:
        """The exit code, or minus the signal, once it has ended; None while it runs."""
        if self._process.returncode is None:
            # It stays a zombie, so that its number, and that of its group, belongs to nobody else until `kill`.
            found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return None
            return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        return self._process.returncode

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def peak_memory(self) -> float:
        """Its largest resident memory so far, MB; NaN once it has ended."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return math.nan
        found = re.search(r"VmHWM:\s*(\d+) kB", status)
        return float(found[1]) / 1024.0 if found else math.nan

    @property
    def how(self) -> str:
        """How it ended, in words."""
        code = self.ended
        if code is None:
            return "nothing, it still runs"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def wait(self, seconds: float) -> bool:
        """Whether it has ended of its own within so many seconds."""
        end = time.monotonic() + seconds
        while self.ended is None and time.monotonic() < end:
            time.sleep(0.01)
        return self.ended is not None

    def kill(self) -> None:
        """End it now, with everything that it has started and left behind."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def last_lines(self) -> str:
        """The end of what this process has written to its log."""
        with self._log.open("rb") as file:
            file.seek(self._begin)
            lines = file.read().decode(errors="replace").strip().splitlines()
        said = " / ".join(line.strip()[:LONGEST_LINE] for line in lines[-LAST_LINES:])
        return f"last lines of {self._log.name}: {said}" if said else f"{self._log.name} is empty"
