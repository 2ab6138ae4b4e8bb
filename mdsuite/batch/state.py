"""How far runs are, as their folders tell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mdsuite.engines.recording import last_step, recorded_steps
from mdsuite.execution.supervise import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Of some runs.

    done : those that are at their length
    ended : how the last attempts at others have ended
    steps : recorded, and wanted
    kept : steps of whole chunks, from which runs are taken up again
    """

    runs: int
    done: int
    ended: tuple[tuple[str, int], ...]
    steps: tuple[int, int]
    kept: int

    def __str__(self) -> str:
        """In a line."""
        share = 100.0 * self.steps[0] / self.steps[1] if self.steps[1] else 100.0
        others = "".join(f", {n} {word}" for word, n in self.ended)
        return f"{self.done} of {self.runs} runs done{others}; {share:.1f} % of {self.steps[1]} steps"


def state_of(folders: Iterable[Path]) -> State:
    """Of the runs in some folders."""
    ended: Counter[str] = Counter()
    done = recorded = wanted = kept = n = 0
    for folder in folders:
        n += 1
        steps = recorded_steps(folder)
        kept += last_step(folder) or 0
        length = int(json.loads((folder / "run.json").read_text())["n_steps"])
        recorded, wanted = recorded + min(steps, length), wanted + length
        if steps >= length:
            done += 1
        elif (noted := folder / "status.json").is_file():
            ended[Status(json.loads(noted.read_text())["status"])] += 1
        else:
            ended["begun" if steps else "not begun"] += 1
    return State(runs=n, done=done, ended=tuple(sorted(ended.items())), steps=(recorded, wanted), kept=kept)
