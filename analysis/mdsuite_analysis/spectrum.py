r"""The vibrational density of states of a run, and its fastest vibration.

The density of states is the power spectrum of the mass-weighted velocities, Σ m |v(ω)|² over atoms and directions: each
vibration in equilibrium contributes k_B T to it at its frequency, whatever its mass [1]_. It is the average over
stretches of the run without overlap, each under a Hann window; frequencies lie one over the length of a stretch apart.

Frames every few steps know no frequency above one half of the frame rate: what is faster is folded down and counts
where it does not belong. `resolves` tells from the elements whether that can happen.

The kinetic energy, which is recorded every step, has no such limit: a harmonic vibration makes it swing at twice its
frequency, and vibrations do not mix in it.

References
----------
.. [1] J. M. Dickey, A. Paskin, Phys. Rev. 188, 1407 (1969), doi:10.1103/PhysRev.188.1407

"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.constants import c, centi, pico
from scipy.signal import spectrogram

from mdsuite_analysis.measurement import NOT_KNOWN, Measurement, undefined
from mdsuite_analysis.series import EnergySeries, Floats, Frames, Integers
from mdsuite_analysis.structure import Blocks, blocks_distance

WAVENUMBER = centi / (pico * c)
"""1/ps in cm⁻¹."""

STRETCHES = 8
"""Into which a run is cut, each a sample of the spectrum."""

SHORTEST = 32
"""Fewest samples of a stretch."""

GRID = 400
"""Wavenumbers on which two spectra are compared."""

FASTEST = ((1, 4500.0), (10, 2500.0), (118, 1000.0))
"""Up to which atomic number of the lightest element what wavenumber (cm⁻¹) may occur: H₂ has 4401, N₂ 2359, P₂ 781."""

SHARE = 0.1
"""Of the power of one vibration in equilibrium, which must lie at or above a frequency for it to be the fastest.

