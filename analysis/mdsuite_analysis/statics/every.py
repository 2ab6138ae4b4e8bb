"""Every static check, to be run one by one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.potential import Configuration, Potential
from mdsuite_analysis.statics.curl import jacobian_asymmetry, loop_work
from mdsuite_analysis.statics.cutoff import cutoff_at_edge, cutoff_in_company, cutoff_in_vacuum
from mdsuite_analysis.statics.gradient import forces_against_energy, virial_consistency
from mdsuite_analysis.statics.locality import locality_and_extensivity
from mdsuite_analysis.statics.precision import precision
from mdsuite_analysis.statics.repeat import repetition
from mdsuite_analysis.statics.symmetry import symmetry

Measure = Callable[[Potential, Configuration, float | None, int], Iterable[Measurement]]
"""From a potential, a configuration, the declared cut-off (Å, or None) and a seed."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check with the words that tell a person what is being done."""

    name: str
    label: str
    measure: Measure


CHECKS: tuple[Check, ...] = (
    Check("repetition", "same frame, same answer", lambda p, c, _, seed: repetition(p, c, seed=seed)),
    Check("precision", "precision of energy and forces", lambda p, c, _, seed: precision(p, c, seed=seed)),
    Check(
        "gradient",
        "forces and virial against the energy",
        lambda p, c, _, seed: [*forces_against_energy(p, c, seed=seed), virial_consistency(p, c, seed=seed)],
    ),
    Check(
        "curl",
        "forces against a gradient",
        lambda p, c, _, seed: [jacobian_asymmetry(p, c, seed=seed), loop_work(p, c, seed=seed)],
    ),
    Check(
        "symmetry", "translation, rotation, reflection, permutation", lambda p, c, _, seed: symmetry(p, c, seed=seed)
    ),
    Check("locality", "far atoms and copies", lambda p, c, _, seed: locality_and_extensivity(p, c, seed=seed)),
    Check("vacuum", "cut-off of every pair in vacuum", lambda p, c, r, seed: cutoff_in_vacuum(p, c, r, seed=seed)),
    Check("company", "cut-off among other atoms", lambda p, c, r, seed: cutoff_in_company(p, c, r, seed=seed)),
)
"""In order, for the first looks at the first answer too.

Each yields its measurements, nan where the potential gave no answer, and raises nothing of its making.
"""

AT_EDGE = Check("edge", "cut-off of every pair", lambda p, c, r, seed: cutoff_at_edge(p, c, r, seed=seed))
"""What "vacuum" finds where steps are most often, in a fraction of its time."""
