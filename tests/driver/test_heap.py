"""Memory that was freed is there for those who ask next."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

TENSORS = """
import resource, torch
from mdsuite_driver.heap import keep_freed_memory
{}
def ask(times):
    for _ in range(times):
        torch.ones(2**23)  # 32 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = ask(40)  # until there are gaps that are large enough
print((ask(10) - before) * resource.getpagesize() / 2**20)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="for glibc")
@pytest.mark.parametrize(("call", "kept"), [("", False), ("keep_freed_memory()", True)], ids=["by default", "kept"])
def test_memory_that_was_freed_is_not_cleared_again(call: str, kept: bool):
    code = [sys.executable, "-c", TENSORS.format(call)]
    cleared = float(subprocess.run(code, check=True, capture_output=True, text=True).stdout)  # MiB
    assert (cleared < 16) is kept