A vibration on its own has less of its energy than that in a tenth of all runs.
"""

FAINT = 0.2
"""Of the power of a vibration, below which what lies at the frequency of its overtone is taken for that."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """A vibrational density of states.

    Attributes
    ----------
    wavenumber : (n,) float, cm⁻¹
        Evenly spaced from zero.
    stretches : (n_stretches, n) float, cm
        The density of each stretch of the run; the integral of their mean over the wavenumber is 1.
    overtone : float
        Where the first overtone of an anharmonic vibration shows, in multiples of its frequency.

    """

    wavenumber: Floats
    stretches: Floats
    overtone: float = 2.0

    @property
    def density(self) -> Floats:
        """The mean over stretches (n,), cm."""
        return np.asarray(self.stretches.mean(axis=0))

    @property
    def highest(self) -> float:
        """The highest wavenumber that the samples know, cm⁻¹."""
        return float(self.wavenumber[-1])

    @property
    def resolution(self) -> float:
        """Spacing of the wavenumbers, cm⁻¹; a Hann window spreads a line over two of them to either side."""
        return float(self.wavenumber[1])


def vibrational_density(frames: Frames, masses: Floats, *, stretch: float | None = None) -> Spectrum:
    """The vibrational density of states of the recorded velocities.

    Parameters
    ----------
    frames : Frames
        At evenly spaced times, with finite velocities; raises ValueError for fewer than `STRETCHES` × `SHORTEST`.
    masses : (n_atoms,) float, amu
    stretch : float, ps, or None
        Length of a stretch; an eighth of the run unless given.

    """
    weighted = np.sqrt(masses)[:, None] * frames.velocities
    return _spectrum(frames.time, weighted.reshape(len(frames.time), -1), stretch)


def kinetic_spectrum(energies: EnergySeries) -> Spectrum:
    """The spectrum of the kinetic energy of every step, at half its frequencies, where the vibrations are.

    Each vibration weighs as the square of its energy, not its energy as in `vibrational_density`, so thermal ones
    scatter. Where one is anharmonic, its velocity beats with its own overtone, at three halves of its frequency here.
    """
    if energies.kinetic_energy is None:
        raise ValueError("the fastest vibration is read off the kinetic energy, but none was recorded")
    doubled = _spectrum(energies.time, energies.kinetic_energy[:, None], None)
    return Spectrum(wavenumber=doubled.wavenumber / 2, stretches=doubled.stretches * 2, overtone=1.5)


def resolves(spectrum: Spectrum, numbers: Integers) -> bool:
    """Whether the samples know every frequency that these elements can have."""
    return spectrum.highest >= _fastest_of(numbers)


def vdos_distances(
    sample: Sequence[Frames],
    reference: Sequence[Frames],
    masses: Floats,
    numbers: Integers,
    *,
    confidence: float = 0.95,
) -> list[Measurement]:
    """How far two densities of states lie apart by the Wasserstein-1 distance.

    `vdos_shift` is in cm⁻¹: what the average vibration would have to shift by; `vdos_distance` is the same over the
    standard deviation of the reference. Intervals are those of `structure`, the stretches being the blocks.

    Parameters
    ----------
    sample, reference : sequence of Frames
        Runs of one structure, at evenly spaced times; they may differ in length and spacing.
    masses : (n_atoms,) float, amu
    numbers : (n_atoms,) int
        Atomic numbers.
    confidence : float
        Confidence of the intervals.

    """
    every = [*sample, *reference]
    reason = _flaw(every)
    if reason:
        return _undefined_distances(reason, confidence)
    stretch = min(_duration(run.time) for run in every) / STRETCHES
    spectra = [[vibrational_density(run, masses, stretch=stretch) for run in runs] for runs in (sample, reference)]
    blurred = [each for runs in spectra for each in runs if not resolves(each, numbers)]
    if blurred:
        least = min(each.highest for each in blurred)
        return _undefined_distances(
            f"frames know wavenumbers up to {least:.0f} cm⁻¹, and these elements may have faster vibrations; "
            "record frames more often",
            confidence,
        )
    top = min(each.highest for runs in spectra for each in runs)
    grid = np.linspace(0.0, top, GRID + 1)
    blocks = [[_on_grid(each, grid) for each in runs] for runs in spectra]
    width = np.array([top / GRID])
    note = f"up to {top:.0f} cm⁻¹, in steps of {spectra[1][0].resolution:.0f} cm⁻¹"
    return [
        blocks_distance("vdos_distance", blocks[0], blocks[1], confidence=confidence, note=note),
        blocks_distance("vdos_shift", blocks[0], blocks[1], width=width, unit="cm⁻¹", confidence=confidence, note=note),
    ]


def fastest_period(spectrum: Spectrum, *, vibrations: int, numbers: Integers, confidence: float = 0.95) -> Measurement:
    """The period of the fastest vibration, fs.

    It is the highest frequency at or above which lies a tenth of the power that one of so many vibrations has in
    equilibrium, overtones and what no vibration of these elements can reach left out. The interval is what the
    resolution allows: two wavenumbers of the spectrum to either side. In a run shorter than vibrations take to exchange
    energy, one that was given none does not show.

    Parameters
    ----------
    spectrum : Spectrum
        Of the velocities, or of the kinetic energy of every step.
    vibrations : int
        Number of vibrations, 3 n_atoms - 6 for a molecule.
    numbers : (n_atoms,) int
        Atomic numbers.
    confidence : float
        Confidence stated for the interval.

    """
    name, unit = "fastest_period", "fs"
    if not np.isfinite(spectrum.stretches).all() or not resolves(spectrum, numbers):
        note = f"the spectrum ends at {spectrum.highest:.0f} cm⁻¹, and these elements may have faster vibrations"
        nan = float("nan")
        return Measurement(name=name, value=nan, unit=unit, ci=(nan, nan), confidence=confidence, note=note)
    fastest = _fastest_line(spectrum, SHARE / vibrations, _fastest_of(numbers))
    margin = 2 * spectrum.resolution
    period, short, long = (
        _period(wavenumber) for wavenumber in (fastest, fastest + margin, max(fastest - margin, 0.0))
    )
    return Measurement(
        name=name, value=period, unit=unit, ci=(short, long), confidence=confidence, note=f"{fastest:.0f} cm⁻¹"
    )


def steps_per_fastest_period(period: Measurement, timestep: float) -> Measurement:
    """How many timesteps (ps) the fastest vibration takes; velocity Verlet wants some twenty.

    Parameters
    ----------
    period : Measurement
        `fastest_period`.
    timestep : float, ps

    """
    femtoseconds = timestep * 1e3
    low, high = period.ci or (period.value, period.value)
    return Measurement(
        name="steps_per_fastest_period",
        value=period.value / femtoseconds,
        unit="1",
        ci=(low / femtoseconds, high / femtoseconds),
        confidence=period.confidence,
        note=period.note,
    )


def _fastest_of(numbers: Integers) -> float:
    lightest = int(numbers.min())
    return next(wavenumber for number, wavenumber in FASTEST if lightest <= number)


def _fastest_line(spectrum: Spectrum, share: float, top: float) -> float:
    """The highest wavenumber up to `top` at or above which so much of the power lies, in no faint overtone; or zero."""
    power = np.where(spectrum.wavenumber <= top, spectrum.density * spectrum.resolution, 0.0)
    above = np.cumsum(power[::-1])[::-1]
    fastest = float(spectrum.wavenumber[np.flatnonzero(above >= share)[-1]]) if above[0] >= share else 0.0
    width = 3 * spectrum.resolution
    line, fundamental = (
        power[np.abs(spectrum.wavenumber - at) <= width].sum() for at in (fastest, fastest / spectrum.overtone)
    )
    apart = fastest - fastest / spectrum.overtone > 2 * width
    return _fastest_line(spectrum, share, fastest - width) if apart and line < FAINT * fundamental else fastest


def _spectrum(time: Floats, signals: Floats, stretch: float | None) -> Spectrum:
    """Spectrum of signals (n_times, n_signals), summed over them."""
    spacing = _duration(time) / max(len(time) - 1, 1)
    length = len(time) // STRETCHES if stretch is None else int(stretch / spacing * (1.0 + 1e-9))
    if length < SHORTEST:
        raise ValueError(f"a spectrum needs stretches of {SHORTEST} samples, but they have {length} of {len(time)}")
    if not np.isfinite(signals).all():
        raise ValueError("a spectrum needs finite velocities and energies")
    frequency, _, power = spectrogram(
        signals, fs=1.0 / spacing, window="hann", nperseg=length, noverlap=0, detrend="constant", axis=0
    )
    stretches = power.sum(axis=1).T
    wavenumber = frequency * WAVENUMBER
    return Spectrum(wavenumber=wavenumber, stretches=stretches / (stretches.mean(axis=0).sum() * wavenumber[1]))


def _on_grid(spectrum: Spectrum, grid: Floats) -> Blocks:
    """The power of each stretch between the points of a grid, from the cumulative spectrum between its own."""
    edges = np.append(spectrum.wavenumber - spectrum.resolution / 2, spectrum.highest + spectrum.resolution / 2)
    cumulative = np.pad(np.cumsum(spectrum.stretches, axis=1), ((0, 0), (1, 0)))
    rows = [np.diff(np.interp(grid, edges, each)) for each in cumulative]
    return Blocks(weights=np.array(rows, dtype=np.float64)[:, None, :])


def _duration(time: Floats) -> float:
    return float(time[-1] - time[0])


def _period(wavenumber: float) -> float:
    return 1e3 * WAVENUMBER / wavenumber if wavenumber > 0.0 else float("inf")


def _flaw(runs: Sequence[Frames]) -> str:
    if any(not np.isfinite(run.velocities).all() for run in runs):
        return "some velocities are not finite"
    needed = STRETCHES * SHORTEST
    shortest = min((len(run.time) for run in runs), default=0)
    return f"{NOT_KNOWN}{shortest} frames; a spectrum needs {needed}" if shortest < needed else ""


def _undefined_distances(reason: str, confidence: float) -> list[Measurement]:
    return [
        undefined(name, unit, reason, confidence) for name, unit in (("vdos_distance", "1"), ("vdos_shift", "cm⁻¹"))
    ]
