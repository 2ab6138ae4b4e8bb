"""The door lets in whoever proves that mdsuite started it, and lets nobody else stand in the way."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest
from ase.build import molecule
from factories import argon, run

from mdsuite.execution import door as doors
from mdsuite.execution import supervise as supervision
from mdsuite.execution.door import Door, DoorError
from mdsuite.execution.supervise import Status, supervise
from mdsuite.runs import Coupling, write_run
from mdsuite_analysis.read import read_energies
from mdsuite_driver import dialect, wire
from mdsuite_driver.stream import PeerClosedError, Stream

NOBODY = 65534  # the uid
BOTH = pytest.mark.parametrize("transport", ["unix", "tcp"])


@pytest.fixture(autouse=True)
def _own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("d")
    folder.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))


@pytest.fixture
def door(transport: str) -> Iterator[Door]:
    with contextlib.closing(Door(Coupling(transport=transport))) as opened:
        yield opened


def path_of(door: Door) -> Path:
    return Path(door.flags[1])


def knock(door: Door) -> socket.socket:
    return connected(door.flags)


def connected(flags: list[str]) -> socket.socket:
    where = dict(zip(flags[::2], flags[1::2], strict=True))
    address = where.get("--unix") or (where["--host"], int(where["--port"]))
    visitor = socket.socket(socket.AF_UNIX if "--unix" in where else socket.AF_INET)
    visitor.settimeout(5)
    try:
        visitor.connect(address)
    except OSError:
        visitor.close()
        raise
    return visitor


def asked(door: Door, visitor: socket.socket) -> str:
    """The challenge that a visitor finds."""
    assert door.attend() is None
    stream = Stream(visitor, deadline=5)
    assert wire.read_header(stream.receive) == wire.INIT
    nonce = dialect.read_challenge(wire.read_init(stream.receive)[1])
    assert nonce
    return nonce


def answer(door: Door, nonce: str, token: str | None = None) -> bytes:
    return wire.encode_proof(dialect.proof(token or door.environment[dialect.TOKEN], nonce))


def admitted(door: Door, within: float = 2.0) -> socket.socket | None:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if (connection := door.attend()) is not None:
            return connection
        time.sleep(0.005)
    return None


def require_our_driver_comes_in(door: Door) -> None:
    with knock(door) as ours:
        ours.sendall(answer(door, asked(door, ours)))
        connection = admitted(door)
        assert connection is not None
        with connection:
            connection.sendall(b"hello")
            assert ours.recv(5) == b"hello"


def _reset(_door: Door, visitor: socket.socket) -> None:
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visitor.close()


STRANGERS: dict[str, Callable[[Door, socket.socket], None]] = {
    "idles": lambda _door, _visitor: None,
    "goes at once": lambda _door, visitor: visitor.close(),
    "resets the connection": _reset,
    "says no more": lambda _door, visitor: visitor.shutdown(socket.SHUT_WR),
    "sends garbage": lambda _door, visitor: visitor.sendall(os.urandom(5000)),
    "dribbles": lambda _door, visitor: visitor.sendall(b"M"),
    "behaves as a plain i-PI client": lambda _door, visitor: visitor.sendall(wire.header(wire.NEEDINIT)),
    "knows another token": lambda door, visitor: visitor.sendall(answer(door, asked(door, visitor), "0" * 64)),
    "proves half": lambda door, visitor: visitor.sendall(answer(door, asked(door, visitor))[:-1]),
    "proves too much": lambda door, visitor: visitor.sendall(answer(door, asked(door, visitor)) + b"\0"),
    "repeats an old proof": lambda door, visitor: visitor.sendall(answer(door, "the nonce of somebody else")),
}


@BOTH
@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_who_comes_first_is_not_served_and_blocks_nobody(door: Door, kind: str):
    with knock(door) as stranger:
        STRANGERS[kind](door, stranger)
        assert admitted(door, within=0.2) is None
        require_our_driver_comes_in(door)


@BOTH
def test_a_crowd_of_strangers_blocks_nobody(door: Door):
    crowd = []
    for _ in range(3 * doors.VISITORS):
        crowd.append(knock(door))
        assert door.attend() is None
    require_our_driver_comes_in(door)
    assert len(door._visitors) <= doors.VISITORS
    for stranger in crowd:
        stranger.close()


@BOTH
def test_a_proof_in_single_bytes_is_a_proof(door: Door):
    with knock(door) as ours:
        for byte in answer(door, asked(door, ours)):
            assert door.attend() is None
            ours.sendall(bytes([byte]))
        connection = admitted(door)
        assert connection is not None
        connection.close()


@BOTH
def test_whoever_proves_nothing_is_sent_away_in_time(door: Door, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doors, "VISIT", 0.1)
    with knock(door) as stranger:
        stream = Stream(stranger, deadline=5)
        asked(door, stranger)
        assert admitted(door, within=0.3) is None
        with pytest.raises(PeerClosedError):
            stream.receive(1)


@BOTH
def test_nobody_finds_a_door_that_is_closed(transport: str):
    door = Door(Coupling(transport=transport))
    flags = door.flags
    with knock(door) as waiting:
        asked(door, waiting)
        door.close()
        assert waiting.recv(1) == b""
    with pytest.raises(OSError, match=r"refused|No such file"):
        connected(flags)


def test_a_socket_lies_in_a_new_folder_for_this_user_alone():
    with contextlib.closing(Door(Coupling())) as door, contextlib.closing(Door(Coupling())) as other:
        folder = path_of(door).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(bytes(path_of(door))) < 100
        assert folder != path_of(other).parent
    assert not folder.exists()


def test_tcp_is_open_to_this_machine_alone():
    with contextlib.closing(Door(Coupling(transport="tcp"))) as door:
        assert door.flags[1] == "127.0.0.1"
        listening = Path("/proc/net/tcp").read_text()
        port = f"{int(door.flags[3]):04X}"
        assert f"0100007F:{port} 00000000:0000 0A" in listening  # 127.0.0.1, and no listener of another address
        assert f"00000000:{port} " not in listening


@pytest.mark.skipif(os.getuid() != 0, reason="not run: takes another user, and so root")
@pytest.mark.parametrize("opened", [False, True])
def test_another_user_does_not_get_in(opened: bool):
    """Neither through the folder's mode nor, were that not there, past the look at who it is."""
    with contextlib.closing(Door(Coupling())) as door:
        if opened:
            path_of(door).parent.chmod(0o755)
            path_of(door).chmod(0o777)
            for folder in list(path_of(door).parents)[1:-1]:
                if folder.stat().st_uid == 0 and folder != Path("/tmp"):
                    folder.chmod(folder.stat().st_mode | 0o055)
        script = (
            f"import os, socket; os.setuid({NOBODY}); s = socket.socket(socket.AF_UNIX); "
            f"s.connect({str(path_of(door))!r}); s.settimeout(5); print(s.recv(100))"
        )
        stranger = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert admitted(door, within=1.0) is None
        said, complaint = stranger.communicate(timeout=20)
        if opened:
            assert (said.strip(), complaint) == (b"b''", b"")  # no challenge: the door is shut at once
        else:
            assert b"PermissionError" in complaint
        require_our_driver_comes_in(door)


