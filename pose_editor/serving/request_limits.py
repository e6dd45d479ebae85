"""What stands before the page's server: a limit on what is sent, and a line in the log for what HTTP itself turns away."""

from __future__ import annotations

from typing import Any

from gradio.route_utils import FnIndexInferError

from nted_step.image import MAX_BYTES
from pose_editor.serving.request_log import LOG, told

UPLOAD_BYTES = MAX_BYTES + 2**16  # one photo and its envelope
BODY_BYTES = MAX_BYTES * 4 // 3 + 2**20  # a photo as a data: URL, and the rest of a request
REASONS = {404: "there is no such event", 413: "more than is allowed", 500: "something went wrong on the server"}
ROUTES = ("upload", "queue", "call", "run", "api", "file", "component_server", "cancel", "reset", "stream")


class Gate:
    """ASGI middleware. A request with a larger body is answered with 413 before it is read; what breaks inside is not told in full."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        passage = Passage(scope, receive, send)
        if passage.announced() > passage.limit:
            await passage.turn_away(413)
            return
        try:
            await self.app(scope, passage.receive, passage.send)
        except FnIndexInferError:
            await passage.turn_away(404)
        except Exception as error:  # the server would print the error's text, in which there can be what a visitor sent
            if passage.turned_away:
                return  # it was reading a body that was cut off
            LOG.error("-------- http %s failed %s", passage.route, told(error))
            await passage.turn_away(500)


class Passage:
    """One request on its way through the gate."""

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope, self.inner_receive, self.inner_send = scope, receive, send
        self.route = route(scope["path"])
        self.limit = UPLOAD_BYTES if self.route == "upload" else BODY_BYTES
        self.received = 0
        self.answered = self.turned_away = False

    def announced(self) -> int:
        """Bytes of the body as the header says, 0 where it says nothing that can be read."""
        text = dict(self.scope["headers"]).get(b"content-length", b"0")
        return int(text) if text.isdigit() else 0

    async def receive(self) -> dict[str, Any]:
        message = await self.inner_receive()
        self.received += len(message.get("body", b""))
        if self.received <= self.limit:
            return message
        await self.turn_away(413)
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if self.turned_away:
            return  # the answer was given
        if message["type"] == "http.response.start":
            self.answered = True
            if message["status"] >= 400:
                self._log(message["status"])
        await self.inner_send(message)

    async def turn_away(self, status: int) -> None:
        """Answer in place of the server, unless it has begun to answer."""
        if self.answered or self.turned_away:
            return
        self.turned_away = True
        self._log(status)
        headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
        await self.inner_send({"type": "http.response.start", "status": status, "headers": headers})
        await self.inner_send({"type": "http.response.body", "body": REASONS[status].encode()})

    def _log(self, status: int) -> None:
        LOG.info("-------- http %s %s", self.route, "busy 503" if status == 503 else f"refused {status}")


def route(path: str) -> str:
    """The kind of address, without the names in it."""
    parts = path.removeprefix("/gradio_api").strip("/").replace("=", "/").split("/")
    return parts[0] if parts[0] in ROUTES else "page"
