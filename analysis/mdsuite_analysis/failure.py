"""The first failure of a run: what failed, and when.

=============== ====================================================================================================
kind            the first time at which
=============== ====================================================================================================
not_finite      a recorded number is not finite
temperature     the temperature, averaged over `WINDOW`, leaves 0.5 to 1.5 of the target by more than a canonical
                ensemble of so many degrees of freedom would
energy_jump     the conserved energy changes in one step by more than ten deviations of its usual changes, and by more
                than the kinetic energy fluctuates
overlap         two atoms are nearer than 0.6 of the sum of their covalent radii
fragment_lost   a bond breaks and what it held together falls into more pieces than at the start
bond_broken     a bond is longer than at the start by `STRETCH`
bond_formed     two atoms of molecules that were not bonded are near enough to be, in `PERSISTENCE` successive frames
=============== ====================================================================================================

Bonds mean something in molecules. Metals and noble gases have none here, nor has a network that runs through a periodic
cell, such as silicon: their neighbours change without anything failing. `molecules` says what applies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d
from scipy.signal import detrend
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2, median_abs_deviation

from mdsuite_analysis.elements import symbol
from mdsuite_analysis.integrity import BONDED, STRETCH, BondGraph
from mdsuite_analysis.potential import Configuration
from mdsuite_analysis.series import EnergySeries, Floats, Frames, Integers
from mdsuite_analysis.statistics import autocorrelation_time
from mdsuite_analysis.structure import Pairs, complete_cell, covalent_radii, narrowest, neighbour_pairs, separations
from mdsuite_analysis.temperature import BOLTZMANN
from mdsuite_analysis.transient import FRACTION

LOWEST, HIGHEST = 0.5, 1.5
"""The temperature of a run that has not failed, in targets; the project's own, as in validation_physics.md."""

WINDOW = 0.5
"""Over which the temperature is averaged, ps; less in a run shorter than eight of it."""

CHUNKS = 8

CHANCE = 1e-6
"""With which a canonical ensemble at the limit itself would leave it by as much in one window."""

JUMP = 10.0
"""Deviations of the usual change of energy in a step beyond which one is a jump."""

OVERLAP = 0.6
"""Of the sum of covalent radii, below which atoms overlap."""

FORMED = 1.15
"""The same, below which a new bond has formed; less than `BONDED`, for a bent Si-O-Si brings its ends within that."""

PERSISTENCE = 3
"""Frames for which a new bond must last."""

COVALENT = frozenset(
    {"H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Ge", "As", "Se", "Br", "Sb", "Te", "I", "At"}
)
"""Elements whose bonds hold molecules together."""

