"""A recipe of a linear fit carried out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mdsuite.errors import InputError
from mdsuite.files import whole, write_json
from mdsuite.linear.data import Labelled, read_labelled, require_elements
from mdsuite.linear.design import Block, blocks, weighted
from mdsuite.linear.errors import Errors, errors
from mdsuite.linear.recipe import LinearRecipe, read_linear_recipe
from mdsuite.linear.solve import Solution, bayesian, least_squares
from mdsuite.report.markdown import rendered
from mdsuite.report.provenance import here
from mdsuite_analysis.elements import symbol
from mdsuite_driver.models.ace.basis import Basis
from mdsuite_driver.models.ace.model import ACE, checkpoint

PACKAGES = ("mdsuite", "torch", "scipy", "numpy", "ase", "vesin")
SAY_EVERY = 100  # structures


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A linear model, and how it was come by."""

    recipe: LinearRecipe
    basis: Basis
    references: dict[int, float]
    solution: Solution
    errors: tuple[Errors, ...]
    n_rows: int
    file: Path

    @property
    def undetermined(self) -> list[str]:
        """Names of functions that the rows do not tell from the others."""
        named = names(self.basis)
        return [named[k] for k in self.solution.undetermined]


def fit(recipe_path: Path, output: Path, say: Callable[[str], None]) -> Fitted:
    """Carry out a recipe: NAME.pt, NAME.md and NAME.json in `output`.

    Raises InputError for a recipe that is wrong, data that cannot be read or have other elements, and energies of lone
    atoms that are neither given nor in the data.
    """
    recipe = read_linear_recipe(recipe_path)
    specification = recipe.model.specification()
    labelled = read_labelled([recipe_path.parent / each for each in recipe.data.files], recipe.data.keys)
    require_elements(labelled, specification.species, "the recipe")
    references = _references(recipe, specification.species, labelled)
    basis = Basis(specification)
    say(f"{basis.n_functions} functions around each element, {len(labelled)} structures")

    def told(n: int) -> None:
        if n % SAY_EVERY == 0:
            say(f"differentiated {n} of {len(labelled)} structures")

    found = blocks(basis, labelled, references, recipe.row_weights(), told)
    solution = solve(basis, found, recipe)
    output.mkdir(parents=True, exist_ok=True)
    fitted = Fitted(
        recipe=recipe,
        basis=basis,
        references=references,
        solution=solution,
        errors=tuple(errors(found, solution.coefficients)),
        n_rows=sum(len(each.target) for each in found),
        file=output / f"{recipe.name}.pt",
    )
    _write(fitted, recipe_path)
    return fitted


def solve(basis: Basis, found: Sequence[Block], recipe: LinearRecipe) -> Solution:
    """The coefficients of all species in a row, by the recipe's solver."""
    matrix, target = weighted(found)
    if recipe.fit.solver == "qr":
        return least_squares(matrix, target, smoothness(basis))
    return bayesian(matrix, target, smoothness(basis), recipe.fit.committee, recipe.fit.seed)


def smoothness(basis: Basis) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What each coefficient is divided by in the prior, (3 l/2)⁴ + n⁴ summed over a product, n⁴ of a pair function.

    ACEpotentials.jl, `algebraic_smoothness_prior` with p = 4.
    """
    products = [sum((1.5 * each.l) ** 4 + each.n**4 for each in product) for product in basis.products]
    pairs = [float(each.n**4) for each in basis.pair_functions]
    return np.tile(np.array([*products, *pairs], dtype=float), len(basis.specification.species))


def names(basis: Basis) -> list[str]:
    """Of every coefficient, as "Si: (1,0)(2,1)(2,1)" for a product of (n, l) and "Si: pair 3" for a pair function."""
    several = len(basis.specification.species) > 1
    products = [
        "".join(f"{symbol(z) if several else ''}({n},{ell})" for z, n, ell in product) for product in basis.products
    ]
    pairs = [f"pair {symbol(each.z) + ' ' if several else ''}{each.n}" for each in basis.pair_functions]
    return [f"{symbol(z)}: {name}" for z in basis.specification.species for name in [*products, *pairs]]


def _references(recipe: LinearRecipe, species: Sequence[int], labelled: Sequence[Labelled]) -> dict[int, float]:
    found = {}
    for z in species:
        given = recipe.references_eV.get(symbol(z))
        lone = [
            e.energy for e in labelled if e.n_atoms == 1 and e.energy is not None and e.configuration.numbers[0] == z
        ]
        if given is None and not lone:
            raise InputError(
                f"the energy of a lone {symbol(z)} is not known: give it as {symbol(z)} in references_eV, or add a "
                "structure of one atom to the data"
            )
        found[z] = lone[0] if given is None else given
    return found


def _write(fitted: Fitted, recipe_path: Path) -> None:
    recipe, solution = fitted.recipe, fitted.solution
    species = fitted.basis.specification.species
    shape = (len(species), fitted.basis.n_functions)
    network = ACE(
        fitted.basis.specification,
        torch.as_tensor(solution.coefficients.reshape(shape)),
        torch.tensor([fitted.references[z] for z in species], dtype=torch.float64),
    )
    training = {
        "recipe_sha256": hashlib.sha256(recipe_path.read_bytes()).hexdigest(),
        "origin": f"Fitted to {fitted.errors[-1].n_structures} structures of {', '.join(recipe.data.files)}.",
        "solver": recipe.fit.solver,
        "recipe": recipe.model_dump_json(),  # so that it can be fitted again to other structures
    }
    with whole(fitted.file) as temporary:
        stored = checkpoint(network, training)
        stored["committee"] = torch.as_tensor(solution.committee.reshape(-1, *shape))
        torch.save(stored, temporary)
    content = {
        **{key: value for key, value in training.items() if key != "recipe"},
        "functions": names(fitted.basis),
        "rows": fitted.n_rows,
        "rank": solution.rank,
        "condition": solution.condition,
        "undetermined": fitted.undetermined,
        "errors": [{name: _number(getattr(each, name)) for name in Errors.__slots__} for each in fitted.errors],
    }
    write_json(fitted.file.with_suffix(".json"), content)
    with whole(fitted.file.with_suffix(".md")) as temporary:
        temporary.write_text(rendered("fit.md.j2", {"fitted": fitted, "provenance": here(PACKAGES)}))


def _number(value: str | float) -> str | float | None:
    return None if isinstance(value, float) and np.isnan(value) else value
