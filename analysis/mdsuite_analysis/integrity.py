"""Whether the molecules of a run stay whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from MDAnalysis.analysis.base import AnalysisBase
from MDAnalysis.core.groups import AtomGroup
from MDAnalysis.lib.distances import calc_bonds, self_capped_distance
from MDAnalysis.lib.mdamath import triclinic_vectors
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mdsuite_analysis.elements import COVALENT_RADII
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.series import Floats

BONDED = 1.25
"""Two atoms are bonded below this multiple of the sum of their covalent radii (project default)."""

STRETCH = 0.5
"""A bond breaks beyond its start length plus this, Å; X. Fu et al., Forces are not enough, arXiv:2210.07237."""

Box = npt.NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BondGraph:
    """The covalent bonds of a start structure.

    Attributes
    ----------
    n_atoms : int
    pairs : (n_bonds, 2) int
        Indices of the bonded atoms.
    lengths : (n_bonds,) float, Å

    """

    n_atoms: int
    pairs: npt.NDArray[np.intp]
    lengths: Floats

    def fragments(self, intact: npt.NDArray[np.bool_]) -> int:
        """Number of connected pieces that these bonds hold together."""
        i, j = self.pairs[intact].T
        graph = coo_array((np.ones(len(i)), (i, j)), shape=(self.n_atoms, self.n_atoms))
        return int(connected_components(graph, directed=False)[0])


def bond_graph(positions: npt.NDArray[np.floating], elements: Sequence[str], box: Box = None) -> BondGraph:
    """The pairs closer than `BONDED` times the sum of their covalent radii.

    Parameters
    ----------
    positions : (n_atoms, 3) float, Å
        Finite.
    elements : sequence of str
        Symbols.
    box : (6,) float, Å and degrees, or None
        Periodic cell as MDAnalysis gives it. Of two atoms only the nearest images are bonded, so the cell must be
        wider than twice a bond about to break; a smaller one raises ValueError.

    """
    if not np.isfinite(positions).all():
        raise ValueError("the start structure has positions that are not finite; no bonds can be found in it")
    radii = _radii(elements)
    pairs, distances = self_capped_distance(positions, 2 * BONDED * radii.max(), box=box)
    bonded = distances < BONDED * radii[pairs].sum(axis=1)
    _check_width(box, distances[bonded].max(initial=0.0))
    return BondGraph(n_atoms=len(radii), pairs=pairs[bonded], lengths=distances[bonded])


def bond_lengths(graph: BondGraph, positions: npt.NDArray[np.floating], box: Box = None) -> Floats:
    """The present lengths of the start bonds, (n_bonds,) Å; infinite in a frame with any position not finite.

    Parameters
    ----------
    graph : BondGraph
        The start bonds.
    positions : (n_atoms, 3) float, Å
        The present positions.
    box : (6,) float, Å and degrees, or None
        The present cell.

    """
    if not np.isfinite(positions).all():
        return np.full(len(graph.pairs), np.inf)
    i, j = graph.pairs.T
    return np.asarray(calc_bonds(positions[i], positions[j], box=box), dtype=np.float64)


class BondIntegrity(AnalysisBase):  # type: ignore[misc]  # MDAnalysis ships no types
    """Which bonds of the start structure break in the frames of any MDAnalysis trajectory.

    The start structure is the first frame of the trajectory, whichever frames are analysed.

    Parameters
    ----------
    atoms : AtomGroup
        The atoms, with elements.
    stretch : float, Å
        How far beyond its start length a bond counts as broken.

    Attributes
    ----------
    results.graph : BondGraph
        The start bonds.
    results.n_broken, results.n_fragments : (n_frames,) int
    results.longest : (n_frames,) float, Å
        The largest elongation of any start bond; infinite in a frame with any position not finite.
    results.ever_broken : (n_bonds,) bool
    results.measurements : tuple of Measurement
        `broken_bonds`, `fragments_lost`, `longest_stretch`, `first_break_time`.

    """

    def __init__(self, atoms: AtomGroup, *, stretch: float = STRETCH) -> None:
        super().__init__(atoms.universe.trajectory)
        self._atoms = atoms
        self._stretch = stretch

    def _prepare(self) -> None:
        self._trajectory[0]
        graph = bond_graph(self._atoms.positions, list(self._atoms.elements), self._atoms.dimensions)
        self.results.graph = graph
        self.results.n_broken = np.zeros(self.n_frames, dtype=np.int64)
        self.results.n_fragments = np.zeros(self.n_frames, dtype=np.int64)
        self.results.longest = np.zeros(self.n_frames)
        self.results.ever_broken = np.zeros(len(graph.pairs), dtype=np.bool_)
        self._finite = np.ones(self.n_frames, dtype=np.bool_)

    def _single_frame(self) -> None:
        graph, frame, positions = self.results.graph, self._frame_index, self._atoms.positions
        elongation = bond_lengths(graph, positions, self._atoms.dimensions) - graph.lengths
        intact = elongation <= self._stretch
        self._finite[frame] = np.isfinite(positions).all()
        self.results.n_broken[frame] = (~intact).sum()
        self.results.n_fragments[frame] = graph.fragments(intact)
        self.results.longest[frame] = elongation.max(initial=0.0 if self._finite[frame] else np.inf)
        self.results.ever_broken |= ~intact

    def _conclude(self) -> None:
        self.results.measurements = (
            self._measurement("broken_bonds", float(self.results.n_broken.max(initial=0)), "bonds"),
            self._measurement("fragments_lost", self._fragments_lost(), "fragments"),
            self._measurement("longest_stretch", float(self.results.longest.max(initial=0.0)), "Å"),
            self._measurement("first_break_time", self._first_break_time(), "ps"),
        )

    def _fragments_lost(self) -> float:
        graph = self.results.graph
        at_start = graph.fragments(np.ones(len(graph.pairs), dtype=np.bool_))
        return float(self.results.n_fragments.max(initial=at_start) - at_start)

    def _first_break_time(self) -> float:
        broken = (self.results.n_broken > 0) | ~self._finite
        return float(self.times[np.argmax(broken)]) if broken.any() else float("nan")

    def _measurement(self, name: str, value: float, unit: str) -> Measurement:
        # Without bonds nothing can break, but positions that are not finite must not pass for whole either.
        lost = not self._finite.all() and len(self.results.graph.pairs) == 0 and unit != "ps"
        return Measurement(name=name, value=float("nan") if lost else value, unit=unit, note=self._note())

    def _note(self) -> str:
        notes = [] if self._finite.all() else [f"positions not finite in {(~self._finite).sum()} frames"]
        if len(self.results.graph.pairs) == 0:
            return "; ".join([*notes, "no bonds in the start structure"])
        broken = self.results.graph.pairs[self.results.ever_broken]
        named = [f"{self._atoms.elements[i]}{i}-{self._atoms.elements[j]}{j}" for i, j in broken[:5]]
        more = [f"and {len(broken) - 5} more"] if len(broken) > 5 else []
        return "; ".join([*notes, ", ".join(["broken: " + ", ".join(named), *more]) if named else "no bond broke"])


def _radii(elements: Sequence[str]) -> Floats:
    unknown = sorted(set(elements) - set(COVALENT_RADII))
    if unknown:
        raise ValueError(f"no covalent radius is known for {', '.join(map(repr, unknown))}; give the atoms elements")
    return np.array([COVALENT_RADII[element] for element in elements])


def _check_width(box: Box, longest: float) -> None:
    if box is None:
        return
    vectors = triclinic_vectors(box).astype(np.float64)
    narrowest = float(1.0 / np.linalg.norm(np.linalg.inv(vectors), axis=0).max())
    if longest > 0.0 and narrowest < 2 * (longest + STRETCH):
        raise ValueError(
            f"the cell is {narrowest:.2f} Å wide, but a bond of {longest:.2f} Å about to break needs "
            f"{2 * (longest + STRETCH):.2f} Å; repeat the cell"
        )
