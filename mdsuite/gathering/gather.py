"""From the folders of runs to tables, and from tables to what a campaign has shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from mdsuite.engines.recording import is_cleared, remove_recording, removed_steps
from mdsuite.execution.supervise import Status
from mdsuite.gathering.kinds import JudgedKind, Key, key_of, kinds_of
from mdsuite.gathering.record import Record, ended, record_of
from mdsuite.gathering.store import MOST, Store
from mdsuite.judgement.criteria import Profile, read_profile
from mdsuite.judgement.judge import Verdict, worst
from mdsuite.plan import Terms, read_terms, run_folder, runs_in

TOLD_EVERY = 1000


class Keep(StrEnum):
    """Recordings that are kept: all, those of kinds that were not approved, or none of runs that are done."""

    ALL = "all"
    FLAGGED = "flagged"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """A model over all of its runs that have ended.

    verdict : open where runs of the campaign have not, which may be its, unless what has is enough to condemn
    """

    name: str
    sha256: str
    statuses: Counter[str]
    kinds: tuple[JudgedKind, ...]
    verdict: Verdict

    @property
    def n_runs(self) -> int:
        """How many have ended."""
        return self.statuses.total()

    @property
    def verdicts(self) -> Counter[Verdict]:
        """Of its kinds."""
        return Counter(each.verdict for each in self.kinds)

    @property
    def drifts(self) -> tuple[float, float, float] | None:
        """Mean drifts of its kinds, meV/atom/ps, at 5, 50 and 95 % of them; None where none was measured."""
        known = [each.drift.value for each in self.kinds if each.drift is not None and np.isfinite(each.drift.value)]
        if not known:
            return None
        low, middle, high = np.percentile(known, [5.0, 50.0, 95.0])
        return float(low), float(middle), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A campaign by its records.

    n_planned : runs of the campaign, whether or not they have ended
    reasons : why runs have not come to their ends, with how many and one of them
    """

    output: Path
    profile: Profile
    terms: Terms
    n_planned: int
    models: tuple[ModelSummary, ...]
    reasons: tuple[tuple[str, int, str], ...]

    @property
    def n_ended(self) -> int:
        """Runs that are in the tables."""
        return sum(each.n_runs for each in self.models)

    @property
    def whole(self) -> bool:
        """Whether every run has ended."""
        return self.n_ended == self.n_planned

    @property
    def verdict(self) -> Verdict:
        """On all models."""
        return worst(each.verdict for each in self.models)

    @property
    def kinds(self) -> list[JudgedKind]:
        """Of all models."""
        return [kind for model in self.models for kind in model.kinds]


def collect(output: Path, folders: Mapping[str, Path], told: Callable[[str], None]) -> int:
    """Put those runs into the tables that have ended since they were there last; returns how many.

    Raises InputError where a recording was removed before it was measured, and for files that are damaged.
    """
    store = Store(output)
    known = store.known()
    new: list[Record] = []
    n = 0
    for i, (run, folder) in enumerate(folders.items(), 1):
        now = ended(folder)
        removed = run in known and removed_steps(folder) is not None  # there is nothing to measure anew
        if now is not None and known.get(run) != now and not removed and (record := record_of(folder)) is not None:
            new.append(record)
            n += 1
        if len(new) == MOST:
            store.add(new)
            new = []
        if i % TOLD_EVERY == 0:
            told(f"{i} of {len(folders)} runs looked at, {n} new")
    if new:
        store.add(new)
    return n


def summary(output: Path, profile_name: str | None, n_planned: int) -> Summary:
    """What the tables of a campaign of so many runs say, by its own criteria or another profile."""
    terms = read_terms(output)
    profile = read_profile(profile_name or terms.criteria)
    reasons: dict[str, list[str]] = {}

    def noting(records: Iterable[Record]) -> Iterable[Record]:
        for each in records:
            if each.row.status != Status.DONE:
                reasons.setdefault(_general(each.row.reason), []).append(each.row.id)
            yield each

    kinds = kinds_of(noting(Store(output).records()), profile, terms)
    whole = sum(each.n_runs for each in kinds) == n_planned
    by_model: dict[str, list[JudgedKind]] = {}
    for kind in kinds:
        by_model.setdefault(kind.first.model_sha256, []).append(kind)
    return Summary(
        output=output,
        profile=profile,
        terms=terms,
        n_planned=n_planned,
        models=tuple(_model(of, terms, whole=whole) for of in by_model.values()),
        reasons=tuple(
            (reason, len(ids), ids[0]) for reason, ids in sorted(reasons.items(), key=lambda each: -len(each[1]))
        ),
    )


def gather(output: Path, profile: str | None, keep: Keep, told: Callable[[str], None]) -> Summary:
    """Tables and summary of the campaign in a folder; recordings that are not to be kept are removed at the end.

    Raises InputError for a folder without a campaign, and for what `collect` refuses.
    """
    folders = runs_in(output)
    told(f"{collect(output, folders, told)} runs have ended since tables were last written")
    found = summary(output, profile, len(folders))
    if keep is Keep.FLAGGED and not found.whole:
        told("all recordings are kept: what is flagged is known when every run has ended")
    elif keep is not Keep.ALL:
        told(f"recordings of {_remove(found, keep)} runs removed")
    return found


def _remove(of: Summary, keep: Keep) -> int:
    flagged: set[Key] = (
        {key_of(each.first) for each in of.kinds if each.verdict is not Verdict.APPROVED}
        if keep is Keep.FLAGGED
        else set()
    )
    n = 0
    for row in Store(of.output).rows():
        folder = run_folder(of.output, row.id)
        if row.status == Status.DONE and key_of(row) not in flagged and not is_cleared(folder):
            remove_recording(folder, row.steps)
            n += 1
    return n


def _model(kinds: list[JudgedKind], terms: Terms, *, whole: bool) -> ModelSummary:
    """By the rule of ``mdsuite run``: at the first temperature and timestep, and conditional if not at all others."""
    here = worst(each.verdict for each in kinds if each.rung == terms.first)
    elsewhere = any(each.verdict is not Verdict.APPROVED for each in kinds if each.rung != terms.first)
    found = Verdict.CONDITIONAL if here is Verdict.APPROVED and elsewhere else here
    statuses: Counter[str] = Counter()
    for each in kinds:
        statuses += each.statuses
    return ModelSummary(
        name=kinds[0].first.model,
        sha256=kinds[0].first.model_sha256,
        statuses=statuses,
        kinds=tuple(kinds),
        verdict=found if whole or found is Verdict.NOT_RECOMMENDED else Verdict.INCONCLUSIVE,
    )


def _general(reason: str) -> str:
    """A reason without what differs from run to run: its numbers."""
    return "".join("#" if each.isdigit() else each for each in reason)
