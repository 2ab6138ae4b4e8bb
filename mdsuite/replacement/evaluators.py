"""The ways in which one model can be evaluated, each beside the one that serves it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from mdsuite.errors import InputError
from mdsuite.exporting.export import TOLERANCES, ExportError, in_another_process
from mdsuite.exporting.make import write_pt2, write_torchscript
from mdsuite.linear.data import Labelled
from mdsuite.linear.design import ENERGY, FORCES, VIRIAL, asked
from mdsuite.linear.errors import MEV
from mdsuite.replacement.sides import Side
from mdsuite_driver.models.ace.model import ACE
from mdsuite_driver.models.exported import GraphModel, graph_of
from mdsuite_driver.models.graph import EnergyAndGradient
from mdsuite_driver.models.load import load
from mdsuite_driver.models.neighbours import collected, vectors_within
from mdsuite_driver.models.package import example, traced
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model, ModelCard

N_STRUCTURES = 24

Answers = Sequence[Evaluation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """One way, and how far its answers lie from those of the model as it is served.

    largest : by kind of label, meV/atom, meV/Å, meV/atom; empty where it was not run
    tolerance : in the same units; None where nobody knows what the model computes in
    reason : why it was not run
    """

    name: str
    largest: Mapping[str, float]
    tolerance: float | None
    reason: str = ""

    @property
    def agrees(self) -> bool | None:
        """None where it was not run, or nobody knows how far it may lie off."""
        if not self.largest or self.tolerance is None:
            return None
        return all(each <= self.tolerance for each in self.largest.values())


def evaluators(side: Side, labelled: Sequence[Labelled], told: Callable[[str], None]) -> list[Evaluator]:
    """On some of the structures, of every number of atoms that there is first; empty for a model of no network."""
    network = getattr(side.model, "network", None)
    if not isinstance(network, nn.Module):
        return []
    questions = [asked(each) for each in _some(labelled)]
    served = [side.model.evaluate(each) for each in questions]
    tolerance = TOLERANCES.get(side.card.dtype)
    found = []
    for name, way in _ways(network):
        told(f"evaluating {side.name}: {name}")
        try:
            answers = way(network, side.card, questions)
        except InputError as error:
            found.append(Evaluator(name=name, largest={}, tolerance=None, reason=str(error)))
            continue
        except ExportError as error:  # its code is there, and cannot be asked
            beyond = dict.fromkeys((ENERGY, FORCES, VIRIAL), float("inf"))
            found.append(Evaluator(name=name, largest=beyond, tolerance=0.0, reason=str(error)))
            continue
        largest = _largest(served, answers)
        found.append(Evaluator(name=name, largest=largest, tolerance=None if tolerance is None else MEV * tolerance))
    return found


Way = Callable[[nn.Module, ModelCard, Sequence[Configuration]], Answers]


def _ways(network: nn.Module) -> Iterator[tuple[str, Way]]:
    yield "all structures as one graph", _batched
    if isinstance(network, ACE):
        yield "function by function", _by_functions
    yield "traced with its derivative", _traced
    yield "TorchScript, written and read", _scripted
    yield "compiled to a .pt2 package, written and read", _packaged


def _some(labelled: Sequence[Labelled]) -> list[Labelled]:
    """At most so many: one of each number of atoms, then others in their order; none of a lone atom."""
    molecules = [each for each in labelled if each.n_atoms > 1]
    first = {each.n_atoms: each for each in reversed(molecules)}
    others = [each for each in molecules if first[each.n_atoms] is not each]
    return [*first.values(), *others][:N_STRUCTURES]


def _batched(network: nn.Module, card: ModelCard, questions: Sequence[Configuration]) -> Answers:
    graphs = [vectors_within(each, card.cutoff or 0.0) for each in questions]
    sizes = [len(each.numbers) for each in questions]
    starts = np.cumsum([0, *sizes])
    i, j = (np.concatenate([graph[k] + start for graph, start in zip(graphs, starts, strict=False)]) for k in (0, 1))
    numbers = torch.as_tensor(np.concatenate([each.numbers for each in questions]))
    vectors = torch.as_tensor(np.concatenate([graph[2] for graph in graphs])).to(getattr(torch, card.dtype))
    vectors.requires_grad_()
    of_atoms = network(numbers, torch.as_tensor(i), torch.as_tensor(j), vectors)
    gradient = torch.autograd.grad(of_atoms.sum(), vectors)[0].double().numpy()
    energies = of_atoms.detach().double() + network.reference_energies(numbers)  # type: ignore[operator]
    ends = np.cumsum([len(graph[0]) for graph in graphs])
    return [
        collected(float(energy.sum()), n, *graph, own)
        for energy, n, graph, own in zip(
            torch.split(energies, sizes), sizes, graphs, np.split(gradient, ends[:-1]), strict=True
        )
    ]


def _by_functions(network: nn.Module, card: ModelCard, questions: Sequence[Configuration]) -> Answers:
    unfolded = _Unfolded(cast("ACE", network))
    return _answers(GraphModel(graph_of(EnergyAndGradient(unfolded), card.dtype), card), questions)


class _Unfolded(nn.Module):
    """An ACE whose energy is the sum over its functions, not over monomials."""

    def __init__(self, network: ACE) -> None:
        super().__init__()
        self.network = network

    def forward(self, numbers: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """Energies of atoms (n_atoms,), eV."""
        return self.network.by_functions(numbers, i, j, vectors)

    def reference_energies(self, numbers: Tensor) -> Tensor:
        """As of the network."""
        return self.network.reference_energies(numbers)


def _traced(network: nn.Module, card: ModelCard, questions: Sequence[Configuration]) -> Answers:
    graph = traced(EnergyAndGradient(network), *example(questions[0], card))
    return _answers(GraphModel(graph_of(graph, card.dtype), card), questions)


def _scripted(network: nn.Module, card: ModelCard, questions: Sequence[Configuration]) -> Answers:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.pt"
        write_torchscript(network, card, example(questions[0], card), file)
        return _answers(load(str(file), trust=True), questions)


def _packaged(network: nn.Module, card: ModelCard, questions: Sequence[Configuration]) -> Answers:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.pt2"
        write_pt2(network, card, example(questions[0], card), file)
        return in_another_process(_answers_of, str(file), questions)


def _answers_of(file: str, questions: Sequence[Configuration]) -> Answers:
    return _answers(load(file, trust=True), questions)


def _answers(model: Model, questions: Sequence[Configuration]) -> Answers:
    return [model.evaluate(each) for each in questions]


def _largest(served: Answers, answers: Answers) -> dict[str, float]:
    """NaN counts as infinitely far."""
    apart = dict.fromkeys((ENERGY, FORCES, VIRIAL), 0.0)
    for a, b in zip(served, answers, strict=True):
        n = len(a.forces)
        of = {
            ENERGY: abs(a.energy - b.energy) / n,
            FORCES: float(np.abs(a.forces - b.forces).max()),
            VIRIAL: float(np.abs(a.virial - b.virial).max()) / n,
        }
        for kind, value in of.items():
            apart[kind] = max(apart[kind], MEV * value) if np.isfinite(value) else float("inf")
    return apart