Kind = Literal["not_finite", "temperature", "energy_jump", "overlap", "fragment_lost", "bond_broken", "bond_formed"]

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What failed first in a run.

    Attributes
    ----------
    kind : Kind
    time : float, ps
    step : int
        The recorded step of that time.
    what : str
        A sentence for a reader.

    """

    kind: Kind
    time: float
    step: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Molecules:
    """The molecules of a start structure.

    Attributes
    ----------
    bonds : BondGraph
        Their bonds.
    atoms : (n_atoms,) bool
        Which atoms belong to molecules, one of a single atom included.
    note : str
        Why no bonds are followed, where none are.

    """

    bonds: BondGraph
    atoms: Flags
    note: str


def first_failure(
    energies: EnergySeries, frames: Frames | None, start: Configuration, *, temperature: float, dof: int
) -> Failure | None:
    """The first failure of a run, or None.

    Of several at one time it is the one that stands first in the table of this module.

    Parameters
    ----------
    energies : EnergySeries
        Every step.
    frames : Frames or None
        Without frames only the energies are looked at.
    start : Configuration
        The start structure; its cell is that of all frames.
    temperature : float, K
        The target.
    dof : int
        Degrees of freedom that carry kinetic energy.

    """
    candidates = [*_of_energies(energies, temperature, dof), *(_of_frames(frames, start) if frames else ())]
    if not candidates:
        return None
    time, kind, what = min(candidates, key=lambda each: (each[0], get_args(Kind).index(each[1])))
    nearest = int(np.argmin(np.abs(energies.time - time)))
    return Failure(kind=kind, time=time, step=int(energies.step[nearest]), what=what)


def molecules(start: Configuration) -> Molecules:
    """What of a start structure is held together by covalent bonds, and would fail if they broke.

    Bonded are two atoms of `COVALENT` elements nearer than `BONDED` times the sum of their covalent radii, unless they
    belong to a network that is bonded to its own periodic image. Nothing is, in a cell so narrow that an atom about to
    part could be taken for the image of another.

    Parameters
    ----------
    start : Configuration
        With finite positions.

    """
    atoms = np.array([symbol(int(number)) in COVALENT for number in start.numbers])
    if not atoms.any():
        return _no_molecules(start, "not applicable: metals and noble gases have no covalent bonds")
    radii = covalent_radii(start.numbers)
    pairs, lengths = neighbour_pairs(start.positions, start, 2 * BONDED * float(radii[atoms].max()))
    bonded = atoms[pairs].all(axis=1) & (lengths < BONDED * radii[pairs].sum(axis=1))
    pairs, lengths = pairs[bonded], lengths[bonded]
    needed = 2 * (float(lengths.max(initial=0.0)) + STRETCH)
    if len(pairs) and narrowest(start) < needed:
        reason = f"not run: the cell is {narrowest(start):.2f} Å wide, bonds need {needed:.2f} Å; repeat the cell"
        return _no_molecules(start, reason)
    atoms &= ~_in_networks(pairs, start)
    if not atoms.any():
        return _no_molecules(start, "not applicable: the structure is a network without molecules")
    kept = atoms[pairs].all(axis=1)
    graph = BondGraph(n_atoms=len(atoms), pairs=pairs[kept], lengths=lengths[kept])
    return Molecules(bonds=graph, atoms=atoms, note="" if kept.any() else "no bonds in the start structure")


def _no_molecules(start: Configuration, note: str) -> Molecules:
    n = len(start.numbers)
    graph = BondGraph(n_atoms=n, pairs=np.zeros((0, 2), dtype=np.intp), lengths=np.zeros(0))
    return Molecules(bonds=graph, atoms=np.zeros(n, dtype=np.bool_), note=note)


def _in_networks(pairs: Pairs, start: Configuration) -> Flags:
    """Which atoms (n_atoms,) are bonded to an image of themselves.

    Of a molecule, 2×2×2 cells hold eight pieces that are not connected; of a network fewer.
    """
    direct = start.positions[pairs[:, 1]] - start.positions[pairs[:, 0]]
    crossed = np.rint((direct - separations(start.positions, pairs, start)) @ np.linalg.inv(complete_cell(start)))
    cells = np.array(list(product((0, 1), repeat=3)))
    ends = (cells + crossed[:, None].astype(np.int64)) % 2 @ (4, 2, 1)
    nodes = (8 * pairs[:, :1] + np.arange(8)).ravel(), (8 * pairs[:, 1:] + ends).ravel()
    n = 8 * len(start.numbers)
    graph = coo_array((np.ones(len(nodes[0])), nodes), shape=(n, n))
    pieces = connected_components(graph, directed=False)[1].reshape(-1, 8)
    return np.asarray((pieces[:, 1:] == pieces[:, :1]).any(axis=1))


Candidate = tuple[float, Kind, str]


def _of_energies(energies: EnergySeries, target: float, dof: int) -> Iterator[Candidate]:
    columns = energies.columns()
    finite = np.all([np.isfinite(column) for column in columns.values()], axis=0)
    sound = _first(~finite)
    if sound < len(finite):
        bad = [name for name, column in columns.items() if not np.isfinite(column[sound])]
        yield float(energies.time[sound]), "not_finite", f"{_and(bad)} not finite"
    time = energies.time[:sound]
    if energies.temperature is not None:
        yield from _temperature(time, energies.temperature[:sound], target, dof)
    conserved = energies.total_energy if energies.conserved_energy is None else energies.conserved_energy
    yield from _jump(time, conserved[:sound], target, dof)


def _temperature(time: Floats, temperature: Floats, target: float, dof: int) -> Iterator[Candidate]:
    """Of n independent samples in a window the mean is Gamma distributed, as by n times the degrees of freedom."""
    n = len(time)
    if n < 2 * CHUNKS:
        return
    window = int(np.clip(round(WINDOW / (time[1] - time[0])), 1, n // CHUNKS))
    taus = [autocorrelation_time(detrend(chunk)) for chunk in np.array_split(temperature, CHUNKS)]
    carried = dof * max(1.0, window / (2 * float(np.median(taus))))
    low, high = LOWEST * chi2.ppf(CHANCE, carried) / carried, HIGHEST * chi2.isf(CHANCE, carried) / carried
    mean = uniform_filter1d(temperature, window, origin=(window - 1) // 2, mode="nearest") / target
    outside = np.asarray((mean < low) | (mean > high))
    begin = int(FRACTION * n) + window
    later = begin + _first(outside[begin:])
    if later == n:
        return
    failed = later - _first(~outside[later::-1]) + 1  # it may have failed during the transient and not come back
    kelvin = mean[failed] * target
    yield (
        float(time[failed]),
        "temperature",
        f"the temperature reached {kelvin:.0f} K, where {target:g} K were asked for",
    )


def _jump(time: Floats, energy: Floats, target: float, dof: int) -> Iterator[Candidate]:
    change = np.diff(energy)
    if len(change) == 0:
        return
    usual = float(median_abs_deviation(change, scale="normal"))
    size = BOLTZMANN * target * (dof / 2) ** 0.5
    at = _first(np.asarray(np.abs(change - np.median(change)) > max(JUMP * usual, size)))
    if at < len(change):
        yield float(time[at + 1]), "energy_jump", f"the energy changed by {change[at]:+.3g} eV in one step"


def _of_frames(frames: Frames, start: Configuration) -> Iterator[Candidate]:
    arrays = {name: getattr(frames, name) for name in ("positions", "velocities", "forces", "virial")}
    finite = np.array([all(np.isfinite(each[i]).all() for each in arrays.values()) for i in range(len(frames.time))])
    sound = _first(~finite)
    if sound < len(finite):
        bad = [name for name, each in arrays.items() if not np.isfinite(each[sound]).all()]
        yield float(frames.time[sound]), "not_finite", f"{_and(bad)} not finite"
    known = molecules(start)
    stretched = _stretched(frames.positions[:sound], known.bonds, start)
    broken = _first(np.asarray(stretched.any(axis=1)))
    last = min(broken + PERSISTENCE, sound)
    contacts = [_contacts(positions, start, known) for positions in frames.positions[:last]]
    if broken < sound:
        yield float(frames.time[broken]), *_broken(stretched[broken], contacts[broken].bonded, known.bonds, start)
    crowded = _first(np.array([len(each.overlapping) > 0 for each in contacts], dtype=np.bool_))
    if crowded < len(contacts):
        pair = contacts[crowded].overlapping[:1]
        apart = float(np.linalg.norm(separations(frames.positions[crowded], pair, start)))
        yield float(frames.time[crowded]), "overlap", f"{_names(start, pair[0])} came within {apart:.2f} Å"
    yield from _formed(frames.time, [each.formed for each in contacts], known.bonds, start)


def _stretched(positions: Floats, bonds: BondGraph, start: Configuration) -> Flags:
    """Which bonds (n_frames, n_bonds) are broken."""
    lengths = np.linalg.norm(separations(positions, bonds.pairs, start), axis=2)
    return np.asarray(lengths > bonds.lengths + STRETCH)


def _broken(stretched: Flags, contacts: Pairs, bonds: BondGraph, start: Configuration) -> tuple[Kind, str]:
    """A bond that breaks while another holds its ends is broken, and one that nothing replaces loses a fragment."""
    present = np.concatenate([bonds.pairs[~stretched], contacts])
    now = _pieces(bonds.n_atoms, present)
    names = _and([_names(start, pair) for pair in bonds.pairs[stretched][:3]])
    if now > _pieces(bonds.n_atoms, bonds.pairs):
        return "fragment_lost", f"{names} broke, and what they held together fell apart"
    return "bond_broken", f"{names} broke"


def _pieces(n_atoms: int, pairs: Pairs) -> int:
    return BondGraph(n_atoms=n_atoms, pairs=pairs, lengths=np.zeros(len(pairs))).fragments(
        np.ones(len(pairs), dtype=np.bool_)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Contacts:
    """Pairs (n, 2) of one frame that are near: `bonded` as at the start, `formed` as a new bond, and overlapping."""

    bonded: Pairs
    formed: Pairs
    overlapping: Pairs


def _contacts(positions: Floats, start: Configuration, known: Molecules) -> _Contacts:
    radii = covalent_radii(start.numbers)
    reach = max(2 * OVERLAP * float(radii.max()), 2 * BONDED * float(radii[known.atoms].max(initial=0.0)))
    pairs, distances = neighbour_pairs(positions, start, reach)
    relative = distances / radii[pairs].sum(axis=1)
    within = known.atoms[pairs].all(axis=1)
    return _Contacts(
        bonded=pairs[within & (relative < BONDED)],
        formed=pairs[within & (relative < FORMED)],
        overlapping=pairs[relative < OVERLAP],
    )


def _formed(time: Floats, near: list[Pairs], bonds: BondGraph, start: Configuration) -> Iterator[Candidate]:
    known = _codes(bonds.pairs, bonds.n_atoms)
    new = [np.setdiff1d(_codes(pairs, bonds.n_atoms), known) for pairs in near]
    for i in range(len(new) - PERSISTENCE + 1):
        lasting = reduce(np.intersect1d, new[i : i + PERSISTENCE]) if len(new[i]) else new[i]
        if len(lasting):
            pair = np.array(divmod(int(lasting[0]), bonds.n_atoms))
            yield float(time[i]), "bond_formed", f"{_names(start, pair)} formed a bond"
            return


def _codes(pairs: Pairs, n_atoms: int) -> Integers:
    first, second = np.sort(pairs, axis=1).T
    return np.asarray(first * n_atoms + second, dtype=np.int64)


def _first(flags: Flags) -> int:
    """Index of the first that is set; their number, where none is."""
    return int(np.argmax(flags)) if flags.any() else len(flags)


def _names(start: Configuration, atoms: npt.NDArray[np.intp]) -> str:
    return "-".join(f"{symbol(int(start.numbers[atom]))}{atom}" for atom in atoms)


def _and(names: list[str]) -> str:
    return " and ".join(names)
