"""Causes: what the evidence attributes a failure to, by the names that other programs rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

CUTOFF_DISCONTINUITY = "cutoff_discontinuity"
NON_CONSERVATIVE_FORCES = "non_conservative_forces"
TIMESTEP = "timestep"
PRECISION = "precision"
STALE_NEIGHBOUR_LIST = "stale_neighbour_list"
NONDETERMINISM = "nondeterminism"
NOT_TRANSLATION_INVARIANT = "not_translation_invariant"
NOT_ROTATION_INVARIANT = "not_rotation_invariant"
NOT_PERMUTATION_INVARIANT = "not_permutation_invariant"
NOT_EXTENSIVE = "not_extensive"
VIRIAL_INCONSISTENT = "virial_inconsistent"
ENGINE_MISMATCH = "engine_mismatch"
UNIT_MISMATCH = "unit_mismatch"
WRONG_POTENTIAL = "wrong_potential"

REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        CUTOFF_DISCONTINUITY: "let energy and forces go to zero smoothly at the cut-off (the envelope after the last "
        "bias of every filter, no limit on the number of neighbours); a shorter timestep does not help",
        NON_CONSERVATIVE_FORCES: "make the forces the gradient of the energy; until then run NVT only, with a friction "
        "that takes the heat, and watch the temperatures of the elements",
        TIMESTEP: "shorten the timestep",
        PRECISION: "compute in double precision, or at least sum energies and distances in it",
        STALE_NEIGHBOUR_LIST: "the answer depends on what was asked before: renew neighbour lists in time, and keep "
        "nothing else between evaluations",
        NONDETERMINISM: "the same positions do not give the same answer: look for random numbers, dropout, or "
        "summation in an order that changes",
        NOT_TRANSLATION_INVARIANT: "the answer depends on where the system is: use differences of positions alone",
        NOT_ROTATION_INVARIANT: "the answer depends on how the system is turned: no free matrix may act on Cartesian "
        "components",
        NOT_PERMUTATION_INVARIANT: "the answer depends on the order of the atoms: sum over neighbours without order",
        NOT_EXTENSIVE: "systems far apart feel each other: let the energy be a sum over atoms of what is within the "
        "cut-off",
        VIRIAL_INCONSISTENT: "the virial is not the derivative of the energy by the strain: do not run at constant "
        "pressure with it",
        UNIT_MISMATCH: "energies must be in eV and forces in eV/Å, of positions in Å: convert what the model answers",
        ENGINE_MISMATCH: "the driver's process gives other answers than the model does elsewhere: look at environment, "
        "threads, device and versions, and at what the model keeps between calls",
        WRONG_POTENTIAL: "energy is conserved, but on the wrong surface: train on configurations like those that the "
        "trajectories went to",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A cause with its evidence.

    share : of the drift, or None where it is not one of a drift
    evidence : names of the measurements that show it
    sentence : the same with the numbers
    """

    name: str
    share: float | None
    evidence: tuple[str, ...]
    remedy: str
    sentence: str


def together(causes: Sequence[Cause]) -> list[Cause]:
    """Each cause once, with all of its evidence; the first to name it has the first word."""
    merged: dict[str, Cause] = {}
    for each in causes:
        known = merged.get(each.name)
        merged[each.name] = (
            each
            if known is None
            else replace(
                known,
                share=each.share if known.share is None else known.share,
                evidence=tuple(dict.fromkeys((*known.evidence, *each.evidence))),
                sentence=f"{known.sentence}; {each.sentence}",
            )
        )
    return list(merged.values())
