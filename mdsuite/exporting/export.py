"""A model exported, read back, and kept only if it answers as the model does."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar, cast

import numpy as np
from torch import nn

from mdsuite.errors import InputError
from mdsuite.exporting.make import TARGETS
from mdsuite.exporting.probes import probes
from mdsuite_analysis.measurement import Measurement
from mdsuite_driver.models.exported import EnergyModel, GraphModel, graph_of
from mdsuite_driver.models.graph import EnergyAndGradient, with_stored_weights
from mdsuite_driver.models.load import load, resolve
from mdsuite_driver.models.package import example
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model, ModelCard, ModelError

TOLERANCES: Mapping[str, float] = MappingProxyType({"float64": 1e-8, "float32": 1e-3})
"""eV per atom, eV/Å, and eV per atom of virials, by what a model computes in; sums in another order differ by less."""

MEV = 1e3


class Exportable(Model, Protocol):
    """A model of one network of energies of atoms, as `mdsuite_driver.models.graph` takes it."""

    @property
    def network(self) -> nn.Module:
        """The network, in the precision of the card."""
        ...


class ExportError(Exception):
    """An export that does not answer as its model does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export that was kept.

    weights : what they are stored in, or "" for the precision of the model
    measurements : how far its answers are from those of the network that was written, and of the model
    n_atoms : of every configuration on which they were compared
    sizes : bytes of the model's own file and of the export
    """

    file: Path
    card: ModelCard
    target: str
    weights: str
    measurements: tuple[Measurement, ...]
    n_atoms: tuple[int, ...]
    sizes: tuple[int, int]


def export(
    source: str,
    target: str,
    weights: str,
    output: Path,
    *,
    trust: bool = False,
    begun_with: Collection[str] = (),
    told: Callable[[str], None],
) -> Export:
    """Write a model for a target, read the file back, and compare the two.

    begun_with : what files hash to (sha256) with which trajectories have begun; such a file is compared again and not
        written again, for a compiler does not give the same bytes twice

    Raises InputError for a model that cannot be exported and a package that is missing, and ExportError for a file
    whose answers are not the model's, which is deleted.
    """
    model = _exportable(source, trust=trust)
    ending, write = TARGETS[target]
    asked = probes(model.card)
    network = with_stored_weights(model.network, weights) if weights else model.network
    file = file_of(model.card, target, weights, output)
    name = file.name.removesuffix(ending)
    card = replace(model.card, name=name, kind=f"{model.card.kind}{f', weights in {weights}' if weights else ''}")
    output.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".unchecked-{file.name}")
    try:
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() in begun_with:
            shutil.copyfile(file, temporary)
        else:
            told(f"writing {file.name}")
            write(network, card, example(asked[0], card), temporary)
        told(f"comparing {file.name} with {model.card.name}")
        measured = compared(temporary, network, model, asked)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return Export(
        file=file,
        card=card,
        target=target,
        weights=weights,
        measurements=tuple(measured),
        n_atoms=tuple(len(each.numbers) for each in asked),
        sizes=(resolve(source).stat().st_size, file.stat().st_size),
    )


def file_of(card: ModelCard, target: str, weights: str, output: Path) -> Path:
    """Where the export of a model is written."""
    ending, _ = TARGETS[target]
    return output / f"{card.name}{f'-{weights}' if weights else ''}{ending}"


def _exportable(source: str, *, trust: bool) -> Exportable:
    try:
        model = load(source, trust=trust)
    except ModelError as error:
        raise InputError(str(error)) from error
    if not isinstance(getattr(model, "network", None), nn.Module):
        raise InputError(
            f"{model.card.name} ({model.card.kind}) cannot be exported; what can are the project's PaiNN and ACE, and "
            "seed students"
        )
    return cast("Exportable", model)


def compared(
    exported: Path, network: nn.Module, model: Exportable, asked: Sequence[Configuration]
) -> list[Measurement]:
    """How far the answers of a file are from those of the network that was written, and of the model as it is served.

    Raises ExportError where the first is more than rounding, or the second for weights that are the model's own, and
    for a file that ends the process that asks it.
    """
    found = in_another_process(answers_of, str(exported), asked)
    same = _apart("export", found, _answers(in_process(network, model.card), asked), len(asked))
    served = _apart("weights", found, _answers(model, asked), len(asked))
    _require_same(same if network is not model.network else [*same, *served], model.card, asked)
    return [*same, *served]


def in_process(network: nn.Module, card: ModelCard) -> GraphModel:
    """A network as the graph that is written of it, in the precision of the card."""
    return GraphModel(graph_of(EnergyAndGradient(network), card.dtype), card)


Result = TypeVar("Result")


def in_another_process(function: Callable[..., Result], *arguments: object) -> Result:
    """What a function returns or raises; ExportError where it ends the process, as compiled code may."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise ExportError("the file ends the process that asks it for an energy: its code is faulty") from error


