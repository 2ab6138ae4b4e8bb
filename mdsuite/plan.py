"""From a campaign to its runs, with everything checked that can be checked before the first step."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from mdsuite import native
from mdsuite.campaign import Campaign
from mdsuite.comparison import Comparison, comparisons
from mdsuite.coordination import LOCK
from mdsuite.engines.kinds import LOCAL, NATIVE, EngineKind, engine_kind
from mdsuite.engines.probe import refusal
from mdsuite.errors import InputError
from mdsuite.files import write_json
from mdsuite.runs import Coupling, Native, Run, Start, require_extendable, write_run
from mdsuite.structures import (
    bundled_structures,
    configuration,
    file_velocities,
    maxwell_velocities,
    perpendicular_widths,
    read_structure,
)
from mdsuite_driver.models.cuda import card_for_gpu
from mdsuite_driver.models.load import load, resolve
from mdsuite_driver.models.packages import scheme_of
from mdsuite_driver.models.protocol import COMPILED, CUDA, ModelCard, ModelError, in_way, of_itself, way_of
from mdsuite_driver.threads import on_threads

MANIFEST = "campaign.json"
REVERSAL = "reversal"
PREPARATION, STATIC = "preparation", "static"  # folders of a campaign that are there before its runs
FOREIGN = "ipi:"

_Model = tuple[ModelCard, Native | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign's runs and what is known of its models.

    doubles : sources of the same models in double precision, by the runs' models
    """

    campaign: Campaign
    cards: tuple[ModelCard, ...]
    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...] = ()
    doubles: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_runs(self) -> tuple[Run, ...]:
        """Those of the campaign, and the controls of its comparisons."""
        return (*self.runs, *(control for each in self.comparisons for control in (*each.fine, *each.coarse)))

    def folder(self, output: Path, run: Run) -> Path:
        """Where a run lives."""
        return run_folder(output, run.id)


@dataclass(frozen=True, slots=True)
class Structure:
    """A start configuration: what the user calls it, its short name, and its ase.Atoms."""

    source: str
    name: str
    atoms: Any  # ase is untyped


Structures = Mapping[tuple[str, str], Structure]
Starts = Mapping[tuple[str, str, float, int], Start]


def read_structures(campaign: Campaign) -> list[Structure]:
    """Every structure of a campaign; raises InputError for what cannot be read."""
    atoms = [read_structure(source) for source in campaign.structures]
    return [Structure(*each) for each in zip(campaign.structures, _names(campaign.structures), atoms, strict=True)]


def served_sources(campaign: Campaign) -> Iterator[tuple[str, ModelCard]]:
    """Source and card of every model; raises InputError for one that mdsuite cannot serve by itself."""
    for source in campaign.models:
        yield served_source(
            source, trust=campaign.trust, threads=campaign.threads, foreign=campaign.coupling.accept_foreign
        )


def served_source(source: str, *, trust: bool, threads: int = 1, foreign: bool = False) -> tuple[str, ModelCard]:
    """A model as its driver is given it, and its card; raises InputError as `served_sources`."""
    located = _located(source, foreign=foreign)
    if located.startswith((native.PREFIX, FOREIGN)):
        raise InputError(f"{source} answers within an engine only; wanted is a model that mdsuite loads")
    return located, _model(located, trust=trust, threads=threads)[0]


def make_plan(
    campaign: Campaign,
    *,
    across_models: bool = False,
    structures: Structures = MappingProxyType({}),
    starts: Starts = MappingProxyType({}),
) -> Plan:
    """All runs of a campaign; its engines are compared, and `across_models` where its models are said to be one.

    `structures`, by the model's hash and their name, and `starts`, by temperature (K) and replica too, replace those
    of the campaign.

    Raises InputError for models that cannot be loaded, structures that cannot be read, and pairs of them that do not
    go together.
    """
    kinds = [engine_kind(name) for name in campaign.engine]
    _require_distinct(campaign.engine, campaign.engine, "engines")
    sources = [_located(source, foreign=campaign.coupling.accept_foreign) for source in campaign.models]
    doubles = [_located(source, foreign=False) for source in campaign.double]
    models = _told_apart(
        [_model(source, trust=campaign.trust, threads=campaign.threads, elsewhere=True) for source in sources]
    )
    for source in doubles:
        _model(source, trust=campaign.trust, threads=campaign.threads, elsewhere=True)
    cards = [card for card, _ in models]
    _require_distinct([card.sha256 for card in cards], campaign.models, "models")
    given = read_structures(campaign)
    for card in cards:
        for structure in given:
            require_supported(card, structure.atoms, structure.source)
    _require_matched(kinds, campaign)
    runs = [
        _run(campaign, kind, model, source, structure.name, start, replica, temperature, timestep)
        for kind in kinds
        for source, model in zip(sources, models, strict=True)
        if _fits(kind, source)
        for structure in (structures.get((model[0].sha256, each.name), each) for each in given)
        for temperature in campaign.dynamics.temperature_K
        for timestep in campaign.dynamics.timestep_fs
        for replica, drawn in _starts(campaign, structure.atoms, structure.source, temperature)
        for start in (starts.get((model[0].sha256, structure.name, temperature, replica), drawn),)
    ]
    _require_distinct([run.id for run in runs], [run.structure for run in runs], "structures")
    return Plan(
        campaign,
        tuple(cards),
        tuple(runs),
        tuple(comparisons(runs, across_models=across_models)),
        dict(zip(sources, doubles, strict=False)),
    )


