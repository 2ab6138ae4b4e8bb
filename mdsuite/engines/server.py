"""The server end of the i-PI protocol: sends positions, receives forces."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from mdsuite.runs import Coupling, FloatArray
from mdsuite_driver import dialect, pack, wire
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
    """One driver, asked for one evaluation after the other; with `persist` also after one that failed.

    With `n_members` the atoms are those of a pack, as `mdsuite_driver.pack` has it.
    """

    def __init__(
        self, stream: Stream, species: Species, coupling: Coupling, *, persist: bool = False, n_members: int = 1
    ) -> None:
        self._persist = persist
        self._n_members = n_members
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
        asked = dialect.announce(species, self._coupling.max_force, persist=self._persist, n_members=self._n_members)
        self._stream.send(wire.encode_init(0, asked))

    def evaluate(
        self, cell: FloatArray, positions: FloatArray, meanwhile: Callable[[], None] = lambda: None
    ) -> Evaluation:
        """Energy (eV), forces (n_atoms, 3; eV/Å) and virial (3, 3; eV) for a cell (Å, rows) and positions (Å).

        `meanwhile` is called once the question is on its way, beside the model's work.

        Raises ConnectionError or TimeoutError where the driver is lost, WireError where its answer is not the
        protocol, ModelFailedError where it says that its model failed, and UnsoundError where the answer must not be
        integrated.
        """
        evaluation, _ = self._asked(cell, positions, meanwhile)
        require_sound(evaluation, len(self._species.numbers), self._coupling.max_force)
        return evaluation

    def evaluate_members(
        self, cell: FloatArray, positions: FloatArray, meanwhile: Callable[[], None] = lambda: None
    ) -> list[pack.Answer]:
        """As `evaluate`, the answer of every member of a pack, or why it has none; what is unsound is a member's."""
        whole, extras = self._asked(cell, positions, meanwhile)
        answers = pack.decode(whole, extras, self._n_members)
        n_atoms = len(self._species.numbers) // self._n_members
        return [pack.sound(answer, n_atoms, self._coupling.max_force) for answer in answers]

    def _asked(self, cell: FloatArray, positions: FloatArray, meanwhile: Callable[[], None]) -> tuple[Evaluation, str]:
        """The answer as it came, and its extras."""
        self._stream.within(self._patience)
        self._stream.send(wire.encode_positions(cell, positions) + wire.header(wire.GETFORCE))
        meanwhile()
        self._expect(wire.FORCEREADY)
        answer = wire.read_evaluation(self._stream.receive, len(self._species.numbers))
        self._patience = self._coupling.evaluation_s
        failure = dialect.read_failure(answer[1])
        if failure is not None:
            raise ModelFailedError(failure)
        return answer

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
