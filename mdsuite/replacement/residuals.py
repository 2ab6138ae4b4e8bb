"""Squared errors of a model on structures: as it is, fitted anew to others, or by repeated cross-validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdsuite.errors import InputError
from mdsuite.linear.data import Labelled
from mdsuite.linear.design import ENERGY, FORCES, VIRIAL, VOIGT, Block, asked, blocks
from mdsuite.linear.errors import KINDS, residuals
from mdsuite.linear.fit import names, solve
from mdsuite.replacement.sides import Linear, Side
from mdsuite.runs import FloatArray, IntArray
from mdsuite_driver.models.protocol import Model, ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Squared:
    """Errors of a model, by kind of label.

    Energies and virials are per atom: eV², (eV/Å)², eV².

    sums : (n_runs, n_structures) float, of squared errors; NaN where a structure has none
    counts : (n_structures,) int, labels
    independent : runs are trainings that have nothing to do with one another, not fits to parts of the same structures
    """

    sums: Mapping[str, FloatArray]
    counts: Mapping[str, IntArray]
    independent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Deficient:
    """Fits whose rows did not determine all coefficients, and the functions that were left over in any of them."""

    n_fits: int
    of: int
    functions: tuple[str, ...]


def as_it_is(side: Side, labelled: Sequence[Labelled]) -> Squared:
    """Every training of it; raises InputError where one has no answer for a structure."""
    return _stacked([_gathered([_of_answer(model, each) for each in labelled]) for model in side.trainings])


def design(linear: Linear, labelled: Sequence[Labelled]) -> list[Block]:
    """The rows of every structure."""
    return blocks(linear.model.network.basis, labelled, linear.references, linear.recipe.row_weights())


def fitted_to(linear: Linear, train: Sequence[Block], test: Sequence[Block]) -> tuple[Squared, Deficient | None]:
    """Errors on `test` of the model fitted anew to `train`, by its own recipe, and what `train` did not determine."""
    basis = linear.model.network.basis
    solution = solve(basis, train, linear.recipe)
    found = _gathered([_of_block(each, solution.coefficients) for each in test])
    if not len(solution.undetermined):
        return found, None
    named = names(basis)
    return found, Deficient(n_fits=1, of=1, functions=tuple(named[int(k)] for k in solution.undetermined))


def cross_validated(
    linear: Linear, rows: Sequence[Block], folds: Sequence[IntArray]
) -> tuple[Squared, Deficient | None]:
    """Squared errors of each structure in every repeat, by the fit that it was left out of.

    folds : of each repeat, the fold (n_structures,) of every structure; -1 for those that are in every fit
    """
    sums: dict[str, list[FloatArray]] = {kind: [] for kind in KINDS}
    deficient: list[Deficient | None] = []
    for of_repeat in folds:
        held_out = {kind: np.full(len(rows), np.nan) for kind in KINDS}
        for fold in range(int(of_repeat.max()) + 1):
            chosen = np.flatnonzero(of_repeat == fold)
            train = [each for each, own in zip(rows, of_repeat, strict=True) if own != fold]
            found, lacking = fitted_to(linear, train, [rows[int(k)] for k in chosen])
            deficient.append(lacking)
            for kind in KINDS:
                held_out[kind][chosen] = found.sums[kind][0]
        for kind in KINDS:
            sums[kind].append(held_out[kind])
    counts = _gathered([_of_block(each, np.zeros(each.matrix.shape[1])) for each in rows]).counts
    every = {kind: np.array(each) for kind, each in sums.items()}
    return Squared(sums=every, counts=counts, independent=False), _of_all(deficient)


def _of_all(fits: Sequence[Deficient | None]) -> Deficient | None:
    found = [each for each in fits if each is not None]
    functions = dict.fromkeys(name for each in found for name in each.functions)
    return Deficient(n_fits=len(found), of=len(fits), functions=tuple(functions)) if found else None


def folds_of(labelled: Sequence[Labelled], n_folds: int, n_repeats: int, seed: int) -> list[IntArray]:
    """Of each repeat, the fold of every structure; each type is spread over all, and lone atoms are in none."""
    rng = np.random.default_rng(seed)
    groups: dict[str, list[int]] = {}
    for k, each in enumerate(labelled):
        if each.n_atoms > 1:
            groups.setdefault(each.group, []).append(k)
    made = []
    for _ in range(n_repeats):
        fold = np.full(len(labelled), -1, dtype=np.int64)
        start = 0
        for members in groups.values():
            fold[rng.permutation(members)] = (start + np.arange(len(members))) % n_folds
            start += len(members)
        made.append(fold)
    return made


def _of_answer(model: Model, each: Labelled) -> Iterator[tuple[str, FloatArray]]:
    try:
        found = model.evaluate(asked(each))
    except ModelError as error:
        raise InputError(f"{model.card.name} has no answer for {each.name}: {error}") from error
    if each.energy is not None:
        yield ENERGY, np.array([(found.energy - each.energy) / each.n_atoms])
    if each.forces is not None:
        yield FORCES, (found.forces - each.forces).ravel()
    if each.virial is not None:
        yield VIRIAL, np.array([(found.virial - each.virial)[a, b] / each.n_atoms for a, b in VOIGT])


def _of_block(block: Block, coefficients: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    yield from ((kind, own) for kind, own in residuals(block, coefficients).items() if len(own))


def _gathered(of: Sequence[Iterator[tuple[str, FloatArray]]]) -> Squared:
    sums = {kind: np.full((1, len(of)), np.nan) for kind in KINDS}
    counts = {kind: np.zeros(len(of), dtype=np.int64) for kind in KINDS}
    for k, each in enumerate(of):
        for kind, residual in each:
            sums[kind][0, k], counts[kind][k] = float(residual @ residual), len(residual)
    return Squared(sums=sums, counts=counts)


def _stacked(runs: Sequence[Squared]) -> Squared:
    sums = {kind: np.concatenate([each.sums[kind] for each in runs]) for kind in KINDS}
    return Squared(sums=sums, counts=runs[0].counts)
