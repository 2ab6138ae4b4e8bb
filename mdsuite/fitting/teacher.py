"""Who labels: an ASE calculator."""

from __future__ import annotations

from typing import Any

from mdsuite.errors import InputError

GFN2 = "gfn2-xtb"
EXTRA = "it comes with: pip install 'mdsuite[distill]'"


def make_teacher(name: str) -> Any:  # ase is untyped
    """The calculator of a teacher; raises InputError if its package is missing."""
    if name == GFN2:
        return _gfn2()
    if name.startswith("ase:"):
        from mdsuite_driver.models.ase_calculator import make_calculator  # noqa: PLC0415

        return make_calculator(name, trust=True)
    raise InputError(f"wanted the teacher {GFN2!r} or 'ase:MODULE:FACTORY', got {name!r}")


def _gfn2() -> Any:
    try:
        from tblite.ase import TBLite  # noqa: PLC0415
    except ImportError as error:
        raise InputError(f"the teacher {GFN2} needs the package tblite; {EXTRA}") from error
    return TBLite(method="GFN2-xTB", verbosity=0)
