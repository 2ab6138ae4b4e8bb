"""The i-PI protocol as bytes, and the only place that knows of Bohr and Hartree.

Sizes, order and meaning follow i-PI's ``interfaces/sockets.py`` (doi:10.1063/5.0215869): no magic, no version,
native byte order, ASCII headers padded to twelve bytes, int32 counts, float64 values in atomic units. The cell
travels with the lattice vectors as columns. The virial is -dE/d(strain), not divided by the volume.

Decoders take ``receive``, a callable that returns exactly the number of bytes asked for.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.constants import physical_constants

from mdsuite_driver.models.protocol import Evaluation, FloatArray

BOHR = physical_constants["Bohr radius"][0] * 1e10  # Å
HARTREE = physical_constants["Hartree energy in eV"][0]  # eV

HEADER_SIZE = 12
CELL_SIZE = 72
MAX_ATOMS = 10_000_000
MAX_BATCH = 100_000
MAX_TEXT = 64 * 1024 * 1024

PROOF_SIZE = 32
COUNT = struct.Struct("<i")
ENERGY_AND_COUNT = struct.Struct("<di")
DOUBLE = np.dtype("<f8")

STATUS, INIT, POSDATA, GETFORCE, EXIT = "STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT"
NEEDINIT, READY, HAVEDATA, FORCEREADY = "NEEDINIT", "READY", "HAVEDATA", "FORCEREADY"
PROOF = "MDSPROOF"  # not of i-PI: sent only to a server that asked for it in INIT

Receive = Callable[[int], bytes]


class WireError(Exception):
    """Bytes that are not the i-PI protocol."""


@lru_cache(maxsize=32)
def header(word: str) -> bytes:
    """A message's name, padded to twelve bytes."""
    return word.encode("ascii").ljust(HEADER_SIZE)


def read_header(receive: Receive) -> str:
    """The next message's name; raises WireError for bytes that are not text."""
    raw = receive(HEADER_SIZE)
    try:
        return raw.decode("ascii").rstrip()
    except UnicodeDecodeError as error:
        raise WireError(f"expected a header of {HEADER_SIZE} ASCII bytes, got {raw!r}") from error


def encode_init(bead: int, text: str) -> bytes:
    """INIT: the replica's index and a free text."""
    data = text.encode()
    return header(INIT) + struct.pack("<ii", bead, len(data)) + data


def read_init(receive: Receive) -> tuple[int, str]:
    """What follows an INIT header."""
    bead = _int32(receive)
    return bead, _text(receive, "INIT")


def encode_positions(cell: FloatArray, positions: FloatArray) -> bytes:
    """POSDATA from a cell (3, 3) with lattice vectors as rows, Å, and positions (n_atoms, 3), Å."""
    before = _before_positions(np.asarray(cell, dtype=float).tobytes())
    return b"".join((before, COUNT.pack(len(positions)), _bytes(positions / BOHR)))


@lru_cache(maxsize=64)  # most cells stay what they are for a whole run
def _before_positions(rows: bytes) -> bytes:
    """Header, cell and inverse cell."""
    columns = _bytes(np.frombuffer(rows).reshape(3, 3).T / BOHR)
    inverse = np.linalg.inv(np.frombuffer(columns, DOUBLE).reshape(3, 3))
    return header(POSDATA) + columns + _bytes(np.asarray(inverse, dtype=float))


def read_positions(receive: Receive, n_atoms: int | None = None) -> tuple[FloatArray, FloatArray]:
    """What follows a POSDATA header: cell (3, 3) rows, Å, and positions (n_atoms, 3), Å.

    The inverse cell is read and ignored: peers disagree on whether it is transposed. Raises WireError for another
    number of atoms than `n_atoms`, before it makes room for them, and for numbers that are not finite.
    """
    before = receive(2 * CELL_SIZE + COUNT.size)
    (count,) = COUNT.unpack_from(before, 2 * CELL_SIZE)
    positions = _doubles(receive, 3 * _allowed(count, "POSDATA", n_atoms)) * BOHR
    cell = _cell(before[:CELL_SIZE]).copy()
    _require_finite(positions)
    return cell, positions.reshape(-1, 3)


def batch_size(text: str) -> int:
    """How many configurations i-PI sends at a time, as INIT's text says; raises WireError for none or too many."""
    told = re.search(r"\bbatch_size\s*:\s*(\d{1,9})\b", text)
    if told is None:
        if "batch_size" in text:
            raise WireError(f"INIT must give batch_size as a number, got {text[:80]!r}")
        return 1
    if not 0 < int(told[1]) <= MAX_BATCH:
        raise WireError(f"INIT must ask for batches of 1 to {MAX_BATCH} configurations, got {told[1]}")
    return int(told[1])


def encode_batch(cells: Sequence[FloatArray], positions: Sequence[FloatArray]) -> bytes:
    """POSDATA of several configurations of equally many atoms: cells (3, 3) and positions (n_atoms, 3), Å."""
    before = [_before_positions(np.asarray(cell, dtype=float).tobytes())[HEADER_SIZE:] for cell in cells]
    after = [_bytes(each / BOHR) for each in positions]
    return b"".join([header(POSDATA), COUNT.pack(len(positions[0])), *before, *after])


