r"""Structure against a reference: how far distributions of distances and angles lie apart.

Distributions are compared by the Wasserstein-1 distance ∫ |F(x) - G(x)| dx of their cumulative distributions, over the
standard deviation of the reference: a shift by one standard deviation counts 1, and a larger shift counts more.

Samples of one distribution lie apart too. With F̂ and Ĝ observed, the triangle inequality gives

    | ∫ |F̂ - Ĝ| - ∫ |F - G| |  ≤  ∫ |(F̂ - F) - (Ĝ - G)|

whose right side is what a bootstrap of blocks of frames shows. Its quantile on either side is the interval, which
therefore covers at least its confidence as long as blocks are independent, and holds zero for two samples of one
distribution. The mean of it is taken off the value in quadrature. Blocks are ten autocorrelation times of the slowest
tenth of what is compared. Motion slower than the run shows in the halves of the reference: where these lie further
apart than the bootstrap explains, their distance sets the width of the interval.

References
----------
.. [1] H. R. Künsch, Ann. Stat. 17, 1217 (1989), doi:10.1214/aos/1176347265 (the bootstrap of blocks)

"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

import numpy as np
import numpy.typing as npt
from MDAnalysis.lib.distances import self_capped_distance
from MDAnalysis.lib.mdamath import triclinic_box, triclinic_vectors
from scipy.linalg import null_space
from scipy.signal import find_peaks
from scipy.special import stdtrit
from scipy.stats import norm

from mdsuite_analysis.elements import COVALENT_RADII, symbol
from mdsuite_analysis.integrity import BONDED
from mdsuite_analysis.measurement import NOT_KNOWN, Measurement, undefined
from mdsuite_analysis.potential import Configuration
from mdsuite_analysis.series import Floats, Frames, Integers
from mdsuite_analysis.statistics import SHORTEST, autocorrelation_time

FARTHEST = 10.0
"""Largest distance, Å, of a pair in a periodic structure that is compared; less where the cell is narrower."""

BINS = 200
BLOCK = 10.0
"""Length of a block in autocorrelation times."""

FEWEST = 8
"""Fewest blocks that a trajectory is cut into; where it is too short for blocks of full length, they are shorter."""

RESAMPLES = 200

Pairs = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """Histograms of the blocks of one sample, several distributions side by side.

    Attributes
    ----------
    weights : (n_blocks, n_distributions, n_bins) float

    """

    weights: Floats

    def halves(self) -> tuple["Blocks", "Blocks"]:
        """The earlier and the later blocks."""
        half = len(self.weights) // 2
        return Blocks(weights=self.weights[:half]), Blocks(weights=self.weights[half:])

    def density(self, counts: Floats | None = None) -> Floats:
        """The distributions (n_distributions, n_bins), of sum 1, with every block counted so many times, or once."""
        summed = self.weights.sum(axis=0) if counts is None else np.tensordot(counts, self.weights, axes=1)
        total = summed.sum(axis=1, keepdims=True)
        return np.asarray(summed / np.where(total > 0.0, total, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RadialDistribution:
    """The radial distribution function of two species.

    Attributes
    ----------
    r : (n_bins,) float, Å
        Middles of the bins.
    g : (n_bins,) float
        Density of pairs over that of an ideal gas in a periodic structure; the probability density of a distance,
        1/Å, in an open one.

    """

    r: Floats
    g: Floats


def structure_distances(
    sample: Sequence[Frames], reference: Sequence[Frames], start: Configuration, *, confidence: float = 0.95
) -> list[Measurement]:
    """Every distance between a sample and a reference that the structure has a meaning for.

    Those of the bonds of the start structure, where it has bonds; of neighbours' angles, where it is periodic; and of
    every pair of species.

    Parameters
    ----------
    sample, reference : sequence of Frames
        Runs of the start structure, each alike in length and spacing.
    start : Configuration
        The start structure; its cell is that of all frames.
    confidence : float
        Confidence of the intervals.

    """
    bonds = start_bonds(start)
    measured = []
    if len(bonds):
        measured.append(bond_length_distance(sample, reference, start, confidence=confidence))
    if len(triples(bonds)):
        measured.append(angle_distance(sample, reference, start, confidence=confidence))
    if any(start.pbc):
        measured.append(neighbour_angle_distance(sample, reference, start, confidence=confidence))
    return [*measured, *rdf_distances(sample, reference, start, confidence=confidence)]


def bond_length_distance(
    sample: Sequence[Frames], reference: Sequence[Frames], start: Configuration, *, confidence: float = 0.95
) -> Measurement:
    """How far the lengths of the start bonds lie from the reference's: each over its own deviation, their mean.

    Parameters and assumptions are those of `structure_distances`; 0.1 is a shift of every bond by a tenth of its
    thermal width, about 0.003 Å at 300 K.
    """
    return _internal_distance("bond_length_distance", sample, reference, start, start_bonds(start), confidence)


def angle_distance(
    sample: Sequence[Frames], reference: Sequence[Frames], start: Configuration, *, confidence: float = 0.95
) -> Measurement:
    """The same of the angles between start bonds."""
    return _internal_distance("angle_distance", sample, reference, start, triples(start_bonds(start)), confidence)


def neighbour_angle_distance(
    sample: Sequence[Frames], reference: Sequence[Frames], start: Configuration, *, confidence: float = 0.95
) -> Measurement:
    """How far the angles between neighbours lie from the reference's, whichever atoms are neighbours at the time.

    Neighbours are nearer than the first minimum of the reference's radial distribution function of all atoms.
    """
    name = "neighbour_angle_distance"
    reason = _flaw([*sample, *reference])
    if reason:
        return undefined(name, "1", reason, confidence)
    cutoff = _first_minimum(reference, start)
    rows = [[_neighbour_angle_rows(frames, start, cutoff) for frames in runs] for runs in (sample, reference)]
    if any(each.sum() == 0.0 for runs in rows for each in runs):
        return undefined(name, "1", f"{NOT_KNOWN}no atom has two neighbours within {cutoff:.2f} Å", confidence)
    note = f"neighbours within {cutoff:.2f} Å"
    return _rows_distance(name, rows[0], rows[1], confidence, note)


def rdf_distances(
    sample: Sequence[Frames], reference: Sequence[Frames], start: Configuration, *, confidence: float = 0.95
) -> list[Measurement]:
    """How far the radial distribution functions of every two species lie apart, `rdf_distance_A-B`.

    In a periodic structure pairs are weighted with 1/r², so that what is compared is g(r) up to half the width of the
    cell or `FARTHEST`; in an open one it is the distribution of all distances.
    """
    species = sorted({int(number) for number in start.numbers}, key=symbol)
    pairs = [pair for pair in combinations_with_replacement(species, 2) if len(_pairs(start.numbers, *pair))]
    return [_rdf_distance(sample, reference, start, first, second, confidence) for first, second in pairs]


def radial_distribution(frames: Frames, start: Configuration, first: int, second: int) -> RadialDistribution:
    """The radial distribution function of two species, given by their atomic numbers.

    Parameters
    ----------
    frames : Frames
        Finite.
    start : Configuration
        The start structure; its cell is that of all frames.
    first, second : int
        Atomic numbers.

    """
    farthest = _farthest([frames], start)
    counts, edges = _distance_rows(frames, start, _pairs(start.numbers, first, second), farthest, weighted=False)
    n_pairs = len(_pairs(start.numbers, first, second))
    density = counts.mean(axis=0) / n_pairs
    if any(start.pbc):
        density = density * abs(np.linalg.det(complete_cell(start))) / (4.0 / 3.0 * math.pi * np.diff(edges**3))
    else:
        density = density / np.diff(edges)
    return RadialDistribution(r=(edges[1:] + edges[:-1]) / 2, g=density)


def start_bonds(start: Configuration) -> Pairs:
    """The pairs (n_bonds, 2) of the start structure nearer than `BONDED` times the sum of their covalent radii.

    None in a cell so narrow that an atom would be bonded to several images of another.
    """
    radii = covalent_radii(start.numbers)
    pairs, distances = neighbour_pairs(start.positions, start, 2 * BONDED * float(radii.max()))
    bonded = distances < BONDED * radii[pairs].sum(axis=1)
    longest = float(distances[bonded].max(initial=0.0))
    return pairs[bonded] if 2 * longest < narrowest(start) else pairs[:0]


def triples(pairs: Pairs) -> Pairs:
    """All (i, j, k), (n, 3), in which j is paired with both i and k."""
    edges = np.concatenate([pairs, pairs[:, ::-1]])
    edges = edges[np.argsort(edges[:, 0], kind="stable")]
    centre, end = edges.T
    _, begin, degree = np.unique(centre, return_index=True, return_counts=True)
    partners = np.repeat(degree, degree)  # each edge meets every edge of its centre, and those after it count
    left = np.repeat(np.arange(len(edges)), partners)
    offset = np.arange(len(left)) - np.repeat(np.cumsum(partners) - partners, partners)
    right = np.repeat(np.repeat(begin, degree), partners) + offset
    kept = left < right
    return np.stack([end[left[kept]], centre[left[kept]], end[right[kept]]], axis=1)


def covalent_radii(numbers: Integers) -> Floats:
    """Covalent radius (n_atoms,) of every atom, Å."""
    return np.array([COVALENT_RADII[symbol(int(number))] for number in numbers])


def complete_cell(start: Configuration) -> Floats:
    """The cell (3, 3), Å, with unit vectors at right angles to the periodic ones in place of those not periodic."""
    pbc = np.array(start.pbc)
    cell = np.array(start.cell, dtype=np.float64)
    cell[~pbc] = null_space(cell[pbc]).T if pbc.any() else np.eye(3)
    return cell


def narrowest(start: Configuration) -> float:
    """The smallest distance between opposite periodic faces of the cell, Å; infinite in an open structure."""
    normals = np.linalg.norm(np.linalg.inv(complete_cell(start)), axis=0)
    return float(1.0 / normals[np.array(start.pbc)].max(initial=0.0)) if any(start.pbc) else math.inf


def separations(positions: Floats, pairs: Pairs, start: Configuration) -> Floats:
    """Vectors (..., n_pairs, 3), Å, from the first atom of each pair to the nearest image of the second.

    Exact up to half the width of the cell.

    Parameters
    ----------
    positions : (..., n_atoms, 3) float, Å
    pairs : (n_pairs, 2) int
    start : Configuration
        Its cell and periodicity count.

    """
    apart = positions[..., pairs[:, 1], :] - positions[..., pairs[:, 0], :]
    if not any(start.pbc):
        return np.asarray(apart)
    cell = complete_cell(start)
    images = np.rint(apart @ np.linalg.inv(cell)) * np.array(start.pbc)
    return np.asarray(apart - images @ cell)


def neighbour_pairs(positions: Floats, start: Configuration, cutoff: float) -> tuple[Pairs, Floats]:
    """Pairs (n_pairs, 2) of atoms nearer than a cut-off, and their distances (n_pairs,), Å.

    Parameters
    ----------
    positions : (n_atoms, 3) float, Å
        Finite.
    start : Configuration
        Its cell and periodicity count.
    cutoff : float, Å

    """
    if not any(start.pbc):
        pairs, distances = self_capped_distance(positions, cutoff)
        return pairs.astype(np.intp), np.asarray(distances, dtype=np.float64)
    cell, pbc = complete_cell(start), np.array(start.pbc)
    fractions = positions @ np.linalg.inv(cell)
    extent = np.ptp(fractions, axis=0) + 2.0 * cutoff  # MDAnalysis knows cells that are periodic all round, or none
    scale = np.where(pbc, 1.0, extent)
    box = triclinic_box(*(cell * scale[:, None]))
    fractions = (fractions / scale) % 1.0
    pairs, distances = self_capped_distance(fractions @ triclinic_vectors(box), cutoff, box=box)
    return pairs.astype(np.intp), np.asarray(distances, dtype=np.float64)


def blocks_distance(
    name: str,
    sample: Sequence[Blocks],
    reference: Sequence[Blocks],
    *,
    width: Floats | None = None,
    confidence: float = 0.95,
    labels: Sequence[str] = (),
    note: str = "",
    unit: str = "1",
) -> Measurement:
    """The distance between two samples of distributions, the mean over the distributions.

    Parameters
    ----------
    name : str
        Of the measurement.
    sample, reference : sequence of Blocks
        One of each run.
    width : (n_distributions,) float, or None
        Width of the bins, where distances count in the unit of what is distributed; where it is None, in standard
        deviations of the reference, and the interval allows for how well these are known.
    confidence : float
        Confidence of the interval.
    labels : sequence of str
        Names of the distributions, for the note.
    note : str
        What else a reader must know.
    unit : str
        Unit of the measurement.

    """
    ours, theirs = (Blocks(weights=np.concatenate([each.weights for each in of])) for of in (sample, reference))
    scale = 1.0 / _spread(theirs.density()) if width is None else width
    apart = _apart(ours.density() - theirs.density(), scale)
    noise, rescaling = _noise(ours, theirs, apart, scale, fixed=width is not None)
    floor = _floor(reference, scale)
    n = min(len(ours.weights), len(theirs.weights))
    margin = max(
        _widened(n, confidence) * float(np.quantile(noise + rescaling, 0.5 + confidence / 2)),
        floor * math.sqrt((1 / len(ours.weights) + 1 / len(theirs.weights)) / _parted(reference)),
    )
    observed = float(apart.mean())
    worst = f"most at {labels[int(np.argmax(apart))]}, {apart.max():.2g}" if len(labels) > 1 else ""
    parts = "halves" if len(reference) == 1 else "runs"
    notes = [note, worst, f"{parts} of the reference lie {floor:.2g} apart", f"{n} blocks" if n < 2 * FEWEST else ""]
    return Measurement(
        name=name,
        value=math.sqrt(max(0.0, observed**2 - float(noise.mean()) ** 2)),
        unit=unit,
        ci=(max(0.0, observed - margin), observed + margin),
        confidence=confidence,
        note="; ".join(filter(None, notes)),
    )


def _apart(difference: Floats, scale: Floats) -> Floats:
    """∫ |F - G| of each distribution, from the difference of their densities."""
    return np.asarray(np.abs(np.cumsum(difference, axis=1)).sum(axis=1) * scale)


def _spread(density: Floats) -> Floats:
    """Standard deviation of each distribution, in bins; that of a single bin where all lies in one."""
    bins = np.arange(density.shape[1])
    mean = density @ bins
    return np.asarray(np.sqrt(np.maximum(density @ bins**2 - mean**2, 0.0) + 1.0 / 12.0))


def _noise(ours: Blocks, theirs: Blocks, apart: Floats, scale: Floats, *, fixed: bool) -> tuple[Floats, Floats]:
    """By how much resampling the blocks of both moves their distributions, and by how much it rescales a distance."""
    random = np.random.default_rng(0)
    difference = ours.density() - theirs.density()
    noise, rescaling = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    drawn = zip(*(_draws(len(each.weights), random) for each in (ours, theirs)), strict=True)
    for i, (mine, other) in enumerate(drawn):
        reference = theirs.density(other)
        noise[i] = _apart(ours.density(mine) - reference - difference, scale).mean()
        rescaling[i] = 0.0 if fixed else abs((apart * (_spread(reference) * scale - 1.0)).mean())
    return noise, rescaling


def _draws(n: int, random: np.random.Generator) -> Floats:
    """How often each of n blocks is drawn, (RESAMPLES, n), spread out by what a resample's variance lacks."""
    counts = random.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    return np.asarray(1.0 + (counts - 1.0) * math.sqrt(n / max(n - 1, 1)))


