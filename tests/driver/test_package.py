"""The graph that is compiled: what is done to it leaves its answers alone."""

from __future__ import annotations

import torch
from torch import nn

from mdsuite_driver.models.compiled import network_of
from mdsuite_driver.models.graph import EnergyAndGradient
from mdsuite_driver.models.load import load
from mdsuite_driver.models.package import example, keep_transposed, traced
from mdsuite_driver.models.sameness import questions


class Tied(nn.Module):
    """Multiplies by one weight in both ways, and by what is no weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5, dtype=torch.float64), requires_grad=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = x @ self.weight.t() @ self.weight
        return y @ y.t(), x @ self.weight.t().t().t() @ self.weight


def transposed(graph: torch.fx.GraphModule) -> list[str]:
    """The operations of what is multiplied transposed."""
    return [node.args[0].op for node in graph.graph.find_nodes(op="call_function", target=torch.ops.aten.t.default)]


def test_no_weight_is_transposed_in_an_evaluation():
    model = load("painn-ultra-tiny")
    *_, asked = questions(model.card)
    given = example(asked, model.card)
    graph = traced(EnergyAndGradient(network_of(model)), *given)
    before = graph(*given)
    assert "get_attr" in transposed(graph)
    keep_transposed(graph)
    assert transposed(graph) == []
    assert not [name for name, _ in graph.named_buffers() if name.count("transposed") > 1]
    for ours, theirs in zip(graph(*given), before, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_what_is_no_weight_is_transposed_as_before():
    x = torch.randn(4, 5, dtype=torch.float64)
    graph = traced(Tied(), x)
    before = graph(x)
    keep_transposed(graph)
    assert transposed(graph) == ["call_function"]
    torch.testing.assert_close(graph(x), before, rtol=1e-12, atol=1e-12)
