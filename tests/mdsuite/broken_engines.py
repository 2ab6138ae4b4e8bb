"""Engines with one defect each, as another package would bring them: entry points of the group mdsuite.engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.engines.axes import Axes
from mdsuite.engines.kinds import DRIVER, EngineKind
from mdsuite.engines.lammps import Lammps, Served, served
from mdsuite.runs import Run
from mdsuite_driver.models.load import load
from mdsuite_driver.models.neighbours import between, pairs_within
from mdsuite_driver.models.pairwise import differentiated
from mdsuite_driver.models.protocol import Configuration, Evaluation


class Disturbed:
    """Forces with something done to what goes in or comes out."""

    def __init__(self, forces: Any, inward: Callable | None = None, outward: Callable | None = None) -> None:
        self._forces, self._inward, self._outward = forces, inward, outward

    def evaluate(self, step: int, cell: np.ndarray, positions: np.ndarray) -> Evaluation:
        given = self._inward(positions) if self._inward else positions
        evaluation = self._forces.evaluate(step, cell, given)
        return self._outward(evaluation) if self._outward else evaluation

    def advanced(self, step: int) -> None:
        self._forces.advanced(step)


def scaled(evaluation: Evaluation, factor: float) -> Evaluation:
    return Evaluation(
        energy=evaluation.energy * factor, forces=evaluation.forces * factor, virial=evaluation.virial * factor
    )


def halved_shear(evaluation: Evaluation) -> Evaluation:
    halves = 0.5 + 0.5 * np.eye(3)
    return dataclasses.replace(evaluation, virial=evaluation.virial * halves)


class Stale:
    """Atoms are wrapped into the cell, and the model is given the neighbours of the first step."""

    def __init__(self, forces: Any, run: Run) -> None:
        self._forces = forces
        self._run = run
        self._potential = load(run.model)._potential
        self._pairs: Any = None

    def evaluate(self, step: int, cell: np.ndarray, positions: np.ndarray) -> Evaluation:
        self._forces.evaluate(step, cell, positions)
        wrapped = positions - np.floor(positions @ np.linalg.inv(cell)) @ cell
        if self._pairs is None:
            start = self._run.start
            first = Configuration(numbers=start.numbers, positions=wrapped, cell=cell, pbc=start.pbc)
            self._pairs = pairs_within(first, self._potential.range)
        i, j, translations = self._pairs
        vectors = between(wrapped, i, j, translations)
        return differentiated(len(wrapped), (i, j, vectors), self._potential.energy)

    def advanced(self, step: int) -> None:
        self._forces.advanced(step)


class Unsorted(Served):
    """LAMMPS sorts its atoms, and the callback takes them to be in the order of the start."""

    def set_up(self, lammps: Lammps) -> None:
        super().set_up(lammps)
        lammps.commands("pair_style zero 5.0", "pair_coeff * *")  # without a pair style nothing is ever sorted
        lammps.commands("atom_modify sort 5 1.0", "neigh_modify every 5 delay 0 check no")

    def _set(self, step: int, rows: Any, x: np.ndarray, f: np.ndarray) -> None:
        super()._set(step, np.arange(len(rows)), x, f)


def unsorted(run: Run, forces: Any, log: Path) -> Lammps:
    axes = Axes(run.start)
    return Lammps(run, Unsorted(forces, axes), axes, log)


class Unscaled(Lammps):
    """LAMMPS by its own constants, which deviate from CODATA by 6e-8."""

    def _create_atoms(self) -> None:
        super()._create_atoms()
        masses, _ = self._potential.types(self._run.start)
        self.commands(*(f"mass {k} {float(mass)!r}" for k, mass in enumerate(masses, 1)))


def unscaled(run: Run, forces: Any, log: Path) -> Lammps:
    axes = Axes(run.start)
    return Unscaled(run, Served(forces, axes), axes, log)


def kind(name: str, disturb: Callable[[Run, Any], tuple[Run, Any]]) -> EngineKind:
    def open_engine(run: Run, forces: Any, log: Path) -> Lammps:
        return served(*disturb(run, forces), log)

    return EngineKind(name=name, title=name, forces=DRIVER, thermostats=(), open=open_engine)


clean = kind("clean", lambda run, forces: (run, forces))
rounded = kind("rounded", lambda run, forces: (run, Disturbed(forces, lambda x: x.round(6))))
single = kind("single", lambda run, forces: (run, Disturbed(forces, lambda x: x.astype(np.float32).astype(float))))
shear = kind("shear", lambda run, forces: (run, Disturbed(forces, outward=halved_shear)))
kcal = kind("kcal", lambda run, forces: (run, Disturbed(forces, outward=lambda e: scaled(e, 23.060548))))
stale = kind("stale", lambda run, forces: (run, Stale(forces, run)))
thermostatted = kind(
    "thermostatted", lambda run, forces: (dataclasses.replace(run, thermostat="langevin", relaxation=1.0), forces)
)
slow = kind("slow", lambda run, forces: (dataclasses.replace(run, timestep=run.timestep * (1.0 - 1e-7)), forces))
heavy = EngineKind(name="constants", title="constants", forces=DRIVER, thermostats=(), open=unscaled)
permuted = EngineKind(name="permuted", title="permuted", forces=DRIVER, thermostats=(), open=unsorted)

KINDS = (clean, rounded, single, shear, kcal, stale, thermostatted, slow, heavy, permuted)