def _widened(n: int, confidence: float) -> float:
    """Student's quantile over that of a Gaussian: n blocks know their own scatter only so well."""
    return float(stdtrit(n - 1, 0.5 + confidence / 2) / norm.ppf(0.5 + confidence / 2))


def _floor(reference: Sequence[Blocks], scale: Floats) -> float:
    """How far the reference lies from itself: its runs from one another, or the halves of a single one."""
    densities = [part.density() for part in _parts(reference)]
    return float(np.mean([_apart(a - b, scale).mean() for a, b in combinations(densities, 2)]))


def _parted(reference: Sequence[Blocks]) -> float:
    """Variance of the difference of two parts, in those of a block."""
    return 2.0 / float(np.mean([len(part.weights) for part in _parts(reference)]))


def _parts(reference: Sequence[Blocks]) -> Sequence[Blocks]:
    return reference[0].halves() if len(reference) == 1 else reference


def _internal_distance(
    name: str,
    sample: Sequence[Frames],
    reference: Sequence[Frames],
    start: Configuration,
    atoms: Pairs,
    confidence: float,
) -> Measurement:
    """Distance of bond lengths or angles, whichever `atoms` (n, 2) or (n, 3) define."""
    reason = _flaw([*sample, *reference]) if len(atoms) else f"{NOT_KNOWN}the start structure has none"
    if reason:
        return undefined(name, "1", reason, confidence)
    labels = ["-".join(_label(start, atom) for atom in row) for row in atoms.tolist()]
    coordinate = _lengths if atoms.shape[1] == 2 else _angles
    values = [[coordinate(frames.positions, atoms, start) for frames in runs] for runs in (sample, reference)]
    return _values_distance(name, values[0], values[1], labels, confidence)


