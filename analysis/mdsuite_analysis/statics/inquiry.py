"""A potential asked, and what is said where it does not answer."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from mdsuite_analysis.measurement import NOT_RUN, Measurement, undefined
from mdsuite_analysis.potential import Configuration, Evaluation, NoNumberError, Potential

Named = tuple[str, str]
"""Name and unit of a measurement."""


class NoAnswerError(Exception):
    """The potential raised."""


class NotFiniteError(Exception):
    """The potential answered with NaN or infinity, or for another number of atoms."""


def ask(potential: Potential, configuration: Configuration, *, copy: bool = True) -> Evaluation:
    """Energy, forces and virial; raises NoAnswerError or NotFiniteError.

    The potential gets copies of the arrays, unless it is to be seen whether it changes them, and its answer is copied.
    The virial may be NaN, for most checks do without it.
    """
    try:
        answer = potential(copied(configuration) if copy else configuration)
        energy, forces = float(answer.energy), np.array(answer.forces, dtype=float)
        virial = np.array(answer.virial, dtype=float)
    except NoNumberError as error:
        raise NotFiniteError(f"the model's answer cannot be used: {error}") from error
    except Exception as error:
        raise NoAnswerError(f"the model raised {type(error).__name__}: {error}") from error
    if forces.shape != configuration.positions.shape or virial.shape != (3, 3):
        raise NotFiniteError(
            f"the model's forces have the shape {forces.shape} and its virial {virial.shape}, "
            f"but wanted are {configuration.positions.shape} and (3, 3)"
        )
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        bad = int((~np.isfinite(forces)).sum())
        raise NotFiniteError(f"the model's energy is {energy:g} eV, and {bad} components of its forces are not finite")
    return Evaluation(energy=energy, forces=forces, virial=virial)


def copied(configuration: Configuration) -> Configuration:
    """The same configuration in arrays of its own."""
    return Configuration(
        numbers=np.array(configuration.numbers),
        positions=np.array(configuration.positions, dtype=float),
        cell=np.array(configuration.cell, dtype=float),
        pbc=configuration.pbc,
    )


def answered(named: Sequence[Named], measure: Callable[[], Iterable[Measurement]]) -> list[Measurement]:
    """What `measure` makes, or nan for each of `named` with the reason, where the potential did not answer."""
    try:
        return list(measure())
    except NoAnswerError as error:
        return unanswered(named, f"{NOT_RUN}{error}")
    except NotFiniteError as error:
        return unanswered(named, str(error))


def unanswered(named: Sequence[Named], reason: str) -> list[Measurement]:
    """A nan for each of `named`."""
    return [undefined(name, unit, reason) for name, unit in named]
