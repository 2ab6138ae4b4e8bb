"""The CPU threads of PyTorch."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def take_threads(n: int) -> None:
    """Have PyTorch use so many in this process, whether it was imported or will be; importing it takes seconds."""
    os.environ["OMP_NUM_THREADS"] = str(n)  # read where it is imported
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)


@contextlib.contextmanager
def on_threads(n: int) -> Iterator[None]:
    """The same for a while."""
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