def test_whoever_is_asked_for_may_be_foreign():
    with contextlib.closing(Door(Coupling(accept_foreign=True))) as door, knock(door) as foreign:
        connection = admitted(door)
        assert connection is not None
        with connection:
            foreign.sendall(b"hello")
            assert connection.recv(5) == b"hello"


def test_a_long_folder_for_sockets_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with contextlib.closing(Door(Coupling())) as door:
        assert len(bytes(path_of(door))) < 100


def test_a_run_without_a_folder_for_its_socket_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doors.os, "access", lambda *_how: False)
    with pytest.raises(DoorError, match="set XDG_RUNTIME_DIR, or use --transport tcp"):
        Door(Coupling())
    write_run(run(argon(1)), tmp_path / "run")
    outcome = supervise(tmp_path / "run")
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("step 0: wanted a folder with a short path for a UNIX socket")


def test_what_a_killed_supervisor_left_is_swept_and_nothing_else(monkeypatch: pytest.MonkeyPatch):
    with contextlib.closing(Door(Coupling())) as held:
        parent = path_of(held).parent.parent
        stale, young = parent / f"{doors.PREFIX}stale", parent / f"{doors.PREFIX}young"
        stale.mkdir()
        long_ago = time.time() - 60
        os.utime(stale, (long_ago, long_ago))
        os.utime(path_of(held).parent, (long_ago, long_ago))
        young.mkdir()
        Door(Coupling()).close()
        assert (stale.exists(), young.exists(), path_of(held).exists()) == (False, True, True)


