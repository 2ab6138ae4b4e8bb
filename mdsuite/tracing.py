"""Functions of tensors, their derivatives inside, as one graph that is open in its sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def traced(function: Callable[..., Any], *example: Any) -> torch.fx.GraphModule:
    """The graph of a function, made at an example of its arguments; sizes that are equal there may differ later."""
    from torch.fx.experimental import _config  # noqa: PLC0415  private, and slow to import
    from torch.fx.experimental.proxy_tensor import make_fx  # noqa: PLC0415

    with _config.patch(use_duck_shape=False):  # type: ignore[attr-defined]  # equal sizes are so by chance
        return make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*example)
