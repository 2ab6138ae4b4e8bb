"""The wire: bytes as i-PI defines them, whole or refused."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdsuite_driver import wire
from mdsuite_driver.models.protocol import Evaluation
from mdsuite_driver.wire import WireError

CELL = np.array([[10.0, 0.0, 0.0], [1.0, 11.0, 0.0], [2.0, 3.0, 12.0]])


def evaluation(n_atoms: int = 2, energy: float = -1.5) -> Evaluation:
    random = np.random.default_rng(n_atoms)
    virial = random.normal(size=(3, 3))
    return Evaluation(energy=energy, forces=random.normal(size=(n_atoms, 3)), virial=virial + virial.T)


def body(message: bytes) -> io.BytesIO:
    return io.BytesIO(message[wire.HEADER_SIZE :])


def exact(stream: io.BytesIO):
    def receive(n: int) -> bytes:
        data = stream.read(n)
        if len(data) < n:
            raise ConnectionError(f"{len(data)} of {n}")
        return data

    return receive


def test_a_header_is_twelve_bytes():
    assert wire.header("STATUS") == b"STATUS      "


def test_positions_are_what_i_pi_expects_byte_for_byte():
    bohr = 0.529177210544
    positions = np.array([[0.0, 1.0, 2.0]])
    expected = b"POSDATA     " + struct.pack("<9d", *(CELL.T / bohr).ravel())
    assert wire.encode_positions(CELL, positions).startswith(expected)


def test_the_inverse_cell_is_the_inverse_of_the_cell_that_was_sent():
    message = wire.encode_positions(CELL, np.zeros((1, 3)))
    sent, inverse = np.frombuffer(message[12 : 12 + 144], dtype="<f8").reshape(2, 3, 3)
    np.testing.assert_allclose(sent @ inverse, np.eye(3), atol=1e-15)


@given(st.integers(1, 50))
def test_positions_come_back(n_atoms: int):
    positions = np.random.default_rng(n_atoms).normal(scale=10, size=(n_atoms, 3))
    cell, returned = wire.read_positions(exact(body(wire.encode_positions(CELL, positions))))
    np.testing.assert_allclose(returned, positions, rtol=1e-15)
    np.testing.assert_allclose(cell, CELL, rtol=1e-15)


@given(st.text())
def test_an_evaluation_and_its_extras_come_back(extras: str):
    sent = evaluation()
    received, text = wire.read_evaluation(exact(body(wire.encode_evaluation(sent, extras.strip("\0")))))
    np.testing.assert_allclose(received.forces, sent.forces, rtol=1e-14)
    np.testing.assert_allclose(received.virial, sent.virial, rtol=1e-14)
    assert (received.energy, text) == (pytest.approx(sent.energy, rel=1e-15), extras.strip("\0"))


def test_float32_forces_travel_as_float64():
    single = evaluation()
    double = wire.encode_evaluation(
        Evaluation(energy=single.energy, forces=single.forces.astype(np.float32), virial=single.virial)
    )
    assert len(double) == len(wire.encode_evaluation(single))


def test_an_upper_triangular_virial_is_taken_as_symmetric():
    full = evaluation().virial
    np.testing.assert_array_equal(wire.full_virial(np.triu(full)), full)


@pytest.mark.parametrize("n_atoms", [0, -1, 2**31 - 1])
def test_an_impossible_number_of_atoms_is_refused(n_atoms: int):
    message = struct.pack("<di", 0.0, n_atoms)
    with pytest.raises(WireError, match="between 1 and"):
        wire.read_evaluation(exact(io.BytesIO(message)))


def test_an_impossible_length_of_extras_is_refused():
    message = wire.encode_evaluation(evaluation())
    with pytest.raises(WireError, match="text of 0 to"):
        wire.read_evaluation(exact(body(message[:-5] + struct.pack("<i", -4))))


def test_a_header_of_garbage_is_refused():
    with pytest.raises(WireError, match="ASCII"):
        wire.read_header(exact(io.BytesIO(b"\xff" * 12)))


@pytest.mark.parametrize("length", range(12, 245, 7))
def test_a_message_cut_short_is_never_taken_for_a_whole_one(length: int):
    message = wire.encode_evaluation(evaluation(n_atoms=6))
    with pytest.raises(ConnectionError):
        wire.read_evaluation(exact(body(message[:length])))
