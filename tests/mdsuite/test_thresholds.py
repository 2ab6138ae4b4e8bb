"""A threshold that the baseline meets stays, and nothing is taken for a threshold that is none."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import pytest

from mdsuite.errors import InputError
from mdsuite.replacement.thresholds import Error, Threshold, as_toml, read_limits
from mdsuite_analysis.calibration import Calibrated
from mdsuite_analysis.paired import Standing


def error(value: float, low: float | None = None, two_sigma: float | None = None) -> Error:
    made = None
    if two_sigma is not None:
        unknown = (-math.inf, math.inf)
        made = Calibrated(
            mean=value, two_sigma=two_sigma, two_sigma_ci=unknown, percentile=value, percentile_ci=unknown, n=5
        )
    return Error(value=value, ci=(value if low is None else low, 2 * value), calibrated=made)


def threshold(limit: float | None, baseline: Error, candidate: Error) -> Threshold:
    return Threshold(group="all", kind="forces", limit=limit, baseline=baseline, candidate=candidate)


@pytest.mark.parametrize(
    ("limit", "baseline", "candidate", "says"),
    [
        (10.0, error(8.0), error(9.0), Standing.EQUIVALENT),
        (10.0, error(8.0), error(12.0, low=11.0), Standing.WORSE),
        (10.0, error(8.0), error(12.0, low=9.0), Standing.INCONCLUSIVE),
        (10.0, error(8.0), error(12.0, low=math.nan), Standing.INCONCLUSIVE),
        (10.0, error(11.0), error(12.0, low=11.0), Standing.EQUIVALENT),
        (None, error(8.0), error(12.0), Standing.EQUIVALENT),
    ],
)
def test_only_what_the_baseline_meets_and_the_candidate_breaks_counts(limit, baseline, candidate, says):
    assert threshold(limit, baseline, candidate).says is says


@pytest.mark.parametrize(
    ("limit", "baseline", "two_sigma", "proposed"),
    [
        (10.0, 8.0, 12.0, 10.0),  # not loosened
        (10.0, 8.0, 9.0, 9.0),  # tightened
        (10.0, 11.0, 12.0, 12.0),  # the baseline does not meet it either
        (None, 8.0, 12.0, 12.0),
        (10.0, 8.0, None, 10.0),
        (None, 8.0, None, None),
    ],
)
def test_what_is_proposed(limit, baseline, two_sigma, proposed):
    assert threshold(limit, error(baseline), error(9.0, two_sigma=two_sigma)).proposed() == proposed


def test_what_is_written_is_read_again(tmp_path: Path):
    file = tmp_path / "t.toml"
    file.write_text(as_toml([threshold(10.0, error(8.0), error(9.0, two_sigma=9.5))], "of a test"))
    assert tomllib.loads(file.read_text()) == {"all": {"forces": 9.5}}
    assert read_limits(file, ["all"]) == {"all": {"forces": 9.5}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[dia]\nforces = 1.0", "a threshold for 'dia'; the data have all"),
        ("[all]\nstress = 1.0", "labels are energy, forces, virial"),
        ("[all]\nforces = -1.0", "above 0"),
        ("[all]\nforces = nan", "above 0"),
        ("forces = 1.0", "holds no thresholds"),
        ("[all", "holds no thresholds"),
    ],
)
def test_what_is_no_threshold_is_refused(tmp_path: Path, text: str, said: str):
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_limits(tmp_path / "t.toml", ["all"])
