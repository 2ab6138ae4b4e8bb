"""What earlier commands have found of a model, read from their results.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdsuite.errors import InputError
from mdsuite.report.results import SCHEMA
from mdsuite_driver.models.protocol import ModelCard

RUN, CHECK, FORCES = "run", "check", "forces"

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """A results.json: where it is, and what it says."""

    folder: Path
    content: Json

    @property
    def kind(self) -> str:
        """Whether trajectories, static checks or forces."""
        if "reference" in self.content:
            return FORCES
        return RUN if self.content["runs"] else CHECK

    @property
    def date(self) -> str:
        """When it was written."""
        return str(self.content["provenance"].get("date", "at a time that is not told"))

    def entry(self, card: ModelCard) -> Json | None:
        """What it says of the model with these weights, if it is of them."""
        return next((each for each in self.content.get("models", ()) if each["sha256"] == card.sha256), None)

    def named(self, name: str, card: ModelCard) -> Iterator[Json]:
        """Measurements of a name, of this model."""
        for each in self.content["measurements"]:
            if each["name"] == name and each["subject"].get("model", card.name) == card.name:
                yield each

    def judged(self, card: ModelCard) -> list[Json]:
        """Verdicts on this model."""
        return [each for each in self.content["verdicts"] if each["subject"].get("model", card.name) == card.name]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was found of one model.

    other_weights : folders whose results are of a model of that name with other weights; they are not used
    """

    card: ModelCard
    results: tuple[Result, ...]
    other_weights: tuple[Path, ...]

    def of(self, kind: str) -> list[Result]:
        """The results of one kind of command."""
        return [each for each in self.results if each.kind == kind]


def read_results(folders: Sequence[Path]) -> list[Result]:
    """Of every folder that a command has written; raises InputError for one that holds no results."""
    return [_read(folder) for folder in folders]


def _read(folder: Path) -> Result:
    file = folder / "results.json"
    try:
        content = json.loads(file.read_text())
        if content["schema"] != SCHEMA:
            raise InputError(f"wanted results of the schema {SCHEMA} in {file}, got {content['schema']}")
        return Result(folder, content)
    except FileNotFoundError as error:
        raise InputError(f"wanted a folder that mdsuite has written, but {folder} has no results.json") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file} is not what mdsuite writes: {type(error).__name__}: {error}") from error


def evidence_of(card: ModelCard, results: Sequence[Result]) -> Evidence:
    """Those results that are of these very weights."""
    known = tuple(each for each in results if each.entry(card) is not None)
    named = [each for each in results if each not in known and card.name in _names(each)]
    return Evidence(card, known, tuple(each.folder for each in named))


def _names(result: Result) -> list[str]:
    return [str(each["name"]) for each in result.content.get("models", ())]
