"""Pictures of a model's runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mdsuite.assessed import AssessedModel, AssessedRun
from mdsuite.comparison import Comparison
from mdsuite.engines.kinds import engine_kind
from mdsuite.pictures import blank, save
from mdsuite.plan import Plan
from mdsuite.report.words import name_of
from mdsuite.runs import FloatArray
from mdsuite_analysis.agreement import distances
from mdsuite_analysis.read import UnreadableRunError, read_frames
from mdsuite_analysis.series import EnergySeries

POINTS = 2000  # on a curve; more than a page is wide
SMOOTHING = 0.05  # ps, over which the temperature is averaged
STYLES = ("-", "--", ":", "-.")


def figure_name(model: AssessedModel) -> str:
    """The file of a model's figure, without its ending."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in model.card.name)


def draw(model: AssessedModel, folder: Path) -> list[Path]:
    """A page-wide figure of energy per atom and temperature against time, as PNG and SVG."""
    runs = [run for run in model.runs if run.energies is not None]
    if not runs:
        return []
    figure = blank(11.0, 4.6)
    left, right = figure.subplots(1, 2)
    _draw_energies(left, runs)
    _draw_temperatures(right, runs)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), fontsize="small")
    titles = dict.fromkeys(engine_kind(each.run.engine).title for each in runs)
    figure.suptitle(f"{model.card.name}: {runs[0].run.ensemble.upper()} in {' and '.join(titles)}")
    return save(figure, folder / figure_name(model))


def energies_drawn(model: AssessedModel) -> str:
    """Which energy a model's figure shows: what should be conserved, where it was recorded."""
    return _named([run for run in model.runs if run.energies is not None])


def _named(runs: Sequence[AssessedRun]) -> str:
    return " or ".join(dict.fromkeys("conserved" if _conserves(each) else "total" for each in runs))


def _conserves(each: AssessedRun) -> bool:
    recorded = each.energies is not None and each.energies.conserved_energy is not None
    return bool(each.run.thermostat) and recorded


def _draw_energies(axes: Axes, runs: Sequence[AssessedRun]) -> None:
    for each, colour, style, energies in _styled(runs):
        energy = energies.total_energy
        if _conserves(each) and energies.conserved_energy is not None:
            energy = energies.conserved_energy
        change = 1000.0 * (energy - energy[0]) / energies.n_atoms
        axes.plot(*_thinned(energies.time, change), style, color=colour, lw=1.0, label=_label(each))
    axes.set_xlabel("time (ps)")
    axes.set_ylabel(f"{_named(runs)} energy, change since the start (meV/atom)")
    axes.axhline(0.0, color="0.6", lw=0.8, zorder=0)


def _draw_temperatures(axes: Axes, runs: Sequence[AssessedRun]) -> None:
    for each, colour, style, energies in _styled(runs):
        if energies.temperature is None:
            continue
        width = max(1, round(SMOOTHING / each.run.timestep))
        axes.plot(*_smoothed(energies.time, energies.temperature, width), style, color=colour, lw=1.0)
    target = runs[0].run.temperature
    axes.axhline(target, color="0.3", lw=0.8)
    bounds = [each.limit for run in runs for each in run.judged if each.criterion.measurement == "temperature_mean"]
    if bounds and None not in bounds[0]:
        axes.axhspan(*bounds[0], color="0.9", zorder=0)  # type: ignore[arg-type]  # not None, see above
    axes.set_xlabel("time (ps)")
    axes.set_ylabel(f"temperature, mean over {SMOOTHING * 1000:.0f} fs (K)")
    axes.set_ylim(bottom=0.0)


def _styled(runs: Sequence[AssessedRun]) -> list[tuple[AssessedRun, str, str, EnergySeries]]:
    """A colour for each structure and a line style for each replica."""
    structures = sorted({each.run.structure for each in runs})
    styled = []
    for each in runs:
        if each.energies is not None:
            colour = f"C{structures.index(each.run.structure) % 10}"
            styled.append((each, colour, STYLES[each.run.replica % len(STYLES)], each.energies))
    return styled


def _label(each: AssessedRun) -> str:
    return name_of(each)


def _thinned(time: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    stride = max(1, len(time) // POINTS)
    return time[::stride], values[::stride]


def _smoothed(time: FloatArray, values: FloatArray, width: int) -> tuple[FloatArray, FloatArray]:
    width = min(width, len(values))
    mean = np.convolve(values, np.full(width, 1.0 / width), mode="valid")
    return _thinned(time[width // 2 : width // 2 + len(mean)], mean)


def divergence_name(comparison: Comparison) -> str:
    """The stem of the figure of a comparison."""
    words = f"divergence-{comparison.reference.model_name}-{comparison.reference.structure}"
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in words)


def draw_divergence(plan: Plan, comparison: Comparison, output: Path) -> list[Path]:
    """Distance of every engine and control from the reference against time, of those that have recorded."""
    runs = [
        *((run, "0.8", "") for run in comparison.fine),
        *((run, "0.5", "") for run in comparison.coarse),
        *((run, f"C{k}", engine_kind(run.engine).title) for k, run in enumerate(comparison.others)),
    ]
    figure = blank(7.0, 4.2)
    axes = figure.subplots()
    try:
        reference = read_frames(plan.folder(output, comparison.reference))
        for run, colour, label in runs:
            apart = distances(read_frames(plan.folder(output, run)), reference)[1:]
            drawn = np.where(apart > 0.0, apart, np.nan)  # a logarithm has no place for what is the same to the bit
            axes.plot(reference.time[1 : len(apart) + 1], drawn, color=colour, lw=1.2, label=label or None)
    except UnreadableRunError:  # the report says of each run what became of it
        return []
    axes.set_yscale("log")
    axes.set_xlabel("time (ps)")
    axes.set_ylabel("distance of the atoms (Å)")
    axes.set_title(f"{comparison.reference.structure}, from {engine_kind(comparison.reference.engine).title}")
    axes.legend(fontsize="small")
    return save(figure, output / "figures" / divergence_name(comparison))
