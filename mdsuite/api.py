"""mdsuite in Python and notebooks: the commands, and what they have found as tables."""

from __future__ import annotations

import html
import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd

from mdsuite.cli import main
from mdsuite.cli.ending import BAD_INPUT, STOPPED
from mdsuite.errors import InputError


class StoppedError(RuntimeError):
    """A command was stopped; the same call goes on from there."""


@dataclass(frozen=True, slots=True)
class Results:
    """What is in results.json of a folder.

    content : as it was written
    """

    folder: Path
    content: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """APPROVED, CONDITIONAL, NOT RECOMMENDED or INCONCLUSIVE."""
        return str(self.content["verdict"])

    @property
    def measurements(self) -> pd.DataFrame:
        """A row for each: name, value, low, high, confidence, unit, note, and what it is of."""
        return pd.DataFrame([_flat(each) for each in self.content["measurements"]])

    @property
    def verdicts(self) -> pd.DataFrame:
        """A row for each: measurement, criterion, low and high limit, unit, source, outcome, and what it is of."""
        rows = []
        for each in self.content["verdicts"]:
            facts = {key: value for key, value in each.items() if key not in ("limit", "subject")}
            low, high = (_number(bound) for bound in each["limit"])
            rows.append({**facts, "limit_low": low, "limit_high": high, **each["subject"]})
        return pd.DataFrame(rows)

    @property
    def runs(self) -> pd.DataFrame:
        """A row for each: id, status, steps, reason, and what it is of."""
        return pd.DataFrame(
            [
                {**{key: value for key, value in each.items() if key != "subject"}, **each.get("subject", {})}
                for each in self.content["runs"]
            ]
        )

    @property
    def causes(self) -> pd.DataFrame:
        """A row for each: name, share of the drift, evidence, remedy."""
        return pd.DataFrame(list(self.content["causes"]))

    def __repr__(self) -> str:
        """In a line."""
        return f"<Results of {self.folder}: {self.verdict}>"

    def _repr_html_(self) -> str:
        """For a notebook: the verdict, what was not met, and causes."""
        verdicts = self.verdicts
        unmet = verdicts[verdicts["outcome"] != "pass"] if len(verdicts) else verdicts
        columns = [each for each in ("model", "structure", "replica", "criterion", "outcome") if each in unmet]
        parts = [
            f"<p><strong>{html.escape(self.verdict)}</strong> ({html.escape(str(self.folder))})</p>",
            f"<p>{len(verdicts) - len(unmet)} of {len(verdicts)} verdicts pass.</p>",
        ]
        if len(unmet):
            parts.append(unmet[columns].to_html(index=False, max_rows=20))
        if len(self.causes):
            parts.append(self.causes[["name", "remedy"]].to_html(index=False))
        return "".join(parts)


def load_results(folder: str | Path) -> Results:
    """What a command has written into a folder; raises InputError where there are no results."""
    file = Path(folder) / "results.json"
    try:
        return Results(Path(folder), json.loads(file.read_text()))
    except (OSError, ValueError) as error:
        raise InputError(f"wanted a folder with results.json, but {folder} has none: {error}") from error


def run(campaign: str | Path | None = None, *, output: str | Path = "mdsuite-out", **flags: object) -> Results:
    """``mdsuite run``: `flags` are its options by their names, as ``models=["student.pt"], time_ps=10.0``.

    Lists repeat an option, ``check=False`` is ``--no-check``. What the command says is printed.

    Raises InputError for what it does not accept, and StoppedError where it was stopped, as by an interrupt of the
    kernel of a notebook: the same call goes on from there.
    """
    return _carried_out("run", [] if campaign is None else [campaign], output, flags)


def check(model: str | Path, *, output: str | Path = "mdsuite-check", **flags: object) -> Results:
    """``mdsuite check``; flags and errors as of `run`."""
    return _carried_out("check", [model], output, flags)


def compare(
    baseline: str | Path, candidate: str | Path, *, output: str | Path = "mdsuite-compare", **flags: object
) -> Results:
    """``mdsuite compare``; flags and errors as of `run`."""
    return _carried_out("compare", [baseline, candidate], output, flags)


def _carried_out(name: str, given: Sequence[str | Path], output: str | Path, flags: Mapping[str, object]) -> Results:
    """In a process of its own: signals, threads and devices of this one are not touched."""
    words = [name, *map(str, given), "--output", str(output), *_options(name, flags)]
    command = [sys.executable, "-m", "mdsuite", *words]
    last: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            last = list(_printed(process))
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            last = list(_printed(process))
    if process.returncode == BAD_INPUT:
        raise InputError("\n".join(last[-20:]))
    if process.returncode == STOPPED:
        raise StoppedError(f"mdsuite {name} was stopped; the same call goes on from there")
    return load_results(output)


def _printed(process: subprocess.Popen[str]) -> Iterator[str]:
    for line in process.stdout or ():
        click.echo(line, nl=False)
        yield line.rstrip("\n")


def _options(name: str, flags: Mapping[str, object]) -> Iterator[str]:
    """Options of a command by the names of their values; raises TypeError for one that it does not have."""
    options = {each.name: each for each in main.commands[name].params if isinstance(each, click.Option)}
    if unknown := sorted(flags.keys() - options.keys()):
        raise TypeError(f"mdsuite {name} has no {', '.join(unknown)}; it has {', '.join(sorted(map(str, options)))}")
    for key, value in flags.items():
        option = options[key]
        if value is None:
            continue
        if option.is_flag:
            words = option.opts if value else option.secondary_opts
            yield from words[-1:]
            continue
        several = value if isinstance(value, list | tuple) else [value]
        for each in several:
            yield from (option.opts[-1], str(each))


def _flat(measurement: Mapping[str, Any]) -> dict[str, object]:
    low, high = measurement["ci"] or (None, None)
    numbers = {"value": measurement["value"], "low": low, "high": high}
    facts = {key: measurement[key] for key in ("confidence", "unit", "note")}
    values = {key: _number(value) for key, value in numbers.items()}
    return {"name": measurement["name"], **values, **facts, **measurement["subject"]}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
