"""A recipe carried out: sample with the teacher, fit students, measure them on held-out frames, write them down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdsuite.errors import InputError
from mdsuite.files import whole, write_json
from mdsuite.fitting.accuracy import Accuracy, accuracies
from mdsuite.fitting.recipe import Recipe, Student, read_recipe
from mdsuite.fitting.sampling import HELD_OUT, TRAIN, VALIDATION, Labelled, portions, sample, snapshots
from mdsuite.fitting.student_card import student_card
from mdsuite_driver.models.painn import PaiNN, checkpoint

if TYPE_CHECKING:
    from mdsuite.fitting.train import Epoch

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Distillation:
    """A recipe on its way: where it is written, what its teacher said, and who hears of it."""

    recipe: Recipe
    file: Path
    output: Path
    labelled: Sequence[Labelled]
    device: str
    say: Say

    def of(self, role: str) -> list[Labelled]:
        """The frames for one purpose."""
        return [each for each in self.labelled if each.portion.role == role]

    def state(self, student: Student) -> Path:
        """Where a fit is kept: of this student with this training and these labels, and no other."""
        decided_by = [student.model_dump(), self.recipe.training.model_dump(), [e.key for e in portions(self.recipe)]]
        identity = hashlib.sha256(json.dumps(decided_by).encode()).hexdigest()[:12]
        return self.output / f"state-{student.name}-{identity}.pt"


def distill(
    recipe_path: Path, output: Path, workers: int, say: Say, *, names: Collection[str] = (), device: str = "cpu"
) -> list[Path]:
    """Carry out a recipe; returns the paths of the weights. Stopped at any moment, it goes on where it was.

    names : of the students that are made, or none for all of the recipe
    device : where they are fitted; labels are made on the CPU

    Raises InputError for a recipe that is wrong, a teacher whose package is missing or that gives no labels, and a
    device that is not there.
    """
    recipe = read_recipe(recipe_path)
    students = _chosen(recipe, names)
    _require_device(device)
    _sum_in_one_order()
    output.mkdir(parents=True, exist_ok=True)
    say(f"labelling with {recipe.teacher}: {output / 'labels'}")
    labelled = sample(recipe, output / "labels", workers, say)
    distillation = Distillation(recipe, recipe_path, output, labelled, device, say)
    _write_snapshots(recipe, labelled, output)
    _write_held_out(distillation.of(HELD_OUT), output / "held-out.extxyz")
    return [_make(distillation, student) for student in students]


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
    return _write_model(of, student, network, accuracies(network, of.of(HELD_OUT)), len(history))


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
        "teacher": of.recipe.teacher,
        "molecules": [each.name for each in of.recipe.molecules if not each.unseen],
        "frames": n_frames,
        "frames_without_label": sum(each.wanted - len(each.energies) for each in of.labelled),
        "epochs": n_epochs,
        "held_out_force_rmse_meV_per_A": {f"{e.molecule} {e.temperature:g} K": round(e.force_rmse, 2) for e in found},
    }
    weights = of.output / f"{student.name}.pt"
    with whole(weights) as temporary:
        torch.save(checkpoint(network, training), temporary)
    write_json(of.output / f"{student.name}.json", training)
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    with whole(of.output / f"{student.name}.md") as temporary:
        temporary.write_text(student_card(student.name, n_parameters, of.recipe, of.file.name, found, n_frames))
    return weights


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _write_snapshots(recipe: Recipe, labelled: list[Labelled], output: Path) -> None:
    import ase.io  # noqa: PLC0415

    folder = output / "structures"
    folder.mkdir(exist_ok=True)
    for name, atoms in snapshots(recipe, labelled).items():
        ase.io.write(folder / f"{name}.extxyz", atoms, format="extxyz", columns=["symbols", "positions"])


def _write_held_out(labelled: Sequence[Labelled], path: Path) -> None:
    """Frames that no student was fitted to, with the teacher's labels, as `mdsuite forces --reference` reads them."""
    import ase.io  # noqa: PLC0415
    from ase import Atoms  # noqa: PLC0415
    from ase.calculators.singlepoint import SinglePointCalculator  # noqa: PLC0415

    frames = []
    for each in labelled:
        for positions, energy, forces in zip(each.positions, each.energies, each.forces, strict=True):
            atoms = Atoms(numbers=each.numbers, positions=positions)
            atoms.info.update(name=each.portion.molecule, temperature_K=each.portion.temperature)
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
