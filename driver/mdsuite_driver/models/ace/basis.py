"""The functions of a linear ACE around every atom."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mdsuite_driver.models.ace.harmonics import coupling, spherical_harmonics
from mdsuite_driver.models.ace.radial import JACOBI, MANY, PAIR, Agnesi, Polynomials, many_body_envelope, pair_envelope
from mdsuite_driver.models.ace.specification import Channel, Product, Specification

Monomial = tuple[int, ...]
"""Sorted columns of the density: one-particle functions with their m."""


class PairFunction(NamedTuple):
    """A radial function n of the distance to every neighbour of the element z."""

    z: int
    n: int


class Surroundings(NamedTuple):
    """What is summed over the neighbours of every atom.

    density : (n_atoms, n_species · n_columns) float, one-particle functions
    pairs : (n_atoms, n_species · n_radial) float, eV of a pair function with the coefficient 1
    """

    density: Tensor
    pairs: Tensor


class Basis(nn.Module):
    """Products of one-particle functions, made invariant, and pair functions; those around any element are the same."""

    index: Tensor
    bonds: Tensor
    coupling: Tensor
    radials: Tensor
    angles: Tensor
    singles: Tensor
    doubles: Tensor
    triples: Tensor

    def __init__(self, specification: Specification) -> None:
        super().__init__()
        self.specification = specification
        self.products = specification.products()
        self.pair_functions = tuple(
            PairFunction(z, n + 1) for z in specification.species for n in range(specification.n_radial)
        )
        self._columns = _columns(self.products)
        of_products, self._monomials = _folded(self.products, self._place)
        self.register_buffer("index", _index(specification.species), persistent=False)
        self.register_buffer("bonds", _bonds(specification), persistent=False)
        self.register_buffer("coupling", _dense(of_products, self._monomials), persistent=False)
        highest = max((ell for _, ell, _ in self._columns), default=0)
        radials = _chosen([n - 1 for n, _, _ in self._columns], specification.n_radial)
        angles = _chosen([ell * ell + ell + m for _, ell, m in self._columns], (highest + 1) ** 2)
        self.register_buffer("radials", radials, persistent=False)
        self.register_buffer("angles", angles, persistent=False)
        self._highest = highest
        for order, name in enumerate(("singles", "doubles", "triples"), start=1):
            of_order = [each for each in self._monomials if len(each) == order]
            factors = torch.tensor(of_order, dtype=torch.long).reshape(-1, order)
            self.register_buffer(name, factors, persistent=False)
        self.many, self.pair = (
            Polynomials(specification.n_radial, alpha, specification.nodes) for alpha in (JACOBI, 0.0)
        )

    @property
    def n_functions(self) -> int:
        """Around an atom of one element."""
        return len(self.products) + len(self.pair_functions)

    def species_of(self, numbers: Tensor) -> Tensor:
        """Places (n_atoms,) of atomic numbers among the species."""
        return self.index[numbers]

    def surroundings(self, species: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> Surroundings:
        """From places of species (n_atoms,), ordered pairs i, j (n_pairs,) and the vectors (n_pairs, 3), Å, between."""
        s = self.specification
        r = torch.linalg.vector_norm(vectors, dim=1)
        bond = self.bonds[species[i], species[j]]
        x = Agnesi(*MANY, bond, s.cutoff)(r)
        radial = self.many(x) * many_body_envelope(x)[:, None]
        angular = spherical_harmonics(vectors / r[:, None], self._highest)
        bins = i * len(s.species) + species[j]
        n_atoms = species.shape[0]  # as a size that a trace keeps open
        one = (radial @ self.radials) * (angular @ self.angles)
        density = one.new_zeros(n_atoms * len(s.species), one.shape[1]).index_add(0, bins, one)
        of_pairs = self.pair(Agnesi(*PAIR, bond, s.cutoff)(r)) * pair_envelope(r, bond, s.cutoff)[:, None]
        pairs = of_pairs.new_zeros(n_atoms * len(s.species), of_pairs.shape[1]).index_add(0, bins, of_pairs)
        return Surroundings(density.reshape(n_atoms, -1), pairs.reshape(n_atoms, -1))

    def monomials(self, density: Tensor) -> Tensor:
        """Products (n_atoms, n_monomials) of one-particle functions."""
        rows = density.T.contiguous()  # so that what is gathered, and what its derivative scatters, is contiguous
        singles, doubles, triples = self.singles, self.doubles, self.triples
        of_orders = [
            rows[singles[:, 0]],
            rows[doubles[:, 0]] * rows[doubles[:, 1]],
            rows[triples[:, 0]] * rows[triples[:, 1]] * rows[triples[:, 2]],
        ]
        return torch.cat(of_orders).T

    def forward(self, species: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """Every function (n_atoms, n_functions) around every atom: products first, then pair functions."""
        around = self.surroundings(species, i, j, vectors)
        return torch.cat([self.monomials(around.density) @ self.coupling.T, around.pairs], dim=1)

    def folded(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients (n_species, n_functions) as those of monomials and of pair functions, for a faster energy."""
        n = len(self.products)
        return coefficients[:, :n] @ self.coupling, coefficients[:, n:].clone()

    def _place(self, channel: Channel, m: int) -> int:
        column = self._columns.index((channel.n, channel.l, m))
        return self.specification.species.index(channel.z) * len(self._columns) + column


