"""Short campaigns of argon, and what was found in them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from mdsuite.cli import main

FLAGS = ["--engine", "lammps", "--model", "argon-lj", "--structure", "argon", "--temperature-K", "60", "--no-check"]
BRIEF = [*FLAGS, "--replicas", "2", "--time-ps", "0.1", "--no-follow-up"]


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)


def results(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "results.json").read_text()))


def table(folder: Path) -> list[tuple[str, str, float | None]]:
    """Measurements of every run, which must not depend on where it ran."""
    found = results(folder)
    return sorted(
        (each["subject"].get("run", ""), each["name"], each["value"])
        for each in found["measurements"]
        if each["subject"].get("run")
    )


def until(happened: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
