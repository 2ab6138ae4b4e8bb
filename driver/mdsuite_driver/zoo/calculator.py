"""Any potential of the zoo as an ASE calculator that computes anew whenever it is asked anew."""

from __future__ import annotations

import weakref
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from mdsuite_driver.models.protocol import Configuration
from mdsuite_driver.zoo.hosts import Potential


class ZooCalculator(Calculator):  # type: ignore[misc]  # ase is untyped
    """Energy and forces, and the stress where there is a volume.

    A new Atoms object is a new question even if nothing moved: what varies from call to call must not hide behind
    ASE's cache. The potential is given the very positions of the atoms, so that one which writes to them does so.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self._potential = potential
        self._asked: weakref.ref[Atoms] | None = None

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """What changed since the last answer: everything, for another Atoms object than the last or a moved one."""
        if self._asked is None or self._asked() is not atoms:
            return list(all_changes)
        facts = ("positions", "cell", "numbers", "pbc")
        same = all(np.array_equal(getattr(self.atoms, fact), getattr(atoms, fact)) for fact in facts)
        return [] if same else list(all_changes)

    @np.errstate(all="ignore")  # what overflows is for the caller to find
    def calculate(
        self, atoms: Atoms = None, properties: Any = ("energy",), system_changes: Any = tuple(all_changes)
    ) -> None:
        """Ask the potential once for all properties."""
        super().calculate(atoms, properties, system_changes)
        self._asked = weakref.ref(atoms)
        evaluation = self._potential(_configuration(atoms))
        self.results = {"energy": evaluation.energy, "forces": evaluation.forces}
        if atoms.pbc.any() and atoms.cell.rank == 3:
            self.results["stress"] = full_3x3_to_voigt_6_stress(-evaluation.virial / atoms.get_volume())


def _configuration(atoms: Atoms) -> Configuration:
    return Configuration(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=atoms.positions,
        cell=np.array(atoms.cell[:]),
        pbc=(bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
    )
