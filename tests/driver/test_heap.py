"""Memory that was freed is there for those who ask next, and what is there for good is not looked at again."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mdsuite_driver.heap import TUNABLES, in_large_pages

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


LARGE = """
import re, torch
kept = [torch.ones(2**20) for _ in range(8)]  # 4 MiB each
print(re.search(r"AnonHugePages: *(\\d+)", open("/proc/self/smaps_rollup").read())[1])
"""


def glibc() -> tuple[int, ...]:
    name, version = platform.libc_ver()
    return tuple(int(each) for each in version.split(".")) if name == "glibc" else ()


def gives_large_pages_on_request() -> bool:
    try:
        return "[madvise]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not gives_large_pages_on_request(), reason="the system gives none, or gives them unasked")
@pytest.mark.skipif(glibc() < (2, 35), reason="for glibc since 2.35")
@pytest.mark.parametrize(
    ("said", "large"),
    [("", True), ("glibc.malloc.check=0", True), ("glibc.malloc.hugetlb=0", False)],
    ids=["nothing was said", "another thing was said", "they were refused"],
)
def test_memory_is_in_large_pages_unless_somebody_refused(said: str, large: bool):
    environment = in_large_pages({**os.environ, TUNABLES: said})
    code = [sys.executable, "-c", LARGE]
    kib = int(subprocess.run(code, check=True, capture_output=True, text=True, env=environment).stdout)
    assert (kib > 16 * 1024) is large


FOR_GOOD = """
import gc
from mdsuite_driver.heap import for_good
try:
    with for_good():
        made = [[] for _ in range(10**5)]
        assert not gc.isenabled()
        raise KeyError
except KeyError:
    pass
later = []
print(gc.isenabled(), gc.get_freeze_count() > 10**5, any(each is made for each in gc.get_objects()))
print(any(each is later for each in gc.get_objects()))
"""


def test_what_is_there_for_good_is_not_looked_at_by_the_garbage_collector():
    said = subprocess.run([sys.executable, "-c", FOR_GOOD], check=True, capture_output=True, text=True).stdout
    assert said.split() == ["True", "True", "False", "True"]


SELDOM = """
import atexit, gc
from mdsuite_driver.heap import collect_seldom
looked = []
gc.callbacks.append(lambda phase, about: looked.append(about["generation"]))
atexit.register(lambda: print(gc.get_freeze_count() > 0, len(looked)))  # the last that is registered is the first
{}
made = [[] for _ in range(10**5)]
"""


@pytest.mark.parametrize(("call", "seldom"), [("", False), ("collect_seldom()", True)], ids=["by default", "seldom"])
def test_what_is_new_is_looked_at_where_it_is_much(call: str, seldom: bool):
    code = [sys.executable, "-c", SELDOM.format(call)]
    frozen, times = subprocess.run(code, check=True, capture_output=True, text=True).stdout.split()
    assert (frozen == "True") is seldom
    assert (0 < int(times) < 100) is seldom
