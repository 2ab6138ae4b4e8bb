"""`mdsuite watch` tells what folders hold, while somebody else fills them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from campaigns import FLAGS, command, until
from rich.console import Console

from mdsuite.watching import Watch, watch

CURLED = "ase:mdsuite_driver.zoo:curl?strength=0.05&host=argon"


def test_a_campaign_is_followed_to_its_end(tmp_path: Path):
    flags = [*FLAGS, "--model", CURLED, "--trust", "--replicas", "1", "--time-ps", "1.6", "--timestep-fs", "1"]
    begun = [sys.executable, "-m", "mdsuite", "run", *flags, "--no-follow-up", "--output", str(tmp_path / "o")]
    with subprocess.Popen(begun, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as going:
        until((tmp_path / "o" / "campaign.json").exists, 60)
        seen = command("watch", tmp_path / "o", "--every", 0.2)
        assert going.wait(120) == 1
    assert seen.exit_code == 0, seen.output
    lines = seen.output.splitlines()
    of_curled, of_sound = ([line for line in lines if line.startswith(name)] for name in (CURLED, "argon-lj"))
    for of_one in (of_curled, of_sound):
        steps = [int(line.split(": ", 1)[1].split(" of ")[0]) for line in of_one]
        assert steps[0] < steps[-1] and steps == sorted(steps)
    assert "1600 of 1600 steps, done" in of_curled[-1] and of_curled[-1].endswith("fail so far")
    assert "1600 of 1600 steps, done" in of_sound[-1] and of_sound[-1].endswith("pass so far")


def test_a_terminal_has_a_table_and_nothing_is_measured_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    command("run", *FLAGS, "--replicas", 2, "--time-ps", 0.6, "--no-follow-up", "--output", tmp_path / "o")
    screen = Console(force_terminal=True, width=160, record=True)
    assert watch(tmp_path / "o", screen, 0.1, once=False)
    said = screen.export_text()
    assert "2 of 2 runs done, 100.0 % of 2400 steps" in said
    assert all("PASS" in line for line in said.rstrip().splitlines()[-2:])
    watching = Watch(tmp_path / "o")
    first = watching.look()
    assert all(each.drift is not None for each in first)
    monkeypatch.setattr("mdsuite.watching.read_energies", lambda _folder: pytest.fail("it was read again"))
    assert watching.look() == first


def test_what_has_not_begun_is_not_done(tmp_path: Path):
    command("submit", *FLAGS, "--shards", 1, "--dry-run", "--replicas", 2, "--output", tmp_path / "o")
    seen = command("watch", tmp_path / "o", "--once")
    assert (seen.exit_code, seen.output.count("0 of 20000 steps\n")) == (3, 2), seen.output
    folder = next((tmp_path / "o" / "runs").iterdir())
    (folder / "run.json").rename(folder / "later.json")  # as it is while a campaign is being claimed
    seen = command("watch", tmp_path / "o", "--once")
    assert (seen.exit_code, seen.output.count("0 of 20000 steps\n")) == (3, 1), seen.output
    assert command("watch", tmp_path).exit_code == 2
