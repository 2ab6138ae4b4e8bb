"""Who labels: an ASE calculator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mdsuite.errors import InputError

GFN2 = "gfn2-xtb"
EXTRA = "it comes with: pip install 'mdsuite[distill]'"


def make_teacher(name: str) -> Any:  # ase is untyped
    """The calculator of a teacher; raises InputError if it cannot be made, or its package is missing."""
    if name == GFN2:
        return _gfn2()
    if name.startswith("ase:"):
        return _ase(name)
    raise InputError(f"wanted the teacher {GFN2!r} or 'ase:MODULE:FACTORY', got {name!r}")


def code_file(name: str) -> Path | None:
    """The file of a teacher that is given as one."""
    location = name.removeprefix("ase:").partition("?")[0]
    module = location.rpartition(":")[0]
    return Path(module) if module.endswith(".py") else None


def _ase(name: str) -> Any:
    from mdsuite_driver.models.ase_calculator import make_calculator  # noqa: PLC0415
    from mdsuite_driver.models.protocol import ModelError  # noqa: PLC0415

    try:
        return make_calculator(name, trust=True)
    except ModelError as error:
        raise InputError(f"the teacher {name} cannot be made: {error}") from error


def _gfn2() -> Any:
    try:
        from tblite.ase import TBLite  # noqa: PLC0415
    except ImportError as error:
        raise InputError(f"the teacher {GFN2} needs the package tblite; {EXTRA}") from error
    return TBLite(method="GFN2-xTB", verbosity=0)
