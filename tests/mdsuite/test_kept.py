"""What took long is kept as it was, under its key."""

import math
from pathlib import Path

from mdsuite.kept import keep, read_kept
from mdsuite_analysis.measurement import Measurement

MADE = [
    Measurement(name="a", value=1.5, unit="eV", ci=(-math.inf, 2.0), subject={"pair": "O-H"}, note="of a pair"),
    Measurement(name="b", value=math.nan, unit="1"),
]


def test_measurements_come_back_as_they_were(tmp_path: Path):
    keep(tmp_path / "folder" / "kept.json", ["key", 1], MADE)
    first, second = read_kept(tmp_path / "folder" / "kept.json", ["key", 1]) or []
    assert (first.value, first.ci, dict(first.subject)) == (1.5, (-math.inf, 2.0), {"pair": "O-H"})
    assert math.isnan(second.value)
    assert second.ci is None


def test_what_was_made_of_something_else_is_made_again(tmp_path: Path):
    keep(tmp_path / "kept.json", ["key", 1], MADE)
    assert read_kept(tmp_path / "kept.json", ["key", 2]) is None
    assert read_kept(tmp_path / "absent.json", ["key", 1]) is None