def _chosen(places: Sequence[int], n: int) -> Tensor:
    """A matrix (n, n_chosen) that picks columns; unlike an index, its derivative scatters nothing."""
    chosen = torch.zeros(n, len(places), dtype=torch.float64)
    chosen[places, range(len(places))] = 1.0
    return chosen


def _columns(products: Sequence[Product]) -> list[tuple[int, int, int]]:
    """Every n, l and m that is in use, of any element."""
    used = sorted({(channel.l, channel.n) for product in products for channel in product})
    return [(n, ell, m) for ell, n in used for m in range(-ell, ell + 1)]


def _folded(
    products: Sequence[Product], place: Callable[[Channel, int], int]
) -> tuple[list[dict[Monomial, float]], list[Monomial]]:
    """Each invariant as a sum of monomials, scaled as upstream does, and all monomials by their order.

    Equal monomials are folded into one. The scale is the norm of the folded invariant (EquivariantTensors.jl,
    `coupling_coeffs`); it matters to a prior alone.
    """
    of_products = []
    for product in products:
        invariant = coupling(tuple(channel.l for channel in product))
        found: dict[Monomial, float] = {}
        for ms in itertools.product(*(range(2 * channel.l + 1) for channel in product)):
            if invariant[ms]:
                factors = (place(channel, m - channel.l) for channel, m in zip(product, ms, strict=True))
                monomial = tuple(sorted(factors))
                found[monomial] = found.get(monomial, 0.0) + float(invariant[ms])
        norm = math.sqrt(sum(each**2 for each in found.values()))
        of_products.append({monomial: norm * value for monomial, value in found.items()})
    every = {monomial for found in of_products for monomial in found}
    return of_products, sorted(every, key=lambda each: (len(each), each))


def _dense(of_products: Sequence[Mapping[Monomial, float]], monomials: Sequence[Monomial]) -> Tensor:
    place = {monomial: k for k, monomial in enumerate(monomials)}
    dense = torch.zeros(len(of_products), len(monomials), dtype=torch.float64)
    for row, found in enumerate(of_products):
        for monomial, value in found.items():
            dense[row, place[monomial]] = value
    return dense


def _index(species: Sequence[int]) -> Tensor:
    index = torch.full((max(species) + 1,), -1)
    index[list(species)] = torch.arange(len(species))
    return index


def _bonds(specification: Specification) -> Tensor:
    species = specification.species
    lengths = [[specification.bond_lengths[min(a, b), max(a, b)] for b in species] for a in species]
    return torch.tensor(lengths, dtype=torch.float64)
