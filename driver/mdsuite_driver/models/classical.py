"""Classical potentials in PyTorch, whose like LAMMPS has natively: references for engines, not for materials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from mdsuite_driver.models.neighbours import Neighbours
from mdsuite_driver.models.pairwise import differentiated
from mdsuite_driver.models.protocol import Configuration, Evaluation, ModelCard, ModelError, require_known


class PairVectorEnergy(Protocol):
    """An energy that depends on the vectors between pairs alone."""

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that it is for."""
        ...

    @property
    def range(self) -> float:
        """Beyond which atoms do not interact, Å."""
        ...

    def energy(self, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """Total energy, eV, of all ordered pairs i, j (n_pairs,), sorted by i, and `vectors` (n_pairs, 3), Å."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LennardJones:
    """4 ε [(σ/r)¹² - (σ/r)⁶], shifted so that energy and force vanish at the cut-off.

    LAMMPS has it as ``pair_style lj/smooth/linear``. epsilon in eV, sigma and cutoff in Å.
    """

    species: tuple[int, ...]
    epsilon: float
    sigma: float
    cutoff: float

    @property
    def range(self) -> float:
        """The cut-off."""
        return self.cutoff

    def energy(self, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """Half the sum over ordered pairs."""
        r = torch.linalg.vector_norm(vectors, dim=1)
        end = (self.sigma / self.cutoff) ** 6
        at_end = 4.0 * self.epsilon * (end**2 - end)
        slope = -24.0 * self.epsilon * (2.0 * end**2 - end) / self.cutoff
        x = (self.sigma / r) ** 6
        pairs: Tensor = 4.0 * self.epsilon * (x**2 - x) - at_end - (r - self.cutoff) * slope
        return 0.5 * pairs.sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class StillingerWeber:
    """Two- and three-body terms of Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), with q = 0.

    LAMMPS has it as ``pair_style sw``. epsilon in eV, sigma in Å; cos_theta has the digits of LAMMPS' Si.sw.
    """

    species: tuple[int, ...]
    epsilon: float
    sigma: float
    a: float
    lambda_: float
    gamma: float
    cos_theta: float
    A: float
    B: float
    p: float

    @property
    def range(self) -> float:
        """The cut-off a σ."""
        return self.a * self.sigma

    def energy(self, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """Half the sum over ordered pairs, and the sum over pairs of neighbours of each atom."""
        r = torch.linalg.vector_norm(vectors, dim=1)
        inverse = 1.0 / (r - self.range)
        pairs: Tensor = self.A * (self.B * (self.sigma / r) ** self.p - 1.0) * torch.exp(self.sigma * inverse)
        first, second = _triples(i)
        cosine = (vectors[first] * vectors[second]).sum(1) / (r[first] * r[second])
        damping = torch.exp(self.gamma * self.sigma * (inverse[first] + inverse[second]))
        triples: Tensor = self.lambda_ * (cosine - self.cos_theta) ** 2 * damping
        return self.epsilon * (0.5 * pairs.sum() + triples.sum())


def _triples(i: Tensor) -> tuple[Tensor, Tensor]:
    """Every two pairs with the same first atom, once."""
    counts = torch.bincount(i) if len(i) else torch.zeros(1, dtype=torch.long)
    begins = torch.cumsum(counts, 0) - counts
    most = int(counts.max())
    left, right = torch.triu_indices(most, most, 1)
    inside = right[None] < counts[:, None]
    return (begins[:, None] + left[None])[inside], (begins[:, None] + right[None])[inside]


class ClassicalModel:
    """A classical potential behind the protocol, in float64."""

    def __init__(self, potential: PairVectorEnergy, card: ModelCard) -> None:
        self._potential = potential
        self._card = card
        self._neighbours = Neighbours(potential.range)

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and virial; raises ModelError for elements that the potential was not made for."""
        require_known(configuration, self._potential.species, self._card.name)
        pairs = self._neighbours.vectors_within(configuration)
        return differentiated(len(configuration.numbers), pairs, self._potential.energy)


KINDS: dict[str, tuple[str, type[LennardJones] | type[StillingerWeber]]] = {
    "mdsuite-lennard-jones/1": ("Lennard-Jones", LennardJones),
    "mdsuite-stillinger-weber/1": ("Stillinger-Weber", StillingerWeber),
}


def checkpoint(potential: LennardJones | StillingerWeber) -> dict[str, Any]:
    """What is stored of a potential: plain types, so that nothing has to be trusted to read it."""
    form = next(form for form, (_, kind) in KINDS.items() if isinstance(potential, kind))
    return {"format": form, "parameters": {**asdict(potential), "species": list(potential.species)}}


def load_classical(name: str, stored: Mapping[str, Any], sha256: str) -> ClassicalModel:
    """A model from `checkpoint`; raises ModelError where its parameters are not those of its kind."""
    title, kind = KINDS[stored["format"]]
    try:
        parameters = {**stored["parameters"], "species": tuple(stored["parameters"]["species"])}
        potential = kind(**parameters)
        reach = float(potential.range)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{name}: these are not the parameters of a {title} potential: {error}") from error
    card = ModelCard(
        name=name,
        kind=title,
        dtype="float64",
        n_parameters=len(parameters) - 1,
        species=potential.species,
        cutoff=reach,
        conservative=True,
        periodic=True,
        sha256=sha256,
    )
    return ClassicalModel(potential, card)
