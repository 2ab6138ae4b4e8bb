"""Campaigns by their tables: the same verdicts as run by run, nothing read twice, nothing said that is not there."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from campaigns import command, results
from processes import contents

from mdsuite.coordination import coordinating
from mdsuite.engines.recording import recorded_steps
from mdsuite.gathering.kinds import kinds_of
from mdsuite.gathering.record import Record, Row, entry_of, measurement_of
from mdsuite.gathering.store import Store
from mdsuite.judgement.criteria import read_profile
from mdsuite.judgement.judge import Verdict
from mdsuite.plan import Terms
from mdsuite_analysis.measurement import Measurement

ARGON = ["--engine", "lammps", "--model", "argon-lj", "--structure", "argon", "--no-check", "--no-follow-up"]
SHORT = [*ARGON, "--temperature-K", "60", "--timestep-fs", "4", "--time-ps", "2.4", "--replicas", "3"]
TERMS = Terms(criteria="production-nve", horizon_ps=0.0, first=(300.0, 0.5))
LIMIT = max(each.high or 0.0 for each in read_profile("production-nve").criteria if each.measurement == "energy_drift")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three short runs, done and reported on run by run."""
    output = tmp_path_factory.mktemp("campaign") / "out"
    assert command("run", *SHORT, "--output", output).exit_code in (0, 1, 3)
    return output


def test_the_tables_say_what_the_report_says(campaign: Path):
    gathered = command("gather", campaign)
    in_full, by_tables = results(campaign), results(campaign / "results")
    assert by_tables["verdict"] == in_full["verdict"]
    assert (by_tables["planned"], by_tables["ended"]) == (3, 3)
    assert gathered.exit_code == {"APPROVED": 0, "NOT RECOMMENDED": 1, "INCONCLUSIVE": 3}[in_full["verdict"]]
    told = {
        (each["subject"]["run"], each["name"]): each for each in in_full["measurements"] if "run" in each["subject"]
    }
    tables = pd.read_parquet(sorted((campaign / "results").glob("measurements-*.parquet")))
    assert len(tables) > 20
    for each in tables.astype(object).where(tables.notna(), None).to_dict("records"):
        same = told[each["id"], each["name"]]
        assert (each["value"], each["unit"]) == (same["value"], same["unit"])
        assert [each["low"], each["high"]] == same["ci"]
    (drift,) = (each for each in in_full["measurements"] if each["name"] == "mean_drift")
    (kind,) = pd.read_parquet(campaign / "results" / "kinds.parquet").to_dict("records")
    assert (kind["runs"], kind["done"], kind["verdict"]) == (3, 3, in_full["verdict"])
    assert [kind["drift_meV_per_atom_per_ps"], kind["drift_low"], kind["drift_high"]] == pytest.approx(
        [drift["value"], *drift["ci"]], rel=1e-12
    )


def test_what_is_gathered_is_not_read_again(campaign: Path, monkeypatch: pytest.MonkeyPatch):
    command("gather", campaign)
    before = {path: path.stat().st_mtime_ns for path in (campaign / "results").glob("*-*.parquet")}

    def never(*_: object) -> None:
        raise AssertionError("it was measured again")

    monkeypatch.setattr("mdsuite.gathering.record.measure_run", never)
    assert "0 runs have ended since" in command("gather", campaign).output
    assert {path: path.stat().st_mtime_ns for path in (campaign / "results").glob("*-*.parquet")} == before


def test_duckdb_reads_them_as_the_page_says(campaign: Path, monkeypatch: pytest.MonkeyPatch):
    command("gather", campaign)
    monkeypatch.chdir(campaign)
    page = (campaign / "results" / "report.md").read_text()
    query = page.split("```sql\n")[1].split("```")[0]
    ((model, structure, drift),) = duckdb.sql(query).fetchall()
    assert (model, structure) == ("argon-lj", "argon")
    assert math.isfinite(drift)


