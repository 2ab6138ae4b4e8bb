"""Whether energy and forces are continuous where atoms come into each other's reach.

Every pair of elements is scanned in vacuum, and the frame itself along paths of one atom and of all: caps on the number
of neighbours and terms of many bodies show in company only. A frame without periodic vectors is also scanned in a
crowd of its copies, and with an atom of each element pulled out of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations_with_replacement, product

import numpy as np

from mdsuite_analysis.elements import COVALENT_RADII, symbol
from mdsuite_analysis.measurement import Measurement, about
from mdsuite_analysis.potential import Configuration, Potential
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.bond import bond_scan, reachable
from mdsuite_analysis.statics.deformation import (
    displaced,
    joined,
    one_atom_direction,
    open_extent,
    random_direction,
    thermal,
)
from mdsuite_analysis.statics.inquiry import Named, answered, ask
from mdsuite_analysis.statics.jump import (
    SIDE,
    STANDARD_ERRORS,
    Candidate,
    Jump,
    candidates,
    energy_jump,
    expected,
    force_jump,
    places,
)
from mdsuite_analysis.statics.path import Path, Samples, sample, straight

UNKNOWN_CUTOFF = 12.0
"""How far dimers are scanned, Å, where no cut-off is declared."""

BEYOND = 1.0
"""How far beyond a declared cut-off, Å."""

EDGE = 1.0
"""How far before it, Å, where nothing else is scanned."""

CLOSEST = 0.7
"""Shortest distance of a dimer, of the sum of covalent radii."""

SMALLEST_STEP = 5e-6  # eV, that is said to be where the cut-off is
N_SCALES = 4  # thermal frames that tell the size of usual forces
N_DIMER_EVALUATIONS = 4000
FINEST, COARSEST = 0.02, 0.1  # Å, step of a dimer's scan
N_STEPS = 96  # of a path in company
SINGLE, COLLECTIVE, CLOSE_UP = 0.5, 0.3, 0.02
"""Lengths, Å, of paths of one atom, of all, and of all at high resolution."""
CROWD = 60
"""Atoms that a frame without periodic vectors is multiplied to."""
N_CROSSINGS = 30
TRIES = 3  # of them measured
MOST_PLACES = 6  # looked at closely, for energy and for forces
PATHS = (3, 6)  # of single atoms: fewest, most
PULL_STEP = 0.04  # Å

ENERGY_JUMP = ("cutoff_energy_jump", "eV")
FORCE_JUMP = ("cutoff_force_jump", "eV/Å")
RELATIVE_JUMP = ("cutoff_force_jump_relative", "1")
BEYOND_CUTOFF = ("force_beyond_cutoff", "eV/Å")
FOUND = ("cutoff_found", "Å")
BOND = (("bond_tortuosity", "1"), ("bond_force_flips", "1"), ("bond_energy_jump", "eV"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dimer:
    """A scanned pair: its path by distance, samples at growing distances, and its largest steps."""

    path: Path
    scan: Samples
    of_energy: Jump
    of_forces: Jump


def cutoff_in_vacuum(
    potential: Potential,
    configuration: Configuration,
    cutoff: float | None,
    *,
    seed: int = 0,
    before: float = np.inf,
) -> Iterator[Measurement]:
    """Steps of energy and force of every pair of elements in vacuum, and the form of its bond.

    A pair is scanned from 0.7 times the sum of its covalent radii, or where its energy falls below 20 eV, to 1 Å beyond
    the declared cut-off, or to 12 Å.

    Parameters
    ----------
    potential : Potential
    configuration : Configuration
        Its elements are paired; a pair is put into a large box that is periodic where the configuration is.
    cutoff : float or None
        Declared cut-off, Å.
    seed : int
        Of the direction in which pairs point.
    before : float
        How far before a declared cut-off the scan begins, Å.

    """
    direction = one_atom_direction(np.random.default_rng(seed), 1)[0]
    pairs = list(combinations_with_replacement(sorted(set(configuration.numbers.tolist())), 2))
    named = [ENERGY_JUMP, FORCE_JUMP, RELATIVE_JUMP, FOUND, *BOND, *([BEYOND_CUTOFF] if cutoff else [])]
    for pair in pairs:
        subject = "-".join(symbol(z) for z in pair)
        scanned = partial(_scanned, potential, configuration, pair, direction, cutoff, len(pairs), before)
        made = answered(named, partial(_of_dimer, potential, configuration, scanned, cutoff))
        yield from (about(each, pair=subject) for each in made)


def cutoff_at_edge(
    potential: Potential, configuration: Configuration, cutoff: float | None, *, seed: int = 0
) -> Iterator[Measurement]:
    """The same of the last ångström before the declared cut-off and the first beyond, without the form of the bond.

    Where no cut-off is declared all distances are scanned.
    """
    names = [name for name, _ in BOND]
    measured = cutoff_in_vacuum(potential, configuration, cutoff, seed=seed, before=EDGE)
    yield from (each for each in measured if each.name not in names)


def _of_dimer(
    potential: Potential, configuration: Configuration, scanned: Callable[[], _Dimer], cutoff: float | None
) -> Iterator[Measurement]:
    dimer = scanned()
    yield _measurement(ENERGY_JUMP, dimer.of_energy, "r")
    yield from _of_force(dimer.of_forces, "r", usual_force(potential, configuration))
    yield _found(dimer)
    yield from bond_scan(dimer.scan)
    if cutoff:
        yield _beyond(potential, dimer, cutoff)


def _scanned(
    potential: Potential,
    configuration: Configuration,
    pair: tuple[int, int],
    direction: Floats,
    cutoff: float | None,
    n_pairs: int,
    before: float,
) -> _Dimer:
    closest = CLOSEST * sum(COVALENT_RADII[symbol(z)] for z in pair)
    closest = closest if cutoff is None else max(closest, cutoff - before)
    farthest = UNKNOWN_CUTOFF if cutoff is None else cutoff + BEYOND
    step = float(np.clip((farthest - closest) * n_pairs / N_DIMER_EVALUATIONS, FINEST, COARSEST))
    path = _dimer_path(configuration, pair, direction, farthest)
    scan = reachable(sample(potential, path, np.arange(closest, farthest + (SIDE + 2) * step, step)))
    among = candidates(path, scan)
    found = places(potential, among if cutoff is None else [*among, *expected(path, scan, cutoff)], most=3)
    jumps = energy_jump(potential, found), force_jump(potential, found)
    return _Dimer(path=path, scan=scan, of_energy=jumps[0], of_forces=jumps[1])


def _dimer_path(configuration: Configuration, pair: tuple[int, int], direction: Floats, farthest: float) -> Path:
    edge = 3.0 * farthest
    together = Configuration(
        numbers=np.array(pair),
        positions=np.zeros((2, 3)),  # single precision is finest at the origin
        cell=edge * np.eye(3) if any(configuration.pbc) else np.zeros((3, 3)),
        pbc=configuration.pbc,
    )
    return straight(together, np.array([np.zeros(3), direction]))


def _found(dimer: _Dimer) -> Measurement:
    """Where the largest step sits, or where the force ends if there is none."""
    name, unit = FOUND
    jump = dimer.of_energy
    if abs(jump.height) > max(5.0 * jump.error, SMALLEST_STEP):
        return Measurement(name=name, value=jump.at, unit=unit, ci=(jump.at, jump.at), note="of the step of the energy")
    size = np.linalg.norm(dimer.scan.forces[:, 1], axis=1)
    felt = np.flatnonzero(size > 1e-9 * np.median(size) + 1e-12)
    if len(felt) == 0 or felt[-1] == len(size) - 1:
        nan = float("nan")
        reason = "no step, and forces at every distance" if len(felt) else "no interaction at any distance"
        return Measurement(name=name, value=nan, unit=unit, ci=(nan, nan), note=reason)
    low, high = float(dimer.scan.s[felt[-1]]), float(dimer.scan.s[felt[-1] + 1])
    return Measurement(name=name, value=high, unit=unit, ci=(low, high), note="no step; the last force is felt before")


def _beyond(potential: Potential, dimer: _Dimer, cutoff: float) -> Measurement:
    """The largest force beyond the declared cut-off."""
    distances = cutoff + np.array([1e-5, 1e-3, 0.01, 0.1, 0.5, BEYOND])
    size = np.abs(sample(potential, dimer.path, distances).forces).max()
    name, unit = BEYOND_CUTOFF
    return Measurement(name=name, value=float(size), unit=unit, note=f"beyond the declared {cutoff:g} Å")


def cutoff_in_company(
    potential: Potential, configuration: Configuration, cutoff: float | None, *, seed: int = 0
) -> Iterator[Measurement]:
    """The largest steps of energy and force along paths of the frame itself, and of a crowd of its copies.

    Single atoms move by 0.5 Å, all by 0.3 Å, and all by 0.02 Å at high resolution; where a cut-off is declared, single
    atoms move until thirty pairs have crossed it or eight paths are done.
    """
    rng = np.random.default_rng(seed)
    frames = {"embedded": configuration}
    crowd = crowded(configuration)
    if crowd is not None:
        frames["crowd"] = crowd
    for subject, frame in frames.items():
        scan = partial(_of_company, potential, frame, cutoff, rng, pulled=frame is configuration)
        made = answered([ENERGY_JUMP, FORCE_JUMP, RELATIVE_JUMP], scan)
        yield from (about(each, pair=subject) for each in made)


def _of_company(
    potential: Potential, frame: Configuration, cutoff: float | None, rng: np.random.Generator, *, pulled: bool
) -> Iterator[Measurement]:
    scans = [_along(potential, path, length / N_STEPS, length) for path, length in _collective_paths(frame, rng)]
    if pulled and not any(frame.pbc):
        reach = (UNKNOWN_CUTOFF / 2 if cutoff is None else cutoff) + BEYOND
        scans += [_along(potential, path, PULL_STEP, reach) for path in _pulls(frame)]
    n_crossings = 0
    for n_paths in range(PATHS[1]):
        if n_paths >= PATHS[0] and (cutoff is None or n_crossings >= N_CROSSINGS):
            break
        start = thermal(frame, rng)
        atom = int(rng.integers(len(frame.numbers)))
        path = straight(start, one_atom_direction(rng, len(frame.numbers), atom))
        scans.append(_along(potential, path, SINGLE / N_STEPS, SINGLE))
        n_crossings += 0 if cutoff is None else crossings(path, atom, SINGLE, cutoff)
    crossed = "" if cutoff is None else f", {n_crossings} crossings of {cutoff:g} Å by single atoms"
    note = f"{len(scans)} paths{crossed}"
    found = places(potential, [candidate for scan in scans for candidate in scan], most=MOST_PLACES)
    yield _measurement(ENERGY_JUMP, energy_jump(potential, found, tries=TRIES), "s", note)
    jump = force_jump(potential, found, tries=TRIES)
    yield from _of_force(jump, "s", usual_force(potential, frame), note)


def _along(potential: Potential, path: Path, step: float, length: float) -> list[Candidate]:
    scan = sample(potential, path, np.arange(-SIDE * step, length + (SIDE + 0.5) * step, step))
    return candidates(path, scan)


def _collective_paths(frame: Configuration, rng: np.random.Generator) -> list[tuple[Path, float]]:
    lengths = (COLLECTIVE, CLOSE_UP)
    return [(straight(thermal(frame, rng), random_direction(rng, len(frame.numbers))), length) for length in lengths]


def _pulls(frame: Configuration) -> list[Path]:
    """The outermost atom of each element, moved away from the centre."""
    outward = frame.positions - frame.positions.mean(axis=0)
    size = np.linalg.norm(outward, axis=1)
    paths = []
    for z in sorted(set(frame.numbers.tolist())):
        atom = int(np.argmax(np.where(frame.numbers == z, size, -1.0)))
        direction = np.zeros_like(frame.positions)
        direction[atom] = outward[atom] / size[atom] if size[atom] > 0.0 else (1.0, 0.0, 0.0)
        paths.append(straight(frame, direction))
    return paths


def crowded(configuration: Configuration) -> Configuration | None:
    """Copies of a small frame without periodic vectors, 2 Å apart on a grid; None where there is no need for them."""
    n_atoms = len(configuration.numbers)
    if any(configuration.pbc) or n_atoms > CROWD // 2:
        return None
    spacing = open_extent(configuration) + 2.0
    edge = int(np.ceil((CROWD / n_atoms) ** (1 / 3)))
    shifts = sorted(product(range(edge), repeat=3), key=sum)[: -(-CROWD // n_atoms)]
    crowd = configuration
    for shift in shifts[1:]:
        crowd = joined(crowd, displaced(configuration, np.array(shift) * spacing))
    return crowd


def crossings(path: Path, atom: int, length: float, cutoff: float) -> int:
    """How often an atom that moves along a path enters or leaves a distance of another, images included."""
    frames = [path.at(float(s)) for s in np.linspace(0.0, length, 32)]
    images = _images(frames[0], cutoff + length)
    within = []
    for frame in frames:
        others = np.delete(frame.positions, atom, axis=0)[:, None] + images
        within.append(np.linalg.norm(others - frame.positions[atom], axis=2) < cutoff)
    return int(np.diff(np.array(within), axis=0).sum())


def _images(frame: Configuration, reach: float) -> Floats:
    """Lattice translations (n, 3), Å, of the images that can lie within reach of an atom, wherever it is."""
    counts = []
    for k, periodic in enumerate(frame.pbc):
        width = 1.0 / np.linalg.norm(np.linalg.pinv(frame.cell)[:, k]) if periodic else np.inf
        counts.append(int(np.ceil(reach / width)) + 1 if periodic else 0)
    return np.array(list(product(*(range(-n, n + 1) for n in counts))), dtype=float) @ frame.cell


def usual_force(potential: Potential, configuration: Configuration) -> float:
    """Root mean square force per atom of thermal frames, eV/Å."""
    rng = np.random.default_rng(0)
    forces = [ask(potential, thermal(configuration, rng)).forces for _ in range(N_SCALES)]
    return float(np.sqrt((np.array(forces) ** 2).sum(axis=2).mean()))


def _of_force(jump: Jump, along: str, usual: float, note: str = "") -> Iterator[Measurement]:
    """The step of a force, and the same in units of a usual one.

    A bend that single precision cannot resolve looks like a step, but like a small one; what is large for argon is
    rounding for a molecule.
    """
    yield _measurement(FORCE_JUMP, jump, along, note)
    scale = usual if usual > 0.0 else 1.0
    relative = replace(jump, height=jump.height / scale, error=jump.error / scale)
    yield _measurement(RELATIVE_JUMP, relative, along, f"of the usual {usual:.3g} eV/Å")


def _measurement(named: Named, jump: Jump, along: str, note: str = "") -> Measurement:
    name, unit = named
    size, half = abs(jump.height), STANDARD_ERRORS * jump.error
    where = f"at {along} = {jump.at:.9g} Å"
    return Measurement(
        name=name,
        value=size,
        unit=unit,
        ci=(max(size - half, 0.0), size + half),
        note=f"{where}; {note}" if note else where,
    )
