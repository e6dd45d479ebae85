"""Memory that training frees stays with the process: the next iteration wants the same again."""

from __future__ import annotations

import contextlib
import ctypes

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> None:
    """Tell glibc not to give freed memory back to the system; does nothing where there is no glibc.

    By default every large tensor is given back and asked for anew, and the system zeroes it page by page: at 128x88 on two
    cores that took up to a third of an iteration. Call it before threads are started.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, 256 << 20), (M_ARENA_MAX, 1)):
            mallopt(parameter, value)
