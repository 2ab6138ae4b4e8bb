"""Small potentials in numpy, sound and defective, for the tests of the static checks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mdsuite_analysis.potential import Configuration, Evaluation, Potential
from mdsuite_analysis.series import Floats

CUTOFF = 4.0
Curve = Callable[[Floats], tuple[Floats, Floats]]  # energy and its derivative by the distance


def morse(r: Floats) -> tuple[Floats, Floats]:
    x = np.exp(-1.5 * (r - 1.6))
    return x * x - 2.0 * x, -3.0 * (x * x - x)


def switched(r: Floats) -> tuple[Floats, Floats]:
    """Morse that ends at the cut-off with two continuous derivatives."""
    x = np.clip((r - 2.5) / (CUTOFF - 2.5), 0.0, 1.0)
    taper = 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2)
    slope = -30.0 * x**2 * (1.0 - x) ** 2 / (CUTOFF - 2.5)
    e, de = morse(r)
    return e * taper, de * taper + e * slope


def truncated(r: Floats) -> tuple[Floats, Floats]:
    inside = r < CUTOFF
    e, de = morse(r)
    return e * inside, de * inside


def shifted(r: Floats) -> tuple[Floats, Floats]:
    """Continuous in the energy, not in the force."""
    inside = r < CUTOFF
    e, de = morse(r)
    return (e - morse(np.array(CUTOFF))[0]) * inside, de * inside


def pairwise(curve: Curve = switched, *, offset: float = 0.0) -> Potential:
    """Sum over pairs, nearest images only, deeper for heavier elements."""

    def evaluate(configuration: Configuration) -> Evaluation:
        return summed(configuration, curve, offset)

    return evaluate


def separations(configuration: Configuration) -> tuple[Floats, Floats]:
    """Vectors from i to j (n, n, 3) and distances (n, n), infinite on the diagonal."""
    d = configuration.positions[None] - configuration.positions[:, None]
    if any(configuration.pbc):
        d = d - np.round(d @ np.linalg.inv(configuration.cell)) @ configuration.cell
    r = np.sqrt((d**2).sum(axis=2))
    np.fill_diagonal(r, 1e3)
    return d, r


def summed(configuration: Configuration, curve: Curve, offset: float = 0.0, keep: Floats | None = None) -> Evaluation:
    d, r = separations(configuration)
    depth = np.sqrt(configuration.numbers / 6.0)
    e, de = curve(r)
    weight = 0.5 * depth[:, None] * depth[None] * (1.0 if keep is None else keep)
    pulls = (weight * de / r)[:, :, None] * d
    forces = pulls.sum(axis=1) - pulls.sum(axis=0)
    virial = -np.einsum("ija,ijb->ab", pulls, d)
    return Evaluation(energy=float((weight * e).sum()) + offset, forces=forces, virial=virial)


def cluster(n: int = 6, *, spacing: float = 1.7, seed: int = 0) -> Configuration:
    """Atoms of two elements about a grid."""
    rng = np.random.default_rng(seed)
    edge = int(np.ceil(n ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:n]
    return Configuration(
        numbers=np.where(np.arange(n) % 3 == 0, 8, 6),
        positions=spacing * grid + rng.normal(scale=0.05, size=(n, 3)),
        cell=np.zeros((3, 3)),
        pbc=(False, False, False),
    )


def crystal(*, seed: int = 0) -> Configuration:
    """27 atoms of one element in a cell wide enough for nearest images, six neighbours each within the cut-off."""
    rng = np.random.default_rng(seed)
    edge = 8.6
    cell = np.array([[edge, 0.0, 0.0], [0.4, edge, 0.0], [0.2, 0.3, edge]])
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    positions = grid @ cell / 3 + rng.normal(scale=0.05, size=(27, 3))
    return Configuration(numbers=np.full(27, 6), positions=positions, cell=cell, pbc=(True, True, True))


def changed(potential: Potential, change: Callable[[Configuration, Evaluation], Evaluation]) -> Potential:
    """The potential with its answer changed."""
    return lambda configuration: change(configuration, potential(configuration))


def scaled(potential: Potential, factor: float) -> Potential:
    return changed(potential, lambda _, e: replace(e, forces=factor * e.forces))


def curled(potential: Potential, strength: float) -> Potential:
    """A force about the z axis that is no gradient, without net force."""

    def change(configuration: Configuration, e: Evaluation) -> Evaluation:
        arms = configuration.positions - configuration.positions.mean(axis=0)
        return replace(e, forces=e.forces + strength * np.cross([0.0, 0.0, 1.0], arms))

    return changed(potential, change)


def noisy(potential: Potential, *, energy: float = 0.0, force: float = 0.0, seed: int = 0) -> Potential:
    """Another answer at every call."""
    rng = np.random.default_rng(seed)

    def change(_: Configuration, e: Evaluation) -> Evaluation:
        forces = e.forces + force * rng.normal(size=e.forces.shape)
        return replace(e, energy=e.energy + energy * float(rng.normal()), forces=forces)

    return changed(potential, change)


def rounded(potential: Potential, dtype: type[np.floating]) -> Potential:
    """Positions, energy and forces in a lesser precision."""

    def evaluate(configuration: Configuration) -> Evaluation:
        e = potential(replace(configuration, positions=configuration.positions.astype(dtype).astype(float)))
        return Evaluation(
            energy=float(dtype(e.energy)),
            forces=e.forces.astype(dtype).astype(float),
            virial=e.virial.astype(dtype).astype(float),
        )

    return evaluate


def capped(most: int, curve: Curve = switched) -> Potential:
    """Every atom feels its nearest neighbours only."""

    def evaluate(configuration: Configuration) -> Evaluation:
        _, r = separations(configuration)
        rank = np.argsort(np.argsort(r, axis=1, kind="stable"), axis=1, kind="stable")
        return summed(configuration, curve, keep=(rank < most).astype(float))

    return evaluate


class Lagged:
    """Answers with the forces of the frame before."""

    def __init__(self, potential: Potential) -> None:
        self._potential = potential
        self._before: Floats | None = None

    def __call__(self, configuration: Configuration) -> Evaluation:
        e = self._potential(configuration)
        before, self._before = self._before, e.forces
        return e if before is None or before.shape != e.forces.shape else replace(e, forces=before)


class StaleList:
    """Keeps its list of pairs until an atom has moved by `patience`, with a skin of `skin`."""

    def __init__(self, *, skin: float, patience: float, curve: Curve = switched) -> None:
        self._skin, self._patience, self._curve = skin, patience, curve
        self._at: Floats | None = None
        self._pairs: Floats = np.zeros(0)

    def __call__(self, configuration: Configuration) -> Evaluation:
        x = configuration.positions
        old = self._at
        if old is None or old.shape != x.shape or np.linalg.norm(x - old, axis=1).max() > self._patience:
            self._at = x.copy()
            self._pairs = (separations(configuration)[1] < CUTOFF + self._skin).astype(float)
        return summed(configuration, self._curve, keep=self._pairs)
