"""i-PI integrates, as a library in the engine's process; its forces come from a driver that is supervised.

i-PI's own sockets wait for ever for a driver that has died, so `Forces` take the place of its force field. Everything
is handed over in atomic units, by mdsuite's constants: i-PI's own deviate by up to 1e-6.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from scipy.constants import physical_constants

from mdsuite.constants import BOLTZMANN, KINETIC
from mdsuite.engines.axes import Axes
from mdsuite.engines.forces import Forces
from mdsuite.engines.stepped import Memory, State, Stepped
from mdsuite.files import on_disk, write_text
from mdsuite.runs import FloatArray, Run
from mdsuite_driver.wire import BOHR, HARTREE

TIME = physical_constants["atomic unit of time"][0] * 1e12  # ps
VELOCITY = BOHR / TIME  # Å/ps
MASS = HARTREE / (KINETIC * VELOCITY**2)  # amu
THERMOSTATS = MappingProxyType({"langevin": "langevin", "csvr": "svr"})  # mdsuite's words, and i-PI's

INPUT = """\
<simulation verbosity='quiet' safe_stride='1000000000' threading='false'>
  <output prefix='i-pi'></output>
  <prng> <seed> {seed} </seed> </prng>
  <ffdirect name='driver'> <pes> dummy </pes> <parameters> {{}} </parameters> </ffdirect>
  <system>
    <initialize nbeads='1'>
      <positions mode='manual'> {positions} </positions>
      <cell mode='manual'> {cell} </cell>
      <labels mode='manual'> {labels} </labels>
      <masses mode='manual'> {masses} </masses>
      <velocities mode='manual'> {velocities} </velocities>
    </initialize>
    <forces> <force forcefield='driver'/> </forces>
    <ensemble> <temperature units='atomic_unit'> {temperature!r} </temperature> </ensemble>
    <motion mode='dynamics'>
      <fixcom> {fixcom} </fixcom>
      <dynamics mode='{ensemble}'>
        <timestep units='atomic_unit'> {timestep!r} </timestep>{thermostat}
      </dynamics>
    </motion>
  </system>
</simulation>
"""
THERMOSTAT = """
        <thermostat mode='{mode}'> <tau units='atomic_unit'> {tau!r} </tau> </thermostat>"""


def input_of(run: Run, axes: Axes) -> str:
    """i-PI's input for a run: all numbers in atomic units, and to the last digit."""
    start = run.start
    mode = THERMOSTATS.get(run.thermostat, "")
    return INPUT.format(
        seed=run.seed_of(0),
        labels=_listed(chemical_symbols[z] for z in start.numbers),
        masses=_listed(map(repr, (start.masses / MASS).tolist())),
        cell=_listed(map(repr, (axes.cell.T / BOHR).ravel().tolist())),
        positions=_listed(map(repr, (axes.inward(start.positions) / BOHR).ravel().tolist())),
        velocities=_listed(map(repr, (axes.inward(start.velocities) / VELOCITY).ravel().tolist())),
        temperature=run.temperature * BOLTZMANN / HARTREE,
        fixcom=bool(run.thermostat and start.at_rest),  # a thermostat would set the centre of mass in motion
        ensemble="nvt" if mode else "nve",
        timestep=run.timestep / TIME,
        thermostat=THERMOSTAT.format(mode=mode, tau=run.relaxation / TIME) if mode else "",
    )


class IpiSimulation:
    """One i-PI simulation, and its forces."""

    def __init__(self, run: Run, forces: Forces, axes: Axes) -> None:
        from ipi.engine.simulation import Simulation  # noqa: PLC0415  slow
        from ipi.utils.softexit import softexit  # noqa: PLC0415

        self._forces = forces
        self._axes = axes
        self.at_step = 0
        with contextlib.redirect_stdout(sys.stderr):
            self.simulation = Simulation.load_from_xml(input_of(run, axes))
        softexit.reset()  # a signal is for the supervisor, a file called EXIT for nobody
        self.simulation.fflist["driver"].driver = self._evaluate

    def _evaluate(self, _cell: FloatArray, positions: FloatArray) -> tuple[float, FloatArray, FloatArray, str]:
        given = self._axes.outward(np.asarray(positions) * BOHR)
        evaluation = self._forces.evaluate(self.at_step, self._axes.user_cell, given)
        forces = self._axes.inward(evaluation.forces) * (BOHR / HARTREE)
        return evaluation.energy / HARTREE, forces, self._axes.inward_tensor(evaluation.virial) / HARTREE, ""


class IpiStepper:
    """i-PI's simulation, from a step on."""

    def __init__(self, of: IpiSimulation, run: Run, step: int, memory: Memory | None) -> None:
        from ipi.utils.prng import Random  # noqa: PLC0415  slow

        self._of = of
        self._system: Any = of.simulation.syslist[0]  # untyped
        of.at_step = step
        of.simulation.prng.state = Random(run.seed_of(step)).state
        # what the thermostat took so far: each chunk reckons anew, resumed or not
        self._system.ensemble.eens = self._system.motion.thermostat.ethermo = 0.0
        if memory is not None:
            self._system.beads.q[0] = memory["positions"]
            self._system.beads.p[0] = memory["momenta"]

    @property
    def build(self) -> str:
        """Name and version."""
        from ipi import __version__  # noqa: PLC0415  slow

        return f"i-PI {__version__}"

    def step(self, step: int) -> None:
        """Let i-PI take a step."""
        self._of.at_step = step
        self._of.simulation.run_step(step - 1)

    def state(self, _step: int) -> State:
        """Atoms as i-PI has them."""
        beads, forces = self._system.beads, self._system.forces
        virial = np.array(forces.vir) * HARTREE
        return State(
            positions=np.array(beads.q[0]).reshape(-1, 3) * BOHR,
            velocities=np.array(beads.p[0] / beads.m3[0]).reshape(-1, 3) * VELOCITY,
            forces=np.array(forces.f[0]).reshape(-1, 3) * (HARTREE / BOHR),
            virial=np.triu(virial) + np.triu(virial, 1).T,
            potential_energy=float(forces.pot) * HARTREE,
            kinetic_energy=float(self._system.nm.kin) * HARTREE,
            conserved_energy=float(self._system.ensemble.econs) * HARTREE,
        )

    def memory(self) -> Memory:
        """Positions and momenta of i-PI, in atomic units; no thermostat that is offered remembers more."""
        return {"positions": np.array(self._system.beads.q[0]), "momenta": np.array(self._system.beads.p[0])}


def open_engine(run: Run, forces: Forces, log: Path) -> Stepped:
    """i-PI with the forces of a driver; its input is left beside the log."""
    of: IpiSimulation | None = None

    def new(run: Run, axes: Axes, step: int, memory: Memory | None) -> IpiStepper:
        nonlocal of
        if of is None:
            with on_disk():
                write_text(log.with_name("i-pi.xml"), input_of(run, axes))
            of = IpiSimulation(run, forces, axes)
        return IpiStepper(of, run, step, memory)

    return Stepped(run, new)


def _listed(values: Any) -> str:
    return f"[ {', '.join(values)} ]"
