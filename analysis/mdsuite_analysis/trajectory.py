"""A trajectory that came to its end, with what is known of how it was made."""

from dataclasses import dataclass

from mdsuite_analysis.potential import Configuration
from mdsuite_analysis.series import EnergySeries, Floats, Frames


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trajectory:
    """What a measurement of another package is asked about.

    Attributes
    ----------
    start : Configuration
        Elements, cell and periodicity hold for all frames.
    masses : (n_atoms,) float, amu
    energies : EnergySeries
        Of every step.
    frames : Frames
        Of some steps.
    temperature : float, K
        The target.
    dof : int
        Degrees of freedom that carry kinetic energy.
    timestep : float, ps
    thermostatted : bool
        Whether a thermostat changed the total energy.

    """

    start: Configuration
    masses: Floats
    energies: EnergySeries
    frames: Frames
    temperature: float
    dof: int
    timestep: float
    thermostatted: bool
