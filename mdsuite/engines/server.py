"""The server end of the i-PI protocol: sends positions, receives forces."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from mdsuite.runs import Coupling, FloatArray
from mdsuite_driver import dialect, wire
from mdsuite_driver.dialect import Species
from mdsuite_driver.models.protocol import Evaluation
from mdsuite_driver.soundness import require_sound
from mdsuite_driver.stream import Stream
from mdsuite_driver.wire import WireError

HANDSHAKE = 30.0  # s
FAREWELL = 1.0  # s


class ModelFailedError(RuntimeError):
    """The driver says that its model has no evaluation, and why; `kind` is one of `mdsuite_driver.dialect`."""

    def __init__(self, failure: dialect.Failure) -> None:
        super().__init__(failure.message)
        self.kind = failure.kind
        self.traceback = failure.traceback


class ForceServer:
    """One driver, asked for one evaluation after the other; with `persist` also after one that failed."""

    def __init__(self, stream: Stream, species: Species, coupling: Coupling, *, persist: bool = False) -> None:
        self._persist = persist
        self._stream = stream
        self._species = species
        self._coupling = coupling
        self._patience = coupling.first_evaluation_s
        self._stream.within(HANDSHAKE)
        self._stream.send(wire.header(wire.STATUS))
        if self._expect(wire.NEEDINIT, wire.READY) == wire.NEEDINIT:
            self.change(species)

    def change(self, species: Species) -> None:
        """Ask for other atoms from now on; only a driver that understands mdsuite's INIT follows."""
        self._species = species
        self._stream.within(HANDSHAKE)
        self._stream.send(
            wire.encode_init(0, dialect.announce(species, self._coupling.max_force, persist=self._persist))
        )

    def evaluate(
        self, cell: FloatArray, positions: FloatArray, meanwhile: Callable[[], None] = lambda: None
    ) -> Evaluation:
        """Energy (eV), forces (n_atoms, 3; eV/Å) and virial (3, 3; eV) for a cell (Å, rows) and positions (Å).

        `meanwhile` is called once the question is on its way, beside the model's work.

        Raises ConnectionError or TimeoutError where the driver is lost, WireError where its answer is not the
        protocol, ModelFailedError where it says that its model failed, and UnsoundError where the answer must not be
        integrated.
        """
        self._stream.within(self._patience)
        self._stream.send(wire.encode_positions(cell, positions) + wire.header(wire.GETFORCE))
        meanwhile()
        self._expect(wire.FORCEREADY)
        n_atoms = len(self._species.numbers)
        evaluation, extras = wire.read_evaluation(self._stream.receive, n_atoms)
        self._patience = self._coupling.evaluation_s
        failure = dialect.read_failure(extras)
        if failure is not None:
            raise ModelFailedError(failure)
        require_sound(evaluation, n_atoms, self._coupling.max_force)
        return evaluation

    def close(self) -> None:
        """Tell the driver to exit, if it still listens, and close."""
        self._stream.within(FAREWELL)
        with contextlib.suppress(OSError):  # one that has gone needs no farewell
            self._stream.send(wire.header(wire.EXIT))
        self._stream.close()

    def _expect(self, *words: str) -> str:
        word = wire.read_header(self._stream.receive)
        if word not in words:
            raise WireError(f"expected {' or '.join(words)} from the driver, got {word!r}")
        return word
