"""Make everything in this folder anew: forces, trajectories, cards, and what they say of the seed's claims.

From the root of the project, with the seed students' weights where `campaign.toml` has them; an hour or two on two
cores:

    python inputs/showcase/make.py [OUTPUT]

Stopped at any moment, the same command goes on where it was. README.md is written beside this file.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from mdsuite.report import words

HERE = Path(__file__).parent
CAMPAIGN = HERE / "campaign.toml"
HELD_OUT = HERE / "held-out.extxyz"
CONTROL = "ase:mdsuite_driver.zoo:wrong_potential?host=student"
CONTROL_PS, CONTROL_FS = 2.0, 0.1
"""In its hot drop atoms come within 0.2 Å of each other, where steps of 0.5 fs are the integrator's error."""
SEED_START = "../shared/data/seed_students/molecule_0.extxyz"
LIMIT = 1.0
"""meV/atom/ps, of the drift that production-nve allows."""

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """What was measured of a model: its forces, its trajectories, and static checks where they were made."""

    source: str
    forces: Json
    run: Json
    check: Json | None = None

    @property
    def name(self) -> str:
        """As reports call it."""
        return str(self.forces["models"][0]["name"])

    @property
    def n_parameters(self) -> int | None:
        """Of the model."""
        return self.forces["models"][0]["n_parameters"]

    def force(self, name: str, **subject: str) -> Json | None:
        """A measurement of forces."""
        return next((m for m in self.forces["measurements"] if m["name"] == name and m["subject"] == subject), None)

    def dynamics(self, name: str, structure: str) -> list[Json]:
        """A measurement of trajectories from one start."""
        wanted = {"model": self.name, "structure": structure}
        return [m for m in self.run["measurements"] if m["name"] == name and wanted.items() <= m["subject"].items()]

    @property
    def is_seed(self) -> bool:
        """Whether it is a student of the seed documents."""
        return self.is_of_seed(self.source)

    @staticmethod
    def is_of_seed(source: str) -> bool:
        """Whether a source is a student of the seed documents."""
        return "seed_students" in source

    @property
    def r2(self) -> Json:
        """R² of force components, of all frames."""
        return next(m for m in self.forces["measurements"] if m["name"] == "force_r2_component" and not m["subject"])

    def conserves(self, structure: str) -> bool:
        """Whether the interval of the mean drift lies within what is allowed."""
        (drift,) = self.dynamics("mean_drift", structure)
        return None not in drift["ci"] and max(map(abs, drift["ci"])) <= LIMIT

    @property
    def verdict(self) -> str:
        """On all of it."""
        return next(str(each["verdict"]) for each in self.run["models"] if each["name"] == self.name)


def main(output: Path) -> None:
    """Carry out every command, and write what they found."""
    campaign = tomllib.loads(CAMPAIGN.read_text())
    models = campaign["models"]
    missing = [each for each in models if each.endswith(".pt") and not Path(each).is_file()]
    if missing:
        sys.exit(f"wanted the weights of all models of {CAMPAIGN}, but there is no {', '.join(missing)}")
    forces = {source: output / "forces" / f"{k}" for k, source in enumerate([*models, CONTROL])}
    for source, folder in forces.items():
        mdsuite("forces", source, "--reference", HELD_OUT, "--output", folder)
    checks = {source: output / "check" / f"{k}" for k, source in enumerate(models)}
    for source, folder in checks.items():
        mdsuite("check", source, "--structure", campaign["structures"][0], "--output", folder)
    mdsuite("run", CAMPAIGN, "--output", output / "run")
    control = ("--engine", "lammps", "--structure", "ethanol", "--time-ps", CONTROL_PS)
    control += ("--timestep-fs", CONTROL_FS, "--no-follow-up")
    mdsuite("run", "--model", CONTROL, *control, "--output", output / "control")
    # Where the seed students begin, and with a timestep that leaves the integrator little to answer for.
    seeds = [flag for each in models if Found.is_of_seed(each) for flag in ("--model", each)]
    fine = ("--engine", "lammps", "--structure", SEED_START, "--timestep-fs", 0.1, "--time-ps", 0.5)
    mdsuite("run", *seeds, *fine, "--no-check", "--no-follow-up", "--output", output / "causes")
    told = [
        flag
        for folder in [output / "run", *(of[each] for of in (forces, checks) for each in models)]
        for flag in ("--from", folder)
    ]
    mdsuite("card", *models, *told, "--output", output / "cards")
    run, of_control, of_causes = (read(output / name) for name in ("run", "control", "causes"))
    found = [Found(source, read(forces[source]), run, read(checks[source])) for source in models]
    starts = list(dict.fromkeys(each["subject"]["structure"] for each in run["runs"]))
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined).from_string(
        (HERE / "README.md.j2").read_text()
    )
    (HERE / "README.md").write_text(
        template.render(
            models=found,
            control=Found(CONTROL, read(forces[CONTROL]), of_control),
            starts=starts,
            said=said,
            span=span,
            static=run["causes"],
            dynamic=[each for each in of_causes["causes"] if each["share"] is not None],
            dynamics=campaign["dynamics"],
            provenance=run["provenance"],
        )
    )
    for folder in ("run", "cards"):
        keep(output / folder, HERE / folder)


def mdsuite(command: str, *arguments: object) -> None:
    """A command of mdsuite; exit codes that are verdicts are no error, all others end this one."""
    words_of = [sys.executable, "-m", "mdsuite", command, *map(str, arguments)]
    code = subprocess.run(words_of, check=False).returncode
    if code not in (0, 1, 3):
        sys.exit(code)


def read(folder: Path) -> Json:
    """What a command has found."""
    return dict(json.loads((folder / "results.json").read_text()))


def keep(made: Path, kept: Path) -> None:
    """Copy reports, cards and pictures; trajectories are made anew. Paths are told from the root of the project."""
    for file in [*made.glob("*.md"), *made.glob("figures/*.png")]:
        target = kept / file.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        if file.suffix == ".md":
            root = Path.cwd()
            target.write_text(file.read_text().replace(str(root), ".").replace(str(root.parent), ".."))


def said(measurement: Json | None, digits: int = 3) -> str:
    """A value with its interval."""
    if measurement is None or measurement["value"] is None:
        return "not measured"
    unit = "" if measurement["unit"] == "1" else f" {measurement['unit']}"
    low, high = measurement["ci"]
    value = words.number(measurement["value"], digits)
    return (
        f"{value}{unit}"
        if low == high
        else (f"{value} [{words.number(low, digits)}, {words.number(high, digits)}]{unit}")
    )


def span(measurements: Sequence[Json], digits: int = 3) -> str:
    """The least and the largest value of replicas."""
    values = [each["value"] for each in measurements if each["value"] is not None]
    if not values:
        return "not measured"
    unit = "" if measurements[0]["unit"] == "1" else f" {measurements[0]['unit']}"
    counted = all(each == round(each) for each in values)
    low, high = (
        f"{each:.0f}" if counted else words.number(round(each, 9), digits) for each in (min(values), max(values))
    )
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "mdsuite-out/showcase"))
