"""Root mean square errors of a linear model on labelled structures, by type of configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdsuite.linear.design import ENERGY, FORCES, VIRIAL, Block
from mdsuite.runs import FloatArray

KINDS = (ENERGY, FORCES, VIRIAL)
MEV = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Of one type of configuration, or of all; NaN where there are no such labels.

    energy, virial : float, meV per atom, virials by their six components
    forces : float, meV/Å, by component
    """

    group: str
    n_structures: int
    energy: float
    forces: float
    virial: float


def residuals(of: Block, coefficients: FloatArray) -> dict[str, FloatArray]:
    """Predicted less labelled, by kind of label: eV per atom, eV/Å, eV per atom; kinds without labels are empty."""
    apart = of.matrix @ coefficients - of.target
    by_atom = 1.0 / of.labelled.n_atoms
    return {kind: (1.0 if kind == FORCES else by_atom) * apart[of.kind == kind] for kind in KINDS}


def errors(blocks: Sequence[Block], coefficients: FloatArray) -> list[Errors]:
    """By type of configuration in the order of the data, and of all together."""
    groups = list(dict.fromkeys(each.labelled.group for each in blocks))
    of_groups = [_of(group, [e for e in blocks if e.labelled.group == group], coefficients) for group in groups]
    return [*of_groups, _of("all", blocks, coefficients)]


def _of(group: str, blocks: Sequence[Block], coefficients: FloatArray) -> Errors:
    found = [residuals(each, coefficients) for each in blocks]
    of_kinds = [np.concatenate([each[kind] for each in found]) for kind in KINDS]
    energy, forces, virial = (MEV * _root_mean_square(each) for each in of_kinds)
    return Errors(group=group, n_structures=len(blocks), energy=energy, forces=forces, virial=virial)


def _root_mean_square(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")
