"""A campaign as its user writes it: TOML or flags."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from mdsuite.errors import InputError
from mdsuite_driver.bundled import inputs_folder

QUICK_START = "quick-start"
_SOURCE = re.compile(
    r"((?:[a-z][a-z0-9_-]+:)?)(.*?)((?::.*|@.*|\?.*|))", re.DOTALL
)  # what comes before a path, the path, what comes after


class Section(BaseModel):
    """A table of a campaign; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_or_several(value: Any) -> Any:  # not yet validated
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _distinct(values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise ValueError(f"every value once is wanted, got {', '.join(f'{value:g}' for value in values)}")
    return values


Ladder = Annotated[
    list[Annotated[float, Field(gt=0, allow_inf_nan=False)]],
    Field(min_length=1),
    BeforeValidator(_one_or_several),
    AfterValidator(_distinct),
]
"""One value, or several; the first is the one that is asked about, the others show how far it holds."""


class Dynamics(Section):
    """How every run is integrated."""

    ensemble: Literal["nve", "nvt"] = "nve"
    thermostat: Literal["langevin", "csvr", "nose-hoover"] = "langevin"
    relaxation_ps: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    time_ps: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    timestep_fs: Ladder = [0.5]
    temperature_K: Ladder = [300.0]  # noqa: N815  the unit's symbol
    velocities: Literal["maxwell", "file"] = "maxwell"
    replicas: int = Field(default=4, ge=1)
    seed: int = Field(default=0, ge=0)
    frame_steps: int = Field(default=20, ge=1)
    chunk_steps: int = Field(default=1000, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _one_replica_of_a_file(cls, values: Any) -> Any:  # not yet validated
        if isinstance(values, dict) and values.get("velocities") == "file":
            return {"replicas": 1, **values}
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Dynamics:
        if self.velocities == "file" and self.replicas > 1:
            raise ValueError(f"velocities from a file make all {self.replicas} replicas the same; ask for one")
        if self.chunk_steps % self.frame_steps:
            raise ValueError(f"chunk_steps {self.chunk_steps} is not a multiple of frame_steps {self.frame_steps}")
        longest = max(self.timestep_fs)
        if self.n_steps(longest) < 1:
            raise ValueError(f"time_ps {self.time_ps} is less than one step of {longest} fs")
        return self

    def n_steps(self, timestep_fs: float) -> int:
        """Number of steps of a run."""
        return round(self.time_ps * 1000.0 / timestep_fs)


class Preparation(Section):
    """What is done with every structure, by the model itself, before its runs begin."""

    relax: bool = False
    max_force_eV_per_A: float = Field(default=0.01, gt=0, allow_inf_nan=False)  # noqa: N815  the unit's symbol
    equilibrate_ps: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @property
    def asked(self) -> bool:
        """Whether anything is to be done."""
        return self.relax or self.equilibrate_ps > 0.0


class Coupling(Section):
    """How engine and driver are held together; nothing here changes a trajectory."""

    transport: Literal["unix", "tcp"] = "unix"
    accept_foreign: bool = False
    start_s: float = Field(default=180.0, gt=0, allow_inf_nan=False)
    first_evaluation_s: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    evaluation_s: float = Field(default=120.0, gt=0, allow_inf_nan=False)
    replacements: int = Field(default=3, ge=0)
    max_force_eV_per_A: float = Field(default=1000.0, gt=0, allow_inf_nan=False)  # noqa: N815  the unit's symbol


class Campaign(Section):
    """Engines × models × structures × replicas, one profile of criteria."""

    engine: Annotated[list[str], Field(min_length=1), BeforeValidator(_one_or_several)] = ["lammps"]
    lammps_library: str = ""
    profile: str = ""
    models: list[str] = Field(min_length=1)
    double: list[str] = []
    structures: list[str] = Field(min_length=1)
    check: bool = True
    early: bool = False
    reverse: bool = False
    follow_up: bool = True
    horizon_ps: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    trust: bool = False
    threads: int = Field(default=1, ge=1)
    compile: Literal["auto", "always", "never"] = "auto"
    pack: Literal["auto", "never"] | Annotated[int, Field(ge=1)] = "never"
    dynamics: Dynamics = Dynamics()
    preparation: Preparation = Preparation()
    coupling: Coupling = Coupling()

    @model_validator(mode="after")
    def _as_many_in_double(self) -> Campaign:
        if self.double and len(self.double) != len(self.models):
            raise ValueError(
                f"double names {len(self.double)} models in double precision for {len(self.models)} models; name one "
                "for each, in their order, or none"
            )
        return self

    @property
    def criteria(self) -> str:
        """The profile asked for, or that of the ensemble."""
        return self.profile or f"production-{self.dynamics.ensemble}"


def read_campaign(file: Path | None, overrides: Mapping[str, Any], **sections: Mapping[str, Any]) -> Campaign:
    """A campaign from a file, from flags, or from a file with some values of it and its sections replaced by flags.

    With neither, the bundled quick-start. Raises InputError naming the key, and the nearest valid one.
    """
    named = "models" in overrides or "structures" in overrides
    if file is None and not named:
        file = inputs_folder() / "campaigns" / f"{QUICK_START}.toml"
    content = _anchored(_read_toml(file), file.parent) if file else {}
    content = {**content, **overrides}
    for name, values in sections.items():
        content[name] = _merged(content.get(name, {}), values)
    if file is None:
        _require_names(content)
    return _validated(content, str(file or "the flags"))


def _merged(section: Any, values: Mapping[str, Any]) -> Any:
    return {**section, **values} if isinstance(section, dict) else section  # what is no table is refused later


def _require_names(content: Mapping[str, Any]) -> None:
    for key, flag in (("models", "--model"), ("structures", "--structure")):
        if not content.get(key):
            raise InputError(f"wanted a campaign file, or --model and --structure; {flag} is missing")


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError as error:
        raise InputError(f"wanted a campaign, but there is no file {file}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file} is not readable TOML: {error}") from error


def _anchored(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A campaign's relative paths are meant from where its file is; flags are meant from where the user is."""
    anchored = dict(content)
    for key in ("models", "double", "structures"):
        if isinstance(content.get(key), list):
            anchored[key] = [_from(folder, source) for source in content[key]]
    if "lammps_library" in content:
        anchored["lammps_library"] = _from(folder, content["lammps_library"])
    return anchored


def _from(folder: Path, source: Any) -> Any:
    if not isinstance(source, str):
        return source
    prefix, path, rest = _SOURCE.fullmatch(source).groups()  # type: ignore[union-attr]  # it matches any string
    return f"{prefix}{(folder / path).resolve()}{rest}" if (folder / path).is_file() else source


def seen_from(folder: Path, source: str) -> str:
    """A source as a campaign in a folder names it, where it is one of a file that is there."""
    prefix, path, rest = _SOURCE.fullmatch(source).groups()  # type: ignore[union-attr]  # it matches any string
    return f"{prefix}{os.path.relpath(path, folder)}{rest}" if Path(path).is_file() else source


def _validated(content: Mapping[str, Any], origin: str) -> Campaign:
    try:
        return Campaign.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(f"{origin}: {line}" for line in _explained(error))) from error


def _explained(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        where = [str(part) for part in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            yield _unknown_key(where)
        elif problem["type"] == "value_error":
            yield str(problem["ctx"]["error"])
        else:
            yield f"{'.'.join(where)}: {problem['msg']}, got {problem['input']!r}"


def _unknown_key(where: list[str]) -> str:
    sections: dict[str, type[Section]] = {"dynamics": Dynamics, "preparation": Preparation, "coupling": Coupling}
    section = sections.get(where[0], Campaign) if len(where) > 1 else Campaign
    near = difflib.get_close_matches(where[-1], section.model_fields, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"valid keys are {', '.join(section.model_fields)}"
    return f"unknown key {'.'.join(where)}; {hint}"
