"""Conversations in i-PI's protocol that something has happened to, for both ends of the wire."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from random import Random

import numpy as np

from mdsuite_driver import dialect, wire
from mdsuite_driver.models.protocol import Evaluation, FloatArray

SPECIES = dialect.Species(np.array([18, 18, 18]), (True, True, True))
CELL = np.array([[9.0, 0.0, 0.0], [1.0, 9.0, 0.0], [0.5, -1.0, 9.0]])
COUNTS = (
    -(2**31),
    -1,
    0,
    1,
    2,
    4,
    1000,
    wire.MAX_ATOMS,
    wire.MAX_ATOMS + 1,
    wire.MAX_TEXT,
    wire.MAX_TEXT + 1,
    2**31 - 1,
)
NUMBERS = (float("nan"), float("inf"), -float("inf"), 1.7e308, -1.7e308, 5e-324, 1e20, -0.0)
WORDS = ("STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT", "NEEDINIT", "READY", "HAVEDATA", "FORCEREADY", "MDSPROOF")
JSON = (
    None,
    True,
    -1,
    0,
    1e400,
    10**400,
    "x" * 50,
    [],
    [[]],
    {},
    [0],
    [119],
    [18.0, 18, 18],
    {"a": {"b": []}},
    float("nan"),
)


def _numbers(random: Random, *shape: int) -> FloatArray:
    return np.array([random.uniform(-3, 3) for _ in range(int(np.prod(shape)))]).reshape(shape)


def of_a_driver(random: Random) -> list[bytes]:
    """What a driver says to a server that asks it for two evaluations."""
    virial = _numbers(random, 3, 3)
    good = Evaluation(energy=random.uniform(-9, 9), forces=_numbers(random, 3, 3), virial=virial + virial.T)
    extras = random.choice(["", "", "Å", json.dumps({"dipole": [0, 0, 1]})])
    second = dialect.failed(RuntimeError("no luck"), 3) if random.random() < 0.2 else (good, extras)
    greeting = random.choice([wire.READY, wire.NEEDINIT])
    return [wire.header(greeting), wire.encode_evaluation(good, extras), wire.encode_evaluation(*second)]


def of_a_server(random: Random) -> list[bytes]:
    """What a server says to a driver that it asks for two evaluations."""
    challenge = [wire.encode_init(0, dialect.challenge("n"))] if random.random() < 0.3 else []
    text = random.choice([dialect.announce(SPECIES, 50.0), dialect.announce(SPECIES, None), "driver", ""])
    messages = [*challenge, wire.header(wire.STATUS), wire.encode_init(random.randrange(3), text)]
    for _ in range(2):
        messages += [wire.header(wire.STATUS), wire.encode_positions(CELL, _numbers(random, 3, 3))]
        messages += [wire.header(wire.STATUS), wire.header(wire.GETFORCE)]
    return [*messages, wire.header(wire.EXIT)]


def _some(random: Random, messages: list[bytes]) -> int:
    return random.randrange(len(messages))


def _truncate(random: Random, messages: list[bytes]) -> None:
    i = _some(random, messages)
    messages[i:] = [messages[i][: random.randrange(len(messages[i]) + 1)]]


def _flip(random: Random, messages: list[bytes]) -> None:
    i = _some(random, messages)
    data = bytearray(messages[i])
    for _ in range(random.randrange(1, 4)):
        if data:
            data[random.randrange(len(data))] = random.randrange(256)
    messages[i] = bytes(data)


def _put(messages: list[bytes], i: int, where: int, data: bytes) -> None:
    messages[i] = messages[i][:where] + data + messages[i][where + len(data) :]


def _count(random: Random, messages: list[bytes]) -> None:
    """A count that is not that of what follows, where one of the protocol stands."""
    at = {wire.INIT: [12, 16], wire.POSDATA: [12 + 144], wire.FORCEREADY: [12 + 8, 12 + 12 + 72 + 72]}
    i = _some(random, messages)
    word = messages[i][:12].decode("ascii", errors="replace").rstrip()
    where = random.choice(at.get(word, [0]))
    _put(messages, i, where, struct.pack("<i", random.choice(COUNTS)))


def _number(random: Random, messages: list[bytes]) -> None:
    i = _some(random, messages)
    if len(messages[i]) > 20:
        where = 12 + 8 * random.randrange((len(messages[i]) - 12) // 8) + random.choice([0, 0, 4])
        _put(messages, i, where, struct.pack("<d", random.choice(NUMBERS)))


def _word(random: Random, messages: list[bytes]) -> None:
    word = random.choice(
        [wire.header(random.choice(WORDS)), random.randbytes(12), b"status      ", b"\0" * 12, b" " * 12]
    )
    _put(messages, _some(random, messages), 0, word)


def _garbage(random: Random, messages: list[bytes]) -> None:
    messages.insert(random.randrange(len(messages) + 1), random.randbytes(random.randrange(1, 300)))


def _shuffle(random: Random, messages: list[bytes]) -> None:
    random.choice([lambda: messages.pop(_some(random, messages)), lambda: random.shuffle(messages)])()
    messages.append(random.choice([b"", messages[-1] if messages else b""]))


def _oversized(random: Random, messages: list[bytes]) -> None:
    text = random.choice(["x" * 300_000, "[" * 100_000, '{"mdsuite": 1, "failure": {"kind": "' + "k" * 100_000])
    nothing = Evaluation(energy=0.0, forces=np.zeros((3, 3)), virial=np.zeros((3, 3)))
    messages[_some(random, messages)] = random.choice(
        [wire.encode_init(0, text), wire.encode_evaluation(nothing, text)]
    )


def _announcement(random: Random, messages: list[bytes]) -> None:
    content = json.loads(dialect.announce(SPECIES, 50.0))
    content[random.choice(["mdsuite", "numbers", "pbc", "max_force", "challenge", "failure"])] = random.choice(JSON)
    text = random.choice(
        [json.dumps(content), json.dumps(content)[: random.randrange(80)], "batch_size: " + "9" * 5000]
    )
    messages[_some(random, messages)] = wire.encode_init(0, text)


HAPPENINGS: tuple[Callable[[Random, list[bytes]], None], ...] = (
    _truncate,
    _flip,
    _count,
    _number,
    _word,
    _garbage,
    _shuffle,
    _oversized,
    _announcement,
)


def happened_to(random: Random, messages: list[bytes]) -> bytes:
    """The bytes of a conversation, of which about every tenth is as it was."""
    for _ in range(random.choice([0, 1, 1, 1, 1, 1, 1, 2, 2, 3])):
        random.choice(HAPPENINGS)(random, messages)
        messages = [message for message in messages if message] or [b"\0"]
    return b"".join(messages)


@contextlib.contextmanager
def peer_that_says(random: Random, data: bytes) -> Iterator[socket.socket]:
    """The other end of a connection through which `data` comes, in whatever pieces, and then an end or silence."""
    single = random.random() < 0.05 and len(data) < 5000
    silent = random.random() < 0.1
    near, far = socket.socketpair()

    def say() -> None:
        with contextlib.suppress(OSError):  # nobody listens any more
            for piece in [data[i : i + 1] for i in range(len(data))] if single else [data]:
                near.sendall(piece)
            if not silent:
                near.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=say)
    if single or len(data) > 50_000:
        thread.start()
    else:
        say()
    try:
        yield far
    finally:
        far.close()
        if thread.ident is not None:
            thread.join()
        near.close()