def _fits(kind: EngineKind, source: str) -> bool:
    """Whether an engine has a way to a model's forces."""
    if kind.forces == LOCAL:
        return not source.startswith((native.PREFIX, FOREIGN))
    return (kind.forces == NATIVE) == source.startswith(native.PREFIX)


def _require_matched(kinds: Sequence[EngineKind], campaign: Campaign) -> None:
    """Raise InputError for an engine without a model, a model without an engine, and a thermostat that is not there."""
    for kind in kinds:
        if not any(_fits(kind, source) for source in campaign.models):
            wanted = "native:FILE.toml" if kind.forces == NATIVE else "one that mdsuite can load"
            raise InputError(f"none of the models is for the engine {kind.name}, which takes {wanted}; name one")
        dynamics = campaign.dynamics
        if dynamics.ensemble == "nvt" and dynamics.thermostat not in kind.thermostats:
            raise InputError(
                f"{kind.title} has no thermostat {dynamics.thermostat} that mdsuite can use; "
                f"it has {', '.join(kind.thermostats)}"
            )
    for source in campaign.models:
        if not any(_fits(kind, source) for kind in kinds):
            names = ", ".join(kind.name for kind in kinds)
            raise InputError(f"{source} is for none of the engines asked for ({names}); choose another engine for it")


def require_supported(card: ModelCard, atoms: Any, name: str) -> None:
    """Raise InputError where a model was not made for a structure: no forces, elements, periodicity, thin cells."""
    if not card.forces:
        raise InputError(f"{card.name} ({card.kind}) gives energies and no forces; serve it as .pt2 or TorchScript")
    if card.species is not None:
        unknown = sorted(set(atoms.numbers.tolist()) - set(card.species))
        if unknown:
            raise InputError(
                f"{card.name} has never seen {_symbols(unknown)}, which {name} contains; it knows "
                f"{_symbols(list(card.species))}. Choose another model or structure"
            )
    if atoms.pbc.any() and not card.periodic:
        raise InputError(f"{card.name} has no periodic boundaries, but {name} is periodic; set its pbc to 'F F F'")
    if atoms.pbc.any():
        _require_width(card, atoms, name)


def _require_width(card: ModelCard, atoms: Any, name: str) -> None:
    widths = perpendicular_widths(np.asarray(atoms.cell.complete()[:]))[atoms.pbc]
    if widths.min() < card.minimum_width:
        raise InputError(
            f"the periodic cell of {name} is {widths.min():.2f} Å thick, {card.name} supports {card.minimum_width:g} Å "
            "or more; repeat the cell"
        )


def bundled_structure_for(source: str, *, trust: bool) -> str:
    """The first bundled structure that a model is for; raises InputError if there is none, or no such model."""
    card, _ = _model(_located(source, foreign=True), trust=trust, elsewhere=True)
    for name in bundled_structures():
        with contextlib.suppress(InputError):  # the next one may be
            require_supported(card, read_structure(name), name)
            return name
    raise InputError(f"{card.name} is for none of the bundled structures; name one with --structure")


def require_accepted(plan: Plan) -> None:
    """Raise InputError, in the engine's words, for a potential or a library of the user's own that it does not take."""
    asked = set()
    for run in plan.runs:
        question = (run.engine, run.model_sha256, run.structure)
        if (run.native is None and not run.lammps_library) or question in asked:
            continue
        asked.add(question)
        said = refusal(run)
        if said is not None:
            what = run.model_name if run.native is not None else run.lammps_library
            raise InputError(f"{engine_kind(run.engine).title} does not take {what} for {run.structure}: {said}")


