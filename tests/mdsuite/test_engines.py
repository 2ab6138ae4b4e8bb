"""Each engine keeps the contract, and a thermostat holds a temperature in each that has one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
from factories import argon, run

from mdsuite.engines import contract
from mdsuite.engines.contract import EngineContract, contract_run, done
from mdsuite.engines.kinds import ENGINES, engine_kind
from mdsuite.errors import InputError
from mdsuite.execution.supervise import Status, supervise
from mdsuite.runs import Run, write_run
from mdsuite_analysis.read import read_energies, read_frames


class TestLammps(EngineContract):
    engine = "lammps"


class TestIpi(EngineContract):
    engine = "ipi"


class TestAse(EngineContract):
    engine = "ase"


class TestLammpsNative(EngineContract):
    engine = "lammps-native"


QUICK = [("lammps", "langevin"), ("ipi", "csvr"), ("ase", "csvr"), ("lammps-native", "nose-hoover")]
NVT = [
    pytest.param(pair, id=", ".join(pair), marks=[] if pair in QUICK else [pytest.mark.slow])
    for kind in ENGINES.values()
    for pair in ((kind.name, thermostat) for thermostat in kind.thermostats)
    if kind.name != "lammps" or pair in QUICK  # its others are those of lammps-native
]


@pytest.fixture(scope="module", params=NVT)
def thermostatted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A solid that begins at 60 K, held at 90 K."""
    engine, thermostat = request.param
    folder = tmp_path_factory.mktemp("nvt") / "run"
    changes = {"thermostat": thermostat, "ensemble": "nvt", "temperature": 90.0, "relaxation": 0.05}
    of = contract_run(engine_kind(engine), n_steps=600, chunk_steps=100, **changes)
    done(of, folder)
    return of, folder


def test_a_thermostat_brings_the_system_to_its_temperature(thermostatted: tuple[Run, Path]):
    of, folder = thermostatted
    temperature = read_energies(folder).temperature[200:]
    assert temperature.mean() == pytest.approx(of.temperature, rel=0.07)
    assert 0.5 < temperature.std() / (of.temperature * np.sqrt(2.0 / of.start.n_dof)) < 2.0


def test_what_a_thermostat_gives_is_accounted_for(thermostatted: tuple[Run, Path]):
    """The conserved energy stays where the total energy moves by far more, and has no step between chunks."""
    of, folder = thermostatted
    kept, energies = conserved(folder), read_energies(folder)
    if (of.engine, of.thermostat) == ("ase", "langevin"):
        assert kept is None  # ASE does not reckon it, and nothing is made up
        return
    assert np.ptp(kept) < 0.05 * np.ptp(energies.total_energy)
    jumps = np.abs(np.diff(kept))
    assert jumps[99::100].max() <= jumps.max()


def test_a_thermostatted_run_that_is_resumed_is_the_same_to_the_byte(thermostatted: tuple[Run, Path], tmp_path: Path):
    of, folder = thermostatted
    for n_steps in (100, 300):
        write_run(dataclasses.replace(of, n_steps=n_steps), tmp_path)
        assert supervise(tmp_path).status is Status.DONE
    resumed, whole = contract.segments(tmp_path), contract.segments(folder)
    assert len(resumed) == 3
    assert resumed.items() <= whole.items()


def test_a_thermostatted_start_at_rest_stays_at_rest(thermostatted: tuple[Run, Path]):
    """So that its temperature is that of 3 N - 3 degrees of freedom."""
    of, folder = thermostatted
    velocities = read_frames(folder).velocities[-1]
    momentum = np.abs(of.start.masses @ velocities)
    assert (momentum < 1e-6 * np.abs(of.start.masses[:, None] * velocities).sum()).all()


def conserved(folder: Path) -> np.ndarray | None:
    parts = []
    for path in contract.segments(folder):
        with h5py.File(folder / "segments" / path) as file:
            series = file["parameters/every_step"]
            if "conserved_energy" not in series:
                return None
            parts.append(series["conserved_energy"][:])
    return np.concatenate(parts)


def test_nve_conserves_what_it_records_as_conserved(tmp_path: Path):
    for name in ("ipi", "lammps"):
        done(contract_run(engine_kind(name)), tmp_path / name)
        np.testing.assert_allclose(conserved(tmp_path / name), read_energies(tmp_path / name).total_energy, atol=1e-10)


def test_an_engine_that_is_not_there_is_named_with_its_nearest():
    with pytest.raises(InputError, match="there is no engine lamps; did you mean lammps"):
        engine_kind("lamps")


def test_i_pi_keeps_no_files_but_its_input(tmp_path: Path):
    write_run(run(argon(), engine="ipi"), tmp_path)
    assert supervise(tmp_path).status is Status.DONE
    assert (tmp_path / "i-pi.xml").read_text().startswith("<simulation")
    assert not list(tmp_path.glob("RESTART*")) and not list(tmp_path.glob("EXIT"))
