"""Models on a GPU: what it is told once, on the CPU; whether all of a network goes there; and the GPU, where one is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import factories
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mdsuite_driver.models.batch import Batch, OneByOne
from mdsuite_driver.models.compiled import network_of
from mdsuite_driver.models.cuda import CudaModel
from mdsuite_driver.models.graph import EnergiesAndGradient
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration, Doubling, Evaluation, Model, ModelError
from mdsuite_driver.models.rooms import KEPT, SMALLEST, Rooms, room_for
from mdsuite_driver.models.sameness import questions, require_same

PAINN, ACE = "painn-ultra-tiny", "si-ace"
GPU = torch.cuda.is_available()
needs_gpu = pytest.mark.skipif(not GPU, reason="not run: needs a GPU that torch can use")


@pytest.fixture(scope="module")
def seed_student(tmp_path_factory: pytest.TempPathFactory) -> str:
    return factories.seed_student(tmp_path_factory.mktemp("students"))


@pytest.fixture(params=[PAINN, ACE, "seed student"])
def model(request: pytest.FixtureRequest, seed_student: str) -> Model:
    return load(seed_student if request.param == "seed student" else request.param)


def anew(done: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """As a CUDA graph: what is done again is told in the place where it was told first."""
    told = done()

    def again() -> Tensor:
        return told.copy_(done())

    return again


def placed(model: Model, record: Any = anew) -> CudaModel:
    return CudaModel(model, Rooms(network_of(model), model.card, torch.device("cpu"), record))


def to_the_bit(ours: Evaluation, theirs: Evaluation) -> bool:
    pairs = ((ours.forces, theirs.forces), (ours.virial, theirs.virial))
    return ours.energy == theirs.energy and all(np.array_equal(a, b) for a, b in pairs)


def spread(of: Configuration, by: float) -> Configuration:
    return Configuration(numbers=of.numbers, positions=by * of.positions, cell=by * of.cell, pbc=of.pbc)


def test_it_answers_as_its_model_alone_and_beside_others(model: Model):
    ours = placed(model)
    require_same(OneByOne(ours), model, how="in rooms", instead="")
    require_same(ours.batch(), model, how="in rooms", instead="")
    assert ours.card == model.card


def test_what_was_asked_before_is_in_no_bit_of_an_answer(model: Model):
    *_, question = questions(model.card)
    asked = [spread(question, by) for by in (1.0, 1.02, 0.99, 1.3, 1.0, 0.9, 1.01, 1.0)]
    ours = placed(model)
    found = [ours.evaluate(each) for each in asked]
    for each, answer in zip(asked, found, strict=True):
        assert to_the_bit(answer, placed(model).evaluate(each))
    for each, answer in zip(asked, found, strict=True):  # which an answer does not change later
        assert to_the_bit(answer, ours.evaluate(each))


def test_other_elements_at_the_same_places_are_answered_for():
    model = load(PAINN)
    *_, question = questions(model.card)
    numbers = np.roll(question.numbers, 1)
    other = Configuration(numbers=numbers, positions=question.positions, cell=question.cell, pbc=question.pbc)
    ours = placed(model)
    ours.evaluate(question)
    assert ours.evaluate(other).energy == pytest.approx(model.evaluate(other).energy, abs=1e-9)


def test_a_lone_atom_has_the_energy_of_its_model(model: Model):
    z = (model.card.species or (6,))[0]
    alone = Configuration(
        numbers=np.array([z]), positions=np.zeros((1, 3)), cell=np.zeros((3, 3)), pbc=(False, False, False)
    )
    ours, theirs = placed(model).evaluate(alone), model.evaluate(alone)
    assert ours.energy == pytest.approx(theirs.energy, abs=1e-6)
    assert not ours.forces.any()


class Off:
    """Rooms that leave out the last pairs."""

    def __init__(self, model: Model, pairs: int) -> None:
        self._rooms = Rooms(network_of(model), model.card, torch.device("cpu"), anew)
        self._pairs = pairs

    def __call__(self, numbers: Any, i: Any, j: Any, vectors: Any) -> Any:
        left = len(i) - self._pairs
        energies, gradient = self._rooms(numbers, i[:left], j[:left], vectors[:left])
        return energies, np.concatenate([gradient, np.zeros((self._pairs, 3))])


@pytest.mark.parametrize(("pairs", "fits"), [(0, True), (1, False)])
def test_a_pair_that_is_left_out_is_refused_and_its_clean_twin_is_not(pairs: int, fits: bool):
    model = load(PAINN)
    asked = Batch(Off(model, pairs), model.card)
    if fits:
        require_same(asked, model, how="on a GPU", instead="leave cuda: out")
        return
    with pytest.raises(ModelError, match=r"on a GPU, answers otherwise .* evaluate it as it is \(leave cuda: out\)"):
        require_same(asked, model, how="on a GPU", instead="leave cuda: out")


def test_it_is_recorded_once_for_every_room():
    model, recorded = load(PAINN), []

    def counted(done: Callable[[], Tensor]) -> Callable[[], Tensor]:
        recorded.append(done)
        return anew(done)

    ours = placed(model, counted)
    *_, question = questions(model.card)
    for shift in np.linspace(0.0, 1e-3, 5):
        ours.evaluate(spread(question, 1.0 + shift))
    assert len(recorded) <= 2
    sizes = {room_for(n) for n in range(10 * SMALLEST)}
    assert len(sizes) > KEPT  # so that some are made anew


def test_rooms_are_large_enough_and_few():
    sizes = [room_for(n) for n in range(100_000)]
    assert all(size >= n for n, size in enumerate(sizes))
    assert all(size <= max(1.25 * n, SMALLEST) + 1 for n, size in enumerate(sizes))
    assert len(set(sizes)) < 60


class OnOneDevice(TorchDispatchMode):
    """Raises for an operation of tensors of two devices, but for a single number of the CPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        there = {each.device.type for each in given if each.dim() or each.device.type != "cpu"}
        if len(there) > 1:
            raise RuntimeError(f"{func} of tensors on {' and '.join(sorted(there))}")
        return func(*args, **(kwargs or {}))


