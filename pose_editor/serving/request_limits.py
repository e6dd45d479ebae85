"""Limits on what the server accepts, and a log line for what is refused before it becomes an event."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from typing import Any

from starlette._utils import get_route_path
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from nted_step.image import MAX_BYTES
from pose_editor.gradio_workarounds import UnknownEventError
from pose_editor.serving.allowed_routes import is_open, route_kind
from pose_editor.serving.client_address import client_address
from pose_editor.serving.request_log import LOG, describe_error
from pose_editor.serving.security_headers import with_security_headers

UPLOAD_BYTES = MAX_BYTES + 2**16  # one photo and its envelope
BODY_BYTES = MAX_BYTES * 4 // 3 + 2**20  # a photo as a data: URL, and the rest of a request
STALLED_SECONDS = 15.0  # without another piece of a body
BODY_SECONDS = 120.0  # for a whole body
MAX_BODIES_OF_ONE = 8  # bodies of one client that are on their way
MAX_BODIES = 64  # of all clients
REASONS = {
    400: "bad request", 404: "not found", 408: "the request took too long", 413: "request too large",
    429: "too many requests at a time", 500: "internal server error",
}  # fmt: skip
HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class RequestLimits:
    """ASGI middleware: lets through only requests that the page needs, and of their bodies only so much, so fast and so many at a time.

    It also keeps internal errors out of answers, and puts the security headers on them.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self.arriving: Counter[str] = Counter()  # bodies by client

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = LimitedRequest(scope, receive, send, self.arriving)
        refusal = request.refusal()
        if refusal:
            await request.refuse(refusal)
            return
        try:
            await self.app(scope, request.receive, request.send)
        except UnknownEventError:
            await request.refuse(404)
        except ClientDisconnect:
            if not request.refused:
                LOG.info("-------- http %s broken off", request.route)
        except Exception as error:  # the server would print the error's text, which may contain what a visitor sent
            if request.refused:
                return  # the server was reading a body that was cut off
            if request.answered and isinstance(error.__cause__, HTTPException):  # it was refused when the answer had begun
                LOG.info("-------- http %s refused %s", request.route, error.__cause__.status_code)
                return
            LOG.error("-------- http %s failed %s", request.route, describe_error(error))
            await request.refuse(500)
        finally:
            request.body_ended()


class LimitedRequest:
    """One request: its body is counted on the way in, its status is logged on the way out.

    Args:
        arriving: how many bodies of each client are on their way; this one is counted there until it has ended.
    """

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any, arriving: Counter[str]) -> None:
        self.scope, self.inner_receive, self.inner_send, self.arriving = scope, receive, send, arriving
        self.headers = dict(scope["headers"])
        self.path = get_route_path(scope)
        self.route = route_kind(self.path)
        self.limit = UPLOAD_BYTES if self.route == "upload" else BODY_BYTES
        self.received = 0
        self.began = time.monotonic()
        self.answered = self.refused = False
        self.client = client_address(scope.get("client"))
        self.reading = b"transfer-encoding" in self.headers or self.declared_length() > 0
        if self.reading:
            arriving[self.client] += 1

    def declared_length(self) -> int:
        """Bytes of the body according to its header, 0 without a usable one."""
        text = self.headers.get(b"content-length", b"0")
        return int(text) if text.isdigit() else 0

    def refusal(self) -> int | None:
        """The status with which the request is refused before it is read, if it is."""
        hosts = [value for name, value in self.scope["headers"] if name == b"host"]
        if len(hosts) > 1 or not all(HOST.fullmatch(host) for host in hosts):
            return 400
        if not is_open(self.scope["method"], self.path):
            return 404
        if self.declared_length() > self.limit:
            return 413
        if self.reading and (self.arriving[self.client] > MAX_BODIES_OF_ONE or self.arriving.total() > MAX_BODIES):
            return 429
        return None

    def body_ended(self) -> None:
        if self.reading:
            self.reading = False
            self.arriving[self.client] -= 1
            if not self.arriving[self.client]:
                del self.arriving[self.client]

    async def receive(self) -> dict[str, Any]:
        if not self.reading:
            return await self.inner_receive()  # what comes after a body is the end of the connection
        left = self.began + BODY_SECONDS - time.monotonic()
        try:
            message = await asyncio.wait_for(self.inner_receive(), max(0.0, min(STALLED_SECONDS, left)))
        except (TimeoutError, asyncio.TimeoutError):  # two kinds before Python 3.11
            return await self._cut_off(408)
        self.received += len(message.get("body", b""))
        if self.received > self.limit:
            return await self._cut_off(413)
        if not message.get("more_body"):
            self.body_ended()
        return message

    async def _cut_off(self, status: int) -> dict[str, Any]:
        self.body_ended()
        await self.refuse(status)
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if self.refused:
            return  # the answer has been given
        if message["type"] == "http.response.start":
            self.answered = True
            if message["status"] >= 400:
                self._log(message["status"])
            message = message | {"headers": with_security_headers(list(message.get("headers", [])))}
        await self.inner_send(message)

    async def refuse(self, status: int) -> None:
        """Answer in place of the server, unless it has begun to answer."""
        self.body_ended()
        if self.answered or self.refused:
            return
        self.refused = True
        self._log(status)
        headers = with_security_headers([(b"content-type", b"text/plain"), (b"connection", b"close")])
        await self.inner_send({"type": "http.response.start", "status": status, "headers": headers})
        await self.inner_send({"type": "http.response.body", "body": REASONS[status].encode()})

    def _log(self, status: int) -> None:
        LOG.info("-------- http %s %s", self.route, "busy 503" if status == 503 else f"refused {status}")
