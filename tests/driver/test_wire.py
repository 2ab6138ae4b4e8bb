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


# Every message as bytes, its numbers powers of two in atomic units so that no constant rounds them.
TRICLINIC = np.array([[8.0, 0.0, 0.0], [2.0, 16.0, 0.0], [-1.0, 4.0, 0.5]])  # bohr, rows
POSITIONS = np.array([[0.25, -4.0, 1.0], [0.0, 2.0, -0.5]])  # bohr
FORCES = np.array([[0.5, -0.25, 2.0], [-0.5, 0.25, -2.0]])  # hartree/bohr
VIRIAL = np.array([[1.0, -0.5, 0.25], [-0.5, 2.0, 4.0], [0.25, 4.0, -8.0]])  # hartree
GOLDEN_POSDATA = bytes.fromhex(
    "504f534441544120 20202020"  # POSDATA
    "0000000000002040 0000000000000040 000000000000f0bf"  # x of a, b, c: 8, 2, -1
    "0000000000000000 0000000000003040 0000000000001040"  # y: 0, 16, 4
    "0000000000000000 0000000000000000 000000000000e03f"  # z: 0, 0, 0.5
    "000000000000c03f 00000000000090bf 000000000000d83f"  # the inverse: 1/8, -1/64, 3/8
    "0000000000000000 000000000000b03f 000000000000e0bf"  # 0, 1/16, -1/2
    "0000000000000000 0000000000000000 0000000000000040"  # 0, 0, 2
    "02000000"  # two atoms
    "000000000000d03f 00000000000010c0 000000000000f03f"  # 0.25, -4, 1
    "0000000000000000 0000000000000040 000000000000e0bf"  # 0, 2, -0.5
)
GOLDEN_FORCEREADY = bytes.fromhex(
    "464f524345524541 44592020"  # FORCEREADY
    "000000000000f8bf"  # -1.5
    "02000000"  # two atoms
    "000000000000e03f 000000000000d0bf 0000000000000040"  # 0.5, -0.25, 2
    "000000000000e0bf 000000000000d03f 00000000000000c0"  # -0.5, 0.25, -2
    "000000000000f03f 000000000000e0bf 000000000000d03f"  # the virial, not divided by the volume
    "000000000000e0bf 0000000000000040 0000000000001040"
    "000000000000d03f 0000000000001040 00000000000020c0"
    "06000000 c38520e6b0b4"  # six bytes of extras: Å, a space, water
)


@pytest.mark.parametrize(
    ("message", "golden"),
    [
        (wire.header(wire.STATUS), b"STATUS      "),
        (wire.header(wire.GETFORCE), b"GETFORCE    "),
        (wire.header(wire.EXIT), b"EXIT        "),
        (wire.header(wire.NEEDINIT), b"NEEDINIT    "),
        (wire.header(wire.READY), b"READY       "),
        (wire.header(wire.HAVEDATA), b"HAVEDATA    "),
        (wire.encode_init(7, "Å"), b"INIT        " + bytes.fromhex("07000000 02000000 c385")),
        (wire.encode_positions(TRICLINIC * wire.BOHR, POSITIONS * wire.BOHR), GOLDEN_POSDATA),
        (
            wire.encode_evaluation(
                Evaluation(
                    energy=-1.5 * wire.HARTREE,
                    forces=FORCES / (wire.BOHR / wire.HARTREE),
                    virial=VIRIAL * wire.HARTREE,
                ),
                "Å 水",
            ),
            GOLDEN_FORCEREADY,
        ),
        (wire.encode_proof(bytes(range(32))), b"MDSPROOF    " + bytes(range(32))),
    ],
    ids=lambda value: value[:12].decode().strip() if isinstance(value, bytes) else "",
)
def test_every_message_is_its_golden_bytes(message: bytes, golden: bytes):
    assert message == golden


def test_golden_bytes_are_read_as_what_they_say():
    cell, positions = wire.read_positions(exact(body(GOLDEN_POSDATA)), 2)
    np.testing.assert_array_equal(cell, TRICLINIC * wire.BOHR)
    np.testing.assert_array_equal(positions, POSITIONS * wire.BOHR)
    read, extras = wire.read_evaluation(exact(body(GOLDEN_FORCEREADY)), 2)
    np.testing.assert_array_equal(read.forces, FORCES * (wire.HARTREE / wire.BOHR))
    np.testing.assert_array_equal(read.virial, VIRIAL * wire.HARTREE)
    assert (read.energy, extras) == (-1.5 * wire.HARTREE, "Å 水")
    assert wire.read_init(exact(io.BytesIO(bytes.fromhex("07000000 02000000 c385")))) == (7, "Å")


def test_empty_extras_travel_as_one_nul():
    assert wire.encode_evaluation(evaluation()).endswith(bytes.fromhex("01000000 00"))


def test_positions_are_what_i_pi_expects_byte_for_byte():
    bohr = 0.529177210544
    positions = np.array([[0.0, 1.0, 2.0]])
    expected = b"POSDATA     " + struct.pack("<9d", *(CELL.T / bohr).ravel())
    assert wire.encode_positions(CELL, positions).startswith(expected)


