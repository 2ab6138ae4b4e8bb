"""A network written as TorchScript, as an AOTInductor package, or as ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from mdsuite.errors import InputError
from mdsuite_driver.models.exported import METADATA
from mdsuite_driver.models.graph import Energy, EnergyAndGradient
from mdsuite_driver.models.package import Example, open_sizes, quietly, told, write_package
from mdsuite_driver.models.protocol import ModelCard, ModelError

OPSET = 18
"""Of ONNX: the first whose scattered sums add up."""

Write = Callable[[nn.Module, ModelCard, Example, Path], None]


def write_torchscript(network: nn.Module, card: ModelCard, _example: Example, path: Path) -> None:
    """By scripting, which keeps every size open; raises InputError for code that TorchScript does not take."""
    with quietly():  # torch calls TorchScript deprecated; who has C++ of that time has no other
        try:
            scripted = torch.jit.script(EnergyAndGradient(network))
        except Exception as error:  # it raises whatever its parts do for Python that it does not know
            raise InputError(f"TorchScript does not take the code of {card.name}; write it as .pt2") from error
        torch.jit.save(scripted, str(path), _extra_files={METADATA: told(card)})


def write_pt2(network: nn.Module, card: ModelCard, given: Example, path: Path) -> None:
    """As `mdsuite_driver.models.package` does; raises InputError where there is no C++ compiler that torch can use."""
    try:
        write_package(EnergyAndGradient(network), card, given, path)
    except ModelError as error:
        raise InputError(str(error)) from error


def write_onnx(network: nn.Module, card: ModelCard, example: Example, path: Path) -> None:
    """The energy alone; raises InputError where the packages onnx and onnxscript are missing."""
    try:
        import onnx  # noqa: PLC0415
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        raise InputError(f"ONNX needs the package {error.name}: pip install 'mdsuite[onnx]'") from error
    with quietly():
        program = torch.onnx.export(
            Energy(network).eval(),
            example,
            dynamo=True,
            dynamic_shapes=open_sizes(),
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
    onnx.helper.set_model_props(model, {METADATA: told(card)})
    onnx.save(model, str(path))


TARGETS: Mapping[str, tuple[str, Write]] = MappingProxyType(
    {
        "torchscript": (".torchscript.pt", write_torchscript),
        "pt2": (".pt2", write_pt2),
        "onnx": (".onnx", write_onnx),
    }
)
"""By name: how a file ends, and who writes it."""
