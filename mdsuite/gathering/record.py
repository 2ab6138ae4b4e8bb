"""What is known of one run that has ended, kept beside it as result.json."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdsuite.contributed import measured_by
from mdsuite.errors import InputError
from mdsuite.execution.supervise import STATUS, Outcome, noted_outcome
from mdsuite.files import write_json
from mdsuite.measuring import measure_run
from mdsuite.report.results import json_number
from mdsuite.runs import Run, read_run
from mdsuite_analysis.measurement import Measurement
from mdsuite_analysis.read import UnreadableRunError
from mdsuite_analysis.series import EnergySeries

FILE = "result.json"
SCHEMA = "mdsuite-run/1"
UNREADABLE = "unreadable"
"""Status of a run whose recording is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A run in a table; names of columns are those of its fields.

    status : of `Status`, or `UNREADABLE`
    failure : what failed first, if anything did, and when
    energies_sha256 : of its total energies in float64; equal ones are one trajectory
    """

    id: str
    model: str
    model_sha256: str
    structure: str
    n_atoms: int
    engine: str
    thermostat: str
    temperature_K: float  # noqa: N815  the unit's symbol
    timestep_fs: float
    replica: int
    velocity_seed: int | None
    n_steps: int
    steps: int
    status: str
    reason: str
    replaced_drivers: int
    failure: str
    failure_time_ps: float | None
    energies_sha256: str
    unmeasured: str
    engine_build: str
    mdsuite: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run that has ended, with what was measured of it."""

    row: Row
    measurements: tuple[Measurement, ...]

    @property
    def by_name(self) -> dict[str, Measurement]:
        """Its measurements."""
        return {each.name: each for each in self.measurements}


Ended = tuple[str, int, str]
"""How a run has ended, after how many steps, and who says so: what a record is renewed for."""


def ended(folder: Path) -> Ended | None:
    """Of the run in a folder; None where it has not ended."""
    noted = _read(folder / STATUS)
    return None if noted is None else _ended(noted)


def _ended(noted: Mapping[str, Any]) -> Ended:
    return noted["status"], noted["steps"], measured_by()


def ended_of(row: Row) -> Ended:
    """As a record has it."""
    return row.status, row.steps, row.mdsuite


def record_of(folder: Path) -> Record | None:
    """Of the run in a folder, measured now and kept there unless it was before; None where it has not ended.

    Raises InputError where it was not, and its recording was removed.
    """
    noted = _read(folder / STATUS)
    if noted is None:
        return None
    kept = _read(folder / FILE)
    if kept is not None and kept["schema"] == SCHEMA and ended_of(row := Row(**kept["run"])) == _ended(noted):
        return Record(row=row, measurements=tuple(map(measurement_of, kept["measurements"])))
    record = _measured(folder, noted_outcome(noted))
    content = {
        "schema": SCHEMA,
        "run": asdict(record.row),
        "measurements": [entry_of(each) for each in record.measurements],
    }
    write_json(folder / FILE, content)
    return record


def entry_of(measurement: Measurement) -> dict[str, Any]:
    """A measurement as result.json and the tables have it."""
    low, high = measurement.ci or (measurement.value, measurement.value)
    return {
        "name": measurement.name,
        "value": json_number(measurement.value),
        "low": json_number(low),
        "high": json_number(high),
        "confidence": measurement.confidence if measurement.ci else 1.0,
        "unit": measurement.unit,
        "note": measurement.note,
    }


def measurement_of(entry: Mapping[str, Any]) -> Measurement:
    """From what `entry_of` has made of it."""
    value, low, high = (math.nan if entry[key] is None else float(entry[key]) for key in ("value", "low", "high"))
    exact = entry["confidence"] == 1.0
    return Measurement(
        name=entry["name"],
        value=value,
        unit=entry["unit"],
        ci=None if exact else (low, high),
        confidence=0.95 if exact else entry["confidence"],
        note=entry["note"],
    )


def _measured(folder: Path, outcome: Outcome) -> Record:
    run = read_run(folder)
    try:
        found = measure_run(run, folder, outcome)
    except UnreadableRunError as error:
        return Record(row=_row(run, folder, outcome, status=UNREADABLE, reason=str(error)), measurements=())
    failed = {} if found.failure is None else {"failure": found.failure.kind, "failure_time_ps": found.failure.time}
    row = _row(run, folder, outcome, **failed, energies_sha256=_hash(found.energies), unmeasured=found.unmeasured)
    return Record(row=row, measurements=found.measurements)


def _row(run: Run, folder: Path, outcome: Outcome, **found: Any) -> Row:
    built = _read(folder / "engine.json") or {"build": ""}
    told = {
        "status": str(outcome.status),
        "reason": outcome.reason,
        "failure": "",
        "failure_time_ps": None,
        "energies_sha256": "",
        "unmeasured": "",
    }
    return Row(
        id=run.id,
        model=run.model_name,
        model_sha256=run.model_sha256,
        structure=run.structure,
        n_atoms=run.start.n_atoms,
        engine=run.engine,
        thermostat=run.thermostat,
        temperature_K=run.temperature,
        timestep_fs=round(1e3 * run.timestep, 9),
        replica=run.replica,
        velocity_seed=run.velocity_seed,
        n_steps=run.n_steps,
        steps=outcome.steps,
        replaced_drivers=len(outcome.events),
        engine_build=built["build"],
        mdsuite=measured_by(),
        **{**told, **found},
    )


def _hash(energies: EnergySeries | None) -> str:
    return "" if energies is None else hashlib.sha256(energies.total_energy.tobytes()).hexdigest()[:32]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); remove it") from error
