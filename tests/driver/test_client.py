"""The client against servers of our own making, of ASE's and of i-PI's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones
from ase.calculators.socketio import SocketIOCalculator
from ipi.engine.forcefields import ForceRequest
from ipi.interfaces.sockets import InterfaceSocket

from mdsuite_driver import wire
from mdsuite_driver.client import serve
from mdsuite_driver.dialect import Species, read_announcement
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray
from mdsuite_driver.soundness import NotFiniteError
from mdsuite_driver.stream import PeerClosedError, Stream
from mdsuite_driver.wire import WireError

LJ = "ase:ase.calculators.lj:LennardJones?sigma=3.4&epsilon=0.0104&rc=8.0&smooth=True"
CELLS = [np.eye(3), np.eye(3)]
ARGON = Species(np.array([18, 18]), (False, False, False))


def argon_crystal():
    atoms = bulk("Ar", "fcc", 5.26, cubic=True).repeat(3)
    atoms.set_cell(atoms.cell[:] + np.array([[0, 0, 0], [0.5, 0, 0], [0.3, 0.2, 0]]), scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def crystals(n: int) -> list:
    several = [argon_crystal() for _ in range(n)]
    for k, atoms in enumerate(several):
        atoms.rattle(0.05, seed=k)
        atoms.set_cell(atoms.cell[:] * (1.0 + 0.01 * k), scale_atoms=True)
    return several


def molecules(n: int) -> list:
    several = [molecule("CH3CH2OH") for _ in range(n)]
    for k, atoms in enumerate(several):
        atoms.set_cell(np.diag([30.0, 31.0, 32.0 + k]))
        atoms.rattle(0.05, seed=k)
    return several


class Answers:
    """A model that answers with what it is given."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.card = load(LJ).card

    def evaluate(self, configuration: Configuration) -> Evaluation:
        return self.evaluation


@pytest.fixture
def pair():
    server, client = socket.socketpair()
    with server, client:
        server.settimeout(10)
        yield server, Stream(client, deadline=10)


def in_background(target) -> tuple[threading.Thread, list[BaseException]]:
    caught: list[BaseException] = []

    def call() -> None:
        try:
            target()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread, caught


def test_a_conversation_may_arrive_byte_by_byte(pair):
    server, stream = pair
    thread, caught = in_background(lambda: serve(stream, load(LJ), ARGON))
    positions = np.array([[0.0, 0, 0], [3.8, 0, 0]])
    for byte in wire.encode_positions(np.eye(3) * 50, positions) + wire.header(wire.GETFORCE):
        server.sendall(bytes([byte]))
    reply = Stream(server, deadline=10)
    assert wire.read_header(reply.receive) == wire.FORCEREADY
    evaluation, _ = wire.read_evaluation(reply.receive)
    server.sendall(wire.header(wire.EXIT))
    thread.join(10)
    expected = load(LJ).evaluate(
        Configuration(numbers=ARGON.numbers, positions=positions, cell=np.eye(3), pbc=(False,) * 3)
    )
    assert caught == []
    np.testing.assert_allclose(evaluation.forces, expected.forces, rtol=1e-12)


def test_the_client_ends_when_the_server_closes(pair):
    server, stream = pair
    thread, caught = in_background(lambda: serve(stream, load(LJ), ARGON))
    server.close()
    thread.join(5)
    assert (thread.is_alive(), caught) == (False, [])


def test_a_server_that_closes_inside_a_message_is_an_error(pair):
    server, stream = pair
    server.sendall(wire.encode_positions(np.eye(3), np.zeros((2, 3)))[:40])
    server.close()
    with pytest.raises(PeerClosedError, match="of 148 bytes"):
        serve(stream, load(LJ), ARGON)


