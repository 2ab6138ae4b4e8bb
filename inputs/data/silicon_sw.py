"""Silicon labelled by LAMMPS' own Stillinger-Weber potential, for fits of linear models.

    python inputs/data/silicon_sw.py

writes `silicon-sw.extxyz` (to fit) and `silicon-sw-held-out.extxyz` beside this file in
less than a minute. The same seed gives the same structures on the same machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import bulk, make_supercell
from ase.calculators.lammpslib import LAMMPSlib
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from mdsuite.engines.mpi import preload_mpi

HERE = Path(__file__).parent
POTENTIAL = HERE.parent / "native" / "Si.sw"
LATTICE = 5.431  # Å
TEMPERATURES = (300.0, 600.0, 1200.0)
LIQUID = 3000.0
FEMTOSECOND = units.fs


def calculator() -> LAMMPSlib:
    """LAMMPS with its pair style sw."""
    commands = ["pair_style sw", f"pair_coeff * * {POTENTIAL} Si"]
    return LAMMPSlib(lmpcmds=commands, atom_types={"Si": 1}, keep_alive=True)


def strained(atoms: Atoms, rng: np.random.Generator, strain: float, shaken: float) -> Atoms:
    """The lattice and the atoms moved by chance."""
    moved = atoms.copy()
    deformation = np.eye(3) + rng.normal(0.0, strain, (3, 3))
    moved.set_cell(atoms.cell[:] @ deformation, scale_atoms=True)
    moved.positions += rng.normal(0.0, shaken, moved.positions.shape)
    return moved


def beta_tin() -> Atoms:
    """The high-pressure phase, c/a = 0.55, at a volume between those of both phases."""
    a = 4.9
    cell = [[a, 0, 0], [0, a, 0], [0, 0, 0.55 * a]]
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.0, 0.5, 0.25], [0.5, 0.0, 0.75]]
    return Atoms("Si4", scaled_positions=places, cell=cell, pbc=True)


def sampled(atoms: Atoms, temperature: float, rng: np.random.Generator, n: int, every: int) -> Iterator[Atoms]:
    """Frames of a Langevin trajectory."""
    moving = atoms.copy()
    moving.calc = calculator()
    random = np.random.RandomState(rng.integers(2**32))
    MaxwellBoltzmannDistribution(moving, temperature_K=temperature, rng=random)
    dynamics = Langevin(
        moving, FEMTOSECOND, temperature_K=temperature, friction=0.02 / FEMTOSECOND, fixcm=False, rng=random
    )
    dynamics.run(500)
    for _ in range(n):
        dynamics.run(every)
        yield moving.copy()


def structures(seed: int, share: int) -> Iterator[tuple[str, Atoms]]:
    """Of every type; `share` is how many of each."""
    rng = np.random.default_rng(seed)
    diamond = bulk("Si", "diamond", a=LATTICE)
    for _ in range(2 * share):
        yield "dia", strained(diamond, rng, 0.03, 0.1)
        yield "bt", strained(beta_tin(), rng, 0.03, 0.1)
    cubic = bulk("Si", "diamond", a=LATTICE, cubic=True)
    solid = make_supercell(cubic, 2 * np.eye(3, dtype=int))
    for temperature in TEMPERATURES:
        yield from (("md", each) for each in sampled(solid, temperature, rng, share, 200))
    yield from (("liq", each) for each in sampled(solid, LIQUID, rng, share, 200))


def labelled(group: str, atoms: Atoms, by: LAMMPSlib) -> Atoms:
    """With energy, forces and virial."""
    asked = atoms.copy()
    asked.wrap()
    asked.calc = by
    energy, forces, stress = asked.get_potential_energy(), asked.get_forces(), asked.get_stress(voigt=False)
    told = Atoms(asked.numbers, positions=asked.positions, cell=asked.cell, pbc=asked.pbc)
    told.info.update(config_type=group, virial=-asked.get_volume() * stress)
    told.calc = SinglePointCalculator(told, energy=energy, forces=forces)
    return told


def main() -> None:
    """Write both files."""
    preload_mpi()
    by = calculator()
    lone = Atoms("Si", positions=[[10.0, 10.0, 10.0]], cell=20.0 * np.eye(3), pbc=True)
    for name, seed, share in (("silicon-sw", 0, 5), ("silicon-sw-held-out", 1, 3)):
        found = [labelled("isolated_atom", lone, by)] if seed == 0 else []
        found += [labelled(group, atoms, by) for group, atoms in structures(seed, share)]
        ase.io.write(HERE / f"{name}.extxyz", found, format="extxyz")
        print(f"{name}.extxyz: {len(found)} structures, {sum(map(len, found))} atoms")


if __name__ == "__main__":
    sys.exit(main())
