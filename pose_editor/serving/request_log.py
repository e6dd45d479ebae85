"""One log line for every request: its id, the endpoint, how long it waited and ran, and how it ended.

Nothing that a visitor sent is logged: no picture, no file name, no message that could contain one.

    12:00:00 INFO nted_step.page 1f6c09e2 generate queued 0.01 s ran 0.84 s done
"""

from __future__ import annotations

import logging
import time
import traceback
import uuid
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pose_editor import gradio_workarounds
from pose_editor.serving.client_address import client_address
from pose_editor.serving.listening import LeftError

LOG = logging.getLogger("nted_step.page")
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
MAX_WAITING = 20  # events of one visitor in the queue, so that there is room for others
MAX_WAITING_OF_ADDRESS = 26  # of all visitors with one address, as anybody can make up visitors
BUSY = f"Queue is full for you: {MAX_WAITING} of your requests are waiting. Please wait until some of them are done."
BUSY_ADDRESS = f"Queue is full for you: {MAX_WAITING_OF_ADDRESS} requests from your address are waiting. Please wait until some are done."
UNREADABLE = "The server could not read this request."


def configure(verbose: bool) -> None:
    """Log to the standard error stream; ``verbose`` also logs previews and other short requests, and which visitor sent them."""
    logging.basicConfig(format=FORMAT, datefmt="%H:%M:%S")
    LOG.setLevel(logging.DEBUG if verbose else logging.INFO)


@dataclass
class OpenRequest:
    """A request that is being answered.

    Attributes:
        session: the beginning of the visitor's session id.
        level: level of its log line.
        queued: seconds in the queue.
        started: when it left the queue.
        answers: how many were sent so far.
    """

    id: str
    endpoint: str
    session: str
    level: int
    queued: float
    started: float
    answers: int = 0

    def log(self, outcome: str) -> None:
        line = f"{self.id} {self.endpoint} queued {self.queued:.2f} s ran {time.monotonic() - self.started:.2f} s {outcome}"
        if LOG.isEnabledFor(logging.DEBUG):
            line += f" (visitor {self.session}, {self.answers} answers)"
        LOG.log(self.level, "%s", line)


class LoggedBlocks(gradio_workarounds.FullUpdateBlocks):
    """Blocks that log every request, and hide the details of internal errors from visitors."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.open_requests: dict[str, OpenRequest] = {}  # by event id; a streaming run comes back for every answer

    def queue(self, **arguments: Any) -> LoggedBlocks:
        """As in Gradio, but no visitor may have more than ``MAX_WAITING`` events waiting, nor an address ``MAX_WAITING_OF_ADDRESS``."""
        super().queue(**arguments)
        gradio_workarounds.limit_waiting_events(self, refusal)
        return self

    async def process_api(self, block_fn: Any, inputs: list[Any], **more: Any) -> dict[str, Any]:
        request = self._request_of(block_fn, more.get("event_id"), more.get("session_hash"))
        try:
            response = await super().process_api(block_fn, inputs, **more)
        except Exception as error:
            self.open_requests.pop(more.get("event_id"), None)
            raise _log_failure(request, error) from None
        request.answers += 1
        if not response.get("is_generating"):
            self.open_requests.pop(more.get("event_id"), None)
            request.log("done")
        return response

    def _request_of(self, block_fn: Any, event_id: str | None, session: str | None) -> OpenRequest:
        """The request that an event belongs to, a new one when the event comes for the first time."""
        if event_id in self.open_requests:
            return self.open_requests[event_id]
        queued = gradio_workarounds.queued_events(self)
        for gone in [key for key in self.open_requests if key not in queued]:
            self.open_requests.pop(gone).log("left")  # the visitor did not wait for the end
        now = time.monotonic()
        event = queued.get(event_id)
        short = not block_fn.queue or block_fn.concurrency_id == "preview"
        name = block_fn.api_name or getattr(block_fn.fn, "__name__", "script")
        request = OpenRequest(
            (event_id or uuid.uuid4().hex)[:8], str(name), (session or "none")[:4], logging.DEBUG if short else logging.INFO,
            now - event.enqueue_time if event else 0.0, now,
        )  # fmt: skip
        if event:
            self.open_requests[event_id] = request
        return request


def refusal(body: Any, waiting: list[Any]) -> str | None:
    """What a visitor is told who has enough events waiting, as a session or as an address."""
    if body.session_hash and sum(event.session_hash == body.session_hash for event in waiting) >= MAX_WAITING:
        return BUSY
    address = client_address(body.request.client)
    if sum(client_address(event.request.client) == address for event in waiting) >= MAX_WAITING_OF_ADDRESS:
        return BUSY_ADDRESS
    return None


def _log_failure(request: OpenRequest, error: Exception) -> gr.Error:
    """Log how a request failed. Returns what the visitor is told, without the exception's text, which may contain a file name."""
    if isinstance(error, gr.Error):
        request.log("refused")
        error.print_exception = False
        return error
    if isinstance(error, LeftError):
        request.log("left")
        return gr.Error("Nobody waited for this.", print_exception=False)
    if gradio_workarounds.failed_before_the_function(error):
        request.log(f"refused {type(error).__name__}")
        return gr.Error(UNREADABLE, print_exception=False)
    request.level = logging.ERROR
    request.log(f"failed {describe_error(error)}")
    return gr.Error(f"Something went wrong on the server (request {request.id}). Please try again.", print_exception=False)


def describe_error(error: Exception) -> str:
    """An error's kind and where it happened, without its text."""
    return f"{type(error).__name__}\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip()
