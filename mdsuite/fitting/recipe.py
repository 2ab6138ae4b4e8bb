"""A recipe as its user writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from mdsuite.linear.data import Keys
from mdsuite.recipes import Section, read, tables

A_RECIPE = "a recipe"


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


class Labels(Section):
    """A file of frames with energies, eV, and forces, eV/Å, of any format that ASE reads; cells are used.

    file : relative to the recipe; FILE@INDEX for some of its frames, as ase.io counts them
    name : what errors are told of; the file's without its ending where it is not given
    energy, forces, group : under which names the file holds them, and the type of configuration
    role : what all of its frames are for, or None where they are divided
    unseen : nothing is trained on frames like these, so that all of them are held out
    """

    file: str
    name: str = ""
    energy: str = "energy"
    forces: str = "forces"
    group: str = "config_type"
    role: Literal["train", "validation", "held-out"] | None = None
    unseen: bool = False

    @model_validator(mode="after")
    def _unseen_are_held_out(self) -> Labels:
        if self.unseen and self.role not in (None, "held-out"):
            raise ValueError(f"labels {self.called} are unseen, so their role is 'held-out', not {self.role!r}")
        return self

    @property
    def path(self) -> Path:
        """The file alone."""
        return Path(self.file.partition("@")[0])

    @property
    def called(self) -> str:
        """The name, given or not."""
        return self.name or self.path.stem

    @property
    def keys(self) -> Keys:
        """The names of its columns."""
        return Keys(energy=self.energy, forces=self.forces, group=self.group)


class Split(Section):
    """How the frames of a file without a role are divided; whatever is neither of the two is trained on.

    validation, held_out : shares, drawn from each file by the seed and by what the frames are, not by their order
    block : so many frames that follow one another in a file stay together
    """

    validation: float = Field(default=0.1, ge=0, lt=1)
    held_out: float = Field(default=0.1, ge=0, lt=1)
    block: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _some_is_left(self) -> Split:
        if self.validation + self.held_out >= 1:
            raise ValueError("validation and held_out take all frames, so that there is none to train on")
        return self


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
    """Everything that decides some models: students of the same frames and the same training."""

    students: list[Student] = Field(min_length=1)
    training: Training

    @model_validator(mode="after")
    def _students_are_told_apart(self) -> Recipe:
        _require_unique("students", [each.name for each in self.students])
        return self


class SampledRecipe(Recipe):
    """Students of a teacher that labels frames which it samples."""

    teacher: str = "gfn2-xtb"
    molecules: list[Molecule] = Field(min_length=1)
    sampling: Sampling

    @model_validator(mode="after")
    def _some_molecule_is_trained_on(self) -> SampledRecipe:
        _require_unique("molecules", [each.name for each in self.molecules])
        if all(each.unseen for each in self.molecules):
            raise ValueError("every molecule is unseen, so there is none to train on")
        return self


class LabelledRecipe(Recipe):
    """Students of frames that are labelled already, all at one level of theory.

    level_of_theory : in words, for the card; no number is decided by it
    """

    labels: list[Labels] = Field(min_length=1)
    level_of_theory: str = ""
    split: Split = Split()

    @model_validator(mode="before")
    @classmethod
    def _no_teacher(cls, given: Any) -> Any:  # whatever TOML can hold
        if also := [name for name in ("teacher", "molecules", "sampling") if name in given]:
            raise ValueError(
                f"wanted either labels or a teacher's molecules, got labels and {', '.join(also)}: their energies have "
                "no common zero, and their forces are those of two potentials. Make two recipes, or write what the "
                "teacher labels into a file and leave the other labels out"
            )
        return given

    @model_validator(mode="after")
    def _some_file_is_trained_on(self) -> LabelledRecipe:
        _require_unique("labels", [each.called for each in self.labels])
        if all(each.unseen or each.role not in (None, "train") for each in self.labels):
            raise ValueError("no labels are trained on: every file is unseen, or has another role than 'train'")
        return self


def _require_unique(of: str, names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two {of} are called {', '.join(twice)}")


def read_recipe(path: Path) -> SampledRecipe | LabelledRecipe:
    """A recipe from TOML, by whether it has labels; raises InputError naming what is wrong."""
    if "labels" in tables(path, A_RECIPE):
        return read(path, LabelledRecipe, A_RECIPE)
    return read(path, SampledRecipe, A_RECIPE)
