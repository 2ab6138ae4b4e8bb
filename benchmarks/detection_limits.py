"""The smallest strength at which a defect is found in 95 % of tries, by bisection in factors of two.

``python benchmarks/detection_limits.py [NAME ...] [--host argon] [--seeds 20] [--jobs 2]`` prints a Markdown table. A
try has directions, displacements, frames and velocities of its own. Static checks are carried out in process, and of
those that flag the defect at its default strength the cheapest alone, so that others may find weaker ones; what only
trajectories show is looked for by the trajectories of ``mdsuite selftest``, with real engines. A few tries scout, then
all decide.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import cast

from mdsuite.execution.stop import Stop
from mdsuite.judgement.criteria import Criterion, read_profile
from mdsuite.judgement.judge import Judged, Outcome, judge
from mdsuite.selftest.instruments import INSTRUMENTS, Bench
from mdsuite.selftest.trial import STAGES, STATIC, Case, choose
from mdsuite.structures import configuration, read_structure
from mdsuite_analysis.potential import Potential
from mdsuite_analysis.statics.every import CHECKS, Check
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import DOUBLE
from mdsuite_driver.zoo import ANIMALS

WANTED = 0.95
WEAKEST, STRONGEST = 20, -4  # factors of two below the default strength, between which the limit is sought
COST = ("locality", "symmetry", "precision", "repetition", "gradient", "curl", "vacuum", "company")  # cheapest first

Look = Callable[[Case, int], str]
"""The measurement of a case that fails first with a seed, or "" where none does."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
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


def checked(check: Check, case: Case, seed: int) -> str:
    """A look by one static check, in process."""
    model = load(case.setup.source)
    potential = cast("Potential", model.evaluate)  # the two rooms name the fields of a configuration alike
    asked = configuration(read_structure(STAGES[case.host].structure))
    measured = check.measure(potential, asked, model.card.cutoff, seed)
    return _first_failure(judge(by, each, {}) for each in measured for by in criteria() if by.measurement == each.name)


def integrated(instrument: str, case: Case, seed: int) -> str:
    """A look by trajectories."""
    setup = dataclasses.replace(case.setup, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(output=Path(folder), static=read_profile("static"), stop=Stop())
        finding = INSTRUMENTS[instrument](setup, Path(folder) / "runs", bench)
    if finding.reason:
        raise RuntimeError(f"{case.name}, {instrument}: {finding.reason}")
    return _first_failure(finding.judged)


def _first_failure(judged: Iterable[Judged]) -> str:
    return next((each.criterion.measurement for each in judged if each.outcome is Outcome.FAIL), "")


def cheapest(case: Case) -> Look | None:
    """What costs least of all that shows a defect at its default strength."""
    if "static" in case.animal.found_by:
        ordered = sorted(CHECKS, key=lambda check: COST.index(check.name) if check.name in COST else len(COST))
        looks: list[Look] = [partial(checked, check) for check in ordered]
    else:
        instruments = (each for each in case.instruments[::-1] if each != STATIC)
        looks = [partial(integrated, each) for each in instruments]
    return next((look for look in looks if look(case, 0)), None)


def tried(case: Case, look: Look, n: int, halvings: int) -> Tries:
    """Some tries at the default strength over so many factors of two; ends as soon as too many have missed."""
    weaker = dataclasses.replace(case, strength=case.strength * 2.0**-halvings)
    found: list[str] = []
    for seed in range(n):
        found.append(look(weaker, seed))
        so_far = Tries(flagged_by=tuple(found), n=n)
        if not so_far.reached:
            return so_far
    return so_far


def limit(case: Case, look: Look, scouts: int, seeds: int) -> tuple[int, Tries] | None:
    """Factors of two below the default at which tries are still found often enough, and those tries."""
    halvings = _scouted(partial(tried, case, look, scouts))
    while halvings >= STRONGEST:
        tries = tried(case, look, seeds, halvings)
        if tries.reached:
            return halvings, tries
        halvings -= 1
    return None


def _scouted(at: Callable[[int], Tries]) -> int:
    """The weakest strength that is found, if weaker ones are not."""
    found, missed = STRONGEST, WEAKEST + 1
    middle = 0
    while missed - found > 1:
        found, missed = (middle, missed) if at(middle).reached else (found, middle)
        middle = (found + missed) // 2
    return found


def row(name: str, host: str, scouts: int, seeds: int) -> str:
    """A line of the table."""
    animal = ANIMALS[name]
    case = Case(animal=animal, host=host, strength=animal.default_strength[host])
    look = cheapest(case)
    found = None if look is None else limit(case, look, scouts, seeds)
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
    parser.add_argument("names", nargs="*", metavar="NAME", help="of defects; all of the zoo")
    parser.add_argument("--scouts", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--host", default="argon", help="where a defect can be had on it; otherwise its own first")
    given = parser.parse_args()
    names = [case.animal.name for case in choose(given.names, all_hosts=False) if not case.twin]
    hosts = [given.host if given.host in ANIMALS[name].hosts else ANIMALS[name].hosts[0] for name in names]
    print("| Defect | Host | Unit of strength | Default | Found in 95 % of tries from | By |")
    print("|---|---|---|---|---|---|", flush=True)
    with ProcessPoolExecutor(max_workers=given.jobs) as pool:
        for line in pool.map(partial(row, scouts=given.scouts, seeds=given.seeds), names, hosts):
            print(line, flush=True)


if __name__ == "__main__":
    main()
