"""The engines that there are: mdsuite's own, and those that other packages bring."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType

from mdsuite.engines.engine import Engine
from mdsuite.engines.forces import Forces
from mdsuite.errors import InputError
from mdsuite.runs import Run

GROUP = "mdsuite.engines"

DRIVER, LOCAL, NATIVE = "driver", "local", "native"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind:
    """What mdsuite has to know of an engine before it opens one.

    title : its name in a report
    forces : where they come from: DRIVER, a process that serves the model; LOCAL, the model in the engine's own
        process; or NATIVE, a potential of the engine's own
    thermostats : those that it has for NVT
    open : from a run, its forces and the path of a log to an engine; called in the engine's process only
    """

    name: str
    title: str
    forces: str
    thermostats: tuple[str, ...]
    open: Callable[[Run, Forces, Path], Engine]


def _lammps(run: Run, forces: Forces, log: Path) -> Engine:
    from mdsuite.engines.lammps import served  # noqa: PLC0415  only where it is installed

    return served(run, forces, log)


def _native(run: Run, forces: Forces, log: Path) -> Engine:
    from mdsuite.engines.lammps import native  # noqa: PLC0415  only where it is installed

    return native(run, forces, log)


def _ipi(run: Run, forces: Forces, log: Path) -> Engine:
    from mdsuite.engines.ipi import open_engine  # noqa: PLC0415  slow

    return open_engine(run, forces, log)


def _ase(run: Run, forces: Forces, log: Path) -> Engine:
    from mdsuite.engines.ase import open_engine  # noqa: PLC0415  slow

    return open_engine(run, forces, log)


_LAMMPS = ("langevin", "csvr", "nose-hoover")
ENGINES: Mapping[str, EngineKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            EngineKind(name="lammps", title="LAMMPS", forces=DRIVER, thermostats=_LAMMPS, open=_lammps),
            EngineKind(name="ipi", title="i-PI", forces=DRIVER, thermostats=("langevin", "csvr"), open=_ipi),
            EngineKind(name="ase", title="ASE", forces=LOCAL, thermostats=("langevin", "csvr"), open=_ase),
            EngineKind(
                name="lammps-native",
                title="LAMMPS, own pair style",
                forces=NATIVE,
                thermostats=_LAMMPS,
                open=_native,
            ),
        )
    }
)


def engine_kinds() -> dict[str, EngineKind]:
    """Every engine by its name; those of other packages are entry points of the group ``mdsuite.engines``."""
    return {**{point.name: point.load() for point in entry_points(group=GROUP)}, **ENGINES}


def engine_kind(name: str) -> EngineKind:
    """The engine of that name; raises InputError if there is none."""
    kinds = engine_kinds()
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(kinds)}"
        raise InputError(f"there is no engine {name}; {hint}")
    return kinds[name]
