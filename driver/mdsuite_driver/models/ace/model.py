"""A linear ACE with its coefficients, behind the protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mdsuite_driver.models.ace.basis import Basis
from mdsuite_driver.models.ace.specification import Specification
from mdsuite_driver.models.batch import Batch, side_by_side
from mdsuite_driver.models.neighbours import Neighbours
from mdsuite_driver.models.pairwise import differentiated
from mdsuite_driver.models.protocol import Configuration, Evaluation, ModelCard, ModelError, require_known

FORMAT = "mdsuite-ace/1"


class ACE(nn.Module):
    """Energies of atoms: a linear function of the basis around each, with coefficients of its element.

    coefficients : (n_species, n_functions) float, eV
    references : (n_species,) float, eV, the energies of lone atoms
    """

    coefficients: Tensor
    references: Tensor
    of_monomials: Tensor
    of_pairs: Tensor

    def __init__(self, specification: Specification, coefficients: Tensor, references: Tensor) -> None:
        """Raises ValueError where the shapes do not fit the basis, or something is not finite."""
        super().__init__()
        self.basis = Basis(specification)
        shape = (len(specification.species), self.basis.n_functions)
        if tuple(coefficients.shape) != shape or tuple(references.shape) != shape[:1]:
            raise ValueError(f"wanted coefficients {shape}, got {tuple(coefficients.shape)} and {references.shape}")
        if not (torch.isfinite(coefficients).all() and torch.isfinite(references).all()):
            raise ValueError("wanted coefficients that are finite")
        self.register_buffer("coefficients", coefficients.to(torch.float64))
        self.register_buffer("references", references.to(torch.float64))
        of_monomials, of_pairs = self.basis.folded(self.coefficients)
        self.register_buffer("of_monomials", of_monomials, persistent=False)
        self.register_buffer("of_pairs", of_pairs, persistent=False)

    def forward(self, numbers: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """Energies of atoms (n_atoms,), eV, without references, by the coefficients of monomials."""
        species = self.basis.species_of(numbers)
        around = self.basis.surroundings(species, i, j, vectors)
        products = (self.basis.monomials(around.density) * self.of_monomials[species]).sum(dim=1)
        return products + (around.pairs * self.of_pairs[species]).sum(dim=1)

    def by_functions(self, numbers: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """The same by the basis functions themselves, which takes longer."""
        species = self.basis.species_of(numbers)
        functions: Tensor = self.basis(species, i, j, vectors)
        return (functions * self.coefficients[species]).sum(dim=1)

    def reference_energies(self, numbers: Tensor) -> Tensor:
        """The lone atoms' share of the energies (n_atoms,), eV."""
        return self.references[self.basis.species_of(numbers)]


class ACEModel:
    """A linear ACE behind the protocol, in float64."""

    def __init__(self, network: ACE, card: ModelCard) -> None:
        self._network = network.double().eval().requires_grad_(requires_grad=False)
        self._card = card
        self._neighbours = Neighbours(network.basis.specification.cutoff)

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    @property
    def network(self) -> ACE:
        """The expansion itself, for those who take it apart."""
        return self._network

    def batch(self) -> Batch:
        """Whom to ask for several configurations at once."""
        return side_by_side(self._network, self._card)

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and virial; raises ModelError for elements that the model was not made for."""
        require_known(configuration, self._network.basis.specification.species, self._card.name)
        numbers = torch.as_tensor(configuration.numbers)
        pairs = self._neighbours.vectors_within(configuration)
        evaluation = differentiated(
            len(numbers), pairs, lambda i, j, vectors: self._network(numbers, i, j, vectors).sum()
        )
        references = float(self._network.reference_energies(numbers).sum())
        return dataclasses.replace(evaluation, energy=evaluation.energy + references)


def checkpoint(network: ACE, training: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of an expansion: plain types and tensors, so that nothing has to be trusted to read it."""
    specification = network.basis.specification
    lengths = [[*elements, length] for elements, length in specification.bond_lengths.items()]
    return {
        "format": FORMAT,
        "specification": {**_plain(specification), "species": list(specification.species), "bond_lengths": lengths},
        "coefficients": network.coefficients,
        "references": network.references,
        "training": dict(training),
    }


def _plain(specification: Specification) -> dict[str, Any]:
    return {field.name: getattr(specification, field.name) for field in dataclasses.fields(specification)}


def load_ace(name: str, stored: Mapping[str, Any], sha256: str) -> ACEModel:
    """A model from `checkpoint`; raises ModelError where specification and coefficients do not go together."""
    try:
        told = dict(stored["specification"])
        species = tuple(told.pop("species"))
        lengths = {(int(a), int(b)): float(length) for a, b, length in told.pop("bond_lengths")}
        specification = Specification(species=species, bond_lengths=lengths, **told)
        network = ACE(specification, stored["coefficients"], stored["references"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{name}: specification and coefficients of the ACE do not go together: {error}") from error
    card = ModelCard(
        name=name,
        kind=f"linear ACE, order {specification.order}, degree {specification.degree:g}",
        dtype="float64",
        n_parameters=network.coefficients.numel(),
        species=species,
        cutoff=specification.cutoff,
        conservative=True,
        periodic=True,
        sha256=sha256,
        origin=str(stored.get("training", {}).get("origin", "")),
    )
    return ACEModel(network, card)
