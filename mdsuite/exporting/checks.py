"""The static checks of a model and of its export, beside each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mdsuite.campaign import Campaign
from mdsuite.errors import InputError
from mdsuite.examination import GATES, Subject, examine
from mdsuite.exporting.export import Export
from mdsuite.exporting.report import Checked
from mdsuite.judgement.criteria import read_profile
from mdsuite.plan import Structure, bundled_structure_for, read_structures, require_supported
from mdsuite.structures import read_structure
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import ModelCard


def require_served(campaign: Campaign, card: ModelCard, target: str) -> None:
    """Raise InputError for trajectories that cannot be: of energies alone, or of structures that a model is not for."""
    if target == "onnx":
        raise InputError("ONNX gives no forces, so there are no trajectories of it; leave --structure out, or use pt2")
    for structure in read_structures(campaign):
        require_supported(card, structure.atoms, structure.source)


def checked_beside(source: str, export: Export, folder: Path, *, trust: bool, told: Callable[[str], None]) -> Checked:
    """The quick checks of both on a bundled structure of their elements, each through its driver.

    Raises InputError where there is no such structure.
    """
    if export.target == "onnx":
        return Checked(reason="ONNX gives no forces")
    name = bundled_structure_for(source, trust=trust)
    structure = Structure(name, name, read_structure(name))
    subjects = {
        "model": Subject(source=source, card=load(source, trust=trust).card, trust=trust, threads=1),
        "export": Subject(source=str(export.file), card=load(str(export.file), trust=True).card, trust=True, threads=1),
    }
    found = {
        key: examine(subject, [structure], read_profile("static"), folder / key, names=GATES, told=told)
        for key, subject in subjects.items()
    }
    return Checked(model=found["model"], export=found["export"])
