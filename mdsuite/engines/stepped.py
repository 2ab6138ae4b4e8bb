"""Integrators that are stepped from Python, and what they share: recording, restart files, the end at a failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mdsuite.engines.axes import Axes
from mdsuite.engines.engine import StepError
from mdsuite.engines.recording import Frame, Segment
from mdsuite.files import on_disk
from mdsuite.runs import FloatArray, Run

Memory = Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Atoms after a step, in the engine's axes.

    positions : (n_atoms, 3) float, Å, not wrapped
    velocities : (n_atoms, 3) float, Å/ps
    forces : (n_atoms, 3) float, eV/Å
    virial : (3, 3) float, eV
    potential_energy, kinetic_energy : float, eV
    conserved_energy : float, eV, up to a constant, or None where the integrator does not reckon it
    """

    positions: FloatArray
    velocities: FloatArray
    forces: FloatArray
    virial: FloatArray
    potential_energy: float
    kinetic_energy: float
    conserved_energy: float | None


class Stepper(Protocol):
    """What integrates."""

    @property
    def build(self) -> str:
        """Name and version."""
        ...

    def step(self, step: int) -> None:
        """Take the step with this number."""
        ...

    def state(self, step: int) -> State:
        """Atoms at the step with this number, the last that was taken."""
        ...

    def memory(self) -> Memory:
        """Positions, velocities, and all else that decides what comes next."""
        ...


NewStepper = Callable[[Run, Axes, int, Memory | None], Stepper]
"""From a run, its axes, the step to begin at, and what was remembered there; None for the start of the run."""


class Stepped:
    """An engine around a stepper, a new one for every chunk."""

    def __init__(self, run: Run, new: NewStepper) -> None:
        self._run = run
        self._new = new
        self._axes = Axes(run.start)
        self._stepper = new(run, self._axes, 0, None)
        self._conserved: float | None = None  # before this chunk

    @property
    def build(self) -> str:
        """Name and version of the integrator."""
        return self._stepper.build

    def begin(self) -> None:
        """Nothing: it stands at the start."""

    def resume(self, restart: Path, conserved: float) -> None:
        """Take up a run where its restart file left it, to the bit; every chunk but the first begins here."""
        with restart.open("rb") as file, np.load(file) as arrays:
            memory = {name: arrays[name] for name in arrays.files}
        self._conserved = conserved
        self._stepper = self._new(self._run, self._axes, int(memory.pop("step")), memory)

    def write_restart(self, path: Path) -> None:
        """Write what the stepper remembers."""
        with on_disk(), path.open("wb") as file:
            np.savez(file, step=np.array(self._step), **self._stepper.memory())  # type: ignore[arg-type]

    def integrate(self, first: int, last: int) -> Segment:
        """Steps `first` + 1 to `last`, and step 0 where `first` is 0; raises StepError as every engine does."""
        states: list[State] = []
        frames: list[Frame] = []
        for step in range(first, last + 1):
            try:
                if step > first:
                    self._stepper.step(step)
                states.append(self._stepper.state(step))
            except Exception as error:
                failure = StepError(step, error)
                failure.recorded = self._segment(first, states, frames)
                raise failure from error
            if self._is_frame(step, first, last):
                frames.append(self._frame(step, states[-1]))
        self._step = last
        segment = self._segment(first, states, frames)
        if segment is None:
            raise RuntimeError(f"wanted the steps {first} to {last}, none was taken")
        return segment

    def close(self) -> None:
        """Nothing is held."""

    def _is_frame(self, step: int, first: int, last: int) -> bool:
        return step == 0 or (step > first and (step % self._run.frame_steps == 0 or step == last))

    def _frame(self, step: int, state: State) -> Frame:
        return Frame(
            step=step,
            cell=self._axes.cell,
            positions=state.positions,
            velocities=state.velocities,
            forces=state.forces,
            virial=state.virial,
        )

    def _segment(self, first: int, states: list[State], frames: list[Frame]) -> Segment | None:
        kept = states if first == 0 else states[1:]  # the last of the chunk before is evaluated again
        if not kept:
            return None
        conserved = self._conserved_energies(states)
        return Segment(
            frames=frames,
            axes=self._axes.to_engine,
            step=np.arange(len(kept)) + (0 if first == 0 else first + 1),
            potential_energy=np.array([state.potential_energy for state in kept]),
            kinetic_energy=np.array([state.kinetic_energy for state in kept]),
            conserved_energy=None if conserved is None else conserved[-len(kept) :],
        )

    def _conserved_energies(self, states: list[State]) -> FloatArray | None:
        """Of every state, reckoned from the beginning of the run."""
        reckoned = [state.conserved_energy for state in states if state.conserved_energy is not None]
        if len(reckoned) < len(states):
            return None
        energies = np.array(reckoned)
        shift = self._run.thermostat and self._conserved is not None
        return energies + (self._conserved - energies[0]) if shift else energies
