"""Frames that are labelled already, from files: read, refused where they are no labels, and divided."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.errors import InputError
from mdsuite.fitting.division import Placed, placed, roles, without_duplicates
from mdsuite.fitting.recipe import LabelledRecipe, Labels
from mdsuite.fitting.sampling import HELD_OUT, MOST_WITHOUT_LABEL, TRAIN, VALIDATION, Excerpt, Labelled
from mdsuite.fitting.work import Work, require_same_units, work_of
from mdsuite.linear.data import UNGROUPED, read_stored
from mdsuite.linear.data import Labelled as Frame
from mdsuite.structures import CLOSEST, perpendicular_widths, question
from mdsuite_analysis.elements import SYMBOLS
from mdsuite_analysis.potential import Configuration

FLATTEST = 1e-3  # Å, between opposite faces of a periodic cell

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFile:
    """A file of labels, and what became of its frames.

    file : as the recipe has it
    sha256 : of the file's bytes
    frames : how many there are for each purpose
    without_label : how many were dropped for labels that are not finite
    duplicates : how many were dropped because they are there already
    work_over_energy : how many times the work of the forces is what the energies fall by, or None if not known
    """

    name: str
    file: str
    sha256: str
    unseen: bool
    frames: Mapping[str, int]
    without_label: int
    duplicates: int
    work_over_energy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    labels: Labels
    sha256: str
    n_frames: int
    kept: list[Placed]
    work: Work


def read_labels(recipe: LabelledRecipe, folder: Path, say: Say) -> tuple[list[Labelled], list[LabelFile]]:
    """The frames of a recipe's files, which are relative to a folder, each for one purpose, and what the files are.

    Raises InputError for files that are missing, empty or unreadable, frames that lack an energy or forces, have an
    unknown element, a cell that is none or atoms that overlap, where more than one frame in a hundred has labels that
    are not finite, for forces in other units than the derivatives of the energies, for one frame with two labels, and
    where nothing is left to train on, to choose by or to hold out.
    """
    files = [_read(each, folder, say) for each in recipe.labels]
    _require_labels(files, say)
    found = [each for file in files for each in file.kept]
    kept = without_duplicates(found)
    if len(kept) < len(found):
        say(f"{len(found) - len(kept)} of {len(found)} frames dropped: the same atoms are at the same places in others")
    of = roles(kept, recipe.split)
    _require_all_roles(of)
    return list(_labelled(kept, of)), [_told(file, kept, of) for file in files]


def _read(labels: Labels, folder: Path, say: Say) -> _Read:
    path = folder / labels.path
    if not path.is_file():
        raise InputError(f"wanted labelled frames, but there is no file {path}; name it relative to the recipe")
    frames = read_stored([folder / labels.file], labels.keys)
    for each in frames:
        _require_complete(each, labels)
    kept = [each for each in placed(labels, frames) if _finite(each.frame)]
    finite = [each.frame for each in kept]
    for each in finite:
        _require_sound(each)
    work = work_of(finite)
    require_same_units(work, labels.file)
    say(f"{labels.called}: {len(frames)} frames of {labels.file}, {_checked(work)}")
    return _Read(
        labels=labels,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        n_frames=len(frames),
        kept=kept,
        work=work,
    )


def _checked(work: Work) -> str:
    if work.factor is None:
        return f"units of energies and forces not compared ({work.n_steps} steps between close frames)"
    return f"work of the forces {work.factor:.3f} times what the energies fall by ({work.n_steps} steps)"


def _require_complete(frame: Frame, labels: Labels) -> None:
    for kind, name, label in (("energy", labels.energy, frame.energy), ("forces", labels.forces, frame.forces)):
        if label is None:
            raise InputError(
                f"wanted an energy and forces in every frame, but {frame.name} has nothing under the name {name!r}; "
                f'name its column in [[labels]], as in {kind} = "dft_{kind}", or take the frame out'
            )


def _finite(frame: Frame) -> bool:
    of = frame.configuration
    return all(np.isfinite(each).all() for each in (*frame.labels, of.positions, of.cell))


def _require_sound(frame: Frame) -> None:
    from mdsuite_driver.models.neighbours import vectors_within  # noqa: PLC0415  takes time

    of = frame.configuration
    if of.numbers.min() < 1 or of.numbers.max() > len(SYMBOLS):
        wrong = of.numbers[(of.numbers < 1) | (of.numbers > len(SYMBOLS))][0]
        raise InputError(f"{frame.name}: wanted elements from H to {SYMBOLS[-1]}, got an atom with Z = {wrong}")
    if not width(of) > FLATTEST:
        raise InputError(f"{frame.name}: the cell {of.cell.tolist()} is flat where it is periodic; repair the file")
    i, j, vectors = vectors_within(question(of), CLOSEST)
    if len(i):
        raise InputError(
            f"{frame.name}: atoms {i[0]} and {j[0]} are {np.linalg.norm(vectors[0]):.3f} Å apart, at least {CLOSEST} Å "
            "are wanted; positions are in Å"
        )


def width(of: Configuration) -> float:
    """Smallest distance between opposite periodic faces, Å, zero for a cell that is none, infinite without cell."""
    from ase.geometry import complete_cell  # noqa: PLC0415  slow to import

    periodic = np.array(of.pbc)
    if not periodic.any():
        return np.inf
    cell = complete_cell(of.cell)
    if not of.cell[periodic].any(axis=1).all() or np.linalg.det(cell) == 0.0:
        return 0.0
    return float(perpendicular_widths(cell)[periodic].min())


def _require_labels(files: Sequence[_Read], say: Say) -> None:
    n, lost = sum(each.n_frames for each in files), [each.n_frames - len(each.kept) for each in files]
    if any(lost):
        say(f"{sum(lost)} of {n} frames dropped: energy and forces are not finite")
    if sum(lost) > MOST_WITHOUT_LABEL * n:
        worst = files[int(np.argmax(lost))].labels.file
        raise InputError(
            f"{sum(lost)} of {n} frames, most of them of {worst}, have no finite energy and forces; at most "
            f"{MOST_WITHOUT_LABEL:.0%} may be dropped. See why they are there, and take them out of the file"
        )


def _require_all_roles(of: Sequence[str]) -> None:
    counts = {role: of.count(role) for role in (TRAIN, VALIDATION, HELD_OUT)}
    if not all(counts.values()):
        raise InputError(
            "wanted frames to train on, to choose the best epoch by, and to hold out, got "
            + ", ".join(f"{n} for {role}" for role, n in counts.items())
            + "; give more frames, other shares or a smaller block in [split], or files with a role of their own"
        )


def _labelled(frames: Sequence[Placed], of: Sequence[str]) -> Iterator[Labelled]:
    """Frames of the same atoms together, in the order of the first of them."""
    together: dict[tuple[str, str, bytes, tuple[bool, bool, bool]], list[Placed]] = {}
    for each, role in zip(frames, of, strict=True):
        atoms = each.frame.configuration
        together.setdefault((_subject(each), role, atoms.numbers.tobytes(), atoms.pbc), []).append(each)
    for (subject, role, _, pbc), members in together.items():
        arrays = {
            "positions": np.stack([each.frame.configuration.positions for each in members]),
            "energies": np.array([each.frame.labels[0] for each in members]),
            "forces": np.stack([each.frame.labels[1] for each in members]),
            "cells": np.stack([each.frame.configuration.cell for each in members]),
        }
        numbers, unseen = members[0].frame.configuration.numbers, members[0].labels.unseen
        content = [f"{subject} {role} {unseen} {pbc}".encode(), *(e.tobytes() for e in (numbers, *arrays.values()))]
        key = hashlib.sha256(b"".join(content)).hexdigest()[:16]
        portion = Excerpt(subject=subject, role=role, unseen=unseen, key=key)
        yield Labelled(portion=portion, wanted=len(members), numbers=numbers, pbc=pbc, **arrays)


def _subject(of: Placed) -> str:
    """The name of a file, with the type of configuration where frames have one."""
    return of.labels.called if of.frame.group == UNGROUPED else f"{of.labels.called}, {of.frame.group}"


def _told(file: _Read, kept: Sequence[Placed], of: Sequence[str]) -> LabelFile:
    mine = [role for each, role in zip(kept, of, strict=True) if each.labels is file.labels]
    return LabelFile(
        name=file.labels.called,
        file=file.labels.file,
        sha256=file.sha256,
        unseen=file.labels.unseen,
        frames={role: mine.count(role) for role in (TRAIN, VALIDATION, HELD_OUT)},
        without_label=file.n_frames - len(file.kept),
        duplicates=len(file.kept) - len(mine),
        work_over_energy=file.work.factor,
    )
