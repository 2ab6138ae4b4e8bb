"""What becomes of memory that is freed."""

from __future__ import annotations

import ctypes
from typing import Final

# The numbers of malloc.h
TRIM_THRESHOLD: Final = -1
MMAP_MAX: Final = -4


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
