"""A recipe as its user writes it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from mdsuite.recipes import Section, read


class Molecule(Section):
    """What is sampled: a SMILES string, or a file that ASE reads.

    unseen : nothing is trained on it; its frames show what a student makes of molecules that it does not know
    snapshot : a thermal frame of it is written as a start structure
    """

    name: str
    smiles: str | None = None
    file: str | None = None
    unseen: bool = False
    snapshot: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Molecule:
        if (self.smiles is None) == (self.file is None):
            raise ValueError(f"molecule {self.name} needs either smiles or file")
        return self


class NormalModes(Section):
    """Training frames displaced from the relaxed molecule along its normal modes, as at a temperature."""

    temperatures_K: list[float] = Field(min_length=1)  # noqa: N815
    frames: int = Field(ge=1)


class Random(Section):
    """Training frames displaced from the relaxed molecule, every coordinate by chance, normally distributed."""

    amplitude_A: float = Field(gt=0)  # noqa: N815
    frames: int = Field(ge=1)


class Sampling(Section):
    """Langevin dynamics with the teacher, one trajectory for each molecule, conformer, role and temperature."""

    temperatures_K: list[float] = Field(min_length=1)  # noqa: N815  the unit's symbol
    steps: int = Field(ge=1)
    held_out_steps: int = Field(ge=1)
    every: int = Field(default=10, ge=1)
    equilibration_steps: int = Field(default=500, ge=0)
    timestep_fs: float = Field(default=1.0, gt=0)
    friction_per_fs: float = Field(default=0.02, gt=0)
    conformers: int = Field(default=1, ge=1)
    snapshot_temperature_K: float = Field(default=300.0, gt=0)  # noqa: N815
    normal_modes: NormalModes | None = None
    random: Random | None = None


class Student(Section):
    """A student and its sizes."""

    name: str
    hidden: int = Field(ge=2)
    n_interactions: int = Field(ge=1)
    n_rbf: int = Field(ge=1)
    cutoff: float = Field(default=5.0, gt=0, allow_inf_nan=False)


class Training(Section):
    """How students are fitted; force_weight in (eV/atom)²/(eV/Å)² beside an energy weight of one.

    compile : make one graph of loss and gradients; it takes minutes, and makes each step several times as fast
    patience : epochs without a better force on validation frames after which a fit ends, or None for never
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    force_weight: float = Field(default=1.0, ge=0)
    energy_weight: float = Field(default=10.0, ge=0)
    ema: float = Field(default=0.999, ge=0, lt=1)
    compile: bool = False
    patience: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)


class Recipe(Section):
    """Everything that decides distilled models: students of one teacher, of the same frames and the same training."""

    teacher: str = "gfn2-xtb"
    molecules: list[Molecule] = Field(min_length=1)
    sampling: Sampling
    students: list[Student] = Field(min_length=1)
    training: Training

    @model_validator(mode="after")
    def _names_are_unique(self) -> Recipe:
        for of, named in (("molecule", self.molecules), ("student", self.students)):
            names = [each.name for each in named]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two {of}s are called {', '.join(twice)}")
        if all(each.unseen for each in self.molecules):
            raise ValueError("every molecule is unseen, so there is none to train on")
        return self


def read_recipe(path: Path) -> Recipe:
    """A recipe from TOML; raises InputError naming what is wrong."""
    return read(path, Recipe, "a recipe")
