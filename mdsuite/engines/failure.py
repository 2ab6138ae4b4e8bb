"""What a supervisor needs to know of an engine's failure."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from mdsuite.engines.engine import StepError
from mdsuite.engines.forces import DriverLostError
from mdsuite.engines.server import ModelFailedError
from mdsuite.files import DiskError, OvertakenError
from mdsuite_driver.soundness import UnsoundError
from mdsuite_driver.wire import WireError

DISK, DRIVER, PROTOCOL, ENGINE, OVERTAKEN = "disk", "driver", "protocol", "engine", "overtaken"
_PLAIN = {DriverLostError: DRIVER, DiskError: DISK, OvertakenError: OVERTAKEN}
LONGEST = 20_000  # characters of a traceback, which must fit into one message


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an engine gave up; `cause` is one of this module, or of `mdsuite_driver.dialect`."""

    cause: str
    reason: str
    traceback: str = ""


def failure_of(error: Exception) -> Failure:
    """What to tell of an error; that of a step is its cause, with the step."""
    cause = error.__cause__ if isinstance(error, StepError) and error.__cause__ else error
    where = f"step {error.step}: " if isinstance(error, StepError) else ""
    told = "".join(traceback.format_exception(error))[-LONGEST:]
    match cause:
        case ModelFailedError():
            return Failure(cause.kind, f"{where}the driver reports: {cause}", cause.traceback)
        case UnsoundError():
            return Failure(cause.kind, f"{where}{cause}", told)
        case WireError():
            return Failure(PROTOCOL, f"{where}the driver does not speak i-PI as it should: {cause}", told)
        case DriverLostError() | DiskError() | OvertakenError():
            return Failure(_PLAIN[type(cause)], f"{where}{cause}")
    return Failure(ENGINE, f"{where}{type(cause).__name__}: {cause}", told)