def test_shares_gather_what_one_machine_does(campaign: Path, tmp_path: Path):
    output = tmp_path / "out"
    assert command("submit", *SHORT, "--shards", 2, "--dry-run", "--output", output).exit_code == 0
    for k in range(2):
        assert command("run-shard", output, "--shard", f"{k}/2").exit_code == 0
    assert len(list((output / "results").glob("runs-*.parquet"))) == 2
    assert "0 runs have ended since" in command("gather", output).output
    command("gather", campaign)
    ours, theirs = (
        pd.read_parquet(sorted((of / "results").glob("measurements-*.parquet"))).sort_values(["id", "name"])
        for of in (output, campaign)
    )
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), theirs.reset_index(drop=True), check_exact=True)


def test_runs_that_have_not_ended_leave_it_open(tmp_path: Path):
    output = tmp_path / "out"
    assert command("submit", *SHORT, "--shards", 3, "--dry-run", "--output", output).exit_code == 0
    assert command("run-shard", output, "--shard", "0/3").exit_code == 0
    gathered = command("gather", output)
    assert gathered.exit_code == 3
    assert "2 of 3 runs have not ended" in gathered.output
    assert [each["verdict"] for each in results(output / "results")["models"]] == ["INCONCLUSIVE"]
    assert "all recordings are kept" in command("gather", output, "--keep", "flagged").output
    assert "2 have not been run or are not done" in (output / "results" / "report.md").read_text()


@pytest.mark.slow
def test_recordings_are_removed_only_where_nobody_wants_them(tmp_path: Path):
    output = tmp_path / "out"
    command("run", *SHORT, "--output", output)
    first = results(output)["verdict"]
    command("gather", output, "--keep", "flagged")
    kept = [bool(contents(folder)) for folder in (output / "runs").iterdir()]
    assert kept == [first != "APPROVED"] * 3
    command("gather", output, "--keep", "none")
    folders = list((output / "runs").iterdir())
    assert not any(contents(folder) for folder in folders)
    assert [recorded_steps(folder) for folder in folders] == [600] * 3
    assert results(output / "results")["verdict"] == first
    (folders[0] / "segments").mkdir()  # as a removal that was interrupted leaves it
    (folders[0] / "segments" / "000000.h5md").write_text("")
    command("gather", output, "--keep", "none")
    assert not (folders[0] / "segments").exists()
    (folders[1] / "segments").mkdir()
    (folders[1] / "segments" / "000000.h5md").write_text("")
    again = command("run", *SHORT, "--output", output)  # nothing is integrated, and it says where the results are
    assert again.exit_code == 2
    assert "mdsuite gather" in again.output
    longer = [*SHORT, "--time-ps", "3.2"]
    assert command("run", *longer, "--output", output).exit_code in (0, 1, 3)
    assert [recorded_steps(folder) for folder in folders] == [800] * 3


def test_recordings_are_not_removed_under_somebody_at_work(campaign: Path):
    with coordinating(campaign, "mdsuite run-shard 0/2", share=True):
        assert command("gather", campaign).exit_code in (0, 1, 3)
        refused = command("gather", campaign, "--keep", "none")
    assert (refused.exit_code, "run-shard 0/2" in refused.output) == (2, True)


def test_a_folder_without_a_campaign_is_refused(tmp_path: Path):
    refused = command("gather", tmp_path)
    assert refused.exit_code == 2
    assert "wanted the folder of a campaign" in refused.output


def record(replica: int, drift: float | None, **given: Any) -> Record:
    row = Row(
        id=f"{replica:04d}",
        model="m",
        model_sha256="0" * 64,
        structure="s",
        n_atoms=9,
        engine="lammps",
        thermostat="",
        temperature_K=300.0,
        timestep_fs=0.5,
        replica=replica,
        velocity_seed=0,
        n_steps=1000,
        steps=1000,
        status="done",
        reason="",
        replaced_drivers=0,
        failure="",
        failure_time_ps=None,
        energies_sha256=str(replica),
        unmeasured="",
        engine_build="",
        mdsuite="0",
    )
    passing = {
        each.measurement: Measurement(name=each.measurement, value=each.low or 0.0, unit=each.unit)
        for each in read_profile("production-nve").criteria
        if each.relative_to is None
    }
    passing["temperature_mean"] = Measurement(name="temperature_mean", value=300.0, unit="K", ci=(295.0, 305.0))
    if drift is None:
        passing = {}
    else:
        passing["energy_drift"] = Measurement(
            name="energy_drift", value=drift, unit="meV/atom/ps", ci=(drift - 1e-4, drift + 1e-4)
        )
    return Record(row=dataclasses.replace(row, **given), measurements=tuple(passing.values()))


