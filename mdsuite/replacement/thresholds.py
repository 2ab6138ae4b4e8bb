"""Thresholds on errors: which ones both models meet, what repeated runs make of them, and which ones may change."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mdsuite.errors import InputError
from mdsuite.linear.errors import KINDS
from mdsuite_analysis.calibration import Calibrated
from mdsuite_analysis.paired import Standing

Limits = Mapping[str, Mapping[str, float]]
"""By type of configuration, and by kind of label, in meV/atom, meV/Å and meV/atom."""

_LIMITS = TypeAdapter(dict[str, dict[str, float]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """A root mean square error of a model on one kind of label of one type of configuration.

    ci : over structures; NaN where there are too few
    calibrated : what its repeated runs make a threshold of; None where there is one run
    """

    value: float
    ci: tuple[float, float]
    calibrated: Calibrated | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A present threshold beside the errors of both models; `limit` is None where there is none yet."""

    group: str
    kind: str
    limit: float | None
    baseline: Error
    candidate: Error

    @property
    def says(self) -> Standing:
        """A threshold that the baseline meets and the candidate does not, beyond doubt, makes it worse."""
        if self.limit is None or self.baseline.value > self.limit or self.candidate.value <= self.limit:
            return Standing.EQUIVALENT
        return Standing.WORSE if self.candidate.ci[0] > self.limit else Standing.INCONCLUSIVE

    @property
    def kept(self) -> bool:
        """Whether it may not be loosened: the baseline meets it."""
        return self.limit is not None and self.baseline.value <= self.limit

    @property
    def met(self) -> bool:
        """Whether the candidate meets it."""
        return self.limit is None or self.candidate.value <= self.limit

    def proposed(self) -> float | None:
        """For a candidate that is accepted: mean plus two standard deviations, and never looser than what is kept."""
        made = None if self.candidate.calibrated is None else self.candidate.calibrated.two_sigma
        if self.kept and self.limit is not None:
            return self.limit if made is None else min(made, self.limit)
        return made


def read_limits(file: Path, groups: Iterable[str]) -> Limits:
    """From TOML with a table for each type of configuration; raises InputError for a type or a label there is not."""
    try:
        limits = _LIMITS.validate_python(tomllib.loads(file.read_text()))
    except FileNotFoundError as error:
        raise InputError(f"wanted thresholds, but there is no file {file}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise InputError(f"{file} holds no thresholds: {error}") from error
    known = list(groups)
    for group, of in limits.items():
        if group not in known:
            raise InputError(f"{file} has a threshold for {group!r}; the data have {', '.join(known)}")
        for kind, limit in of.items():
            if kind not in KINDS:
                raise InputError(f"{file} has a threshold for {kind!r} of {group}; labels are {', '.join(KINDS)}")
            if not (math.isfinite(limit) and limit > 0.0):
                raise InputError(f"{file}: wanted a threshold above 0 for {kind} of {group}, got {limit}")
    return limits


def as_toml(thresholds: Sequence[Threshold], title: str) -> str:
    """Those that are proposed, with where each comes from."""
    lines = [f"# {title}", "# energy and virial in meV/atom, forces in meV/Å", ""]
    for group in dict.fromkeys(each.group for each in thresholds):
        proposed = [(each, each.proposed()) for each in thresholds if each.group == group]
        if not any(value is not None for _, value in proposed):
            continue
        lines.append(f'["{group}"]')
        for each, value in proposed:
            if value is None:
                continue
            of = each.candidate.calibrated
            why = "kept: the baseline meets it" if value == each.limit or of is None else f"mean + 2σ of {of.n} runs"
            lines.append(f"{each.kind} = {value:.4g}  # {why}")
        lines.append("")
    return "\n".join(lines)
