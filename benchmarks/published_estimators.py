"""Published estimators of energy drift beside ours, on a line of known slope and on published energies.

``python benchmarks/published_estimators.py`` prints both tables. The formulas are restated from the projects' sources:
LAMBench, ``lambench/tasks/calculator/nve_md/nve_md.py`` at 53663f0; fairchem, ``get_te_drift`` of the NVE-MD reducer at
1a47c2f (later versions use the index once); the percentages of MLFF-Distiller's report on its 21 k student.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.constants import angstrom, atomic_mass, e, femto

from mdsuite_analysis.drift import (
    MEV_PER_EV,
    drift_rate_percent_per_ps,
    energy_drift,
    total_drift_percent,
)
from mdsuite_analysis.series import EnergySeries, Floats

FEMTOSECOND = femto / (angstrom * math.sqrt(atomic_mass / e))
"""In ASE's unit of time, Å √(amu/eV)."""

WINDOW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A run of the report: energies in eV, time in ps, percentages as printed."""

    structure: str
    n_atoms: int
    start: float
    end: float
    time: float
    total: float
    largest: float
    rate: float
    drift: float


REPORT = (
    Published(
        structure="0",
        n_atoms=22,
        start=-160.0109,
        end=-145.8107,
        time=2.0,
        total=8.87,
        largest=8.90,
        rate=4.44,
        drift=322.7,
    ),
    Published(
        structure="4",
        n_atoms=25,
        start=-181.0868,
        end=-172.5948,
        time=5.0,
        total=4.69,
        largest=4.74,
        rate=0.94,
        drift=67.9,
    ),
    Published(
        structure="9",
        n_atoms=32,
        start=-229.1371,
        end=-216.4756,
        time=2.0,
        total=5.53,
        largest=5.81,
        rate=2.76,
        drift=197.8,
    ),
)
"""`drift`, meV/atom/ps, is (end - start) / (n_atoms time); the energies of the largest excursions are not published."""


def line(
    drift: float, *, n: int = 10_001, time: float = 100.0, n_atoms: int = 20, start: float = -160.0
) -> EnergySeries:
    """A run whose energy rises by exactly `drift` meV/atom/ps; by default recorded as fairchem records MD22."""
    elapsed = np.linspace(0.0, time, n)
    total = start + drift * n_atoms / MEV_PER_EV * elapsed
    return EnergySeries(step=np.arange(n), time=elapsed, total_energy=total, n_atoms=n_atoms)


def between(run: Published, n: int = 1001) -> EnergySeries:
    """The straight line from the first to the last energy of a published run."""
    drift = MEV_PER_EV * (run.end - run.start) / (run.n_atoms * run.time)
    return line(drift, n=n, time=run.time, n_atoms=run.n_atoms, start=run.start)


def lambench(series: EnergySeries) -> float:
    """LAMBench's slope, which it calls eV/atom/ps, here ×1000 as meV/atom/ps.

    Least squares after a fifth, over times in ASE's unit of time; the result is multiplied by 1000 as if the times had
    been in fs.
    """
    kept = slice(len(series.time) // 5, None)
    times = series.time[kept] * 1000.0 * FEMTOSECOND
    slope = np.polyfit(times, series.total_energy[kept], 1)[0]
    return MEV_PER_EV * abs(1000.0 * float(slope) / series.n_atoms)


def fairchem(series: EnergySeries) -> float:
    """What fairchem calls the drift, meV/atom/ps.

    A tenth is left out, the rest is smoothed, and the difference is taken from the index of the tenth in what is left,
    a fifth into the run, but divided by the time from the tenth.
    """
    energies = series.total_energy / series.n_atoms
    tenth = len(energies) // 10
    smooth = _moving_average(energies[tenth:])
    return MEV_PER_EV * abs(float(smooth[-1] - smooth[tenth])) / float(series.time[-1] - series.time[tenth])


def _moving_average(values: Floats) -> Floats:
    return np.convolve(values[:-1], np.full(WINDOW, 1.0 / WINDOW), mode="valid")


def main() -> None:
    """Print both tables."""
    series = line(1.0)
    print("a line of 1 meV/atom/ps, measured over true")
    for name, value, published in (
        ("LAMBench", lambench(series), "10.18"),
        ("fairchem", fairchem(series), "0.887"),
        ("mdsuite", energy_drift(series).value, "1.000"),
    ):
        print(f"{name:10} {value:9.6f}   expected {published}")
    print("\nfirst and last energies of a published report: printed there / ours; largest excursions need the series")
    for run in REPORT:
        ours = between(run)
        total, rate = total_drift_percent(ours).value, drift_rate_percent_per_ps(ours).value
        print(
            f"{run.structure:2} total {run.total:.2f} / {total:.2f} %   rate {run.rate:.2f} / {rate:.2f} %/ps   "
            f"drift {run.drift:+.1f} / {energy_drift(ours).value:+.1f} meV/atom/ps   largest {run.largest:.2f} / - %"
        )


if __name__ == "__main__":
    main()
