"""What is written beside the weights of a student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mdsuite.fitting.accuracy import Accuracy
from mdsuite.fitting.recipe import Recipe
from mdsuite.fitting.sampling import TRAIN, VALIDATION


def student_card(
    name: str, n_parameters: int, recipe: Recipe, file: str, found: Sequence[Accuracy], n_frames: Mapping[str, int]
) -> str:
    """What a student is, what it was trained on, and how wrong it is, as Markdown."""
    temperatures = ", ".join(f"{each:g}" for each in recipe.sampling.temperatures_K)
    known = ", ".join(each.name for each in recipe.molecules if not each.unseen)
    unseen = ", ".join(each.name for each in recipe.molecules if each.unseen)
    return "\n".join(
        [
            f"# {name}",
            "",
            f"A PaiNN of {n_parameters:,} parameters, distilled from {recipe.teacher} by `{file}`:",
            "",
            f"    mdsuite distill {file} --output DIR --student {name}",
            "",
            f"Trained on {n_frames[TRAIN]} frames of {known} at {temperatures} K{_displaced(recipe)}; the weights are "
            f"those of the best epoch on {n_frames[VALIDATION]} validation frames. Charged species, radicals, "
            "reactions, other molecules, condensed phases and higher temperatures are outside of what it was made for. "
            "No repulsion is built in: at distances shorter than those sampled the energy means nothing.",
            "",
            "Errors on held-out frames, from trajectories of their own. These began at other random coordinates of the "
            "same molecules, relaxed, which often lead to the same minimum."
            + (f" Nothing was trained on {unseen}." if unseen else ""),
            "",
            "| molecule | temperature (K) | frames | energy MAE (meV/atom) | force MAE (meV/Å) "
            "| force RMSE (meV/Å) | force R² by component |",
            "|---|---|---|---|---|---|---|",
            *(_row(each) for each in found),
            "",
        ]
    )


def _displaced(recipe: Recipe) -> str:
    modes, random = recipe.sampling.normal_modes, recipe.sampling.random
    ways = [] if modes is None else ["along normal modes"]
    ways += [] if random is None else [f"by {random.amplitude_A:g} Å at random"]
    return f", and displaced {' and '.join(ways)}" if ways else ""


def _row(of: Accuracy) -> str:
    known = of.molecule if not of.unseen or of.molecule.startswith("all") else f"{of.molecule} (not trained on)"
    return (
        f"| {known} | {of.temperature:g} | {of.n_frames} | {of.energy_mae:.2f} | {of.force_mae:.1f} | "
        f"{of.force_rmse:.1f} | {of.force_r2:.5f} |"
    )