def verdict_on(records: Sequence[Record]) -> tuple[Verdict, str]:
    (kind,) = kinds_of(records, read_profile("production-nve"), TERMS)
    return kind.verdict, "; ".join(kind.unmet)


def test_replicas_that_conserve_are_approved_together():
    assert verdict_on([record(k, 1e-3 * LIMIT * (1 + 0.1 * k)) for k in range(4)]) == (Verdict.APPROVED, "")


@pytest.mark.parametrize(
    ("records", "verdict", "why"),
    [
        ([record(k, 3.0 * LIMIT * (1 + 0.01 * k)) for k in range(4)], Verdict.NOT_RECOMMENDED, "fail"),
        ([record(k, LIMIT * (-1) ** k * 5.0) for k in range(2)], Verdict.NOT_RECOMMENDED, "fail in 2"),
        ([record(k, 1e-3 * LIMIT) for k in range(3)] + [record(3, math.nan)], Verdict.NOT_RECOMMENDED, "fail"),
        (
            [record(k, 1e-3 * LIMIT * k) for k in range(3)] + [record(3, None, status="failed")],
            Verdict.INCONCLUSIVE,
            "",
        ),
        ([record(k, 1e-3 * LIMIT, energies_sha256="same") for k in range(4)], Verdict.NOT_RECOMMENDED, "fail"),
        ([record(0, None, status="stopped")], Verdict.INCONCLUSIVE, "not run"),
    ],
)
def test_what_is_wrong_with_one_is_not_lost_among_others(records: list[Record], verdict: Verdict, why: str):
    found, unmet = verdict_on(records)
    assert (found, why in unmet) == (verdict, True), unmet


def test_a_verdict_that_does_not_hold_at_another_timestep_is_not_lost_among_kinds():
    good = [record(k, 1e-3 * LIMIT * (1 + 0.1 * k)) for k in range(4)]
    bad = [record(k, 3.0 * LIMIT * (1 + 0.01 * k), id=f"b{k}", timestep_fs=4.0) for k in range(4)]
    kinds = kinds_of(
        [each for pair in zip(good, bad, strict=True) for each in pair], read_profile("production-nve"), TERMS
    )
    assert [(kind.rung, kind.verdict) for kind in kinds] == [
        ((300.0, 0.5), Verdict.APPROVED),
        ((300.0, 4.0), Verdict.NOT_RECOMMENDED),
    ]


def test_the_last_record_of_a_run_counts_and_none_beside_one_that_is_done(tmp_path: Path):
    store = Store(tmp_path)
    store.add([record(0, None, status="failed", steps=10), record(1, 0.1)])
    store.add([record(0, 0.2)])
    store.add([record(1, None, status="stopped", steps=20)])
    assert {each.row.id: each.row.status for each in store.records()} == {"0000": "done", "0001": "done"}
    assert store.known()["0000"] == ("done", 1000, "0")
    assert store.add([record(0, 0.2)]) in set((tmp_path / "results").iterdir())
    assert len(list((tmp_path / "results").glob("runs-*"))) == 3


@pytest.mark.parametrize("value", [1.5, math.nan, math.inf])
def test_measurements_come_back_as_they_were(value: float):
    there = Measurement(name="n", value=value, unit="K", ci=(value, value), note="why")
    back = measurement_of(json.loads(json.dumps(entry_of(there))))
    assert (back.name, back.unit, back.note, back.confidence) == ("n", "K", "why", 0.95)
    assert math.isnan(back.value) if math.isnan(value) else back.value == pytest.approx(min(value, sys.float_info.max))


def test_a_damaged_table_is_named(campaign: Path, tmp_path: Path):
    output = tmp_path / "out"
    Store(tmp_path).folder.mkdir()
    (tmp_path / "results" / "runs-0.parquet").write_bytes(b"PAR1 but no more")
    (tmp_path / "campaign.json").write_text((campaign / "campaign.json").read_text())
    refused = command("gather", tmp_path)
    assert (refused.exit_code, output.exists()) == (2, False)
    assert "runs-0.parquet is damaged" in refused.output