def claim(plan: Plan, output: Path) -> None:
    """Make the output folder this campaign's, and put every run into it.

    A folder that holds some of the campaign's runs is taken up; raises InputError for one that holds anything else,
    and for one that cannot be written.
    """
    manifest = output / MANIFEST
    wanted = {run.id for run in plan.all_runs}
    require_usable(output)
    with _as_input_error(output):
        if manifest.exists():
            _require_ours(output, wanted)
        for run in plan.all_runs:
            require_extendable(run, plan.folder(output, run))
        output.mkdir(parents=True, exist_ok=True)
        write_json(manifest, {"schema": "mdsuite-campaign/1", **_terms(plan), "runs": sorted(wanted)})
        for run in plan.all_runs:
            write_run(run, plan.folder(output, run))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what a campaign is judged, where nobody has its file.

    criteria : name or file of the profile
    horizon_ps : length of production, 0 where none was told
    first : temperature (K) and timestep (fs) that are asked about; others show how far the verdict holds
    """

    criteria: str
    horizon_ps: float
    first: tuple[float, float]


def read_terms(output: Path) -> Terms:
    """Of the campaign in a folder; raises InputError where there is none."""
    told = _of_manifest(output, "judged")
    return Terms(criteria=told["criteria"], horizon_ps=told["horizon_ps"], first=tuple(told["first"]))


def _terms(plan: Plan) -> dict[str, Any]:
    campaign = plan.campaign
    file = Path(campaign.criteria)
    dynamics = campaign.dynamics
    return {
        "judged": {
            "criteria": str(file.resolve()) if file.is_file() else campaign.criteria,
            "horizon_ps": campaign.horizon_ps,
            "first": [dynamics.temperature_K[0], dynamics.timestep_fs[0]],
        }
    }


def require_usable(output: Path) -> None:
    """Raise InputError for a folder that holds something else than a campaign."""
    with _as_input_error(output):
        held = {each.name for each in output.iterdir()} if output.exists() else set()
        if MANIFEST not in held and held - {PREPARATION, STATIC, LOCK}:
            raise InputError(f"{output} is neither empty nor an mdsuite campaign; give another --output")


def open_folder(plan: Plan, output: Path) -> None:
    """Make the output folder; raises InputError where that cannot be, or it is another campaign's."""
    require_ours(plan, output)
    with _as_input_error(output):
        output.mkdir(parents=True, exist_ok=True)


def runs_in(output: Path) -> dict[str, Path]:
    """Folders of the runs of the campaign in a folder, by their ids, sorted; raises InputError where there is none."""
    return {each: run_folder(output, each) for each in sorted(_of_manifest(output, "runs"))}


def _of_manifest(output: Path, key: str) -> Any:
    try:
        return json.loads((output / MANIFEST).read_text())[key]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"wanted the folder of a campaign, but {output} has no {MANIFEST}: {error}") from error


def run_folder(output: Path, run_id: str) -> Path:
    """Where a run of the campaign in a folder lives."""
    return output / "runs" / run_id


def require_ours(plan: Plan, output: Path) -> None:
    """Raise InputError for the folder of another campaign."""
    with _as_input_error(output):
        if (output / MANIFEST).exists():
            _require_ours(output, {run.id for run in plan.all_runs})


def _require_ours(output: Path, wanted: set[str]) -> None:
    held = set(runs_in(output))
    foreign = held - wanted
    if foreign:
        raise InputError(
            f"{output} belongs to another campaign: {len(foreign)} of its {len(held)} runs are not in this "
            "one (model, structure, engine, timestep, temperature or seed differ); give another --output"
        )


@contextlib.contextmanager
def _as_input_error(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}; give another --output") from error
    except (ValueError, KeyError) as error:
        raise InputError(str(error)) from error


def _located(source: str, *, foreign: bool) -> str:
    """An absolute source, since the driver runs elsewhere; modules stay what they are."""
    if source.startswith(FOREIGN):
        if not foreign:
            raise InputError(
                f"{source} is served by a driver that mdsuite does not start; allow that: --accept-foreign"
            )
        return source
    if source.startswith(native.PREFIX):
        return native.located(source)
    if way := way_of(source):
        return in_way(way, _located(of_itself(source), foreign=foreign))
    if source.startswith("ase:"):
        location, colon, factory = source.removeprefix("ase:").rpartition(":")
        return f"ase:{Path(location).resolve()}{colon}{factory}" if location.endswith(".py") else source
    if scheme_of(source) is not None:
        scheme, _, location = source.partition(":")
        file, question, query = location.partition("?")
        return f"{scheme}:{Path(file).resolve() if file else ''}{question}{query}"
    try:
        return str(resolve(source).resolve())
    except ModelError as error:
        raise InputError(str(error)) from error


