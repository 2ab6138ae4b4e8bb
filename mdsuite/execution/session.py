"""A driver asked for one evaluation after the other, of any configuration."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from pathlib import Path
from types import TracebackType

import numpy as np
from ase.geometry import complete_cell

from mdsuite.engines.server import ForceServer, ModelFailedError
from mdsuite.execution.child import Child
from mdsuite.execution.door import Door
from mdsuite.runs import Coupling
from mdsuite_analysis.potential import Configuration, Evaluation, NoNumberError
from mdsuite_driver.dialect import MODEL_ERROR, Species
from mdsuite_driver.soundness import UnsoundError
from mdsuite_driver.stream import Stream
from mdsuite_driver.wire import WireError

TICK = 0.02  # s, between two looks at the door
FOLLOW = 2.0  # s, for a driver that was told to exit


class NoEvaluationError(RuntimeError):
    """The driver has no evaluation of a configuration, and why."""


class UnsoundAnswerError(NoEvaluationError, NoNumberError):
    """The model has answered, with what cannot be used."""


class Session:
    """A model as a potential, served by a driver over the same wire as in a run.

    `double` has it computed in float64, whatever it computes in by itself. A driver that fails is replaced by a new one
    at the next evaluation.
    """

    def __init__(
        self, model: str, log: Path, *, trust: bool, threads: int, coupling: Coupling, double: bool = False
    ) -> None:
        self._command = ["mdsuite_driver.cli", "--model", model, "--threads", str(threads)]
        self._command += [*(["--trust"] if trust else []), *(["--double"] if double else [])]
        self._log = log
        self._threads = threads
        self._coupling = coupling
        self._driver: Child | None = None
        self._server: ForceServer | None = None
        self._species: tuple[bytes, tuple[bool, bool, bool]] | None = None
        self.n_evaluations = 0

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __call__(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and virial; raises NoEvaluationError for whatever reason there is none."""
        try:
            server = self._serving(Species(configuration.numbers, configuration.pbc))
            said = server.evaluate(complete_cell(configuration.cell), configuration.positions)
        except UnsoundError as error:
            raise UnsoundAnswerError(str(error)) from error
        except ModelFailedError as error:
            refused = NoEvaluationError if error.kind == MODEL_ERROR else UnsoundAnswerError
            raise refused(str(error)) from error
        except (ConnectionError, TimeoutError, WireError) as error:
            lines = "" if self._driver is None else f"; {self._driver.last_lines()}"
            self.close()
            raise NoEvaluationError(f"{type(error).__name__}: {error}{lines}") from error
        self.n_evaluations += 1
        return Evaluation(energy=said.energy, forces=said.forces, virial=said.virial)

    @property
    def peak_memory(self) -> float:
        """The largest resident memory of the driver so far, MB; NaN where none runs."""
        return math.nan if self._driver is None else self._driver.peak_memory

    def close(self) -> None:
        """End the driver."""
        if self._server is not None:
            self._server.close()
            self._server = self._species = None
        if self._driver is not None:
            self._driver.wait(FOLLOW)
            self._driver.kill()
            self._driver = None

    def _serving(self, species: Species) -> ForceServer:
        wanted = (np.asarray(species.numbers).tobytes(), species.pbc)
        if self._server is None:
            self._server = ForceServer(Stream(self._connection()), species, self._coupling, persist=True)
        elif self._species != wanted:
            self._server.change(species)
        self._species = wanted
        return self._server

    def _connection(self) -> socket.socket:
        with contextlib.closing(Door(self._coupling)) as door:
            self._driver = Child(
                [*self._command, *door.flags], self._log, threads=self._threads, environment=door.environment
            )
            end = time.monotonic() + self._coupling.start_s
            while (connection := door.attend()) is None:
                if self._driver.ended is not None:
                    raise ConnectionError(f"the driver ended with {self._driver.how} before it connected")
                if time.monotonic() > end:
                    raise TimeoutError(f"the driver did not connect within {self._coupling.start_s:g} s")
                time.sleep(TICK)
            connection.setblocking(True)
            return connection
