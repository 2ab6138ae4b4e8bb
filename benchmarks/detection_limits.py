"""The smallest strength at which the static checks find a defect in 95 % of tries, by bisection in factors of two.

``python benchmarks/detection_limits.py [NAME ...] [--host argon] [--seeds 20] [--jobs 2]`` prints a Markdown table. A
try has directions, displacements and frames of its own; checks are carried out in process, and of those that flag the
defect at its default strength the cheapest alone, so that others may find weaker ones. Three tries scout, then all
decide.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import cast

from mdsuite.judgement.criteria import Criterion, read_profile
from mdsuite.judgement.judge import Outcome, judge
from mdsuite.selftest.trial import STAGES, Case, choose
from mdsuite.structures import configuration, read_structure
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.potential import Potential
from mdsuite_analysis.statics.every import CHECKS, Check
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import DOUBLE
from mdsuite_driver.zoo import ANIMALS

WANTED = 0.95
SCOUTS = 3
WEAKEST, STRONGEST = 20, -4  # factors of two below the default strength, between which the limit is sought
COST = ("locality", "symmetry", "precision", "repetition", "gradient", "curl", "vacuum", "company")  # cheapest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """What came of some tries at one strength: the measurement that flagged, or "" where none did."""

    flagged_by: tuple[str, ...]
    n: int

    @property
    def reached(self) -> bool:
        """Whether enough were found, as far as they went."""
        missed = self.flagged_by.count("")
        return missed <= math.floor((1.0 - WANTED) * self.n + 1e-9)

    @property
    def most(self) -> str:
        """What flagged most often."""
        counts = Counter(name for name in self.flagged_by if name)
        return counts.most_common(1)[0][0] if counts else ""


@cache
def criteria() -> tuple[Criterion, ...]:
    """Those of the static checks, of a model that is said to compute in double precision, as the sound hosts do."""
    return tuple(each for each in read_profile("static").criteria if each.declared in ("", DOUBLE))


def flagged(case: Case, strength: float, check: Check, seed: int) -> str:
    """The measurement of a check that fails first, if any does."""
    model = load(case.animal.source(case.host, strength=strength))
    potential = cast("Potential", model.evaluate)  # the two rooms name the fields of a configuration alike
    asked = configuration(read_structure(STAGES[case.host].structure))
    measured = check.measure(potential, asked, model.card.cutoff, seed)
    return next((each.name for each in measured if _fails(each)), "")


def _fails(measurement: Measurement) -> bool:
    judging = (each for each in criteria() if each.measurement == measurement.name)
    return any(judge(each, measurement, {}).outcome is Outcome.FAIL for each in judging)


def tried(case: Case, check: Check, n: int, halvings: int) -> Tries:
    """Some tries at the default strength over so many factors of two; ends as soon as too many have missed."""
    strength = case.strength * 2.0**-halvings
    found: list[str] = []
    for seed in range(n):
        found.append(flagged(case, strength, check, seed))
        so_far = Tries(flagged_by=tuple(found), n=n)
        if not so_far.reached:
            return so_far
    return so_far


def limit(case: Case, check: Check, seeds: int) -> tuple[int, Tries] | None:
    """Factors of two below the default at which tries are still found often enough, and those tries."""
    halvings = _scouted(partial(tried, case, check, SCOUTS))
    while halvings >= STRONGEST:
        tries = tried(case, check, seeds, halvings)
        if tries.reached:
            return halvings, tries
        halvings -= 1
    return None


def _scouted(at: partial[Tries]) -> int:
    """The weakest strength that is found, if weaker ones are not."""
    found, missed = STRONGEST, WEAKEST + 1
    middle = 0
    while missed - found > 1:
        found, missed = (middle, missed) if at(middle).reached else (found, middle)
        middle = (found + missed) // 2
    return found


def row(name: str, host: str, seeds: int) -> str:
    """A line of the table."""
    animal = ANIMALS[name]
    case = Case(animal=animal, host=host, strength=animal.default_strength[host])
    ordered = sorted(CHECKS, key=lambda check: COST.index(check.name) if check.name in COST else len(COST))
    cheapest = next((check for check in ordered if flagged(case, case.strength, check, 0)), None)
    found = None if cheapest is None else limit(case, cheapest, seeds)
    head = f"| {case.animal.name} | {case.host} | {case.animal.unit_of_strength} | {case.strength:.3g} |"
    if found is None:
        return f"{head} not found | |"
    halvings, tries = found
    bound = "≤ " if halvings == WEAKEST else ""
    share = f"{len(tries.flagged_by) - tries.flagged_by.count('')}/{tries.n}"
    return f"{head} {bound}{case.strength * 2.0**-halvings:.3g} ({share}) | {tries.most} |"


def main() -> None:
    """Print the table, each row as soon as it and those before it are known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of defects; all that static checks find")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--host", default="argon", help="where a defect can be had on it; otherwise its own first")
    given = parser.parse_args()
    names = [case.animal.name for case in choose(given.names, all_hosts=False) if not case.twin]
    names = [name for name in names if "static" in ANIMALS[name].found_by]
    hosts = [given.host if given.host in ANIMALS[name].hosts else ANIMALS[name].hosts[0] for name in names]
    print("| Defect | Host | Unit of strength | Default | Found in 95 % of tries from | By |")
    print("|---|---|---|---|---|---|", flush=True)
    with ProcessPoolExecutor(max_workers=given.jobs) as pool:
        for line in pool.map(partial(row, seeds=given.seeds), names, hosts):
            print(line, flush=True)


if __name__ == "__main__":
    main()