def _model(source: str, *, trust: bool, threads: int = 1, elsewhere: bool = False) -> _Model:
    """What is known of a model; of one on a GPU without one, where it is to be evaluated `elsewhere`."""
    if source.startswith(native.PREFIX):
        return native.read_native(source)
    if source.startswith(FOREIGN):
        return _foreign_card(source), None
    try:
        way = way_of(source)
        if elsewhere and way == CUDA:
            return card_for_gpu(of_itself(source), trust=trust), None
        with on_threads(threads) if way == COMPILED else contextlib.nullcontext():  # as its driver will load it
            return load(source, trust=trust).card, None
    except ModelError as error:
        raise InputError(str(error)) from error


def _foreign_card(source: str) -> ModelCard:
    """What is known of a model that somebody else serves: its name."""
    return ModelCard(
        name=source.removeprefix(FOREIGN),
        kind="i-PI client that mdsuite did not start",
        periodic=True,
        sha256=hashlib.sha256(source.encode()).hexdigest(),
    )


def _starts(campaign: Campaign, atoms: Any, text: str, temperature: float) -> Iterator[tuple[int, Start]]:
    dynamics = campaign.dynamics
    masses, at = np.asarray(atoms.get_masses(), dtype=float), configuration(atoms)
    for replica in range(dynamics.replicas):
        if dynamics.velocities == "file":
            velocities = file_velocities(atoms, text)
        else:
            velocities = maxwell_velocities(masses, temperature, [dynamics.seed, replica])
        yield (
            replica,
            Start(
                numbers=at.numbers,
                masses=masses,
                positions=at.positions,
                velocities=velocities,
                cell=at.cell,
                pbc=at.pbc,
            ),
        )


def _run(
    campaign: Campaign,
    kind: EngineKind,
    model: _Model,
    source: str,
    structure: str,
    start: Start,
    replica: int,
    temperature: float,
    timestep_fs: float,
) -> Run:
    dynamics = campaign.dynamics
    card, own = model
    thermostatted = dynamics.ensemble == "nvt"
    return Run(
        model=source,
        model_name=card.name,
        model_sha256=card.sha256,
        trust=campaign.trust,
        structure=structure,
        engine=kind.name,
        ensemble=dynamics.ensemble,
        timestep=timestep_fs * 1e-3,
        n_steps=dynamics.n_steps(timestep_fs),
        chunk_steps=dynamics.chunk_steps,
        frame_steps=dynamics.frame_steps,
        temperature=temperature,
        replica=replica,
        velocity_seed=None if dynamics.velocities == "file" else dynamics.seed,
        threads=campaign.threads,
        start=start,
        thermostat=dynamics.thermostat if thermostatted else "",
        relaxation=dynamics.relaxation_ps if thermostatted else 0.0,
        native=own,
        lammps_library=_library(campaign, kind),
        coupling=_coupling(campaign, source),
    )


def _library(campaign: Campaign, kind: EngineKind) -> str:
    of_lammps = campaign.lammps_library and kind.name.startswith("lammps")
    return str(Path(campaign.lammps_library).resolve()) if of_lammps else ""


def _coupling(campaign: Campaign, source: str) -> Coupling:
    wanted = campaign.coupling
    return Coupling(
        transport=wanted.transport,
        accept_foreign=source.startswith(FOREIGN),
        start_s=wanted.start_s,
        first_evaluation_s=wanted.first_evaluation_s,
        evaluation_s=wanted.evaluation_s,
        replacements=wanted.replacements,
        max_force=wanted.max_force_eV_per_A,
    )


def _names(sources: Sequence[str]) -> list[str]:
    """Short names of structures: the file's stem, or all of the source where stems coincide."""
    stems = [Path(source).stem for source in sources]
    counts = Counter(stems)
    return [stem if counts[stem] == 1 else source for stem, source in zip(stems, sources, strict=True)]


def _told_apart(models: Sequence[_Model]) -> list[_Model]:
    """Models of one name with the beginning of what their weights hash to, as a model and its export may be."""
    counts = Counter(card.name for card, _ in models)
    return [
        (card if counts[card.name] == 1 else replace(card, name=f"{card.name}-{card.sha256[:8]}"), native)
        for card, native in models
    ]


def _require_distinct(keys: Sequence[str], names: Sequence[str], what: str) -> None:
    first: dict[str, str] = {}
    for key, name in zip(keys, names, strict=True):
        if key in first:
            raise InputError(f"the {what} {first[key]} and {name} are the same; name each once")
        first[key] = name


def _symbols(numbers: list[int]) -> str:
    if len(numbers) > 20:
        return f"{chemical_symbols[numbers[0]]} to {chemical_symbols[numbers[-1]]}"
    return ", ".join(chemical_symbols[z] for z in numbers)
