"""Models on a GPU: ``cuda:SOURCE`` names the model of another source, evaluated there by CUDA graphs.

Whenever it is loaded it is compared with the model on the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from mdsuite_driver.models.batch import AtomGraph, Batch, OneByOne
from mdsuite_driver.models.compiled import network_of
from mdsuite_driver.models.protocol import (
    Configuration,
    Doubling,
    Evaluation,
    Model,
    ModelCard,
    ModelError,
    first_line,
)
from mdsuite_driver.models.sameness import require_same

if TYPE_CHECKING:
    from torch import Tensor

HOW, INSTEAD = "on a GPU", "leave cuda: out"
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
FIXED = ":4096:8"
"""By which cuBLAS gives the same bits each time (NVIDIA, cuBLAS documentation, "Results Reproducibility")."""

WARM = 3  # times, before it is recorded: what is chosen and made at first is not part of it


class CudaModel:
    """A model whose network is evaluated elsewhere, by one graph for one configuration or for several."""

    def __init__(self, model: Model, graph: AtomGraph) -> None:
        self._model = model
        self._graph = graph
        self._alone = self.batch()

    @property
    def card(self) -> ModelCard:
        """That of the model, whose answers these are."""
        return self._model.card

    def batch(self) -> Batch:
        """Whom to ask for several configurations at once."""
        return Batch(self._graph, self.card)

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and virial; raises ModelError for elements or boundaries that the model is not for."""
        return self._alone.evaluate([configuration])[0]


class DoublingCudaModel(CudaModel):
    """The same of a model that can be computed in float64 too."""

    def __init__(self, model: Doubling, graph: AtomGraph) -> None:
        super().__init__(model, graph)
        self._doubling = model

    def double(self) -> Model:
        """The model in float64 on the GPU, its weights as they are; raises ModelError as `load_cuda`."""
        return _placed(self._doubling.double())


def load_cuda(location: str, trust: bool) -> Model:
    """The model of a source on the first GPU that is there; raises ModelError where it cannot be, or would not be it.

    One of several is chosen by ``CUDA_VISIBLE_DEVICES``.
    """
    os.environ.setdefault(WORKSPACE, FIXED)  # before cuBLAS is used
    from mdsuite_driver.models.load import load  # noqa: PLC0415  it knows of this module

    return _placed(load(location, trust=trust))


def card_for_gpu(location: str, *, trust: bool) -> ModelCard:
    """That of a model which a GPU can evaluate, be there one or not; raises ModelError for another model."""
    from mdsuite_driver.models.load import load  # noqa: PLC0415

    model = load(location, trust=trust)
    network_of(model)
    return model.card


def _placed(model: Model) -> Model:
    import torch  # noqa: PLC0415  takes seconds

    from mdsuite_driver.models.rooms import Rooms  # noqa: PLC0415

    network = network_of(model)
    if not torch.cuda.is_available():
        raise ModelError(
            f"{model.card.name} on a GPU: torch {torch.__version__} finds none that it can use here; install torch "
            "for CUDA (`mdsuite doctor` says what it finds), or evaluate it on the CPU (leave cuda: out)"
        )
    try:
        graph = Rooms(network, model.card, torch.device("cuda"), recorded)
        made = DoublingCudaModel(model, graph) if isinstance(model, Doubling) else CudaModel(model, graph)
        for asked in (OneByOne(made), made.batch()):
            require_same(asked, model, how=HOW, instead=INSTEAD)
    except RuntimeError as error:  # of CUDA, whatever part of it
        raise ModelError(f"{model.card.name} cannot be evaluated on a GPU: {first_line(error)}") from error
    return made


def recorded(done: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """What is done on the GPU, as a CUDA graph (PyTorch, "CUDA semantics: CUDA Graphs"); raises RuntimeError."""
    import torch  # noqa: PLC0415

    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM):
            done()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        told = done()

    def again() -> Tensor:
        graph.replay()
        return told

    return again
