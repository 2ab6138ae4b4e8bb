"""A model that costs nothing, to measure what is around it: no energy, no forces, for any atoms."""

from __future__ import annotations

import hashlib

import numpy as np

from mdsuite_driver.models.protocol import DOUBLE, Configuration, Evaluation, Model, ModelCard


class Nothing:
    """Atoms that do not feel each other."""

    card = ModelCard(
        name="nothing",
        kind="no potential",
        sha256=hashlib.sha256(b"nothing").hexdigest(),
        periodic=True,
        dtype=DOUBLE,
        cutoff=1.0,
        conservative=True,
    )

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Zeros."""
        return Evaluation(energy=0.0, forces=np.zeros((len(configuration.numbers), 3)), virial=np.zeros((3, 3)))


def load_nothing(_location: str, _trust: bool) -> Model:
    """The only one."""
    return Nothing()
