"""Six panels of a model's forces beside a reference's."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mdsuite.forces.evaluate import ForceReport
from mdsuite.pictures import blank, save
from mdsuite.runs import FloatArray
from mdsuite_analysis.force_accuracy import SMALL_FORCE
from mdsuite_analysis.measurement import Measurement

MEV = 1e3
MOST_BARS = 24
COLOUR, LINE = "#0072B2", "#D55E00"  # told apart by the colour-blind


def draw_forces(report: ForceReport, folder: Path) -> list[Path]:
    """Parity, errors, errors against size, angles, elements and structures, as PNG and SVG."""
    figure = blank(12.0, 7.4)
    panels = figure.subplots(2, 3)
    reference = np.concatenate([each.reference for each in report.compared])
    predicted = np.concatenate([each.predicted for each in report.compared])
    _parity(panels[0, 0], reference, predicted)
    _errors(panels[0, 1], reference, predicted)
    _by_size(panels[0, 2], reference, predicted)
    _angles(panels[1, 0], reference, predicted)
    _bars(panels[1, 1], report, "element")
    _bars(panels[1, 2], report, "structure")
    figure.suptitle(f"Forces of {report.card.name} against {report.references.origin}: {len(report.compared)} frames")
    return save(figure, folder / "forces")


def _parity(axes: Axes, reference: FloatArray, predicted: FloatArray) -> None:
    x, y = reference.ravel(), predicted.ravel()
    ends = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
    axes.hexbin(x, y, gridsize=60, bins="log", mincnt=1, cmap="viridis")
    axes.plot(ends, ends, color=LINE, linewidth=0.8, label="equal")
    axes.set(xlabel="reference, component (eV/Å)", ylabel="model, component (eV/Å)", title="Parity")
    axes.legend(fontsize="small")


def _errors(axes: Axes, reference: FloatArray, predicted: FloatArray) -> None:
    error = MEV * (predicted - reference).ravel()
    reach = max(float(np.quantile(np.abs(error), 0.995)), 1e-9)
    axes.hist(error, bins=np.linspace(-reach, reach, 81).tolist(), color=COLOUR)
    axes.axvline(0.0, color=LINE, linewidth=0.8)
    axes.set(xlabel="error, component (meV/Å)", ylabel="components", title="Errors (99 % of them)")


def _by_size(axes: Axes, reference: FloatArray, predicted: FloatArray) -> None:
    size = np.linalg.norm(reference, axis=1)
    error = MEV * np.linalg.norm(predicted - reference, axis=1)
    axes.scatter(size, error, s=4, alpha=0.3, color=COLOUR, linewidths=0, rasterized=True)
    edges = np.quantile(size, np.linspace(0.0, 1.0, 11))
    inside = [(size >= low) & (size <= high) for low, high in pairwise(edges)]
    middles = [float(np.median(size[each])) for each in inside]
    axes.plot(middles, [float(np.median(error[each])) for each in inside], "o-", color=LINE, label="median of a tenth")
    if (error > 0.0).any():
        axes.set_yscale("log")
    axes.set(xlabel="magnitude of the reference (eV/Å)", ylabel="length of the error (meV/Å)", title="Error by size")
    axes.legend(fontsize="small")


def _angles(axes: Axes, reference: FloatArray, predicted: FloatArray) -> None:
    r, p = (np.linalg.norm(each, axis=1) for each in (reference, predicted))
    large = (r > SMALL_FORCE) & (p > 0.0)
    axes.set(
        xlabel="angle between the forces (°)",
        ylabel="share of the forces within it",
        title=f"Directions, above {SMALL_FORCE:g} eV/Å",
    )
    if not large.any():
        axes.text(0.5, 0.5, "no force is so large", ha="center", transform=axes.transAxes)
        return
    cosine = (reference * predicted).sum(axis=1)[large] / (r * p)[large]
    angles = np.sort(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
    axes.plot(angles, np.arange(1, len(angles) + 1) / len(angles), color=COLOUR)
    axes.set_ylim(0.0, 1.02)


def _bars(axes: Axes, report: ForceReport, key: str) -> None:
    found = [each for each in report.measurements if each.name == "force_rmse_component" and key in each.subject]
    found = sorted(found, key=lambda each: each.value, reverse=True)[:MOST_BARS]
    places = np.arange(len(found))
    axes.barh(places, [each.value for each in found], xerr=_widths(found), color=COLOUR, ecolor=LINE, capsize=2)
    axes.set_yticks(places, [each.subject[key] for each in found], fontsize="small")
    axes.invert_yaxis()
    axes.set(xlabel="RMSE, component (meV/Å), with 95 % interval", title=f"By {key}")


def _widths(found: list[Measurement]) -> FloatArray:
    """Below and above each value (2, n), none where there is no interval."""
    ends = [each.ci or (each.value, each.value) for each in found]
    below = [max(each.value - low, 0.0) for each, (low, _) in zip(found, ends, strict=True)]
    above = [max(high - each.value, 0.0) for each, (_, high) in zip(found, ends, strict=True)]
    return np.array([below, above])
