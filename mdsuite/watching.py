"""How a campaign stands while somebody else carries it out: what its folders tell, look after look."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mdsuite.engines.recording import recorded_steps
from mdsuite.execution.supervise import STATUS, Status
from mdsuite.judgement.criteria import Profile, read_profile
from mdsuite.judgement.judge import Outcome
from mdsuite.judgement.trajectories import judge_run
from mdsuite.measuring import of_energies
from mdsuite.plan import read_terms, runs_in
from mdsuite.report.words import quantity
from mdsuite.runs import Run, read_run
from mdsuite_analysis.measurement import Measurement, named
from mdsuite_analysis.read import UnreadableRunError, read_energies

ROWS = 30  # of a table
STYLES = {Outcome.PASS: "green", Outcome.FAIL: "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A run as it was seen.

    status : how its last attempt ended, or "" while one may be at work
    rate : steps per second since it was seen before, or None
    so_far : by the criteria of its energies alone
    """

    run: Run
    steps: int
    status: str
    at: float
    rate: float | None = None
    drift: Measurement | None = None
    so_far: Outcome | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return bool(self.status)

    @property
    def name(self) -> str:
        """For a line."""
        rung = f"{self.run.temperature:g} K, {1e3 * self.run.timestep:g} fs"
        return f"{self.run.model_name} {self.run.structure} #{self.run.replica} {self.run.engine}, {rung}"

    def __str__(self) -> str:
        """In a line."""
        rate = f", {self.rate:.0f} steps/s" if self.rate else ""
        drift = "" if self.drift is None else f", drift {quantity(self.drift)}"
        word = f", {self.so_far} so far" if self.so_far is not None else ""
        status = f", {self.status}" if self.status else ""
        return f"{self.name}: {self.steps} of {self.run.n_steps} steps{status}{rate}{drift}{word}"


@dataclass(slots=True)
class Watch:
    """The runs of the campaign in a folder; raises InputError where there is none.

    all_ended : whether they had, at the last look
    """

    campaign: Path
    profile: Profile = field(init=False)
    all_ended: bool = field(init=False, default=False)
    _seen: dict[str, Sight] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what the campaign is judged by."""
        self.profile = read_profile(read_terms(self.campaign).criteria)

    def look(self) -> list[Sight]:
        """Every run, those at which somebody is at work first; only what has changed is measured again."""
        folders = runs_in(self.campaign)
        for run_id, folder in folders.items():
            if not (folder / "run.json").exists():  # its folder is about to be made
                continue
            before = self._seen.get(run_id)
            now = _seen(folder, before)
            if before is None or (now.steps, now.status) != (before.steps, before.status):
                self._seen[run_id] = self._measured(now, folder)
        self.all_ended = len(self._seen) == len(folders) and all(each.ended for each in self._seen.values())
        return sorted(self._seen.values(), key=lambda each: (each.ended, each.rate is None, each.steps == 0))

    def _measured(self, sight: Sight, folder: Path) -> Sight:
        run = sight.run
        if sight.steps == 0:
            return sight
        try:
            energies = read_energies(folder)
        except (UnreadableRunError, OSError):  # it is being written, or was removed: another look tells
            return sight
        measured = list(of_energies(energies, thermostatted=bool(run.thermostat)))
        by_name = {each.name: each for each in measured}
        judged = [
            each.outcome
            for each in judge_run(self.profile, by_name, {}, run.temperature)
            if each.criterion.measurement in by_name
        ]
        order = (Outcome.FAIL, Outcome.NOT_RUN, Outcome.INCONCLUSIVE, Outcome.PASS)
        drift = named(measured, "conserved_drift" if run.thermostat else "energy_drift")
        return replace(sight, drift=drift, so_far=next((each for each in order if each in judged), None))


def _seen(folder: Path, before: Sight | None) -> Sight:
    run = read_run(folder) if before is None else before.run
    steps, noted, now = recorded_steps(folder), folder / STATUS, time.monotonic()
    status = Status(json.loads(noted.read_text())["status"]) if noted.is_file() else ""
    status = status or (Status.DONE if steps >= run.n_steps else "")  # which is noted a moment later
    gone = now - before.at if before is not None else 0.0
    rate = (steps - before.steps) / gone if before is not None and gone > 0.0 and steps > before.steps else None
    return Sight(run=run, steps=steps, status=status, at=now, rate=rate)


def watch(campaign: Path, console: Console, every: float, *, once: bool) -> bool:
    """Show runs until all have ended, or once: a table on a terminal, else a line for whatever has changed.

    Returns whether all have ended.
    """
    watching = Watch(campaign)
    if console.is_terminal and not once:
        with Live(Text(f"reading {campaign}"), console=console, auto_refresh=False) as live:
            for sights in _looks(watching, every):
                live.update(_table(sights), refresh=True)
        return watching.all_ended
    told: dict[str, str] = {}
    for sights in [watching.look()] if once else _looks(watching, every):
        for sight in sights:
            line = str(sight)
            if told.get(sight.run.id) != line:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
                told[sight.run.id] = line
    return watching.all_ended


def _looks(watching: Watch, every: float) -> Iterator[list[Sight]]:
    while True:
        yield watching.look()
        if watching.all_ended:
            return
        time.sleep(every)


def _table(sights: Sequence[Sight]) -> Table:
    done = sum(each.status == Status.DONE for each in sights)
    steps, wanted = sum(each.steps for each in sights), sum(each.run.n_steps for each in sights)
    title = f"{done} of {len(sights)} runs done, {100.0 * steps / max(wanted, 1):.1f} % of {wanted} steps"
    table = Table(box=None, pad_edge=False, header_style="dim", title=title, title_justify="left")
    for column in ("trajectory", "steps", "steps/s", "drift (meV/atom/ps)", "so far, by its energies"):
        table.add_column(column)
    for each in sights[:ROWS]:
        table.add_row(
            Text(each.name),
            f"{each.steps}/{each.run.n_steps}{f' {each.status}' if each.status else ''}",
            f"{each.rate:.0f}" if each.rate else "",
            "" if each.drift is None else Text(quantity(each.drift, unit=False)),
            "" if each.so_far is None else Text(each.so_far.upper(), style=STYLES.get(each.so_far, "yellow")),
        )
    if len(sights) > ROWS:
        table.add_row(f"and {len(sights) - ROWS} more", "", "", "", "")
    return table
