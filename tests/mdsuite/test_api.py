"""mdsuite from Python says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import mdsuite
from mdsuite.api import StoppedError
from mdsuite.errors import InputError
from mdsuite.report.formats import write_formats

SHORT = {"models": ["argon-lj"], "structures": ["argon"], "engine": ["lammps"], "temperature_K": 60.0, "check": False}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> mdsuite.Results:
    output = tmp_path_factory.mktemp("api") / "o"
    return mdsuite.run(**SHORT, replicas=2, time_ps=0.2, timestep_fs=4.0, follow_up=False, output=output)


def test_a_campaign_in_a_few_lines(found: mdsuite.Results):
    assert found.verdict in ("APPROVED", "INCONCLUSIVE")
    assert list(found.runs["status"]) == ["done", "done"]
    drifts = found.measurements.query("name == 'mean_drift'")
    assert ((drifts.low <= drifts.value) & (drifts.value <= drifts.high)).all() and len(drifts) == 1
    assert set(found.verdicts.outcome) <= {"pass", "fail", "inconclusive", "not run"}
    again = mdsuite.load_results(found.folder)
    pd.testing.assert_frame_equal(again.measurements, found.measurements)


def test_junit_has_no_failure_where_nothing_fails(found: mdsuite.Results):
    (path,) = write_formats(found.folder, ["junit"])
    told = path.read_text()
    assert ("<testcase" in told, "<failure" in told) == (True, False)


def test_a_notebook_shows_the_verdict(found: mdsuite.Results):
    shown = found._repr_html_()
    assert f"<strong>{found.verdict}</strong>" in shown
    assert "<script" not in shown


def test_what_the_command_refuses_is_raised(tmp_path: Path):
    with pytest.raises(InputError, match="has never seen Ar"):
        mdsuite.run(models=["painn-ultra-tiny"], structures=["argon"], output=tmp_path / "o")
    with pytest.raises(TypeError, match=r"mdsuite run has no time_fs; it has .*time_ps"):
        mdsuite.run(time_fs=3)
    with pytest.raises(InputError, match=r"results\.json"):
        mdsuite.load_results(tmp_path)


def test_an_interrupt_stops_it_and_the_same_call_goes_on(tmp_path: Path):
    """As a kernel of a notebook is interrupted: this process alone hears of it."""
    asked = f"""
import _thread, threading, mdsuite
from pathlib import Path
from mdsuite.api import StoppedError

def go(**more):
    return mdsuite.run(**{SHORT!r}, replicas=1, time_ps=20.0, timestep_fs=4.0, follow_up=False, output="o", **more)

def when_begun():
    import time
    while not list(Path("o").glob("runs/*/segments/000000.h5md")):
        time.sleep(0.05)
    _thread.interrupt_main()

threading.Thread(target=when_begun, daemon=True).start()
try:
    go()
except StoppedError as stopped:
    print("STOPPED", stopped)
print("VERDICT", go().verdict)
"""
    ended = subprocess.run(
        [sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert "STOPPED mdsuite run was stopped; the same call goes on" in ended.stdout, ended.stdout + ended.stderr
    assert "VERDICT" in ended.stdout.splitlines()[-1]


def test_nothing_heavy_is_imported_before_it_is_needed():
    asked = "import sys, mdsuite; print([name for name in ('torch', 'pandas', 'lammps') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", asked], text=True) == "[]\n"
    assert issubclass(StoppedError, RuntimeError)
