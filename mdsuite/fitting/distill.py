"""A recipe carried out: get labelled frames, fit students, measure them on held-out frames, write them down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdsuite.errors import InputError
from mdsuite.files import whole, write_json
from mdsuite.fitting.accuracy import ALIKE, SEEN, Accuracy, accuracies
from mdsuite.fitting.labels import LabelFile, read_labels, width
from mdsuite.fitting.recipe import LabelledRecipe, Recipe, SampledRecipe, Student, read_recipe
from mdsuite.fitting.sampling import HELD_OUT, TRAIN, VALIDATION, Labelled, sample, snapshots
from mdsuite.fitting.student_card import of_labels, of_molecules, student_card
from mdsuite_analysis.elements import symbol
from mdsuite_analysis.potential import Configuration
from mdsuite_driver.models.painn import PaiNN, checkpoint

if TYPE_CHECKING:
    from mdsuite.fitting.train import Epoch

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Distillation:
    """A recipe on its way: where it is written, which frames it has, and who hears of it.

    label_files : which the frames are from, of a recipe that has such
    """

    recipe: SampledRecipe | LabelledRecipe
    file: Path
    output: Path
    labelled: Sequence[Labelled]
    label_files: Sequence[LabelFile]
    device: str
    say: Say

    def of(self, role: str) -> list[Labelled]:
        """The frames for one purpose."""
        return [each for each in self.labelled if each.portion.role == role]

    def state(self, student: Student) -> Path:
        """Where a fit is kept: of this student with this training and these labels, and no other."""
        keys = [each.portion.key for each in self.labelled]
        decided_by = [student.model_dump(), self.recipe.training.model_dump(), keys]
        identity = hashlib.sha256(json.dumps(decided_by).encode()).hexdigest()[:12]
        return self.output / f"state-{student.name}-{identity}.pt"


def distill(
    recipe_path: Path, output: Path, workers: int, say: Say, *, names: Collection[str] = (), device: str = "cpu"
) -> list[Path]:
    """Carry out a recipe; returns the paths of the weights. Stopped at any moment, it goes on where it was.

    names : of the students that are made, or none for all of the recipe
    device : where they are fitted; labels are made on the CPU

    Raises InputError for a recipe that is wrong, a teacher whose package is missing or that gives no labels, files that
    hold none (`read_labels`), elements that are held out but not trained on, and a device that is not there.
    """
    recipe = read_recipe(recipe_path)
    students = _chosen(recipe, names)
    _require_device(device)
    _sum_in_one_order()
    if isinstance(recipe, LabelledRecipe):
        labelled, files = read_labels(recipe, recipe_path.parent, say)
        output.mkdir(parents=True, exist_ok=True)
    else:
        labelled, files = _sampled(recipe, output, workers, say), []
    _require_trained_elements(labelled)
    distillation = Distillation(recipe, recipe_path, output, labelled, files, device, say)
    _write_held_out(distillation.of(HELD_OUT), output / "held-out.extxyz")
    return [_make(distillation, student) for student in students]


def _sampled(recipe: SampledRecipe, output: Path, workers: int, say: Say) -> list[Labelled]:
    output.mkdir(parents=True, exist_ok=True)
    say(f"labelling with {recipe.teacher}: {output / 'labels'}")
    labelled = sample(recipe, output / "labels", workers, say)
    _write_snapshots(recipe, labelled, output)
    return labelled


def _require_trained_elements(labelled: Sequence[Labelled]) -> None:
    known = {z for each in labelled if each.portion.role == TRAIN for z in each.numbers.tolist()}
    for each in labelled:
        if unknown := sorted(set(each.numbers.tolist()) - known):
            raise InputError(
                f"{each.portion.subject} has {symbol(unknown[0])} in frames for {each.portion.role}, and no frame that "
                "is trained on has it; train on some, or leave these out"
            )


def _chosen(recipe: Recipe, names: Collection[str]) -> list[Student]:
    known = [each.name for each in recipe.students]
    if missing := [name for name in names if name not in known]:
        raise InputError(f"the recipe has no student {missing[0]}; it has {', '.join(known)}")
    return [each for each in recipe.students if not names or each.name in names]


def _require_device(device: str) -> None:
    import torch  # noqa: PLC0415  takes seconds

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"wanted the device {device}, but torch cannot use it: {error}") from error


def _sum_in_one_order() -> None:
    """With one thread: the order of sums, and with it the weights, would depend on their number."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)


def _make(of: Distillation, student: Student) -> Path:
    from mdsuite.fitting.train import fit  # noqa: PLC0415  torch takes seconds

    network, history = fit(
        student,
        of.recipe.training,
        of.of(TRAIN),
        of.of(VALIDATION),
        of.state(student),
        lambda epoch: of.say(f"{student.name}, {_line(of.recipe, epoch)}"),
        of.device,
    )
    _draw_losses(history, of.output / f"{student.name}-training.png")
    found = accuracies(network, of.of(HELD_OUT), ALIKE if isinstance(of.recipe, LabelledRecipe) else SEEN)
    return _write_model(of, student, network, found, len(history))


