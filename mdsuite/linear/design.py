"""Energies, forces and virials of every function of a linear model, and the weighted rows of a fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch

from mdsuite.linear.data import UNGROUPED, Labelled
from mdsuite.runs import FloatArray
from mdsuite.structures import question
from mdsuite_driver.models.ace.basis import Basis
from mdsuite_driver.models.neighbours import vectors_within
from mdsuite_driver.models.protocol import Configuration

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
FUNCTIONS_AT_A_TIME = 32  # of a differentiation; more is no faster and takes memory
ENERGY, FORCES, VIRIAL = "energy", "forces", "virial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses:
    """What a structure's energy, forces and virial change by, for a change of each coefficient.

    energy : (n_functions,) float
    forces : (n_atoms, 3, n_functions) float, 1/Å
    virial : (3, 3, n_functions) float
    """

    energy: FloatArray
    forces: FloatArray
    virial: FloatArray


def asked(of: Labelled) -> Configuration:
    """A structure as a model is asked about it."""
    return question(of.configuration)


def responses(basis: Basis, of: Configuration) -> Responses:
    """Of every function around every element; of coefficients (n_species, n_functions) in that order."""
    numbers = torch.as_tensor(of.numbers)
    i, j, separation = (torch.as_tensor(each) for each in vectors_within(of, basis.specification.cutoff))
    species = basis.species_of(numbers)
    vectors = separation.requires_grad_()
    n_species = len(basis.specification.species)
    of_atoms = basis(species, i, j, vectors)
    energy = of_atoms.new_zeros(n_species, basis.n_functions).index_add(0, species, of_atoms).ravel()
    n = len(energy)
    if not len(i):
        nothing = np.zeros((len(numbers), 3, n))
        return Responses(energy=energy.detach().numpy(), forces=nothing, virial=np.zeros((3, 3, n)))
    forces, virial = np.empty((len(numbers), 3, n)), np.empty((3, 3, n))
    for start in range(0, n, FUNCTIONS_AT_A_TIME):
        some = slice(start, min(start + FUNCTIONS_AT_A_TIME, n))
        chosen = torch.eye(n, dtype=energy.dtype)[some]
        (gradient,) = torch.autograd.grad(energy, vectors, chosen, retain_graph=True, is_grads_batched=True)
        along = gradient.permute(1, 2, 0)
        total = along.new_zeros(len(numbers), 3, len(chosen))
        forces[..., some] = total.index_add(0, i, along).index_add(0, j, -along).numpy()
        strained = -torch.einsum("pa,pbk->abk", vectors.detach(), along)
        virial[..., some] = 0.5 * (strained + strained.transpose(0, 1)).numpy()
    return Responses(energy=energy.detach().numpy(), forces=forces, virial=virial)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Of the rows of a structure; energies and virials are also divided by the root of the number of atoms."""

    energy: float = 30.0
    forces: float = 1.0
    virial: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The rows of one structure, without weights.

    matrix : (n_rows, n_functions) float
    target : (n_rows,) float, eV and eV/Å, without the energies of lone atoms
    weight : (n_rows,) float
    kind : (n_rows,) str, energy, forces or virial
    """

    labelled: Labelled
    matrix: FloatArray
    target: FloatArray
    weight: FloatArray
    kind: np.ndarray[tuple[int], np.dtype[np.str_]]


def blocks(
    basis: Basis,
    labelled: Sequence[Labelled],
    references: Mapping[int, float],
    weights: Mapping[str, Weights] = MappingProxyType({UNGROUPED: Weights()}),
    told: Callable[[int], None] = lambda _n: None,
) -> list[Block]:
    """One for each structure; `references` are the energies of lone atoms, eV, by atomic number."""
    made = []
    for each in labelled:
        made.append(_block(responses(basis, asked(each)), each, references, weights))
        told(len(made))
    return made


def _block(found: Responses, each: Labelled, references: Mapping[int, float], weights: Mapping[str, Weights]) -> Block:
    weight = weights.get(each.group, weights[UNGROUPED])
    by_root = 1.0 / math.sqrt(each.n_atoms)
    parts: list[tuple[str, FloatArray, FloatArray, float]] = []
    if each.energy is not None:
        lone = sum(references[int(z)] for z in each.configuration.numbers)
        parts.append((ENERGY, found.energy[None], np.array([each.energy - lone]), weight.energy * by_root))
    if each.forces is not None:
        parts.append((FORCES, found.forces.reshape(3 * each.n_atoms, -1), each.forces.ravel(), weight.forces))
    if each.virial is not None:
        rows = np.array([found.virial[a, b] for a, b in VOIGT])
        parts.append((VIRIAL, rows, np.array([each.virial[a, b] for a, b in VOIGT]), weight.virial * by_root))
    return Block(
        labelled=each,
        matrix=np.concatenate([rows for _, rows, _, _ in parts]),
        target=np.concatenate([target for _, _, target, _ in parts]),
        weight=np.concatenate([np.full(len(target), w) for _, _, target, w in parts]),
        kind=np.concatenate([np.full(len(target), kind) for kind, _, target, _ in parts]),
    )


def weighted(of: Sequence[Block]) -> tuple[FloatArray, FloatArray]:
    """Matrix and target of a fit."""
    matrix = np.concatenate([each.weight[:, None] * each.matrix for each in of])
    return matrix, np.concatenate([each.weight * each.target for each in of])
