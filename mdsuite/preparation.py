"""Starts made ready by the model itself: relaxed, then brought to temperature by a thermostat."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mdsuite.campaign import Campaign
from mdsuite.errors import InputError
from mdsuite.execution.session import NoEvaluationError, Session
from mdsuite.execution.supervise import Outcome, Status
from mdsuite.files import write_json
from mdsuite.plan import PREPARATION, Plan, Structure, claim, make_plan, read_structures, served_sources
from mdsuite.relaxation import relax
from mdsuite.runs import Coupling, FloatArray, Run, Start
from mdsuite_analysis.read import read_frames

Endings = Mapping[str, Outcome]
CarryOut = Callable[[Plan, Path], Endings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """What became of a structure that was relaxed.

    released : float, eV, by which the potential energy has fallen
    moved : float, Å, root mean square over the atoms
    largest_force : float, eV/Å, that is left
    reason : why the relaxation was not finished, or ""
    """

    model: str
    structure: str
    released: float
    moved: float
    largest_force: float
    n_steps: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Structures and starts that were made ready, how, and the preparations that failed.

    equilibration : the plan of the thermostatted runs, or None
    """

    relaxations: tuple[Relaxation, ...] = ()
    equilibration: Plan | None = None
    endings: Endings
    structures: Mapping[tuple[str, str], Structure]
    starts: Mapping[tuple[str, str, float, int], Start]

    @property
    def stopped(self) -> bool:
        """Whether it has to be gone on with."""
        return any(ending.status is Status.STOPPED for ending in self.endings.values())

    def failure_of(self, run: Run) -> Outcome | None:
        """Why a run has no start, or None where it has one."""
        if self.equilibration is None:
            return None
        for each in self.equilibration.runs:
            if _key(each) == _key(run) and self.endings[each.id].status is not Status.DONE:
                ending = self.endings[each.id]
                return replace(ending, steps=0, reason=f"in the preparation, step {ending.steps}: {ending.reason}")
        return None


def prepare(campaign: Campaign, output: Path, carry_out: CarryOut) -> Prepared:
    """Carry out what the campaign asks for before its runs; what is there already is taken as it is.

    Raises InputError for a model that cannot be asked for forces outside an engine.
    """
    asked = campaign.preparation
    structures: dict[tuple[str, str], Structure] = {}
    relaxations: list[Relaxation] = []
    if asked.relax:
        for source, card in served_sources(campaign):
            with _session(campaign, source, output) as potential:
                for structure in read_structures(campaign):
                    relaxed, relaxation = _relaxed(potential, card.name, card.sha256, structure, asked, output)
                    structures[card.sha256, structure.name] = relaxed
                    relaxations.append(relaxation)
    if not asked.equilibrate_ps:
        return Prepared(relaxations=tuple(relaxations), endings={}, structures=structures, starts={})
    plan = make_plan(_equilibration(campaign), structures=structures)
    folder = output / PREPARATION / "equilibration"
    claim(plan, folder)
    endings = carry_out(plan, folder)
    done = [run for run in plan.runs if endings[run.id].status is Status.DONE]
    return Prepared(
        relaxations=tuple(relaxations),
        equilibration=plan,
        endings=endings,
        structures=structures,
        starts={_key(run): _last(run, plan.folder(folder, run)) for run in done},
    )


def _equilibration(campaign: Campaign) -> Campaign:
    """The same at constant temperature, in the first engine and with the first timestep, and not prepared itself."""
    dynamics = campaign.dynamics.model_copy(
        update={
            "ensemble": "nvt",
            "time_ps": campaign.preparation.equilibrate_ps,
            "timestep_fs": campaign.dynamics.timestep_fs[:1],
        }
    )
    return campaign.model_copy(update={"dynamics": dynamics, "engine": campaign.engine[:1]})


def _key(run: Run) -> tuple[str, str, float, int]:
    return run.model_sha256, run.structure, run.temperature, run.replica


def _last(run: Run, folder: Path) -> Start:
    frames = read_frames(folder)
    return replace(run.start, positions=frames.positions[-1].copy(), velocities=frames.velocities[-1].copy())


def _session(campaign: Campaign, source: str, output: Path) -> Session:
    folder = output / PREPARATION
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "driver.log"
    return Session(source, log, trust=campaign.trust, threads=campaign.threads, coupling=Coupling())


def _relaxed(
    potential: Session, model: str, sha256: str, structure: Structure, asked: Any, output: Path
) -> tuple[Structure, Relaxation]:
    """A structure at the nearest minimum of the model, found once."""
    atoms = structure.atoms
    arrays = (atoms.numbers, atoms.positions, atoms.cell[:], atoms.pbc, [asked.max_force_eV_per_A])
    digest = hashlib.sha256(sha256.encode() + b"".join(np.asarray(each, float).tobytes() for each in arrays))
    file = output / PREPARATION / f"relaxed-{digest.hexdigest()[:16]}.json"
    if not file.exists():
        relaxation, positions = _relax(potential, model, structure, asked.max_force_eV_per_A)
        write_json(file, {**asdict(relaxation), "positions": positions.tolist()})
    content = json.loads(file.read_text())
    relaxed = atoms.copy()
    relaxed.positions = np.array(content.pop("positions"))
    relaxed.set_velocities(atoms.get_velocities())
    return replace(structure, atoms=relaxed), Relaxation(**content)


def _relax(potential: Session, model: str, structure: Structure, max_force: float) -> tuple[Relaxation, FloatArray]:
    try:
        found = relax(potential, structure.atoms, max_force)
    except NoEvaluationError as error:
        raise InputError(f"{structure.name} cannot be relaxed with {model}: {error}") from error
    moved = found.positions - structure.atoms.positions
    relaxation = Relaxation(
        model=model,
        structure=structure.name,
        released=found.before - found.after,
        moved=float(np.sqrt((moved**2).sum(axis=1).mean())),
        largest_force=found.largest_force,
        n_steps=found.n_steps,
        reason="" if found.converged else f"not converged after {found.n_steps} steps",
    )
    return relaxation, found.positions