def read_batch(receive: Receive, size: int, n_atoms: int | None = None) -> list[tuple[FloatArray, FloatArray]]:
    """What follows a POSDATA header of several configurations: cell and positions of each, as `read_positions`."""
    n_atoms = _allowed(_int32(receive), "POSDATA", n_atoms)
    if n_atoms * size > MAX_ATOMS:
        raise WireError(f"POSDATA must carry at most {MAX_ATOMS} atoms, got {size} times {n_atoms}")
    cells = []
    for _ in range(size):
        cells.append(_cell(receive(CELL_SIZE)).copy())
        receive(CELL_SIZE)
    positions = (_doubles(receive, 3 * n_atoms * size) * BOHR).reshape(size, n_atoms, 3)
    _require_finite(positions)
    return list(zip(cells, positions, strict=True))


def encode_evaluations(evaluations: Sequence[Evaluation]) -> bytes:
    """FORCEREADY for several configurations of equally many atoms, without extras."""
    return b"".join(
        [
            header(FORCEREADY),
            *(struct.pack("<d", each.energy / HARTREE) for each in evaluations),
            COUNT.pack(len(evaluations[0].forces)),
            *(_bytes(each.forces * (BOHR / HARTREE)) for each in evaluations),
            *(_bytes(each.virial / HARTREE) for each in evaluations),
            COUNT.pack(0) * len(evaluations),
        ]
    )


@lru_cache(maxsize=64)  # as above
def _cell(columns: bytes) -> FloatArray:
    cell = np.ascontiguousarray((np.frombuffer(columns, DOUBLE).reshape(3, 3) * BOHR).T)
    _require_finite(cell)
    return cell


def encode_evaluation(evaluation: Evaluation, extras: str = "") -> bytes:
    """FORCEREADY; empty extras are sent as one NUL byte because some peers stumble over an empty read."""
    text = extras.encode() or b"\0"
    return b"".join(
        [
            header(FORCEREADY),
            ENERGY_AND_COUNT.pack(evaluation.energy / HARTREE, len(evaluation.forces)),
            _bytes(evaluation.forces * (BOHR / HARTREE)),
            _bytes(evaluation.virial / HARTREE),
            COUNT.pack(len(text)),
            text,
        ]
    )


def read_evaluation(receive: Receive, n_atoms: int | None = None) -> tuple[Evaluation, str]:
    """What follows a FORCEREADY header: the evaluation and the extras.

    Raises WireError for another number of atoms than `n_atoms`, before it makes room for them.
    """
    energy, count = ENERGY_AND_COUNT.unpack(receive(ENERGY_AND_COUNT.size))
    numbers = _doubles(receive, 3 * _allowed(count, "FORCEREADY", n_atoms) + 9)
    if math.isfinite(np.vdot(numbers, numbers)):  # then none is so large that its unit makes it overflow
        forces, virial = _in_ev(numbers)
    else:
        with np.errstate(over="ignore"):  # what overflows is infinite, and for the reader to refuse
            forces, virial = _in_ev(numbers)
    extras = _text(receive, "FORCEREADY").strip("\0")
    return Evaluation(energy=energy * HARTREE, forces=forces, virial=full_virial(virial)), extras


def _in_ev(numbers: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Forces (n_atoms, 3), eV/Å, and the virial (3, 3), eV, from both of them in a row in atomic units."""
    return (numbers[:-9] * (HARTREE / BOHR)).reshape(-1, 3), (numbers[-9:] * HARTREE).reshape(3, 3)


def full_virial(virial: FloatArray) -> FloatArray:
    """A full virial (3, 3) from a full one, or from its upper triangle, which some peers send alone."""
    if virial.item(3) != 0.0 or virial.item(6) != 0.0 or virial.item(7) != 0.0:  # as NaN is
        return virial
    whole = virial.copy()
    whole[1, 0], whole[2, 0], whole[2, 1] = virial[0, 1], virial[0, 2], virial[1, 2]
    return whole


def encode_proof(digest: bytes) -> bytes:
    """The answer to a challenge."""
    if len(digest) != PROOF_SIZE:
        raise ValueError(f"a proof has {PROOF_SIZE} bytes, got {len(digest)}")
    return header(PROOF) + digest


def _bytes(values: FloatArray) -> bytes:
    return np.asarray(values, DOUBLE).tobytes()  # row by row, however they lie in memory


def _doubles(receive: Receive, n: int) -> FloatArray:
    return np.frombuffer(receive(8 * n), DOUBLE)


def _require_finite(numbers: FloatArray) -> None:
    if not _are_finite(numbers.ravel()):
        raise WireError("POSDATA must carry finite numbers, got a cell or positions with NaN or infinity")


def _are_finite(numbers: FloatArray) -> bool:
    """Whether all of them are; the sum of squares of large ones is not, of which `vdot` gives no warning."""
    return math.isfinite(np.vdot(numbers, numbers)) or bool(np.isfinite(numbers).all())


def _int32(receive: Receive) -> int:
    return int(COUNT.unpack(receive(COUNT.size))[0])


def _allowed(n_atoms: int, message: str, wanted: int | None) -> int:
    if not 0 < n_atoms <= MAX_ATOMS:
        raise WireError(f"{message} must carry between 1 and {MAX_ATOMS} atoms, got {n_atoms}")
    if wanted is not None and n_atoms != wanted:
        raise WireError(f"{message} must carry {wanted} atoms, got {n_atoms}")
    return n_atoms


def _text(receive: Receive, message: str) -> str:
    length = _int32(receive)
    if not 0 <= length <= MAX_TEXT:
        raise WireError(f"{message} must carry a text of 0 to {MAX_TEXT} bytes, got {length}")
    return receive(length).decode(errors="replace")
