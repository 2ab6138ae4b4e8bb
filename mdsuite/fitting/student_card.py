"""What is written beside the weights of a student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mdsuite.fitting.accuracy import UNSEEN, Accuracy
from mdsuite.fitting.labels import LabelFile
from mdsuite.fitting.recipe import LabelledRecipe, SampledRecipe
from mdsuite.fitting.sampling import HELD_OUT, TRAIN, VALIDATION

NO_REPULSION = "No repulsion is built in: at distances shorter than those {} the energy means nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a student's frames are from.

    words : how it was made, to go on with "by" a recipe
    lines : on its frames and on those that are held out
    subjects : what errors are told of
    """

    words: str
    lines: tuple[str, ...]
    subjects: str


def student_card(name: str, n_parameters: int, file: str, made: Provenance, found: Sequence[Accuracy]) -> str:
    """What a student is, what it was trained on, and how wrong it is, as Markdown."""
    return "\n".join(
        [
            f"# {name}",
            "",
            f"A PaiNN of {n_parameters:,} parameters, {made.words} by `{file}`:",
            "",
            f"    mdsuite distill {file} --output DIR --student {name}",
            "",
            *made.lines,
            "",
            f"| {made.subjects} | temperature (K) | frames | energy MAE (meV/atom) | force MAE (meV/Å) "
            "| force RMSE (meV/Å) | force R² by component |",
            "|---|---|---|---|---|---|---|",
            *(_row(each) for each in found),
            "",
        ]
    )


def of_molecules(recipe: SampledRecipe, n_frames: Mapping[str, int]) -> Provenance:
    """Of a student of frames that a teacher labelled."""
    temperatures = ", ".join(f"{each:g}" for each in recipe.sampling.temperatures_K)
    known = ", ".join(each.name for each in recipe.molecules if not each.unseen)
    unseen = ", ".join(each.name for each in recipe.molecules if each.unseen)
    lines = (
        f"Trained on {n_frames[TRAIN]} frames of {known} at {temperatures} K{_displaced(recipe)}; the weights are "
        f"those of the best epoch on {n_frames[VALIDATION]} validation frames. Charged species, radicals, "
        "reactions, other molecules, condensed phases and higher temperatures are outside of what it was made for. "
        + NO_REPULSION.format("sampled"),
        "",
        "Errors on held-out frames, from trajectories of their own. These began at other random coordinates of the "
        "same molecules, relaxed, which often lead to the same minimum."
        + (f" Nothing was trained on {unseen}." if unseen else ""),
    )
    return Provenance(words=f"distilled from {recipe.teacher}", lines=lines, subjects="molecule")


def of_labels(recipe: LabelledRecipe, files: Sequence[LabelFile], n_frames: Mapping[str, int]) -> Provenance:
    """Of a student of frames that came with their labels."""
    unseen = ", ".join(each.name for each in files if each.unseen)
    lines = (
        f"Trained on {n_frames[TRAIN]} frames; the weights are those of the best epoch on {n_frames[VALIDATION]} "
        "validation frames. "
        + ("" if recipe.level_of_theory else "The level of theory of the labels is not told. ")
        + "Whatever is not like these frames is outside of what it was made for. "
        + NO_REPULSION.format("in them"),
        "",
        "| labels | file | SHA-256 | train | validation | held-out | without finite label | duplicates |",
        "|---|---|---|---|---|---|---|---|",
        *(_file_row(each) for each in files),
        "",
        f"Errors on held-out frames. Of a file without a role they were drawn in blocks of {recipe.split.block} by the "
        f"seed {recipe.split.seed}; frames of one trajectory in different blocks are alike, which makes errors smaller "
        "than those on another trajectory." + (f" Nothing was trained on {unseen}." if unseen else ""),
    )
    theory = f" ({recipe.level_of_theory})" if recipe.level_of_theory else ""
    return Provenance(words=f"trained on labelled files{theory}", lines=lines, subjects="labels")


def _file_row(of: LabelFile) -> str:
    counts = " | ".join(str(of.frames[role]) for role in (TRAIN, VALIDATION, HELD_OUT))
    return f"| {of.name} | `{of.file}` | `{of.sha256}` | {counts} | {of.without_label} | {of.duplicates} |"


def _displaced(recipe: SampledRecipe) -> str:
    modes, random = recipe.sampling.normal_modes, recipe.sampling.random
    ways = [] if modes is None else ["along normal modes"]
    ways += [] if random is None else [f"by {random.amplitude_A:g} Å at random"]
    return f", and displaced {' and '.join(ways)}" if ways else ""


def _row(of: Accuracy) -> str:
    known = of.subject if not of.unseen or of.subject == UNSEEN else f"{of.subject} (not trained on)"
    temperature = "–" if of.temperature is None else f"{of.temperature:g}"
    return (
        f"| {known} | {temperature} | {of.n_frames} | {of.energy_mae:.2f} | {of.force_mae:.1f} | "
        f"{of.force_rmse:.1f} | {of.force_r2:.5f} |"
    )
