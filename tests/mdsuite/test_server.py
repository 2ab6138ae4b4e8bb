"""The server end against clients that are not ours."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.calculators.socketio import SocketClient
from factories import argon, start

from mdsuite.engines.server import ForceServer, accept, wire_cell
from mdsuite_driver import wire
from mdsuite_driver.client import NotFiniteError
from mdsuite_driver.models.protocol import Evaluation
from mdsuite_driver.stream import Stream
from mdsuite_driver.wire import WireError


@pytest.fixture
def listening():
    """An i-PI name, and a socket that listens there."""
    name = f"mdsuite-test-server-{os.getpid()}"
    path = Path(f"/tmp/ipi_{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        yield name, listener
    path.unlink()


def crystal():
    atoms = argon(sheared=True)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=6.5, smooth=True)
    return atoms


def test_ase_serves_forces_and_the_shear_of_a_tilted_crystal(listening):
    name, listener = listening
    atoms, theirs = crystal(), crystal()
    client = SocketClient(unixsocket=name)
    thread = threading.Thread(target=lambda: client.run(theirs, use_stress=True), daemon=True)
    thread.start()
    server = accept(listener, start(atoms), patience=20)
    evaluation = server.evaluate(np.array(atoms.cell[:]), atoms.positions)
    server.close()
    thread.join(20)
    client.close()
    np.testing.assert_allclose(evaluation.forces, atoms.get_forces(), atol=1e-8)
    expected = -atoms.get_volume() * atoms.get_stress(voigt=False)
    np.testing.assert_allclose(evaluation.virial, expected, atol=1e-6)


def test_i_pis_own_driver_serves_us_and_exits_when_told(listening):
    name, listener = listening
    atoms = argon(1)
    script = Path(sys.executable).with_name("i-pi-py_driver")
    command = [str(script), "-u", "-a", name, "-m", "harmonic", "-o", "1.0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        server = accept(listener, start(atoms), patience=60)
        evaluation = server.evaluate(np.array(atoms.cell[:]), atoms.positions)
        server.close()
        assert client.wait(20) == 0
    stiffness = wire.HARTREE / wire.BOHR**2
    np.testing.assert_allclose(evaluation.forces, -stiffness * atoms.positions, rtol=1e-6)


def answered_with(evaluation: Evaluation) -> Evaluation:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.header(wire.READY) + wire.encode_evaluation(evaluation))
        atoms = argon(1)
        return ForceServer(Stream(ours), start(atoms)).evaluate(np.array(atoms.cell[:]), atoms.positions)


def test_forces_on_another_number_of_atoms_are_refused():
    with pytest.raises(WireError, match="forces on 4 atoms, got 3"):
        answered_with(Evaluation(energy=0.0, forces=np.zeros((3, 3)), virial=np.zeros((3, 3))))


def test_forces_that_are_not_finite_are_refused_on_this_side_too():
    forces = np.zeros((4, 3))
    forces[2, 1] = np.inf
    with pytest.raises(NotFiniteError, match="force on atom 2"):
        answered_with(Evaluation(energy=0.0, forces=forces, virial=np.zeros((3, 3))))


def test_a_driver_that_never_connects_is_not_waited_for_for_ever(listening):
    with pytest.raises(TimeoutError, match=r"no driver connected within 0\.1 s"):
        accept(listening[1], start(argon(1)), patience=0.1)


def test_a_driver_that_does_not_answer_is_not_waited_for_for_ever():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.header(wire.READY))
        atoms = argon(1)
        server = ForceServer(Stream(ours), start(atoms))
        server._stream.deadline = 0.1
        with pytest.raises(TimeoutError):
            server.evaluate(np.array(atoms.cell[:]), atoms.positions)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False), (False, True, False)])
def test_directions_without_a_lattice_vector_get_one_that_can_be_inverted(pbc: tuple[bool, bool, bool]):
    atoms = argon(sheared=True)
    atoms.pbc = pbc
    cell = np.array(atoms.cell[:]) * np.array(pbc)[:, None]
    atoms.set_cell(cell)
    completed = wire_cell(start(atoms))
    assert abs(np.linalg.det(completed)) > 1.0
    np.testing.assert_array_equal(completed[np.array(pbc)], cell[np.array(pbc)])
