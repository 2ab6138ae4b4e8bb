"""ASE integrates, in the user's own axes: the reference that shares neither wire nor axes with the others.

Energies are in eV, lengths in Å, masses in amu, so that time is in Å (amu/eV)^½; no constant of ASE's is used but, in a
thermostat, its Boltzmann constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import Calculator
from ase.constraints import FixCom
from ase.md.bussi import Bussi
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

from mdsuite.constants import KINETIC
from mdsuite.engines.axes import Axes
from mdsuite.engines.forces import Forces
from mdsuite.engines.stepped import Memory, State, Stepped
from mdsuite.runs import FloatArray, Run
from mdsuite_driver.models.protocol import Evaluation

TIME = float(np.sqrt(KINETIC))  # ps, of Å (amu/eV)^½


class _Asked(Calculator):  # type: ignore[misc]  # ASE ships no types
    """Energy and forces from `Forces`, which are asked once for each configuration."""

    implemented_properties = ("energy", "forces")

    def __init__(self, forces: Forces, cell: FloatArray) -> None:
        super().__init__()
        self._forces = forces
        self._cell = cell
        self.at_step = 0
        self.evaluation: Evaluation | None = None

    def calculate(self, atoms: Any = None, *what: Any) -> None:
        super().calculate(atoms, *what)
        self.evaluation = self._forces.evaluate(self.at_step, self._cell, atoms.positions)
        self.results = {"energy": self.evaluation.energy, "forces": self.evaluation.forces}


class AseStepper:
    """One of ASE's integrators."""

    build = f"ASE {ase.__version__}"

    def __init__(self, run: Run, forces: Forces, axes: Axes, step: int, memory: Memory | None) -> None:
        start = run.start
        self._axes = axes
        self._calculator = _Asked(forces, axes.user_cell)
        self._calculator.at_step = step
        self._atoms = ase.Atoms(start.numbers, start.positions, cell=start.cell, pbc=start.pbc, masses=start.masses)
        self._atoms.calc = self._calculator
        self._atoms.set_velocities(start.velocities * TIME)
        if memory is not None:
            self._atoms.set_positions(memory["positions"])
            self._atoms.set_momenta(memory["momenta"], apply_constraint=False)
        if run.thermostat and start.at_rest:
            self._atoms.set_constraint(FixCom())  # a thermostat would set the centre of mass in motion
        self._dynamics = INTEGRATORS[run.thermostat](self._atoms, run, np.random.default_rng(run.seed_of(step)))

    def step(self, step: int) -> None:
        """Let ASE take a step."""
        self._calculator.at_step = step
        self._dynamics.step()

    def state(self, _step: int) -> State:
        """Atoms in the engine's axes; nothing is evaluated twice."""
        energy = self._atoms.get_potential_energy()
        evaluation = self._calculator.evaluation
        if evaluation is None:
            raise RuntimeError("wanted an evaluation from ASE, it asked for none")
        kinetic = self._atoms.get_kinetic_energy()
        return State(
            positions=self._axes.inward(self._atoms.positions),
            velocities=self._axes.inward(self._atoms.get_velocities() / TIME),
            forces=self._axes.inward(evaluation.forces),
            virial=self._axes.inward_tensor(evaluation.virial),
            potential_energy=energy,
            kinetic_energy=kinetic,
            conserved_energy=_conserved(self._dynamics, energy + kinetic),
        )

    def memory(self) -> Memory:
        """Positions (Å) and momenta, in ASE's units; no thermostat that is offered remembers more."""
        return {"positions": self._atoms.get_positions(), "momenta": self._atoms.get_momenta()}


def _verlet(atoms: Any, run: Run, _rng: np.random.Generator) -> Any:
    return VelocityVerlet(atoms, run.timestep / TIME)


def _langevin(atoms: Any, run: Run, rng: np.random.Generator) -> Any:
    friction = TIME / run.relaxation
    return Langevin(atoms, run.timestep / TIME, temperature_K=run.temperature, friction=friction, fixcm=False, rng=rng)


def _csvr(atoms: Any, run: Run, rng: np.random.Generator) -> Any:
    return Bussi(atoms, run.timestep / TIME, run.temperature, run.relaxation / TIME, rng=rng)


INTEGRATORS: Mapping[str, Callable[[Any, Run, np.random.Generator], Any]] = MappingProxyType(
    {"": _verlet, "langevin": _langevin, "csvr": _csvr}
)


def _conserved(dynamics: Any, total: float) -> float | None:
    if isinstance(dynamics, Bussi):
        return total - float(dynamics.transferred_energy)
    return None if isinstance(dynamics, Langevin) else total


def open_engine(run: Run, forces: Forces, _log: Path) -> Stepped:
    """ASE with a model in this process."""

    def new(of: Run, axes: Axes, step: int, memory: Memory | None) -> AseStepper:
        return AseStepper(of, forces, axes, step, memory)

    return Stepped(run, new)
