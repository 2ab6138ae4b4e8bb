"""A network's energy and gradient as one compiled graph that is open in its sizes: an AOTInductor package (.pt2)."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mdsuite_driver.models.exported import METADATA, metadata_of
from mdsuite_driver.models.neighbours import vectors_within
from mdsuite_driver.models.order import in_one_order
from mdsuite_driver.models.protocol import Configuration, ModelCard, ModelError, first_line

Example = tuple[Tensor, Tensor, Tensor, Tensor]
"""Numbers, i, j and vectors of some configuration; a graph must not depend on its sizes."""


def example(of: Configuration, card: ModelCard) -> Example:
    """A configuration as a graph takes it."""
    i, j, vectors = (torch.as_tensor(each) for each in vectors_within(of, card.cutoff or 0.0))
    return torch.as_tensor(of.numbers), i, j, vectors.to(getattr(torch, card.dtype))


def traced(function: Callable[..., Any], *given: Any) -> torch.fx.GraphModule:
    """The graph of a function, its derivatives inside, made at an example; sizes that are equal there may differ."""
    from torch.fx.experimental.proxy_tensor import make_fx  # noqa: PLC0415

    with equal_by_chance():
        return make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*given)


def keep_transposed(graph: torch.fx.GraphModule) -> None:
    """Have a copy of each weight that a graph multiplies by transposed, as it is multiplied by.

    A linear layer multiplies by its weight one way for the energy and the other way for the derivative. For the few
    rows of a molecule MKL takes up to a half longer where the second matrix is transposed.
    """
    transpose = torch.ops.aten.t.default
    for twice in graph.graph.find_nodes(op="call_function", target=transpose):
        once = twice.args[0]
        if once.target is transpose:
            twice.replace_all_uses_with(once.args[0])
    for node in graph.graph.find_nodes(op="call_function", target=transpose):
        (weight,) = node.args
        if weight.op == "get_attr" and node.users:
            name = f"{weight.target}_transposed"
            graph.register_buffer(name, getattr(graph, weight.target).detach().t().contiguous())
            with graph.graph.inserting_before(node):
                node.replace_all_uses_with(graph.graph.get_attr(name))
    graph.graph.eliminate_dead_code()
    graph.recompile()


def equal_by_chance() -> contextlib.AbstractContextManager[None]:
    """While this is entered, a graph that is made takes two sizes that are equal for two nevertheless."""
    from torch.fx.experimental import _config  # noqa: PLC0415  private, and slow to import

    patched: contextlib.AbstractContextManager[None] = _config.patch(use_duck_shape=False)  # type: ignore[attr-defined]
    return patched


def write_package(function: nn.Module, card: ModelCard, given: Example, path: Path) -> None:
    """Compile a function of `graph` for this kind of machine, and for one thread where PyTorch has one here.

    Raises ModelError where there is no C++ compiler that torch can use.
    """
    import torch._inductor  # noqa: PLC0415  takes seconds
    from torch._inductor import cpp_builder  # noqa: PLC0415

    with quietly(), in_one_order(torch.get_num_threads() > 1):
        try:
            cpp_builder.get_cpp_compiler()  # before the work of tracing
            graph = traced(function, *given)
            keep_transposed(graph)
            exported = torch.export.export(graph, given, dynamic_shapes=open_sizes(), strict=False)
            torch._inductor.aoti_compile_and_package(
                exported, package_path=str(path), inductor_configs={"aot_inductor.metadata": {METADATA: told(card)}}
            )
        except Exception as error:  # torch raises whatever its parts and the C++ compiler do
            raise ModelError(
                f"the .pt2 package of {card.name} could not be compiled, which takes a C++ compiler that torch can "
                f"use: {first_line(error)}"
            ) from error


@contextlib.contextmanager
def quietly() -> Iterator[None]:
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


def open_sizes() -> tuple[dict[int, torch.export.Dim], ...]:
    """Of an `Example`."""
    atoms, pairs = torch.export.Dim("n_atoms", min=2), torch.export.Dim("n_pairs", min=2)
    return ({0: atoms}, {0: pairs}, {0: pairs}, {0: pairs})


def told(card: ModelCard) -> str:
    """What a file says of its model."""
    return json.dumps(metadata_of(card))
