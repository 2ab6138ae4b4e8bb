"""What every model is, whatever it was read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ModelError(Exception):
    """A model that cannot be loaded, or a configuration that it cannot evaluate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Atoms at one instant.

    numbers : (n_atoms,) int, atomic numbers
    positions : (n_atoms, 3) float, Å; may lie outside the cell
    cell : (3, 3) float, Å, lattice vectors as rows
    pbc : (3,) bool
    """

    numbers: IntArray
    positions: FloatArray
    cell: FloatArray
    pbc: tuple[bool, bool, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model says of a configuration, in float64 whatever it computed in.

    energy : float, eV
    forces : (n_atoms, 3) float, eV/Å
    virial : (3, 3) float, eV, symmetric, -dE/d(strain), not divided by the volume
    """

    energy: float
    forces: FloatArray
    virial: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known of a model; None where it is not known.

    species : atomic numbers that the model was made for
    cutoff : float, Å
    periodic : whether lattice vectors are used; a model without them refuses periodic configurations
    sha256 : of the weights as stored
    minimum_width : float, Å, perpendicular width below which a periodic cell is refused
    forces : whether it gives forces; without them it drives no dynamics
    origin : what it was trained on, in words
    """

    name: str
    kind: str
    sha256: str
    periodic: bool
    dtype: str = "unknown"
    n_parameters: int | None = None
    species: tuple[int, ...] | None = None
    cutoff: float | None = None
    conservative: bool | None = None
    minimum_width: float = 0.0
    forces: bool = True
    origin: str = ""


COMPILED = "compiled"
"""What the source of a compiled model begins with, before a colon."""

CUDA = "cuda"
"""What the source of a model on a GPU begins with."""

WAYS = ("", COMPILED, CUDA)
"""What a source may begin with of a model that is evaluated otherwise than as it is."""

NOTHING = "nothing"
"""What the source begins with of a model that costs nothing, by which the coupling is measured."""

DOUBLE = "float64"
"""What the card of a model says that computes in double precision."""


def way_of(source: str) -> str:
    """The one of `WAYS` in which a model is evaluated."""
    way, colon, _ = source.partition(":")
    return way if colon and way in WAYS else ""


def in_way(way: str, source: str) -> str:
    """The source of a model that is evaluated in one of `WAYS`."""
    return f"{way}:{source}" if way else source


def of_itself(source: str) -> str:
    """The source of the model that is evaluated in this or that way."""
    return source.removeprefix(f"{way}:") if (way := way_of(source)) else source


class Model(Protocol):
    """A potential: a card, and energies, forces and virials."""

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        ...

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and virial; raises ModelError where the configuration is not one it can serve."""
        ...


@runtime_checkable
class Doubling(Model, Protocol):
    """A model that can be computed in float64 too."""

    def double(self) -> Model:
        """The same model, its weights as they are, in float64."""
        ...


def first_line(error: BaseException) -> str:
    """Of what an error says, or its name where it says nothing: torch's go on for pages."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def require_known(configuration: Configuration, species: Sequence[int], name: str) -> None:
    """Raise ModelError for elements that a model was not made for."""
    unknown = sorted(set(configuration.numbers.tolist()) - set(species))
    if unknown:
        raise ModelError(f"{name} was not made for the elements with Z = {unknown}")


def require_fit(configuration: Configuration, card: ModelCard) -> None:
    """Raise ModelError for elements and boundaries that a model was not made for."""
    require_known(configuration, card.species or (), card.name)
    if any(configuration.pbc) and not card.periodic:
        raise ModelError(f"{card.name} has no periodic boundaries; give a structure with pbc='F F F'")
