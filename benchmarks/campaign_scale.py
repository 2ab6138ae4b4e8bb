"""What a campaign costs beside its trajectories: plan, execute, gather and report, at several sizes.

    python benchmarks/campaign_scale.py [--sizes 100 1000 10000] [--planned 100000] [--jobs 2]

The engine costs nothing: atoms fly on straight lines, whose energies it knows. All else is as in any campaign: a
process of the engine for each run, its recording, its lock, its status, its record. The largest size is a share of a
campaign of `--planned` runs; the others are campaigns of their own. Memory is that of the command, the largest at any
time. Slopes are of the logarithm of the time for a run over that of their number: 0 where it does not grow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ENGINE = """
import numpy as np
from mdsuite.constants import KINETIC
from mdsuite.engines.kinds import NATIVE, EngineKind
from mdsuite.engines.recording import Frame, Segment


class Straight:
    build = "straight lines 1"

    def __init__(self, run, forces, log):
        self.run, self.forces = run, forces

    def begin(self):
        pass

    def resume(self, restart, conserved):
        pass

    def write_restart(self, path):
        path.write_bytes(b"nothing")

    def integrate(self, first, last):
        start, zeros = self.run.start, np.zeros_like(self.run.start.positions)
        steps = np.arange(first + (first > 0), last + 1)
        frames = [
            Frame(step=int(k), cell=start.cell, positions=start.positions + start.velocities * k * self.run.timestep,
                  velocities=start.velocities, forces=zeros, virial=np.zeros((3, 3)))
            for k in steps if k % self.run.frame_steps == 0
        ]
        self.forces.advanced(last)
        jitter = 1e-9 * np.random.default_rng(self.run.seed_of(first)).standard_normal(len(steps))
        return Segment(frames=frames, axes=np.eye(3), step=steps, potential_energy=jitter,
                       kinetic_energy=np.full(len(steps), start.kinetic_energy), conserved_energy=None)

    def close(self):
        pass


KIND = EngineKind(name="straight", title="Straight lines", forces=NATIVE, thermostats=(), open=Straight)
"""
CAMPAIGN = """
engine = "straight"
models = ["native:argon-lj"]
structures = ["{structure}"]
check = false
follow_up = false
[dynamics]
time_ps = 0.1
temperature_K = [40, 50, 60, 70, 80]
timestep_fs = [1, 2]
replicas = {replicas}
frame_steps = 10
"""
STRUCTURE = """4
Lattice="20 0 0 0 20 0 0 0 20" Properties=species:S:1:pos:R:3 pbc="T T T"
Ar 0 0 0
Ar 4 0 0
Ar 0 4 0
Ar 0 0 4
"""
RUNGS = 10


@dataclass(frozen=True)
class Cost:
    """Of a command: s, MB, and what it said last."""

    seconds: float
    memory: float
    said: str


def command(folder: Path, *arguments: object) -> Cost:
    """Carry out one, which must not be refused."""
    found = os.pathsep.join(filter(None, (str(folder / "packages"), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": found, "OMP_NUM_THREADS": "1"}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "mdsuite", *map(str, arguments)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1, 3):
        raise SystemExit("\n".join(lines[-5:]))
    return Cost(time.perf_counter() - begun, used.ru_maxrss / 1024.0, lines[-1] if lines else "")


def installed(folder: Path) -> None:
    """The engine, as another package would bring it."""
    packages = folder / "packages"
    (packages / "straight-1.dist-info").mkdir(parents=True)
    (packages / "straight_lines.py").write_text(ENGINE)
    (packages / "straight-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: straight\nVersion: 1\n")
    (packages / "straight-1.dist-info" / "entry_points.txt").write_text(
        "[mdsuite.engines]\nstraight=straight_lines:KIND\n"
    )
    (folder / "four.extxyz").write_text(STRUCTURE)


def one_size(folder: Path, n_runs: int, n_planned: int, jobs: int) -> list[tuple[str, Cost, int]]:
    """What a campaign of `n_planned` runs costs, of which a share of `n_runs` is carried out; each with its runs."""
    campaign, output = folder / f"{n_planned}.toml", folder / f"out-{n_planned}"
    campaign.write_text(CAMPAIGN.format(structure=folder / "four.extxyz", replicas=n_planned // RUNGS))
    shards = n_planned // n_runs
    planned = command(folder, "submit", campaign, "--shards", shards, "--dry-run", "--output", output)
    executed = command(folder, "run-shard", output, "--shard", f"0/{shards}", "--jobs", jobs)
    gathered = command(folder, "gather", output)
    again = command(folder, "gather", output)
    print(f"  {gathered.said}")
    return [
        ("plan and claim", planned, n_planned),
        ("execute and measure", executed, n_runs),
        ("gather and report", gathered, n_planned),
        ("the same again", again, n_planned),
    ]


def main() -> None:
    """Print a table, and slopes."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    told.add_argument("--planned", type=int, default=100_000)
    told.add_argument("--jobs", type=int, default=2)
    told.add_argument("--folder", type=Path)
    given = told.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="campaign-scale-"))
    installed(folder)
    costs: dict[str, dict[int, float]] = {}
    print(f"{'runs':>8}  {'of':>8}  {'':22} {'s':>9} {'ms a run':>9} {'MB':>7}")
    for size in given.sizes:
        planned = given.planned if size == max(given.sizes) else size
        for what, cost, n in one_size(folder, size, planned, given.jobs):
            costs.setdefault(what, {})[n] = 1e3 * cost.seconds / n
            print(f"{size:8d}  {planned:8d}  {what:22} {cost.seconds:9.2f} {costs[what][n]:9.3f} {cost.memory:7.0f}")
        sys.stdout.flush()
    for what, of in costs.items():
        if len(of) > 1:
            slope = np.polyfit(np.log(list(of)), np.log(list(of.values())), 1)[0]
            print(f"slope of {what}: {slope:+.3f}")
    shutil.rmtree(folder) if given.folder is None else None


if __name__ == "__main__":
    main()
