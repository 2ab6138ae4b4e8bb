"""What numbers on forces mean in words; the bands are data, each with its source."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mdsuite_analysis.measurement import Measurement
from mdsuite_driver.bundled import inputs_folder


class Band(BaseModel):
    """A range of a number that ends at `up_to`, and begins where the one before it ends."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    says: str
    source: str
    up_to: float | None = None


class Bands(BaseModel):
    """All bands of a measurement, the best first; `descending` where large numbers are good."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    unit: str
    descending: bool = False
    bands: list[Band] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Bands:
        ends = [each.up_to for each in self.bands]
        inner = [end for end in ends[:-1] if end is not None]
        if len(inner) != len(ends) - 1 or ends[-1] is not None or inner != sorted(inner, reverse=self.descending):
            raise ValueError(f"the bands of {self.name} need ends in order, from the best on, and the last has none")
        return self

    def of(self, value: float) -> Band:
        """The band that a value lies in."""
        inside = value.__ge__ if self.descending else value.__le__
        return next(each for each in self.bands if each.up_to is None or inside(each.up_to))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A measurement in words; `certain` where its whole interval lies in one band."""

    measurement: Measurement
    band: Band
    certain: bool


def read_bands() -> list[Bands]:
    """Those for forces."""
    content = tomllib.loads((inputs_folder() / "bands" / "forces.toml").read_text())
    return [Bands.model_validate(each) for each in content["measurement"]]


def readings(measurements: Sequence[Measurement]) -> Iterator[Reading]:
    """What the measurements over all frames mean that there are bands for."""
    overall = {each.name: each for each in measurements if not each.subject}
    for bands in read_bands():
        found = overall.get(bands.name)
        if found is None or math.isnan(found.value):
            continue
        band = bands.of(found.value)
        ends = found.ci or ()
        yield Reading(measurement=found, band=band, certain=bool(ends) and all(bands.of(end) is band for end in ends))
