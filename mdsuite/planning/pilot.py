"""Short runs of a campaign, timed: what a step costs, and what it takes to begin."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdsuite.engines.recording import last_step
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import Outcome, Status, supervise
from mdsuite.files import write_json
from mdsuite.runs import FloatArray, Run, write_run
from mdsuite_driver.models.protocol import way_of

SECONDS = 5.0
"""That a pilot integrates."""

FEWEST, LONGER = 2, 10
"""Words from a run that is timed, and by how much one that gives fewer is made longer."""

N_PARTS = 5
"""Of a pilot, whose rates show how steady it is."""

OF_STEP = 100.0
"""Bytes of the energies of a step, where no chunk came to its end."""

MOST_SIZES = 3
"""Numbers of atoms that a model is timed at; between them it is interpolated."""

FILE = "pilot.json"

Key = tuple[str, int]
"""Kind and number of atoms, by which pilots are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """A short run.

    kind : of engine, model and threads
    step : s, median over parts; spread : s, the fastest and the slowest part
    start : s, until the first step
    of_step : bytes that a step takes on disk, its share of a frame included
    reason : why it was not timed, else ""
    """

    kind: str
    n_atoms: int
    step: float
    spread: tuple[float, float]
    start: float
    of_step: float
    reason: str = ""


def kind_of(run: Run) -> str:
    """What runs have in common whose steps cost the same, but for their number of atoms."""
    return f"{run.engine} {run.model_sha256[:16]} {run.threads} {way_of(run.model)}".rstrip()


def chosen(runs: Sequence[Run]) -> Iterator[Run]:
    """One run of every kind at its smallest, its largest, and a middle number of atoms."""
    by_kind: dict[str, dict[int, Run]] = {}
    for run in runs:
        by_kind.setdefault(kind_of(run), {}).setdefault(run.start.n_atoms, run)
    for of_sizes in by_kind.values():
        sizes = sorted(of_sizes)
        places = np.unique(np.linspace(0, len(sizes) - 1, min(MOST_SIZES, len(sizes))).round().astype(int))
        yield from (of_sizes[sizes[int(place)]] for place in places)


def pilots(runs: Sequence[Run], kept: Path, stop: Stop, told: Callable[[str], None]) -> list[Pilot]:
    """Of every run that is chosen; those that an earlier plan has kept in the folder are taken from there."""
    known = _read(kept)
    for run in chosen(runs):
        if stop.requested:
            break
        key = kind_of(run), run.start.n_atoms
        if key not in known:
            told(f"timing {run.model_name} in {run.engine} at {run.start.n_atoms} atoms")
            known[key] = _timed(run, stop)
            if not known[key].reason:
                _keep(kept, known)
    wanted = {(kind_of(run), run.start.n_atoms) for run in runs}
    return [each for key, each in known.items() if key in wanted]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """Of a run: when (s) it had come to which step, how it ended, and bytes and steps that it has recorded."""

    words: list[tuple[float, int]]
    outcome: Outcome
    written: int
    steps: int | None

    @property
    def is_over_too_soon(self) -> bool:
        return self.outcome.status is Status.DONE and len(self.words) < FEWEST


def _timed(run: Run, stop: Stop) -> Pilot:
    """Made longer than it was planned where it is over before it is heard of."""
    heard = _heard(run, stop)
    while heard.is_over_too_soon and not stop.requested:
        run = dataclasses.replace(run, n_steps=LONGER * run.n_steps)
        heard = _heard(run, stop)
    if heard.outcome.status not in (Status.DONE, Status.STOPPED) or len(heard.words) < FEWEST:
        why = heard.outcome.reason or f"it was stopped after {heard.outcome.steps} steps"
        return _pilot(run, np.array([np.nan]), float("nan"), float("nan"), reason=why)
    rates = _rates(*(np.array(each, dtype=float) for each in zip(*heard.words, strict=True)))
    begun, first = heard.words[0]
    frame = run.start.n_atoms * 9 * 8.0  # positions, velocities and forces in double precision
    of_step = heard.written / heard.steps if heard.steps else OF_STEP + frame / run.frame_steps
    return _pilot(run, rates, max(begun - first * float(np.median(rates)), 0.0), of_step)


def _heard(run: Run, stop: Stop) -> _Heard:
    heard: list[tuple[float, int]] = []
    enough = Stop()

    def advanced(step: int, _rate: float) -> None:
        heard.append((time.monotonic() - begun, step))
        if stop.requested or heard[-1][0] - heard[0][0] > SECONDS:
            enough.request()

    with tempfile.TemporaryDirectory(prefix="mdsuite-pilot-") as made:
        folder = Path(made) / run.id
        write_run(run, folder)
        begun = time.monotonic()
        outcome = supervise(folder, enough, advanced)
        written, steps = sum(file.stat().st_size for file in (folder / "segments").glob("*")), last_step(folder)
    return _Heard(words=heard, outcome=outcome, written=written, steps=steps)


def _rates(times: FloatArray, steps: FloatArray) -> FloatArray:
    """Seconds for a step, in some parts of the run."""
    ends = np.unique(np.linspace(0, len(times) - 1, N_PARTS + 1).round().astype(int))
    moved = np.diff(steps[ends])
    taken = np.diff(times[ends])
    return np.asarray(taken[moved > 0] / moved[moved > 0])


def _pilot(run: Run, rates: FloatArray, start: float, of_step: float, reason: str = "") -> Pilot:
    return Pilot(
        kind=kind_of(run),
        n_atoms=run.start.n_atoms,
        step=float(np.median(rates)),
        spread=(float(np.min(rates)), float(np.max(rates))),
        start=start,
        of_step=of_step,
        reason=reason,
    )


def _read(kept: Path) -> dict[Key, Pilot]:
    try:
        told = json.loads((kept / FILE).read_text())
        found = [Pilot(**{**each, "spread": tuple(each["spread"])}) for each in told]
    except (OSError, ValueError, TypeError, KeyError):  # none, or of another version
        return {}
    return {(each.kind, each.n_atoms): each for each in found}


def _keep(kept: Path, known: Mapping[Key, Pilot]) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    write_json(kept / FILE, [dataclasses.asdict(each) for each in known.values() if not each.reason])
