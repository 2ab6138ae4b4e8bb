"""Potentials of LAMMPS' own, as their users write them: TOML with the lines of a pair style."""

from __future__ import annotations

import hashlib
import json
import shlex
import tomllib
from pathlib import Path
from typing import Literal

from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mdsuite.errors import InputError
from mdsuite.runs import Native
from mdsuite_driver.bundled import inputs_folder
from mdsuite_driver.models.protocol import ModelCard

PREFIX = "native:"


class _File(BaseModel):
    """``elements`` in the order of the atom types; ``commands`` are carried out once the atoms are there."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = ""
    elements: list[str] = Field(min_length=1)
    commands: list[str] = Field(min_length=1)
    units: Literal["metal", "real"] = "metal"
    atom_style: Literal["atomic", "charge"] = "atomic"
    minimum_width_A: float = Field(default=0.0, ge=0, allow_inf_nan=False)  # noqa: N815  the unit's symbol

    @field_validator("elements")
    @classmethod
    def _known(cls, elements: list[str]) -> list[str]:
        unknown = [element for element in elements if element not in atomic_numbers]
        if unknown or len(set(elements)) < len(elements):
            raise ValueError(f"elements are distinct symbols such as Si, got {elements}")
        return elements


def bundled_natives() -> dict[str, Path]:
    """Name and file of every bundled native potential."""
    return {path.stem: path for path in sorted((inputs_folder() / "native").glob("*.toml"))}


def located(source: str) -> str:
    """The source with an absolute path."""
    name = source.removeprefix(PREFIX)
    return f"{PREFIX}{bundled_natives().get(name, Path(name)).resolve()}"


def read_native(source: str) -> tuple[ModelCard, Native]:
    """The potential in ``native:FILE.toml``, or of a bundled name; raises InputError for what is none.

    Words of its lines that name files beside it are made absolute, and those files belong to the potential's hash.
    """
    path = Path(located(source).removeprefix(PREFIX))
    content = _read(path)
    files: dict[str, str] = {}
    commands = tuple(_anchored(line, path.parent, files) for line in content.commands)
    facts = {**content.model_dump(), "files": files}
    card = ModelCard(
        name=content.name or path.stem,
        kind=f"LAMMPS pair style ({content.commands[0]})",
        dtype="float64",
        species=tuple(atomic_numbers[element] for element in content.elements),
        periodic=True,
        sha256=hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest(),
        minimum_width=content.minimum_width_A,
    )
    native = Native(
        elements=tuple(content.elements), commands=commands, units=content.units, atom_style=content.atom_style
    )
    return card, native


def _read(path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError as error:
        raise InputError(
            f"wanted a native potential, but there is no file {path}; bundled ones are {', '.join(bundled_natives())}"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is not readable TOML: {error}") from error
    except ValidationError as error:
        told = "\n".join(f"{path}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InputError(told) from error


def _anchored(line: str, folder: Path, files: dict[str, str]) -> str:
    """A line whose words that name files in `folder` are absolute; the files' hashes are put into `files`."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InputError(f"the line {line!r} is not one of LAMMPS': {error}") from error
    return " ".join(_word(word, folder, files) for word in words)


def _word(word: str, folder: Path, files: dict[str, str]) -> str:
    path = folder / word
    if path.is_file():
        files[word] = hashlib.sha256(path.read_bytes()).hexdigest()
        return f'"{path}"'
    return f'"{word}"' if " " in word else word
