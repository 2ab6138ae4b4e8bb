"""Energy error against timestep of Lennard-Jones argon in LAMMPS, beside what physical_validation publishes.

    python benchmarks/lj_argon.py [--replicas 4] [--time-ps 4] [--timestep-fs 4 2 1] [--output FOLDER]
    python benchmarks/lj_argon.py --shipped FOLDER

A thousand atoms of liquid argon at 87 K, cut off at 10 Å, with three ends of the potential: truncated (``lj/cut``),
truncated and shifted (``pair_modify shift``), and its force switched off smoothly (``lj/gromacs``). The published
ratios of the rms of the total energy from one timestep to its half are those of Merz and Shirts,
doi:10.1371/journal.pone.0202764, as in ``doc/examples/integrator_validation.ipynb`` of physical_validation.

``--shipped`` names an installed or unpacked ``physical_validation`` (1.0.5); the energies of its test system Argon1000,
the switched potential, are then analysed by the same function.
"""

import argparse
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from ase.units import fs

from mdsuite.runs import Run, read_run
from mdsuite_analysis.convergence import timestep_order
from mdsuite_analysis.read import read_energies, read_frames
from mdsuite_analysis.series import EnergySeries

SIDE, BOX, TEMPERATURE = 10, 36.014, 87.0  # atoms, Å, K
ARGON = "pair_coeff * * 0.01083193 3.345"  # 1.045128 kJ/mol
ENDS = {
    "none": ["pair_style lj/cut 10.0", ARGON],
    "shift": ["pair_style lj/cut 10.0", "pair_modify shift yes", ARGON],
    "switch": ["pair_style lj/gromacs 9.0 10.0", ARGON],
}
PUBLISHED = {"none": "0.99 1.11 0.99 0.98", "shift": "3.62 3.31 4.81 2.35", "switch": "3.87 4.02 3.93 4.02"}
SHIPPED = (0.004, 0.002, 0.001, 0.0005, 0.00025)  # ps
SHIPPED_SPACING = 0.004  # ps; only its evenness enters


def main() -> None:
    """Run, analyse, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--time-ps", type=float, default=4.0)
    parser.add_argument("--timestep-fs", type=float, nargs="+", default=[4.0, 2.0, 1.0])
    parser.add_argument("--output", type=Path, default=Path("lj-argon"))
    parser.add_argument("--shipped", type=Path)
    asked = parser.parse_args()
    if asked.shipped:
        told("switch", dict(shipped(asked.shipped)), PUBLISHED["switch"])
        return
    asked.output.mkdir(parents=True, exist_ok=True)
    models = [potential(asked.output, name) for name in ENDS]
    starts = liquids(asked.output, asked.replicas)
    ladder = ["--velocities", "file", "--time-ps", f"{asked.time_ps}", *flags("--timestep-fs", asked.timestep_fs)]
    runs = mdsuite(asked.output / "nve", *flags("--model", models), *flags("--structure", starts), *ladder)
    for name in ENDS:
        told(name, series([(run, folder) for run, folder in runs if run.model_name == name]), PUBLISHED[name])


def flags(name: str, values: Sequence[object]) -> list[str]:
    """The same flag for each value."""
    return [word for value in values for word in (name, str(value))]


def mdsuite(output: Path, *words: str) -> list[tuple[Run, Path]]:
    """What a campaign of runs in LAMMPS leaves behind."""
    command = [sys.executable, "-m", "mdsuite", "run", "--engine", "lammps-native", "--output", str(output), *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode in (2, 75):
        raise SystemExit(done.stdout + done.stderr)
    return [(read_run(folder), folder) for folder in sorted((output / "runs").iterdir())]


def potential(output: Path, name: str) -> str:
    """A file with LAMMPS' lines of one end of the potential."""
    path = output / f"{name}.toml"
    lines = ", ".join(f'"{line}"' for line in ENDS[name])
    path.write_text(f'name = "{name}"\nelements = ["Ar"]\ncommands = [{lines}]\n')
    return f"native:{path}"


def liquids(output: Path, n_replicas: int) -> list[Path]:
    """Equilibrated configurations with velocities, from a lattice that a thermostat has melted."""
    grid = np.stack(np.meshgrid(*[np.arange(SIDE)] * 3), axis=-1).reshape(-1, 3) * (BOX / SIDE)
    lattice = output / "lattice.extxyz"
    write(lattice, Atoms("Ar" * len(grid), positions=grid, cell=[BOX] * 3, pbc=True))
    settings = ["--ensemble", "nvt", "--temperature-K", f"{TEMPERATURE}", "--time-ps", "20", "--timestep-fs", "4"]
    several = ["--relaxation-ps", "0.5", "--replicas", f"{n_replicas}", "--structure", str(lattice)]
    runs = mdsuite(output / "nvt", "--model", potential(output, "switch"), *several, *settings)
    return [liquid(output / f"liquid-{run.replica}.extxyz", run, folder) for run, folder in runs]


def liquid(path: Path, run: Run, folder: Path) -> Path:
    """The last configuration of a run, as a file."""
    frames = read_frames(folder)
    atoms = Atoms(run.start.numbers, frames.positions[-1], cell=run.start.cell, pbc=True)
    atoms.set_masses(run.start.masses)
    atoms.set_velocities(frames.velocities[-1] / (1000.0 * fs))
    atoms.wrap()
    write(path, atoms)
    return path


def series(runs: Sequence[tuple[Run, Path]]) -> dict[float, list[EnergySeries]]:
    """Energies by timestep, the replicas in one order."""
    found = defaultdict(list)
    for run, folder in sorted(runs, key=lambda each: each[0].structure):
        found[run.timestep].append(read_energies(folder))
    return found


def shipped(package: Path) -> Iterator[tuple[float, list[EnergySeries]]]:
    """The energies that physical_validation's tests come with, kJ/mol; their unit does not enter."""
    for timestep in SHIPPED:
        energy = np.loadtxt(package / f"tests/test_system_database/Argon1000/{timestep}/constant_of_motion.dat")
        steps = np.arange(len(energy))
        yield timestep, [EnergySeries(step=steps, time=SHIPPED_SPACING * steps, total_energy=energy, n_atoms=1000)]


def told(name: str, ladder: dict[float, list[EnergySeries]], published: str) -> None:
    """One potential's table on the standard output."""
    measured = {each.name: each for each in timestep_order(ladder)}
    print(f"{name}: published ratios {published}")
    for each in measured.values():
        interval = f"[{each.ci[0]:.3g}, {each.ci[1]:.3g}]" if each.ci else ""
        print(f"  {each.name:28s} {each.value:8.3g} {interval:20s} {each.unit}")
    for note in dict.fromkeys(each.note for each in measured.values()):
        print(f"  {note}")


if __name__ == "__main__":
    main()