def test_status_tells_what_the_client_wants_next(pair):
    server, stream = pair
    thread, _ = in_background(lambda: serve(stream, load(LJ)))
    answers = []
    for message in (b"", wire.encode_init(0, '{"mdsuite": 1, "numbers": [18, 18], "pbc": [false, false, false]}')):
        server.sendall(message + wire.header(wire.STATUS))
        answers.append(server.recv(12).decode().strip())
    server.sendall(wire.encode_positions(np.eye(3) * 9, np.eye(3)[:2] * 4) + wire.header(wire.STATUS))
    answers.append(server.recv(12).decode().strip())
    server.sendall(wire.header(wire.EXIT))
    thread.join(5)
    assert answers == ["NEEDINIT", "READY", "HAVEDATA"]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (wire.header("NONSENSE"), "expected one of STATUS"),
        (wire.header(wire.GETFORCE), "before POSDATA"),
        (wire.encode_init(0, "batch_size:0"), "batches of 1 to 100000 configurations, got 0"),
        (wire.encode_init(0, "batch_size:many"), "batch_size as a number"),
        (wire.encode_init(0, "batch_size:2") + wire.encode_batch(CELLS, np.zeros((2, 3, 3))), "carry 2 atoms, got 3"),
        (wire.encode_positions(np.eye(3), np.zeros((3, 3))), "carry 2 atoms, got 3"),
    ],
)
def test_what_is_not_the_protocol_is_refused(pair, message: bytes, error: str):
    server, stream = pair
    server.sendall(message)
    with pytest.raises(WireError, match=error):
        serve(stream, load(LJ), ARGON)


def test_without_species_the_client_says_how_to_name_them(pair):
    server, stream = pair
    server.sendall(wire.encode_positions(np.eye(3), np.zeros((2, 3))))
    with pytest.raises(WireError, match="--structure FILE"):
        serve(stream, load(LJ))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["energy", "forces", "virial"])
def test_an_answer_that_is_not_finite_is_never_sent(pair, bad: float, where: str):
    server, stream = pair
    values = {"energy": 0.0, "forces": np.zeros((2, 3)), "virial": np.zeros((3, 3))}
    values[where] = values[where] + bad
    server.sendall(wire.encode_positions(np.eye(3), np.zeros((2, 3))) + wire.header(wire.GETFORCE))
    with pytest.raises(NotFiniteError, match=r"the model's (force|energy)"):
        serve(stream, Answers(Evaluation(**values)), ARGON)
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(1)


def test_foreign_init_texts_announce_nothing():
    assert [read_announcement(text) for text in (" ", "\0", "k : v", "[1]", '{"a": 1}')] == [None] * 5


