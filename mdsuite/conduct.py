"""Carries a campaign from what was asked for to what is known: prepare, check, integrate, measure and judge."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from mdsuite.assessed import Assessment
from mdsuite.assessment import TWIN, assess, examine_models, prepared_twin
from mdsuite.campaign import Campaign
from mdsuite.early import integrate_early, limit_of
from mdsuite.evaluation import require_gpus, with_evaluators
from mdsuite.examination import Examination
from mdsuite.execution.local import Execute
from mdsuite.execution.packs import in_packs
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import Outcome as Ending
from mdsuite.execution.supervise import Status
from mdsuite.judgement.criteria import Profile
from mdsuite.packing import Packer
from mdsuite.plan import Plan, claim, make_plan, open_folder, require_accepted, require_usable
from mdsuite.preparation import Prepared, prepare
from mdsuite.progress import live, plain, print_stopped
from mdsuite.reversal import turn_round
from mdsuite.waits import waiting

Endings = dict[str, Ending]


@dataclass(frozen=True, slots=True)
class Conductor:
    """What stays the same for every campaign of one command.

    execute : who integrates, here or elsewhere
    jobs : how many runs it integrates at a time
    agreement : the models of a campaign are one, its engines are compared, and no run is judged by itself
    """

    console: Console
    profile: Profile
    execute: Execute
    stop: Stop
    jobs: int
    agreement: bool = False

    def assessed(self, campaign: Campaign, output: Path) -> Assessment | None:
        """A campaign at its end, with a twin from prepared starts of what was hot; None where it was stopped.

        Raises InputError for a campaign that cannot be planned, and for a folder that is another's.
        """
        assessment = self._carried_out(campaign, output)
        if assessment is None or self.agreement or (twin := prepared_twin(assessment)) is None:
            return assessment
        self.console.print("some trajectories are hot; trying a prepared start")
        of_twin = self._carried_out(twin, output / TWIN)
        return None if of_twin is None else replace(assessment, twin=of_twin)

    def _carried_out(self, campaign: Campaign, output: Path) -> Assessment | None:
        console, stop = self.console, self.stop
        require_usable(output)
        prepared = prepare(campaign, output, self._integrate)
        if prepared.equilibration is not None and prepared.stopped:
            print_stopped(console, prepared.equilibration, prepared.endings)
            return None
        with waiting(console, "loading models and structures"):
            plan = make_plan(
                campaign, across_models=self.agreement, structures=prepared.structures, starts=prepared.starts
            )
            require_accepted(plan)
            open_folder(plan, output)
        with waiting(console, "looking how models are evaluated"):
            plan = with_evaluators(plan, output, console.print)
            require_gpus(plan)
        examinations = {} if self.agreement else self._examined(plan, output)
        plan, endings, confidences = self._ended(plan, prepared, output)
        if stop.requested and any(each.status is Status.STOPPED for each in endings.values()):
            print_stopped(console, plan, endings)
            return None
        turned = [] if not campaign.reverse else turn_round(plan, output, self.profile, examinations, self._claimed)
        if stop.requested:
            return None
        with waiting(console, "measuring"):
            return assess(
                plan,
                output,
                endings,
                self.profile,
                prepared,
                examinations,
                confidences,
                turned,
                each_run=not self.agreement,
            )

    def _examined(self, plan: Plan, output: Path) -> dict[str, Examination]:
        if not (plan.campaign.check and self.profile.gates):
            return {}
        with waiting(self.console, "static checks") as told:
            return examine_models(plan, self.profile, output, told)

    def _ended(self, plan: Plan, prepared: Prepared, output: Path) -> tuple[Plan, Endings, Mapping[str, float]]:
        """Runs at their ends, or where they were decided: the plan as it became, endings, confidences of intervals."""
        lost = {run.id: ending for run in plan.all_runs if (ending := prepared.failure_of(run)) is not None}

        def integrate(now: Plan) -> Endings:
            claim(now, output)
            return {**lost, **self._integrate(now, output, without=lost)}

        limit = limit_of(self.profile) if plan.campaign.early else None
        if limit is None:
            return plan, integrate(plan), {}
        looked = integrate_early(plan, output, integrate, self.profile, limit)
        return looked.plan, looked.endings, looked.confidences

    def _claimed(self, plan: Plan, folder: Path) -> Endings:
        """The runs of a plan in a folder of their own, at their ends."""
        claim(plan, folder)
        return self._integrate(plan, folder)

    def _integrate(self, plan: Plan, output: Path, without: Collection[str] = ()) -> Endings:
        """Bring the runs of a plan to their ends, or to a stop."""
        folders = {each.id: plan.folder(output, each) for each in plan.all_runs if each.id not in without}
        shown = live(self.console, plan) if self.console.is_terminal else plain(plan)
        execute = in_packs(self.execute, output, Packer(plan.campaign.pack, self.jobs, self.console.print))
        with self.stop.listening(), shown as show:
            return execute(folders, self.stop, show)
