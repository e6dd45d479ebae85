"""Memory that was freed goes back to the system. The C library (glibc) would keep it in an arena for each of the server's threads."""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from typing import Any

ARENAS = 2
EVERY_SECONDS = 5  # between two returns, each of which takes milliseconds

_M_ARENA_MAX = -8  # from malloc.h
_lock = threading.Lock()
_returned = [0.0]


def configure() -> None:
    """Share a few arenas among all threads. To be called before threads are started; does nothing without glibc."""
    _call("mallopt", _M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Return to the system what was freed, unless that was done a moment ago. Does nothing without glibc."""
    with _lock:
        now = time.monotonic()
        if now - _returned[0] < EVERY_SECONDS:
            return
        _returned[0] = now
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> Any:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library, or another system
        return getattr(ctypes.CDLL(None), name)(*arguments)
    return None
