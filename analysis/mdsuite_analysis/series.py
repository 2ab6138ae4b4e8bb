"""The energies of a run, step by step."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnergySeries:
    """The energies of a run at evenly spaced times.

    Only the total energy is required: a bare series of energies can be judged too.

    Attributes
    ----------
    step : (n,) int
        Number of the step.
    time : (n,) float, ps
    total_energy : (n,) float, eV
    potential_energy, kinetic_energy : (n,) float, eV, or None
    temperature : (n,) float, K, or None
        The kinetic temperature.
    conserved_energy : (n,) float, eV, or None
        What the integrator conserves: the total energy less what a thermostat gave, up to a constant.
    n_atoms : int

    """

    step: Integers
    time: Floats
    total_energy: Floats
    n_atoms: int
    potential_energy: Floats | None = None
    kinetic_energy: Floats | None = None
    temperature: Floats | None = None
    conserved_energy: Floats | None = None

    def __post_init__(self) -> None:
        if self.n_atoms < 1:
            raise ValueError(f"a series belongs to at least one atom, but n_atoms is {self.n_atoms}")
        for name, column in self.columns().items():
            if column.shape != self.step.shape or column.ndim != 1:
                raise ValueError(
                    f"{name} has shape {column.shape}, but step has {self.step.shape}; "
                    "every column is one-dimensional with one value per step"
                )
        if self.step.size == 0:
            raise ValueError("the series is empty; a run records at least its first step")

    def columns(self) -> dict[str, npt.NDArray[np.float64 | np.int64]]:
        """The columns that were recorded, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "n_atoms"}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def duration(self) -> float:
        """From the first time to the last, ps."""
        return float(self.time[-1] - self.time[0])

    @property
    def finite(self) -> bool:
        """Whether every recorded number is finite."""
        return all(bool(np.isfinite(column).all()) for column in self.columns().values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frames:
    """Recorded configurations of a run.

    Attributes
    ----------
    time : (n,) float, ps
    positions : (n, n_atoms, 3) float, Å
        Not wrapped.
    velocities : (n, n_atoms, 3) float, Å/ps
    forces : (n, n_atoms, 3) float, eV/Å
    virial : (n, 3, 3) float, eV

    """

    time: Floats
    positions: Floats
    velocities: Floats
    forces: Floats
    virial: Floats
