"""Directives that show what the suite itself judges by: criteria, causes, and the defects of the zoo."""

from __future__ import annotations

from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mdsuite.explanation import explain
from mdsuite.judgement.causes import REMEDIES
from mdsuite.judgement.criteria import Criterion, read_profile
from mdsuite.report.words import span_of
from mdsuite_driver.zoo import ANIMALS


class Criteria(SphinxDirective):
    """The criteria of a bundled profile, each with its limit, source and remedy, and where it is measured."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """A list in the order of the profile."""
        profile = read_profile(self.arguments[0])
        return self.parse_text_to_nodes("\n".join(_rows(profile.criteria)))


def _rows(criteria: tuple[Criterion, ...]) -> Iterator[str]:
    for each in criteria:
        about = f", of models said to compute in {each.declared}" if each.declared else ""
        yield f"{each.label}"
        yield f": {_measured(each.measurement)}, {span_of(each)}{about}. *Source*: {each.source}."
        yield f"  *Where it is not met*: {each.remedy}."
        yield ""


def _measured(name: str) -> str:
    """The name of a measurement, with a link to the function that makes it."""
    definition = explain(name).definition
    return f"`{name}`" if definition is None else f"{{py:obj}}`{name} <{definition.where}.{definition.name}>`"


class Causes(SphinxDirective):
    """Every cause that a report may name, and its remedy."""

    def run(self) -> list[nodes.Node]:
        """A table."""
        rows = [f"| `{name}` | {remedy} |" for name, remedy in REMEDIES.items()]
        return self.parse_text_to_nodes("\n".join(["| Cause | What to do |", "|---|---|", *rows]))


class Zoo(SphinxDirective):
    """The defects that the suite is tested with."""

    def run(self) -> list[nodes.Node]:
        """A table."""
        rows = [
            f"| `{each.name}` | {each.what} | {each.unit_of_strength} | {', '.join(each.causes)} |"
            for each in ANIMALS.values()
        ]
        head = ["| Defect | What it is | Unit of its strength | Causes that are its own |", "|---|---|---|---|"]
        return self.parse_text_to_nodes("\n".join([*head, *rows]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Known to Sphinx as ``criteria``, ``causes`` and ``zoo``."""
    app.add_directive("criteria", Criteria)
    app.add_directive("causes", Causes)
    app.add_directive("zoo", Zoo)
    return {"parallel_read_safe": True}
