"""A bare series of energies, as anybody may have it: a CSV file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mdsuite.errors import InputError
from mdsuite.runs import FloatArray
from mdsuite_analysis.series import EnergySeries
from mdsuite_analysis.statistics import SHORTEST

TIME, ENERGY, TEMPERATURE = "time_ps", "total_energy_eV", "temperature_K"
EVEN = 1e-3  # of the spacing, that times may deviate from an even one


def read_csv(file: Path, n_atoms: int) -> EnergySeries:
    """Energies from a CSV file with the columns time_ps, total_energy_eV and, if it likes, temperature_K.

    Values that are not finite are kept, for the judge. Raises InputError for a file that is no such series.
    """
    table = _table(file)
    missing = [name for name in (TIME, ENERGY) if name not in table]
    if missing:
        raise InputError(
            f"{file} lacks {' and '.join(missing)}; wanted the columns {TIME}, {ENERGY} and, if known, {TEMPERATURE}, "
            f"it has {', '.join(map(str, table.columns))}"
        )
    columns = {name: _numbers(table[name], file) for name in (TIME, ENERGY, TEMPERATURE) if name in table}
    time = columns[TIME]
    if len(time) < SHORTEST:
        raise InputError(f"{file} has {len(time)} rows; a slope with an interval takes at least {SHORTEST}")
    spacing = (time[-1] - time[0]) / (len(time) - 1)
    if not (np.isfinite(time).all() and spacing > 0 and np.allclose(np.diff(time), spacing, rtol=EVEN, atol=0)):
        raise InputError(f"{file}: {TIME} must rise in even steps; resample the series, or leave out what was repeated")
    return EnergySeries(
        step=np.arange(len(time)),
        time=time,
        total_energy=columns[ENERGY],
        temperature=columns.get(TEMPERATURE),
        n_atoms=n_atoms,
    )


def _table(file: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(file, comment="#", skipinitialspace=True)
    except FileNotFoundError as error:
        raise InputError(f"wanted a series of energies, but there is no file {file}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is not readable CSV: {error}") from error


def _numbers(column: pd.Series[float], file: Path) -> FloatArray:
    try:
        return np.asarray(column, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{file}: {column.name} must hold numbers: {error}") from error
