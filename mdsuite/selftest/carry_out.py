"""All trials carried out, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from mdsuite.selftest.confusion import Confusion
from mdsuite.selftest.instruments import FAMILIES, INSTRUMENTS, Bench, StoppedError, answers_as_clean
from mdsuite.selftest.trial import CLEAN, STATIC, Case, Finding, Sign, Trial
from mdsuite_driver.zoo import ANIMALS

TRIALS = "trials"
STOPPED = "stopped on request"
NOT_ASKED = "without runs"

Task = tuple[str, str]  # instrument, name of the case
Told = Callable[[str], None]


def carry_out(cases: Sequence[Case], bench: Bench, *, runs: bool, jobs: int, told: Told) -> Confusion:
    """Put every case before its instruments; one that fails keeps no other from being tried.

    Parameters
    ----------
    cases : sequence of Case
    bench : Bench
    runs : bool
        Whether trajectories are integrated; where they are wanted and this is false, they are "not run".
    jobs : int
        Trials at a time.
    told : callable
        Hears of every trial's end.

    """
    examined = {case.name: _examined(case) for case in cases}
    wanted = {
        (instrument, examined[case.name].name): examined[case.name] for case in cases for instrument in case.instruments
    }
    asked = {task: case for task, case in wanted.items() if runs or task[0] == STATIC}
    findings = {task: _not_run(task[0], NOT_ASKED) for task in wanted} | _found(asked, bench, jobs, told)
    trials = [
        Trial(
            case=case,
            examined=examined[case.name],
            findings=tuple(findings[instrument, examined[case.name].name] for instrument in case.instruments),
        )
        for case in cases
    ]
    return Confusion(trials=tuple(trials), profile=bench.static)


def _examined(case: Case) -> Case:
    """The host for a twin that is the same to the bit, or the case itself."""
    host = Case(animal=ANIMALS[CLEAN], host=case.host, strength=0.0)
    if not case.twin:
        return case
    try:
        same = case.setup == host.setup or answers_as_clean(case, host)
    except Exception:  # whatever a model raises; its own examination says what
        return case
    return host if same else case


def _found(tasks: Mapping[Task, Case], bench: Bench, jobs: int, told: Told) -> dict[Task, Finding]:
    """Trajectories first, since they take longest."""
    findings: dict[Task, Finding] = {}
    ordered = sorted(tasks, key=lambda task: task[0] == STATIC)
    with bench.stop.listening(), ThreadPoolExecutor(max_workers=jobs) as pool:
        futures: dict[Future[Finding], Task] = {
            pool.submit(_attempt, task[0], tasks[task], bench): task for task in ordered
        }
        for future in as_completed(futures):
            task = futures[future]
            findings[task] = future.result()
            told(_line(task, findings[task], f"{len(findings)} of {len(tasks)}"))
    return findings


def _attempt(instrument: str, case: Case, bench: Bench) -> Finding:
    if bench.stop.requested:
        return _not_run(instrument, STOPPED)
    folder = bench.output / TRIALS / case.name / instrument
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return INSTRUMENTS[instrument](case.setup, folder, bench)
    except StoppedError:
        return _not_run(instrument, STOPPED)
    except Exception as error:  # a trial that fails is one that was not run
        return _not_run(instrument, f"{type(error).__name__}: {error}")


def _not_run(instrument: str, reason: str) -> Finding:
    columns = FAMILIES if instrument == STATIC else (instrument,)
    return Finding(signs=dict.fromkeys(columns, Sign.NOT_RUN), reason=reason)


def _line(task: Task, finding: Finding, count: str) -> str:
    flagged = [column for column, sign in finding.signs.items() if sign is Sign.FLAGGED]
    said = f"flagged by {', '.join(flagged)}" if flagged else finding.reason or "nothing flagged"
    return f"[{count}] {task[1]}, {task[0]}: {said}"
