"""Measurements that took long, kept in a file until what they were made of changes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from mdsuite.files import write_json
from mdsuite_analysis.measurement import Measurement

Key = Sequence[str | int | float | None]


def read_kept(path: Path, key: Key) -> list[Measurement] | None:
    """What was kept under this key, or None."""
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    return [_restored(each) for each in content["measurements"]] if content["key"] == list(key) else None


def keep(path: Path, key: Key, measurements: Sequence[Measurement]) -> None:
    """Write measurements under a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"key": list(key), "measurements": [_plain(each) for each in measurements]})


def _plain(measurement: Measurement) -> dict[str, object]:
    """As JSON takes it: numbers that are not finite as words."""
    content = {f.name: getattr(measurement, f.name) for f in fields(measurement)}
    content["subject"] = dict(measurement.subject)
    content["value"] = _written(measurement.value)
    content["ci"] = None if measurement.ci is None else [_written(bound) for bound in measurement.ci]
    return content


def _restored(content: Mapping[str, object]) -> Measurement:
    facts = dict(content)
    value, interval = facts.pop("value"), facts.pop("ci")
    ends = None if interval is None else tuple(map(_read, interval))  # type: ignore[call-overload]  # a list of two
    return Measurement(**{**facts, "value": _read(value), "ci": ends})  # type: ignore[arg-type]  # as it was written


def _written(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


def _read(value: object) -> float:
    return float(value)  # type: ignore[arg-type]  # a number, or the word for one that is not finite
