"""What a run gains from a driver that an earlier run has left: short runs with drivers that are kept, and without.

    python benchmarks/kept_drivers.py [--model painn-ultra-tiny] [--structure ethanol] [--runs 4] [--rounds 3]

Rounds of both kinds follow each other in turn, each of `--runs` runs of one chunk, one at a time. Printed are the
seconds of a run, engine and all, medians over rounds with their extremes, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from mdsuite.campaign import read_campaign
from mdsuite.execution.drivers import Drivers
from mdsuite.execution.supervise import Status, supervise
from mdsuite.plan import Plan, claim, make_plan


def asked(model: str, structure: str, runs: int) -> Plan:
    """Short runs of a model."""
    dynamics = {"time_ps": 0.05, "replicas": runs}
    given = {"engine": "lammps", "models": [model], "structures": [structure], "check": False, "follow_up": False}
    return make_plan(read_campaign(None, given, dynamics=dynamics))


def seconds_per_run(plan: Plan, keep: int) -> float:
    """Of a new campaign."""
    with tempfile.TemporaryDirectory() as folder:
        claim(plan, Path(folder) / "campaign")
        began = time.perf_counter()
        with Drivers(keep) as drivers:
            for run in plan.all_runs:
                ended = supervise(plan.folder(Path(folder) / "campaign", run), drivers=drivers)
                assert ended.status is Status.DONE, ended
        return (time.perf_counter() - began) / len(plan.all_runs)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="painn-ultra-tiny")
    parser.add_argument("--structure", default="ethanol")
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    plan = asked(told.model, told.structure, told.runs)
    taken: dict[int, list[float]] = {1: [], 0: []}
    for _ in range(told.rounds):
        for keep, each in taken.items():
            each.append(seconds_per_run(plan, keep))
    for keep, each in taken.items():
        name = "drivers are kept" if keep else "a driver for each run"
        print(f"{name}: {statistics.median(each):.2f} s a run ({min(each):.2f} to {max(each):.2f})")
    print(f"ratio: {statistics.median(taken[0]) / statistics.median(taken[1]):.2f}")


if __name__ == "__main__":
    main()
