"""A measurement: a number with its uncertainty and its unit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

Interval = tuple[float, float]

NOT_RUN = "not run: "
"""How the note of a nan begins that was not measured since the potential refused to be asked."""

NOT_KNOWN = "not known: "
"""How the note of a nan begins that is nobody's fault: too little was recorded, or there is nothing of the kind.

Any other nan came from numbers that are not finite.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A number with its uncertainty and its unit; it knows no threshold.

    Attributes
    ----------
    name : str
        What was measured, one name everywhere (``energy_drift``).
    value : float
        The number, in `unit`. It is nan where nothing could be measured; `note` says why.
    unit : str
        The unit of `value` and `ci`.
    ci : (low, high) or None
        Confidence interval; None where the number is exact for this run (a count, a percentage of a recorded series).
    confidence : float
        The confidence of `ci`.
    subject : mapping
        What it was measured on: structure, replica, engine, model.
    note : str
        What a reader must know to use the number.

    """

    name: str
    value: float
    unit: str
    ci: Interval | None = None
    confidence: float = 0.95
    subject: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    note: str = ""


def undefined(name: str, unit: str, reason: str, confidence: float = 0.95) -> Measurement:
    """A number that could not be measured, and why."""
    nan = float("nan")
    return Measurement(name=name, value=nan, unit=unit, ci=(nan, nan), confidence=confidence, note=reason)


def about(measurement: Measurement, **subject: str) -> Measurement:
    """The same measurement, said to be about this subject too."""
    return replace(measurement, subject=MappingProxyType({**measurement.subject, **subject}))


def named(measurements: Iterable[Measurement], name: str) -> Measurement | None:
    """The first of that name, if it was made."""
    return next((each for each in measurements if each.name == name), None)