def test_the_bytes_are_those_of_the_numbers_however_they_lie_in_memory():
    cell, positions = CELL.copy(), np.random.default_rng(0).normal(size=(5, 3))
    message = wire.encode_positions(cell, positions)
    assert wire.encode_positions(np.asfortranarray(cell), np.asfortranarray(positions)) == message
    cell[0, 0] += 1.0  # in place, as an engine may
    assert wire.encode_positions(cell, positions) == wire.encode_positions(np.array(cell), positions) != message


def test_what_was_read_belongs_to_the_reader():
    message = wire.encode_positions(CELL, np.zeros((1, 3)))
    for _ in range(2):
        cell, positions = wire.read_positions(exact(body(message)))
        np.testing.assert_array_equal(positions, 0.0)
        np.testing.assert_allclose(cell, CELL, rtol=1e-15)
        cell += 1.0
        positions += 1.0


def test_large_positions_are_numbers_too():
    far = np.array([[1e200, -1.7e308, 0.0]])
    _, positions = wire.read_positions(
        exact(body(wire.encode_positions(CELL, np.array([[1.0, 1.0, 0.0]]) * far * 0.5)))
    )
    np.testing.assert_allclose(positions, 0.5 * far, rtol=1e-15)


def test_what_overflows_in_our_units_arrives_as_infinite():
    message = wire.encode_evaluation(Evaluation(energy=0.0, forces=np.zeros((1, 3)), virial=np.zeros((3, 3))))
    at = wire.HEADER_SIZE + 12
    read, _ = wire.read_evaluation(exact(body(message[:at] + struct.pack("<d", 1e308) + message[at + 8 :])))
    assert (read.forces[0, 0], read.forces[0, 1]) == (np.inf, 0.0)


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


def test_numbers_that_are_not_finite_are_refused_as_positions():
    for value in (np.nan, np.inf):
        message = wire.encode_positions(CELL, np.array([[0.0, value, 0.0]]))
        with pytest.raises(WireError, match="finite"):
            wire.read_positions(exact(body(message)))
    with pytest.raises(WireError, match="finite"):
        wire.read_positions(exact(body(with_nan_at(wire.encode_positions(CELL, POSITIONS), 12))))


def test_another_number_of_atoms_is_refused_before_they_are_received():
    message = wire.encode_positions(CELL, np.zeros((1, 3)))[:-24]
    with pytest.raises(WireError, match="must carry 2 atoms, got 1"):
        wire.read_positions(exact(body(message)), 2)


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


def with_nan_at(message: bytes, place: int) -> bytes:
    return message[:place] + struct.pack("<d", np.nan) + message[place + 8 :]


def test_a_batch_is_read_as_its_configurations_are():
    random = np.random.default_rng(0)
    cells = [CELL, 2.0 * CELL, CELL.T]
    positions = [random.normal(size=(5, 3)) for _ in cells]
    told = wire.read_batch(exact(body(wire.encode_batch(cells, positions))), 3, 5)
    for (cell, where), one, other in zip(told, cells, positions, strict=True):
        alone = wire.read_positions(exact(body(wire.encode_positions(one, other))), 5)
        assert np.array_equal(cell, alone[0])
        assert np.array_equal(where, alone[1])


@pytest.mark.parametrize(
    ("message", "size", "said"),
    [
        (wire.encode_batch([CELL] * 2, [POSITIONS] * 2), 3, "of 72"),
        (wire.encode_batch([CELL] * 2, [POSITIONS, np.nan * POSITIONS]), 2, "finite"),
        (with_nan_at(wire.encode_batch([CELL] * 2, [POSITIONS] * 2), 16), 2, "finite"),
        (wire.encode_batch([CELL] * 2, [np.zeros((3, 3))] * 2), 2, "carry 2 atoms, got 3"),
        (wire.encode_batch([CELL] * 2, [POSITIONS] * 2), wire.MAX_ATOMS, "at most 10000000 atoms"),
    ],
)
def test_a_batch_that_is_none_is_refused(message: bytes, size: int, said: str):
    with pytest.raises((WireError, ConnectionError), match=said):
        wire.read_batch(exact(body(message)), size, 2)


@pytest.mark.parametrize(("text", "size"), [("", 1), (" batch_size:8", 8), ("k : v, batch_size:16", 16), ("size:3", 1)])
def test_the_size_of_batches_is_read_from_what_i_pi_says(text: str, size: int):
    assert wire.batch_size(text) == size


def test_answers_to_a_batch_follow_each_other_as_i_pi_reads_them():
    several = [evaluation(energy=energy) for energy in (-1.0, 2.5, 0.0)]
    receive = exact(body(wire.encode_evaluations(several)))
    energies = np.frombuffer(receive(24)) * wire.HARTREE
    (n_atoms,) = struct.unpack("<i", receive(4))
    forces = np.frombuffer(receive(3 * 2 * 24)).reshape(3, 2, 3) * wire.HARTREE / wire.BOHR
    virials = np.frombuffer(receive(3 * 72)).reshape(3, 3, 3) * wire.HARTREE
    extras = struct.unpack("<3i", receive(12))
    assert (n_atoms, extras) == (2, (0, 0, 0))
    assert energies == pytest.approx([-1.0, 2.5, 0.0])
    assert forces == pytest.approx(np.array([each.forces for each in several]))
    assert virials == pytest.approx(np.array([each.virial for each in several]))
