"""Labelled frames divided into those that are trained on, chosen by and held out; none is in two of these."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdsuite.errors import InputError
from mdsuite.fitting.recipe import Labels, Split
from mdsuite.fitting.sampling import HELD_OUT, TRAIN, VALIDATION
from mdsuite.linear.data import Labelled as Frame

DIGITS = 6
"""Of positions, Å, to which two frames are the same; files have eight."""

SAME_LABEL = 1e-3
"""eV and eV/Å, up to which two labels of one frame are the same: more than one program scatters by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A frame, the file that it is in, and its place there; `labels` tells what it may be for."""

    labels: Labels
    place: int
    frame: Frame
    identity: str

    @property
    def role(self) -> str | None:
        """What it is for, or None where that is drawn."""
        return HELD_OUT if self.labels.unseen else self.labels.role


def placed(labels: Labels, frames: Sequence[Frame]) -> list[Placed]:
    """The frames of a file."""
    return [Placed(labels=labels, place=k, frame=each, identity=_identity(each)) for k, each in enumerate(frames)]


def _identity(frame: Frame) -> str:
    """Hash of elements and of rounded positions and lattice vectors."""
    of = frame.configuration
    rounded = [np.round(each, DIGITS) + 0.0 for each in (of.cell[list(of.pbc)], of.positions)]  # + 0.0: there is a -0.0
    return hashlib.sha256(b"".join([of.numbers.tobytes(), bytes(of.pbc), *(e.tobytes() for e in rounded)])).hexdigest()


def without_duplicates(frames: Sequence[Placed]) -> list[Placed]:
    """Each frame once: where it is held out rather than chosen by, and there rather than trained on.

    Raises InputError where one frame has two different labels.
    """
    precedence = [HELD_OUT, VALIDATION, None, TRAIN]
    first: dict[str, Placed] = {}
    for each in sorted(frames, key=lambda each: precedence.index(each.role)):
        _require_same_labels(first.setdefault(each.identity, each).frame, each.frame)
    return [each for each in frames if first[each.identity] is each]


def _require_same_labels(one: Frame, other: Frame) -> None:
    (energy, of_one), (also, of_other) = one.labels, other.labels
    energies, forces = abs(energy - also), float(np.abs(of_one - of_other).max())
    if max(energies, forces) > SAME_LABEL:
        raise InputError(
            f"{one.name} and {other.name} are the same atoms at the same places, but their energies differ by "
            f"{energies:.3g} eV and their forces by {forces:.3g} eV/Å; wanted labels of one level of theory: leave one "
            "of them out"
        )


def roles(frames: Sequence[Placed], split: Split) -> list[str]:
    """What each frame is for: as its file says, or as is drawn by the seed for blocks of each file."""
    drawn: dict[str, str] = {}
    for name in dict.fromkeys(each.labels.called for each in frames):
        open_ones = [each for each in frames if each.labels.called == name and each.role is None]
        drawn |= _drawn([[each.identity for each in block] for block in _blocks(open_ones, split.block)], split)
    return [each.role or drawn[each.identity] for each in frames]


def _blocks(frames: Sequence[Placed], size: int) -> Iterator[list[Placed]]:
    blocks: dict[int, list[Placed]] = {}
    for each in frames:
        blocks.setdefault(each.place // size, []).append(each)
    yield from blocks.values()


def _drawn(blocks: Sequence[Sequence[str]], split: Split) -> Mapping[str, str]:
    """By a hash of seed and content, so that neither names nor the order in a file matter."""
    ordered = sorted(blocks, key=lambda block: hashlib.sha256(f"{split.seed} {' '.join(block)}".encode()).hexdigest())
    n_held_out, n_validation = (_count(share, len(blocks)) for share in (split.held_out, split.validation))
    of = [HELD_OUT] * n_held_out + [VALIDATION] * n_validation + [TRAIN] * len(blocks)
    return {identity: role for block, role in zip(ordered, of, strict=False) for identity in block}


def _count(share: float, n: int) -> int:
    return max(1, round(share * n)) if share else 0
