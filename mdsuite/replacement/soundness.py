"""The static checks of both models on a structure of the data, each through its driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdsuite.errors import InputError
from mdsuite.examination import GATES, Examination, Subject, beside, examine
from mdsuite.judgement.criteria import read_profile
from mdsuite.judgement.judge import Judged, Outcome
from mdsuite.linear.data import Labelled
from mdsuite.plan import Structure, require_supported
from mdsuite.replacement.sides import Side

MANY = 8
"""Atoms that a structure should have; the smallest of those that have as many is taken, or else the largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soundness:
    """Both examined on the same structure."""

    baseline: Examination
    candidate: Examination

    @property
    def pairs(self) -> list[tuple[Judged, Judged]]:
        """Each verdict on the baseline with that on the candidate."""
        return list(beside(self.baseline, self.candidate))

    @property
    def lost(self) -> list[Judged]:
        """Verdicts on the candidate that fail where those on the baseline do not."""
        return [b for a, b in self.pairs if b.outcome is Outcome.FAIL and a.outcome is not Outcome.FAIL]

    @property
    def open(self) -> list[Judged]:
        """Verdicts on the candidate that are open where the baseline passes."""
        undecided = (Outcome.INCONCLUSIVE, Outcome.NOT_RUN)
        return [b for a, b in self.pairs if b.outcome in undecided and a.outcome is Outcome.PASS]


def soundness(
    sides: Sequence[Side], labelled: Sequence[Labelled], folder: Path, *, trust: bool, told: Callable[[str], None]
) -> Soundness | str:
    """What the quick checks find, or why there is nothing: no structure that both models are for."""
    structure = _structure(sides, labelled)
    if structure is None:
        return "no structure of the data can be served by both models"
    found = []
    for k, each in enumerate(sides):
        told(f"static checks of {each.name} on {structure.name}")
        subject = Subject(source=each.source, card=each.card, trust=trust, threads=1)
        profile, names = read_profile("static"), GATES
        found.append(examine(subject, [structure], profile, folder / ("baseline", "candidate")[k], names=names))
    return Soundness(baseline=found[0], candidate=found[1])


def _structure(sides: Sequence[Side], labelled: Sequence[Labelled]) -> Structure | None:
    from ase import Atoms  # noqa: PLC0415  slow to import

    for each in sorted((each for each in labelled if each.n_atoms > 1), key=_preference):
        of = each.configuration
        atoms = Atoms(numbers=of.numbers, positions=of.positions, cell=of.cell, pbc=of.pbc)
        if all(_supported(side, atoms, each.name) for side in sides):
            return Structure(each.name, each.name.rpartition("/")[2], atoms)
    return None


def _preference(each: Labelled) -> tuple[bool, int]:
    return each.n_atoms < MANY, each.n_atoms if each.n_atoms >= MANY else -each.n_atoms


def _supported(side: Side, atoms: Any, name: str) -> bool:
    try:
        require_supported(side.card, atoms, name)
    except InputError:
        return False
    return True
