"""Memory that was freed goes back to the system. The C library (glibc) would keep it in an arena for each of the server's threads."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from typing import Any

ARENAS = 2
AFTER_SECONDS = 5  # memory is returned, on a thread of its own, as it takes some hundredths of a second

_M_ARENA_MAX = -8  # from malloc.h
_lock = threading.Lock()
_waiting: list[threading.Timer] = []


def configure() -> None:
    """Share a few arenas among all threads. To be called before threads are started; does nothing without glibc."""
    _call("mallopt", _M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Return to the system in a moment what was freed until then. Does nothing without glibc."""
    with _lock:
        if _waiting:
            return
        timer = threading.Timer(AFTER_SECONDS, _trim)
        timer.daemon = True
        _waiting.append(timer)
        timer.start()


def _trim() -> None:
    with _lock:
        _waiting.clear()
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> Any:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library, or another system
        return getattr(ctypes.CDLL(None), name)(*arguments)
    return None
