"""A recipe of a linear fit as its user writes it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from mdsuite.errors import InputError
from mdsuite.linear.data import UNGROUPED, Keys
from mdsuite.linear.design import Weights
from mdsuite.recipes import Section, read
from mdsuite_driver.models.ace.specification import Specification

SPLINE_NODES = 100
"""As in ACEpotentials.jl."""


class Model(Section):
    """The expansion; bond_lengths_A by two symbols, as "Si-Si", are sums of covalent radii where they are not given.

    lossy : leave out every function that repeats a channel, to see what that costs
    """

    elements: list[str] = Field(min_length=1)
    order: int = Field(default=3, ge=1, le=3)
    degree: float = Field(ge=1, allow_inf_nan=False)
    cutoff_A: float = Field(gt=0, allow_inf_nan=False)  # noqa: N815  the unit's symbol
    bond_lengths_A: dict[str, float] = Field(default_factory=dict)  # noqa: N815
    nodes: int = Field(default=SPLINE_NODES, ge=0)
    lossy: bool = False

    def specification(self) -> Specification:
        """Of the basis; raises InputError for elements that there are none of, and what makes no basis."""
        from ase.data import atomic_numbers, chemical_symbols, covalent_radii  # noqa: PLC0415  slow to import

        if unknown := [each for each in self.elements if atomic_numbers.get(each, 0) < 1]:
            raise InputError(f"{unknown[0]!r} is no element; name elements by their symbols")
        species = tuple(sorted({atomic_numbers[each] for each in self.elements}))
        lengths = {}
        given = dict(self.bond_lengths_A)
        for a, b in itertools.combinations_with_replacement(species, 2):
            names = {f"{chemical_symbols[x]}-{chemical_symbols[y]}" for x, y in ((a, b), (b, a))}
            told = [given.pop(name) for name in sorted(names & set(given))]
            lengths[a, b] = told[0] if told else float(covalent_radii[a] + covalent_radii[b])
        if given:
            raise InputError(f"bond_lengths_A has {', '.join(given)}, which are no two of {', '.join(self.elements)}")
        try:
            return Specification(
                species=species,
                order=self.order,
                degree=self.degree,
                cutoff=self.cutoff_A,
                bond_lengths=lengths,
                nodes=self.nodes,
                lossy=self.lossy,
            )
        except ValueError as error:
            raise InputError(f"the basis: {error}") from error


class Data(Section):
    """Files of labelled structures, and under which names they hold their labels."""

    files: list[str] = Field(min_length=1)
    energy: str = "energy"
    forces: str = "forces"
    virial: str = "virial"
    group: str = "config_type"

    @property
    def keys(self) -> Keys:
        """The names."""
        return Keys(energy=self.energy, forces=self.forces, virial=self.virial, group=self.group)


class RowWeights(Section):
    """Of energies, forces and virials; what is not given is as in ACEfit.jl."""

    energy: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    forces: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    virial: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class Fit(Section):
    """How coefficients are found.

    solver : blr, Bayesian linear regression, or qr, plain least squares
    committee : how many models are drawn from the posterior
    """

    solver: Literal["blr", "qr"] = "blr"
    committee: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)


class LinearRecipe(Section):
    """Everything that decides a fitted model.

    references_eV : energies of lone atoms by element; where they are not given they are taken from structures of one
        atom
    weights : by type of configuration, `default` for all others
    """

    name: str
    model: Model
    data: Data
    references_eV: dict[str, float] = Field(default_factory=dict)  # noqa: N815
    weights: dict[str, RowWeights] = Field(default_factory=dict)
    fit: Fit = Fit()

    @model_validator(mode="after")
    def _committees_are_bayesian(self) -> LinearRecipe:
        if self.fit.committee and self.fit.solver != "blr":
            raise ValueError("a committee is drawn from the posterior of solver = 'blr'")
        return self

    def row_weights(self) -> dict[str, Weights]:
        """By type of configuration."""
        given = {UNGROUPED: RowWeights(), **self.weights}
        return {group: Weights(**each.model_dump()) for group, each in given.items()}


def read_linear_recipe(path: Path) -> LinearRecipe:
    """A recipe from TOML; raises InputError naming what is wrong."""
    return read(path, LinearRecipe, "a recipe of a linear fit")
