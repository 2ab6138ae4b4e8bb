"""Causes that the static checks name: what a model is found to be, whatever a trajectory does with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mdsuite.judgement.causes import (
    CUTOFF_DISCONTINUITY,
    ENGINE_MISMATCH,
    NON_CONSERVATIVE_FORCES,
    NONDETERMINISM,
    NOT_EXTENSIVE,
    NOT_PERMUTATION_INVARIANT,
    NOT_ROTATION_INVARIANT,
    NOT_TRANSLATION_INVARIANT,
    PRECISION,
    REMEDIES,
    STALE_NEIGHBOUR_LIST,
    UNIT_MISMATCH,
    VIRIAL_INCONSISTENT,
    Cause,
)
from mdsuite.judgement.judge import Judged, Outcome
from mdsuite.judgement.units import mixed_units
from mdsuite_analysis.measurement import Measurement

UNREPEATED = "unrepeated_failures"
MUTATED = "input_mutated"
TURNED = ("rotation_energy_spread", "rotation_force_spread")
MIRRORED = ("reflection_energy_spread", "reflection_force_spread")
"""By themselves these show that left and right differ, which is no dependence on how the system is turned."""

_SHOWN_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        NONDETERMINISM: ("repeatability_energy", "repeatability_force", UNREPEATED),
        STALE_NEIGHBOUR_LIST: ("history_energy", "history_force", MUTATED),
        PRECISION: ("effective_digits", "effective_energy_resolution"),
        UNIT_MISMATCH: ("force_energy_factor",),
        CUTOFF_DISCONTINUITY: (
            "cutoff_energy_jump",
            "cutoff_force_jump",
            "cutoff_force_jump_relative",
            "force_beyond_cutoff",
            "bond_energy_jump",
        ),
        NON_CONSERVATIVE_FORCES: ("force_energy_consistency", "jacobian_asymmetry", "loop_work"),
        NOT_TRANSLATION_INVARIANT: ("translation_energy_spread", "translation_force_spread"),
        NOT_ROTATION_INVARIANT: (*TURNED, *MIRRORED),
        NOT_PERMUTATION_INVARIANT: ("permutation_energy_spread", "permutation_force_spread"),
        NOT_EXTENSIVE: ("extensivity_error", "locality_error"),
        VIRIAL_INCONSISTENT: ("virial_consistency",),
        ENGINE_MISMATCH: ("driver_parity",),
    }
)
"""In the order in which one may bring about another: what is random fails every later check by that alone."""


def static_causes(judged: Sequence[Judged]) -> list[Cause]:
    """Every cause that a failed check shows, each with the failures that show it, the worst structure first."""
    failed = _unexplained(judged)
    causes = []
    for name, shown_by in _SHOWN_BY.items():
        evidence = [each for each in failed if each.criterion.measurement in shown_by]
        if evidence:
            causes.append(_cause(name, evidence))
    return causes


SYMMETRIES = (NOT_TRANSLATION_INVARIANT, NOT_ROTATION_INVARIANT, NOT_PERMUTATION_INVARIANT, NOT_EXTENSIVE)
BEYOND_CHANCE = 3.0
"""Times what repeating shows, from which a difference comes from memory and not from chance."""


def _unexplained(judged: Sequence[Judged]) -> list[Judged]:
    """Failures with a number, without those that another failure brings about by itself.

    Random answers differ after another question as they do after the same; what remembers need not fail twice. What
    changes with the call or with what was asked before differs between any two frames, and its energies alone make
    sound forces look like no derivative. Coarse answers differ between images of one frame and step everywhere; forces
    that are no derivative make a virial that is none; forces in other units than the energy are no derivative of it;
    far atoms and copies change the order of the others.
    """
    failed = [each for each in judged if each.outcome is Outcome.FAIL and not math.isnan(_value_of(each))]
    names = {each.criterion.measurement for each in failed}
    explained: set[str] = set()
    chance = {each.criterion.measurement: each for each in failed}
    for kind in ("energy", "force"):
        memory, random = chance.get(f"history_{kind}"), chance.get(f"repeatability_{kind}")
        if memory and random and not _value_of(memory) > BEYOND_CHANCE * _value_of(random):
            explained.add(f"history_{kind}")
    if names & {*_SHOWN_BY[STALE_NEIGHBOUR_LIST]}:
        explained.add(UNREPEATED)
    unsteady = names & {*_SHOWN_BY[NONDETERMINISM], *_SHOWN_BY[STALE_NEIGHBOUR_LIST]}
    if unsteady:
        explained |= {name for cause in (PRECISION, ENGINE_MISMATCH, CUTOFF_DISCONTINUITY) for name in _SHOWN_BY[cause]}
    if unsteady - {MUTATED} and not {each for each in unsteady if each.endswith("_force")}:
        explained |= {*_SHOWN_BY[NON_CONSERVATIVE_FORCES]}
    if unsteady or names & {*_SHOWN_BY[PRECISION]}:
        explained |= {name for cause in (*SYMMETRIES, VIRIAL_INCONSISTENT) for name in _SHOWN_BY[cause]}
    if names & {*_SHOWN_BY[PRECISION]} and "cutoff_energy_jump" not in names:
        explained |= {"cutoff_force_jump", "cutoff_force_jump_relative"}
    if names & {*_SHOWN_BY[NOT_PERMUTATION_INVARIANT]}:
        explained |= {*_SHOWN_BY[NOT_EXTENSIVE]}
    if not names & {*TURNED}:
        explained |= {*MIRRORED}
    if "force_energy_consistency" in names:
        explained |= {*_SHOWN_BY[VIRIAL_INCONSISTENT]}
    slipped = any(_units_of(each) for each in failed)
    explained |= {"force_energy_consistency"} if slipped else {*_SHOWN_BY[UNIT_MISMATCH]}
    return [each for each in failed if each.criterion.measurement not in explained]


def _units_of(judged: Judged) -> str | None:
    """What energies and forces are in, where it is that which a failure shows."""
    factor = judged.criterion.measurement in _SHOWN_BY[UNIT_MISMATCH]
    return mixed_units(judged.measurement) if factor and judged.measurement is not None else None


def _value_of(judged: Judged) -> float:
    return math.nan if judged.measurement is None else judged.measurement.value


def _cause(name: str, evidence: Sequence[Judged]) -> Cause:
    worst: dict[str, Judged] = {}
    for each in evidence:
        known = worst.get(each.criterion.measurement)
        if known is None or _excess(each) > _excess(known):
            worst[each.criterion.measurement] = each
    return Cause(
        name=name,
        share=None,
        evidence=tuple(worst),
        remedy=REMEDIES.get(name, evidence[0].criterion.remedy),
        sentence="; ".join(_told(each) for each in worst.values()),
    )


def _excess(judged: Judged) -> float:
    """How far a measurement is beyond its limit, in limits."""
    measurement, (low, high) = judged.measurement, judged.limit
    if measurement is None or not math.isfinite(measurement.value):
        return float("inf")
    limit = high if high is not None else low
    return abs(measurement.value / limit) if limit else abs(measurement.value)


def _told(judged: Judged) -> str:
    measurement = judged.measurement
    if measurement is None:
        return f"{judged.criterion.label}: not measured"
    low, high = judged.limit
    bound = f"at most {high:.3g}" if high is not None else f"at least {low:.3g}"
    unit = "" if measurement.unit == "1" else f" {measurement.unit}"
    where = ", ".join(measurement.subject[key] for key in ("pair", "structure") if key in measurement.subject)
    units = _units_of(judged)
    meant = f", as of {units}" if units else ""
    if measurement.name == UNREPEATED:
        meant = f": {measurement.note}"
    return f"{judged.criterion.label}: {_value(measurement)}{unit} for {where} ({bound}{unit} is accepted){meant}"


def _value(measurement: Measurement) -> str:
    if measurement.ci is None:
        return f"{measurement.value:.3g}"
    return f"{measurement.value:.3g} [{measurement.ci[0]:.3g}, {measurement.ci[1]:.3g}]"
