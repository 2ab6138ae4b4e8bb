"""Any ASE calculator as a model."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from mdsuite_driver.models.protocol import Configuration, Evaluation, ModelCard, ModelError, require_known

WANTED = "ase:MODULE_OR_FILE.py:FACTORY[?key=value&...]"


class AseModel:
    """An ASE calculator behind the protocol, in whatever precision it computes.

    A calculator that keeps a neighbour list between calls sums in an order that depends on its past: a resumed run then
    differs from an uninterrupted one by rounding.
    """

    def __init__(self, calculator: Any, card: ModelCard) -> None:  # ase is untyped
        self._calculator = calculator
        self._card = card

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and, where the calculator has a stress, the virial.

        Without lattice vectors the virial is the sum of r⊗f; raises ModelError for a periodic configuration whose
        calculator has no stress, and for elements that the model is known not to know.
        """
        if self._card.species is not None:
            require_known(configuration, self._card.species, self._card.name)
        atoms = Atoms(
            numbers=configuration.numbers,
            positions=configuration.positions,
            cell=configuration.cell,
            pbc=configuration.pbc,
        )
        atoms.calc = self._calculator
        energy = float(atoms.get_potential_energy())
        forces = np.asarray(atoms.get_forces(), dtype=float)
        return Evaluation(energy=energy, forces=forces, virial=self._virial(atoms, forces))

    def _virial(self, atoms: Atoms, forces: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, Any]:
        if atoms.pbc.any():
            try:
                return np.asarray(-atoms.get_volume() * atoms.get_stress(voigt=False), dtype=float)
            except PropertyNotImplementedError as error:
                raise ModelError(f"{self._card.name} gives no stress, which a periodic structure needs") from error
        virial = (atoms.positions - atoms.positions.mean(axis=0)).T @ forces
        return np.asarray(0.5 * (virial + virial.T))


def load_ase_calculator(source: str, *, trust: bool) -> AseModel:
    """The model of a calculator; raises ModelError, also where a file's code is not trusted."""
    return AseModel(make_calculator(source, trust=trust), _card(source))


def make_calculator(source: str, *, trust: bool) -> Any:
    """The calculator that a factory returns; raises ModelError, also where a file's code is not trusted."""
    location, _, query = source.removeprefix("ase:").partition("?")
    module_name, _, factory_name = location.rpartition(":")
    if not module_name:
        raise ModelError(f"wanted {WANTED}, got {source!r}")
    factory = getattr(_module(module_name, trust=trust), factory_name, None)
    if factory is None:
        raise ModelError(f"{module_name} has no {factory_name!r}; wanted {WANTED}")
    try:
        return factory(**{key: typed(text) for key, text in parse_qsl(query)})
    except Exception as error:
        raise ModelError(f"{factory_name} of {module_name} failed: {type(error).__name__}: {error}") from error


def _module(name: str, *, trust: bool) -> ModuleType:
    if not name.endswith(".py"):
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise ModelError(f"cannot import {name}: {error}; install it or give the path of a .py file") from error
    path = Path(name)
    if not path.is_file():
        raise ModelError(f"wanted a Python file, but there is no {name}")
    if not trust:
        raise ModelError(f"{name} is code that would be run; if you trust its origin, say so with --trust")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{name} cannot be imported as a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def typed(text: str) -> bool | int | float | str:
    """What the text of an option means."""
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def _card(source: str) -> ModelCard:
    location, _, query = source.partition("?")
    file = Path(location.removeprefix("ase:").rpartition(":")[0])
    code = file.read_bytes() if file.suffix == ".py" else b""
    name = ":".join([os.path.basename(part) for part in location.split(":")])  # noqa: PTH119  not only paths
    return ModelCard(
        name=f"{name}?{query}" if query else name,
        kind="ASE calculator",
        periodic=True,
        sha256=hashlib.sha256(f"{name}?{query}".encode() + code).hexdigest(),
    )
