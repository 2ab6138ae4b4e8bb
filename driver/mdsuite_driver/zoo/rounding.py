"""Answers with few digits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np

from mdsuite_driver.models.neighbours import pairs_within
from mdsuite_driver.models.protocol import Configuration, Evaluation, FloatArray
from mdsuite_driver.zoo.calculator import ZooCalculator
from mdsuite_driver.zoo.hosts import (
    Neighbourhood,
    NobleGas,
    Pairs,
    Values,
    blend,
    find_host,
    neighbourhood,
    radial,
    sound,
    taper,
)
from mdsuite_driver.zoo.nonconservative import with_forces

Rounding = Callable[[FloatArray], FloatArray]


def _to_bits(bits: int) -> Rounding:
    """To nearest with `bits` significant binary digits, whatever the exponent."""

    def rounded(x: FloatArray) -> FloatArray:
        mantissa, exponent = np.frexp(x)
        nearest: FloatArray = np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)
        return nearest

    return rounded


ROUNDINGS: Mapping[str, Rounding] = MappingProxyType(
    {
        "float16": lambda x: x.astype(np.float16).astype(float),
        "bfloat16": _to_bits(8),
        "tf32": _to_bits(11),
        "float32": lambda x: x.astype(np.float32).astype(float),
    }
)


def arithmetic(*, strength: float = 1.0, host: str = "argon", dtype: str = "float32") -> ZooCalculator:
    """The host computed in `dtype` (float16, bfloat16, tf32 or float32), with `strength` of the error that this makes.

    Positions arrive in float32 and the energy is summed up in it, as where a model is cast as a whole; what lies
    between, from the vectors between atoms to the forces, is in `dtype`. In argon every step of the pair potential is
    rounded; in the student TF32 rounds what enters the matrix products.
    """
    if dtype not in ROUNDINGS:
        raise ValueError(f"wanted the arithmetic {', '.join(ROUNDINGS)}, got {dtype!r}")
    exact, rough = find_host(host), _in_precision(host, dtype)

    def evaluate(configuration: Configuration) -> Evaluation:
        pairs = pairs_within(configuration, exact.cutoff)
        coarse = rough.on_pairs(_positions_in_float32(configuration), pairs)
        coarse = dataclasses.replace(coarse, energy=float(np.float32(coarse.energy)))
        return blend(exact.on_pairs(configuration, pairs), coarse, strength)

    return ZooCalculator(evaluate)


class _OnPairs(Protocol):
    def on_pairs(self, configuration: Configuration, pairs: Pairs) -> Evaluation: ...


def _in_precision(host: str, dtype: str) -> _OnPairs:
    if host == "argon":
        return _RoundedNobleGas(ROUNDINGS[dtype])
    from mdsuite_driver.zoo.student import low_precision_student  # noqa: PLC0415  torch takes seconds

    return low_precision_student(dtype)


class _RoundedNobleGas:
    def __init__(self, rounded: Rounding) -> None:
        self._gas = NobleGas()
        self._rounded = rounded

    def on_pairs(self, configuration: Configuration, pairs: Pairs) -> Evaluation:
        around = neighbourhood(configuration, pairs)
        vectors = self._rounded(around.vectors)
        r = self._rounded(np.linalg.norm(vectors, axis=1))
        around = dataclasses.replace(around, vectors=vectors, r=r)
        return radial(around, self._values(around))

    def _values(self, around: Neighbourhood) -> Values:
        u, du = map(self._rounded, self._gas.bare(around))
        w, dw = map(self._rounded, taper(around.r, self._gas.start, self._gas.cutoff))
        return self._rounded(u * w), self._rounded(du * w + u * dw)


def _positions_in_float32(configuration: Configuration) -> Configuration:
    rounded = configuration.positions.astype(np.float32).astype(float)
    return dataclasses.replace(configuration, positions=rounded)


def energy_float32(*, strength: float = 1.0, host: str = "student") -> ZooCalculator:
    """Forces in float64 and the energy rounded to float32, with `strength` of that rounding."""
    potential = sound(find_host(host))

    def evaluate(configuration: Configuration) -> Evaluation:
        answer = potential(configuration)
        error = float(np.float32(answer.energy)) - answer.energy
        return dataclasses.replace(answer, energy=answer.energy + strength * error)

    return ZooCalculator(evaluate)


def rounded_forces(*, strength: float = 1e-3, host: str = "argon") -> ZooCalculator:
    """Forces in whole multiples of `strength` eV/Å, as after a text file with few decimals."""

    def rounded(forces: FloatArray) -> FloatArray:
        return np.rint(forces / strength) * strength if strength else forces

    return ZooCalculator(with_forces(sound(find_host(host)), rounded))
