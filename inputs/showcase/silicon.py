"""Make `silicon/` anew: crystalline silicon in LAMMPS by a linear ACE with all functions, by one that has lost some,
and by the potential that both were fitted to, as LAMMPS' own pair style.

From the root of the project, an hour or two on two cores; stopped at any moment, the same command goes on where it was:

    python inputs/showcase/silicon.py [OUTPUT] [--without NAME-ATOMS ...]

What is left out is told as not run on the page.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import jinja2
from make import keep, mdsuite, read, said, span

from mdsuite.structures import bundled_structures

HERE = Path(__file__).parent
KEPT = HERE / "silicon"
LOSSY = HERE.parent / "recipes" / "si-ace-lossy.toml"
HELD_OUT = HERE.parent / "data" / "silicon-sw-held-out.extxyz"
NATIVE = "native:silicon-sw"
NAMES = ("si-ace", "si-ace-lossy", "native")
NOT_RUN = "not run"
TEMPERATURE = 600
SIZES = {64: 5.0, 512: 2.0}
"""Atoms, and ps."""

EQUILIBRATED = 1.0  # ps, each by its own potential
TIMESTEP = 1.0  # fs
CAMPAIGN = """
engine = "{engine}"
models = ["{model}"]
structures = ["{structure}"]
follow_up = false
[dynamics]
temperature_K = {temperature}
timestep_fs = {timestep}
time_ps = {time_ps}
frame_steps = 5     # often enough for a spectrum
[preparation]
equilibrate_ps = {equilibrated}
"""


@dataclass(frozen=True)
class Trial:
    """A potential at a size.

    name : what it is called; source : what it is loaded from
    output : where everything goes; left_out : not to be run
    """

    name: str
    source: str
    n_atoms: int
    output: Path
    left_out: bool

    @property
    def label(self) -> str:
        """By which it is left out, and what its folders are called."""
        return f"{self.name}-{self.n_atoms}"

    @property
    def folder(self) -> Path:
        """Of its campaign."""
        return self.output / "run" / self.label

    @property
    def compared(self) -> Path:
        """Of its comparison with the native potential."""
        return self.output / "compared" / self.label

    def run(self) -> None:
        """Its campaign."""
        campaign = self.output / f"{self.label}.toml"
        campaign.write_text(
            CAMPAIGN.format(
                engine="lammps-native" if self.source == NATIVE else "lammps",
                model=self.source,
                structure=_structure(self.n_atoms, self.output).resolve(),
                temperature=TEMPERATURE,
                timestep=TIMESTEP,
                time_ps=SIZES[self.n_atoms],
                equilibrated=EQUILIBRATED,
            )
        )
        mdsuite("run", campaign, "--output", self.folder)

    def compare(self, native: Path) -> None:
        """Its structure and vibrations with those of the native potential."""
        if self.source != NATIVE:
            against = ("--reference", native, "--temperature-K", TEMPERATURE)
            mdsuite("analyze", self.folder, *against, "--output", self.compared)

    def row(self) -> dict[str, Any]:
        """What the page tells of it."""
        if self.left_out:
            told = {"verdict": NOT_RUN, "drift": NOT_RUN, "temperature": NOT_RUN}
            return {"name": self.name, "n_atoms": self.n_atoms, **told, "distances": {}, "outcomes": {}}
        run = read(self.folder)
        found = {each["name"]: each for each in run["measurements"]}
        compared = None if self.source == NATIVE else read(self.compared)
        distances = {} if compared is None else {each["name"]: each for each in _distances(compared)}
        return {
            "name": self.name,
            "n_atoms": self.n_atoms,
            "verdict": run["verdict"],
            "drift": said(found.get("mean_drift")),
            "temperature": span([each for each in run["measurements"] if each["name"] == "temperature_mean"]),
            "distances": distances,
            "outcomes": {
                distance: each["outcome"]
                for distance in distances
                for each in compared["verdicts"]
                if fnmatch.fnmatch(distance, each["measurement"])
            },
        }


def main(output: Path, without: Collection[str] = ()) -> None:
    """Fit the lossy basis, run everything but what is left out, compare with the native potential."""
    fitted = output / "fitted" / "si-ace-lossy.pt"
    if not fitted.is_file():  # fitted anew it may differ by rounding, and be another
        mdsuite("fit", LOSSY, "--output", output / "fitted")
    sources = dict(zip(NAMES, ("si-ace", str(fitted.resolve()), NATIVE), strict=True))
    trials = [
        Trial(name, source, n_atoms, output, left_out=f"{name}-{n_atoms}" in without)
        for n_atoms in SIZES
        for name, source in sources.items()
    ]
    done = [trial for trial in trials if not trial.left_out]
    for trial in done:
        trial.run()
    for trial in done:
        trial.compare(output / "run" / f"native-{trial.n_atoms}")
    limits = ("--data", HELD_OUT, "--train", HERE.parent / "data" / "silicon-sw.extxyz")
    mdsuite("compare", sources["si-ace"], sources["si-ace-lossy"], *limits, "--quick", "--output", output / "compare")
    KEPT.mkdir(exist_ok=True)
    (KEPT / "README.md").write_text(_page(output, [trial.row() for trial in trials]))
    keep(output / "compare", KEPT / "compare")
    for trial in done:
        keep(trial.folder, KEPT / trial.label)


def _page(output: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined).from_string(
        (HERE / "silicon.md.j2").read_text()
    )
    compared = read(output / "compare")
    return template.render(
        rows=rows,
        compared=compared,
        ratios=[each for each in compared["measurements"] if each["subject"].get("group") == "all"],
        distances=list(dict.fromkeys(name for row in rows for name in row["distances"])),
        sentences=list(_sentences(rows)),
        functions=[len(_functions(output, name)) for name in ("si-ace", "si-ace-lossy")],
        said=said,
        sizes=SIZES,
        temperature=TEMPERATURE,
        timestep=TIMESTEP,
        equilibrated=EQUILIBRATED,
        provenance=read(output / "run" / "si-ace-64")["provenance"],
    )


def _structure(n_atoms: int, output: Path) -> Path:
    """The bundled 64 atoms of a crystal at 300 K, repeated."""
    atoms = ase.io.read(bundled_structures()["silicon"])
    times = round((n_atoms / len(atoms)) ** (1 / 3))
    file = output / f"silicon-{n_atoms}.extxyz"
    output.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        ase.io.write(file, atoms.repeat(times), format="extxyz")
    return file


def _sentences(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the numbers of both sizes say, and no more."""
    for n_atoms in SIZES:
        full, lossy, native = ({row["name"]: row for row in rows if row["n_atoms"] == n_atoms}[name] for name in NAMES)
        if missing := [each["name"] for each in (full, lossy, native) if each["verdict"] == NOT_RUN]:
            yield f"{n_atoms} atoms: {', '.join(missing)} was not run; nothing is said of the three."
            continue
        alike = full["verdict"] == lossy["verdict"] == native["verdict"]
        verdicts = f"{full['verdict']}, {lossy['verdict']}, {native['verdict']}"
        why = "forces that are the gradient of an energy conserve it, whatever that energy is"
        yield (
            f"{n_atoms} atoms: energy conservation does not tell the three apart ({verdicts}); {why}."
            if alike
            else f"{n_atoms} atoms: verdicts differ ({verdicts})."
        )
        for name, of_full in full["distances"].items():
            of_lossy = lossy["distances"].get(name)
            if of_lossy is None or None in (*of_full["ci"], *of_lossy["ci"]):
                continue
            of = f"{n_atoms} atoms, {name.replace('_', ' ')}"
            if of_lossy["ci"][0] > of_full["ci"][1]:
                yield f"{of}: the lossy basis lies farther from the native potential than the full one."
            elif of_full["ci"][0] > of_lossy["ci"][1]:
                yield f"{of}: the full basis lies farther from the native potential than the lossy one."
            else:
                yield f"{of}: intervals overlap; these trajectories do not tell the two apart."


def _functions(output: Path, name: str) -> list[str]:
    """Of a fit, from its own record."""
    folder = output / "fitted"
    if not (folder / f"{name}.json").is_file():
        mdsuite("fit", HERE.parent / "recipes" / f"{name}.toml", "--output", folder)
    return list(json.loads((folder / f"{name}.json").read_text())["functions"])


def _distances(compared: Any) -> Iterator[Any]:
    yield from (each for each in compared["measurements"] if each["name"].startswith(("rdf_", "vdos_", "neighbour_")))


if __name__ == "__main__":
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("output", type=Path, nargs="?", default=Path("mdsuite-out/silicon"))
    told.add_argument("--without", nargs="*", default=[])
    given = told.parse_args()
    main(given.output, given.without)
