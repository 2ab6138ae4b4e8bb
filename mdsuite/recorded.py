"""Where recorded runs are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mdsuite.errors import InputError
from mdsuite.plan import MANIFEST


def recorded(paths: Sequence[Path]) -> list[Path]:
    """Folders of the runs in some folders; raises InputError where there are none."""
    return [each for path in paths for each in _runs(path)]


def _runs(path: Path) -> list[Path]:
    """The runs in a folder: itself, or those of a campaign."""
    if (path / "run.json").is_file():
        return [path]
    found = sorted(file.parent for file in path.glob("runs/*/run.json")) if (path / MANIFEST).is_file() else []
    if not found:
        raise InputError(f"{path} is neither the folder of a run nor the output of a campaign")
    return found
