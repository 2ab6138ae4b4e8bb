"""What the forces of a run did, step by step, watched where the engine asks for them."""

from __future__ import annotations

import numpy as np

from mdsuite.engines.forces import Source
from mdsuite.runs import FloatArray, Run
from mdsuite_analysis.ledger.residual import Box, Instant
from mdsuite_analysis.ledger.sampling import Sample, StepSampler
from mdsuite_driver.models.protocol import Evaluation

KEPT = 64  # steps of a chunk, for re-evaluation


class Witness:
    """Enters every answer that a run is given into the energy ledger of the chunk."""

    def __init__(self, run: Run) -> None:
        self._box = Box(cell=run.start.cell, pbc=run.start.pbc)
        self._seed = int(run.id, 16)
        self.begin()

    def begin(self) -> None:
        """A chunk begins: what comes next is its first instant."""
        self._answered: tuple[int, FloatArray, float, FloatArray] | None = None
        self._sampler: StepSampler | None = None
        self._first = self._last = 0
        self._whole = True

    def note(self, step: int, positions: FloatArray, evaluation: Evaluation) -> None:
        """What was answered, after the answer before was entered."""
        self.enter()
        # copied, for an engine may move its atoms in place; the rest can wait until there is time
        self._answered = step, np.array(positions), evaluation.energy, np.array(evaluation.forces)

    def sample(self) -> Sample | None:
        """What was kept of the chunk; None where the engine did not ask once for every step."""
        self.enter()
        if self._sampler is None or not self._whole or self._last == self._first:
            return None
        return self._sampler.sample()

    def enter(self) -> None:
        """Into the ledger, if it is not there yet."""
        if self._answered is None:
            return
        step, positions, energy, forces = self._answered
        instant, self._answered = Instant(step=step, positions=positions, energy=energy, forces=forces), None
        if self._sampler is None or instant.step == self._last == self._first:
            # an engine may ask for the first step of a chunk more than once; the last answer is what it begins with
            self._sampler = StepSampler(instant, self._box, n_kept=KEPT, seed=self._seed, copy=False)
            self._first = self._last = instant.step
        elif instant.step == self._last + 1:
            self._sampler.add(instant)
            self._last = instant.step
        else:
            self._whole = False


class Witnessed:
    """Forces with a witness; no more forces are asked for.

    What was answered last is entered while the next answer is waited for.
    """

    def __init__(self, forces: Source, witness: Witness) -> None:
        self._forces = forces
        self._witness = witness

    def evaluate(self, step: int, cell: FloatArray, positions: FloatArray) -> Evaluation:
        """Ask, and have noted what was answered."""
        evaluation = self._forces.evaluate(step, cell, positions, self._witness.enter)
        self._witness.note(step, positions, evaluation)
        return evaluation

    def advanced(self, step: int) -> None:
        """Pass it on."""
        self._forces.advanced(step)
