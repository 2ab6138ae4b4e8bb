"""Docstrings as they are written here, made into what Sphinx reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sphinx.application import Sphinx

FOOTNOTE = re.compile(r"(?<=\.\. )\[(\d+)\]|\[(\d+)\](?=_)")
OWN = re.compile(r"\.\. \[\d+\]")
FACT = re.compile(r"(?P<names>\w+(?:, \w+)*) : (?P<meaning>.+)")


def process(_app: Sphinx, what: str, name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Bars are bars, footnotes of several modules on a page do not meet, and bare facts are a list."""
    own = what != "module" and any(OWN.match(line) for line in lines)
    label = _module(name) if what != "module" else name.rpartition(".")[2]
    lines[:] = [_plain(line) if own else _labelled(line, label) for line in _listed(_barred(lines))]


def _module(name: str) -> str:
    """The last part of a dotted name that is a module's: those are in lower case and come first."""
    parts = name.split(".")
    return next((part for part in reversed(parts[:-1]) if part.islower()), parts[-1])


def _plain(line: str) -> str:
    """Footnotes of a class or function in words, for MyST does not find the targets of nested ones."""
    return re.sub(r"^\.\. (\[\d+\])", r"\1", re.sub(r"(\[\d+\])_", r"\1", line))


def _labelled(line: str, label: str) -> str:
    labelled = FOOTNOTE.sub(lambda found: f"[#{label}-{found[1] or found[2]}]", line)
    return re.sub(r"(?<=\] )([A-Z])\. ", r"\1\\. ", labelled)  # an initial would be the letter of an enumeration


def _barred(lines: list[str]) -> Iterator[str]:
    """Absolute values, which would be substitutions to Sphinx; formulas keep theirs."""
    formula = False
    for line in lines:
        formula = line.strip().startswith(".. math::") or (formula and (not line.strip() or line.startswith(" ")))
        yield line if formula else re.sub(r"(?<!\\)\|", r"\\|", line)


def _listed(lines: Iterator[str]) -> Iterator[str]:
    """Lines of the form ``name : meaning`` outside of sections, as a list."""
    listing, section, before = False, False, ""
    for line in lines:
        section = section or bool(re.fullmatch(r"-{3,}", line))
        found = None if section else FACT.fullmatch(line)
        if found and (listing or not before.strip()):
            listing = True
            names = ", ".join(f"``{each}``" for each in found["names"].split(", "))
            yield f"- {names}: {found['meaning']}"
        elif listing and line.startswith(" "):
            yield f"  {line.strip()}"
        else:
            listing = False
            yield line
        before = line


def setup(app: Sphinx) -> dict[str, bool]:
    """Before numpydoc sections are read."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True}
