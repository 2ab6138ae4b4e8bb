"""The form of a pair's energy curve, as mlip-arena scores it."""

from collections.abc import Iterator

import numpy as np

from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.series import Floats
from mdsuite_analysis.statics.path import Samples

ENERGY_FLOOR = 1e-3
FORCE_FLOOR = 1e-2
HIGHEST = 20.0
"""Energy, eV, above that of the atoms apart, beyond which no trajectory comes and a scan does not count."""


def reachable(scan: Samples) -> Samples:
    """The samples beyond the repulsive wall."""
    high = np.flatnonzero(scan.energy - scan.energy[-1] > HIGHEST)
    first = int(high[-1]) + 1 if len(high) else 0
    return Samples(*(values[first:] for values in scan))


def bond_scan(scan: Samples) -> Iterator[Measurement]:
    """Tortuosity, flips of the force and jumps of the energy of a pair, samples at growing distances.

    Tortuosity is Σ|ΔE| over the rise from the lowest energy to both ends: 1 for a single well and for pure repulsion.
    Flips count changes of sign of the force beyond 10 meV/Å. The jump is the sum of the energy steps on either side of
    every change of their sign, where they exceed 1 meV: a well of 0.01 Å steps has a few meV. Definitions of
    mlip-arena's homonuclear diatomics (github.com/atomind-ai/mlip-arena); the range is that of the cut-off scan.
    """
    energy, force = scan.energy, scan.force
    steps = np.diff(energy)
    rise = abs(energy[-1] - energy.min()) + (energy[0] - energy.min())
    tortuosity = float(np.abs(steps).sum() / rise) if rise > 0.0 else 1.0
    yield Measurement(name="bond_tortuosity", value=tortuosity, unit="1")
    yield Measurement(name="bond_force_flips", value=float(_flips(force[np.abs(force) > FORCE_FLOOR]).sum()), unit="1")
    large = steps[np.abs(steps) > ENERGY_FLOOR]
    flips = _flips(large)
    jump = float(np.abs(large[:-1][flips]).sum() + np.abs(large[1:][flips]).sum())
    yield Measurement(name="bond_energy_jump", value=jump, unit="eV", note=f"steps of {scan.s[1] - scan.s[0]:.3g} Å")


def _flips(values: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Where neighbours (n - 1,) differ in sign."""
    return np.asarray(np.diff(np.sign(values)) != 0)
