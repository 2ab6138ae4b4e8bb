"""Drivers at hand: each has loaded its model once, and serves one run after another."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from mdsuite.execution.child import Child
from mdsuite.execution.door import Door
from mdsuite.runs import Run
from mdsuite_driver.orders import SERVED, Order

FOLLOW = 2.0  # s, for a driver to end of its own, or to come back from a run


@dataclass(frozen=True, slots=True)
class Service:
    """What makes a driver fit for a run.

    environment : that of its process beyond ours
    """

    model: str
    sha256: str
    trust: bool
    threads: int
    environment: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, run: Run, environment: Mapping[str, str]) -> Service:
        """That of a run."""
        return cls(run.model, run.model_sha256, run.trust, run.threads, tuple(sorted(environment.items())))

    @property
    def command(self) -> list[str]:
        """The module and its flags."""
        flags = ["--model", self.model, "--threads", str(self.threads), *(["--trust"] if self.trust else [])]
        return ["mdsuite_driver.cli", *flags]


class Driver:
    """A process that serves a model wherever it is sent."""

    def __init__(self, service: Service, log: Path) -> None:
        self.service = service
        self.has_served = False
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = Child(
                [*service.command, "--orders-fd", str(theirs.fileno())],
                log,
                threads=service.threads,
                environment=dict(service.environment),
                descriptors=(theirs.fileno(),),
            )

    def send_to(self, door: Door, log: Path) -> None:
        """Have it knock at a door, and say in a file what it has to say."""
        self.process.said_in(log)
        order = Order(address=door.where, token=door.token, log=str(log.absolute()))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its end is seen by the next look
            self._orders.sendall(order.encode())

    def came_back(self) -> bool:
        """Whether it has served to the end, and waits for the next order."""
        ready, _, _ = select.select([self._orders], [], [], FOLLOW)
        try:
            self.has_served = bool(ready) and self._orders.recv(len(SERVED)) == SERVED
        except ConnectionResetError:
            self.has_served = False
        return self.has_served

    def dismiss(self) -> None:
        """There are no more orders."""
        self._orders.close()
        self.process.wait(FOLLOW)
        self.process.kill()

    def kill(self) -> None:
        """End it now."""
        self._orders.close()
        self.process.kill()


class Drivers:
    """Drivers that wait for their next run; with those at work no more than `keep`, where at least one waits.

    They are started by a thread of their own, for the kernel ends a driver with the thread that has started it.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._waiting: list[Driver] = []
        self._n_at_work = 0
        self._changing = threading.Lock()
        self._starter = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> Drivers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for driver in self._waiting:
            driver.dismiss()
        self._starter.shutdown()

    def take(self, service: Service, log: Path) -> Driver:
        """One that fits, which waits or is started; to be brought back or done with by `put_away`."""
        with self._changing:
            self._n_at_work += 1
            fit = next((each for each in self._waiting if each.service == service), None)
            if fit is not None:
                self._waiting.remove(fit)
            surplus = self._surplus()
        for driver in surplus:
            driver.dismiss()
        if fit is not None and fit.process.ended is None:
            return fit
        if fit is not None:
            fit.kill()
        try:
            return self.start(service, log)
        except OSError:
            with self._changing:
                self._n_at_work -= 1
            raise

    def start(self, service: Service, log: Path) -> Driver:
        """A new one, in the place of one that was taken."""
        return self._starter.submit(Driver, service, log).result()

    def put_away(self, driver: Driver, *, whole: bool) -> None:
        """End it, or keep it for the next run if it is `whole` and has come back."""
        fit = whole and driver.came_back()
        with self._changing:
            self._n_at_work -= 1
            kept = fit and self._keep > 0
            if kept:
                self._waiting.append(driver)
            surplus = self._surplus()
        if not kept:
            driver.dismiss() if fit else driver.kill()
        for each in surplus:
            each.dismiss()

    def _surplus(self) -> list[Driver]:
        """Those that have waited longest, beyond what may be kept; they wait no more."""
        n = max(0, len(self._waiting) + self._n_at_work - self._keep)
        surplus, self._waiting = self._waiting[:n], self._waiting[n:]
        return surplus
