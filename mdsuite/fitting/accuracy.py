"""A student's errors on frames that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mdsuite.fitting.sampling import Labelled
from mdsuite_driver.models.painn import PaiNN

SEEN, UNSEEN = "all that were trained on", "all that were not trained on"
ALIKE = "all like those that were trained on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Errors on held-out frames of a molecule or a file, or of several, at one temperature.

    temperature : K, or None where it is not known
    energy_mae : meV/atom
    force_mae, force_rmse : meV/Å, by component
    force_r2 : coefficient of determination by component, NaN where all labels are the same
    """

    subject: str
    unseen: bool
    temperature: float | None
    n_frames: int
    energy_mae: float
    force_mae: float
    force_rmse: float
    force_r2: float

    @property
    def condition(self) -> str:
        """What was measured on, in a word."""
        return self.subject if self.temperature is None else f"{self.subject} {self.temperature:g} K"


def accuracies(network: PaiNN, held_out: Sequence[Labelled], seen: str = SEEN) -> list[Accuracy]:
    """By subject and temperature, and by temperature over all subjects that were trained on and that were not.

    seen : what the former are called
    """
    temperatures = sorted({each.portion.temperature for each in held_out}, key=lambda each: each or 0.0)
    subjects = dict.fromkeys((each.portion.subject, each.portion.unseen) for each in held_out)
    rows = []
    for subject, unseen in subjects:
        of = [each for each in held_out if each.portion.subject == subject]
        rows += list(_by_temperature(network, of, subject, temperatures, unseen=unseen))
    for name, unseen in ((seen, False), (UNSEEN, True)):
        of = [each for each in held_out if each.portion.unseen == unseen]
        rows += list(_by_temperature(network, of, name, temperatures, unseen=unseen))
    return rows


def _by_temperature(
    network: PaiNN, labelled: Sequence[Labelled], name: str, temperatures: Sequence[float | None], *, unseen: bool
) -> Iterator[Accuracy]:
    from mdsuite.fitting.batch import items_of  # noqa: PLC0415  torch takes seconds
    from mdsuite.fitting.train import residuals  # noqa: PLC0415  torch takes seconds

    for temperature in temperatures:
        of = [each for each in labelled if each.portion.temperature == temperature and len(each.energies)]
        if not of:
            continue
        items = [item for each in of for item in items_of(network, each)]
        energy, force = residuals(network, items)
        labels = np.concatenate([each.forces.ravel() for each in of])
        yield Accuracy(
            subject=name,
            unseen=unseen,
            temperature=temperature,
            n_frames=len(items),
            energy_mae=1e3 * float(np.abs(energy).mean()),
            force_mae=1e3 * float(np.abs(force).mean()),
            force_rmse=1e3 * float(np.sqrt((force**2).mean())),
            force_r2=1.0 - float((force**2).mean() / labels.var()) if labels.var() else math.nan,
        )
