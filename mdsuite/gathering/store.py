"""Tables of runs in Parquet: parts that are written once, and read one at a time.

A part is two files: ``measurements-<hash>.parquet`` and, written last so that it makes both count,
``runs-<hash>.parquet``. Of several records of one run the last one counts, and one that is done before any that is not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mdsuite.errors import InputError
from mdsuite.execution.supervise import Status
from mdsuite.files import whole
from mdsuite.gathering.record import Ended, Record, Row, ended_of, entry_of, measurement_of

FOLDER = "results"
RUNS, MEASUREMENTS = "runs", "measurements"
MOST = 1000
"""Runs in a part."""

_TYPES = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "int | None": pa.int64(),
    "float | None": pa.float64(),
}
_OF_RUNS = pa.schema(
    [*((name, _TYPES[str(kind)]) for name, kind in Row.__annotations__.items()), ("gathered", pa.int64())]
)
_OF_MEASUREMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("name", pa.string()),
        *((name, pa.float64()) for name in ("value", "low", "high", "confidence")),
        ("unit", pa.string()),
        ("note", pa.string()),
    ]
)


class Store:
    """The tables of a campaign's folder."""

    def __init__(self, output: Path) -> None:
        self.folder = output / FOLDER

    def add(self, records: Sequence[Record]) -> Path:
        """Write a part, and return the path of its table of runs; one that is there is left as it is."""
        self.folder.mkdir(exist_ok=True)
        told = sorted((each.row.id, *ended_of(each.row)) for each in records)
        name = f"{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}.parquet"
        path = self.folder / f"{RUNS}-{name}"
        if path.exists():
            return path
        now = time.time_ns()
        measured = [{"id": of.row.id, **entry_of(each)} for of in records for each in of.measurements]
        rows = [{**asdict(each.row), "gathered": now} for each in records]
        _write(self.folder / f"{MEASUREMENTS}-{name}", pa.Table.from_pylist(measured, _OF_MEASUREMENTS))
        _write(path, pa.Table.from_pylist(rows, _OF_RUNS))
        return path

    def known(self) -> dict[str, Ended]:
        """How every run that is in the tables has ended."""
        return {run: told for run, (told, _, _) in self._latest().items()}

    def rows(self) -> Iterator[Row]:
        """The row of every run; no more than one part is in memory."""
        for _, rows in self._rows():
            yield from rows

    def records(self) -> Iterator[Record]:
        """The record of every run; no more than one part is in memory."""
        for path, rows in self._rows():
            measured: dict[str, list[Any]] = {}
            for each in _read(path.with_name(path.name.replace(RUNS, MEASUREMENTS, 1))).to_pylist():
                measured.setdefault(each["id"], []).append(measurement_of(each))
            yield from (Record(row=row, measurements=tuple(measured.get(row.id, ()))) for row in rows)

    def _rows(self) -> Iterator[tuple[Path, list[Row]]]:
        """Of every part, those that count."""
        latest = {run: path for run, (_, path, _) in self._latest().items()}
        for path in self._parts():
            found = _read(path).drop_columns(["gathered"]).to_pylist()
            yield path, [Row(**each) for each in found if latest[each["id"]] == path]

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob(f"{RUNS}-*.parquet"))

    def _latest(self) -> dict[str, tuple[Ended, Path, tuple[bool, int]]]:
        """Of every run, how it has ended, the part that says so, and its rank among others."""
        found: dict[str, tuple[Ended, Path, tuple[bool, int]]] = {}
        for path in self._parts():
            for each in _read(path, ["id", "status", "steps", "mdsuite", "gathered"]).to_pylist():
                rank = each["status"] == Status.DONE, each["gathered"]
                if each["id"] not in found or rank > found[each["id"]][2]:
                    found[each["id"]] = (each["status"], each["steps"], each["mdsuite"]), path, rank
        return found


def write_kinds(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A table of kinds, whole or not at all."""
    _write(path, pa.Table.from_pylist(list(rows)))


def _read(path: Path, columns: list[str] | None = None) -> Any:
    try:
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it, and `mdsuite gather` writes it anew") from error


def _write(path: Path, table: Any) -> None:
    with whole(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
