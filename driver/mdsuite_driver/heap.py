"""What becomes of memory that is freed, and of what is there for good."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
from collections.abc import Iterator, Mapping
from typing import Final

# The numbers of malloc.h
TRIM_THRESHOLD: Final = -1
MMAP_MAX: Final = -4

TUNABLES: Final = "GLIBC_TUNABLES"
LARGE_PAGES: Final = "glibc.malloc.hugetlb"

MANY: Final = 5_000  # objects, as a library brings at once; more would keep figures that were drawn in memory


def keep_freed_memory() -> None:
    """Keep it for the next evaluation, whose tensors are as large as those of the last.

    glibc returns what is larger than 32 MiB to the system as soon as it is freed, and all pages of what is asked for
    anew are cleared again. This holds for the whole process, so it is for programs and not for libraries; C libraries
    other than glibc are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, -1)  # as an unsigned number the largest


def in_large_pages(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment whose processes have their memory in pages of megabytes, where the system gives them on request.

    Tensors of an evaluation are spread over more pages of 4 KiB than a processor finds at once. What somebody has said
    of this in the environment stays. Of glibc since 2.35; others do not read it.
    """
    said = environment.get(TUNABLES, "")
    if LARGE_PAGES in said:
        return dict(environment)
    return {**environment, TUNABLES: ":".join(filter(None, (said, f"{LARGE_PAGES}=1")))}


@contextlib.contextmanager
def for_good() -> Iterator[None]:
    """Make what stays until the process ends, and have the garbage collector never look at it.

    Looking again and again at the objects that PyTorch brings with it takes a third of the time in which it is imported
    and, at the end, taken apart. This holds for the whole process, so it is for programs and not for libraries.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_seldom() -> None:
    """Have the garbage collector look when many objects are new, and not at the end of the process.

    Looking is a fourth of what `mdsuite run` does by itself: nearly all of its objects are those of the libraries that
    it imports one after the other, and stay. This holds for the whole process, so it is for programs and not for
    libraries.
    """
    gc.set_threshold(MANY)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
