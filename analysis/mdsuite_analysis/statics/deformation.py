"""Configurations made from a configuration."""

from dataclasses import replace

import numpy as np
from scipy.stats import special_ortho_group

from mdsuite_analysis.potential import Configuration
from mdsuite_analysis.series import Floats, Integers

THERMAL = 0.05
"""Displacement per coordinate, Å, of a thermal frame: forces of a relaxed one are too small to be compared."""

DILATION = 0.02  # a thermal frame is a little larger, so that its virial does not vanish; never smaller than allowed


def random_direction(rng: np.random.Generator, n_atoms: int) -> Floats:
    """Independent normal displacements (n_atoms, 3) with a root mean square of 1 per atom."""
    return np.asarray(rng.normal(size=(n_atoms, 3)) / np.sqrt(3.0))


def one_atom_direction(rng: np.random.Generator, n_atoms: int, atom: int | None = None) -> Floats:
    """A unit displacement (n_atoms, 3) of one atom, at random where none is named."""
    direction = np.zeros((n_atoms, 3))
    vector = rng.normal(size=3)
    direction[rng.integers(n_atoms) if atom is None else atom] = vector / np.linalg.norm(vector)
    return direction


def displaced(configuration: Configuration, displacement: Floats) -> Configuration:
    """Atoms moved by `displacement` (n_atoms, 3) or (3,), Å."""
    return replace(configuration, positions=configuration.positions + displacement)


def thermal(configuration: Configuration, rng: np.random.Generator) -> Configuration:
    """Atoms displaced at random, as heat does it, and a periodic cell dilated a little and sheared less."""
    moved = displaced(configuration, THERMAL * rng.normal(size=configuration.positions.shape))
    if not any(configuration.pbc):
        return moved
    strain = 0.3 * DILATION * rng.normal(size=(3, 3))
    return strained(moved, DILATION * np.eye(3) + 0.5 * (strain + strain.T))


def strained(configuration: Configuration, strain: Floats) -> Configuration:
    """Positions and lattice vectors x ↦ (1 + ε) x, ε (3, 3) symmetric."""
    map_ = np.eye(3) + strain
    return replace(configuration, positions=configuration.positions @ map_, cell=configuration.cell @ map_)


def rotated(configuration: Configuration, matrix: Floats) -> Configuration:
    """Positions and lattice vectors turned by an orthogonal matrix (3, 3), x ↦ R x."""
    return replace(configuration, positions=configuration.positions @ matrix.T, cell=configuration.cell @ matrix.T)


def random_rotation(rng: np.random.Generator) -> Floats:
    """A proper rotation (3, 3), uniformly distributed."""
    return np.asarray(special_ortho_group.rvs(3, random_state=rng))


def permuted(configuration: Configuration, order: Integers) -> Configuration:
    """The same atoms in another order."""
    return replace(configuration, numbers=configuration.numbers[order], positions=configuration.positions[order])


def wrapped(configuration: Configuration) -> Configuration:
    """Atoms moved into the cell along its periodic vectors."""
    periodic = np.array(configuration.pbc)
    if not periodic.any():
        return configuration
    fractional = configuration.positions @ np.linalg.pinv(configuration.cell)
    return displaced(configuration, -(np.floor(fractional) * periodic) @ configuration.cell)


def joined(first: Configuration, second: Configuration) -> Configuration:
    """The atoms of both, in the cell of the first."""
    return replace(
        first,
        numbers=np.concatenate([first.numbers, second.numbers]),
        positions=np.concatenate([first.positions, second.positions]),
    )


def doubled(configuration: Configuration, axis: int) -> Configuration:
    """Two cells side by side along a periodic vector."""
    cell = np.array(configuration.cell)
    cell[axis] *= 2.0
    both = joined(configuration, displaced(configuration, configuration.cell[axis]))
    return replace(both, cell=cell)


def without_last(configuration: Configuration) -> Configuration:
    """One atom fewer, or one more where there is but one."""
    if len(configuration.numbers) == 1:
        return joined(configuration, displaced(configuration, np.array([3.0, 0.0, 0.0])))
    return replace(configuration, numbers=configuration.numbers[:-1], positions=configuration.positions[:-1])


def radius(configuration: Configuration) -> float:
    """The largest distance of an atom from the centre, Å."""
    return float(np.linalg.norm(configuration.positions - configuration.positions.mean(axis=0), axis=1).max())


def open_extent(configuration: Configuration) -> Floats:
    """Lengths (3,) of the box around the atoms, Å."""
    return np.asarray(np.ptp(configuration.positions, axis=0))