def _values_distance(
    name: str, sample: list[Floats], reference: list[Floats], labels: list[str], confidence: float
) -> Measurement:
    """Distance of series of values, (n_frames, n_distributions) of each run, each distribution by itself."""
    every = [*sample, *reference]
    if not (np.concatenate(reference).std(axis=0) > 0.0).all():
        return undefined(name, "1", f"{NOT_KNOWN}the reference holds some of them fixed", confidence)
    low = np.min([each.min(axis=0) for each in every], axis=0)
    width = (np.max([each.max(axis=0) for each in every], axis=0) - low) * (1.0 + 1e-9) / BINS
    length = _block_length([_features(each) for each in every])
    blocks = [[_histograms(each, low, width, length) for each in runs] for runs in (sample, reference)]
    return blocks_distance(name, blocks[0], blocks[1], confidence=confidence, labels=labels)


def _features(values: Floats) -> Floats:
    """What may change slowly: the values themselves, and how widely they swing."""
    return np.concatenate([values, np.abs(values - values.mean(axis=0))], axis=1)


def _histograms(values: Floats, low: Floats, width: Floats, length: int) -> Blocks:
    bins = ((values - low) / width).astype(np.int64)
    n_blocks, n_distributions = len(values) // length, values.shape[1]
    block = np.minimum(np.arange(len(values)) // length, n_blocks - 1)  # what is left over joins the last
    flat = (block[:, None] * n_distributions + np.arange(n_distributions)) * BINS + bins
    counts = np.bincount(flat.ravel(), minlength=n_blocks * n_distributions * BINS)
    return Blocks(weights=counts.reshape(n_blocks, n_distributions, BINS).astype(np.float64))


def _rows_distance(
    name: str, sample: list[Floats], reference: list[Floats], confidence: float, note: str = ""
) -> Measurement:
    """Distance of histograms of every frame, (n_frames, n_bins) of each run."""
    bins = np.arange(BINS, dtype=np.float64)
    row = np.concatenate(reference).sum(axis=0)
    mean = float(row @ bins) / float(row.sum())
    moments = np.stack([np.ones(BINS), bins, np.abs(bins - mean)], axis=1)
    length = _block_length([each @ moments for each in (*sample, *reference)])
    blocks = [[_summed(each, length) for each in runs] for runs in (sample, reference)]
    return blocks_distance(name, blocks[0], blocks[1], confidence=confidence, note=note)


def _summed(rows: Floats, length: int) -> Blocks:
    begins = np.arange(len(rows) // length) * length
    return Blocks(weights=np.add.reduceat(rows, begins, axis=0)[:, None, :])


def _block_length(features: list[Floats]) -> int:
    """Frames in a block, for the slowest tenth of the features of the slowest run."""
    slow = max(float(np.quantile([autocorrelation_time(each) for each in run.T], 0.9)) for run in features)
    shortest = min(len(run) for run in features)
    return max(1, min(math.ceil(BLOCK * slow), shortest // FEWEST))


def _rdf_distance(
    sample: Sequence[Frames],
    reference: Sequence[Frames],
    start: Configuration,
    first: int,
    second: int,
    confidence: float,
) -> Measurement:
    name = f"rdf_distance_{symbol(first)}-{symbol(second)}"
    reason = _flaw([*sample, *reference])
    if reason:
        return undefined(name, "1", reason, confidence)
    pairs, weighted = _pairs(start.numbers, first, second), any(start.pbc)
    farthest = _farthest([*sample, *reference], start)
    rows = [
        [_distance_rows(frames, start, pairs, farthest, weighted=weighted)[0] for frames in runs]
        for runs in (sample, reference)
    ]
    if any(each.sum() == 0.0 for runs in rows for each in runs):
        return undefined(name, "1", f"{NOT_KNOWN}no such pair within {farthest:.2f} Å", confidence)
    return _rows_distance(name, rows[0], rows[1], confidence)


def _pairs(numbers: Integers, first: int, second: int) -> Pairs:
    i, j = np.triu_indices(len(numbers), 1)
    wanted = ((numbers[i] == first) & (numbers[j] == second)) | ((numbers[i] == second) & (numbers[j] == first))
    return np.stack([i[wanted], j[wanted]], axis=1)


def _farthest(runs: Sequence[Frames], start: Configuration) -> float:
    """Where histograms of distances end, Å: no farther than the cell allows, and beyond all atoms of an open one."""
    if any(start.pbc):
        return min(FARTHEST, narrowest(start) / 2)
    return 1.001 * max(float(np.linalg.norm(np.ptp(run.positions, axis=1), axis=1).max()) for run in runs)


def _distance_rows(
    frames: Frames, start: Configuration, pairs: Pairs, farthest: float, *, weighted: bool
) -> tuple[Floats, Floats]:
    """Histograms (n_frames, BINS) of the distances of pairs, and the edges of the bins."""
    edges = np.linspace(0.0, farthest, BINS + 1)
    rows = [_binned(np.linalg.norm(separations(each, pairs, start), axis=1), edges) for each in frames.positions]
    counts = np.array(rows, dtype=np.float64)
    middles = (edges[1:] + edges[:-1]) / 2
    return (counts / middles**2 if weighted else counts), edges


def _neighbour_angle_rows(frames: Frames, start: Configuration, cutoff: float) -> Floats:
    edges = np.linspace(0.0, 180.0, BINS + 1)
    return np.array([_binned(each, edges) for each in _neighbour_angles(frames, start, cutoff)], dtype=np.float64)


def _neighbour_angles(frames: Frames, start: Configuration, cutoff: float) -> Iterator[Floats]:
    for positions in frames.positions:
        pairs, _ = neighbour_pairs(positions, start, cutoff)
        yield _angles(positions, triples(pairs), start)


def _first_minimum(reference: Sequence[Frames], start: Configuration) -> float:
    i, j = np.triu_indices(len(start.numbers), 1)
    farthest = _farthest(reference, start)
    pairs = np.stack([i, j], axis=1)
    rows = [_distance_rows(each, start, pairs, farthest, weighted=True)[0].sum(axis=0) for each in reference]
    width = farthest / BINS
    smooth = np.convolve(np.sum(rows, axis=0), np.full(5, 1 / 5), mode="same")
    peaks = find_peaks(smooth, height=0.5 * smooth.max())[0]
    if not len(peaks):
        return farthest
    peak = int(peaks[0])
    return float((peak + np.argmin(smooth[peak : int(1.6 * peak) + 1])) * width)


def _binned(values: Floats, edges: Floats) -> Integers:
    """Counts in evenly spaced bins; values beyond the last edge are left out."""
    width = edges[1] - edges[0]
    bins = np.minimum((values[values <= edges[-1]] - edges[0]) / width, len(edges) - 2).astype(np.int64)
    return np.bincount(bins, minlength=len(edges) - 1)


def _lengths(positions: Floats, pairs: Pairs, start: Configuration) -> Floats:
    """Distances (..., n_pairs), Å."""
    return np.asarray(np.linalg.norm(separations(positions, pairs, start), axis=-1), dtype=np.float64)


def _angles(positions: Floats, angles: Pairs, start: Configuration) -> Floats:
    """Angles (..., n_angles), degrees."""
    left, right = (separations(positions, angles[:, [1, end]], start) for end in (0, 2))
    sizes = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    cosines = (left * right).sum(axis=-1) / np.maximum(sizes, np.finfo(np.float64).tiny)
    return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))))


def _label(start: Configuration, atom: int) -> str:
    return f"{symbol(int(start.numbers[atom]))}{atom}"


def _flaw(runs: Sequence[Frames]) -> str:
    if not runs:
        return f"{NOT_KNOWN}no frames were given"
    if any(not np.isfinite(run.positions).all() for run in runs):
        return "some positions are not finite"
    shortest = min(len(run.time) for run in runs)
    return f"{NOT_KNOWN}{shortest} frames; a comparison needs {SHORTEST}" if shortest < SHORTEST else ""
