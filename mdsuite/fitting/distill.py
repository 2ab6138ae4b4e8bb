"""A recipe carried out: sample with the teacher, fit the student, measure it on held-out frames, write it down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.files import whole, write_json
from mdsuite.fitting.recipe import Recipe, read_recipe
from mdsuite.fitting.sampling import HELD_OUT, TRAIN, VALIDATION, Labelled, sample, snapshots, trajectories
from mdsuite.fitting.train import Epoch, fit, items_of, residuals
from mdsuite_driver.models.painn import PaiNN, checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """A student's errors on held-out frames of one molecule at one temperature.

    energy_mae : meV/atom
    force_mae, force_rmse : meV/Å, by component
    force_r2 : coefficient of determination by component
    """

    molecule: str
    temperature: float
    n_frames: int
    energy_mae: float
    force_mae: float
    force_rmse: float
    force_r2: float


def distill(recipe_path: Path, output: Path, workers: int, say: Callable[[str], None]) -> Path:
    """Carry out a recipe; returns the path of the weights. Stopped at any moment, it goes on where it was.

    Raises InputError for a recipe that is wrong and for a teacher whose package is missing.
    """
    import torch  # noqa: PLC0415  takes seconds

    recipe = read_recipe(recipe_path)
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the order of sums, and with it the weights, would depend on their number
    say(f"labelling with {recipe.teacher}: {output / 'labels'}")
    labelled = sample(recipe, output / "labels", workers, say)
    network, history = fit(
        recipe,
        [each for each in labelled if each.role == TRAIN],
        [each for each in labelled if each.role == VALIDATION],
        output / f"state-{_identity(recipe, recipe_path)}.pt",  # of this recipe, with these labels, and no other
        lambda epoch: say(_line(recipe, epoch)),
    )
    held_out = measure(network, [each for each in labelled if each.role == HELD_OUT])
    _write_snapshots(recipe, labelled, output)
    _draw_losses(history, output / "training.png")
    return _write_model(recipe, recipe_path, network, held_out, labelled, output)


def measure(network: PaiNN, held_out: Sequence[Labelled]) -> list[Errors]:
    """Errors on every held-out trajectory, and over all of one temperature (molecule "all")."""
    rows = [_errors(network, [each], each.molecule) for each in held_out]
    temperatures = sorted({each.temperature for each in held_out})
    return rows + [_errors(network, [e for e in held_out if e.temperature == t], "all") for t in temperatures]


def _errors(network: PaiNN, trajectories: Sequence[Labelled], molecule: str) -> Errors:
    items = [item for each in trajectories for item in items_of(network, each)]
    energy, force = residuals(network, items)
    labels = np.concatenate([each.forces.ravel() for each in trajectories])
    return Errors(
        molecule=molecule,
        temperature=trajectories[0].temperature,
        n_frames=len(items),
        energy_mae=1e3 * float(np.abs(energy).mean()),
        force_mae=1e3 * float(np.abs(force).mean()),
        force_rmse=1e3 * float(np.sqrt((force**2).mean())),
        force_r2=1.0 - float((force**2).mean() / labels.var()),
    )


def _line(recipe: Recipe, epoch: Epoch) -> str:
    return (
        f"epoch {epoch.number}/{recipe.training.epochs}: loss {epoch.loss:.4g}, validation energy "
        f"{1e3 * epoch.energy_rmse:.2f} meV/atom, force {1e3 * epoch.force_rmse:.1f} meV/Å (RMSE)"
    )


def _write_model(
    recipe: Recipe, file: Path, network: PaiNN, errors: list[Errors], labelled: list[Labelled], output: Path
) -> Path:
    import torch  # noqa: PLC0415

    n_frames = {
        role: sum(len(e.energies) for e in labelled if e.role == role) for role in (TRAIN, VALIDATION, HELD_OUT)
    }
    training: dict[str, Any] = {
        "recipe_sha256": _digest(file),
        "teacher": recipe.teacher,
        "frames": n_frames,
        "held_out_force_rmse_meV_per_A": {f"{e.molecule} {e.temperature:g} K": round(e.force_rmse, 2) for e in errors},
    }
    weights = output / f"{recipe.name}.pt"
    with whole(weights) as temporary:
        torch.save(checkpoint(network, training), temporary)
    write_json(output / "training.json", training)
    with whole(output / f"{recipe.name}.md") as temporary:
        temporary.write_text(_card(recipe, file, network, errors, n_frames))
    return weights


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _identity(recipe: Recipe, file: Path) -> str:
    keys = "".join(each.key for each in trajectories(recipe))
    return hashlib.sha256((_digest(file) + keys).encode()).hexdigest()[:12]


def _card(recipe: Recipe, file: Path, network: PaiNN, errors: list[Errors], n_frames: dict[str, int]) -> str:
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    molecules = ", ".join(each.name for each in recipe.molecules)
    temperatures = ", ".join(f"{each:g}" for each in recipe.sampling.temperatures_K)
    rows = [
        f"| {e.molecule} | {e.temperature:g} | {e.n_frames} | {e.energy_mae:.2f} | {e.force_mae:.1f} | "
        f"{e.force_rmse:.1f} | {e.force_r2:.5f} |"
        for e in errors
    ]
    return "\n".join(
        [
            f"# {recipe.name}",
            "",
            f"A PaiNN of {n_parameters:,} parameters, distilled from {recipe.teacher} by `{file.name}`:",
            "",
            f"    mdsuite distill {file.name} --output DIR",
            "",
            f"Trained on {n_frames[TRAIN]} frames of {molecules} at {temperatures} K; the weights are those of the "
            f"best epoch on {n_frames[VALIDATION]} validation frames. Charged species, radicals, reactions, other "
            "molecules, condensed phases and higher temperatures are outside of what it was made for. No repulsion is "
            "built in: at distances shorter than those sampled the energy means nothing.",
            "",
            "Errors on held-out frames, from trajectories of their own. These began at other random coordinates of the "
            "same molecules, relaxed, which often lead to the same minimum: the errors say nothing about conformers "
            "and molecules that were not sampled.",
            "",
            "| molecule | temperature (K) | frames | energy MAE (meV/atom) | force MAE (meV/Å) "
            "| force RMSE (meV/Å) | force R² by component |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _write_snapshots(recipe: Recipe, labelled: list[Labelled], output: Path) -> None:
    import ase.io  # noqa: PLC0415

    folder = output / "structures"
    folder.mkdir(exist_ok=True)
    for name, atoms in snapshots(recipe, labelled).items():
        ase.io.write(folder / f"{name}.extxyz", atoms, format="extxyz", columns=["symbols", "positions"])


def _draw_losses(history: Sequence[Epoch], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    epochs = [each.number for each in history]
    axes.semilogy(epochs, [1e3 * each.force_rmse for each in history], label="force (meV/Å)")
    axes.semilogy(epochs, [1e3 * each.energy_rmse for each in history], "--", label="energy (meV/atom)")
    axes.set_xlabel("epoch")
    axes.set_ylabel("root mean square error on validation frames")
    axes.legend()
    figure.savefig(path, dpi=150)
