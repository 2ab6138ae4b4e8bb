"""The nearest minimum of a model's energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import FIRE

from mdsuite.runs import FloatArray
from mdsuite.structures import configuration
from mdsuite_analysis.potential import Potential

MOST_STEPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """Where a relaxation ended.

    positions : (n_atoms, 3) float, Å
    before, after : float, eV, potential energies
    largest_force : float, eV/Å, that is left
    converged : whether that is as small as was asked for
    """

    positions: FloatArray
    before: float
    after: float
    largest_force: float
    n_steps: int
    converged: bool


def relax(potential: Potential, atoms: Any, max_force: float) -> Relaxed:
    """Move the atoms of an ase.Atoms downhill until no force is larger than `max_force` (eV/Å); its cell stays.

    Raises what the potential raises.
    """
    moved = atoms.copy()
    moved.calc = _Calculator(potential)
    before = float(moved.get_potential_energy())
    optimizer = FIRE(moved, logfile=None)
    converged = optimizer.run(fmax=max_force, steps=MOST_STEPS)
    return Relaxed(
        positions=np.array(moved.positions),
        before=before,
        after=float(moved.get_potential_energy()),
        largest_force=float(np.linalg.norm(moved.get_forces(), axis=1).max()),
        n_steps=int(optimizer.nsteps),
        converged=bool(converged),
    )


class _Calculator(Calculator):  # type: ignore[misc]  # ase is untyped
    """A potential for ASE's optimizers."""

    implemented_properties: Sequence[str] = ("energy", "forces")

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self._potential = potential

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Ask the driver."""
        super().calculate(atoms, properties, system_changes)
        said = self._potential(configuration(atoms))
        self.results = {"energy": said.energy, "forces": said.forces}