def driver(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "mdsuite_driver.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_ase_gets_the_energy_forces_and_stress_of_a_triclinic_crystal(tmp_path: Path):
    atoms = argon_crystal()
    ase.io.write(tmp_path / "argon.extxyz", atoms)
    name = f"mdsuite-test-{os.getpid()}"
    process = None

    def launch(*_args, **_kwargs):
        nonlocal process
        process = driver("--model", LJ, "--unix", name, "--structure", str(tmp_path / "argon.extxyz"))
        return process

    # ASE reckons in constants of 2014, ours are of 2022: the driver sees the crystal in our ångström.
    reference = argon_crystal()
    reference.set_cell(reference.cell[:] * (wire.BOHR / units.Bohr), scale_atoms=True)
    reference.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True)
    with SocketIOCalculator(unixsocket=name, timeout=60) as calculator:
        launch()
        atoms.calc = calculator
        energy, force = units.Ha / wire.HARTREE, units.Ha / wire.HARTREE * wire.BOHR / units.Bohr
        np.testing.assert_allclose(atoms.get_potential_energy(), energy * reference.get_potential_energy(), rtol=1e-9)
        np.testing.assert_allclose(atoms.get_forces(), force * reference.get_forces(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(atoms.get_stress(), energy * reference.get_stress(), rtol=1e-9, atol=1e-12)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output


IPI_INPUT = """<simulation verbosity='low'> <prng> <seed> 1 </seed> </prng>
  <output prefix='out'>
    <properties filename='energies' stride='1'> [ step, conserved, potential, kinetic_md ] </properties>
  </output>
  <total_steps> 20 </total_steps>
  <ffsocket name='driver' mode='unix' pbc='False'>
    <consolidate_messages> {consolidated} </consolidate_messages> <batch_size> {batch_size} </batch_size>
    <address> {name} </address> <latency> 1e-3 </latency> <timeout> 60 </timeout>
  </ffsocket>
  <system>
    <initialize nbeads='{n_beads}'>
      <file mode='ase' units='angstrom'> start.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 100 </velocities>
    </initialize>
    <forces> <force forcefield='driver'/> </forces>
    <ensemble> <temperature units='kelvin'> 100 </temperature> </ensemble>
    <motion mode='dynamics'> <dynamics mode='nve'> <timestep units='femtosecond'> 1.0 </timestep> </dynamics> </motion>
  </system>
</simulation>
"""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # i-PI does not close its sockets
@pytest.mark.parametrize("consolidated", [True, False])
def test_i_pis_own_sockets_get_what_the_model_says(tmp_path: Path, consolidated: bool):
    atoms = argon_crystal()
    ase.io.write(tmp_path / "argon.extxyz", atoms)
    name = f"mdsuite-test-sockets-{os.getpid()}"
    interface = InterfaceSocket(address=name, mode="unix", consolidate_messages=consolidated)
    interface.requests = []
    interface.open()
    client = driver("--model", LJ, "--unix", name, "--structure", str(tmp_path / "argon.extxyz"))
    try:
        results = [requested(interface, atoms) for _ in range(2)]
    finally:
        interface.close()
    said, _ = client.communicate(timeout=20)
    assert client.returncode == 0, said
    expected = load(LJ).evaluate(
        Configuration(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell[:], pbc=(True,) * 3)
    )
    for energy, forces, virial, _ in results:
        np.testing.assert_allclose(energy * wire.HARTREE, expected.energy, rtol=1e-9)
        in_ev = np.reshape(forces, (-1, 3)) * wire.HARTREE / wire.BOHR
        np.testing.assert_allclose(in_ev, expected.forces, rtol=1e-9, atol=1e-12)
        upper = np.triu_indices(3)
        np.testing.assert_allclose(np.asarray(virial)[upper] * wire.HARTREE, expected.virial[upper], rtol=1e-9)


BATCHED = {"a model of batches": ("painn-ultra-tiny", molecules), "a model of one at a time": (LJ, crystals)}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as above
@pytest.mark.parametrize(("source", "several"), BATCHED.values(), ids=BATCHED)
def test_i_pis_batches_are_answered_one_by_one(tmp_path: Path, source: str, several: Callable[[int], list]):
    atoms = several(5)  # of which i-PI sends three and two, the latter filled up by one that is there twice
    ase.io.write(tmp_path / "start.extxyz", atoms[0])
    name = f"mdsuite-test-batches-{os.getpid()}"
    interface = InterfaceSocket(address=name, mode="unix", batch_size=3)
    interface.requests = []
    interface.open()
    client = driver("--model", source, "--unix", name, "--structure", str(tmp_path / "start.extxyz"))
    try:
        results = all_requested(interface, atoms)
    finally:
        interface.close()
    said, _ = client.communicate(timeout=20)
    assert (client.returncode, b"served 6 evaluations" in said) == (0, True), said
    model = load(source)
    for each, (energy, forces, virial, _) in zip(atoms, results, strict=True):
        expected = model.evaluate(asked(each))
        np.testing.assert_allclose(energy * wire.HARTREE, expected.energy, rtol=1e-9)
        in_ev = np.reshape(forces, (-1, 3)) * wire.HARTREE / wire.BOHR
        np.testing.assert_allclose(in_ev, expected.forces, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(virial * wire.HARTREE, expected.virial, rtol=1e-9, atol=1e-9)


def asked(atoms) -> Configuration:
    """What a driver is asked about atoms."""
    first, second, third = (bool(each) for each in atoms.pbc)
    return Configuration(
        numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell[:], pbc=(first, second, third)
    )


def requested(interface: InterfaceSocket, atoms) -> list:
    """What i-PI gets for atoms, in atomic units."""
    (result,) = all_requested(interface, [atoms])
    return result


def all_requested(interface: InterfaceSocket, several: list) -> list:
    """What i-PI gets for each of several requests that it has at once."""
    requests = [request(number, atoms) for number, atoms in enumerate(several)]
    interface.requests += requests
    end = time.monotonic() + 60
    while any(each["status"] != "Done" for each in requests):
        assert time.monotonic() < end
        interface.poll()
        time.sleep(1e-3)
    for each in requests:
        interface.requests.remove(each)
    return [each["result"] for each in requests]


def request(number: int, atoms) -> ForceRequest:
    """One of i-PI's."""
    columns = atoms.cell[:].T / wire.BOHR
    return ForceRequest(
        {
            "id": number,
            "pos": atoms.positions.ravel() / wire.BOHR,
            "active": np.arange(3 * len(atoms)),
            "cell": (columns, np.linalg.inv(columns)),
            "pars": " ",
            "result": None,
            "status": "Queued",
            "start": -1,
            "t_queued": time.time(),
            "t_dispatched": 0,
            "t_finished": 0,
        }
    )


@pytest.mark.parametrize("consolidated", [True, False])
def test_i_pi_integrates_with_our_driver(tmp_path: Path, consolidated: bool):
    energies, said = integrated(tmp_path, "ase:ase.calculators.emt:EMT", consolidated=consolidated)
    assert len(energies) == 21
    assert "served 21 evaluations" in said


def test_beads_are_integrated_alike_one_by_one_in_batches_and_over_several_connections(tmp_path: Path):
    (alone, _), (batched, said), (together, also) = (
        integrated(tmp_path / how, "painn-ultra-tiny", *flags, n_beads=4, batch_size=size)
        for how, size, flags in (
            ("alone", 1, ()),
            ("batched", 4, ()),
            ("together", 1, ("--connections", "4", "--batch-wait-ms", "200")),
        )
    )
    assert "served 84 evaluations" in said
    assert "served 84 evaluations in 21 batches" in also
    assert batched == pytest.approx(alone, rel=1e-8)
    assert together == pytest.approx(alone, rel=1e-8)


def integrated(
    folder: Path, model: str, *flags: str, n_beads: int = 1, batch_size: int = 1, consolidated: bool = True
) -> tuple[FloatArray, str]:
    """The energies that i-PI writes, and what the driver that served it has said."""
    atoms = molecule("C2H6")
    atoms.set_cell(np.eye(3) * 20)
    folder.mkdir(exist_ok=True)
    ase.io.write(folder / "start.extxyz", atoms)
    name = f"mdsuite-test-ipi-{os.getpid()}"
    text = IPI_INPUT.format(name=name, consolidated=consolidated, n_beads=n_beads, batch_size=batch_size)
    (folder / "input.xml").write_text(text)
    ipi = subprocess.Popen(
        [str(Path(sys.executable).with_name("i-pi")), "input.xml"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    client = driver("--model", model, "--unix", name, "--structure", str(folder / "start.extxyz"), *flags)
    try:
        said, _ = ipi.communicate(timeout=90)
        assert ipi.returncode == 0, said
        told, _ = client.communicate(timeout=20)
        assert client.returncode == 0, told
    finally:
        for process in (ipi, client):
            process.kill()
            process.communicate()
    return np.loadtxt(folder / "out.energies"), told.decode()


def test_the_driver_exits_soon_after_its_server_was_killed(tmp_path: Path):
    address = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(address))
        listener.listen(1)
        process = driver("--model", LJ, "--unix", str(address))
        connection, _ = listener.accept()
    connection.close()
    began = time.monotonic()
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert time.monotonic() - began < 10


def test_a_driver_without_a_server_gives_up(tmp_path: Path):
    process = driver("--model", LJ, "--unix", str(tmp_path / "nobody"), "--patience-s", "0.2")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"start the server first" in output
