"""Interactive figures of an assessment, as Plotly draws them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from ase.neighborlist import natural_cutoffs, neighbor_list

from mdsuite.assessed import AssessedLadder, AssessedModel, AssessedRun, Assessment
from mdsuite.report import words
from mdsuite.report.markdown import jumps
from mdsuite.runs import FloatArray
from mdsuite_analysis.read import UnreadableRunError, read_frames
from mdsuite_analysis.series import EnergySeries

POINTS = 2000  # of a curve; more than a page is wide
BUDGET = 60_000  # points of all curves of a figure, so that a page of many runs stays small
LARGEST = 400  # atoms of a drawn structure
DRAWN = 4  # failures
LONGEST = 20  # characters of a model's name beside a bar
SMOOTHING = 0.05  # ps, over which the temperature is averaged
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart by colour-blind readers: Okabe and Ito 2008, jfly.uni-koeln.de/color."""
DASHES = ("solid", "dash", "dot", "dashdot")
ENTRIES = {
    "jump": ("energy steps", "#D55E00", "/"),
    "work": ("non-gradient work", "#0072B2", "\\"),
    "quadrature": ("integrator", "#009E73", "x"),
    "precision": ("rounding", "#CC79A7", "."),
    "engine": ("engine", "#E69F00", "+"),
    "unexplained": ("not explained", "#999999", ""),
}
CELLS = {
    "stable": ("passes", 3),
    "mixed": ("fails in some", 1),
    "unstable": ("fails", 0),
    "not run": ("not decided", 2),
}
SHADES = ("#D55E00", "#E69F00", "#DDDDDD", "#56B4E9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A figure with what is to be known of it.

    name : unique on a page
    spoken : its numbers, for who cannot see it
    height : pixels
    """

    name: str
    title: str
    caption: str
    figure: go.Figure
    height: int = 420
    spoken: str = ""


def energy_panels(assessment: Assessment) -> Iterator[Panel]:
    """Energy with its fitted drift, and temperature, of every model's runs."""
    for number, model in enumerate(assessment.models):
        runs = [run for run in model.runs if run.energies is not None]
        if runs:
            yield _energies(model, runs, f"energy-{number}")
            yield _temperatures(model, runs, f"temperature-{number}")


def _energies(model: AssessedModel, runs: Sequence[AssessedRun], name: str) -> Panel:
    figure, told = go.Figure(), []
    for run, energies, look in _looks(runs):
        time, change = _changes(run, energies)
        curve = _thinned(time, change, _points(len(runs)))
        who = words.name_of(run)
        figure.add_scatter(
            x=curve[0],
            y=curve[1],
            mode="lines",
            line=look,
            opacity=0.45,
            name=who,
            legendgroup=who,
            hovertemplate="%{y:.4g} meV/atom",
        )
        _add_jumps(figure, run, time, change, look, who)
        drift = run.drift
        if drift is None or not math.isfinite(drift.value):
            continue
        _add_fit(figure, time, change, drift.value, drift.ci, look, who)
        told.append(f"{who}: {words.quantity(drift)}")
    _dressed(figure, "time (ps)", "energy change (meV/atom)")
    caption = (
        "Change of the energy that should be conserved, per atom, since the start, with the fitted drift (straight "
        "line) and what its interval leaves open (band). Triangles: the largest jumps that the ledger has seen; point "
        "at one for the pairs that crossed the cut-off. A click in the legend hides a run, a double click all others."
    )
    title, spoken = f"Energy: {model.card.name}", "; ".join(told)
    return Panel(name=name, title=title, caption=caption, figure=figure, height=460, spoken=spoken)


def _changes(run: AssessedRun, energies: EnergySeries) -> tuple[FloatArray, FloatArray]:
    """Of what should be conserved, ps and meV/atom."""
    energy = energies.total_energy
    if run.run.thermostat and energies.conserved_energy is not None:
        energy = energies.conserved_energy
    return energies.time, 1e3 * (energy - energy[0]) / energies.n_atoms


def _add_jumps(
    figure: go.Figure, run: AssessedRun, time: FloatArray, change: FloatArray, look: dict[str, object], who: str
) -> None:
    """Marks where the ledger found the energy to jump."""
    found = jumps(run)
    if not found:
        return
    at = np.array([float(each.subject["time_ps"]) for each in found])
    figure.add_scatter(
        x=at,
        y=np.interp(at, time, change),
        mode="markers",
        marker={"symbol": "triangle-down", "size": 11, "color": look["color"], "line": {"width": 1, "color": "black"}},
        text=[f"jumps by {words.number(1e3 * each.value)} meV; cross: {each.subject['pairs']}" for each in found],
        hovertemplate="%{x} ps: %{text}<extra></extra>",
        legendgroup=who,
        showlegend=False,
    )


def _add_fit(
    figure: go.Figure,
    time: FloatArray,
    change: FloatArray,
    slope: float,
    ci: tuple[float, float] | None,
    look: dict[str, object],
    who: str,
) -> None:
    """The fitted line through the middle of a curve, and the band of its slopes."""
    middle, level = float(time.mean()), float(change.mean())
    ends = np.array([time[0], time[-1]]) - middle
    shared = {"legendgroup": who, "showlegend": False, "hoverinfo": "skip", "mode": "lines"}
    if ci is not None and all(math.isfinite(each) for each in ci):
        low, high = (level + each * ends for each in ci)
        edge = np.concatenate(
            [[middle, ends[1] + middle, ends[1] + middle], [middle, ends[0] + middle, ends[0] + middle]]
        )
        value = np.concatenate([[level, low[1], high[1]], [level, low[0], high[0]]])
        figure.add_scatter(
            x=edge, y=value, fill="toself", opacity=0.15, line={"width": 0, "color": look["color"]}, **shared
        )
    figure.add_scatter(x=ends + middle, y=level + slope * ends, line={**look, "width": 2.5}, **shared)


def _temperatures(model: AssessedModel, runs: Sequence[AssessedRun], name: str) -> Panel:
    figure = go.Figure()
    for run, energies, look in _looks(runs):
        if energies.temperature is None:
            continue
        width = min(max(1, round(SMOOTHING / run.run.timestep)), len(energies.temperature))
        mean = np.convolve(energies.temperature, np.full(width, 1.0 / width), mode="valid")
        curve = _thinned(energies.time[width // 2 : width // 2 + len(mean)], mean, _points(len(runs)))
        figure.add_scatter(
            x=curve[0], y=curve[1], mode="lines", line=look, name=words.name_of(run), hovertemplate="%{y:.4g} K"
        )
    targets = sorted({run.run.temperature for run in runs})
    for target in targets:
        figure.add_hline(y=target, line={"width": 1, "dash": "dash", "color": "#555555"})
    limits = [each.limit for run in runs for each in run.judged if each.criterion.measurement == "temperature_mean"]
    if len(targets) == 1 and limits and None not in limits[0]:
        figure.add_hrect(y0=limits[0][0], y1=limits[0][1], fillcolor="#999999", opacity=0.12, line_width=0)
    _dressed(figure, "time (ps)", f"temperature, mean over {1e3 * SMOOTHING:.0f} fs (K)")
    figure.update_yaxes(rangemode="tozero")
    caption = "Temperature with its target (dashed line) and the accepted range of its mean (grey)."
    return Panel(name=name, title=f"Temperature: {model.card.name}", caption=caption, figure=figure)


def ledger_panel(assessment: Assessment) -> Panel | None:
    """What changed the energy, a bar for each run that was audited."""
    runs = [run for run in assessment.runs if run.ledger is not None and run.ledger.measurements]
    if not runs:
        return None
    several = len(assessment.models) > 1
    names = [f"{_short(run.run.model_name)}: {words.name_of(run)}" if several else words.name_of(run) for run in runs]
    figure = go.Figure()
    for entry, (label, colour, pattern) in ENTRIES.items():
        found = [run.measured(f"ledger_{entry}") for run in runs]
        if not any(each is not None and math.isfinite(each.value) for each in found):
            continue
        figure.add_bar(
            y=names,
            x=[_share(run, entry) for run in runs],
            text=["not measured" if each is None else words.quantity(each) for each in found],
            textposition="none",
            hovertemplate="%{y}<br>" + label + ": %{text}<extra></extra>",
            orientation="h",
            name=label,
            marker={"color": colour, "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": "white"}},
        )
    _dressed(figure, "share of the energy change (%)", "")
    figure.update_layout(barmode="relative", yaxis={"autorange": "reversed", "automargin": True})
    caption = (
        "What raised (right) and lowered (left) the total energy from the first step to the last, in % of all of it. "
        "Point at a bar for meV/atom/ps with its interval of 99.9 %; the table below has the same numbers."
    )
    return Panel(
        name="ledger", title="Energy ledger", caption=caption, figure=figure, height=min(160 + 34 * len(runs), 1200)
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _share(run: AssessedRun, entry: str) -> float | None:
    """Of an entry among all that changed the energy in either direction, %."""
    values = {each: found.value for each in ENTRIES if (found := run.measured(f"ledger_{each}")) is not None}
    total = sum(abs(value) for value in values.values() if math.isfinite(value))
    value = values.get(entry, math.nan)
    return 100.0 * value / total if math.isfinite(value) and total > 0.0 else None


def envelope_panels(model: AssessedModel) -> Iterator[Panel]:
    """Where every criterion is met, a map of temperature and timestep for each ladder of a model."""
    for number, ladder in enumerate(model.ladders):
        yield _envelope(model, ladder, f"envelope-{model.card.sha256[:8]}-{number}")


def _envelope(model: AssessedModel, ladder: AssessedLadder, name: str) -> Panel:
    of = ladder.envelope
    told = [[CELLS[word] for word in row] for row in of.words]
    counts = [
        [f"{label}<br>{alive} of {n}" if n else label for (label, _), alive, n in zip(*rows, strict=True)]
        for rows in zip(told, of.survived, of.replicas, strict=True)
    ]
    scale = [[(k + edge) / 4, shade] for k, shade in enumerate(SHADES) for edge in (0, 1)]
    figure = go.Figure(
        go.Heatmap(
            z=[[level for _, level in row] for row in told],
            x=[f"{1e3 * each:g} fs" for each in of.timesteps],
            y=[f"{each:g} K" for each in of.temperatures],
            text=counts,
            texttemplate="%{text}",
            colorscale=scale,
            zmin=-0.5,
            zmax=3.5,
            showscale=False,
            xgap=3,
            ygap=3,
            hoverinfo="skip",
        )
    )
    _dressed(figure, "timestep", "temperature")
    title = f"How far it holds: {model.card.name}, {ladder.name}"
    return Panel(
        name=name,
        title=title,
        caption=f"Where every criterion is met: {of.sentence}. Numbers are of replicas.",
        figure=figure,
        height=200 + 60 * len(of.temperatures),
    )


def failure_panels(assessment: Assessment, output: Path) -> Iterator[Panel]:
    """The structure before and after, of the first runs that failed."""
    failed = [run for run in assessment.runs if run.failure is not None and run.run.start.n_atoms <= LARGEST]
    for run in failed[:DRAWN]:
        try:
            frames = read_frames(assessment.plan.folder(output, run.run))
        except UnreadableRunError:  # the report says of each run what became of it
            continue
        failure = run.failure
        assert failure is not None
        at = min(int(np.searchsorted(frames.time, failure.time)), len(frames.time) - 1)
        figure = go.Figure()
        for scene, positions in (("scene", frames.positions[0]), ("scene2", frames.positions[at])):
            for trace in _molecule(run, positions):
                figure.add_trace(trace.update(scene=scene))
        axis = {"visible": False}
        space = {"xaxis": axis, "yaxis": axis, "zaxis": axis, "aspectmode": "data"}
        figure.update_layout(
            scene={**space, "domain": {"x": [0, 0.49]}},
            scene2={**space, "domain": {"x": [0.51, 1]}},
            showlegend=False,
            margin={"l": 0, "r": 0, "t": 28, "b": 0},
            annotations=[
                {"text": text, "x": x, "y": 1.06, "xref": "paper", "yref": "paper", "showarrow": False}
                for text, x in (("start", 0.25), (f"{frames.time[at]:.4g} ps", 0.75))
            ],
        )
        who = words.name_of(run)
        caption = f"{who} failed first at {words.number(failure.time)} ps ({failure.kind}): {failure.what}. Turn it."
        title = f"What failed: {run.run.model_name}, {who}"
        yield Panel(name=f"failure-{run.run.id}", title=title, caption=caption, figure=figure, height=380)


def _molecule(run: AssessedRun, positions: FloatArray) -> Iterator[go.Scatter3d]:
    """Bonds as lines and atoms as balls."""
    start = run.run.start
    atoms = Atoms(start.numbers, positions, cell=start.cell, pbc=start.pbc)
    first, second, away = neighbor_list("ijD", atoms, natural_cutoffs(atoms, mult=1.15))
    once = first < second
    begin = positions[first[once]]
    gap = np.full_like(begin, np.nan)
    lines = np.stack([begin, begin + away[once], gap], axis=1).reshape(-1, 3)
    yield go.Scatter3d(
        x=lines[:, 0],
        y=lines[:, 1],
        z=lines[:, 2],
        mode="lines",
        line={"color": "#888888", "width": 5},
        hoverinfo="skip",
    )
    colours = [f"rgb({','.join(str(round(255 * part)) for part in jmol_colors[z])})" for z in start.numbers]
    yield go.Scatter3d(
        x=positions[:, 0],
        y=positions[:, 1],
        z=positions[:, 2],
        mode="markers",
        marker={
            "color": colours,
            "size": [8 + 10 * float(covalent_radii[z]) for z in start.numbers],
            "line": {"color": "#444444", "width": 1},
        },
        text=[f"{symbol} {k}" for k, symbol in enumerate(atoms.get_chemical_symbols())],
        hoverinfo="text",
    )


def _looks(runs: Sequence[AssessedRun]) -> Iterator[tuple[AssessedRun, EnergySeries, dict[str, object]]]:
    """A colour for each structure, engine, temperature and timestep, and a dash for each replica."""
    kinds = list(dict.fromkeys(run.run.kind for run in runs))
    for run in runs:
        if run.energies is not None:
            colour = COLOURS[kinds.index(run.run.kind) % len(COLOURS)]
            yield run, run.energies, {"color": colour, "dash": DASHES[run.run.replica % len(DASHES)], "width": 1.4}


def _points(n_runs: int) -> int:
    return max(100, min(POINTS, BUDGET // max(n_runs, 1)))


def _thinned(time: FloatArray, values: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    stride = max(1, -(-len(time) // n))
    return time[::stride].astype(np.float32), values[::stride].astype(np.float32)


def _dressed(figure: go.Figure, x: str, y: str) -> None:
    figure.update_layout(
        template="plotly_white",
        margin={"l": 60, "r": 12, "t": 12, "b": 50},
        xaxis_title=x,
        yaxis_title=y,
        font={"size": 13},
        legend={"orientation": "h", "y": -0.22},
        hovermode="closest",
    )
