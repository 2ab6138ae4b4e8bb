"""How often the decisions on a drift are right, by simulation.

``python benchmarks/decision_rates.py [coverage | noise | power | sequential] [--runs 400]`` prints one table, or all.
A campaign here is a few replicas of 10 ps at 25 fs whose energies, meV/atom, drift along a line under a known noise.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from scipy.signal import lfilter

from mdsuite_analysis.drift import energy_drift
from mdsuite_analysis.power import missing_length, plan
from mdsuite_analysis.replicas import Noise, drift_heterogeneity, energy_diffusion, energy_noise, mean_drift
from mdsuite_analysis.sequential import PLANNED, Decision, Looks, decide, replay
from mdsuite_analysis.series import EnergySeries, Floats

SPACING = 0.025
SAMPLES = 400
MEV = 1e-3

Make = Callable[[int, Generator], Floats]


def white(n: int, rng: Generator) -> Floats:
    """Independent samples."""
    return rng.normal(size=n)


def correlated(fraction: float) -> Make:
    """A stationary AR(1) series that forgets itself over this fraction of 10 ps."""

    def make(n: int, rng: Generator) -> Floats:
        memory = math.exp(-1.0 / (fraction * SAMPLES))
        kicks = rng.normal(size=n) * math.sqrt(1.0 - memory**2)
        kicks[0] = rng.normal()
        return np.asarray(lfilter([1.0], [1.0, -memory], kicks))

    return make


def walk(n: int, rng: Generator) -> Floats:
    """A random walk with D = 1 (meV/atom)²/ps."""
    return np.cumsum(rng.normal(size=n)) * math.sqrt(2.0 * SPACING)


def noisy_walk(n: int, rng: Generator) -> Floats:
    """The walk under independent samples of deviation 1."""
    return walk(n, rng) + white(n, rng)


def scattered(n: int, rng: Generator) -> Floats:
    """Independent samples about a line of its own, with a slope of deviation 0.2 meV/atom/ps."""
    return white(n, rng) + 0.2 * rng.normal() * SPACING * np.arange(n)


NOISES: Mapping[str, Make] = MappingProxyType(
    {
        "white": white,
        "AR(1), τ = T/100": correlated(0.01),
        "AR(1), τ = T/20": correlated(0.05),
        "AR(1), τ = T/5": correlated(0.2),
        "random walk": walk,
        "random walk + white": noisy_walk,
        "slopes that scatter": scattered,
    }
)


def run(make: Make, rng: Generator, *, drift: float = 0.0, n: int = SAMPLES) -> EnergySeries:
    """One replica of one atom with this drift, meV/atom/ps."""
    time = np.arange(n) * np.float64(SPACING)
    return EnergySeries(step=np.arange(n), time=time, total_energy=MEV * (drift * time + make(n, rng)), n_atoms=1)


def campaigns(
    make: Make, n_runs: int, *, drift: float = 0.0, n_replicas: int = 4, n: int = SAMPLES, seed: int = 0
) -> Iterator[list[EnergySeries]]:
    """So many campaigns of independent replicas."""
    rng = np.random.default_rng(seed)
    for _ in range(n_runs):
        yield [run(make, rng, drift=drift, n=n) for _ in range(n_replicas)]


def deviation_of_slopes(make: Make, *, n_runs: int = 200) -> float:
    """Standard deviation of the slope of one replica, meV/atom/ps."""
    rng = np.random.default_rng(1)
    return float(np.std([energy_drift(run(make, rng)).value for _ in range(n_runs)]))


def coverages(make: Make, n_runs: int, n_replicas: int) -> dict[str, float]:
    """Share of intervals that hold the mean drift, and their mean half-width, for three constructions.

    For replicas of one length Hartung and Knapp's interval is Student's t; DerSimonian and Laird's takes the larger of
    the slopes' scatter and their errors within, the fixed-effect one the latter alone, both with a normal quantile.
    """
    halves: dict[str, list[float]] = {"t over replicas": [], "DerSimonian-Laird": [], "fixed effect": []}
    misses: list[float] = []
    for series in campaigns(make, n_runs, n_replicas=n_replicas):
        drifts = [energy_drift(each) for each in series]
        mean = mean_drift(series)
        within = np.mean([((d.ci[1] - d.ci[0]) / 3.92) ** 2 for d in drifts if d.ci is not None])
        between = np.var([d.value for d in drifts], ddof=1)
        misses.append(abs(mean.value))
        halves["t over replicas"].append(0.0 if mean.ci is None else mean.ci[1] - mean.value)
        halves["DerSimonian-Laird"].append(1.96 * math.sqrt(max(within, between) / n_replicas))
        halves["fixed effect"].append(1.96 * math.sqrt(within / n_replicas))
    held = {name: float(np.mean(np.less(misses, half))) for name, half in halves.items()}
    return held | {f"± {name}": float(np.mean(half)) for name, half in halves.items()}


def noise_rates(make: Make, n_runs: int, *, diffusion: float) -> dict[str, float]:
    """What the measurements of the noise say of it; `diffusion` is the true one."""
    found = [(energy_diffusion(s), drift_heterogeneity(s)) for s in campaigns(make, n_runs)]
    lows, highs = (np.array([d.ci[end] for d, _ in found if d.ci is not None]) for end in (0, 1))
    return {
        "median D": float(np.median([d.value for d, _ in found])),
        "D told from 0": float(np.mean(lows > 0.0)),
        "holds the true D": float(np.mean((lows <= diffusion) & (highs >= diffusion))),
        "median scatter": float(np.median([h.value for _, h in found])),
        "scatter told from 0": float(np.mean([h.ci is not None and h.ci[0] > 0.0 for _, h in found])),
    }


def planned_power(make: Make, noise: Noise, n_runs: int, *, n_replicas: int = 4) -> dict[str, float]:
    """How often a plan for a known noise decides rightly; its limit is one that takes 9 ps after the transient."""
    limit = _limit_of(noise, n_replicas)
    wanted = plan(noise, limit=limit, n_replicas=n_replicas)
    rates = {}
    for name, drift, right in (("zero within", 0.0, Decision.WITHIN), ("twice beyond", 2.0 * limit, Decision.BEYOND)):
        n = round(wanted.run_length / SPACING)
        runs = campaigns(make, n_runs, drift=drift, n_replicas=n_replicas, n=n)
        rates[name] = float(np.mean([decide(mean_drift(series), (-limit, limit)) is right for series in runs]))
    return rates


def pilot_ratio(make: Make, noise: Noise, n_runs: int) -> tuple[float, float, float]:
    """Quartiles of the length that pilots of four times 2 ps ask for, over that for the known noise."""
    limit = _limit_of(noise, 4)
    right = plan(noise, limit=limit, n_replicas=4).length
    asked = [
        missing_length(energy_noise(series), limit=limit, n_replicas=4, length=0.0) / right
        for series in campaigns(make, n_runs, n=SAMPLES // 5)
    ]
    low, middle, high = np.quantile(asked, (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def _limit_of(noise: Noise, n_replicas: int) -> float:
    """The limit that this noise lets be decided in 9 ps."""
    unit = plan(Noise(diffusion=1.0, fluctuation=0.0), limit=1.0, n_replicas=n_replicas).length
    return math.sqrt(unit / 2.4 * noise.slope_variance(9.0))


def sequential_rates(
    make: Make,
    n_runs: int,
    *,
    n_replicas: int = 4,
    looks: Looks | None = None,
    multiples: Sequence[float] = (1.0, 0.0, 3.0, 10.0, 30.0),
) -> dict[str, float]:
    """Shares of campaigns that end within and beyond, and their mean length, for multiples of the limit as drift.

    At once the limit whatever is decided is an error: "within" approves a drift that could be just beyond, "beyond"
    refuses one that could be just within. The limit is one that the planned length decides with the usual power.
    """
    looks = looks or Looks(fractions=PLANNED)
    unit = Noise(diffusion=1.0, fluctuation=0.0)
    length = plan(unit, limit=1.0, n_replicas=n_replicas, confidence=looks.confidences[-1]).length
    limit = deviation_of_slopes(make) / math.sqrt(unit.slope_variance(length))
    rates: dict[str, float] = {}
    for multiple in multiples:
        runs = campaigns(make, n_runs, drift=multiple * limit, n_replicas=n_replicas)
        ends = [replay(series, looks=looks, limit=(-limit, limit)) for series in runs]
        for decision in (Decision.WITHIN, Decision.BEYOND):
            rates[f"{multiple:g} × {decision}"] = float(np.mean([end.decision is decision for end in ends]))
        rates[f"{multiple:g} × length"] = float(np.mean([end.fraction for end in ends]))
    return rates


KNOWN: Mapping[str, Noise] = MappingProxyType(
    {
        "white": Noise(diffusion=0.0, fluctuation=0.5 * SPACING),
        "AR(1), τ = T/100": Noise(diffusion=0.0, fluctuation=0.1),
        "AR(1), τ = T/20": Noise(diffusion=0.0, fluctuation=0.5),
        "random walk": Noise(diffusion=1.0, fluctuation=0.0),
        "random walk + white": Noise(diffusion=1.0, fluctuation=0.5 * SPACING),
    }
)


def _show(title: str, rows: Sequence[tuple[str, Mapping[str, float]]]) -> None:
    width = max(len(name) for name, _ in rows)
    print(f"\n{title}\n{'':{width}}  " + "  ".join(rows[0][1]))
    for name, values in rows:
        print(f"{name:{width}}  " + "  ".join(f"{value:{len(key)}.3f}" for key, value in values.items()))


def show_coverage(n_runs: int) -> None:
    """The interval of the mean drift, nominal 0.95, and half-widths in meV/atom/ps."""
    for n_replicas in (4, 8):
        rows = [(name, coverages(make, n_runs, n_replicas)) for name, make in NOISES.items()]
        _show(f"coverage of the mean drift, {n_replicas} replicas", rows)


def show_noise(n_runs: int) -> None:
    """Diffusion and scatter of slopes; an error within 0.05 where D or scatter is told from zero and is not there."""
    rows = [
        (name, noise_rates(make, n_runs, diffusion=KNOWN[name].diffusion if name in KNOWN else 0.0))
        for name, make in NOISES.items()
    ]
    _show("diffusion and scatter, 4 replicas", rows)


def show_power(n_runs: int) -> None:
    """Power of plans, nominal at least 0.8, and what pilots ask for."""
    for n_replicas in (4, 8):
        rows = [
            (name, planned_power(NOISES[name], noise, n_runs, n_replicas=n_replicas)) for name, noise in KNOWN.items()
        ]
        _show(f"power of a plan, {n_replicas} replicas", rows)
    quartiles = ("lower quartile", "median", "upper quartile")
    rows = [
        (name, dict(zip(quartiles, pilot_ratio(NOISES[name], noise, n_runs), strict=True)))
        for name, noise in KNOWN.items()
    ]
    _show("length asked for by pilots of 4 × 2 ps, over the right one", rows)


def show_sequential(n_runs: int) -> None:
    """Realised error rates with five looks: nominal 0.05 for within and beyond together at once the limit."""
    for n_replicas in (4, 8):
        rows = [(name, sequential_rates(make, n_runs, n_replicas=n_replicas)) for name, make in NOISES.items()]
        _show(f"sequential decisions, 5 looks, {n_replicas} replicas", rows)


TABLES: Mapping[str, Callable[[int], None]] = MappingProxyType(
    {"coverage": show_coverage, "noise": show_noise, "power": show_power, "sequential": show_sequential}
)


def main() -> None:
    """Print the tables that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=TABLES, default=list(TABLES))
    parser.add_argument("--runs", type=int, default=400, help="campaigns of each kind")
    chosen = parser.parse_args()
    for name in chosen.tables:
        TABLES[name](chosen.runs)


if __name__ == "__main__":
    main()
