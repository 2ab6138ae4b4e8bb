"""Whether an engine takes a run, asked in a process of its own: ``python -m mdsuite.engines.probe FOLDER``.

LAMMPS may end its process where it does not like its input, or be of a library that cannot be loaded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from mdsuite.engines.engine import StepError
from mdsuite.engines.forces import NoForces
from mdsuite.engines.kinds import NATIVE, engine_kind
from mdsuite.engines.library import library_environment
from mdsuite.processes import PYTHON, heard
from mdsuite.runs import Run, read_run, write_run

PATIENCE = 300.0  # s
ANSWER = "mdsuite-probe: "


def refusal(run: Run) -> str | None:
    """Why a run's engine does not take it, in the engine's own words, or None if it does."""
    with tempfile.TemporaryDirectory(prefix="mdsuite-probe-") as name:
        folder = Path(name)
        write_run(run, folder)
        done = heard(
            [*PYTHON, "-m", "mdsuite.engines.probe", str(folder)],
            patience=PATIENCE,
            environment={"OMP_NUM_THREADS": "1", **library_environment(run, folder)},
        )
        if done is None:
            return f"it has not taken its first step within {PATIENCE:g} s"
        answers = [line for line in done.stdout.splitlines() if line.startswith(ANSWER)]
        if answers:
            told = json.loads(answers[-1].removeprefix(ANSWER))
            return None if told is None else str(told)
        log = folder / f"log.{run.engine}"
        said = (log.read_text(errors="replace") if log.exists() else done.stderr).strip().splitlines()
        return f"it ended with exit code {done.returncode}: {' / '.join(said[-5:])}"


def _ignored(_step: int) -> None:
    """Nobody waits for a probe's steps."""


def _ask(folder: Path) -> str | None:
    run = read_run(folder)
    kind = engine_kind(run.engine)
    try:
        engine = kind.open(run, NoForces(_ignored), folder / f"log.{kind.name}")
        engine.begin()
        if kind.forces == NATIVE:
            engine.integrate(0, 0)
    except StepError as error:
        return str(error.__cause__)
    except Exception as error:  # whatever it is, the user has to know before anything is started
        return str(error)
    return None


if __name__ == "__main__":
    print(ANSWER + json.dumps(_ask(Path(sys.argv[1]))))