def elsewhere(network: nn.Module, species: Iterable[int], dtype: str) -> tuple[Tensor, Tensor]:
    """What a network gives on a device that has sizes and no numbers."""
    function = EnergiesAndGradient(copy.deepcopy(network).to("meta"))
    numbers = torch.full((5,), next(iter(species)), device="meta")
    places = torch.zeros(SMALLEST, dtype=torch.int64, device="meta")
    vectors = torch.ones(SMALLEST, 3, dtype=getattr(torch, dtype), device="meta")
    with OnOneDevice():
        energies, gradient = function(numbers, places, places, vectors)
    return energies, gradient


def test_nothing_of_a_network_stays_behind(model: Model):
    found = elsewhere(network_of(model), model.card.species or (), model.card.dtype)
    assert [each.device.type for each in found] == ["meta", "meta"]
    assert [tuple(each.shape) for each in found] == [(5,), (SMALLEST, 3)]


class LeftBehind(nn.Module):
    """A network with a tensor that is not told to be part of it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.scale = torch.ones(1, dtype=torch.float64)

    def forward(self, numbers: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        energies: Tensor = self.network(numbers, i, j, vectors)
        return energies * self.scale

    def reference_energies(self, numbers: Tensor) -> Tensor:
        references: Tensor = self.network.reference_energies(numbers)  # type: ignore[operator]
        return references


def test_what_stays_behind_is_found():
    model = load(PAINN)
    with pytest.raises(RuntimeError, match="tensors on cpu and meta"):
        elsewhere(LeftBehind(network_of(model)), model.card.species or (), model.card.dtype)


@pytest.mark.skipif(GPU, reason="not run: there is a GPU")
def test_without_a_gpu_it_is_said_what_is_missing():
    with pytest.raises(ModelError, match="finds none that it can use here; install torch for CUDA"):
        load(f"cuda:{PAINN}")


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (f"cuda:compiled:{PAINN}", "two ways of evaluating a model"),
        (f"compiled:cuda:{PAINN}", "two ways of evaluating a model"),
        ("cuda:nothing:", "cannot be compiled, or put on a GPU"),
        ("cuda:no-such.pt", "no file no-such.pt"),
    ],
)
def test_what_cannot_go_to_a_gpu_is_refused(source: str, wanted: str):
    with pytest.raises(ModelError, match=wanted):
        load(source)


@needs_gpu
def test_on_a_gpu_it_answers_as_its_model(model: Model, seed_student: str):
    source = seed_student if isinstance(model, Doubling) else model.card.name
    load(f"cuda:{source}")  # which raises where it does not


@needs_gpu
def test_on_a_gpu_it_is_computed_in_double_precision_too(seed_student: str):
    doubled = load(f"cuda:{seed_student}")
    assert isinstance(doubled, Doubling)
    assert isinstance(doubled.double(), CudaModel)
    assert doubled.double().card.dtype == "float64"


@needs_gpu
def test_on_a_gpu_the_bits_are_the_same_each_time(model: Model, seed_student: str):
    source = seed_student if isinstance(model, Doubling) else model.card.name
    first, second = (load(f"cuda:{source}") for _ in range(2))
    for question in questions(model.card):
        answers = [each.evaluate(question) for each in (first, second, first)]
        assert all(to_the_bit(answers[0], each) for each in answers[1:])
