"""The server end of the i-PI protocol: sends positions, receives forces."""

from __future__ import annotations

import json
import socket

import numpy as np

from mdsuite.run import FloatArray, Start
from mdsuite_driver import wire
from mdsuite_driver.client import require_finite
from mdsuite_driver.models.protocol import Evaluation
from mdsuite_driver.stream import Stream
from mdsuite_driver.wire import WireError

FIRST_EVALUATION = 600.0  # s; a model may compile itself on its first evaluation
EVALUATION = 120.0  # s
PLACEHOLDER = 1000.0  # Å; the wire has no words for a cell that is not there


class ForceServer:
    """One driver, asked for one evaluation after the other."""

    def __init__(self, stream: Stream, start: Start) -> None:
        self._stream = stream
        self._n_atoms = start.n_atoms
        self._n_evaluations = 0
        self._initialise(start)

    def evaluate(self, cell: FloatArray, positions: FloatArray) -> Evaluation:
        """Energy (eV), forces (n_atoms, 3; eV/Å) and virial (3, 3; eV) for a cell (Å, rows) and positions (Å).

        Raises WireError, ConnectionError or TimeoutError where the driver does not answer as it should, and
        NotFiniteError where its answer is not finite.
        """
        self._stream.send(wire.encode_positions(cell, positions) + wire.header(wire.GETFORCE))
        self._expect(wire.FORCEREADY)
        evaluation, _ = wire.read_evaluation(self._stream.receive)
        self._n_evaluations += 1
        self._stream.deadline = EVALUATION
        if len(evaluation.forces) != self._n_atoms:
            raise WireError(f"expected forces on {self._n_atoms} atoms, got {len(evaluation.forces)}")
        require_finite(evaluation, self._n_evaluations)
        return evaluation

    def close(self) -> None:
        """Tell the driver to exit, and close."""
        try:
            self._stream.send(wire.header(wire.EXIT))
        finally:
            self._stream.close()

    def _initialise(self, start: Start) -> None:
        self._stream.deadline = FIRST_EVALUATION
        self._stream.send(wire.header(wire.STATUS))
        if self._expect(wire.NEEDINIT, wire.READY) == wire.NEEDINIT:
            announcement = {"mdsuite": 1, "numbers": start.numbers.tolist(), "pbc": list(start.pbc)}
            self._stream.send(wire.encode_init(0, json.dumps(announcement)))

    def _expect(self, *words: str) -> str:
        word = wire.read_header(self._stream.receive)
        if word not in words:
            raise WireError(f"expected {' or '.join(words)} from the driver, got {word!r}")
        return word


def accept(listener: socket.socket, start: Start, *, patience: float) -> ForceServer:
    """Wait for the driver; raises TimeoutError naming the wait."""
    listener.settimeout(patience)
    try:
        connection, _ = listener.accept()
    except TimeoutError as error:
        raise TimeoutError(f"no driver connected within {patience:g} s; see driver.log") from error
    listener.close()
    return ForceServer(Stream(connection), start)


def wire_cell(start: Start) -> FloatArray:
    """A cell (3, 3) that can be inverted, with placeholders in the directions that are not periodic."""
    cell = np.array(start.cell, dtype=float)
    if abs(np.linalg.det(cell)) > 1e-6:
        return cell
    if not any(start.pbc):
        return PLACEHOLDER * np.eye(3)
    return complete_cell(cell)


def complete_cell(cell: FloatArray) -> FloatArray:
    """Missing (zero) rows replaced by vectors at right angles to the others, `PLACEHOLDER` long."""
    _, _, basis = np.linalg.svd(cell)
    missing = np.flatnonzero(~cell.any(axis=1))
    completed = cell.copy()
    completed[missing] = PLACEHOLDER * basis[3 - len(missing) :]
    if np.linalg.det(completed) < 0:
        completed[missing[0]] *= -1
    return completed
