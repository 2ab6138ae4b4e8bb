"""What a name in a report means: a measurement by the documentation of its function, a criterion, or a cause."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mdsuite.errors import InputError
from mdsuite.judgement.causes import REMEDIES
from mdsuite.judgement.criteria import Criterion, Profile, read_profile
from mdsuite.report.words import span_of
from mdsuite_driver.bundled import inputs_folder

MEASURING = ("mdsuite_analysis", "mdsuite.examination")
ENTRY = "ledger_(jump|work|quadrature|precision|engine|unexplained)"
FAMILIES = {
    rf"{ENTRY}(_share)?": "attribute",
    r"timestep_ratio_\d+": "timestep_order",
    r"rdf_distance_.*": "rdf_distances",
    r"(rotation|reflection|translation|permutation)_(energy|force)_spread": "spread",
    r"cutoff_(energy|force)_jump(_relative)?|force_beyond_cutoff|cutoff_found": "cutoff_in_vacuum",
    r"bond_(tortuosity|force_flips|energy_jump)": "bond_scan",
    r"heat_from_.*": "heat",
    r"(energy|force|virial)_parity": "parity",
    r"(drift|temperature)_difference": "paired_differences",
    "kinetic_fluctuation_difference": "fluctuation_difference",
    "divergence_ratio": "divergence",
    "driver_parity": "_parity",
    "unrepeated_failures": "_counted",
}
"""Functions of measurements that have names by a rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """Where and how a measurement is defined: a documented function or class.

    text : its documentation, and that of its module
    whole : the former with parameters and attributes
    """

    where: str
    name: str
    text: str
    whole: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known of a name.

    criteria : those of bundled profiles that judge it, each with its profile
    remedy : of a cause
    """

    name: str
    definition: Definition | None = None
    criteria: tuple[tuple[Profile, Criterion], ...] = ()
    remedy: str = ""


def explain(name: str) -> Explanation:
    """Of a measurement, a criterion by its label, or a cause; raises InputError, naming what is near, for another."""
    label = [criterion.measurement for _, criterion in _criteria() if criterion.label.lower() == name.lower()]
    measurement = label[0] if label else name
    judged = tuple(each for each in _criteria() if each[1].measurement == measurement)
    found = Explanation(
        name=measurement, definition=_defined(measurement), criteria=judged, remedy=REMEDIES.get(measurement, "")
    )
    if not (found.definition or found.criteria or found.remedy):
        near = difflib.get_close_matches(name, known_names(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `mdsuite explain` lists all of them"
        raise InputError(f"wanted the name of a measurement, a criterion or a cause, got {name!r}{hint}")
    return found


def known_names() -> list[str]:
    """Of everything that is judged, and every cause."""
    return sorted({criterion.measurement for _, criterion in _criteria()} | set(REMEDIES))


def lines(of: Explanation) -> Iterator[str]:
    """For a terminal."""
    yield of.name
    if of.remedy:
        yield f"\nA cause of failures. What to do: {of.remedy}."
    if of.definition is not None:
        yield f"\n{of.definition.text}\n\nMeasured by {of.definition.where}.{of.definition.name}."
    for profile, criterion in of.criteria:
        about = f" (of a model said to compute in {criterion.declared})" if criterion.declared else ""
        yield f"\n{criterion.label}: {span_of(criterion)}{about}, in '{profile.title}' ({profile.name})."
        yield f"  Source: {criterion.source}."
        yield f"  What to do: {criterion.remedy}."


@cache
def _criteria() -> tuple[tuple[Profile, Criterion], ...]:
    profiles = [read_profile(path.stem) for path in sorted((inputs_folder() / "criteria").glob("*.toml"))]
    return tuple((profile, criterion) for profile in profiles for criterion in profile.criteria)


def _defined(name: str) -> Definition | None:
    """By the function of this name, by that of its family, or by one that documents it."""
    family = next((function for pattern, function in FAMILIES.items() if re.fullmatch(pattern, name)), name)
    functions = _functions()
    named = next((each for each in functions if each.name == family), None)
    return named or next((each for each in functions if re.search(rf"`{re.escape(name)}`", each.whole)), None)


@cache
def _functions() -> tuple[Definition, ...]:
    """Everything that is documented where measurements are made, without importing it."""
    files = [(file, package) for package in MEASURING for file in _files(package)]
    return tuple(each for file, package in files for each in _of_file(file, package))


def _files(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return []
    origin = Path(spec.origin)
    return sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]


def _of_file(file: Path, package: str) -> Iterator[Definition]:
    tree = ast.parse(file.read_text())
    below = file.parts[file.parts.index(package) + 1 :] if package in file.parts else ()
    where = ".".join([package, *(part.removesuffix(".py") for part in below)])
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (whole := ast.get_docstring(node)):
            text = _to_read(whole, ast.get_docstring(tree) or "")
            yield Definition(where=where, name=node.name, text=text, whole=whole)


def _to_read(text: str, module: str) -> str:
    """Without parameters, and with what its module says of all of it."""
    said = re.split(r"\n\nParameters\n-+\n", text)[0]
    return f"{said}\n\n{module}" if module else said
