"""Causes of a drift, named by the energy ledger alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mdsuite.judgement.causes import (
    CUTOFF_DISCONTINUITY,
    NON_CONSERVATIVE_FORCES,
    NONDETERMINISM,
    PRECISION,
    REMEDIES,
    STALE_NEIGHBOUR_LIST,
    TIMESTEP,
    UNIT_MISMATCH,
    Cause,
)
from mdsuite_analysis.measurement import Measurement

MINOR = 0.05
"""A smaller share of the energy change is not named."""

Found = Mapping[str, Measurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one entry of the ledger carries of the energy changes of some runs.

    share : of the sum of all entries' sizes
    rate : meV/atom/ps, of the run with the largest
    """

    entry: str
    share: float
    rate: Measurement
    run: Found


def drift_causes(ledgers: Sequence[Found], *, mixed_units: bool = False) -> list[Cause]:
    """Every cause that carries more than a minor part, the largest first.

    Sizes of all entries that are told from zero are summed over the runs, so that what cancels in one energy change
    does not hide; what the ledger leaves unexplained has a share too, but is no cause.

    Parameters
    ----------
    ledgers : sequence of mappings
        Measurements of the ledger of each run, by their names.
    mixed_units : bool
        Whether the static checks have found forces and energies in different units; the work that such forces do beyond
        the energy is then no other defect.

    """
    names = {**_NAMES, "engine": _mismatch(ledgers)}
    if mixed_units:
        names["work"] = UNIT_MISMATCH
    return [
        Cause(
            name=names[each.entry],
            share=each.share,
            evidence=tuple(name for name in _EVIDENCE[each.entry] if name in each.run),
            remedy=REMEDIES[names[each.entry]],
            sentence=_SENTENCES[each.entry](each),
        )
        for each in shares(ledgers)
        if each.entry in names and each.share >= MINOR
    ]


def mismatch_causes(ledgers: Sequence[Found]) -> list[Cause]:
    """What is wrong with answers that the runs were given, whatever it did to their energy.

    What random forces do to the energy is a random walk, which a short run may not tell from zero, and a wrong answer
    now and then moves it little; they are named all the same.
    """
    random = max((_chance(each) for each in ledgers), default=0.0)
    differing = [each for each in ledgers if _low(each, "engine_steps") > 0.0]
    told = [f"asked the same question again, the model answers with forces that differ by up to {random:.3g} eV/Å"]
    evidence = ["repeatability_force"]
    if not random:
        if not differing:
            return []
        most = max(differing, key=lambda each: each["engine_steps"].value)
        alone = most.get("engine_steps_alone")
        told = [f"on {_percent(most['engine_steps'])} of the steps the run was given another answer than a fresh one"]
        told += [f"on {_percent(alone)} of these a single one, between right ones"] if _known(alone) else []
        evidence = ["engine_steps", "engine_steps_alone"]
    name = _mismatch(ledgers)
    return [Cause(name=name, share=None, evidence=tuple(evidence), remedy=REMEDIES[name], sentence="; ".join(told))]


def _mismatch(ledgers: Sequence[Found]) -> str:
    """Chance, or memory.

    Answers to the same question that differ come from chance; so do those that are wrong by themselves, between right
    ones. What comes from memory is wrong for a while.
    """
    alone = any(each["engine_steps_alone"].value > 0.5 for each in ledgers if "engine_steps_alone" in each)
    return NONDETERMINISM if alone or any(_chance(each) for each in ledgers) else STALE_NEIGHBOUR_LIST


def _chance(found: Found) -> float:
    """By how much forces differ from answer to answer, eV/Å; 0 where that is rounding, or not known."""
    measured = found.get("repeatability_force")
    return measured.value if measured is not None and math.isfinite(measured.value) else 0.0


def _low(found: Found, name: str) -> float:
    measured = found.get(name)
    return measured.ci[0] if measured is not None and measured.ci is not None else 0.0


