"""Limits on connections: how many there may be, and how long one may take to say what it wants. Uvicorn has neither."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter
from typing import Any, ClassVar

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from pose_editor.serving.client_address import client_address
from pose_editor.serving.request_log import LOG

try:
    import resource
except ImportError:  # not on Windows
    resource = None

MAX_FROM_ONE = 100  # connections of one client; a browser opens six
SPARE_FILES = 128  # descriptors for files and everything else that is no connection
HEADER_SECONDS = 15.0  # in which a request's headers have to arrive


def allow_many_files() -> None:
    """Let this process have as many files and connections open as it may; many systems start programs with a fraction of that."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS has a lower limit than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections() -> int:
    """How many connections leave enough descriptors for everything else."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource else 512
    return 10_000 if soft < 0 else min(10_000, max(soft - SPARE_FILES, soft // 2))


class LimitedConnection(H11Protocol):
    """A connection that is closed at once while there are too many, and later when no request comes of it."""

    open_by_address: ClassVar[Counter[str]] = Counter()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger.addFilter(_is_ours_to_mend)
        self.address: str | None = None  # as long as it is counted
        self.waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        address = client_address(peer)
        most = most_connections() if is_proxy(peer) else min(MAX_FROM_ONE, most_connections())
        if self.open_by_address[address] >= most or self.open_by_address.total() >= most_connections():
            self.transport = transport
            transport.abort()
            LOG.debug("-------- http connection refused")
            return
        self.address = address
        self.open_by_address[address] += 1
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self.address is not None:
            self.open_by_address[self.address] -= 1
            if not self.open_by_address[self.address]:
                del self.open_by_address[self.address]
            self.address = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_headers()
        else:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        LOG.info("-------- http unreadable refused 400")
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        self._stop_waiting()
        super().on_response_complete()  # waits for the next request by a clock of its own

    def _await_headers(self) -> None:
        if self.waiting is None and not self.transport.is_closing():
            self.waiting = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None

    def _give_up(self) -> None:
        LOG.info("-------- http headers timed out")
        self.transport.abort()


def _is_ours_to_mend(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn's tells of more than a client's mistake, for which it writes up to two lines."""
    return not str(record.msg).startswith(
        ("Invalid HTTP request", "Unsupported upgrade", "No supported WebSocket", "ASGI callable returned without completing")
    )


def is_proxy(peer: Any) -> bool:
    """Whether a connection comes from a proxy that is believed, which speaks for many clients."""
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "")
    return bool(peer) and bool(proxies) and peer[0] in ProxyHeadersMiddleware(None, proxies).trusted_hosts
