"""Root mean square errors of a linear model on labelled structures, by type of configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdsuite.linear.design import ENERGY, FORCES, VIRIAL, Block
from mdsuite.run import FloatArray

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


def errors(blocks: Sequence[Block], coefficients: FloatArray) -> list[Errors]:
    """By type of configuration in the order of the data, and of all together."""
    groups = list(dict.fromkeys(each.labelled.group for each in blocks))
    of_groups = [_of(group, [e for e in blocks if e.labelled.group == group], coefficients) for group in groups]
    return [*of_groups, _of("all", blocks, coefficients)]


def _of(group: str, blocks: Sequence[Block], coefficients: FloatArray) -> Errors:
    found: dict[str, list[FloatArray]] = {ENERGY: [], FORCES: [], VIRIAL: []}
    for each in blocks:
        residual = each.matrix @ coefficients - each.target
        for kind, of_kind in found.items():
            scale = 1.0 if kind == FORCES else 1.0 / each.labelled.n_atoms
            of_kind.append(scale * residual[each.kind == kind])
    energy, forces, virial = (MEV * _root_mean_square(np.concatenate(each)) for each in found.values())
    return Errors(group=group, n_structures=len(blocks), energy=energy, forces=forces, virial=virial)


def _root_mean_square(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")
