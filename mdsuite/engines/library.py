"""A LAMMPS library of the user's own, put where LAMMPS' Python module looks for it."""

from __future__ import annotations

import os
from pathlib import Path

from mdsuite.runs import Run

NAME = "mdsuite"  # the module loads liblammps_NAME.so from LD_LIBRARY_PATH


def library_environment(run: Run, folder: Path) -> dict[str, str]:
    """What must be in the environment of a run's engine before it starts; puts a link into the run's folder."""
    if not run.lammps_library:
        return {}
    link = folder / "library" / f"liblammps_{NAME}.so"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(run.lammps_library)
    paths = [str(link.parent.resolve()), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"LD_LIBRARY_PATH": os.pathsep.join(paths)}