def shares(ledgers: Sequence[Found]) -> list[Share]:
    """What every entry that is told from zero carries, the largest first."""
    sizes: dict[str, float] = {}
    largest: dict[str, tuple[Measurement, Found]] = {}
    for found in ledgers:
        for entry, rate in _told_from_zero(found):
            sizes[entry] = sizes.get(entry, 0.0) + abs(rate.value)
            if entry not in largest or abs(rate.value) > abs(largest[entry][0].value):
                largest[entry] = rate, found
    total = math.fsum(sizes.values())
    ranked = sorted(sizes, key=lambda entry: -sizes[entry])
    return [Share(entry=e, share=sizes[e] / total, rate=largest[e][0], run=largest[e][1]) for e in ranked]


def _told_from_zero(found: Found) -> Iterator[tuple[str, Measurement]]:
    for entry in (*_NAMES, "engine", "unexplained"):
        rate = found.get(f"ledger_{entry}")
        if rate is None or not math.isfinite(rate.value) or rate.value == 0.0:
            continue
        low, high = rate.ci or (rate.value, rate.value)
        if not low <= 0.0 <= high and (entry != "jump" or _jumped(found)):
            yield entry, rate


def _jumped(found: Found) -> bool:
    """Whether the energy was seen to jump; a sum of noises may be told from zero by chance."""
    steps = found.get("jump_steps")
    return steps is not None and steps.ci is not None and steps.ci[0] > 0.0


def _jumps(each: Share) -> str:
    steps, crossing = each.run.get("jump_steps"), each.run.get("crossing_share")
    where = f" on the {_percent(steps)} of steps on which the energy jumps" if steps else ""
    pairs = f"; a pair crosses the cut-off on {_percent(crossing)} of them, by size" if _known(crossing) else ""
    return f"{_part(each)} sits{where}{pairs}; halving the timestep will not help"


def _work(each: Share) -> str:
    return f"{_part(each)} is work of forces that are no gradient of the energy; halving the timestep will not help"


def _quadrature(each: Share) -> str:
    return f"{_part(each)} is the integrator's own error along the step, which a shorter timestep makes smaller"


def _precision(each: Share) -> str:
    return f"{_part(each)} is rounding: it is not there when the model computes in double precision"


def _engine(each: Share) -> str:
    return (
        f"{_part(each)} comes from energies or forces that the run was given, but that a fresh evaluation of the same "
        "positions does not give"
    )


def _part(each: Share) -> str:
    low, high = each.rate.ci or (each.rate.value, each.rate.value)
    return (
        f"{100.0 * each.share:.0f} % of the energy change ({each.rate.value:+.3g} [{low:.3g}, {high:.3g}] "
        "meV/atom/ps where it is largest)"
    )


def _percent(of: Measurement | None) -> str:
    return "unknown part" if of is None else f"{100.0 * of.value:.3g} %"


def _known(of: Measurement | None) -> bool:
    return of is not None and math.isfinite(of.value)


def unexplained(ledgers: Iterable[Found]) -> Measurement | None:
    """The largest energy change that a ledger leaves unexplained, if any has been measured."""
    found = [each["ledger_unexplained"] for each in ledgers if "ledger_unexplained" in each]
    finite = [each for each in found if math.isfinite(each.value)]
    return max(finite, key=lambda each: abs(each.value)) if finite else None


_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "jump": CUTOFF_DISCONTINUITY,
        "work": NON_CONSERVATIVE_FORCES,
        "quadrature": TIMESTEP,
        "precision": PRECISION,
    }
)
_SENTENCES: Mapping[str, Callable[[Share], str]] = MappingProxyType(
    {"jump": _jumps, "work": _work, "quadrature": _quadrature, "precision": _precision, "engine": _engine}
)
_EVIDENCE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "jump": ("ledger_jump", "ledger_jump_share", "jump_steps", "crossing_share"),
        "work": ("ledger_work", "ledger_work_share"),
        "quadrature": ("ledger_quadrature", "ledger_quadrature_share"),
        "precision": ("ledger_precision", "ledger_precision_share"),
        "engine": ("ledger_engine", "ledger_engine_share", "engine_steps", "engine_steps_alone", "repeatability_force"),
    }
)