@BOTH
def test_strangers_do_not_disturb_a_run(transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They are there before the driver, with every bad manner at once."""
    opened: list[Door] = []

    class Besieged(Door):
        def __init__(self, coupling: Coupling) -> None:
            super().__init__(coupling)
            opened.append(self)
            for manner in ("idles", "goes at once", "sends garbage", "behaves as a plain i-PI client"):
                stranger = knock(self)
                STRANGERS[manner](self, stranger)
                crowd.append(stranger)

    crowd: list[socket.socket] = []
    monkeypatch.setattr(supervision, "Door", Besieged)
    write_run(run(argon(1, noise=0.02), coupling=Coupling(transport=transport)), tmp_path / "run")
    outcome = supervise(tmp_path / "run")
    assert (outcome.status, outcome.events, len(opened)) == (Status.DONE, (), 1)
    for stranger in crowd:
        stranger.close()


def test_somebody_foreign_who_does_not_speak_i_pi_makes_room_for_the_next(tmp_path: Path):
    of = run(argon(1, noise=0.02), model="ipi:theirs", coupling=Coupling(accept_foreign=True))
    write_run(of, tmp_path / "run")
    addresses: list[str] = []

    def come(address: str) -> None:
        addresses.append(address)
        path = address.removeprefix("--unix ")
        if len(addresses) == 1:
            stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stranger.connect(path)
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            strangers.append(stranger)
        else:
            command = [sys.executable, "-m", "mdsuite_driver.cli", "--model", run(argon(1)).model, "--unix", path]
            clients.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

    strangers: list[socket.socket] = []
    clients: list[subprocess.Popen[bytes]] = []
    outcome = supervise(tmp_path / "run", waiting=come)
    assert (outcome.status, len(addresses)) == (Status.DONE, 2)
    assert clients[0].wait(20) == 0
    strangers[0].close()


def test_one_driver_serves_several_runs_at_once(tmp_path: Path):
    student = run(molecule("CH3CH2OH"), timestep=0.0005, model="painn-ultra-tiny", n_steps=60)
    theirs = replace(student, model="ipi:theirs", coupling=Coupling(accept_foreign=True))
    for name, each in {"alone": student, "one": theirs, "two": theirs}.items():
        write_run(each, tmp_path / name)
    assert supervise(tmp_path / "alone").status is Status.DONE

    addresses: SimpleQueue[str] = SimpleQueue()
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(supervise, tmp_path / name, waiting=addresses.put) for name in ("one", "two")]
        asked = [flag for _ in runs for flag in addresses.get(timeout=30).split()]
        command = [
            sys.executable,
            "-m",
            "mdsuite_driver.cli",
            "--model",
            "painn-ultra-tiny",
            *asked,
            "--batch-wait-ms",
            "20",
        ]
        driver = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert [each.result().status for each in runs] == [Status.DONE] * 2, driver.stderr
    told = re.search(r"served (\d+) evaluations in (\d+) batches", driver.stdout)
    assert told is not None, driver.stdout
    assert int(told[2]) < 0.8 * int(told[1])
    alone, one, two = (read_energies(tmp_path / name).total_energy for name in ("alone", "one", "two"))
    assert one == pytest.approx(alone, abs=1e-9)
    assert two == pytest.approx(alone, abs=1e-9)


def test_the_token_is_not_inherited_by_what_the_model_starts(monkeypatch: pytest.MonkeyPatch):
    from mdsuite_driver.client import serve

    monkeypatch.setenv(dialect.TOKEN, "secret")
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(Stream(theirs), None))
    thread.start()
    ours.sendall(wire.encode_init(0, dialect.challenge("n")))
    stream = Stream(ours, deadline=5)
    assert stream.receive(wire.HEADER_SIZE + wire.PROOF_SIZE) == wire.encode_proof(dialect.proof("secret", "n"))
    assert dialect.TOKEN not in os.environ
    ours.close()
    thread.join(5)
    theirs.close()
