"""Limits on what the server accepts, and a log line for what is refused before it becomes an event."""

from __future__ import annotations

from typing import Any

from nted_step.image import MAX_BYTES
from pose_editor.gradio_workarounds import UnknownEventError
from pose_editor.serving.request_log import LOG, describe_error

UPLOAD_BYTES = MAX_BYTES + 2**16  # one photo and its envelope
BODY_BYTES = MAX_BYTES * 4 // 3 + 2**20  # a photo as a data: URL, and the rest of a request
REASONS = {404: "no such event", 413: "request too large", 500: "internal server error"}
ROUTES = ("upload", "queue", "call", "run", "api", "file", "component_server", "cancel", "reset", "stream")


class RequestLimits:
    """ASGI middleware that refuses bodies over the limit with 413 before reading them, and keeps internal errors out of answers."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = LimitedRequest(scope, receive, send)
        if request.declared_length() > request.limit:
            await request.refuse(413)
            return
        try:
            await self.app(scope, request.receive, request.send)
        except UnknownEventError:
            await request.refuse(404)
        except Exception as error:  # the server would print the error's text, which may contain what a visitor sent
            if request.refused:
                return  # the server was reading a body that was cut off
            LOG.error("-------- http %s failed %s", request.route, describe_error(error))
            await request.refuse(500)


class LimitedRequest:
    """One request: its body is counted on the way in, its status is logged on the way out."""

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope, self.inner_receive, self.inner_send = scope, receive, send
        self.route = route_kind(scope["path"])
        self.limit = UPLOAD_BYTES if self.route == "upload" else BODY_BYTES
        self.received = 0
        self.answered = self.refused = False

    def declared_length(self) -> int:
        """Bytes of the body according to its header, 0 without a usable one."""
        text = dict(self.scope["headers"]).get(b"content-length", b"0")
        return int(text) if text.isdigit() else 0

    async def receive(self) -> dict[str, Any]:
        message = await self.inner_receive()
        self.received += len(message.get("body", b""))
        if self.received <= self.limit:
            return message
        await self.refuse(413)
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if self.refused:
            return  # the answer has been given
        if message["type"] == "http.response.start":
            self.answered = True
            if message["status"] >= 400:
                self._log(message["status"])
        await self.inner_send(message)

    async def refuse(self, status: int) -> None:
        """Answer in place of the server, unless it has begun to answer."""
        if self.answered or self.refused:
            return
        self.refused = True
        self._log(status)
        headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
        await self.inner_send({"type": "http.response.start", "status": status, "headers": headers})
        await self.inner_send({"type": "http.response.body", "body": REASONS[status].encode()})

    def _log(self, status: int) -> None:
        LOG.info("-------- http %s %s", self.route, "busy 503" if status == 503 else f"refused {status}")


def route_kind(path: str) -> str:
    """The kind of a URL path, without the names in it."""
    parts = path.removeprefix("/gradio_api").strip("/").replace("=", "/").split("/")
    return parts[0] if parts[0] in ROUTES else "page"
