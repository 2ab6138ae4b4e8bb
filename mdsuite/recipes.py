"""Recipes in TOML: what their tables have in common, and how they are read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mdsuite.errors import InputError


class Section(BaseModel):
    """A table of a recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Kind = TypeVar("Kind", bound=Section)


def tables(path: Path, what: str) -> dict[str, Any]:
    """What stands in a file of TOML, called `what` where it is none; raises InputError."""
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(f"wanted a recipe, but there is no file {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not {what}: {error}") from error


def read(path: Path, kind: type[Kind], what: str) -> Kind:
    """A recipe of a kind, called `what` where it is wrong; raises InputError."""
    try:
        return kind.model_validate(tables(path, what))
    except ValidationError as error:
        raise InputError(f"{path} is not {what}: {error}") from error