def answers_of(file: str, asked: Sequence[Configuration]) -> list[_Answer]:
    """Of a file that was written; raises ExportError where it has none."""
    return _answers(load(file, trust=True), asked)


@dataclass(frozen=True, slots=True)
class _Answer:
    energy: float
    evaluation: Evaluation | None
    n_atoms: int


def _answers(model: Model, asked: Sequence[Configuration]) -> list[_Answer]:
    return [_answer(model, each) for each in asked]


def _answer(model: Model, asked: Configuration) -> _Answer:
    try:
        if isinstance(model, EnergyModel):
            return _Answer(model.energy(asked), None, len(asked.numbers))
        evaluation = model.evaluate(asked)
    except Exception as error:  # a graph that was frozen at one size raises whatever its runtime does
        raise ExportError(
            f"the file has no answer for {len(asked.numbers)} atoms: {type(error).__name__}: {error}"
        ) from error
    return _Answer(evaluation.energy, evaluation, len(asked.numbers))


def _apart(of: str, found: Sequence[_Answer], wanted: Sequence[_Answer], n: int) -> list[Measurement]:
    """The largest differences of energies per atom, forces and virials."""
    note = f"largest of {n} configurations"
    energies = [abs(a.energy - b.energy) / b.n_atoms for a, b in zip(found, wanted, strict=True)]
    measured = [Measurement(name=f"{of}_energy_error", value=MEV * _largest(energies), unit="meV/atom", note=note)]
    pairs = [(a.evaluation, b.evaluation) for a, b in zip(found, wanted, strict=True)]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    if both:
        forces = [float(np.abs(a.forces - b.forces).max()) for a, b in both]
        virials = [float(np.abs(a.virial - b.virial).max()) for a, b in both]
        measured.append(Measurement(name=f"{of}_force_error", value=MEV * _largest(forces), unit="meV/Å", note=note))
        measured.append(Measurement(name=f"{of}_virial_error", value=MEV * _largest(virials), unit="meV", note=note))
    return measured


def _largest(differences: Sequence[float]) -> float:
    """NaN where there is one: it passes for nothing."""
    return float("nan") if np.isnan(differences).any() else max(differences)


def _require_same(measured: Sequence[Measurement], card: ModelCard, asked: Sequence[Configuration]) -> None:
    sizes = sorted({len(each.numbers) for each in asked})
    for each in measured:
        limit = MEV * TOLERANCES[card.dtype] * (sizes[-1] if "virial" in each.name else 1)
        if not each.value <= limit:
            raise ExportError(
                f"the export of {card.name} does not answer as its model over {len(asked)} configurations of "
                f"{sizes[0]} to {sizes[-1]} atoms: {each.name.replace('_', ' ')} {each.value:.3g} {each.unit}, where "
                f"{limit:.1g} {each.unit} is rounding; the file was not kept"
            )
