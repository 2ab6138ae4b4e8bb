"""Criteria: thresholds with their sources, read from data files."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mdsuite.errors import InputError
from mdsuite_driver.bundled import inputs_folder

TARGET_TEMPERATURE = "target temperature"
HORIZON = "length of production"
ON_REQUEST = ("time_reversal_excess",)
"""Measurements that are made where they are asked for; elsewhere their criteria say nothing."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    measurement: str
    label: str
    unit: str
    source: str
    remedy: str
    low: float | None = None
    high: float | None = None
    relative_to: str | None = None
    declared: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    gates: str = ""
    criteria: list[_Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A range that a measurement must lie in, in the measurement's unit.

    relative_to : what low and high are multiples of, or None where they are absolute
    declared : what a model must be said to compute in (float64) for the criterion to apply to it, or "" for any
    """

    measurement: str
    label: str
    unit: str
    source: str
    remedy: str
    low: float | None = None
    high: float | None = None
    relative_to: str | None = None
    declared: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of criteria.

    gates : the profile of static checks that a model must pass too, or ""
    """

    name: str
    title: str
    criteria: tuple[Criterion, ...]
    gates: str = ""


def profiles() -> dict[str, Path]:
    """Name and file of every bundled profile."""
    return {path.stem: path for path in sorted((inputs_folder() / "criteria").glob("*.toml"))}


@cache
def measurements_judged() -> frozenset[str]:
    """The names of all measurements that bundled profiles judge."""
    return frozenset(criterion.measurement for name in profiles() for criterion in read_profile(name).criteria)


def read_profile(name: str) -> Profile:
    """A profile by its bundled name or its file; raises InputError for what is not one."""
    file = profiles().get(name, Path(name))
    if not file.is_file():
        near = difflib.get_close_matches(name, profiles(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"bundled profiles are {', '.join(profiles())}"
        raise InputError(f"wanted a profile of criteria, but there is none called {name}; {hint}")
    try:
        content = _File.model_validate(tomllib.loads(file.read_text()))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise InputError(f"{file} is not a profile of criteria: {error}") from error
    criteria = tuple(Criterion(**entry.model_dump()) for entry in content.criteria)
    return Profile(file.stem, content.title, criteria, content.gates)