def _line(recipe: Recipe, epoch: Epoch) -> str:
    return (
        f"epoch {epoch.number}/{recipe.training.epochs}: loss {epoch.loss:.4g}, validation energy "
        f"{1e3 * epoch.energy_rmse:.2f} meV/atom, force {1e3 * epoch.force_rmse:.1f} meV/Å (RMSE)"
    )


def _write_model(of: Distillation, student: Student, network: PaiNN, found: Sequence[Accuracy], n_epochs: int) -> Path:
    import torch  # noqa: PLC0415

    n_frames = {role: sum(len(e.energies) for e in of.of(role)) for role in (TRAIN, VALIDATION, HELD_OUT)}
    training: dict[str, Any] = {
        "recipe_sha256": _digest(of.file),
        **_origin(of),
        "frames": n_frames,
        "epochs": n_epochs,
        "held_out_force_rmse_meV_per_A": {each.condition: round(each.force_rmse, 2) for each in found},
    }
    weights = of.output / f"{student.name}.pt"
    with whole(weights) as temporary:
        torch.save(checkpoint(network, training), temporary)
    write_json(of.output / f"{student.name}.json", training)
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    made = (
        of_labels(of.recipe, of.label_files, n_frames)
        if isinstance(of.recipe, LabelledRecipe)
        else of_molecules(of.recipe, n_frames)
    )
    with whole(of.output / f"{student.name}.md") as temporary:
        temporary.write_text(student_card(student.name, n_parameters, of.file.name, made, found))
    return weights


def _origin(of: Distillation) -> dict[str, Any]:
    """What a student learned from, as its checkpoint keeps it."""
    if isinstance(of.recipe, SampledRecipe):
        return {
            "teacher": of.recipe.teacher,
            "molecules": [each.name for each in of.recipe.molecules if not each.unseen],
            "frames_without_label": sum(each.wanted - len(each.energies) for each in of.labelled),
        }
    return {
        "level_of_theory": of.recipe.level_of_theory,
        "labels": [{**asdict(each), "frames": dict(each.frames)} for each in of.label_files],
        "narrowest_cell_A": _narrowest(of.of(TRAIN)),
    }


def _narrowest(labelled: Sequence[Labelled]) -> float | None:
    """Smallest width of a periodic cell, Å; None where there is none."""
    widths = [
        width(Configuration(numbers=each.numbers, positions=positions, cell=cell, pbc=each.pbc))
        for each in labelled
        for positions, cell in zip(each.positions, each.cells, strict=True)
        if any(each.pbc)
    ]
    return min(widths, default=None)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _write_snapshots(recipe: SampledRecipe, labelled: list[Labelled], output: Path) -> None:
    import ase.io  # noqa: PLC0415

    folder = output / "structures"
    folder.mkdir(exist_ok=True)
    for name, atoms in snapshots(recipe, labelled).items():
        ase.io.write(folder / f"{name}.extxyz", atoms, format="extxyz", columns=["symbols", "positions"])


def _write_held_out(labelled: Sequence[Labelled], path: Path) -> None:
    """Frames that no student was fitted to, with their labels, as `mdsuite forces --reference` reads them."""
    import ase.io  # noqa: PLC0415
    from ase import Atoms  # noqa: PLC0415
    from ase.calculators.singlepoint import SinglePointCalculator  # noqa: PLC0415

    frames = []
    for each in labelled:
        arrays = zip(each.positions, each.cells, each.energies, each.forces, strict=True)
        for positions, cell, energy, forces in arrays:
            atoms = Atoms(numbers=each.numbers, positions=positions, cell=cell, pbc=each.pbc)
            atoms.info["name"] = each.portion.subject
            if each.portion.temperature is not None:
                atoms.info["temperature_K"] = each.portion.temperature
            atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
            frames.append(atoms)
    with whole(path) as temporary:
        ase.io.write(temporary, frames, format="extxyz")


def _draw_losses(history: Sequence[Epoch], path: Path) -> None:
    from mdsuite.pictures import blank  # noqa: PLC0415  matplotlib is slow to import

    figure = blank(7.0, 4.0)
    axes = figure.subplots()
    epochs = [each.number for each in history]
    axes.semilogy(epochs, [1e3 * each.force_rmse for each in history], label="force (meV/Å)")
    axes.semilogy(epochs, [1e3 * each.energy_rmse for each in history], "--", label="energy (meV/atom)")
    axes.set_xlabel("epoch")
    axes.set_ylabel("root mean square error on validation frames")
    axes.legend()
    figure.savefig(path, dpi=150)
