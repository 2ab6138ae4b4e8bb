"""A network written as TorchScript, as an AOTInductor package, or as ONNX."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

from mdsuite.errors import InputError
from mdsuite.tracing import traced
from mdsuite_driver.models.exported import METADATA, metadata_of
from mdsuite_driver.models.graph import Energy, EnergyAndGradient
from mdsuite_driver.models.protocol import ModelCard, first_line

Example = tuple[Tensor, Tensor, Tensor, Tensor]
"""Numbers, i, j and vectors of some configuration; a graph must not depend on its sizes."""

OPSET = 18
"""Of ONNX: the first whose scattered sums add up."""

Write = Callable[[nn.Module, ModelCard, Example, Path], None]


def write_torchscript(network: nn.Module, card: ModelCard, _example: Example, path: Path) -> None:
    """By scripting, which keeps every size open; raises InputError for code that TorchScript does not take."""
    with _quiet():  # torch calls TorchScript deprecated; who has C++ of that time has no other
        try:
            scripted = torch.jit.script(EnergyAndGradient(network))
        except Exception as error:  # it raises whatever its parts do for Python that it does not know
            raise InputError(f"TorchScript does not take the code of {card.name}; write it as .pt2") from error
        torch.jit.save(scripted, str(path), _extra_files={METADATA: _told(card)})


def write_package(network: nn.Module, card: ModelCard, example: Example, path: Path) -> None:
    """Energy and gradient traced as one graph with open sizes, and compiled for this kind of machine.

    Raises InputError where there is no C++ compiler that torch can use.
    """
    import torch._inductor  # noqa: PLC0415  takes seconds

    with _quiet():
        graph = traced(EnergyAndGradient(network), *example)
        exported = torch.export.export(graph, example, dynamic_shapes=_open_sizes(), strict=False)
        try:
            torch._inductor.aoti_compile_and_package(
                exported,
                package_path=str(path),
                inductor_configs={"aot_inductor.metadata": {METADATA: _told(card)}},
            )
        except Exception as error:  # torch raises whatever its parts and the C++ compiler do
            raise InputError(
                f"the .pt2 package of {card.name} could not be compiled, which takes a C++ compiler that torch can "
                f"use: {first_line(error)}"
            ) from error


def write_onnx(network: nn.Module, card: ModelCard, example: Example, path: Path) -> None:
    """The energy alone; raises InputError where the packages onnx and onnxscript are missing."""
    try:
        import onnx  # noqa: PLC0415
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        raise InputError(f"ONNX needs the package {error.name}: pip install 'mdsuite[onnx]'") from error
    with _quiet():
        program = torch.onnx.export(
            Energy(network).eval(),
            example,
            dynamo=True,
            dynamic_shapes=_open_sizes(),
            opset_version=OPSET,
            verbose=False,
            optimize=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = program.model_proto
    for node in model.graph.node:  # where in the program it comes from is longer than the graph
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.helper.set_model_props(model, {METADATA: _told(card)})
    onnx.save(model, str(path))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says of packages and names of its own, and of what it deprecates; its errors are raised."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _open_sizes() -> tuple[dict[int, torch.export.Dim], ...]:
    atoms, pairs = torch.export.Dim("n_atoms", min=2), torch.export.Dim("n_pairs", min=2)
    return ({0: atoms}, {0: pairs}, {0: pairs}, {0: pairs})


def _told(card: ModelCard) -> str:
    return json.dumps(metadata_of(card))


TARGETS: Mapping[str, tuple[str, Write]] = MappingProxyType(
    {
        "torchscript": (".torchscript.pt", write_torchscript),
        "pt2": (".pt2", write_package),
        "onnx": (".onnx", write_onnx),
    }
)
"""By name: how a file ends, and who writes it."""
